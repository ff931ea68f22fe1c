"""From what the venue says to what we record: the events that bring one order up to its word.

Pure. Nothing is assumed (I2): a report that shows more filled than the trades we have seen yields
no fill, only `missing_fills`, and the caller asks the venue for the trades. Applying the events and
converging again yields nothing, also when the ledger refused some of them: what the journal holds,
taken or refused, is told and not told again.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import msgspec

from engine.contracts.event import (
    AnyEvent,
    OrderAcknowledged,
    OrderCanceled,
    OrderExpired,
    OrderFilled,
    OrderRejected,
)
from engine.contracts.fill import Fill
from engine.contracts.order import Order, OrderState
from engine.orders.exact import add
from engine.orders.ledger import OrderLedger
from engine.venues.port import OrderReport

#: States that an order report may still move; the others are final or not yet sent.
_MOVABLE = frozenset(
    {
        OrderState.CREATED,
        OrderState.SUBMITTED,
        OrderState.ACKNOWLEDGED,
        OrderState.PARTIALLY_FILLED,
        OrderState.CANCEL_PENDING,
        OrderState.UNKNOWN,
    }
)

_EXPIRED = frozenset({"EXPIRED", "EXPIRED_IN_MATCH"})


def converge(ledger: OrderLedger, report: OrderReport, fills: Sequence[Fill]) -> list[AnyEvent]:
    """Give the events that bring the order that the report names to the venue's word.

    None for an order that is not ours. `fills` are trades the venue named, in any order, with
    duplicates; others' are ignored.
    """
    events: list[AnyEvent] = []
    order = ledger.get(report.client_order_id)
    if order is None:
        return events
    order_id = order.intent.client_order_id
    movable = order.state in _MOVABLE
    if movable and report.status != "REJECTED" and _needs_acknowledgement(order, report):
        events.append(
            OrderAcknowledged(
                client_order_id=order_id,
                venue_order_id=report.venue_order_id,
                venue_time_us=report.time_us,
            )
        )
    trades = fill_events(ledger, order, report.venue_order_id, fills)
    events += trades
    if not movable or _completed(order, trades):
        # Nothing is left that the venue could have canceled or expired.
        return events
    if report.status == "CANCELED":
        events.append(
            OrderCanceled(
                client_order_id=order_id,
                filled_quantity=report.filled_quantity,
                venue_time_us=report.time_us,
            )
        )
    elif report.status in _EXPIRED:
        events.append(
            OrderExpired(
                client_order_id=order_id,
                filled_quantity=report.filled_quantity,
                reason=report.reason or report.status,
                venue_time_us=report.time_us,
            )
        )
    elif report.status == "REJECTED":
        events.append(
            OrderRejected(
                client_order_id=order_id, code="VENUE", reason=report.reason or "rejected"
            )
        )
    return events


def _completed(order: Order, trades: Sequence[AnyEvent]) -> bool:
    """Whether these trades leave nothing of the order."""
    filled = order.filled_quantity
    for one in trades:
        if isinstance(one, OrderFilled):
            more = add(filled, one.fill.quantity)
            # one that goes beyond the order is refused by it and leaves it as it was
            filled = more if more <= order.intent.quantity else filled
    return filled == order.intent.quantity


def fill_events(
    ledger: OrderLedger, order: Order, venue_order_id: str, fills: Sequence[Fill]
) -> list[AnyEvent]:
    """Give one OrderFilled for each trade of this order that the journal has not, oldest first."""
    seen: set[tuple[str, Decimal, Decimal]] = set()
    events: list[AnyEvent] = []
    for fill in sorted(fills, key=lambda one: (one.time_us, one.trade_id)):
        ours = fill.client_order_id == order.intent.client_order_id or (
            fill.client_order_id == "" and fill.venue_order_id == venue_order_id
        )
        story = (fill.trade_id, fill.price, fill.quantity)
        if not ours or fill.symbol != order.intent.symbol or story in seen:
            continue
        seen.add(story)
        named = fill
        if fill.client_order_id == "":
            named = msgspec.structs.replace(fill, client_order_id=order.intent.client_order_id)
        if ledger.told(order.session_id, named):
            continue
        events.append(OrderFilled(session_id=order.session_id, fill=named))
    return events


def missing_fills(ledger: OrderLedger, report: OrderReport) -> bool:
    """Tell whether the venue reports more filled of our order than the journal's trades of it."""
    if ledger.get(report.client_order_id) is None:
        return False
    return report.filled_quantity > ledger.told_quantity(report.client_order_id)


def _needs_acknowledgement(order: Order, report: OrderReport) -> bool:
    """An order is acknowledged when first seen, and again when that ends an UNKNOWN (I3)."""
    if order.venue_order_id is None:
        return True
    return order.state is OrderState.UNKNOWN and report.open
