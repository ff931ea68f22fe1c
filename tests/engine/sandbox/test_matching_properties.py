"""Matching against a book that is too simple to be wrong, and what holds whatever happens."""

from __future__ import annotations

from typing import NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.sandbox.accounts import Account, Balance
from engine.sandbox.book import BUY, SELL
from engine.sandbox.errors import VenueError
from engine.sandbox.matching import Matching
from engine.sandbox.orders import NewOrder, Order, PreventedMatch, Report, Trade
from engine.sandbox.rules import ONE, STP_MODES, rules_for

RULES = rules_for("BTCUSDT")
PRICE = 6_100_000
#: Half of the orders may rest: otherwise there is little to match with.
KINDS = ("GTC",) * 5 + ("IOC", "FOK", "MAKER", "MARKET", "QUOTE", "CANCEL")


class Action(NamedTuple):
    """One thing that somebody does; `quantity` in steps, `offset` in ticks around a price."""

    kind: str
    who: int
    side: int
    offset: int
    quantity: int
    stp: str


def actions(modes: tuple[str, ...]) -> st.SearchStrategy[list[Action]]:
    one = st.builds(
        Action,
        st.sampled_from(KINDS),
        st.integers(0, 1),
        st.sampled_from((BUY, SELL)),
        st.integers(-3, 3),
        st.integers(20, 200_000),
        st.sampled_from(modes),
    )
    return st.lists(one, min_size=15, max_size=60)


def people(base: int = 30, quote: int = 3_000_000) -> list[Account]:
    return [
        Account(
            name=f"p{number}",
            uid=number,
            balances={"BTC": Balance(free=base * ONE), "USDT": Balance(free=quote * ONE)},
        )
        for number in range(2)
    ]


def asked(action: Action, number: int) -> NewOrder:
    """The action as an order."""
    market = action.kind in {"MARKET", "QUOTE"}
    return NewOrder(
        client_id=f"id-{number}",
        side=action.side,
        type="MARKET" if market else "LIMIT_MAKER" if action.kind == "MAKER" else "LIMIT",
        time_in_force=action.kind if action.kind in {"IOC", "FOK"} else "GTC",
        price=0 if market else PRICE + action.offset,
        quantity=0 if action.kind == "QUOTE" else action.quantity,
        quote_amount=action.quantity * ONE if action.kind == "QUOTE" else 0,
        stp=action.stp,
    )


def act(engine: Matching, who: Account, action: Action, number: int) -> Order | None:
    """Do it; None when it was refused."""
    if action.kind == "CANCEL":
        for order in list(who.open_orders.values())[:1]:
            engine.cancel(order, "c", number)
        return None
    try:
        return engine.place(who, asked(action, number), number)
    except VenueError:
        return None


class Resting(NamedTuple):
    """A resting order of the simple book."""

    order_id: int
    side: int
    price: int
    quantity: int


class SimpleBook:
    """Every resting order in one list, sorted anew for each order: slow and plain."""

    def __init__(self) -> None:
        self.resting: list[Resting] = []

    def take(self, side: int, limit: int | None, quantity: int) -> list[Resting]:
        """What would be traded, as parts of resting orders: best price, then oldest, first."""
        reachable = [
            order
            for order in self.resting
            if order.side == -side and (limit is None or (limit - order.price) * side >= 0)
        ]
        reachable.sort(key=lambda order: (order.price * side, order.order_id))
        parts = []
        for order in reachable:
            part = min(order.quantity, quantity)
            if part:
                parts.append(order._replace(quantity=part))
            quantity -= part
        return parts

    def reduce(self, order_id: int, quantity: int) -> None:
        left = []
        for order in self.resting:
            kept = order.quantity - (quantity if order.order_id == order_id else 0)
            if kept:
                left.append(order._replace(quantity=kept))
        self.resting = left


@settings(max_examples=150, deadline=None)
@given(actions(("NONE",)))
def test_trades_are_those_of_a_simple_book_with_price_time_priority(
    chosen: list[Action],
) -> None:
    engine, simple, accounts = Matching(RULES), SimpleBook(), people()
    engine.last_price = PRICE
    for number, action in enumerate(chosen):
        who = accounts[action.who]
        opened = {order.order_id: order.remaining for order in who.open_orders.values()}
        order = act(engine, who, action, number)
        if action.kind == "CANCEL" and opened:
            first = next(iter(opened))
            simple.reduce(first, opened[first])
        trades = [item for item in engine.take(number) if isinstance(item, Trade)]
        if order is None:
            assert trades == []
            continue
        limit = order.price if order.type != "MARKET" else None
        expected = simple.take(order.side, limit, order.quantity)
        if order.time_in_force == "FOK" and sum(p.quantity for p in expected) < order.quantity:
            expected = []
        assert [(t.price, t.quantity) for t in trades] == [(p.price, p.quantity) for p in expected]
        for part in expected:
            simple.reduce(part.order_id, part.quantity)
        if order.open:
            simple.resting.append(Resting(order.order_id, order.side, order.price, order.remaining))
        for side in (BUY, SELL):
            levels: dict[int, int] = {}
            for resting in simple.resting:
                if resting.side == side:
                    levels[resting.price] = levels.get(resting.price, 0) + resting.quantity
            best_first = sorted(levels.items(), key=lambda level: -side * level[0])
            assert engine.book.side(side).top(1000) == best_first


@settings(max_examples=150, deadline=None)
@given(actions(STP_MODES), st.sampled_from((0, 1, 30)), st.sampled_from((90_000, 3_000_000)))
def test_nothing_is_made_or_lost_whatever_happens(
    chosen: list[Action], base: int, quote: int
) -> None:
    engine, accounts = Matching(RULES), people(base, quote)
    engine.last_price = PRICE
    fees = {"BTC": 0, "USDT": 0}
    for number, action in enumerate(chosen):
        act(engine, accounts[action.who], action, number)
        reports = [item for item in engine.take(number) if isinstance(item, Report)]
        for report in reports:
            if report.trade is not None:
                fees[report.trade.fee_asset] += report.trade.fee
        # Money: what there was, less the fees, to the last digit, and never below zero.
        for asset, began in (("BTC", base), ("USDT", quote)):
            held = [person.balances[asset] for person in accounts]
            assert sum(b.free + b.locked for b in held) == 2 * began * ONE - fees[asset]
            assert all(b.free >= 0 and b.locked >= 0 for b in held)
        # The book: never crossed, and its levels are the open orders.
        bid, ask = engine.book.bids.best(), engine.book.asks.best()
        assert bid is None or ask is None or bid < ask
        opened = [order for person in accounts for order in person.open_orders.values()]
        assert {order.order_id for order in opened} == set(engine.resting)
        resting = {(order.side, order.price) for order in opened}
        for side, price in resting:
            alive = [o.remaining for o in opened if (o.side, o.price) == (side, price)]
            assert engine.book.quantity_at(side, price) == sum(alive)
    for person in accounts:
        for match in person.prevented:
            _check_match(match)
        needed = {"BTC": 0, "USDT": 0}
        for order in person.orders.values():
            _check_order(order)
            if order.side == BUY:
                needed["USDT"] += RULES.value(order.price, order.remaining)
            else:
                needed["BTC"] += order.remaining * RULES.step
        assert {asset: b.locked for asset, b in person.balances.items()} == needed


def _check_match(match: PreventedMatch) -> None:
    """What each side loses by the taker's mode."""
    taker, maker = match.taker_prevented, match.maker_prevented
    match match.mode:
        case "EXPIRE_TAKER":
            assert (taker >= match.quantity, maker) == (True, 0)
        case "EXPIRE_MAKER":
            assert (taker, maker >= match.quantity) == (0, True)
        case "EXPIRE_BOTH":
            assert min(taker, maker) == match.quantity
        case mode:
            assert (mode, taker, maker) == ("DECREMENT", match.quantity, match.quantity)


def _check_order(order: Order) -> None:
    """What holds for each order by its status."""
    assert order.filled == sum(fill.quantity for fill in order.fills)
    assert order.filled_value == sum(fill.value for fill in order.fills)
    assert (order.locked == 0) or order.open
    assert order.filled + order.prevented + order.remaining <= order.quantity
    limit = order.price
    assert not limit or all((limit - fill.price) * order.side >= 0 for fill in order.fills)
    if order.quote_amount and order.side == BUY:
        assert order.filled_value <= order.quote_amount
    match order.status:
        case "NEW" | "PARTIALLY_FILLED":
            assert order.remaining > 0
            assert order.filled + order.prevented + order.remaining == order.quantity
            assert (order.filled > 0) == (order.status == "PARTIALLY_FILLED")
        case "FILLED":
            assert order.filled + order.prevented == order.quantity
        case "EXPIRED_IN_MATCH":
            assert order.prevented > 0
        case "EXPIRED":
            assert order.expiry_reason
        case status:
            assert status == "CANCELED"
