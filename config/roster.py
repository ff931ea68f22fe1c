"""Changing the roster: people.toml, allowed_signers and revoked_keys, planned whole, then written.

A plan writes nothing and is only made when all three files parse with it. The files are written in
the order in which a stop between two of them does least: a new person's signature line before the
person, a revoked key before the person goes. Comments and other people's lines stay as they are.
"""

from __future__ import annotations

import contextlib
import tomllib
from dataclasses import dataclass
from pathlib import Path

import tomli_w

from config.replace import FileChange, read_file, read_text
from engine.contracts.canonical import sha256_hex
from engine.contracts.documents import OPERATOR_NAMESPACES, REVIEWER_NAMESPACES, Namespace
from engine.contracts.errors import ConfigError, InputError
from engine.contracts.people import Person, Role
from engine.contracts.toml_text import load_toml
from engine.governance.changes import person_text
from engine.governance.people import Roster, parse_roster
from engine.signatures.allowed_signers import allowed_signers_line, parse_allowed_signers
from engine.signatures.revoked import parse_revoked
from engine.signatures.sshsig import fingerprint, parse_public_line

PEOPLE = "config/people.toml"
SIGNERS = "config/allowed_signers"
REVOKED = "config/revoked_keys"
FILES = (PEOPLE, SIGNERS, REVOKED)

NAMESPACES: dict[Role, tuple[Namespace, ...]] = {
    Role.OPERATOR: OPERATOR_NAMESPACES,
    Role.REVIEWER: REVIEWER_NAMESPACES,
}
_PREFIX = {Role.OPERATOR: "op", Role.REVIEWER: "rev"}


@dataclass(frozen=True)
class Identity:
    """A person to be written into the roster, with the line of their public key."""

    id: str
    name: str
    role: Role
    principal: str
    public_line: str
    uid: int | None = None
    demo: bool = False


@dataclass(frozen=True)
class RosterChange:
    """A planned change of one person; `files` by path below the workspace, in order of writing."""

    person: str
    what: str
    before: str
    after: str
    files: tuple[tuple[str, FileChange], ...]

    def apply(self) -> None:
        """Write the files; all or none. Raises ConfigError."""
        written: list[FileChange] = []
        try:
            for _, change in self.files:
                change.apply()
                written.append(change)
        except ConfigError:
            for change in reversed(written):
                with contextlib.suppress(ConfigError):  # the first fault is the one to tell
                    change.undo()
            raise

    def undo(self) -> None:
        """Put all files back. Raises ConfigError."""
        for _, change in reversed(self.files):
            change.undo()


def file_hashes(workspace: Path) -> dict[str, str]:
    """Sha256 (hex) of the three files as they are now, "" of a missing one. Raises ConfigError."""
    found = {path: read_file(workspace / path) for path in FILES}
    return {path: "" if one is None else sha256_hex(one) for path, one in found.items()}


def principal_of(role: Role, person_id: str) -> str:
    """The name under which a person signs."""
    return f"{_PREFIX[role]}:{person_id}"


def plan_add(workspace: Path, identity: Identity) -> RosterChange:
    """Plan to add a person with their public key. Raises ConfigError, InputError."""
    blob = parse_public_line(identity.public_line)
    revoked_bytes = read_file(workspace / REVOKED)
    if parse_revoked(revoked_bytes or b"", REVOKED).covers(blob):
        raise ConfigError(
            what=f"the key of {identity.id} is revoked",
            where=REVOKED,
            todo="a person comes back with a new key",
        )
    row: dict[str, object] = {
        "id": identity.id,
        "name": identity.name,
        "role": identity.role.value,
        "principal": identity.principal,
        "fingerprint": fingerprint(blob),
        "demo": identity.demo,
    }
    if identity.uid is not None:
        row["uid"] = identity.uid
    people = read_text(workspace / PEOPLE)
    signers = read_text(workspace / SIGNERS)
    with_person = f"{_ended(people)}\n[[people]]\n{tomli_w.dumps(row)}"
    with_line = _ended(signers) + allowed_signers_line(
        identity.principal, NAMESPACES[identity.role], identity.public_line
    )
    added = _roster(with_person).by_id(identity.id)
    parse_allowed_signers(with_line, SIGNERS)
    return RosterChange(
        person=identity.id,
        what="added",
        before="",
        after="" if added is None else person_text(added),
        files=(
            (SIGNERS, _change(workspace / SIGNERS, signers, with_line)),
            (PEOPLE, _change(workspace / PEOPLE, people, with_person)),
        ),
    )


def plan_revoke(workspace: Path, person_id: str) -> RosterChange:
    """Plan to take a person out and put their key on the revocation list. Raises ConfigError."""
    people = read_text(workspace / PEOPLE)
    signers = read_text(workspace / SIGNERS)
    revoked_bytes = read_file(workspace / REVOKED)
    revoked = (revoked_bytes or b"").decode("utf-8", "replace")
    parse_revoked(revoked_bytes or b"", REVOKED)
    roster = _roster(people)
    person = roster.by_id(person_id)
    if person is None:
        raise InputError(
            what=f"nobody is called {person_id[:40]!r}",
            where=PEOPLE,
            todo=f"there are: {', '.join(one.id for one in roster.people) or 'none'}",
        )
    without_person = _without_person(people, person)
    rest = [one for one in roster.people if one.id != person_id]
    if list(_roster(without_person).people) != rest:
        raise ConfigError(what="cannot be changed by rule", where=PEOPLE, todo="edit it by hand")
    without_line, public_line = _without_signer(signers, person)
    parse_allowed_signers(without_line, SIGNERS)
    with_key = f"{_ended(revoked)}{public_line}\n"
    parse_revoked(with_key.encode(), REVOKED)
    return RosterChange(
        person=person_id,
        what="revoked",
        before=person_text(person),
        after="",
        files=(
            (REVOKED, FileChange(workspace / REVOKED, revoked_bytes, with_key.encode())),
            (SIGNERS, _change(workspace / SIGNERS, signers, without_line)),
            (PEOPLE, _change(workspace / PEOPLE, people, without_person)),
        ),
    )


def _roster(text: str) -> Roster:
    try:
        return parse_roster(load_toml(text), where=PEOPLE)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(what=f"not TOML ({error})", where=PEOPLE) from error


def _change(path: Path, before: str, after: str) -> FileChange:
    return FileChange(path, before.encode(), after.encode())


def _ended(text: str) -> str:
    """The text with a newline at its end, so that what follows has a line of its own."""
    return text if not text or text.endswith("\n") else f"{text}\n"


def _without_person(text: str, person: Person) -> str:
    """The text without this person's table; comments behind it stay."""
    lines = text.splitlines(keepends=True)
    headers = [i for i, line in enumerate(lines) if line.lstrip().startswith("[")]
    for start, end in zip(headers, [*headers[1:], len(lines)], strict=True):
        with contextlib.suppress(tomllib.TOMLDecodeError):
            rows = load_toml("".join(lines[start:end])).get("people", [])
            if [row.get("id") for row in rows] == [person.id]:
                last = max(i for i in range(start, end) if _says_something(lines[i]))
                return "".join([*lines[:start], *lines[last + 1 :]])
    return text


def _says_something(line: str) -> bool:
    return bool(line.strip()) and not line.lstrip().startswith("#")


def _without_signer(text: str, person: Person) -> tuple[str, str]:
    """The list without the person's line, and their key as a `.pub` line."""
    kept: list[str] = []
    public_line = ""
    for line in text.splitlines(keepends=True):
        words = line.split()
        if words and words[0] == person.principal:
            rows = parse_allowed_signers(line.rstrip("\n"), SIGNERS).signers
            if rows and rows[0].fingerprint == person.fingerprint:
                at = next(i for i, word in enumerate(words) if _is_key_type(word))
                public_line = f"{words[at]} {words[at + 1]} {person.id}"
                continue
        kept.append(line)
    if not public_line:
        raise ConfigError(
            what=f"has no line with the key of {person.id}",
            where=SIGNERS,
            todo="put the key on config/revoked_keys by hand",
        )
    return "".join(kept), public_line


def _is_key_type(word: str) -> bool:
    return word.startswith(("ssh-", "ecdsa-", "sk-"))
