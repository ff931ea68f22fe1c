"""The journal: the append-only record of truth, and the only way into it.

`append` returns after the lines are on the disk (I1), never before. Several callers share one
fdatasync. On opening, the whole chain is walked; a torn last line is moved aside and reported,
anything else that does not fit is an IntegrityError naming file and line. One process at a time:
the lock is the kernel's, so it ends with its holder.

All methods belong to one event loop's thread; the writing itself runs in `commit.Committer`.
"""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec

from engine.contracts.errors import InputError, WorkspaceError
from engine.contracts.event import (
    AnyEvent,
    JournalRepaired,
    Recorded,
    SegmentOpened,
    kind_of,
)
from engine.contracts.people import Actor, automaton
from engine.journal.chain import MAX_LINE, ZERO_HASH, Link, decode_line, encode_line, line_hash
from engine.journal.commit import Committer, JournalFailed, System, Work, best_system
from engine.journal.segments import (
    RawReader,
    Segment,
    Verified,
    open_segment,
    read_lines,
    repair_tail,
    segment_name,
    sync_folder,
    verify_folder,
)
from engine.plain_file import read_plain

__all__ = ["Journal", "JournalFailed", "OpenResult", "Subscriber"]

#: Called on the event loop with each durable group, in order: the event and its exact line.
Subscriber = Callable[[list[tuple[Recorded, bytes]]], None]

_JOURNAL = automaton("journal")


class OpenResult(msgspec.Struct, frozen=True):
    """The open journal, and the repair that the host has to journal, if there was one."""

    journal: Journal
    repaired: JournalRepaired | None


class Journal:
    """The open journal of one workspace. Made by `Journal.open`."""

    @classmethod
    def open(
        cls,
        folder: Path,
        *,
        commit_interval_ms: int,
        segment_lines: int,
        clock_us: Callable[[], int],
        system: System | None = None,
    ) -> OpenResult:
        """Lock, verify, repair and open the journal in `folder`, which is made when missing.

        `clock_us` is the wall clock, µs UTC. Raises WorkspaceError naming the pid that has the
        journal open, IntegrityError naming file and line of a break.
        """
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise WorkspaceError(
                what=f"the journal's folder cannot be made ({error.strerror})",
                where=str(folder),
                todo="move away what stands there",
            ) from error
        lock = _lock(folder)
        try:
            verified = verify_folder(folder)
            repaired = repair_tail(folder, verified)
            verified = _drop_empty_segment(folder, verified)
            journal = cls(folder, lock, verified, segment_lines, clock_us)
            journal._start(commit_interval_ms, system or best_system())
        except BaseException:
            os.close(lock)
            raise
        return OpenResult(journal, repaired)

    def __init__(
        self,
        folder: Path,
        lock: int,
        verified: Verified,
        segment_lines: int,
        clock_us: Callable[[], int],
    ) -> None:
        self._folder = folder
        self._lock = lock
        self._segment_lines = segment_lines
        self._clock_us = clock_us
        self._subscribers: list[Subscriber] = []
        self._failed: JournalFailed | None = None
        self._closed = False
        self._durable = verified.link
        self._written = verified.link
        self._segments = list(verified.segments) or [Segment(folder / segment_name(1), 0, 0)]
        self._segment_hash = hashlib.sha256()
        if verified.segments:
            with open_segment(self._segments[-1].path) as file:
                self._segment_hash = hashlib.file_digest(file, "sha256")

    def _start(self, commit_interval_ms: int, system: System) -> None:
        self._committer = Committer(
            self._segments[-1].path,
            interval_s=commit_interval_ms / 1000,
            system=system,
            deliver=self._delivered,
        )

    @property
    def size(self) -> int:
        """Number of durable events."""
        return self._durable.size

    @property
    def head(self) -> str:
        """Hash of the last durable line (hex); 64 zeros of an empty journal."""
        return self._durable.head

    @property
    def last_ts_us(self) -> int:
        """Time of the last durable event, µs UTC; 0 of an empty journal."""
        return self._durable.ts_us

    @property
    def segments(self) -> tuple[Path, ...]:
        """The files with durable events, in order. The last one is still being written."""
        return tuple(
            segment.path for segment in self._segments if segment.first_seq < max(self.size, 1)
        )

    @property
    def failed(self) -> JournalFailed | None:
        """Why nothing can be written any more, or None."""
        return self._failed

    def subscribe(self, callback: Subscriber) -> None:
        """Call `callback` on the event loop with each durable group, before `append` returns."""
        self._subscribers.append(callback)

    async def append(self, actor: Actor, events: Sequence[AnyEvent]) -> list[Recorded]:
        """Record the events in order and return them once they are durable.

        All or nothing for a crash between lines cannot be promised (a later line may be torn), but
        nothing is acknowledged before all of it is safe. Raises JournalFailed when the disk said
        no; InputError for text that cannot be written (then nothing was).
        """
        if self._failed is not None:
            raise self._failed
        if self._closed:
            raise JournalFailed(what="the journal is closed", where=str(self._folder))
        if not events:
            return []
        loop = asyncio.get_running_loop()
        work = self._encode(actor, events, loop)
        self._committer.submit(work)
        return await work.answer

    def read(self, from_seq: int = 0, until: int | None = None) -> Iterator[Recorded]:
        """Decode durable events with `from_seq <= seq < until` one by one (default: all)."""
        for seq, line in enumerate(self.lines(from_seq, until), start=from_seq):
            recorded, _ = decode_line(line, f"journal, event {seq}")
            yield recorded

    def lines(self, from_seq: int = 0, until: int | None = None) -> Iterator[bytes]:
        """Yield the raw durable lines with `from_seq <= seq < until`, newlines included."""
        end = self.size if until is None else min(until, self.size)
        return read_lines(tuple(self._segments), from_seq, end)

    def raw(self) -> RawReader:
        """The durable bytes from the first line on, as one stream, and what follows them."""
        return RawReader(tuple(self._segments))

    def head_at(self, size: int) -> str:
        """Return the head when the journal held `size` events. Raises InputError beyond the end."""
        if size == self._durable.size:
            return self._durable.head
        if size == 0:
            return ZERO_HASH
        if not 0 < size < self._durable.size:
            raise InputError(what=f"the journal has {self.size} events", where=f"head of {size}")
        return line_hash(next(self.lines(size - 1, size)))

    def close(self) -> None:
        """Commit what waits and let the next process in. Harmless when repeated."""
        if self._closed:
            return
        self._closed = True
        self._committer.close()
        os.close(self._lock)

    def _encode(
        self, actor: Actor, events: Sequence[AnyEvent], loop: asyncio.AbstractEventLoop
    ) -> Work:
        """Chain the events on; the journal's own state moves only when all could be encoded."""
        ts_us = max(self._clock_us(), self._written.ts_us)
        size, head = self._written.size, self._written.head
        segments = [self._segments[-1]]
        digest = self._segment_hash.copy()
        pending: list[bytes] = []
        chunks: list[tuple[Path, bytes]] = []
        lines: list[tuple[Recorded, bytes]] = []
        records: list[Recorded] = []
        count = segments[-1].lines

        def add(by: Actor, event: AnyEvent) -> Recorded:
            nonlocal size, head, count
            line = encode_line(size, head, ts_us, by, event)
            if len(line) >= MAX_LINE:
                raise InputError(what="an event too large for the journal", where=kind_of(event))
            recorded = Recorded(seq=size, ts_us=ts_us, actor=by, event=event)
            lines.append((recorded, line))
            pending.append(line)
            size, head, count = size + 1, line_hash(line), count + 1
            return recorded

        def end_chunk() -> None:
            data = b"".join(pending)
            pending.clear()
            digest.update(data)
            last = segments[-1]
            segments[-1] = Segment(last.path, last.first_seq, count)
            if data:
                chunks.append((last.path, data))

        for event in events:
            if count >= self._segment_lines:
                end_chunk()
                opening = self._opening(segments, digest.hexdigest(), size)
                digest, count = hashlib.sha256(), 0
                add(_JOURNAL, opening)
            records.append(add(actor, event))
        end_chunk()
        self._segments[-1:] = segments
        self._segment_hash = digest
        self._written = Link(size, head, ts_us)
        return Work(tuple(chunks), lines, records, self._written, loop, loop.create_future())

    def _opening(self, segments: list[Segment], digest: str, size: int) -> SegmentOpened:
        """Begin a new file: append it to `segments` and return its first event."""
        last = segments[-1].path
        path = self._folder / segment_name(int(last.stem) + 1)
        segments.append(Segment(path, size, 0))
        return SegmentOpened(file=path.name, previous_file=last.name, previous_sha256=digest)

    def _delivered(self, group: list[Work], failed: JournalFailed | None) -> None:
        """Answer a group on the event loop; who waits runs after this, with the state in place."""
        if failed is not None:
            self._failed = failed
            for work in group:
                if not work.answer.done():
                    work.answer.set_exception(failed)
            return
        self._durable = group[-1].after
        for work in group:
            if not work.answer.done():
                work.answer.set_result(work.records)
        batch = [pair for work in group for pair in work.lines]
        for callback in self._subscribers:
            callback(batch)


def _lock(folder: Path) -> int:
    """Take the folder's lock for this process; its file holds our pid for whoever is refused.

    The lock is on the folder itself: a file in it can be removed, and be locked anew by another.
    """
    path = folder / "lock"
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        told = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            os.ftruncate(told, 0)
            os.pwrite(told, f"{os.getpid()}\n".encode("ascii"), 0)
        finally:
            os.close(told)
    except BlockingIOError as error:
        os.close(descriptor)
        raise WorkspaceError(
            what=f"the journal is open in another process (pid {_holder(path)})",
            where=str(folder),
            todo="use that engine, or stop it first",
            code="JOURNAL_LOCKED",
        ) from error
    except OSError as error:
        os.close(descriptor)
        raise WorkspaceError(
            what=f"the journal's lock cannot be written ({error.strerror})",
            where=str(path),
            todo="it must be a plain file of yours; move away what lies there",
        ) from error
    return descriptor


def _holder(path: Path) -> str:
    """The pid that whoever has the lock has written down."""
    try:
        return read_plain(path)[:32].decode("ascii", "replace").strip() or "unknown"
    except OSError:
        return "unknown"


def _drop_empty_segment(folder: Path, verified: Verified) -> Verified:
    """Forget a later file without a line: a crash came between its making and its first write."""
    last = verified.segments[-1] if verified.segments else None
    if last is None or last.lines or last.first_seq == 0:
        return verified
    last.path.unlink()
    sync_folder(folder)
    return Verified(verified.segments[:-1], verified.link, b"")
