"""The roster: who may take part, as what, with which key and which Unix user.

`config/people.toml` holds `[[people]]` tables with the fields of `contracts.people.Person`.
Promises: a person occurs once and has one role, one principal and one key, none shared with
another; no name is a pattern; everything wrong in the file is reported at once. Demo people
count in `dev` only.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from typing import Any

import msgspec

from engine.contracts.canonical import canonical
from engine.contracts.errors import ConfigError
from engine.contracts.people import Person, Role
from engine.contracts.session import Environment

_ID = re.compile(r"[a-z0-9][a-z0-9._-]{0,31}")
_PRINCIPAL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@+-]{0,63}")
_FINGERPRINT = re.compile(r"SHA256:[A-Za-z0-9+/]{43}")
_UNIQUE = ("id", "name", "principal", "fingerprint")


class Roster(msgspec.Struct, frozen=True):
    """The people in force."""

    people: tuple[Person, ...]

    def by_id(self, person_id: str) -> Person | None:
        """The person with this id."""
        return next((person for person in self.people if person.id == person_id), None)

    def by_principal(self, principal: str) -> Person | None:
        """The person who signs as this principal."""
        return next((person for person in self.people if person.principal == principal), None)

    def with_role(self, role: Role) -> tuple[Person, ...]:
        """Everyone with this role."""
        return tuple(person for person in self.people if person.role is role)


def usable_in(person: Person, environment: Environment) -> bool:
    """Whether the person counts there: demo people count in `dev` only."""
    return not person.demo or environment is Environment.DEV


def parse_roster(
    document: Mapping[str, Any],
    *,
    environment: Environment | None = None,
    where: str = "config/people.toml",
) -> Roster:
    """Read the parsed TOML.

    With an environment, outside `dev` demo people are refused too, and people without an own Unix
    user: anybody on the socket could speak in their names. Raises ConfigError that lists every
    problem.
    """
    rows = document.get("people", [])
    problems = [f"unknown key {key!r}" for key in sorted(set(document) - {"people"})]
    if not isinstance(rows, list):
        raise ConfigError(what="people is not a list of tables", where=where, todo="[[people]]")
    people: list[Person] = []
    for number, row in enumerate(rows, start=1):
        found, bad = _parse_person(row, f"people {number}")
        problems += bad
        people += found
    problems += _shared(people)
    if environment is not None:
        problems += [
            f"{person.id}: a demo person in {environment}"
            for person in people
            if not usable_in(person, environment)
        ]
        problems += [
            f"{person.id}: no uid; only {Environment.DEV} can have people without a Unix user"
            for person in people
            if person.uid is None and environment is not Environment.DEV
        ]
    if problems:
        raise ConfigError(what="; ".join(problems), where=where, todo="correct the roster")
    return Roster(tuple(people))


def _parse_person(row: object, where: str) -> tuple[list[Person], list[str]]:
    if not isinstance(row, dict):
        return [], [f"{where}: not a table"]
    bad = [f"{where}: unknown key {key!r}" for key in sorted(set(row) - set(_FIELDS))]
    try:
        person = msgspec.convert(row, type=Person)
    except msgspec.ValidationError as error:
        return [], [*bad, f"{where}: {error}"]
    for key, pattern in (("id", _ID), ("principal", _PRINCIPAL), ("fingerprint", _FINGERPRINT)):
        value = getattr(person, key)
        if not pattern.fullmatch(value):
            bad.append(f"{where}: {key}: got {value[:60]!r}; allowed: {pattern.pattern}")
    if not person.name.strip() or not person.name.isprintable():
        bad.append(f"{where}: name: got {person.name[:60]!r}; allowed: a printable name")
    elif (
        len(_scripts(person.name)) > 1 or unicodedata.normalize("NFKC", person.name) != person.name
    ):
        bad.append(
            f"{where}: name: got {person.name[:60]!a}; allowed: letters of one script, plainly"
        )
    if person.uid is not None and not 0 <= person.uid < 2**32 - 1:
        bad.append(f"{where}: uid: got {person.uid}; allowed: a Unix user id")
    return [person], bad


def _scripts(name: str) -> set[str]:
    """The alphabets of a name's letters: one with two of them may look like another's."""
    return {unicodedata.name(letter, "?").split()[0] for letter in name if letter.isalpha()}


_FIELDS = Person.__struct_fields__


def _shared(people: list[Person]) -> list[str]:
    """One human, one line, one key: every value that two lines share."""
    problems: list[str] = []
    for key in _UNIQUE:
        seen: dict[str, str] = {}
        for person in people:
            value = getattr(person, key)
            folded = value if key == "fingerprint" else value.strip().casefold()
            if folded in seen:
                problems.append(f"{person.id}: same {key} as {seen[folded]}")
            seen[folded] = person.id
    return problems


def roster_document(roster: Roster, allowed_signers_sha256: str = "") -> bytes:
    """The exact bytes that `roster_sha256` is of: the people and the hash of allowed_signers."""
    document = {
        "allowed_signers_sha256": allowed_signers_sha256,
        "people": sorted(msgspec.to_builtins(roster.people), key=lambda row: str(row["id"])),
        "type": "peakctl-roster-1",
    }
    return canonical(document) + b"\n"
