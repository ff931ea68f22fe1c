"""Verification of a journal folder by reading alone: no engine, no lock, no database.

Stricter than opening: every line must be the canonical JSON of its own content (no float, no
duplicate key, no other spelling), every later file must name the sha256 of the file before, and
every head that is handed in must be on the way. A torn tail is reported, not condemned: an engine
may be writing at this moment, and nobody was told that those bytes are safe.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from io import BufferedReader
from pathlib import Path

import msgspec

from engine.contracts.errors import IntegrityError
from engine.journal.chain import ZERO_HASH, Link, check_form, line_hash, walk
from engine.journal.heads import Head
from engine.journal.segments import (
    check_opening,
    check_tail,
    lines_in,
    open_segment,
    segment_paths,
)


class Finding(msgspec.Struct, frozen=True):
    """One thing that is wrong: `where` is `file:line` or a head."""

    where: str
    what: str


class JournalReport(msgspec.Struct, frozen=True):
    """What was found. `size` events up to `head` are good; with findings, the rest is not judged.

    `torn_bytes` follow the last whole line; `heads_checked` heads were found on the chain.
    """

    ok: bool
    size: int
    head: str
    files: int
    torn_bytes: int
    heads_checked: int
    findings: tuple[Finding, ...]


def verify_journal(folder: Path, heads: Sequence[Head] = ()) -> JournalReport:
    """Verify every byte of the folder's journal, and that it contains all `heads`."""
    reading = _Reading(folder, {head.size for head in heads})
    findings: list[Finding] = []
    try:
        reading.read_all()
    except IntegrityError as error:
        findings.append(Finding(error.where, error.what))
    findings += _missing_heads(heads, reading)
    return JournalReport(
        ok=not findings,
        size=reading.link.size,
        head=reading.link.head,
        files=reading.files,
        torn_bytes=reading.torn_bytes,
        heads_checked=len(heads) if not findings else 0,
        findings=tuple(findings),
    )


class _Reading:
    """One pass over all files: where it stands, and the hashes at the sizes of interest."""

    def __init__(self, folder: Path, sizes: set[int]) -> None:
        self.folder = folder
        self.link = Link()
        self.files = 0
        self.torn_bytes = 0
        self.hashes: dict[int, str] = {0: ZERO_HASH}
        self._sizes = sizes

    def read_all(self) -> None:
        previous_name = previous_sha256 = before = ""
        paths = segment_paths(self.folder)
        for path in paths:
            digest = hashlib.sha256()
            with open_segment(path) as file:
                walked = walk(self._checked(file, path, digest), self.link, str(path), before)
            if previous_name and walked.first_line:
                opening = check_opening(walked.first_line, path, previous_name)
                if opening.previous_sha256 != previous_sha256:
                    raise IntegrityError(
                        what=f"{previous_name} has another sha256", where=f"{path}:1"
                    )
            count = walked.link.size - self.link.size
            self.torn_bytes = len(walked.tail)
            self.link = walked.link
            if walked.tail:
                place = f"{path}:{count + 1}"
                check_tail(walked.tail, self.link, place, last_file=path is paths[-1])
            self.files += 1
            previous_name, previous_sha256 = path.name, digest.hexdigest()
            before = f"{path}:{count}"

    def _checked(self, lines: BufferedReader, path: Path, digest: hashlib._Hash) -> Iterator[bytes]:
        for number, line in enumerate(lines_in(lines), start=1):
            digest.update(line)
            if line[-1:] == b"\n":
                check_form(line, f"{path}:{number}")
                size = self.link.size + number
                if size in self._sizes:
                    self.hashes[size] = line_hash(line)
            yield line


def _missing_heads(heads: Iterable[Head], reading: _Reading) -> list[Finding]:
    findings: list[Finding] = []
    for head in heads:
        found = reading.hashes.get(head.size)
        where = f"head of {head.size} events"
        if found is None:
            findings.append(Finding(where, f"the journal ends after {reading.link.size} events"))
        elif found != head.hash:
            findings.append(Finding(where, "the journal has another hash there: it was rewritten"))
    return findings
