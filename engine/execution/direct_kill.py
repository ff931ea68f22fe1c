"""A kill without the engine: latch file, cancel-all, proof, on a venue connection of its own.

For when the engine does not answer. The latch file is what a hung engine finds when it wakes up (it
looks before every order) and what a new one finds at its start; both journal it. What was done is
appended to the watchdog's log, which the engine journals too. Nothing here needs the journal.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Iterable
from pathlib import Path

from engine.contracts.view import KillView, StageView
from engine.execution.clock import monotonic_us, wall_us
from engine.execution.latch_file import LatchMark, write_latch
from engine.execution.watchdog import WatchdogReport, append_report
from engine.venues.port import Canceled, Venue, VenueQueryFailed

_PROOF_GAP_SECONDS = 0.05
_RETRY_SECONDS = 0.25

#: Notes a stage with its name and detail.
Stage = Callable[[str, str], None]


async def direct_kill(
    venue: Venue,
    symbols: Iterable[str],
    *,
    latch_path: Path,
    log_path: Path,
    reason: str,
    by: str,
    give_up_us: int,
) -> KillView:
    """Latch, cancel, prove; UNCONFIRMED when the venue has not proven zero in `give_up_us`.

    Raises OSError when the latch file cannot be written: then the cancels were sent all the same
    and the error says that the latch does not hold.
    """
    started = monotonic_us()
    stages: list[StageView] = []

    def stage(name: str, detail: str) -> None:
        elapsed = monotonic_us() - started
        stages.append(StageView(stage=name, elapsed_us=elapsed, detail=detail))

    mark = LatchMark(
        kill_id=secrets.token_hex(6), reason=reason, source="cli", by=by, pressed_us=wall_us()
    )
    failed: OSError | None = None
    try:
        await asyncio.to_thread(write_latch, latch_path, mark)
        stage("latched", "latch file written")
    except OSError as error:
        failed = error
        stage("latched", f"LATCH NOT WRITTEN: {error.strerror}")
    asked = tuple(symbols)
    canceled, left, detail = await _hunt(venue, asked, stage, started + give_up_us)
    verdict = "PROVEN" if left == () else "UNCONFIRMED"
    elapsed = monotonic_us() - started
    report = WatchdogReport(
        reason=f"kill without engine: {reason}",
        verdict=verdict,
        canceled=canceled,
        elapsed_us=elapsed,
        at_us=wall_us(),
    )
    if failed is not None:
        raise failed
    await asyncio.to_thread(append_report, log_path, report)
    return KillView(
        state=verdict,
        kill_id=mark.kill_id,
        reason=reason,
        by=by,
        latched_us=mark.pressed_us,
        stages=tuple(stages),
        open_orders=left or (),
        detail=detail,
    )


async def _hunt(
    venue: Venue, symbols: tuple[str, ...], stage: Stage, deadline_us: int
) -> tuple[int, tuple[str, ...] | None, str]:
    """Cancel and ask until two answers in a row are empty. Returns (canceled, left, trouble)."""
    canceled, empty, trouble = 0, 0, ""
    left: tuple[str, ...] | None = None
    stage("cancel_sent", ", ".join(symbols))
    while True:
        if empty == 0:
            for symbol in symbols:
                outcome = await venue.cancel_all(symbol)
                if isinstance(outcome, Canceled):
                    canceled += len(outcome.reports)
                else:
                    trouble = f"{symbol}: {outcome}"
        try:
            answers = [await venue.open_orders(symbol) for symbol in symbols]
        except VenueQueryFailed as error:
            empty, left, trouble = 0, None, error.line()
        else:
            left = tuple(report.client_order_id for answer in answers for report in answer)
            empty = 0 if left else empty + 1
            stage(f"query_{empty or 1}", f"{len(left)} open")
            if empty == 2:
                return canceled, (), ""
        if monotonic_us() > deadline_us:
            return canceled, left, trouble or "the venue still shows open orders"
        await asyncio.sleep(_PROOF_GAP_SECONDS if empty else _RETRY_SECONDS)
