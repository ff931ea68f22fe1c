"""Runs `peakctl` as it is, and ends it by SIGKILL at one journal append.

    python -m tests.faults.appends.launcher TRACE POINT:N engine --workspace=...

The engine is the real one, started by the supervisor's own way; only the two seams under the
journal are watched: `Journal.append` is counted, and the `System` of its committer is where the
process sends itself the signal. N counts the appends of this process from 1; 0 never comes. Points:

* `before`: nothing of append N has reached the file (what was queued before it has);
* `written`: its lines are written, and fdatasync was not called;
* `synced`: they are durable, and nobody has been told.

Each append leaves a line `N kind kind ...` in TRACE before it is queued, the kill a line `killed`.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import NoReturn

from engine.contracts.event import AnyEvent, Recorded, kind_of
from engine.contracts.people import Actor
from engine.journal.commit import System
from engine.journal.writer import Journal
from peakctl.cli import main

POINTS = ("before", "written", "synced")


class _Fuse:
    """Counts appends and their lines, and knows at which line the process ends."""

    def __init__(self, trace: Path, point: str, number: int) -> None:
        self.point = point
        self._trace = os.open(trace, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self._number = number
        self._appends = 0
        self._lines = 0
        self._written = 0
        #: lines of this process before append N, and with it; None until it is queued
        self._span: tuple[int, int] | None = None
        self._burning = False

    def appended(self, events: Sequence[AnyEvent]) -> None:
        """An append is about to be queued."""
        self._appends += 1
        kinds = " ".join(kind_of(event) for event in events)
        os.write(self._trace, f"{self._appends} {kinds}\n".encode("ascii"))
        if self._appends == self._number:
            self._span = (self._lines, self._lines + len(events))
        self._lines += len(events)

    def write(self, descriptor: int, data: bytes | memoryview) -> int:
        """Write, unless the end comes with these bytes."""
        lines = bytes(data).splitlines(keepends=True)
        until = self._written + len(lines)
        if self._span is not None and self._written <= self._span[0] < until:
            if self.point == "before":
                os.write(descriptor, b"".join(lines[: self._span[0] - self._written]))
                self.end()
            self._burning = True
        count = os.write(descriptor, data)
        assert count == len(data), "a short write: lines cannot be counted"
        self._written = until
        assert self._written <= self._lines, "a line that no append has brought"
        if self._burning and self.point == "written":
            self.end()
        return count

    def synced(self) -> None:
        """What was written is durable."""
        if self._burning:
            self.end()

    def end(self) -> NoReturn:
        """End this process between two instructions."""
        os.write(self._trace, b"killed\n")
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError("SIGKILL was survived")


class _KillingSystem(System):
    """The three calls that decide durability, with the fuse beside them."""

    def __init__(self, fuse: _Fuse) -> None:
        self._fuse = fuse

    def write(self, descriptor: int, data: bytes | memoryview) -> int:
        return self._fuse.write(descriptor, data)

    def sync(self, descriptor: int) -> None:
        super().sync(descriptor)
        self._fuse.synced()


def _watch(fuse: _Fuse) -> None:
    """Put the fuse under every journal that this process opens."""
    append, open_journal = Journal.append, Journal.open

    async def counted(journal: Journal, actor: Actor, events: Sequence[AnyEvent]) -> list[Recorded]:
        if events:
            fuse.appended(events)
        return await append(journal, actor, events)

    Journal.append = counted  # type: ignore[method-assign, assignment]
    Journal.open = partial(open_journal, system=_KillingSystem(fuse))  # type: ignore[method-assign]


if __name__ == "__main__":
    _trace, _point, *_rest = sys.argv[1:]
    _name, _, _count = _point.partition(":")
    assert _name in POINTS, _name
    _watch(_Fuse(Path(_trace), _name, int(_count)))
    sys.argv[1:] = _rest
    sys.exit(main())
