"""Journal and latch file each suffice to stay latched; the other is brought up to it (I4).

Looked at when the engine starts and four times a second after: a kill without the engine sets the
file, a deleted file is written again, a file of a kill that the journal has seen released is left
over from a crash in between and goes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

from engine.contracts.event import AnyEvent, KillLatched, SessionMoved
from engine.contracts.people import automaton
from engine.contracts.session import SessionState
from engine.execution.core import Core, State
from engine.execution.facts import Readings
from engine.execution.latch_file import (
    LatchMark,
    clear_latch,
    latch_present,
    read_latch,
    write_latch,
)
from engine.governance.transitions import Cause


class LatchKeeper:
    """Keeps the latch in memory, journal and file in step."""

    def __init__(
        self,
        core: Core,
        readings: Readings,
        path: Path,
        hunt: Callable[[str], Awaitable[None]],
    ) -> None:
        self._core = core
        self._readings = readings
        self._path = path
        self._hunt = hunt

    async def hold(self) -> None:
        """Bring journal, file and memory in step."""
        latch = self._core.state.latch
        present = latch_present(self._path)
        if present and not latch.is_set and not self._readings.latched:
            # With the latch in memory a press is on its way to the journal: it needs no adoption.
            await self._adopt()
        elif latch.is_set and not present:
            await self._rewrite()
        self._readings.latched = self._readings.latched or latch.is_set

    def released(self) -> None:
        """The journal holds a valid release: open the latch in memory and on the disk."""
        clear_latch(self._path)
        self._readings.latched = False

    async def _adopt(self) -> None:
        """A latch file that the journal does not know: latched it is."""
        mark = await asyncio.to_thread(read_latch, self._path)
        if mark is None:
            return
        if mark.kill_id in self._core.state.kill_ids:
            clear_latch(self._path)
            return
        self._readings.latched = True
        await self._core.decide(
            automaton(mark.by or "latch-file"), lambda state: _adopted(state, mark)
        )
        await self._hunt(mark.kill_id)

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
