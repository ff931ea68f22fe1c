from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.sandbox.accounts import Account, Balance
from engine.sandbox.book import BUY, SELL
from engine.sandbox.errors import VenueError
from engine.sandbox.matching import Matching
from engine.sandbox.orders import NewOrder, Order, Report, Trade
from engine.sandbox.replay_matching import ReplayMatching
from engine.sandbox.rules import ONE, rules_for

RULES = rules_for("BTCUSDT")
BTC = 10**5
PRICE = 6_100_000


def account(name: str = "a") -> Account:
    balances = {"BTC": Balance(free=10 * ONE), "USDT": Balance(free=1_000_000 * ONE)}
    return Account(name=name, uid=1, balances=balances)


def new(side: int, price: int, quantity: int, kind: str = "LIMIT", **more: object) -> NewOrder:
    number = next(_NUMBERS)
    return NewOrder(
        client_id=f"id-{number}", side=side, type=kind, price=price, quantity=quantity, **more
    )


_NUMBERS = iter(range(10**9))


def place(engine: Matching, who: Account, *args: object, **more: object) -> Order:
    return engine.place(who, new(*args, **more), 1)  # type: ignore[arg-type]


def test_fill_at_the_makers_price_with_partial_fill_and_fees() -> None:
    engine, maker, taker = Matching(RULES), account("m"), account("t")
    ask = place(engine, maker, SELL, PRICE, BTC)

    bid = place(engine, taker, BUY, PRICE + 500, BTC // 4)

    assert (bid.status, ask.status) == ("FILLED", "PARTIALLY_FILLED")
    assert bid.fills[0].price == PRICE
    assert bid.fills[0].fee == ONE // 4 // 1000
    assert bid.fills[0].fee_asset == "BTC"
    assert ask.fills[0].fee_asset == "USDT"
    assert taker.balances["BTC"].free == 10 * ONE + ONE // 4 - ONE // 4 // 1000
    assert taker.balances["USDT"] == Balance(free=(1_000_000 - 15_250) * ONE)
    assert maker.balances["BTC"] == Balance(free=9 * ONE, locked=ONE * 3 // 4)


def test_fee_is_rounded_to_eight_places_half_up() -> None:
    assert RULES.fee(1_499, maker=False) == 1
    assert RULES.fee(1_500, maker=False) == 2


def test_ioc_expires_the_rest_and_fok_fills_all_or_nothing() -> None:
    engine, maker, taker = Matching(RULES), account("m"), account("t")
    place(engine, maker, SELL, PRICE, BTC)

    fok = place(engine, taker, BUY, PRICE, 2 * BTC, time_in_force="FOK")
    ioc = place(engine, taker, BUY, PRICE, 2 * BTC, time_in_force="IOC")

    assert (fok.status, fok.filled) == ("EXPIRED", 0)
    assert fok.expiry_reason == "UNFILLED_FOK_ORDER_EXPIRED"
    assert (ioc.status, ioc.filled) == ("EXPIRED", BTC)
    assert ioc.expiry_reason == "UNFILLED_IOC_QUANTITY_EXPIRED"
    assert taker.balances["USDT"].locked == 0


def test_market_order_without_depth_is_cut_after_partial_fill() -> None:
    engine, maker, taker = Matching(RULES), account("m"), account("t")
    engine.last_price = PRICE
    place(engine, maker, BUY, PRICE, BTC)

    order = place(engine, taker, SELL, 0, 3 * BTC, "MARKET")

    assert (order.status, order.filled) == ("EXPIRED", BTC)
    assert order.expiry_reason == "INSUFFICIENT_LIQUIDITY"
    assert taker.balances["BTC"].locked == 0
    assert taker.balances["BTC"].free == 9 * ONE


def test_quote_order_quantity_spends_at_most_that() -> None:
    engine, maker, taker = Matching(RULES), account("m"), account("t")
    place(engine, maker, SELL, PRICE, BTC)

    order = place(engine, taker, BUY, 0, 0, "MARKET", quote_amount=1_000 * ONE)

    assert order.status == "FILLED"
    assert order.filled == 1_639  # floor(1000 / 61000 / 0.00001)
    assert order.filled_value <= 1_000 * ONE
    assert taker.balances["USDT"].locked == 0


def test_limit_maker_that_would_take_is_refused_and_changes_nothing() -> None:
    engine, maker, taker = Matching(RULES), account("m"), account("t")
    place(engine, maker, SELL, PRICE, BTC)

    with pytest.raises(VenueError, match="immediately match and take"):
        place(engine, taker, BUY, PRICE, BTC, "LIMIT_MAKER")

    assert taker.balances == account().balances
    assert taker.orders == {}
    assert place(engine, taker, BUY, PRICE - 1, BTC, "LIMIT_MAKER").status == "NEW"


@pytest.mark.parametrize(
    ("mode", "maker_status", "taker_status"),
    [
        ("EXPIRE_MAKER", "EXPIRED_IN_MATCH", "FILLED"),
        ("EXPIRE_TAKER", "NEW", "EXPIRED_IN_MATCH"),
        ("EXPIRE_BOTH", "EXPIRED_IN_MATCH", "EXPIRED_IN_MATCH"),
        ("NONE", "FILLED", "FILLED"),
    ],
)
def test_self_trade_prevention(mode: str, maker_status: str, taker_status: str) -> None:
    engine, who, other = Matching(RULES), account("a"), account("b")
    own = place(engine, who, SELL, PRICE, BTC)
    place(engine, other, SELL, PRICE + 1, BTC)

    taker = place(engine, who, BUY, PRICE + 1, BTC, stp=mode)

    assert (own.status, taker.status) == (maker_status, taker_status)
    locked = {asset: held.locked for asset, held in who.balances.items()}
    assert locked == {"BTC": ONE if maker_status == "NEW" else 0, "USDT": 0}


def test_client_order_id_is_unique_only_among_open_orders() -> None:
    engine, who, other = Matching(RULES), account("a"), account("b")
    order = NewOrder(client_id="same", side=BUY, type="LIMIT", price=PRICE, quantity=BTC)
    engine.place(who, order, 1)
    with pytest.raises(VenueError, match="Duplicate order sent"):
        engine.place(who, order, 2)

    place(engine, other, SELL, PRICE, BTC)

    assert engine.place(who, order, 3).status == "NEW"


def test_refusals_name_the_filter_or_the_balance() -> None:
    engine, who = Matching(RULES), account()
    engine.last_price = PRICE
    for order, words in (
        (new(BUY, PRICE, 1), "NOTIONAL"),
        (new(BUY, PRICE * 6, BTC), "PERCENT_PRICE_BY_SIDE"),
        (new(SELL, PRICE, 11 * BTC), "insufficient balance"),
        (new(BUY, PRICE, 17 * BTC), "insufficient balance"),
        (new(SELL, 0, 11 * BTC, "MARKET"), "insufficient balance"),
    ):
        with pytest.raises(VenueError, match=words):
            engine.place(who, order, 1)
    assert who.orders == {}
    assert who.balances == account().balances


def test_reports_come_in_order_and_carry_the_state_of_their_moment() -> None:
    engine, maker, taker = Matching(RULES), account("m"), account("t")
    place(engine, maker, SELL, PRICE, BTC)
    place(engine, maker, SELL, PRICE + 1, BTC)
    engine.take(1)

    order = place(engine, taker, BUY, PRICE + 1, 3 * BTC, time_in_force="IOC")

    out = engine.take(2)
    mine = [item for item in out if isinstance(item, Report) and item.order is order]
    assert [(r.execution, r.status, r.filled) for r in mine] == [
        ("NEW", "NEW", 0),
        ("TRADE", "PARTIALLY_FILLED", BTC),
        ("TRADE", "PARTIALLY_FILLED", 2 * BTC),
        ("EXPIRED", "EXPIRED", 2 * BTC),
    ]
    assert [t.trade_id for t in out if isinstance(t, Trade)] == [1, 2]


def test_canceled_order_cannot_be_canceled_again() -> None:
    engine, who = Matching(RULES), account()
    order = place(engine, who, BUY, PRICE, BTC)
    engine.cancel(order, "c", 2)
    assert order.status == "CANCELED"
    assert who.balances == account().balances
    with pytest.raises(VenueError, match="Unknown order sent"):
        engine.cancel(order, "c", 3)


ACTIONS = st.lists(
    st.tuples(
        st.sampled_from(("GTC", "IOC", "FOK", "MAKER", "MARKET", "QUOTE", "FLOW", "CANCEL")),
        st.sampled_from((0, 1)),
        st.sampled_from((BUY, SELL)),
        st.integers(-6, 6),
        st.integers(10, 300_000),
        st.sampled_from(("NONE", "EXPIRE_TAKER", "EXPIRE_MAKER", "EXPIRE_BOTH")),
    ),
    max_size=40,
)


@settings(max_examples=150, deadline=None)
@given(ACTIONS)
def test_money_and_quantities_are_conserved_and_the_book_never_crosses(
    actions: list[tuple[str, int, int, int, int, str]],
) -> None:
    engine = Matching(RULES)
    engine.last_price = PRICE
    people = [account("a"), account("b")]
    flow_base = flow_quote = fees_base = fees_quote = 0
    for kind, who, side, offset, quantity, stp in actions:
        _act(engine, people[who], kind, side, PRICE + offset, quantity, stp)
        for item in engine.take(1):
            if isinstance(item, Report) and item.trade is not None:
                base = item.trade.quantity * RULES.step
                sign = 1 if item.trade.buyer else -1
                flow_base += sign * base
                flow_quote -= sign * item.trade.value
                if item.trade.fee_asset == "BTC":
                    fees_base += item.trade.fee
                else:
                    fees_quote += item.trade.fee
        bid, ask = engine.book.bids.best(), engine.book.asks.best()
        assert bid is None or ask is None or bid < ask
        for person in people:
            _check_locks(person)

    total = {
        asset: sum(p.balances[asset].free + p.balances[asset].locked for p in people)
        for asset in ("BTC", "USDT")
    }
    assert total["BTC"] == 20 * ONE + flow_base - fees_base
    assert total["USDT"] == 2_000_000 * ONE + flow_quote - fees_quote
    for person in people:
        for order in person.orders.values():
            assert order.filled == sum(fill.quantity for fill in order.fills)
            assert order.filled_value == sum(fill.value for fill in order.fills)
            assert order.open == (order.client_id in person.open_orders)


def _act(
    engine: Matching, who: Account, kind: str, side: int, price: int, quantity: int, stp: str
) -> None:
    if kind == "FLOW":
        engine.flow_order(side, price, quantity, 1)
        return
    if kind == "CANCEL":
        for order in list(who.open_orders.values())[:1]:
            engine.cancel(order, "c", 1)
        return
    if kind in {"MARKET", "QUOTE"}:
        size = {"quote_amount": quantity * ONE // 10} if kind == "QUOTE" else {}
        order = new(side, 0, 0 if size else quantity, "MARKET", stp=stp, **size)
    elif kind == "MAKER":
        order = new(side, price, quantity, "LIMIT_MAKER", stp=stp)
    else:
        order = new(side, price, quantity, time_in_force=kind, stp=stp)
    try:
        placed = engine.place(who, order, 1)
    except VenueError:
        return
    if kind == "FOK":
        assert placed.filled in {0, placed.quantity}


def _check_locks(person: Account) -> None:
    """Exactly what open orders need is locked, and nothing is negative."""
    needed = {"BTC": 0, "USDT": 0}
    for order in person.open_orders.values():
        if order.side == BUY:
            needed["USDT"] += RULES.value(order.price, order.remaining)
        else:
            needed["BTC"] += order.remaining * RULES.step
    for asset, amount in needed.items():
        assert person.balances[asset].locked == amount
        assert person.balances[asset].free >= 0


def test_replayed_level_is_set_and_a_crossing_order_takes_it() -> None:
    engine, who = ReplayMatching(RULES), account()
    engine.set_level(SELL, PRICE, BTC, 1)
    engine.set_level(SELL, PRICE, BTC // 2, 1)
    engine.set_level(SELL, PRICE, 2 * BTC, 1)

    order = place(engine, who, BUY, PRICE, BTC)

    assert order.status == "FILLED"
    assert engine.book.asks.top(1) == [(PRICE, BTC)]
    engine.set_level(SELL, PRICE, 2 * BTC, 1)
    assert engine.book.asks.top(1) == [(PRICE, 2 * BTC)]
    engine.set_level(SELL, PRICE, 0, 1)
    assert engine.book.asks.top(1) == []


def test_replayed_trade_at_or_through_our_price_fills_us_and_volume_counts_once() -> None:
    engine, who = ReplayMatching(RULES), account()
    order = place(engine, who, BUY, PRICE, BTC)
    engine.take(1)

    engine.replay_trade(BUY, PRICE, BTC, 2)
    assert order.filled == 0  # the taker bought: our bid is not concerned
    engine.replay_trade(SELL, PRICE + 1, BTC, 2)
    assert order.filled == 0  # did not reach our price
    engine.replay_trade(SELL, PRICE, BTC // 4, 2)
    assert order.filled == BTC // 4
    engine.replay_trade(SELL, PRICE - 10, 2 * BTC, 2)

    assert order.status == "FILLED"
    assert [fill.price for fill in order.fills] == [PRICE, PRICE]
    tape = [(t.price, t.quantity) for t in engine.take(2) if isinstance(t, Trade)]
    assert tape[-2:] == [(PRICE, BTC * 3 // 4), (PRICE - 10, 2 * BTC - BTC * 3 // 4)]


def test_replayed_level_that_comes_through_us_fills_us_and_does_not_cross() -> None:
    engine, who = ReplayMatching(RULES), account()
    order = place(engine, who, BUY, PRICE, BTC)

    engine.set_level(SELL, PRICE - 5, 3 * BTC, 2)

    assert order.status == "FILLED"
    assert order.fills[0].price == PRICE
    assert engine.book.bids.best() is None
    assert engine.book.asks.top(1) == [(PRICE - 5, 2 * BTC)]


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(("LEVEL", "PRINT", "ORDER", "CANCEL")),
            st.sampled_from((BUY, SELL)),
            st.integers(-6, 6),
            st.sampled_from((0, 1_000, 50_000, 200_000)),
        ),
        max_size=40,
    )
)
def test_replayed_market_never_crosses_and_never_fills_more_than_asked(
    actions: list[tuple[str, int, int, int]],
) -> None:
    engine, who = ReplayMatching(RULES), account()
    for kind, side, offset, quantity in actions:
        if kind == "LEVEL":
            engine.set_level(side, PRICE + offset, quantity, 1)
        elif kind == "PRINT" and quantity:
            engine.replay_trade(side, PRICE + offset, quantity, 1)
        elif kind in {"ORDER", "CANCEL"}:
            action = "GTC" if kind == "ORDER" else kind
            _act(engine, who, action, side, PRICE + offset, quantity, "EXPIRE_MAKER")
        bid, ask = engine.book.bids.best(), engine.book.asks.best()
        assert bid is None or ask is None or bid < ask
        _check_locks(who)
        for sign in (BUY, SELL):
            assert all(size > 0 for _, size in engine.book.side(sign).top(50))
    for order in who.orders.values():
        assert order.filled <= order.quantity
        assert order.filled == sum(fill.quantity for fill in order.fills)
