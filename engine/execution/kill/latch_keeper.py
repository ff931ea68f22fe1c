"""Journal and latch file each suffice to stay latched; the other is brought up to it (I4).

A latch kept aside counts like the file's, and so does one that only memory holds: it is written as
soon as the disk takes it. Looked at when the engine starts and four times a second after: a kill
without the engine sets the file, a deleted file is written again, a file of a kill that the journal
has seen released is left over from a crash in between and goes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from pathlib import Path
from typing import Protocol

from engine.contracts.event import AnyEvent, KillLatched, SessionMoved
from engine.contracts.people import automaton, person
from engine.contracts.session import SessionState
from engine.diary import Diary
from engine.execution.core import Core, State
from engine.execution.kill.latch_file import (
    LatchMark,
    latch_present,
    read_latch,
    stamp_of,
    write_latch,
)
from engine.execution.kill.latch_holds import LatchHolds, aside_present
from engine.execution.limits.facts import Readings
from engine.governance.transitions import Cause
from engine.journal.writer import JournalFailed

_log = Diary("latch")


class Hunter(Protocol):
    """The kill switch, as the keeper needs it."""

    @property
    def pressing(self) -> bool:
        """Whether a press is on its way to file and journal."""

    def resume(self, kill_id: str) -> Awaitable[None]:
        """Hunt for this kill until it is proven."""


class LatchKeeper:
    """Keeps the latch in memory, journal and file in step."""

    def __init__(
        self,
        core: Core,
        readings: Readings,
        holds: LatchHolds,
        switch: Hunter,
    ) -> None:
        self._core = core
        self._readings = readings
        self._holds = holds
        self._path = holds.path
        self._switch = switch
        #: the file as last looked into
        self._seen: tuple[int, int] | None = None

    async def hold(self) -> None:
        """Bring journal, file and memory in step. A press on its way does that by itself."""
        if self._switch.pressing:
            return
        try:
            await self._hold()
        except OSError as error:
            # The journal and the memory still hold; a full disk must not end the other rules.
            _log.error("latch file", cause=error.strerror)
        except JournalFailed as error:
            _log.error("latch not journaled", cause=error.line())
        self._readings.latched = self._readings.latched or self._core.state.latch.is_set

    async def _hold(self) -> None:
        if self._holds.homeless is not None:
            await self._holds.retry()
        if aside_present(self._holds.aside):
            await self._adopt(self._holds.aside)
        is_set = self._core.state.latch.is_set
        if not latch_present(self._path):
            self._seen = None
            if is_set:
                await self._rewrite()
            return
        stamp = stamp_of(self._path)
        if (not is_set or stamp != self._seen) and await self._adopt(self._path):
            self._seen = stamp

    def released(self) -> None:
        """The journal holds a valid release: open the latch in memory and on the disk.

        A kill that came at the same moment keeps it closed.
        """
        if self._switch.pressing or self._core.state.latch.is_set:
            return
        self._holds.clear()
        self._readings.latched = False

    async def _adopt(self, path: Path) -> bool:
        """Journal the kill of a latch file that the journal does not know: latched it is.

        False when it has to be looked at again.

        Also when another kill is latched already: each has a name on it (I8), and the newest is
        the one that is hunted for and released.
        """
        mark = await asyncio.to_thread(read_latch, path)
        state = self._core.state
        if mark is None or self._switch.pressing:
            return False
        if mark.kill_id in state.kill_ids:
            if not state.latch.is_set:
                self._holds.clear()
                self._readings.latched = False
            return True
        self._readings.latched = True
        actor = person(mark.by, "latch-file") if mark.by else automaton("latch-file")
        await self._core.decide(actor, lambda state: _adopted(state, mark))
        await self._switch.resume(state.latch.kill_id)
        return True

    async def _rewrite(self) -> None:
        latch = self._core.state.latch
        mark = LatchMark(
            kill_id=latch.kill_id,
            reason=latch.reason,
            source="journal",
            by=latch.by,
            pressed_us=latch.pressed_us or 0,
        )
        await asyncio.to_thread(write_latch, self._path, mark)


def _adopted(state: State, mark: LatchMark) -> list[AnyEvent]:
    if mark.kill_id in state.kill_ids:
        return []
    session = state.sessions.current
    events: list[AnyEvent] = [
        KillLatched(
            kill_id=mark.kill_id,
            session_id=session.id if session else "",
            reason=mark.reason,
            source=mark.source,
            pressed_us=mark.pressed_us,
        )
    ]
    if session is not None and not session.ended and session.state is not SessionState.KILLED:
        events.append(
            SessionMoved(
                session_id=session.id,
                before=session.state,
                after=SessionState.KILLED,
                cause=Cause.KILL,
                reason=mark.reason,
            )
        )
    return events
