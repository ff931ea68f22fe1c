"""The hunt without the engine: cancel, ask, and look up what the journal on the disk has in doubt.

What `peakctl kill` does when no engine answers, and what the watchdog does when the engine falls
silent: on a connection of their own. The first cancels leave at once, with nothing asked before.
Every call is bounded, so that a venue that says nothing costs a round and not the hunt.

PROVEN needs, in one round: a cancel-all that the venue answered for every symbol, two empty
answers in a row, and none of the journal's orders in doubt. An order is in doubt until the venue
itself says how it ended, or until it has not known it for `GIVEN_UP_US`; then it is named. A
journal that cannot be read leaves the doubt standing. Everything less is UNCONFIRMED.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import TypeVar

import msgspec

from engine.contracts.order import Order
from engine.execution.clock import monotonic_us, wall_us
from engine.execution.kill.disk_doubts import DiskOrders, orders_on_disk
from engine.execution.kill.proof import GIVEN_UP_US, PROOF_GAP_SECONDS
from engine.venues.port import Canceled, CancelOutcome, OrderReport, Venue, VenueQueryFailed

_PAUSE_SECONDS = 0.25
_US_PER_SECOND = 1_000_000
#: So many orders in doubt are asked about in one round, the oldest first.
_ASKED_AT_ONCE = 10

_T = TypeVar("_T")

#: Notes a stage with its name and detail.
Stage = Callable[[str, str], None]


class Hunted(msgspec.Struct, frozen=True):
    """What the hunt has come to. `left` None: the venue did not answer, so nothing is known."""

    canceled: int
    left: tuple[str, ...] | None
    detail: str

    @property
    def proven(self) -> bool:
        """Zero open orders, shown twice, with no doubt left."""
        return self.left == () and not self.detail


class Hunt:
    """One hunt over one account. `call_seconds` bounds every question and every cancel."""

    def __init__(
        self,
        venue: Venue,
        symbols: Iterable[str],
        journal: Path,
        stage: Stage,
        *,
        call_seconds: float,
    ) -> None:
        self._venue = venue
        self._symbols = frozenset(symbols)
        self._journal = journal
        self._stage = stage
        self._call_seconds = call_seconds
        self._began_us = monotonic_us()
        self._disk: DiskOrders | None = None
        #: orders of which the venue itself has told the end
        self._told: set[str] = set()
        self._canceled = 0
        self._trouble = ""
        self.now = Hunted(0, None, "the venue has not answered yet")

    async def run(self, give_up_us: int | None) -> Hunted:
        """Hunt until it is proven, or for so long (None: for ever)."""
        deadline = None if give_up_us is None else give_up_us / _US_PER_SECOND
        try:
            async with asyncio.timeout(deadline):
                while not self.now.proven:
                    self.now = await self._round()
                    if not self.now.proven:
                        await asyncio.sleep(_PAUSE_SECONDS)
        except TimeoutError:
            pass
        return self.now

    async def _round(self) -> Hunted:
        first = self._disk is None
        # What has not come to rest before the cancels leave may reach the book after them.
        before = frozenset(self._doubted())
        symbols = sorted(self._symbols)
        if first:
            self._stage("cancel_sent", ", ".join(symbols))
        sending = [asyncio.ensure_future(self._cancel(one)) for one in symbols]
        reading = asyncio.ensure_future(asyncio.to_thread(orders_on_disk, self._journal))
        self._trouble = "; ".join(filter(None, await asyncio.gather(*sending)))
        self._disk = await reading
        if first:
            self._stage("acknowledged", self._trouble or f"{self._canceled} canceled")
        more = {order.intent.symbol for order in self._disk.open.values()} - self._symbols
        if more:
            self._symbols |= more
            return Hunted(self._canceled, None, f"also in {', '.join(sorted(more))}")
        left = await self._left_twice()
        await self._look_up()
        doubts = self._words()
        detail = doubts or self._trouble
        if left is None:
            detail = detail or "the venue did not answer"
        elif left:
            detail = detail or "orders are open"
        elif before and not detail:
            detail = f"was on its way: {', '.join(sorted(before))}"
        return Hunted(self._canceled, left, detail)

    async def _cancel(self, symbol: str) -> str:
        """Cancel everything of a symbol; what went wrong, or the empty string."""
        outcome: CancelOutcome | None = await self._bounded(self._venue.cancel_all(symbol))
        if isinstance(outcome, Canceled):
            self._canceled += len(outcome.reports)
            self._hear(outcome.reports)
            return ""
        return f"{symbol}: {'no answer to the cancel' if outcome is None else outcome}"

    async def _left_twice(self) -> tuple[str, ...] | None:
        for number in (1, 2):
            answers = await asyncio.gather(*(self._open(one) for one in sorted(self._symbols)))
            shown = [one for one in answers if one is not None]
            if len(shown) < len(answers):
                return None
            left = tuple(report.client_order_id for answer in shown for report in answer)
            self._stage(f"query_{number}", f"{len(left)} open")
            if left:
                return left
            if number == 1:
                await asyncio.sleep(PROOF_GAP_SECONDS)
        return ()

    async def _open(self, symbol: str) -> tuple[OrderReport, ...] | None:
        return await self._bounded(self._venue.open_orders(symbol))

    async def _look_up(self) -> None:
        """Ask by name about what is in doubt: only the venue's word ends it (I3)."""
        for name, order in list(self._doubted().items())[:_ASKED_AT_ONCE]:
            report = await self._bounded(self._venue.order(order.intent.symbol, name))
            if report is not None:
                self._hear((report,))

    def _hear(self, reports: Iterable[OrderReport]) -> None:
        self._told |= {report.client_order_id for report in reports if not report.open}

    def _doubted(self) -> dict[str, Order]:
        """Orders that may still be out there: open in the record, or given up a moment ago."""
        if self._disk is None:
            return {}
        return {
            name: order
            for name, order in self._disk.all.items()
            if name not in self._told and not self._out_of_time(order)
        }

    def _out_of_time(self, order: Order) -> bool:
        """Whether the venue would have shown it by now, had it ever come to the book.

        What the venue once confirmed is waited for by this hunt's own monotonic time; what it never
        did also by the record's time, so that a later kill need not wait all over again.
        """
        hunted_us = monotonic_us() - self._began_us
        confirmed = order.venue_order_id is not None and not order.lost
        return hunted_us > GIVEN_UP_US or (
            not confirmed and wall_us() - order.updated_us > GIVEN_UP_US
        )

    def _words(self) -> str:
        if self._disk is not None and self._disk.unreadable:
            return self._disk.unreadable
        doubted = self._doubted()
        if doubted:
            return f"the venue does not show how they ended: {', '.join(doubted)}"
        return ""

    async def _bounded(self, call: Awaitable[_T]) -> _T | None:
        """The answer, or None when there is none in time or the question failed."""
        try:
            async with asyncio.timeout(self._call_seconds):
                return await call
        except (TimeoutError, VenueQueryFailed):
            return None
