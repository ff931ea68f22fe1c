"""What was done to the market without the engine, brought into the journal while it runs.

The watchdog and `peakctl kill` append to one log. The engine looks at it when it starts and at
every tick of the guard: an engine that hung finds there what was canceled behind its back.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from engine.contracts.event import WatchdogActed
from engine.contracts.people import automaton
from engine.execution.core import Core
from engine.execution.kill.latch_file import stamp_of
from engine.execution.settle.settler import RaiseAlarm
from engine.execution.watchdog.process import read_reports

WATCHDOG = automaton("watchdog")


class WatchdogReports:
    """Reads the log and journals each line of it once."""

    def __init__(self, core: Core, path: Path, raise_alarm: RaiseAlarm) -> None:
        self._core = core
        self._path = path
        self._raise_alarm = raise_alarm
        self._seen: tuple[int, int] | None = None

    async def take(self) -> None:
        """Journal what is new, with an alarm. Costs one `stat` when nothing is."""
        stamp = stamp_of(self._path)
        if stamp is None or stamp == self._seen:
            return
        known = self._core.state.watchdog_seen
        for report in await asyncio.to_thread(read_reports, self._path):
            if report.at_us <= known:
                continue
            await self._core.record(
                WATCHDOG,
                WatchdogActed(
                    reason=report.reason,
                    verdict=report.verdict,
                    canceled=report.canceled,
                    elapsed_us=report.elapsed_us,
                    at_us=report.at_us,
                ),
            )
            await self._raise_alarm(
                "WATCHDOG_ACTED", f"{report.reason}: {report.canceled} canceled, {report.verdict}"
            )
        self._seen = stamp
