"""What the venue says of our orders, taken in, whether asked for or not (I2, I3).

Every answer of the venue, whether a response, a stream event or a query, is turned into events by
`converge` under the decision lock, so the same trade told twice is recorded once. What is left
unknown is asked for (`asking`); what a stream may have swallowed is looked for.
"""

from __future__ import annotations

from collections.abc import Sequence

from engine.contracts.event import AnyEvent, OrderFilled, OrphanFound
from engine.contracts.fill import Fill
from engine.contracts.order import OPEN_STATES, Order, OrderState
from engine.contracts.people import ENGINE
from engine.execution.clock import wall_us
from engine.execution.core import State
from engine.execution.settle.asking import CLOCK_MARGIN_US, Asker, RaiseAlarm
from engine.execution.settle.converge import converge, fill_events, missing_fills
from engine.execution.settle.orphan_news import alarm_text, orphan_events
from engine.venues.port import OrderReport, OrderUpdate

__all__ = ["RaiseAlarm", "Settler"]


class Settler(Asker):
    """Takes the venue's word on orders, and asks for it where it is missing."""

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
                events += converge(state.orders, report, ())
            return events

        await self._core.decide(ENGINE, decide)
        for report in reports:
            if self._state.orders.get(report.client_order_id) is None:
                await self.found_orphan(report)
            elif missing_fills(self._state.orders, report):
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

        await self._core.decide(ENGINE, lambda state: converge(state.orders, report, fills))
        order = self._state.orders.get(order_id)
        if missing_fills(self._state.orders, report):
            self.settle_later(order_id)
        elif order is not None and order.state is OrderState.REJECTED and report.open:
            await self._refused(f"the venue shows {order_id} open, here it is {order.state}")

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
                await self._refused(f"the venue shows {order_id} open, here it is {order.state}")
            elif missing_fills(self._state.orders, report) or self._doubted(order):
                self.settle_later(order_id)
        for order in self._state.orders.unsettled():
            order_id = order.intent.client_order_id
            old = order.updated_us < asked_us and order_id not in self.in_flight
            if order.intent.symbol == symbol and old and order_id not in shown:
                self.settle_later(order_id)

    def _doubted(self, order: Order) -> bool:
        """Whether an order that the venue shows open is not simply open here."""
        if order.intent.client_order_id in self._canceling:
            return False
        return order.state in {OrderState.UNKNOWN, OrderState.CANCEL_PENDING}

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
        fills = await self._venue.fills(symbol, since_us - CLOCK_MARGIN_US)
        ledger = self._state.orders
        ours: list[tuple[str, Fill]] = []
        for fill in fills:
            order = ledger.get(fill.client_order_id) or ledger.by_venue_id(
                symbol, fill.venue_order_id
            )
            if order is not None:
                ours.append((order.intent.client_order_id, fill))
            elif fill.time_us >= since_us:
                await self._raise_alarm("ORPHAN", f"trade {fill.trade_id} of no order of ours")

        def decide(state: State) -> Sequence[AnyEvent]:
            events: list[AnyEvent] = []
            for order_id, fill in ours:
                order = state.orders.get(order_id)
                if order is not None:
                    events += fill_events(state.orders, order, fill.venue_order_id, (fill,))
            return events

        written = await self._core.decide(ENGINE, decide)
        return sum(isinstance(one.event, OrderFilled) for one in written)
