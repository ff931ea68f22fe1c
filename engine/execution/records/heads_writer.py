"""Signed heads of the journal: at the moments that matter, every so many events, every so often.

The moments: a session's charter, its go or no-go, and each of its moves, the end among them; what
takes away, so that cutting the end off does not give it back (a kill, a void approval, a tightened
limit, a person revoked); the engine's start and stop besides. A head is the journal's size and
hash, signed with the log key. The reviewer's terminal keeps its own copy, which is what makes a
rewritten history visible.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path

from engine.contracts.documents import Namespace
from engine.contracts.event import (
    GoDecided,
    GoVoided,
    KillLatched,
    LimitTightened,
    PeopleChanged,
    Recorded,
    SessionChartered,
    SessionMoved,
)
from engine.execution.clock import monotonic_us
from engine.journal.heads import SignedHead, write_head
from engine.journal.writer import Journal
from engine.signatures.sshsig import sign_with_key_file

#: Events that a head is signed for at once.
MOMENTS = (
    SessionChartered,
    GoDecided,
    GoVoided,
    SessionMoved,
    KillLatched,
    LimitTightened,
    PeopleChanged,
)

_TICK_SECONDS = 1.0
#: What the moment is about goes first: a kill's latch must be durable within milliseconds, and a
#: head is three more fsyncs on the same disk.
_AFTER_SECONDS = 0.02
_US_PER_SECOND = 1_000_000


class HeadsWriter:
    """Writes heads of one journal."""

    def __init__(
        self,
        journal: Journal,
        folder: Path,
        key: Path,
        origin: str,
        every_events: int,
        every_seconds: int,
        now_us: Callable[[], int] = monotonic_us,
    ) -> None:
        self._journal = journal
        self._folder = folder
        self._key = key
        self._origin = origin
        self._every_events = every_events
        self._every_us = every_seconds * _US_PER_SECOND
        self._now_us = now_us
        self._last_size = 0
        self._last_us = 0
        self.latest: SignedHead | None = None
        self._moment = asyncio.Event()

    def heard(self, recorded: Recorded) -> None:
        """Sign soon when this is one of the moments (a listener)."""
        if isinstance(recorded.event, MOMENTS):
            self._moment.set()

    def write(self) -> SignedHead:
        """Sign and store the head as it is now. Raises OSError, WorkspaceError."""
        size, head = self._journal.size, self._journal.head
        if self.latest is not None and self.latest.head.size == size:
            return self.latest
        self.latest = write_head(
            self._folder,
            origin=self._origin,
            size=size,
            head=head,
            sign=lambda text: sign_with_key_file(self._key, text, Namespace.HEAD),
        )
        self._last_size = size
        self._last_us = self._now_us()
        return self.latest

    async def run(self) -> None:
        """Endless: write a head at a moment, when enough events came or enough time passed."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_TICK_SECONDS):
                    await self._moment.wait()
            grown = self._journal.size - self._last_size
            due = (
                self._moment.is_set()
                or grown >= self._every_events
                or (grown > 0 and self._now_us() - self._last_us >= self._every_us)
            )
            if self._moment.is_set():
                await asyncio.sleep(_AFTER_SECONDS)
            self._moment.clear()
            if due:
                self.write()
