"""Asking the venue about our orders until nothing is unknown (I2, I3).

An order in doubt is asked for by its client order id until the venue has told its state; no timer
decides. Few orders are asked for one by one, many by the venue's lists, so that hundreds of doubts
cost little more than one; who is asked about when is `queue`'s.

What the venue cannot tell, though it answers, ends in one of two facts, both with their reason:
`order.rejected` NEVER_ACCEPTED, when it does not know a request that can no longer arrive, and
`order.lost`, when it no longer knows what it once had, or contradicts itself. A lost order stays
UNKNOWN, does not hold up the end of a session, and is answered for by both people.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator, Sequence

from engine.contracts.event import (
    AnyEvent,
    CancelRefused,
    OrderLost,
    OrderRejected,
    OrderUnknown,
)
from engine.contracts.fill import Fill
from engine.contracts.order import OPEN_STATES, Order, OrderState
from engine.contracts.people import ENGINE
from engine.diary import Diary
from engine.execution.clock import monotonic_us, wall_us
from engine.execution.core import Core, State
from engine.execution.settle.converge import converge, missing_fills
from engine.execution.settle.queue import SettleQueue
from engine.venues.port import OrderReport, Venue, VenueQueryFailed

_log = Diary("settler")

#: Trades are asked for from this long before the order was made: clocks differ, ids do not.
CLOCK_MARGIN_US = 60_000_000

#: A request older than the receive window is refused by the venue; this is added for the way there.
_LATE_MARGIN_US = 1_500_000

#: More than so many orders are asked for by the venue's list instead of one by one.
_FEW = 5
#: Of those that a list does not show, so many are asked for by name in one round.
_BY_NAME = 10

#: Refusals for the rate, the venue's and our own budget's: who goes on asking is banned.
_LIMITED = frozenset({"-1003", "-1015", "HTTP_429", "HTTP_418", "RATE_RESERVED", "RATE_SILENCE"})

RaiseAlarm = Callable[[str, str], Awaitable[None]]


class Asker:
    """Knows which requests are under way and which orders are not settled, and asks about those."""

    def __init__(
        self, core: Core, venue: Venue, recv_window_ms: int, raise_alarm: RaiseAlarm
    ) -> None:
        self._core = core
        self._venue = venue
        self._recv_window_us = recv_window_ms * 1_000
        self._raise_alarm = raise_alarm
        self._queue = SettleQueue()
        #: When each request of this engine left, µs UTC; others left before this engine began.
        self._sent_us: dict[str, int] = {}
        self._born_us = wall_us()
        self._settle_wanted = asyncio.Event()
        self.in_flight: set[str] = set()
        self._canceling: set[str] = set()

    @property
    def _state(self) -> State:
        return self._core.state

    def leaves(self, order_id: str) -> None:
        """A request of this order leaves now; until `answered` nobody else asks about it."""
        self._sent_us[order_id] = wall_us()
        self.in_flight.add(order_id)

    def answered(self, order_id: str) -> None:
        """The request has its answer, or none will come."""
        self.in_flight.discard(order_id)
        self._hurry(order_id)

    @contextlib.contextmanager
    def canceling(self, order_id: str) -> Iterator[None]:
        """A cancel of this order is under way: that it is open still does not mean refused."""
        self._canceling.add(order_id)
        try:
            yield
        finally:
            self._canceling.discard(order_id)

    async def mark_unknown(self, order_id: str, cause: str) -> None:
        """Record that a request's outcome is not known, and ask until it is (I3)."""

        def decide(state: State) -> Sequence[AnyEvent]:
            order = state.orders.get(order_id)
            if order is None or order.state not in OPEN_STATES | {OrderState.CREATED}:
                return []
            return [OrderUnknown(client_order_id=order_id, cause=cause)]

        await self._core.decide(ENGINE, decide)
        self.settle_later(order_id)

    def settle_later(self, order_id: str) -> None:
        """Ask the venue about this order until its state is known."""
        self._queue.add(order_id, monotonic_us())
        self._settle_wanted.set()

    def _hurry(self, order_id: str) -> None:
        if self._queue.hurry(order_id, monotonic_us()):
            self._settle_wanted.set()

    @property
    def unsettled(self) -> tuple[str, ...]:
        """Orders that still have to be asked for."""
        return self._queue.waiting

    async def run(self) -> None:
        """Endless: ask about what is due, then wait until somebody is."""
        while True:
            self._settle_wanted.clear()
            await self._ask_due()
            seconds = self._queue.wait_seconds(monotonic_us())
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._settle_wanted.wait()

    async def _ask_due(self) -> None:
        """One round: per symbol, everybody who is due."""
        due: dict[str, list[Order]] = {}
        now = monotonic_us()
        for order_id in self._queue.due(now):
            order = self._state.orders.get(order_id)
            if order is None:
                self._queue.drop(order_id)
            elif order_id in self.in_flight:
                self._queue.later(order_id, now)
            else:
                due.setdefault(order.intent.symbol, []).append(order)
        for symbol, orders in due.items():
            try:
                await self._ask(symbol, orders)
                self._queue.answered()
            except VenueQueryFailed as error:
                if self._failed(orders, error):
                    return

    def _failed(self, orders: Sequence[Order], error: VenueQueryFailed) -> bool:
        """A query failed: these orders wait behind the others. True if all must be silent now."""
        now = monotonic_us()
        for order in orders:
            self._queue.later(order.intent.client_order_id, now)
        limited = error.code in _LIMITED
        rate = self._venue.rate_use()
        silent_ms = rate.silent_ms if rate is not None else 0
        pause = self._queue.failed(now, limited=limited, silent_ms=silent_ms)
        _log.warning("settle failed", cause=error.line(), pause_seconds=pause)
        return limited

    async def _ask(self, symbol: str, orders: Sequence[Order]) -> None:
        """Ask about these orders of one symbol and take in what is answered."""
        asked_us = wall_us()
        since_us = min(order.created_us for order in orders) - CLOCK_MARGIN_US
        listed: dict[str, OrderReport] = {}
        if len(orders) > _FEW:
            reports = await self._venue.orders(symbol, since_us)
            listed = {one.client_order_id: one for one in reports}
        names = [order.intent.client_order_id for order in orders]
        absent = [name for name in names if name not in listed][:_BY_NAME]
        answers = await asyncio.gather(*(self._venue.order(symbol, name) for name in absent))
        named = dict(zip(absent, answers, strict=True))
        told = [*(listed[name] for name in names if name in listed), *filter(None, answers)]
        fills: Sequence[Fill] = ()
        if any(missing_fills(self._state.orders, report) for report in told):
            fills = await self._venue.fills(symbol, since_us)
        await self._core.decide(ENGINE, lambda state: self._settled(state, told, fills))
        for report in told:
            await self._judge(report)
        for name, answer in named.items():
            if answer is None:
                await self._not_found(name, asked_us)

    def _settled(
        self, state: State, reports: Sequence[OrderReport], fills: Sequence[Fill]
    ) -> list[AnyEvent]:
        events: list[AnyEvent] = []
        for report in reports:
            order_id = report.client_order_id
            order = state.orders.get(order_id)
            if order is None:
                continue
            events += converge(state.orders, report, fills)
            pending = order.state is OrderState.CANCEL_PENDING and report.open
            if pending and order_id not in self._canceling:
                reason = "the venue shows the order open"
                events.append(
                    CancelRefused(client_order_id=order_id, code="STILL_OPEN", reason=reason)
                )
        return events

    async def _judge(self, report: OrderReport) -> None:
        """Look, after the report was taken in, what of the order is still not known."""
        order_id = report.client_order_id
        order = self._state.orders.get(order_id)
        missing = missing_fills(self._state.orders, report)
        contradiction = order is not None and order.state in OPEN_STATES and not report.open
        if not missing and (not contradiction or (order is not None and order.lost)):
            self._queue.drop(order_id)
            return
        if not missing and order is not None and order.state is not OrderState.UNKNOWN:
            await self.mark_unknown(order_id, f"{report.status} there, {order.state} here")
        now = monotonic_us()
        self._queue.later(order_id, now)
        if report.open or not self._queue.silent(order_id, now):
            return
        told = self._state.orders.told_quantity(order_id)
        await self._lost(
            order_id,
            f"{report.status} with {report.filled_quantity} filled, its trades say {told}",
        )

    async def _not_found(self, order_id: str, asked_us: int) -> None:
        """The venue does not know the order: what that proves depends on whether it ever did."""
        order = self._state.orders.get(order_id)
        if order is None or order.state not in OPEN_STATES or order.lost:
            self._queue.drop(order_id)
        elif order.venue_order_id is not None:
            await self._forgotten(order)
        else:
            await self._never_shown(order_id, asked_us)

    async def _never_shown(self, order_id: str, asked_us: int) -> None:
        """Proof that it was never accepted only once its request can no longer arrive."""
        age_us = asked_us - self._sent_us.get(order_id, self._born_us)
        if age_us < self._recv_window_us + _LATE_MARGIN_US:
            self._queue.later(order_id, monotonic_us())
            return

        def decide(state: State) -> Sequence[AnyEvent]:
            order = state.orders.get(order_id)
            if order is None or order.state not in OPEN_STATES or order.venue_order_id is not None:
                return []
            reason = (
                f"asked {age_us // 1_000} ms after it could have been sent, past the receive "
                "window: the venue does not know it"
            )
            return [OrderRejected(client_order_id=order_id, code="NEVER_ACCEPTED", reason=reason)]

        await self._core.decide(ENGINE, decide)
        self._queue.drop(order_id)

    async def _forgotten(self, order: Order) -> None:
        """The venue had the order and does not know it now: in doubt, and lost if that lasts."""
        order_id = order.intent.client_order_id
        if order.state is not OrderState.UNKNOWN:
            await self.mark_unknown(order_id, "the venue no longer knows it")
        now = monotonic_us()
        self._queue.later(order_id, now)
        if not self._queue.silent(order_id, now):
            return
        shown = await self._venue.open_orders(order.intent.symbol)
        if any(one.client_order_id == order_id for one in shown):
            self._queue.news(order_id)
            return
        await self._lost(order_id, "the venue no longer knows it, nor shows it open")

    async def _lost(self, order_id: str, cause: str) -> None:
        """Asking again does not help: say so, once, and leave it to people."""

        def decide(state: State) -> Sequence[AnyEvent]:
            order = state.orders.get(order_id)
            if order is None or order.state not in OPEN_STATES or order.lost:
                return []
            doubt = OrderUnknown(client_order_id=order_id, cause=cause)
            lost = OrderLost(client_order_id=order_id, cause=cause)
            return [lost] if order.state is OrderState.UNKNOWN else [doubt, lost]

        await self._core.decide(ENGINE, decide)
        self._queue.drop(order_id)
        await self._raise_alarm("ORDER_LOST", f"{order_id}: {cause}")

    async def _refused(self, text: str) -> None:
        await self._raise_alarm("LEDGER_REFUSED", text)
