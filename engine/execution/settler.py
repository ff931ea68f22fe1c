"""What the venue says of our orders, taken in; and asking it until nothing is unknown (I2, I3).

Every answer of the venue, whether a response, a stream event or a query, is turned into events by
`converge` under the decision lock, so the same trade told twice is recorded once. An order in doubt
is asked for by its client order id until the venue has told its state; no timer decides.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import structlog

from engine.contracts.event import (
    AnyEvent,
    CancelRefused,
    OrderFilled,
    OrderRejected,
    OrderUnknown,
    OrphanFound,
)
from engine.contracts.fill import Fill
from engine.contracts.order import (
    OPEN_STATES,
    Order,
    OrderState,
)
from engine.contracts.people import ENGINE
from engine.execution.clock import wall_us
from engine.execution.converge import converge, fill_events, missing_fills
from engine.execution.core import Core, State
from engine.execution.orphan_news import alarm_text, orphan_events
from engine.venues.port import (
    OrderReport,
    OrderUpdate,
    Venue,
    VenueQueryFailed,
)

_log = structlog.get_logger("settler")

#: Trades are asked for from this long before the order was made: clocks differ, ids do not.
_CLOCK_MARGIN_US = 60_000_000

#: A request older than the receive window is refused by the venue; this is added for the way there.
_LATE_MARGIN_US = 1_500_000

_RETRY_SECONDS = (0.1, 0.25, 0.5, 1.0, 2.0)

RaiseAlarm = Callable[[str, str], Awaitable[None]]


class Settler:
    """Takes the venue's word on orders, and asks for it where it is missing."""

    def __init__(
        self, core: Core, venue: Venue, recv_window_ms: int, raise_alarm: RaiseAlarm
    ) -> None:
        self._core = core
        self._venue = venue
        self._recv_window_us = recv_window_ms * 1_000
        self._raise_alarm = raise_alarm
        self._to_settle: dict[str, int] = {}
        #: When each request of this engine left, µs UTC; others left before this engine began.
        self._sent_us: dict[str, int] = {}
        self._born_us = wall_us()
        self._settle_wanted = asyncio.Event()
        self.in_flight: set[str] = set()

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

    async def on_update(self, update: OrderUpdate) -> None:
        """Take one event of the user stream."""
        fills = (update.fill,) if update.fill else ()
        if self._state.orders.get(update.report.client_order_id) is None:
            await self.found_orphan(update.report)
            return
        await self.learn(update.report, fills)

    async def learn_canceled(self, reports: Sequence[OrderReport]) -> None:
        """Take the reports of a cancel-all: one decision, one fsync."""

        def decide(state: State) -> Sequence[AnyEvent]:
            events: list[AnyEvent] = []
            for report in reports:
                order = state.orders.get(report.client_order_id)
                events += converge(order, report, ()) if order else []
            return events

        await self._core.decide(ENGINE, decide)
        for report in reports:
            order = self._state.orders.get(report.client_order_id)
            if order is None:
                await self.found_orphan(report)
            elif missing_fills(order, report):
                self.settle_later(report.client_order_id)

    async def found_orphan(self, report: OrderReport) -> None:
        """Record an order of this account that we did not make (I2), once, with an alarm.

        Its end is recorded too, whoever ended it.
        """
        found = False

        def decide(state: State) -> Sequence[AnyEvent]:
            nonlocal found
            events = orphan_events(state, report)
            found = any(isinstance(one, OrphanFound) for one in events)
            return events

        await self._core.decide(ENGINE, decide)
        if found:
            await self._raise_alarm("ORPHAN", alarm_text(report.symbol, report.client_order_id))

    async def learn(self, report: OrderReport, fills: Sequence[Fill]) -> None:
        """Bring one order up to the venue's word."""
        order_id = report.client_order_id

        def decide(state: State) -> Sequence[AnyEvent]:
            order = state.orders.get(order_id)
            return converge(order, report, fills) if order else []

        await self._core.decide(ENGINE, decide)
        order = self._state.orders.get(order_id)
        if order is not None and missing_fills(order, report):
            self.settle_later(order_id)

    async def mark_unknown(self, order_id: str, cause: str) -> None:
        """Record that a request's outcome is not known, and ask until it is (I3)."""

        def decide(state: State) -> Sequence[AnyEvent]:
            order = state.orders.get(order_id)
            if order is None or order.state not in OPEN_STATES | {OrderState.CREATED}:
                return []
            return [OrderUnknown(client_order_id=order_id, cause=cause)]

        await self._core.decide(ENGINE, decide)
        self.settle_later(order_id)

    # --- settling what is not known -------------------------------------------------------------

    def settle_later(self, order_id: str) -> None:
        """Ask the venue about this order until its state is known."""
        self._to_settle.setdefault(order_id, 0)
        self._settle_wanted.set()

    @property
    def unsettled(self) -> tuple[str, ...]:
        """Orders that still have to be asked for."""
        return tuple(self._to_settle)

    async def run(self) -> None:
        """Endless: settle what is waiting, with back-off per round."""
        attempt = 0
        while True:
            await self._settle_wanted.wait()
            for order_id in tuple(self._to_settle):
                await self.settle(order_id)
            if self._to_settle:
                await asyncio.sleep(_RETRY_SECONDS[min(attempt, len(_RETRY_SECONDS) - 1)])
                attempt += 1
            else:
                attempt = 0
                self._settle_wanted.clear()

    async def settle(self, order_id: str) -> bool:
        """Ask the venue about one order and record what it says. True when its state is known."""
        order = self._state.orders.get(order_id)
        if order is None or order_id in self.in_flight:
            return False
        try:
            asked_us = wall_us()
            report = await self._venue.order(order.intent.symbol, order_id)
            if report is None:
                return await self._not_found(order, asked_us)
            fills: Sequence[Fill] = ()
            if missing_fills(order, report):
                since = order.created_us - _CLOCK_MARGIN_US
                fills = await self._venue.fills(order.intent.symbol, since)
        except VenueQueryFailed as error:
            _log.warning("settle failed", order=order_id, cause=error.line())
            return False
        await self._settled(order_id, report, fills)
        now = self._state.orders.get(order_id)
        if now is None or missing_fills(now, report):
            return False
        self._to_settle.pop(order_id, None)
        return True

    async def _settled(self, order_id: str, report: OrderReport, fills: Sequence[Fill]) -> None:
        def decide(state: State) -> Sequence[AnyEvent]:
            order = state.orders.get(order_id)
            if order is None:
                return []
            events = converge(order, report, fills)
            if order.state is OrderState.CANCEL_PENDING and report.open:
                reason = "the venue shows the order open"
                events.append(
                    CancelRefused(client_order_id=order_id, code="STILL_OPEN", reason=reason)
                )
            return events

        await self._core.decide(ENGINE, decide)

    async def _not_found(self, order: Order, asked_us: int) -> bool:
        """The venue does not know the order: proof only once its request can no longer arrive."""
        order_id = order.intent.client_order_id
        if order.state not in OPEN_STATES | {OrderState.CREATED}:
            self._to_settle.pop(order_id, None)
            return True
        if order.venue_order_id is not None:
            await self._raise_alarm("ORDER_LOST", f"the venue no longer knows {order_id}")
            return False
        age_us = asked_us - self._sent_us.get(order_id, self._born_us)
        if age_us < self._recv_window_us + _LATE_MARGIN_US:
            return False
        await self._core.record(
            ENGINE,
            OrderRejected(
                client_order_id=order_id,
                code="NEVER_ACCEPTED",
                reason=f"asked {age_us // 1_000} ms after it could have been sent, past the "
                "receive window: the venue does not know it",
            ),
        )
        self._to_settle.pop(order_id, None)
        return True

    async def doubt_unanswered(self) -> None:
        """After a restart: a request whose answer is not in the journal is in doubt (I3, I7)."""
        for order in self._state.orders.open_orders():
            if order.state is OrderState.SUBMITTED:
                await self.mark_unknown(
                    order.intent.client_order_id, "the engine ended before the answer"
                )

    async def look_for_missed(self, symbol: str) -> None:
        """Compare with the venue's open orders and settle what differs; strangers are recorded.

        For news that a stream swallowed without a sign of it. Raises VenueQueryFailed.
        """
        asked_us = wall_us()
        shown = {one.client_order_id: one for one in await self._venue.open_orders(symbol)}
        for order_id, report in shown.items():
            order = self._state.orders.get(order_id)
            if order is None:
                await self.found_orphan(report)
            elif order.state not in OPEN_STATES and order.updated_us < asked_us:
                await self._raise_alarm(
                    "LEDGER_REFUSED", f"the venue shows {order_id} open, here it is {order.state}"
                )
            elif missing_fills(order, report):
                self.settle_later(order_id)
        for order in self._state.orders.open_orders():
            order_id = order.intent.client_order_id
            old = order.updated_us < asked_us and order_id not in self.in_flight
            if order.intent.symbol == symbol and old and order_id not in shown:
                self.settle_later(order_id)

    async def sync(self, symbol: str) -> None:
        """Compare with the venue's open orders: settle ours, record strangers.

        Raises VenueQueryFailed; then nothing is known and the caller tries again.
        """
        reports = await self._venue.open_orders(symbol)
        for report in reports:
            if self._state.orders.get(report.client_order_id) is None:
                await self.found_orphan(report)
        for order in self._state.orders.open_orders():
            if order.intent.symbol == symbol:
                self.settle_later(order.intent.client_order_id)

    async def missed_fills(self, symbol: str, since_us: int) -> int:
        """Ask for all own trades since a time and record those not yet known. Returns how many.

        Trades of orders that are not ours raise an alarm and are not counted (I2).
        """
        fills = await self._venue.fills(symbol, since_us - _CLOCK_MARGIN_US)
        added = 0
        for fill in fills:
            ledger = self._state.orders
            order = ledger.get(fill.client_order_id) or ledger.by_venue_id(
                symbol, fill.venue_order_id
            )
            if order is None:
                if fill.time_us >= since_us:
                    await self._raise_alarm("ORPHAN", f"trade {fill.trade_id} of no order of ours")
                continue
            written = await self._core.decide(ENGINE, _fills_of(order.intent.client_order_id, fill))
            added += sum(isinstance(one.event, OrderFilled) for one in written)
        return added


def _fills_of(order_id: str, fill: Fill) -> Callable[[State], Sequence[AnyEvent]]:
    def decide(state: State) -> Sequence[AnyEvent]:
        order = state.orders.get(order_id)
        return fill_events(order, fill.venue_order_id, (fill,)) if order else []

    return decide
