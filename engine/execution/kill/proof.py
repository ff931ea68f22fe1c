"""The proof of a kill: the venue is asked until two answers in a row show nothing open.

Used by the kill switch on its own connection, and by the checklist, which walks the whole path
before any order exists. Nothing here decides what else a verdict needs (`switch`, `doubts`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable

from engine.diary import Diary
from engine.execution.clock import monotonic_us
from engine.venues.port import Canceled, Venue, VenueQueryFailed

_log = Diary("kill")

#: The two proving queries are this far apart: an answer from a lagging replica is not told twice.
PROOF_GAP_SECONDS = 0.05
#: For so long an order that was given up, or of which the venue tells nothing, may still surface.
GIVEN_UP_US = 60_000_000

#: Notes a stage with its name and detail.
Stage = Callable[[str, str], Awaitable[None]]


async def left_twice(
    venue: Venue, symbols: Iterable[str], stage: Stage | None = None
) -> tuple[str, ...] | None:
    """Ask twice; () only when both answers are empty, None when the venue did not answer."""
    asked = tuple(symbols)
    for number in (1, 2):
        try:
            answers = await asyncio.gather(*(venue.open_orders(one) for one in asked))
        except VenueQueryFailed as error:
            _log.warning("proof query failed", cause=error.line())
            return None
        left = tuple(report.client_order_id for answer in answers for report in answer)
        if stage is not None:
            await stage(f"query_{number}", f"{len(left)} open")
        if left:
            return left
        if number == 1:
            await asyncio.sleep(PROOF_GAP_SECONDS)
    return ()


async def rehearse(venue: Venue, symbols: Iterable[str]) -> tuple[bool, int, str]:
    """Walk the whole path without the latch: cancel-all, then two queries.

    Returns (proven, elapsed in µs, detail).
    """
    started = monotonic_us()
    for symbol in symbols:
        outcome = await venue.cancel_all(symbol)
        if not isinstance(outcome, Canceled):
            return False, monotonic_us() - started, f"cancel-all of {symbol}: {outcome}"
        left = await left_twice(venue, (symbol,))
        if left is None:
            return False, monotonic_us() - started, f"{symbol}: the venue did not answer"
        if left:
            return False, monotonic_us() - started, f"{symbol}: still open {', '.join(left)}"
    return True, monotonic_us() - started, "cancel-all answered, zero open twice in a row"
