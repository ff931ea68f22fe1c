"""Every check: allowed at the limit, blocked one unit over it, blocked when a fact is missing.

The rows below are the whole story; a comparison turned round, or a check left out, fails one.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.contracts.decision import Check, Verdict
from engine.contracts.order import OrderState, OrderType, Side
from engine.contracts.session import SessionState
from engine.risk import limits as risk
from engine.risk.exposure import usable_book
from engine.risk.limits import CHECKS, check_order, duplicate_key

D = Decimal
NOW = 1_000_000_000
LOCKED = Check(code="LOCK_ENV", verdict=Verdict.BLOCK, text="LOCK_ENV: environment is dev")
PAUSED = msgspec.structs.replace(LOCKED, verdict=Verdict.PAUSE)


def answer(world: Any, code: str, intent: Any = None, **facts: Any) -> Check:
    decision = check_order(intent or world.intent(), world.facts(**facts))
    (check,) = [check for check in decision.checks if check.code == code]
    return check


def test_every_check_answers_once_and_all_allow_in_a_good_world(world: Any) -> None:
    decision = check_order(world.intent(), world.facts())
    assert [check.code for check in decision.checks] == [code for code, _ in CHECKS]
    assert decision.verdict is Verdict.ALLOW, decision.reasons


def test_no_code_of_the_specification_is_left_out() -> None:
    assert {code for code, _ in CHECKS} == {
        "LOCKS", "SESSION_STATE", "WINDOW", "LATCH", "ATTENDANCE", "DATA_AGE", "CLOCK_OFFSET",
        "UNKNOWN_ORDERS", "VENUE_FILTER", "MAX_QUANTITY", "MAX_NOTIONAL", "MAX_POSITION",
        "MAX_GROSS", "MAX_NET", "MAX_ASSET", "MAX_OPEN_ORDERS", "RATE_SECOND", "RATE_MINUTE",
        "RATE_SESSION", "RATE_DAY", "RATE_MESSAGES", "CANCEL_RATIO", "COOLDOWN_LOSS",
        "COOLDOWN_REJECTS", "PRICE_COLLAR", "PRICE_LAST", "PRICE_BOOK", "SESSION_LOSS", "BREAKERS",
        "BALANCE", "DUPLICATE",
    }  # fmt: skip


FACTS = [
    # code, fact, allowed at the limit, blocked just over it
    ("SESSION_STATE", "session_state", SessionState.LIVE, SessionState.PAUSED),
    ("SESSION_STATE", "session_state", SessionState.LIVE, SessionState.STOPPING),
    ("WINDOW", "window_from_us", NOW, NOW + 1),
    ("WINDOW", "window_until_us", NOW + 1, NOW),
    ("LATCH", "latch_set", False, True),
    ("ATTENDANCE", "attended", True, False),
    ("DATA_AGE", "book_age_ms", 3000, 3001),
    ("CLOCK_OFFSET", "clock_offset_ms", 250, 251),
    ("CLOCK_OFFSET", "clock_offset_ms", -250, -251),
    ("UNKNOWN_ORDERS", "unknown_orders", 0, 1),
    ("RATE_SECOND", "recent_submits_us", (NOW - 1_000_000, NOW - 999_999), (NOW - 999_999,) * 2),
    ("RATE_SECOND", "recent_submits_us", (NOW + 5,), (NOW + 5, NOW + 6)),
    ("RATE_MINUTE", "recent_submits_us", (NOW - 59_999_999,) * 4, (NOW - 59_999_999,) * 5),
    ("RATE_MINUTE", "recent_submits_us", (NOW - 60_000_000,) * 9, (NOW - 59_999_999,) * 9),
    ("RATE_SESSION", "session_orders", 49, 50),
    ("SESSION_LOSS", "session_pnl", D(-100), D("-100.01")),
    ("SESSION_LOSS", "session_realised", D(-100), D("-100.01")),
    ("MAX_POSITION", "position", D(4), D("4.001")),
    ("BALANCE", "balances", {"USDT": (D(100), D(0))}, {"USDT": (D("99.99"), D(500))}),
    ("BALANCE", "balances", {"USDT": (D(100), D(0))}, {"BTC": (D(100), D(0))}),
    ("LOCKS", "locks", (msgspec.structs.replace(LOCKED, verdict=Verdict.ALLOW),), (LOCKED,)),
    ("LOCKS", "locks", (msgspec.structs.replace(LOCKED, verdict=Verdict.ALLOW),), (PAUSED,)),
]


@pytest.mark.parametrize(("code", "fact", "allowed", "over"), FACTS)
def test_fact_at_the_limit_is_allowed_and_one_unit_over_is_not(
    world: Any, code: str, fact: str, allowed: Any, over: Any
) -> None:
    assert answer(world, code, **{fact: allowed}).verdict is Verdict.ALLOW
    refused = answer(world, code, **{fact: over})
    assert refused.verdict is (Verdict.PAUSE if code == "SESSION_LOSS" else Verdict.BLOCK)
    assert refused.text.startswith(f"{code}: ")


ORDERS = [
    # code, limit changed, allowed order, refused order
    ("MAX_QUANTITY", {}, {"quantity": D(2)}, {"quantity": D("2.001")}),
    ("MAX_NOTIONAL", {"max_order_notional": D(100)}, {"price": D(100)}, {"price": D("100.01")}),
    ("PRICE_COLLAR", {}, {"price": D(101)}, {"price": D("101.01")}),
    ("PRICE_COLLAR", {}, {"price": D(99)}, {"price": D("98.99")}),
    ("VENUE_FILTER", {}, {"price": D("100.01")}, {"price": D("100.001")}),
    ("VENUE_FILTER", {}, {"price": D("0.05"), "quantity": D(100)}, {"price": D(0)}),
    ("VENUE_FILTER", {}, {"quantity": D("0.051")}, {"quantity": D("0.0505")}),
    ("VENUE_FILTER", {}, {"quantity": D("0.05")}, {"quantity": D("0.049")}),
    ("VENUE_FILTER", {}, {"quantity": D("100")}, {"quantity": D("100.001")}),
    ("VENUE_FILTER", {}, {}, {"quantity": D(0)}),
    ("VENUE_FILTER", {}, {}, {"quantity": D(-1)}),
    ("VENUE_FILTER", {}, {}, {"price": D(-100)}),
    ("VENUE_FILTER", {}, {}, {"price": None}),
    ("VENUE_FILTER", {}, {}, {"symbol": "ETHUSDT"}),
    ("VENUE_FILTER", {}, {}, {"type": OrderType.MARKET}),
]


@pytest.mark.parametrize(("code", "limits", "allowed", "refused"), ORDERS)
def test_order_at_the_limit_is_allowed_and_one_unit_over_is_not(
    world: Any, code: str, limits: Any, allowed: Any, refused: Any
) -> None:
    bounds = world.limits(**limits)
    assert answer(world, code, world.intent(**allowed), limits=bounds).verdict is Verdict.ALLOW
    assert answer(world, code, world.intent(**refused), limits=bounds).verdict is Verdict.BLOCK


MISSING = [
    ("LOCKS", {"locks": ()}),
    ("SESSION_STATE", {"session_state": None}),
    ("WINDOW", {"window_from_us": None}),
    ("WINDOW", {"window_until_us": None}),
    ("LATCH", {"latch_set": None}),
    ("ATTENDANCE", {"attended": None}),
    ("DATA_AGE", {"book_age_ms": None}),
    ("CLOCK_OFFSET", {"clock_offset_ms": None}),
    ("UNKNOWN_ORDERS", {"unknown_orders": None}),
    ("VENUE_FILTER", {"instrument": None}),
    ("MAX_POSITION", {"position": None}),
    ("PRICE_COLLAR", {"best_bid": None}),
    ("PRICE_COLLAR", {"best_ask": None}),
    ("PRICE_COLLAR", {"best_bid": D(101)}),  # crossed: no mid to trust
    ("PRICE_COLLAR", {"best_bid": D(0)}),
    ("SESSION_LOSS", {"session_pnl": None}),
    ("SESSION_LOSS", {"session_realised": None}),
    ("BREAKERS", {"breakers": ()}),
    ("BALANCE", {"balances": None}),
    ("BALANCE", {"instrument": None}),
]


@pytest.mark.parametrize(("code", "facts"), MISSING)
def test_missing_fact_blocks_with_the_code_of_its_check_i12(
    world: Any, code: str, facts: Any
) -> None:
    refused = answer(world, code, **facts)
    assert refused.verdict is Verdict.BLOCK
    assert check_order(world.intent(), world.facts(**facts)).verdict is Verdict.BLOCK


@pytest.mark.parametrize(
    ("intent", "code"),
    [
        ({"side": Side.SELL}, "MAX_NOTIONAL"),
        ({"type": OrderType.MARKET, "price": None}, "MAX_NOTIONAL"),
        ({"type": OrderType.MARKET, "price": None}, "VENUE_FILTER"),
        ({"type": OrderType.MARKET, "price": None}, "BALANCE"),
    ],
)
def test_order_that_needs_the_book_is_blocked_without_it(
    world: Any, intent: Any, code: str
) -> None:
    refused = answer(world, code, world.intent(**intent), best_bid=None, best_ask=None)
    assert refused.verdict is Verdict.BLOCK


@pytest.mark.parametrize("code", [code for code, _ in CHECKS])
def test_check_that_fails_inside_blocks_with_its_own_code_i12(
    world: Any, code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> Check:
        raise RuntimeError("disk on fire")

    rows = tuple((c, broken if c == code else rule) for c, rule in CHECKS)
    monkeypatch.setattr(risk, "CHECKS", rows)
    refused = answer(world, code)
    assert (refused.verdict, refused.code) == (Verdict.BLOCK, code)
    assert "disk" not in refused.text  # an exception's words may hold anything (I10)


@pytest.mark.parametrize(
    "limit", ["max_order_quantity", "max_order_notional", "max_position", "max_session_loss"]
)
@pytest.mark.parametrize("value", ["NaN", "sNaN", "Infinity"])
def test_limit_that_is_not_a_number_blocks(world: Any, limit: str, value: str) -> None:
    bounds = world.limits(**{limit: D(value)})
    assert check_order(world.intent(), world.facts(limits=bounds)).verdict is not Verdict.ALLOW


@pytest.mark.parametrize("value", ["NaN", "sNaN", "Infinity", "-Infinity"])
@pytest.mark.parametrize("field", ["quantity", "price"])
def test_order_that_is_not_a_number_blocks(world: Any, field: str, value: str) -> None:
    intent = world.intent(**{field: D(value)})
    assert check_order(intent, world.facts()).verdict is not Verdict.ALLOW


def test_not_trading_symbol_is_refused(world: Any) -> None:
    halted = msgspec.structs.replace(world.INSTRUMENT, trading=False)
    assert answer(world, "VENUE_FILTER", instrument=halted).verdict is Verdict.BLOCK


@pytest.mark.parametrize(
    ("quantity", "verdict"),
    [
        ("0.1", Verdict.ALLOW),
        ("0.099", Verdict.BLOCK),
        ("1", Verdict.ALLOW),
        ("1.001", Verdict.BLOCK),
    ],
)
def test_venues_own_quantity_bounds_are_inclusive(
    world: Any, quantity: str, verdict: Verdict
) -> None:
    narrow = msgspec.structs.replace(
        world.INSTRUMENT, min_quantity=D("0.1"), max_quantity=D(1), min_notional=D(1)
    )
    intent = world.intent(quantity=D(quantity))
    assert answer(world, "VENUE_FILTER", intent, instrument=narrow).verdict is verdict


def test_locks_that_are_closed_are_all_named(world: Any) -> None:
    bare = msgspec.structs.replace(LOCKED, code="ROSTER", text="")
    refused = answer(world, "LOCKS", locks=(LOCKED, bare))
    assert refused.text == "LOCKS: LOCK_ENV: environment is dev; ROSTER"
    assert (refused.value, refused.limit) == ("2", "0")


def test_headroom_is_what_is_left_before_this_order(world: Any) -> None:
    seen = {
        check.code: check.headroom
        for check in check_order(
            world.intent(),
            world.facts(
                position=D(2),
                session_pnl=D(-30),
                session_orders=20,
                open_orders=(world.open_order(),),
            ),
        ).checks
    }
    assert seen["MAX_POSITION"] == "2"
    assert seen["SESSION_LOSS"] == "70"
    assert seen["BREAKERS"] == "25"
    assert seen["RATE_SESSION"] == "30"
    assert seen["MAX_OPEN_ORDERS"] == "3"
    assert seen["MAX_NOTIONAL"] == "300"
    assert seen["WINDOW"] == "10"
    assert (seen["DATA_AGE"], seen["CLOCK_OFFSET"]) == ("2990", "247")
    assert answer(world, "CLOCK_OFFSET", clock_offset_ms=-300).headroom == "0"
    assert answer(world, "CANCEL_RATIO", day_cancels=2).headroom == "4"
    assert answer(world, "MAX_POSITION", position=D(9)).headroom == "0"


def test_a_count_is_named_once(world: Any) -> None:
    """RATE_SECOND: orders in 1 s, and not "orders in 1 s 3 orders of 2 orders"."""
    allowed = answer(world, "RATE_SECOND")
    assert (allowed.text, allowed.unit) == ("orders in 1 s: 1 of 2", "orders")
    over = answer(world, "RATE_SECOND", recent_submits_us=(NOW, NOW))
    assert over.text == "RATE_SECOND: orders in 1 s: 3 is over 2"
    assert answer(world, "MAX_QUANTITY").text == "quantity 1 BTC of 2 BTC"


def test_duplicate_says_how_old_the_youngest_equal_order_is(world: Any) -> None:
    key = duplicate_key(world.intent())
    recent = ((key, NOW - 700_000), (key, NOW - 300_000), ("other", NOW))
    refused = answer(world, "DUPLICATE", intents_hash_recent=recent)
    assert refused.text == "DUPLICATE: an equal order was sent 300 ms ago"


@pytest.mark.parametrize(
    ("bid", "ask", "usable"),
    [
        ("1", "2", True),
        ("2", "2", True),
        ("2.01", "2", False),
        ("0", "2", False),
        ("-1", "2", False),
    ],
)
def test_book_is_used_only_when_positive_and_not_crossed(
    world: Any, bid: str, ask: str, usable: bool
) -> None:
    book = usable_book(world.facts(best_bid=D(bid), best_ask=D(ask)))
    assert (book == (D(bid), D(ask))) is usable
    assert (book is None) is not usable


def test_reason_reads_as_code_words_and_units(world: Any) -> None:
    refused = answer(world, "MAX_NOTIONAL", world.intent(quantity=D(4)))
    assert refused.text == "MAX_NOTIONAL: notional 400 USDT is over 300 USDT"
    assert (refused.value, refused.limit, refused.unit) == ("400", "300", "USDT")


# --- worst cases -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("orders", "verdict"),
    [
        ([("BUY", "3", "0"), ("BUY", "2", "1")], Verdict.ALLOW),
        ([("BUY", "3", "0"), ("BUY", "2", "0.999")], Verdict.BLOCK),
        ([("SELL", "9", "0"), ("BUY", "4", "0")], Verdict.ALLOW),  # sells do not make room
        ([("SELL", "9", "0"), ("BUY", "4.001", "0")], Verdict.BLOCK),
    ],
)
def test_all_open_buys_count_as_filled_for_a_buy(world: Any, orders: Any, verdict: Verdict) -> None:
    held = tuple(world.open_order(Side(side), q, f) for side, q, f in orders)
    assert answer(world, "MAX_POSITION", open_orders=held).verdict is verdict


@pytest.mark.parametrize(
    ("position", "verdict"), [("-3", Verdict.ALLOW), ("-3.001", Verdict.BLOCK)]
)
def test_all_open_sells_count_as_filled_for_a_sell(
    world: Any, position: str, verdict: Verdict
) -> None:
    held = (world.open_order(Side.SELL, "1"), world.open_order(Side.BUY, "4"))
    sell = world.intent(side=Side.SELL)
    check = answer(world, "MAX_POSITION", sell, position=D(position), open_orders=held)
    assert check.verdict is verdict


def test_order_that_brings_an_excess_position_back_is_allowed(world: Any) -> None:
    sell = world.intent(side=Side.SELL)
    assert answer(world, "MAX_POSITION", sell, position=D(9)).verdict is Verdict.ALLOW
    assert answer(world, "MAX_POSITION", world.intent(), position=D(9)).verdict is Verdict.BLOCK


def test_final_orders_and_other_symbols_do_not_count_unknown_ones_do(world: Any) -> None:
    other = world.open_order(quantity="5", symbol="ETHUSDT")
    done = world.open_order(quantity="5", state=OrderState.CANCELED)
    doubt = world.open_order(quantity="5", state=OrderState.UNKNOWN)
    assert answer(world, "MAX_POSITION", open_orders=(other, done)).verdict is Verdict.ALLOW
    assert answer(world, "MAX_POSITION", open_orders=(doubt,)).verdict is Verdict.BLOCK


def test_open_orders_of_all_symbols_count_toward_their_number(world: Any) -> None:
    three = (world.open_order(symbol="ETHUSDT"),) * 3
    final = (world.open_order(state=OrderState.FILLED),)
    assert answer(world, "MAX_OPEN_ORDERS", open_orders=three + final).verdict is Verdict.ALLOW
    assert answer(world, "MAX_OPEN_ORDERS", open_orders=three * 2).verdict is Verdict.BLOCK
    assert answer(world, "MAX_OPEN_ORDERS", open_orders=(*three, three[0])).verdict is Verdict.BLOCK


def test_market_buy_is_priced_at_the_ask_moved_by_the_collar(world: Any) -> None:
    check = answer(world, "MAX_NOTIONAL", world.market(Side.BUY))
    assert check.value == "101.101"
    exact = {"USDT": (D("101.101"), D(0))}
    short = {"USDT": (D("101.1"), D(0))}
    assert answer(world, "BALANCE", world.market(), balances=exact).verdict is Verdict.ALLOW
    assert answer(world, "BALANCE", world.market(), balances=short).verdict is Verdict.BLOCK


def test_sell_is_valued_at_the_bid_when_that_is_more(world: Any) -> None:
    assert answer(world, "MAX_NOTIONAL", world.market(Side.SELL)).value == "99.9"
    low = world.intent(side=Side.SELL, price=D(99))
    assert answer(world, "MAX_NOTIONAL", low).value == "99.9"
    assert answer(world, "MAX_NOTIONAL", world.intent(side=Side.SELL)).value == "100"


def test_market_order_meets_the_collar_at_the_best_opposite_price(world: Any) -> None:
    wide = {"best_bid": D(98), "best_ask": D(100)}  # mid 99: the ask is 101.01 bps away
    assert answer(world, "PRICE_COLLAR", world.market(Side.BUY), **wide).verdict is Verdict.BLOCK
    assert answer(world, "PRICE_COLLAR", world.market(Side.BUY)).verdict is Verdict.ALLOW
    skew = {"best_bid": D("99.01"), "best_ask": D("100.99")}  # bid and ask 99 bps from mid
    assert answer(world, "PRICE_COLLAR", world.market(Side.SELL), **skew).verdict is Verdict.ALLOW
    edge = {"best_bid": D("98.99"), "best_ask": D("101.01")}
    assert answer(world, "PRICE_COLLAR", world.market(Side.SELL), **edge).verdict is Verdict.BLOCK


def test_sell_needs_the_base_asset_free(world: Any) -> None:
    sell = world.intent(side=Side.SELL)
    enough = {"BTC": (D(1), D(0))}
    locked = {"BTC": (D("0.999"), D(5)), "USDT": (D(999), D(0))}
    assert answer(world, "BALANCE", sell, balances=enough).verdict is Verdict.ALLOW
    assert answer(world, "BALANCE", sell, balances=locked).verdict is Verdict.BLOCK


def test_equal_order_within_a_second_is_a_duplicate_whatever_its_name(world: Any) -> None:
    key = duplicate_key(world.intent(client_order_id="other", quantity=D("1.000")))
    assert (
        answer(world, "DUPLICATE", intents_hash_recent=((key, NOW - 999_999),)).verdict
        is Verdict.BLOCK
    )
    assert (
        answer(world, "DUPLICATE", intents_hash_recent=((key, NOW - 1_000_000),)).verdict
        is Verdict.ALLOW
    )
    other = duplicate_key(world.intent(price=D("100.01")))
    assert answer(world, "DUPLICATE", intents_hash_recent=((other, NOW),)).verdict is Verdict.ALLOW


@given(
    quantity=st.decimals("0.001", "3", places=3),
    price=st.decimals("97", "103", places=2),
    position=st.decimals("-7", "7", places=3),
    side=st.sampled_from(list(Side)),
    pnl=st.decimals("-150", "50", places=2),
)
def test_allowed_means_inside_every_limit(
    world: Any, quantity: D, price: D, position: D, side: Side, pnl: D
) -> None:
    intent = world.intent(quantity=quantity, price=price, side=side)
    decision = check_order(intent, world.facts(position=position, session_pnl=pnl))
    limits = world.LIMITS
    worth = quantity * (price if side is Side.BUY else max(price, D("99.90")))
    far = D("100.10") if side is Side.BUY else D("99.90")
    inside = (
        quantity <= limits.max_order_quantity
        and worth <= limits.max_order_notional
        and position * side.sign + quantity <= limits.max_position
        and abs(price - 100) * 10_000 <= 100 * limits.price_collar_bps
        and (price - far) * side.sign * 10_000 <= far * limits.price_book_bps
        and -pnl <= limits.max_session_loss
        and quantity * price >= world.INSTRUMENT.min_notional
    )
    assert (decision.verdict is Verdict.ALLOW) == inside
