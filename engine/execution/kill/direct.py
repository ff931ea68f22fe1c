"""A kill without the engine: latch file, cancel-all, proof, on a venue connection of its own.

For when the engine does not answer. The latch file is what a hung engine finds when it wakes up (it
looks before every order) and what a new one finds at its start; both journal it. The cancels do not
wait for the disk, nor for a venue that does not answer (`hunt`). What was done is appended to the
watchdog's log, which the engine journals too. The journal is only read.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from engine.contracts.view import KillView, StageView
from engine.execution.clock import monotonic_us, wall_us
from engine.execution.kill.hunt import Hunt, Hunted
from engine.execution.kill.latch_file import LatchMark
from engine.execution.kill.latch_holds import LatchHolds
from engine.execution.watchdog.process import WatchdogReport, append_report
from engine.venues.port import Venue

#: One question or cancel that is not answered in this time costs no more than this.
CALL_SECONDS = 3.0
#: After this long without proof it is said, and tried on.
_LOUD_SECONDS = 2.0

#: Told each time that there is no proof yet, in words.
Loud = Callable[[str], None]


@dataclass(frozen=True)
class KillPlaces:
    """Where the latch goes, the journal that is read, and the log that is appended to."""

    holds: LatchHolds
    journal: Path
    log: Path


async def direct_kill(
    venue: Venue,
    symbols: Iterable[str],
    *,
    places: KillPlaces,
    reason: str,
    by: str,
    give_up_us: int,
    loud: Loud,
) -> KillView:
    """Latch, cancel, prove; UNCONFIRMED when the venue has not proven zero in `give_up_us`.

    Raises OSError when no place took the latch: then the cancels were sent all the same.
    """
    started = monotonic_us()
    stages: list[StageView] = []

    def stage(name: str, detail: str) -> None:
        now = monotonic_us()
        stages.append(
            StageView(stage=name, elapsed_us=now - started, detail=detail, monotonic_us=now)
        )

    mark = LatchMark(
        kill_id=secrets.token_hex(6), reason=reason, source="cli", by=by, pressed_us=wall_us()
    )
    hunt = Hunt(venue, symbols, places.journal, stage, call_seconds=CALL_SECONDS)
    hunting = asyncio.ensure_future(hunt.run(give_up_us))
    shouting = asyncio.ensure_future(_shout(hunt, loud))
    try:
        await asyncio.sleep(0)  # the cancels leave before anything waits for the disk
        await places.holds.keep(mark, anew=True)
        held = places.holds.where()
        stage("latched", f"latch held in {', '.join(held)}" if held else "LATCH NOT WRITTEN")
        found = await hunting
    finally:
        shouting.cancel()
        hunting.cancel()
        await asyncio.gather(shouting, hunting, return_exceptions=True)
    verdict = "PROVEN" if found.proven else "UNCONFIRMED"
    if not held:
        raise OSError(0, "no place took it")
    report = _report(found, reason, verdict, monotonic_us() - started)
    with contextlib.suppress(OSError):  # a full disk: the latch is held elsewhere
        await asyncio.to_thread(append_report, places.log, report)
    return KillView(
        state=verdict,
        kill_id=mark.kill_id,
        reason=reason,
        by=by,
        latched_us=mark.pressed_us,
        stages=tuple(sorted(stages, key=lambda one: one.elapsed_us)),
        open_orders=found.left or (),
        detail=found.detail,
        held_in=held,
    )


async def _shout(hunt: Hunt, loud: Loud) -> None:
    while True:
        await asyncio.sleep(_LOUD_SECONDS)
        loud(hunt.now.detail)


def _report(found: Hunted, reason: str, verdict: str, elapsed_us: int) -> WatchdogReport:
    return WatchdogReport(
        reason=f"kill without engine: {reason}",
        verdict=verdict,
        canceled=found.canceled,
        elapsed_us=elapsed_us,
        at_us=wall_us(),
    )
