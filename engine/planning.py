"""Changes of config and roster as somebody may ask for them, planned under the lock of the journal.

One class for the engine and for commands without one, so that both check the same, write the same
files and journal the same events. Planning reads; `apply` writes; the caller journals `event`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from config.edit import KeyChange, plan_set, plan_unset
from config.layers import WORKSPACE_FILE
from config.roster import Identity, RosterChange, plan_add, plan_revoke, principal_of
from config.settings import load
from engine.contracts.errors import InputError
from engine.contracts.event import ConfigChanged, PeopleChanged
from engine.contracts.people import Role
from engine.contracts.session import Environment


@dataclass(frozen=True)
class PlannedKey:
    """A key that is to be set or taken out."""

    change: KeyChange

    def apply(self) -> None:
        """Replace the file. Raises ConfigError and has changed nothing."""
        self.change.file.apply()

    def undo(self) -> None:
        """Put the file back. Raises ConfigError."""
        self.change.file.undo()

    def event(self, reason: str) -> ConfigChanged:
        """What is journaled once the file is in place."""
        change = self.change
        return ConfigChanged(
            key=change.key,
            before=change.before,
            after=change.after,
            reason=reason,
            file=WORKSPACE_FILE,
            before_sha256=change.file.before_sha256,
            after_sha256=change.file.after_sha256,
            effects=dict(change.effects),
            written=change.written,
        )


@dataclass(frozen=True)
class PlannedPerson:
    """A person who is to be added or revoked."""

    change: RosterChange

    def apply(self) -> None:
        """Replace the files, all or none. Raises ConfigError."""
        self.change.apply()

    def undo(self) -> None:
        """Put the files back. Raises ConfigError."""
        self.change.undo()

    def event(self, reason: str) -> PeopleChanged:
        """What is journaled once the files are in place."""
        change = self.change
        return PeopleChanged(
            person=change.person,
            what=change.what,
            before=change.before,
            after=change.after,
            reason=reason,
            files_before={path: file.before_sha256 for path, file in change.files},
            files_after={path: file.after_sha256 for path, file in change.files},
        )


class Plans:
    """What may be asked for in one workspace, with the variables and options that are in force."""

    def __init__(
        self,
        workspace: Path,
        environ: Mapping[str, str],
        overrides: Mapping[str, object] | None = None,
    ) -> None:
        self._workspace = workspace
        self._environ = dict(environ)
        self._overrides = dict(overrides or {})

    def key(self, key: str, value: str | None) -> PlannedKey:
        """Set a key of the workspace's file, None takes it out. Raises ConfigError."""
        if value is None:
            return PlannedKey(plan_unset(self._workspace, key, self._environ, self._overrides))
        return PlannedKey(plan_set(self._workspace, key, value, self._environ, self._overrides))

    def add(
        self, person_id: str, role: Role, public_line: str, name: str, uid: int | None
    ) -> PlannedPerson:
        """Add a person. Raises ConfigError, InputError."""
        environment = load(self._workspace, self._environ, self._overrides).settings.environment
        if uid is None and environment is not Environment.DEV:
            raise InputError(
                what=f"{person_id[:40]!r} has no Unix user",
                where=f"environment {environment}",
                todo="name it with --uid; without one anybody on the socket could speak as them",
            )
        identity = Identity(
            id=person_id,
            name=name or person_id,
            role=role,
            principal=principal_of(role, person_id),
            public_line=public_line,
            uid=uid,
        )
        return PlannedPerson(plan_add(self._workspace, identity))

    def revoke(self, person_id: str) -> PlannedPerson:
        """Take a person out of the roster for good. Raises ConfigError, InputError."""
        return PlannedPerson(plan_revoke(self._workspace, person_id))
