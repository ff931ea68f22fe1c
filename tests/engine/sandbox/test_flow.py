from __future__ import annotations

from itertools import pairwise

from engine.sandbox.accounts import Account, Balance
from engine.sandbox.flow import Flow
from engine.sandbox.matching import Matching
from engine.sandbox.orders import NewOrder, Trade
from engine.sandbox.rules import ONE, rules_for

RULES = rules_for("BTCUSDT")
PRICE = 6_100_000
STEPS_A_SECOND = 20


def run(seed: int, steps: int) -> tuple[Matching, list[tuple[int, int, int, bool]], list[int]]:
    engine = Matching(RULES)
    flow = Flow(engine, seed, PRICE)
    flow.open(0)
    tape: list[tuple[int, int, int, bool]] = []
    spreads: list[int] = []
    for number in range(steps):
        flow.step(number)
        for item in engine.take(number):
            assert isinstance(item, Trade)
            tape.append((item.trade_id, item.price, item.quantity, item.buyer_is_maker))
        bid, ask = engine.book.bids.best(), engine.book.asks.best()
        assert bid is not None
        assert ask is not None
        spreads.append(ask - bid)
    return engine, tape, spreads


def test_same_seed_same_flow_and_another_seed_another() -> None:
    one, tape, _ = run(7, 600)
    two, again, _ = run(7, 600)
    assert tape == again
    assert one.book.bids.top(50) == two.book.bids.top(50)
    assert one.book.update_id == two.book.update_id
    assert run(8, 600)[1] != tape


def test_shape_is_that_of_the_recorded_market() -> None:
    _, tape, spreads = run(1, 300 * STEPS_A_SECOND)

    assert 10 <= len(tape) / 300 <= 30
    assert sum(1 for spread in spreads if spread == 1) / len(spreads) > 0.7
    assert min(spreads) > 0
    sizes = sorted(quantity for _, _, quantity, _ in tape)
    assert 30 <= sizes[len(sizes) // 2] <= 300
    assert abs(tape[-1][1] - PRICE) < PRICE // 20
    same = sum(1 for a, b in pairwise(tape) if a[3] == b[3])
    assert same / len(tape) > 0.7
    assert [trade[0] for trade in tape] == list(range(1, len(tape) + 1))


def test_order_at_the_best_price_is_filled_in_parts_within_seconds() -> None:
    partial = filled = 0
    for seed in range(6):
        engine = Matching(RULES)
        flow = Flow(engine, seed, PRICE)
        flow.open(0)
        who = Account(name="a", uid=1, balances={"USDT": Balance(free=10**6 * ONE)})
        bid = engine.book.bids.best()
        assert bid is not None
        new = NewOrder(client_id="x", side=1, type="LIMIT", price=bid, quantity=10_000)
        order = engine.place(who, new, 0)
        for number in range(60 * STEPS_A_SECOND):
            flow.step(number)
            if not order.open:
                break
        filled += order.status == "FILLED"
        partial += len(order.fills) > 1
    # The price may run away from one of them.
    assert filled >= 5
    assert partial >= 3
