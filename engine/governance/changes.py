"""What the journal says of config and roster, and how that differs from what is found. Pure.

A fold of `*.loaded` (what a start found) and `*.changed` (what a person changed since) gives what
must be in force now. Whatever else is found was changed without a record: by hand, by another
program, by a crash between a file and its event. Values are texts by key; files are known by their
sha256, so that an edit which moves no value, or one that a recorded change was made on top of,
is still seen.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from engine.contracts.event import (
    ConfigChanged,
    ConfigLoaded,
    PeopleChanged,
    PeopleLoaded,
    Recorded,
)
from engine.contracts.people import Person

#: What stands for a missing value or file where a person reads a difference.
NOTHING = "nothing"
#: Of a file's hash this much is shown.
_SHORT = 12


class Difference(msgspec.Struct, frozen=True):
    """One key that is not as the journal says: texts, "" where there is nothing."""

    key: str
    before: str
    after: str

    def text(self) -> str:
        """The difference in one line."""
        return f"{self.key}: {self.before or NOTHING} -> {self.after or NOTHING}"


class Known(msgspec.Struct, frozen=True):
    """What must be in force: `loaded` is False while the journal has never said.

    `strays` are files that a recorded change found other than the journal said: what was expected
    by path. `sha256` is of the document that was loaded last; `as_loaded` until something changes.
    """

    loaded: bool = False
    sha256: str = ""
    values: dict[str, str] = {}
    files: dict[str, str] = {}
    strays: dict[str, str] = {}
    as_loaded: bool = False

    def with_change(
        self,
        effects: Mapping[str, str],
        files_before: Mapping[str, str],
        files_after: Mapping[str, str],
    ) -> Known:
        """After a recorded change; a value of "" is one that is gone."""
        if not self.loaded:
            return self
        found = {
            path: self.files.get(path, "")
            for path, sha256 in files_before.items()
            if self.files.get(path, "") != sha256
        }
        values = {**self.values, **effects}
        return Known(
            loaded=True,
            sha256=self.sha256,
            values={key: value for key, value in values.items() if value or key not in effects},
            files={**self.files, **files_after},
            strays={**found, **self.strays},
        )

    def differences(
        self, values: Mapping[str, str], files: Mapping[str, str]
    ) -> tuple[Difference, ...]:
        """Every key and file that is found other than it must be, sorted; none while not loaded."""
        if not self.loaded:
            return ()
        return (
            *_differing(self.values, values),
            *(
                Difference(row.key, row.before[:_SHORT], row.after[:_SHORT])
                for row in _differing({**self.files, **self.strays}, files)
            ),
        )


class ChangeFold:
    """Config and roster as the journal knows them."""

    def __init__(self) -> None:
        self.config = Known()
        self.people = Known()

    def apply(self, recorded: Recorded) -> None:
        """Fold one event; those of other subjects change nothing."""
        match recorded.event:
            case ConfigLoaded() as found:
                self.config = _loaded(found.sha256, found.values, found.files)
            case ConfigChanged() as changed:
                self.config = self.config.with_change(
                    changed.effects,
                    {changed.file: changed.before_sha256},
                    {changed.file: changed.after_sha256},
                )
            case PeopleLoaded() as found:
                self.people = _loaded(found.sha256, found.people, found.files)
            case PeopleChanged() as changed:
                self.people = self.people.with_change(
                    {changed.person: changed.after}, changed.files_before, changed.files_after
                )


def _loaded(sha256: str, values: dict[str, str], files: dict[str, str]) -> Known:
    return Known(loaded=True, sha256=sha256, values=values, files=files, as_loaded=True)


def person_text(person: Person) -> str:
    """A line of the roster as one text, the same whenever the line is."""
    uid = "any uid" if person.uid is None else f"uid {person.uid}"
    demo = ", demo" if person.demo else ""
    return (
        f"{person.role.value} {person.principal} {person.fingerprint}, {uid}, {person.name}{demo}"
    )


def _differing(before: Mapping[str, str], after: Mapping[str, str]) -> list[Difference]:
    return [
        Difference(key, before.get(key, ""), after.get(key, ""))
        for key in sorted({*before, *after})
        if before.get(key, "") != after.get(key, "")
    ]
