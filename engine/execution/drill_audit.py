"""Looks again at what the drills left before they count: at a start, and after each one.

The journal's line of a drill says what the engine found when it was handed in; a line can be
written by hand while no engine runs. So the last result of each drill is asked for its own journal
again: it must still lie in the folder of drills, verify whole, and be judged to the very same
event. What is gone, or says something else, is no evidence, and what was not looked at is not known
(I12).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from engine.contracts.errors import PeakError
from engine.contracts.event import DrillFinished, Recorded
from engine.contracts.requests import DrillRequest
from engine.diary import Diary
from engine.execution.core import Core
from engine.execution.drill_desk import JOURNAL, drill_folder, judged, read_left
from engine.ops.drills import DrillTerms

_log = Diary("drills")


class DrillAudit:
    """Which results of drills hold."""

    def __init__(self, core: Core, folder: Path, terms: Callable[[], DrillTerms]) -> None:
        self._core = core
        self._folder = folder
        self._terms = terms
        self._why: dict[str, str] = {}
        self._wanted = asyncio.Event()
        self._wanted.set()

    def why_not(self, event: DrillFinished) -> str:
        """Why this result does not hold; "" when it does."""
        return self._why.get(event.journal_head, "its journal was not looked at yet")

    def looked(self, journal_head: str) -> None:
        """The desk has just read and judged this journal itself."""
        self._why[journal_head] = ""

    def heard(self, recorded: Recorded) -> None:
        """A listener of the journal; returns at once."""
        if isinstance(recorded.event, DrillFinished):
            self._wanted.set()

    async def run(self) -> None:
        """Endless: look at what was not looked at."""
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            await self.look()

    async def look(self) -> None:
        """Look at every last result that was not looked at."""
        for event in self._core.state.drills.newest:
            if event.journal_head not in self._why:
                why = await asyncio.to_thread(self._look, event)
                if why:
                    _log.error("drill does not hold", drill=event.drill_id, cause=why)
                self._why[event.journal_head] = why

    def _look(self, event: DrillFinished) -> str:
        terms = self._terms()
        folder = drill_folder(self._folder, event.drill_id)
        if folder is None or event.name not in terms.criteria:
            return "there is no such drill"
        try:
            measured = {name: int(text) for name, text in event.measured.items()}
            left = read_left(folder / JOURNAL)
        except (PeakError, OSError, ValueError) as error:
            return error.line() if isinstance(error, PeakError) else str(error)[:200]
        asked = DrillRequest(person="", drill_id=event.drill_id, name=event.name, measured=measured)
        again = judged(asked, left, terms)
        told = (again.journal_head, again.journal_size, again.code_sha256, again.ended_us)
        if told != (event.journal_head, event.journal_size, event.code_sha256, event.ended_us):
            return "the journal that it left is another one"
        return "" if again.passed or not event.passed else again.fault or "it is no pass"
