"""What each side of a reconciliation hands in, in one shape, so that equal means equal.

Three sides: the engine's ledgers, the journal (by SQL from the store), and the venue, asked by
REST. States are compared as classes, because the venue has no words for what only we can know
(a cancel on its way, doubt). Quantities in base, prices in quote, fees in their asset.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

import msgspec

from engine.contracts.fill import Fill
from engine.contracts.order import Order, OrderState, Side

OPEN = "OPEN"
FILLED = "FILLED"
CANCELED = "CANCELED"
EXPIRED = "EXPIRED"
REJECTED = "REJECTED"
UNKNOWN = "UNKNOWN"
#: canceled, expired or rejected: all that a CLOSED order still tells; equals any of the three
ENDED = "ENDED"

#: Our states as classes; CLOSED depends on what was filled (`order_row`).
STATE_CLASS: dict[OrderState, str] = {
    OrderState.CREATED: OPEN,
    OrderState.SUBMITTED: OPEN,
    OrderState.ACKNOWLEDGED: OPEN,
    OrderState.PARTIALLY_FILLED: OPEN,
    OrderState.CANCEL_PENDING: OPEN,
    OrderState.FILLED: FILLED,
    OrderState.CANCELED: CANCELED,
    OrderState.EXPIRED: EXPIRED,
    OrderState.REJECTED: REJECTED,
    OrderState.UNKNOWN: UNKNOWN,
}

#: The venue's words as classes (spot API, enums); a word that is not here is UNKNOWN.
VENUE_STATE_CLASS: dict[str, str] = {
    "NEW": OPEN,
    "PENDING_NEW": OPEN,
    "PARTIALLY_FILLED": OPEN,
    "PENDING_CANCEL": OPEN,
    "FILLED": FILLED,
    "CANCELED": CANCELED,
    "EXPIRED": EXPIRED,
    "EXPIRED_IN_MATCH": EXPIRED,
    "REJECTED": REJECTED,
}


class OrderRow(msgspec.Struct, frozen=True, kw_only=True):
    """One order. `state_class` is one of the words above; `price` None or 0 is MARKET.

    `client_order_id` is "" only for a venue order that has none of ours.
    """

    client_order_id: str
    venue_order_id: str | None
    state_class: str
    quantity: Decimal
    filled_quantity: Decimal
    price: Decimal | None


class FillRow(msgspec.Struct, frozen=True, kw_only=True):
    """One trade. `client_order_id` "" means that this side cannot tell.

    Trade ids are unique per symbol: rows of several symbols must name it, on all sides.
    """

    trade_id: str
    client_order_id: str
    side: Side
    price: Decimal
    quantity: Decimal
    fee: Decimal
    fee_asset: str
    symbol: str = ""


class Sides(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that is compared. Balances are asset -> free + locked, None when not read.

    Positions are symbol -> base quantity; a symbol left out is flat. `agreed_fills` counts trades
    that were compared before and agree on all three sides: their rows are left out here
    (`engine.store.joins`). `ended_orphans` are the venue's ids of strangers' orders that a person
    or a kill has ended.
    """

    engine_orders: Sequence[OrderRow]
    journal_orders: Sequence[OrderRow]
    venue_orders: Sequence[OrderRow]
    engine_fills: Sequence[FillRow]
    journal_fills: Sequence[FillRow]
    venue_fills: Sequence[FillRow]
    engine_balances: Mapping[str, Decimal] | None
    journal_balances: Mapping[str, Decimal] | None
    venue_balances: Mapping[str, Decimal] | None
    engine_positions: Mapping[str, Decimal]
    journal_positions: Mapping[str, Decimal]
    venue_positions: Mapping[str, Decimal]
    agreed_fills: int = 0
    ended_orphans: frozenset[str] = frozenset()


def order_row(order: Order) -> OrderRow:
    """The row of one of our orders; a CLOSED one is FILLED or ENDED by its figures."""
    intent = order.intent
    return OrderRow(
        client_order_id=intent.client_order_id,
        venue_order_id=order.venue_order_id,
        state_class=_class_of(order),
        quantity=intent.quantity,
        filled_quantity=order.filled_quantity,
        price=intent.price,
    )


def fill_row(fill: Fill) -> FillRow:
    """The row of one trade."""
    return FillRow(
        trade_id=fill.trade_id,
        client_order_id=fill.client_order_id,
        side=fill.side,
        price=fill.price,
        quantity=fill.quantity,
        fee=fill.fee,
        fee_asset=fill.fee_asset,
        symbol=fill.symbol,
    )


def venue_state_class(status: str) -> str:
    """The class of the venue's word; a new word is doubt."""
    return VENUE_STATE_CLASS.get(status, UNKNOWN)


def _class_of(order: Order) -> str:
    if order.state is not OrderState.CLOSED:
        return STATE_CLASS[order.state]
    return FILLED if order.filled_quantity == order.intent.quantity else ENDED
