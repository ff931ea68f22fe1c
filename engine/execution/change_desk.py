"""Changes of config and roster: done by whoever holds the journal, and told at the next start.

The holder of the journal (this engine, or `engine.offline` when none runs) writes the file and then
journals the fact; when the journal says no, the file is put back. A stop between the two leaves a
file that no event explains, and that is what `notice` finds and journals at the next start, as it
does with every edit by hand. So file and journal never differ without a word.

A change takes effect with the next start: what runs goes on with what it was started with, and the
standing approval is void at once, because the hashes that it binds are those of the files (I6).
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol

from engine.contracts.errors import InputError, PeakError
from engine.contracts.event import (
    AnyEvent,
    ConfigLoaded,
    ConfigNoticed,
    PeopleLoaded,
    PeopleNoticed,
    Recorded,
)
from engine.contracts.people import ENGINE, Actor, Role
from engine.contracts.requests import ConfigSetRequest, PeopleAddRequest, PeopleRevokeRequest
from engine.execution.core import Core
from engine.execution.session_desk import SessionDesk
from engine.execution.settle.settler import RaiseAlarm
from engine.governance.changes import Difference, Known
from engine.governance.people import Roster
from engine.governance.saying import in_words

REASON_LIMIT = 500
_ALARM_LIMIT = 300


class Planned(Protocol):
    """A change that was checked and is not made yet."""

    def apply(self) -> None:
        """Write the files, all or none. Raises ConfigError."""

    def undo(self) -> None:
        """Put them back. Raises ConfigError."""

    def event(self, reason: str) -> AnyEvent:
        """The fact, once the files are in place."""


class Planning(Protocol):
    """Who plans. Every method raises ConfigError or InputError for what cannot be."""

    def key(self, key: str, value: str | None) -> Planned:
        """Set a key, None takes it out."""

    def add(
        self, person_id: str, role: Role, public_line: str, name: str, uid: int | None
    ) -> Planned:
        """Add a person."""

    def revoke(self, person_id: str) -> Planned:
        """Take a person out for good."""


Plan = Callable[[Planning], Planned]
Record = Callable[[AnyEvent], Awaitable[Sequence[Recorded]]]


def checked_reason(reason: str) -> str:
    """The reason as it is journaled, in one line. Raises InputError when there is none."""
    text = in_words(reason)
    if not text or len(text) > REASON_LIMIT:
        raise InputError(
            what="there is no reason" if not text else f"over {REASON_LIMIT} characters",
            where="reason",
            todo="say why, with --reason",
        )
    return text


async def perform(planned: Planned, reason: str, record: Record) -> Recorded:
    """Write the files, then journal the fact; the files go back when it cannot be journaled."""
    await asyncio.to_thread(planned.apply)
    try:
        (recorded,) = await record(planned.event(reason))
    except PeakError:
        await asyncio.to_thread(planned.undo)
        raise
    return recorded


class ChangeDesk:
    """What people change while an engine runs, and what a start finds changed."""

    def __init__(
        self,
        core: Core,
        session: SessionDesk,
        roster: Roster,
        planning: Planning,
        raise_alarm: RaiseAlarm,
    ) -> None:
        self._core = core
        self._session = session
        self._roster = roster
        self._planning = planning
        self._raise_alarm = raise_alarm
        self._changing = asyncio.Lock()

    async def set_key(self, request: ConfigSetRequest, actor: Actor) -> Recorded:
        """Set one key of the workspace's file, or take it out. Raises PeakError."""
        self._may(actor, Role.OPERATOR)
        plan: Plan = lambda planning: planning.key(request.key, request.value)  # noqa: E731
        return await self._make(plan, request.reason, actor)

    async def add_person(self, request: PeopleAddRequest, actor: Actor) -> Recorded:
        """Add a person to the roster. Raises PeakError."""
        self._may(actor, Role.OPERATOR)

        def plan(planning: Planning) -> Planned:
            return planning.add(
                request.id, request.role, request.public_line, request.name, request.uid
            )

        return await self._make(plan, request.reason, actor)

    async def revoke_person(self, request: PeopleRevokeRequest, actor: Actor) -> Recorded:
        """Take a person out and revoke their key. Either role may: it only takes away."""
        self._may(actor, *Role)
        plan: Plan = lambda planning: planning.revoke(request.id)  # noqa: E731
        return await self._make(plan, request.reason, actor)

    async def _make(self, plan: Plan, reason: str, actor: Actor) -> Recorded:
        text = checked_reason(reason)
        async with self._changing:
            planned = await asyncio.to_thread(plan, self._planning)
            return await perform(planned, text, lambda event: self._core.record(actor, event))

    def _may(self, actor: Actor, *roles: Role) -> None:
        """Refuse who has none of the roles; a roster without an operator is its owner's to fill."""
        if not self._roster.with_role(Role.OPERATOR) and actor.proof == f"peer-uid:{os.getuid()}":
            return
        self._session.require(actor, *roles)

    # --- at the start -----------------------------------------------------------------------------

    async def notice(self, config: ConfigLoaded, people: PeopleLoaded, before_sha256: str) -> None:
        """Journal what is found other than the journal says, with an alarm; then what is found.

        `before_sha256` is the effective config of the last start, "" of the first one: all that a
        journal from before these events has.
        """
        known = self._core.state.changes
        config_rows = known.config.differences(config.values, config.files)
        people_rows = known.people.differences(people.people, people.files)
        events: list[AnyEvent] = []
        unknown = not known.config.loaded and before_sha256 not in {"", config.sha256}
        if config_rows or unknown:
            events.append(
                ConfigNoticed(
                    before_sha256=known.config.sha256 or before_sha256,
                    after_sha256=config.sha256,
                    **_fields(config_rows),
                )
            )
        if not _same(known.config, config.values, config.files):
            events.append(config)
        if people_rows:
            events.append(
                PeopleNoticed(
                    before_sha256=known.people.sha256,
                    after_sha256=people.sha256,
                    **_fields(people_rows),
                )
            )
        if not _same(known.people, people.people, people.files):
            events.append(people)
        await self._core.record(ENGINE, *events)
        if config_rows or unknown:
            await self._raise_alarm("CONFIG_CHANGED", _told(config_rows))
        if people_rows:
            await self._raise_alarm("PEOPLE_CHANGED", _told(people_rows))


def _same(known: Known, values: dict[str, str], files: dict[str, str]) -> bool:
    """Whether the last `*.loaded` said the same and nothing was changed since."""
    return known.as_loaded and known.values == values and known.files == files


def _fields(rows: Sequence[Difference]) -> dict[str, Any]:
    """What both kinds of notice say of their differences."""
    return {
        "changed": tuple(row.text() for row in rows),
        "keys": tuple(row.key for row in rows),
        "before": {row.key: row.before for row in rows},
        "after": {row.key: row.after for row in rows},
    }


def _told(rows: Sequence[Difference]) -> str:
    text = "; ".join(row.text() for row in rows) or "the journal before held its hash alone"
    return text if len(text) <= _ALARM_LIMIT else f"{text[: _ALARM_LIMIT - 1]}…"
