"""The fill model of a replay: our order's place in a recorded queue."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.sandbox.accounts import Account, Balance
from engine.sandbox.book import BUY, SELL
from engine.sandbox.orders import NewOrder, Order, Trade
from engine.sandbox.replay_matching import ReplayMatching
from engine.sandbox.replay_queue import Place, shares
from engine.sandbox.rules import ONE, rules_for

RULES = rules_for("BTCUSDT")
PRICE = 6_100_000
BTC = 10**5


def account() -> Account:
    balances = {"BTC": Balance(free=100 * ONE), "USDT": Balance(free=10**8 * ONE)}
    return Account(name="a", uid=1, balances=balances)


def bid(engine: ReplayMatching, who: Account, quantity: int, price: int = PRICE) -> Order:
    new = NewOrder(
        client_id=f"c-{engine.next_order_id}", side=BUY, type="LIMIT", price=price,
        quantity=quantity,
    )  # fmt: skip
    return engine.place(who, new, 0)


def test_order_waits_for_all_that_stood_ahead_and_is_then_filled_in_parts() -> None:
    engine, who = ReplayMatching(RULES), account()
    engine.set_level(BUY, PRICE, 5 * BTC, 1)
    order = bid(engine, who, 2 * BTC)
    engine.take(1)

    engine.replay_trade(SELL, PRICE, 3 * BTC, 2)
    assert order.filled == 0
    engine.replay_trade(SELL, PRICE, 3 * BTC, 3)
    assert (order.filled, order.status) == (BTC, "PARTIALLY_FILLED")
    engine.replay_trade(SELL, PRICE, 3 * BTC, 4)

    assert order.status == "FILLED"
    assert [(fill.price, fill.quantity, fill.maker) for fill in order.fills] == [
        (PRICE, BTC, True),
        (PRICE, BTC, True),
    ]
    tape = [t.quantity for t in engine.take(4) if isinstance(t, Trade)]
    assert sum(tape) == 9 * BTC, "volume is counted once"


def test_what_joins_the_level_later_stands_behind_us() -> None:
    engine, who = ReplayMatching(RULES), account()
    engine.set_level(BUY, PRICE, BTC, 1)
    order = bid(engine, who, BTC)
    engine.set_level(BUY, PRICE, 50 * BTC, 2)
    engine.replay_trade(SELL, PRICE, 2 * BTC, 3)
    assert order.status == "FILLED"


def test_smaller_level_moves_us_forward_and_its_trade_does_not_count_twice() -> None:
    for trade_first in (True, False):
        engine, who = ReplayMatching(RULES), account()
        engine.set_level(BUY, PRICE, 10 * BTC, 1)
        order = bid(engine, who, BTC)
        # Four of the ten ahead trade: seen as a trade and as a smaller level.
        if trade_first:
            engine.replay_trade(SELL, PRICE, 4 * BTC, 2)
            engine.set_level(BUY, PRICE, 6 * BTC, 2)
        else:
            engine.set_level(BUY, PRICE, 6 * BTC, 2)
            engine.replay_trade(SELL, PRICE, 4 * BTC, 2)
        engine.depth_event_done()
        engine.replay_trade(SELL, PRICE, 6 * BTC, 3)
        assert order.filled == 0, "six stood ahead of us"
        engine.replay_trade(SELL, PRICE, BTC, 4)
        assert order.status == "FILLED"


def test_canceled_quantity_is_explained_by_no_trade_and_forgotten_after_two_events() -> None:
    engine, who = ReplayMatching(RULES), account()
    engine.set_level(BUY, PRICE, 10 * BTC, 1)
    order = bid(engine, who, BTC)
    engine.set_level(BUY, PRICE, 2 * BTC, 2)
    engine.depth_event_done()
    engine.depth_event_done()
    engine.replay_trade(SELL, PRICE, 3 * BTC, 3)
    assert order.status == "FILLED"


def test_trade_through_our_price_fills_us_whatever_stood_ahead() -> None:
    engine, who = ReplayMatching(RULES), account()
    engine.set_level(BUY, PRICE, 50 * BTC, 1)
    order = bid(engine, who, BTC)
    engine.replay_trade(SELL, PRICE - 1, BTC, 2)
    assert (order.status, order.fills[0].price) == ("FILLED", PRICE)


def test_two_orders_of_ours_keep_their_order_with_the_recording_between_them() -> None:
    engine, who = ReplayMatching(RULES), account()
    engine.set_level(BUY, PRICE, 2 * BTC, 1)
    first = bid(engine, who, BTC)
    engine.set_level(BUY, PRICE, 5 * BTC, 2)
    second = bid(engine, who, BTC)
    # In front: 2 recorded, ours, 3 recorded, ours.
    engine.replay_trade(SELL, PRICE, 5 * BTC, 3)
    assert (first.filled, second.filled) == (BTC, 0)
    engine.replay_trade(SELL, PRICE, 2 * BTC, 4)
    assert second.filled == BTC


def test_canceled_and_filled_orders_leave_no_place_behind() -> None:
    engine, who = ReplayMatching(RULES), account()
    engine.set_level(BUY, PRICE, BTC, 1)
    canceled, filled = bid(engine, who, BTC), bid(engine, who, BTC)
    engine.cancel(canceled, "x", 2)
    engine.replay_trade(SELL, PRICE, 9 * BTC, 2)
    assert filled.status == "FILLED"
    assert engine._places == {}


def test_our_taker_walks_the_replayed_book_until_its_next_event() -> None:
    engine, who = ReplayMatching(RULES), account()
    for step, quantity in ((0, BTC), (2, BTC), (5, 4 * BTC)):
        engine.set_level(SELL, PRICE + step, quantity, 1)

    order = bid(engine, who, 3 * BTC, PRICE + 10)

    assert [(fill.price, fill.quantity) for fill in order.fills] == [
        (PRICE, BTC),
        (PRICE + 2, BTC),
        (PRICE + 5, BTC),
    ]
    assert engine.book.asks.top(5) == [(PRICE + 5, 3 * BTC)]
    engine.set_level(SELL, PRICE + 2, 2 * BTC, 2)
    assert engine.book.asks.top(5) == [(PRICE + 2, 2 * BTC), (PRICE + 5, 3 * BTC)]
    engine.set_level(SELL, PRICE + 5, 4 * BTC, 2)
    assert engine.book.asks.top(5) == [(PRICE + 2, 2 * BTC), (PRICE + 5, 4 * BTC)]


SIZES = st.integers(0, 30)


@given(st.integers(0, 100), st.lists(st.tuples(SIZES, st.integers(1, 30)), max_size=5))
@settings(max_examples=200, deadline=None)
def test_a_trade_is_divided_to_the_last_step(quantity: int, orders: list[tuple[int, int]]) -> None:
    orders.sort()
    got, recorded = shares(quantity, orders)
    assert sum(got) + recorded == quantity
    for filled, (wait, remaining) in zip(got, orders, strict=True):
        assert 0 <= filled <= remaining
        assert filled == 0 or recorded >= wait, "nobody is filled before those ahead"


@given(
    SIZES,
    st.lists(st.tuples(st.sampled_from(("trade", "level", "event")), SIZES), max_size=30),
)
@settings(max_examples=200, deadline=None)
def test_a_place_only_moves_forward_and_never_past_what_was_seen(ahead: int, seen) -> None:
    place = Place(ahead)
    traded = 0
    for kind, quantity in seen:
        before = place.ahead
        match kind:
            case "trade":
                place.traded(quantity)
                traded += quantity
            case "level":
                place.level_is(quantity)
                assert place.ahead == min(before, quantity)
            case _:
                place.aged()
        assert 0 <= place.ahead <= before
        assert place.wait >= place.ahead
    if all(kind == "trade" for kind, _ in seen):
        assert place.ahead == max(0, ahead - traded)
