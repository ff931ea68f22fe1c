"""The thread that makes lines durable: everything that waits, in one write and one fdatasync.

Callers hand over encoded lines and are told after the fdatasync, all together (group commit). The
bound: a group ends with the append that brings it to `GROUP_LINES` lines, or when nothing waits and
`journal.commit_interval_ms` (at most 100) have passed since the last fdatasync. So an event waits
for the fdatasync that runs when it comes, at most the interval, and its own; behind a flood also
for one fdatasync for each ten thousand lines before it.

The first error is the last: bytes after the last durable one are cut off as well as the disk
allows, everybody waiting is told, and nothing is ever written again by this journal. What could not
be cut off is found, and judged, at the next open. A file that was moved away or written to by
somebody else is such an error too, found at the next group, before that is acknowledged.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import queue
import threading
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from engine.contracts.errors import PeakError
from engine.contracts.event import Recorded
from engine.journal.chain import Link
from engine.journal.segments import sync_folder

#: The most lines that one fdatasync makes durable, but for an append that has more by itself.
GROUP_LINES = 10_000

_MOVED = "the file is no longer under its name"
_SHARED = "somebody else wrote to the file"


class JournalFailed(PeakError):  # noqa: N818  (as its siblings in contracts.errors)
    """The journal cannot be written any more: nothing may be sent or promised from here on."""

    exit_code = 1
    default_code = "JOURNAL_FAILED"


class System:
    """The calls that decide durability, as one seam: a test may count them, or let them fail."""

    def append(self, descriptor: int, data: bytes) -> None:
        """Write all of the bytes at the end of the file and return once they are durable."""
        left = memoryview(data)
        while left:
            left = left[self.write(descriptor, left) :]
        self.sync(descriptor)

    def write(self, descriptor: int, data: bytes | memoryview) -> int:
        """Write some of the bytes, return how many."""
        return os.write(descriptor, data)

    def sync(self, descriptor: int) -> None:
        """Make a file's bytes and length durable."""
        os.fdatasync(descriptor)

    def size_in_place(self, descriptor: int, path: Path) -> int:
        """Bytes of the open file; -1 when it is no longer the one under its name."""
        opened = os.fstat(descriptor)
        try:
            named = os.stat(path, follow_symlinks=False)  # noqa: PTH116  (once a group)
        except FileNotFoundError:
            return -1
        same = (opened.st_dev, opened.st_ino) == (named.st_dev, named.st_ino)
        return opened.st_size if same else -1

    def sync_folder(self, folder: Path) -> None:
        """Make the names in a folder durable."""
        sync_folder(folder)


class OneCall(System):
    """Appends durably in one call of the kernel, where it has one: Linux, RWF_DSYNC.

    The same promise as a write and its fdatasync, and about a tenth of a millisecond sooner.
    """

    def append(self, descriptor: int, data: bytes) -> None:
        """As `System.append`; what one call left over, or could not do, is done in two."""
        try:
            done = os.pwritev(descriptor, [data], 0, _DURABLE_APPEND)
        except OSError as error:
            if error.errno not in _NO_SUCH_CALL:
                raise
            done = 0
        if done < len(data):
            super().append(descriptor, data[done:])


#: Without these two flags a kernel, or its Python, has no such call.
_DURABLE_APPEND = getattr(os, "RWF_DSYNC", 0) | getattr(os, "RWF_APPEND", 0)
_NO_SUCH_CALL = frozenset({errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL})


def best_system() -> System:
    """What this machine does it with."""
    return OneCall() if _DURABLE_APPEND and hasattr(os, "pwritev") else System()


class Work(msgspec.Struct, frozen=True, eq=False):
    """One append: its bytes per segment, its lines, what to answer and where the chain then is."""

    chunks: tuple[tuple[Path, bytes], ...]
    lines: list[tuple[Recorded, bytes]]
    records: list[Recorded]
    after: Link
    loop: asyncio.AbstractEventLoop
    answer: asyncio.Future[list[Recorded]]


class Committer:
    """Owns the file descriptor of the last segment and the thread that writes to it.

    `interval_s` is the least time from one fdatasync to the next: a lone append never waits for it,
    a flood is gathered by it. `deliver` is called on the event loop with each durable group or with
    the group that failed and why.
    """

    def __init__(
        self,
        path: Path,
        *,
        interval_s: float,
        system: System,
        deliver: Callable[[list[Work], JournalFailed | None], None],
    ) -> None:
        self._system = system
        self._interval_s = interval_s
        self._deliver = deliver
        self._path = path
        self._descriptor = _open_segment(path)
        self._durable_bytes = os.fstat(self._descriptor).st_size
        system.sync_folder(path.parent)
        #: What waits, in order; None is the end.
        self._waiting: queue.SimpleQueue[Work | None] = queue.SimpleQueue()
        self._ended = False
        self._failed: JournalFailed | None = None
        self._thread = threading.Thread(target=self._run, name="journal", daemon=True)
        self._thread.start()

    def submit(self, work: Work) -> None:
        """Queue one append; the answer comes through `deliver`."""
        self._waiting.put(work)

    def close(self) -> None:
        """Commit what waits, stop the thread, close the file. Harmless when repeated."""
        self._waiting.put(None)
        self._thread.join()
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _run(self) -> None:
        committed = float("-inf")
        while group := self._next_group(committed + self._interval_s):
            if self._failed is None:
                try:
                    self._commit(group)
                except OSError as error:
                    self._fail(error)
            committed = time.monotonic()
            # A loop that is closed has nobody left who waits for the answer.
            with contextlib.suppress(RuntimeError):
                group[0].loop.call_soon_threadsafe(self._deliver, group, self._failed)

    def _next_group(self, not_before: float) -> list[Work]:
        """Wait for work, then for the interval, and take what waits; empty when closing."""
        group: list[Work] = []
        lines = 0
        work = None if self._ended else self._waiting.get()
        while work is not None:
            group.append(work)
            lines += len(work.lines)
            rest = not_before - time.monotonic()
            if lines >= GROUP_LINES or (rest <= 0 and self._waiting.empty()):
                return group
            try:
                work = self._waiting.get(timeout=max(rest, 0))
            except queue.Empty:
                return group
        self._ended = True
        return group

    def _commit(self, group: list[Work]) -> None:
        waiting: list[bytes] = []
        for work in group:
            for path, data in work.chunks:
                if path != self._path:
                    self._flush(waiting)
                    self._begin(path)
                waiting.append(data)
        self._flush(waiting)

    def _flush(self, waiting: list[bytes]) -> None:
        """Write the joined bytes and wait until they are on the disk."""
        if not waiting:
            return
        data = b"".join(waiting)
        waiting.clear()
        self._system.append(self._descriptor, data)
        # What is durable in a file that nobody finds again is not kept.
        size = self._system.size_in_place(self._descriptor, self._path)
        if size != self._durable_bytes + len(data):
            raise OSError(errno.ESTALE, _MOVED if size < 0 else _SHARED)
        self._durable_bytes += len(data)

    def _begin(self, path: Path) -> None:
        """Go on in a new segment; its name is durable before its first line is acknowledged."""
        descriptor = _open_segment(path)
        os.close(self._descriptor)
        self._path, self._descriptor, self._durable_bytes = path, descriptor, 0
        self._system.sync_folder(path.parent)

    def _fail(self, error: OSError) -> None:
        self._failed = JournalFailed(
            what=f"cannot be written ({error.strerror}): nothing is accepted any more",
            where=str(self._path),
            todo=(
                "put the file back as it was, then restart the engine"
                if error.errno == errno.ESTALE
                else "free space or repair the disk, then restart the engine"
            ),
        )
        if error.errno == errno.ESTALE:
            return  # somebody else's doing: it stays as evidence
        # Best effort: on a dying disk this fails too, and the next open repairs what is left.
        with contextlib.suppress(OSError):
            os.ftruncate(self._descriptor, self._durable_bytes)
            os.fdatasync(self._descriptor)


def _open_segment(path: Path) -> int:
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
