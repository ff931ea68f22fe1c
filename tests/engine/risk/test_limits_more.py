"""Exposure, rates of a day, messages, cancel ratio, cooldowns and the two further collars.

As in `test_limits`: allowed at the limit, blocked one unit over it, blocked when a fact is missing.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from engine.contracts.decision import Check, Verdict
from engine.contracts.order import Order, OrderState, OrderType, Side
from engine.orders.positions import Position
from engine.risk.exposure import exposures, least_notional
from engine.risk.facts import Exposure
from engine.risk.limits import check_order

D = Decimal
NOW = 1_000_000_000
S = 1_000_000


def answer(world: Any, code: str, intent: Any = None, **facts: Any) -> Check:
    decision = check_order(intent or world.intent(), world.facts(**facts))
    (check,) = [check for check in decision.checks if check.code == code]
    return check


def row(symbol: str, longest: str, shortest: str, mark: str | None = "100", **more: str) -> Any:
    """An exposure in another symbol."""
    return Exposure(
        symbol=symbol,
        base=more.get("base", symbol.removesuffix("USDT")),
        quote=more.get("quote", "USDT"),
        longest=D(longest),
        shortest=D(shortest),
        mark=None if mark is None else D(mark),
    )


BTC_FLAT = row("BTCUSDT", "0", "0", "100.1")

FACTS = [
    # code, fact, allowed at the limit, blocked just over it
    ("RATE_DAY", "day_orders", 59, 60),
    ("RATE_MESSAGES", "recent_cancels_us", (NOW - 59_999_999,) * 7, (NOW - 59_999_999,) * 8),
    ("RATE_MESSAGES", "recent_cancels_us", (NOW - 60_000_000,) * 9, (NOW + 5,) * 8),
    ("CANCEL_RATIO", "day_cancels", 6, 7),
    ("COOLDOWN_LOSS", "recent_losses_us", (NOW - 30 * S,), (NOW - 30 * S + 1,)),
    ("COOLDOWN_LOSS", "recent_losses_us", (), (NOW + 5 * S,)),
    ("COOLDOWN_REJECTS", "recent_rejects_us", (NOW, NOW), (NOW, NOW, NOW)),
    (
        "COOLDOWN_REJECTS",
        "recent_rejects_us",
        (NOW - 60 * S, NOW - 3, NOW),
        (NOW - 60 * S + 1, NOW - 3, NOW),
    ),
    (
        "COOLDOWN_REJECTS",
        "recent_rejects_us",
        (NOW - 20 * S,) * 3,
        (NOW - 20 * S + 1,) * 3,
    ),
    ("PRICE_LAST", "last_price", D("98.04"), D("98.03")),
    ("PRICE_LAST", "last_price", D("102.04"), D("102.05")),
    ("MAX_GROSS", "exposures", (BTC_FLAT, row("ETHUSDT", "9.009", "0")), None),
    (
        "MAX_GROSS",
        "exposures",
        (BTC_FLAT, row("ETHUSDT", "9.009", "0")),
        (BTC_FLAT, row("ETHUSDT", "9.0091", "0")),
    ),
    (
        "MAX_GROSS",
        "exposures",
        (BTC_FLAT, row("ETHUSDT", "0", "9.009")),
        (BTC_FLAT, row("ETHUSDT", "0", "9.0091")),
    ),
    (
        "MAX_NET",
        "exposures",
        (BTC_FLAT, row("ETHUSDT", "9.009", "99")),
        (BTC_FLAT, row("ETHUSDT", "9.0091", "0")),
    ),
    (
        "MAX_ASSET",
        "exposures",
        (row("BTCUSDT", "9", "-9", "100.1"), row("ETHUSDT", "99", "0")),
        (row("BTCUSDT", "9.0001", "0", "100.1"),),
    ),
]


@pytest.mark.parametrize(("code", "fact", "allowed", "over"), FACTS)
def test_fact_at_the_limit_is_allowed_and_one_unit_over_is_not(
    world: Any, code: str, fact: str, allowed: Any, over: Any
) -> None:
    assert answer(world, code, **{fact: allowed}).verdict is Verdict.ALLOW
    refused = answer(world, code, **{fact: over})
    assert refused.verdict is Verdict.BLOCK
    assert refused.text.startswith(f"{code}: ")


def test_new_codes_allow_in_a_good_world(world: Any) -> None:
    for code in {row[0] for row in FACTS} | {"PRICE_BOOK"}:
        assert answer(world, code).verdict is Verdict.ALLOW


@pytest.mark.parametrize(
    ("code", "facts"),
    [
        ("PRICE_LAST", {"last_price": None}),
        ("PRICE_LAST", {"last_price": D(0)}),
        ("PRICE_LAST", {"last_price": D(-1)}),
        ("PRICE_BOOK", {"best_bid": None}),
        ("PRICE_BOOK", {"best_ask": D("99.89")}),
        ("MAX_GROSS", {"exposures": None}),
        ("MAX_NET", {"exposures": None}),
        ("MAX_ASSET", {"exposures": None}),
        ("MAX_GROSS", {"exposures": ()}),  # the order's own symbol is not among them
        ("MAX_NET", {"exposures": ()}),
        ("MAX_ASSET", {"exposures": ()}),
        ("MAX_GROSS", {"exposures": (row("BTCUSDT", "0", "0", None),)}),
        ("MAX_NET", {"exposures": (row("BTCUSDT", "0", "0", None),)}),
        ("MAX_ASSET", {"exposures": (row("BTCUSDT", "0", "0", None),)}),
        ("MAX_GROSS", {"exposures": (BTC_FLAT, row("ETHUSDT", "1", "0", None))}),
        ("MAX_NET", {"exposures": (BTC_FLAT, row("ETHBTC", "1", "0", "0.05", quote="BTC"))}),
    ],
)
def test_missing_fact_blocks_with_the_code_of_its_check_i12(
    world: Any, code: str, facts: Any
) -> None:
    refused = answer(world, code, **facts)
    assert refused.verdict is Verdict.BLOCK
    assert refused.text.endswith("is not known")


@pytest.mark.parametrize("code", ["MAX_NET", "MAX_ASSET", "MAX_GROSS"])
def test_headroom_of_an_exposure_is_what_is_left_before_the_order(world: Any, code: str) -> None:
    held = (row("BTCUSDT", "3", "-3", "100.1"),)
    assert answer(world, code, exposures=held).headroom == "700.7"
    assert answer(world, code, exposures=(row("BTCUSDT", "30", "0", "100.1"),)).headroom == "0"


@pytest.mark.parametrize(("side", "words"), [(Side.BUY, "longest"), (Side.SELL, "shortest")])
def test_position_is_named_by_its_side(world: Any, side: Side, words: str) -> None:
    text = answer(world, "MAX_POSITION", world.intent(side=side)).text
    assert text.startswith(f"{words} position")


def test_quantity_and_price_of_nothing_are_no_multiples(world: Any) -> None:
    loose = msgspec.structs.replace(world.INSTRUMENT, min_quantity=D(0))
    nothing = answer(world, "VENUE_FILTER", world.intent(quantity=D(0)), instrument=loose)
    assert "quantity 0 is not a multiple" in nothing.text
    free = answer(world, "VENUE_FILTER", world.intent(price=D(0)))
    assert "price 0 is not a multiple" in free.text


def test_least_worth_of_an_order_is_at_its_price_or_the_book_moved_against_it(world: Any) -> None:
    facts = world.facts()
    assert least_notional(world.intent(price=D(101)), facts) == 101
    assert least_notional(world.market(Side.BUY), facts) == D("100.10")
    assert least_notional(world.market(Side.SELL), facts) == D("98.901")
    assert least_notional(world.market(Side.SELL), world.facts(best_bid=None)) is None


def test_price_of_a_symbol_that_is_flat_does_not_matter(world: Any) -> None:
    rows = (BTC_FLAT, row("ETHUSDT", "0", "0", None), row("ETHBTC", "0", "0", quote="BTC"))
    for code in ("MAX_GROSS", "MAX_NET", "MAX_ASSET"):
        assert answer(world, code, exposures=rows).verdict is Verdict.ALLOW


def test_exposure_is_of_the_side_of_the_order(world: Any) -> None:
    sell, short = world.intent(side=Side.SELL), (row("BTCUSDT", "-9", "9.1", "100.1"),)
    for code in ("MAX_GROSS", "MAX_NET", "MAX_ASSET"):
        assert answer(world, code, sell, exposures=short).verdict is Verdict.BLOCK
        assert answer(world, code, exposures=short).verdict is Verdict.ALLOW
        assert answer(world, code, sell, exposures=short).value == "1011.01"


def test_order_that_adds_nothing_to_the_gross_is_allowed_over_the_limit(world: Any) -> None:
    long = (row("BTCUSDT", "20", "-20", "100.1"),)
    sell = world.intent(side=Side.SELL)
    assert answer(world, "MAX_GROSS", sell, exposures=long).text == "adds nothing to 2002 USDT"
    assert answer(world, "MAX_GROSS", exposures=long).verdict is Verdict.BLOCK


def test_asset_is_counted_over_all_symbols_with_that_base_and_no_other(world: Any) -> None:
    other = row("BTCFDUSD", "0.0001", "0", "1", base="BTC")
    full = row("BTCUSDT", "9", "0", "100.1")
    assert answer(world, "MAX_ASSET", exposures=(full, other)).verdict is Verdict.BLOCK
    elsewhere = row("ETHUSDT", "0.0001", "0", "1")
    assert answer(world, "MAX_ASSET", exposures=(full, elsewhere)).verdict is Verdict.ALLOW


@pytest.mark.parametrize(
    ("side", "price", "verdict"),
    [
        (Side.BUY, "100.60", Verdict.ALLOW),  # 49.95 bps over the ask
        (Side.BUY, "100.61", Verdict.BLOCK),
        (Side.BUY, "90", Verdict.ALLOW),  # rests: it reaches through nothing
        (Side.SELL, "99.41", Verdict.ALLOW),
        (Side.SELL, "99.40", Verdict.BLOCK),
        (Side.SELL, "110", Verdict.ALLOW),
    ],
)
def test_price_may_reach_through_the_far_side_so_much_and_no_more(
    world: Any, side: Side, price: str, verdict: Verdict
) -> None:
    assert answer(world, "PRICE_BOOK", world.intent(side=side, price=D(price))).verdict is verdict


def test_exact_bound_of_the_book_collar_is_allowed(world: Any) -> None:
    edge = {"best_bid": D(100), "best_ask": D(100)}
    for side, price, over in ((Side.BUY, "100.5", "100.51"), (Side.SELL, "99.5", "99.49")):
        at, past = (world.intent(side=side, price=D(one)) for one in (price, over))
        assert answer(world, "PRICE_BOOK", at, **edge).verdict is Verdict.ALLOW
        assert answer(world, "PRICE_BOOK", at, **edge).value == "50"
        assert answer(world, "PRICE_BOOK", past, **edge).verdict is Verdict.BLOCK


def test_exact_bound_of_the_last_trade_is_allowed(world: Any) -> None:
    for price, verdict in (("102", Verdict.ALLOW), ("102.01", Verdict.BLOCK)):
        check = answer(world, "PRICE_LAST", world.intent(price=D(price)))
        assert check.verdict is verdict


def test_market_order_is_judged_by_the_best_opposite_price(world: Any) -> None:
    assert answer(world, "PRICE_BOOK", world.market(Side.BUY)).value == "0"
    assert answer(world, "PRICE_LAST", world.market(Side.BUY)).value == "10"
    assert answer(world, "PRICE_LAST", world.market(Side.SELL), last_price=D(90)).value == "1100"
    without = answer(world, "PRICE_LAST", world.market(Side.BUY), best_bid=None)
    assert without.verdict is Verdict.BLOCK


@pytest.mark.parametrize("code", ["PRICE_COLLAR", "PRICE_LAST", "PRICE_BOOK"])
def test_limit_order_without_a_price_meets_no_collar(world: Any, code: str) -> None:
    bare = world.intent(type=OrderType.LIMIT, price=None)
    assert answer(world, code, bare).text == f"{code}: price is not known"


def test_cancels_of_the_day_may_be_so_many_for_each_order(world: Any) -> None:
    assert answer(world, "CANCEL_RATIO", day_orders=10, day_cancels=15).verdict is Verdict.ALLOW
    assert answer(world, "CANCEL_RATIO", day_orders=10, day_cancels=16).verdict is Verdict.BLOCK
    assert answer(world, "CANCEL_RATIO", day_orders=3, day_cancels=6).limit == "6"


def test_orders_and_cancels_are_messages(world: Any) -> None:
    sent = {"recent_submits_us": (NOW,) * 4, "recent_cancels_us": (NOW,) * 3}
    check = answer(world, "RATE_MESSAGES", **sent)
    assert (check.verdict, check.value, check.headroom) == (Verdict.ALLOW, "8", "1")


def test_cooldown_says_how_long_it_lasts(world: Any) -> None:
    refused = answer(world, "COOLDOWN_LOSS", recent_losses_us=(NOW - 99 * S, NOW - 28_500_000))
    assert refused.text == "COOLDOWN_LOSS: 1.5 s left of 30 s after a losing close"
    assert (refused.value, refused.limit, refused.unit) == ("1.5", "0", "s")
    burst = answer(world, "COOLDOWN_REJECTS", recent_rejects_us=(NOW,) * 3)
    assert burst.text.endswith("20 s left of 20 s after more than 2 rejects in 60 s")


def test_cooldown_of_no_length_never_blocks(world: Any) -> None:
    bounds = world.limits(cooldown_loss_seconds=0, cooldown_rejects_seconds=0)
    recent = {"recent_losses_us": (NOW,), "recent_rejects_us": (NOW,) * 9}
    for code in ("COOLDOWN_LOSS", "COOLDOWN_REJECTS"):
        assert answer(world, code, limits=bounds, **recent).verdict is Verdict.ALLOW


def test_rejects_count_by_their_times_and_not_by_their_order(world: Any) -> None:
    mixed = (NOW, NOW - 70 * S, NOW - 1, NOW - 2)
    assert answer(world, "COOLDOWN_REJECTS", recent_rejects_us=mixed).verdict is Verdict.BLOCK


@pytest.mark.parametrize("limit", ["max_gross_exposure", "max_net_exposure", "max_asset_exposure"])
@pytest.mark.parametrize("value", ["NaN", "sNaN", "Infinity"])
def test_limit_that_is_not_a_number_blocks(world: Any, limit: str, value: str) -> None:
    bounds = world.limits(**{limit: D(value)})
    assert check_order(world.intent(), world.facts(limits=bounds)).verdict is Verdict.BLOCK


# --- balance ------------------------------------------------------------------------------------


def test_what_is_on_its_way_is_not_free_any_more(world: Any) -> None:
    """Two buys of 100 at once, and 150 in the account: the second one does not fit."""
    rich = {"USDT": (D(150), D(0)), "BTC": (D("2.5"), D(0))}
    sent = world.open_order(state=OrderState.SUBMITTED)
    answered = world.open_order()  # the venue's balance shows what it holds back for this one
    assert answer(world, "BALANCE", balances=rich, open_orders=(answered,)).verdict is Verdict.ALLOW
    short = answer(world, "BALANCE", balances=rich, open_orders=(sent, answered))
    assert short.text == ("BALANCE: beside 100 on its way, needed balance 100 USDT is over 50 USDT")
    exact = {"USDT": (D(200), D(0))}
    assert answer(world, "BALANCE", balances=exact, open_orders=(sent,)).verdict is Verdict.ALLOW
    sell = world.intent(side=Side.SELL, quantity=D(1))
    selling = world.open_order(Side.SELL, "1.5", state=OrderState.SUBMITTED)
    for orders, verdict in (((selling,), Verdict.ALLOW), ((selling, selling), Verdict.BLOCK)):
        told = answer(world, "BALANCE", sell, balances=rich, open_orders=orders)
        assert told.verdict is verdict
    # A sell takes no quote, a buy no base; nothing is below nothing.
    assert answer(world, "BALANCE", balances=rich, open_orders=(selling,)).headroom == "150"
    assert answer(world, "BALANCE", sell, balances=rich, open_orders=(sent,)).headroom == "2.5"
    many = answer(world, "BALANCE", balances=rich, open_orders=(sent, sent))
    assert many.headroom == "0"


def test_a_market_order_on_its_way_is_priced_at_its_worst_or_is_doubt_i12(world: Any) -> None:
    sent = world.open_order(state=OrderState.SUBMITTED)
    sent = msgspec.structs.replace(sent, intent=world.market())
    told = answer(world, "BALANCE", open_orders=(sent,))
    assert told.headroom == "898.899"  # 1000 less the ask of 100.10 and its collar of 1 %
    for rows in ((world.exposure(mark=None),), (world.exposure(symbol="ETHUSDT"),), None):
        assert answer(world, "BALANCE", open_orders=(sent,), exposures=rows).text == (
            "BALANCE: what orders on their way take is not known"
        )


# --- losses -------------------------------------------------------------------------------------


def test_the_larger_of_the_sessions_two_losses_counts_and_is_named(world: Any) -> None:
    """What was lost is lost, whatever the open position shows; and the other way round."""
    lost = answer(world, "SESSION_LOSS", session_realised=D("-100.01"), session_pnl=D(50))
    assert lost.text == "SESSION_LOSS: session loss, realised 100.01 USDT is over 100 USDT"
    marked = answer(world, "SESSION_LOSS", session_realised=D(50), session_pnl=D("-100.01"))
    assert marked.text.startswith("SESSION_LOSS: session loss, marked 100.01 USDT")
    assert answer(world, "SESSION_LOSS", session_realised=D(-7)).text.startswith(
        "session loss, realised 7 USDT of 100"
    )
    same = answer(world, "SESSION_LOSS", session_realised=D(-7), session_pnl=D(-7))
    assert same.text.startswith("session loss, marked")


def test_the_closest_breaker_is_told_and_one_that_is_over_or_not_known_blocks(world: Any) -> None:
    day, fall = world.breaker(), world.breaker(name="DRAWDOWN", limit=D(1000), unit="bps")
    near = answer(world, "BREAKERS", breakers=(fall, day))
    assert (near.text, near.value, near.limit) == ("DAY_LOSS 25 of 50 USDT", "", "")
    assert (near.headroom, near.unit) == ("25", "USDT")
    none = msgspec.structs.replace(fall, used=D(0), limit=D(0))
    assert answer(world, "BREAKERS", breakers=(day, none)).text == "DRAWDOWN 0 of 0 bps"
    at = answer(world, "BREAKERS", breakers=(world.breaker(used=D(50)), fall))
    assert (at.verdict, at.headroom) == (Verdict.ALLOW, "0")
    over = world.breaker(used=D("50.01"))
    past = answer(world, "BREAKERS", breakers=(over, msgspec.structs.replace(fall, used=D(1001))))
    assert past.verdict is Verdict.BLOCK
    assert past.text == (
        "BREAKERS: DAY_LOSS 50.01 USDT is over 50 USDT; DRAWDOWN 1001 bps is over 1000 bps"
    )
    assert past.headroom == "0"
    blind = answer(world, "BREAKERS", breakers=(day, msgspec.structs.replace(fall, used=None)))
    assert (blind.verdict, blind.text) == (
        Verdict.BLOCK,
        (
            "BREAKERS: where DRAWDOWN stands, for want of a price, or of a quote balance at the go,"
            " is not known"
        ),
    )


# --- where exposures come from -------------------------------------------------------------------


def held(symbol: str, quantity: str) -> Position:
    return Position(symbol=symbol, base="BTC", quote="USDT", quantity=D(quantity))


def rows_of(world: Any, positions: dict[str, Position], orders: tuple[Order, ...]) -> Any:
    instruments = {"BTCUSDT": world.INSTRUMENT}
    return exposures(positions, orders, instruments, {"BTCUSDT": D(100)})


def test_exposure_is_the_position_and_all_that_may_still_fill(world: Any) -> None:
    orders = (
        world.open_order(Side.BUY, "3", "1"),
        world.open_order(Side.SELL, "4"),
        world.open_order(Side.BUY, "1", "2"),  # told more than it asked for: nothing rests
    )
    (seen,) = rows_of(world, {"BTCUSDT": held("BTCUSDT", "-1.5")}, orders)
    assert (seen.longest, seen.shortest, seen.mark) == (D("0.5"), D("5.5"), D(100))
    assert (seen.base, seen.quote) == ("BTC", "USDT")


def test_symbol_without_orders_or_position_is_flat(world: Any) -> None:
    (seen,) = rows_of(world, {}, ())
    assert (seen.longest, seen.shortest) == (0, 0)


@pytest.mark.parametrize("side", list(Side))
def test_symbol_that_has_no_instrument_makes_all_exposure_unknown(world: Any, side: Side) -> None:
    assert rows_of(world, {"ETHUSDT": held("ETHUSDT", "1")}, ()) is None
    assert rows_of(world, {}, (world.open_order(side, symbol="ETHUSDT"),)) is None
