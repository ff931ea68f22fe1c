"""The journal's folder: its numbered files, how they follow each other, and reading them.

Files are `000001.jsonl`, `000002.jsonl`, ... without a hole. Every file but the first begins with
`journal.segment`, which names the file before it and that file's sha256. Only the last file may end
in a torn line: bytes of a write that never came to its end, so nobody was told they are safe.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import re
import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from io import BufferedReader
from pathlib import Path
from typing import BinaryIO, Self

import msgspec

from engine.contracts.canonical import sha256_hex
from engine.contracts.errors import IntegrityError, WorkspaceError
from engine.contracts.event import JournalRepaired, SegmentOpened
from engine.journal.chain import MAX_LINE, Link, broken, decode_line, walk

_NAME = re.compile(r"[0-9]{6}\.jsonl")
#: Threads that hash closed files: the hash lets go of the interpreter.
_HASHERS = 2
_LINE_AT_END = 1 << 20


class Segment(msgspec.Struct, frozen=True):
    """One file: `first_seq` is the sequence of its first line, `lines` how many it has."""

    path: Path
    first_seq: int
    lines: int


class Verified(msgspec.Struct, frozen=True):
    """What a whole folder holds: its files, the end of the chain, the torn bytes after it."""

    segments: tuple[Segment, ...]
    link: Link
    tail: bytes


def segment_name(number: int) -> str:
    """File name of the `number`-th segment, counted from 1."""
    return f"{number:06d}.jsonl"


def segment_paths(folder: Path) -> tuple[Path, ...]:
    """The folder's segments in order. Raises IntegrityError naming a missing one."""
    try:
        found = sorted(path for path in folder.iterdir() if _NAME.fullmatch(path.name))
    except OSError as error:
        raise WorkspaceError(
            what=f"the journal cannot be read ({error.strerror})", where=str(folder)
        ) from error
    for number, path in enumerate(found, start=1):
        if path.name != segment_name(number):
            raise IntegrityError(
                what="the journal file is missing",
                where=str(folder / segment_name(number)),
                todo="restore it from a copy",
            )
    return tuple(found)


@contextmanager
def open_segment(path: Path) -> Iterator[BufferedReader]:
    """Open one file of the journal for reading: a plain file, not a link, a fifo or a device.

    Raises IntegrityError for anything else: it would keep us waiting, or never end.
    """
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        descriptor = os.open(path, flags)
    except OSError as error:
        broken(str(path), f"the journal file cannot be read ({error.strerror})")
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        broken(str(path), "the journal file is not a plain file")
    with os.fdopen(descriptor, "rb") as file:
        yield file


def lines_in(file: BinaryIO) -> Iterator[bytes]:
    """The lines of an open file; one that is longer than any of ours comes in parts of no end."""
    return iter(partial(file.readline, MAX_LINE), b"")


def verify_folder(folder: Path) -> Verified:
    """Verify all files: closed ones by their sha256, the last by its chain.

    The first event of each later file names the sha256 of the file before it, which was written
    line by line along the chain; so bytes that have this sha256 are that chain. Whenever one has
    not, every line of every file is walked. Raises IntegrityError naming file and line.
    """
    paths = segment_paths(folder)
    quick = _by_sha256(paths) if len(paths) > 1 else None
    if quick is not None:
        return quick
    walked = walk_files(paths)
    for before, path in itertools.pairwise(one.path for one in walked.segments if one.lines):
        _check_named(path, before)
    return walked


def walk_files(paths: tuple[Path, ...]) -> Verified:
    """Walk the raw chain of all files. Raises IntegrityError naming file and line."""
    segments: list[Segment] = []
    link = Link()
    tail = b""
    before = ""
    for path in paths:
        with open_segment(path) as file:
            walked = walk(lines_in(file), link, str(path), before)
        if walked.first_line and segments:
            check_opening(walked.first_line, path, paths[len(segments) - 1].name)
        count = walked.link.size - link.size
        tail = walked.tail
        if tail:
            check_tail(tail, walked.link, f"{path}:{count + 1}", last_file=path is paths[-1])
        segments.append(Segment(path, link.size, count))
        link = walked.link
        before = f"{path}:{count}"
    return Verified(tuple(segments), link, tail)


def _by_sha256(paths: tuple[Path, ...]) -> Verified | None:
    """What the folder holds if every closed file has the sha256 that is named; else None."""
    try:
        starts = [Link(), *(_start(before, path) for before, path in itertools.pairwise(paths))]
        with ThreadPoolExecutor(max_workers=_HASHERS) as workers:
            found = list(workers.map(_sha256_of, paths[:-1]))
        if [opening.previous_sha256 for opening in map(_opening_of, paths[1:])] != found:
            return None
        with open_segment(paths[-1]) as file:
            walked = walk(lines_in(file), starts[-1], str(paths[-1]))
        if walked.tail:
            check_tail(walked.tail, walked.link, str(paths[-1]), last_file=True)
    except IntegrityError:
        return None
    ends = [*starts[1:], walked.link]
    segments = (
        Segment(path, start.size, end.size - start.size)
        for path, start, end in zip(paths, starts, ends, strict=True)
    )
    return Verified(tuple(segments), walked.link, walked.tail)


def _start(before: Path, path: Path) -> Link:
    """Where a later file begins: behind the last line of the file before it."""
    last = _last_line(before)
    recorded, _ = decode_line(last, str(before))
    opening, prev = decode_line(_first_line(path), f"{path}:1")
    if prev != sha256_hex(last) or opening.seq != recorded.seq + 1:
        broken(f"{path}:1", "it does not follow the file before")
    check_opening(_first_line(path), path, before.name)
    return Link(opening.seq, prev, recorded.ts_us)


def _opening_of(path: Path) -> SegmentOpened:
    event = decode_line(_first_line(path), f"{path}:1")[0].event
    if not isinstance(event, SegmentOpened):
        broken(f"{path}:1", "the file does not begin with journal.segment")
    return event


def _first_line(path: Path) -> bytes:
    with open_segment(path) as file:
        return file.readline(_LINE_AT_END)


def _last_line(path: Path) -> bytes:
    """The last line; whoever has a longer one than usual is walked through."""
    with open_segment(path) as file:
        file.seek(max(0, os.fstat(file.fileno()).st_size - _LINE_AT_END))
        lines = file.read().splitlines(keepends=True)
    if len(lines) < 2 or not lines[-1].endswith(b"\n"):
        broken(str(path), "no whole line at the end")
    return lines[-1]


def _sha256_of(path: Path) -> str:
    with open_segment(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _check_named(path: Path, previous: Path) -> None:
    """Refuse a file that names another sha256 than the file before it has."""
    if _opening_of(path).previous_sha256 != _sha256_of(previous):
        broken(f"{path}:1", f"{previous.name} has another sha256")


def check_opening(line: bytes, path: Path, previous: str) -> SegmentOpened:
    """Return the first event of a later file, which must name itself and the file before."""
    recorded, _ = decode_line(line, f"{path}:1")
    event = recorded.event
    if not isinstance(event, SegmentOpened):
        broken(f"{path}:1", "the file does not begin with journal.segment")
    if (event.file, event.previous_file) != (path.name, previous):
        broken(f"{path}:1", f"the file calls itself {event.file} after {event.previous_file}")
    return event


def check_tail(tail: bytes, link: Link, where: str, *, last_file: bool) -> None:
    """Refuse bytes after the last newline that a torn write cannot explain."""
    if not last_file:
        broken(where, "the line has no end, and it is not the last file")
    if _continues(tail[:-1] + b"\n", link):
        broken(where, "the newline of the last line was changed")


def repair_tail(folder: Path, verified: Verified) -> JournalRepaired | None:
    """Move the torn bytes of the last file aside, durably, and cut the file back to its last line.

    The bytes are kept (`torn-*.bin`): they are evidence of the crash, though nobody relied on them.
    """
    if not verified.tail:
        return None
    path = verified.segments[-1].path
    keep = path.stat().st_size - len(verified.tail)
    aside = next(
        candidate
        for attempt in itertools.count(1)
        if not (candidate := folder / f"torn-{path.stem}-{keep}-{attempt}.bin").exists()
    )
    _write_durably(aside, verified.tail)
    sync_folder(folder)
    descriptor = os.open(path, os.O_WRONLY)
    try:
        os.ftruncate(descriptor, keep)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    return JournalRepaired(
        file=path.name,
        bytes_removed=len(verified.tail),
        removed_sha256=sha256_hex(verified.tail),
        saved_as=aside.name,
    )


def read_lines(segments: tuple[Segment, ...], from_seq: int, until: int) -> Iterator[bytes]:
    """Yield the raw lines with `from_seq <= seq < until`, with their newlines."""
    for number, segment in enumerate(segments):
        following = segments[number + 1].first_seq if number + 1 < len(segments) else until
        end = min(following, until)
        start = max(from_seq, segment.first_seq)
        if start >= end:
            continue
        with open_segment(segment.path) as file:
            yield from itertools.islice(
                lines_in(file), start - segment.first_seq, end - segment.first_seq
            )


class RawReader:
    """The bytes of all files one after the other, as one stream."""

    def __init__(self, segments: tuple[Segment, ...]) -> None:
        self._left = iter(segments)
        self._files = ExitStack()
        self._file: BufferedReader | None = None

    def __enter__(self) -> Self:
        """Nothing is open before the first read."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file that is being read."""
        self._files.close()

    def read(self, count: int) -> bytes:
        """The next `count` bytes; fewer only at the end of the last file."""
        parts: list[bytes] = []
        while count:
            if self._file is None:
                segment = next(self._left, None)
                if segment is None:
                    break
                self._files.close()
                self._file = self._files.enter_context(open_segment(segment.path))
            part = self._file.read(count)
            if len(part) < count:
                self._file = None
            parts.append(part)
            count -= len(part)
        return b"".join(parts)


def sync_folder(folder: Path) -> None:
    """Make created, renamed and removed names in the folder durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _continues(line: bytes, link: Link) -> bool:
    try:
        return walk([line], link, "").link.size == link.size + 1
    except IntegrityError:
        return False


def _write_durably(path: Path, content: bytes) -> None:
    with path.open("xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
