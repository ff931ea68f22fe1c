"""The thread that makes lines durable: everything that waits, in one write and one fdatasync.

Callers hand over encoded lines and are told after the fdatasync, all together (group commit). The
first error is the last: bytes after the last durable one are cut off as well as the disk allows,
everybody waiting is told, and nothing is ever written again by this journal. What could not be cut
off is found, and judged, at the next open.
"""

from __future__ import annotations

import asyncio
import contextlib
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


class JournalFailed(PeakError):  # noqa: N818  (as its siblings in contracts.errors)
    """The journal cannot be written any more: nothing may be sent or promised from here on."""

    exit_code = 1
    default_code = "JOURNAL_FAILED"


class System:
    """The three calls that decide durability, as one seam: a test may count them."""

    def write(self, descriptor: int, data: bytes | memoryview) -> int:
        """Write some of the bytes, return how many."""
        return os.write(descriptor, data)

    def sync(self, descriptor: int) -> None:
        """Make a file's bytes and length durable."""
        os.fdatasync(descriptor)

    def sync_folder(self, folder: Path) -> None:
        """Make the names in a folder durable."""
        sync_folder(folder)


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
        """Wait for work, then for the interval, and take all of it; empty when closing."""
        group: list[Work] = []
        work = None if self._ended else self._waiting.get()
        while work is not None:
            group.append(work)
            rest = not_before - time.monotonic()
            if rest <= 0 and self._waiting.empty():
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
        left = memoryview(data)
        while left:
            left = left[self._system.write(self._descriptor, left) :]
        self._system.sync(self._descriptor)
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
            todo="free space or repair the disk, then restart the engine",
        )
        # Best effort: on a dying disk this fails too, and the next open repairs what is left.
        with contextlib.suppress(OSError):
            os.ftruncate(self._descriptor, self._durable_bytes)
            os.fdatasync(self._descriptor)


def _open_segment(path: Path) -> int:
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
