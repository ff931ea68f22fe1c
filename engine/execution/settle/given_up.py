"""Orders that were given up and may surface all the same: canceled by name while nobody attends.

An order that the venue never showed is REJECTED here, and one that it forgot is lost; neither is
canceled with what rests. Should one come to light after all, nobody unattended may leave it there.
A cancel of an order that is not open does no harm, and is refused by the venue as unknown. Nothing
is assumed from that (I2): it is sent again as long as such an order may surface.
"""

from __future__ import annotations

from engine.diary import Diary
from engine.execution.clock import monotonic_us, wall_us
from engine.execution.core import Core
from engine.venues.port import Canceled, Venue

_log = Diary("given-up")

#: From one round of cancels to the next, and for how long after an order was given up.
_EVERY_US = 2_000_000
_FOR_US = 600_000_000
_CANCEL_ID_STEM = 34


class GivenUp:
    """Cancels them over a connection that is kept for kills."""

    def __init__(self, core: Core, venue: Venue) -> None:
        self._core = core
        self._venue = venue
        self._due_us = 0

    async def cancel(self) -> None:
        """One round, if one is due. Its answers reach the ledger by the streams and the polling."""
        now = monotonic_us()
        if now < self._due_us:
            return
        self._due_us = now + _EVERY_US
        state, wall = self._core.state, wall_us()
        for name, at_us in tuple(state.given_up.items()):
            order = state.orders.get(name)
            if order is None or wall - at_us > _FOR_US:
                continue
            stem = name[:_CANCEL_ID_STEM]
            outcome = await self._venue.cancel(order.intent.symbol, name, f"{stem}-g")
            if isinstance(outcome, Canceled):
                _log.warning("an order that was given up was open, and is canceled", order=name)
