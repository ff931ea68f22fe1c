"""The three sides of a cell, each read on its own, and every way in which they can differ. Pure.

Engine: the ledgers as the control API shows them. Journal: the lines on the disk, folded here by
code that shares nothing with the engine's. Venue: what its own signed queries answer the test.
After a wipe the venue knows nothing; then `history`, what the test itself read from it just before,
is what really happened, and our side must keep it and call the rest lost, never canceled (I2).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from engine.contracts.view import StateView

#: Where an order stands, in words that all sides share.
OPEN, FILLED, CANCELED, EXPIRED, NONE, DOUBT = (
    "open",
    "FILLED",
    "CANCELED",
    "EXPIRED",
    "not there",
    "in doubt",
)

_VENUE_STATES = {
    "NEW": OPEN,
    "PARTIALLY_FILLED": OPEN,
    "FILLED": FILLED,
    "CANCELED": CANCELED,
    "EXPIRED": EXPIRED,
    "EXPIRED_IN_MATCH": EXPIRED,
}

_ENGINE_STATES = {
    "ACKNOWLEDGED": OPEN,
    "PARTIALLY_FILLED": OPEN,
    "FILLED": FILLED,
    "CANCELED": CANCELED,
    "EXPIRED": EXPIRED,
    "REJECTED": NONE,
    "CREATED": DOUBT,
    "SUBMITTED": DOUBT,
    "CANCEL_PENDING": DOUBT,
    "UNKNOWN": DOUBT,
}

_ENDED = {"order.canceled": CANCELED, "order.expired": EXPIRED, "order.rejected": NONE}


@dataclass(frozen=True)
class Trade:
    """One fill of ours; amounts in base, quote and `fee_asset`."""

    order_id: str
    quantity: Decimal
    price: Decimal
    fee: Decimal
    fee_asset: str


@dataclass
class Side:
    """One side's word: state by client order id, trades by trade id, and what it holds twice."""

    orders: dict[str, str] = field(default_factory=dict)
    trades: dict[str, Trade] = field(default_factory=dict)
    doubled: list[str] = field(default_factory=list)

    def filled(self) -> dict[str, Decimal]:
        """Filled quantity by order."""
        total: dict[str, Decimal] = {}
        for trade in self.trades.values():
            total[trade.order_id] = total.get(trade.order_id, Decimal(0)) + trade.quantity
        return total

    def flow(self) -> dict[str, Decimal]:
        """What the trades did to the balances, by asset; every order here buys BTC with USDT."""
        moved: dict[str, Decimal] = {}
        for one in self.trades.values():
            for asset, amount in (
                ("BTC", one.quantity),
                ("USDT", -one.quantity * one.price),
                (one.fee_asset, -one.fee),
            ):
                moved[asset] = moved.get(asset, Decimal(0)) + amount
        return {asset: amount for asset, amount in moved.items() if amount}


def engine_side(view: StateView) -> Side:
    """The ledgers as the API shows them."""
    return Side(
        orders={
            one.intent.client_order_id: _ENGINE_STATES.get(one.state.value, one.state.value)
            for one in view.orders
        },
        trades={
            one.trade_id: Trade(
                one.client_order_id, one.quantity, one.price, one.fee, one.fee_asset
            )
            for one in view.fills
        },
        doubled=_twice(one.trade_id for one in view.fills),
    )


def journal_side(lines: Sequence[Mapping[str, Any]]) -> Side:
    """The journal's lines, folded: only what the venue said ends an order."""
    side = Side()
    wanted: dict[str, Decimal] = {}
    for line in lines:
        kind, data = line["kind"], line["data"]
        if kind == "order.intended":
            order_id = data["intent"]["client_order_id"]
            if order_id in wanted:
                side.doubled.append(f"intent {order_id}")
            wanted[order_id] = Decimal(data["intent"]["quantity"])
            side.orders[order_id] = DOUBT
        elif kind == "order.filled":
            _fold_fill(side, data["fill"], wanted)
        elif kind in {"order.acknowledged", "order.unknown", "order.cancel_refused", *_ENDED}:
            _fold_news(side, kind, data["client_order_id"])
    return side


def _fold_fill(side: Side, fill: Mapping[str, Any], wanted: Mapping[str, Decimal]) -> None:
    order_id, trade_id = fill["client_order_id"], fill["trade_id"]
    if trade_id in side.trades:
        side.doubled.append(f"trade {trade_id}")
    side.trades[trade_id] = Trade(
        order_id,
        Decimal(fill["quantity"]),
        Decimal(fill["price"]),
        Decimal(fill["fee"]),
        fill["fee_asset"],
    )
    if side.filled()[order_id] == wanted.get(order_id):
        side.orders[order_id] = FILLED


def _fold_news(side: Side, kind: str, order_id: str) -> None:
    before = side.orders.get(order_id)
    if before in {FILLED, CANCELED, EXPIRED, NONE}:
        return
    if kind in _ENDED:
        side.orders[order_id] = _ENDED[kind]
    elif kind == "order.acknowledged":
        side.orders[order_id] = OPEN
    elif kind == "order.unknown":
        side.orders[order_id] = DOUBT


def venue_side(orders: Sequence[Mapping[str, Any]], trades: Sequence[Mapping[str, Any]]) -> Side:
    """The venue's answers to allOrders and myTrades."""
    names = {one["orderId"]: str(one["clientOrderId"]) for one in orders}
    return Side(
        orders={
            str(one["clientOrderId"]): _VENUE_STATES.get(one["status"], one["status"])
            for one in orders
        },
        trades={
            str(one["id"]): Trade(
                names.get(one["orderId"], f"order {one['orderId']}"),
                Decimal(one["qty"]),
                Decimal(one["price"]),
                Decimal(one["commission"]),
                one["commissionAsset"],
            )
            for one in trades
        },
        doubled=_twice(str(one["clientOrderId"]) for one in orders),
    )


def joined(before: Side, after: Side) -> Side:
    """What the venue did before a wipe and after it."""
    return Side(
        orders={**before.orders, **after.orders},
        trades={**before.trades, **after.trades},
        doubled=[*before.doubled, *after.doubled, *(set(before.orders) & set(after.orders))],
    )


def disagreements(
    engine: Side, journal: Side, venue: Side, *, wiped: frozenset[str] = frozenset()
) -> list[str]:
    """Every difference, in words; none means that all three agree.

    `wiped` are orders that the venue lost while they were open: no side may say how they ended.
    """
    said = [
        f"{name} holds twice: {', '.join(side.doubled)}"
        for name, side in (("engine", engine), ("journal", journal), ("venue", venue))
        if side.doubled
    ]
    for order_id in sorted({*engine.orders, *journal.orders, *venue.orders}):
        states = tuple(
            side.orders.get(order_id, NONE if side is venue else "unheard of")
            for side in (engine, journal, venue)
        )
        if order_id in wiped:
            said += _of_lost(order_id, states)
        elif len(set(states)) > 1 or DOUBT in states:
            said.append(f"order {order_id}: " + _words(states))
    for trade_id in sorted({*engine.trades, *journal.trades, *venue.trades}):
        trades = tuple(side.trades.get(trade_id) for side in (engine, journal, venue))
        if len(set(trades)) > 1:
            said.append(f"trade {trade_id}: " + _words(trades))
    return said


def _of_lost(order_id: str, states: tuple[str, ...]) -> list[str]:
    """A lost order's end is not known, so saying one is inventing it."""
    ends = {FILLED, CANCELED, EXPIRED, NONE}
    told = set(states[:2])
    return [f"lost order {order_id}: {_words(states)}"] if told & ends or len(told) > 1 else []


def _words(values: Sequence[object]) -> str:
    return ", ".join(
        f"{name} {value}"
        for name, value in zip(("engine", "journal", "venue"), values, strict=True)
    )


def _twice(names: Iterable[str]) -> list[str]:
    return [name for name, times in Counter(names).items() if times > 1]
