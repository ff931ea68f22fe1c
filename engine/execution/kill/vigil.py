"""After the proof: as long as the latch holds, the venue is asked whether anything has surfaced.

PROVEN is a statement about a moment. A request that was in flight, or an order that the venue's
answers did not show, may come to light afterwards. Whatever is open in the account while the kill
holds is told to the switch, which takes the verdict back and hunts it down. The venue is asked
often in the first minute, then seldom, and at once when the user stream tells of an order.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable

from engine.contracts.event import OrderAcknowledged, OrphanFound, Recorded
from engine.diary import Diary
from engine.execution.clock import monotonic_us
from engine.execution.core import Core
from engine.governance.latch import LatchState
from engine.venues.port import Venue, VenueQueryFailed

_log = Diary("kill")

#: Between two looks: in the first minute after the proof, and later.
_SOON_SECONDS = 1.0
_LATER_SECONDS = 5.0
_SOON_US = 60_000_000


class Vigil:
    """Watches over one proof; ends when the latch is released or another kill begins."""

    def __init__(
        self,
        core: Core,
        venue: Venue,
        symbols: Callable[[], Iterable[str]],
        surfaced: Callable[[tuple[str, ...]], Awaitable[None]],
    ) -> None:
        self._core = core
        self._venue = venue
        self._symbols = symbols
        self._surfaced = surfaced
        self._poke = asyncio.Event()
        core.listen(self._hear)

    def _hear(self, recorded: Recorded) -> None:
        if isinstance(recorded.event, OrphanFound | OrderAcknowledged):
            self._poke.set()

    async def keep(self, kill_id: str) -> None:
        """Look until something surfaces, which is told, or until this proof no longer counts."""
        began_us = monotonic_us()
        while self._counts(kill_id):
            self._poke.clear()
            left = await self._open()
            if left and self._counts(kill_id):
                await self._surfaced(left)
                return
            soon = monotonic_us() - began_us < _SOON_US
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_SOON_SECONDS if soon else _LATER_SECONDS):
                    await self._poke.wait()

    def _counts(self, kill_id: str) -> bool:
        latch = self._core.state.latch
        return latch.state is LatchState.PROVEN and latch.kill_id == kill_id

    async def _open(self) -> tuple[str, ...]:
        """What the venue shows open; nothing is concluded from a question without an answer."""
        asked = tuple(self._symbols())
        try:
            answers = await asyncio.gather(*(self._venue.open_orders(one) for one in asked))
        except VenueQueryFailed as error:
            _log.warning("vigil without an answer", cause=error.line())
            return ()
        return tuple(report.client_order_id for answer in answers for report in answer)
