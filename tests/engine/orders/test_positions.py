"""The position ledger: worked examples, and the identities that hold to the last digit."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.contracts.instrument import Instrument
from engine.contracts.order import Side
from engine.orders.positions import PositionLedger, net_profit, split_symbol, unrealized

BUY, SELL = Side.BUY, Side.SELL


def fold(make: Any, *trades: tuple[Side, str, str], **fields: str) -> PositionLedger:
    ledger = PositionLedger()
    events = [
        make.filled(str(i), quantity, price, side=side, **fields)
        for i, (side, quantity, price) in enumerate(trades)
    ]
    for record in make.recorded(events):
        ledger.apply(record)
    return ledger


def test_average_cost_of_two_buys_and_a_sell(make: Any) -> None:
    position = fold(make, (BUY, "1", "100"), (BUY, "1", "110"), (SELL, "1", "120")).position(
        "BTCUSDT"
    )
    assert (position.quantity, position.average_price) == (1, 105)
    assert (position.realized, position.realized_fifo) == (15, 20)
    assert unrealized(position, Decimal(121)) == 16
    assert position.cash == {"BTC": 1, "USDT": -90}


def test_short_position_and_its_crossing_to_long(make: Any) -> None:
    ledger = fold(make, (SELL, "2", "100"), (BUY, "3", "90"))
    position = ledger.position("BTCUSDT")
    assert (position.quantity, position.average_price, position.realized) == (1, 90, 20)
    assert [(lot.quantity, lot.price) for lot in ledger.lots("BTCUSDT")] == [(1, 90)]


def test_third_of_an_uneven_cost_is_whole_again_when_flat(make: Any) -> None:
    ledger = fold(make, (BUY, "3", "100"), (BUY, "0.0007", "33.33"), (SELL, "1", "100"))
    assert ledger.position("BTCUSDT").cost > 0
    flat = fold(
        make,
        (BUY, "3", "100"),
        (BUY, "0.0007", "33.33"),
        (SELL, "1", "100"),
        (SELL, "2.0007", "100"),
    )
    position = flat.position("BTCUSDT")
    assert (position.quantity, position.cost, position.average_price) == (0, 0, None)
    assert (
        position.realized == position.realized_fifo == position.cash["USDT"] == Decimal("0.046669")
    )


def test_base_fee_lowers_the_quantity_and_not_the_average(make: Any) -> None:
    position = fold(make, (BUY, "1", "100"), fee="0.001", fee_asset="BTC").position("BTCUSDT")
    assert (position.quantity, position.average_price) == (Decimal("0.999"), 100)
    assert (position.realized, position.fee_cost) == (0, Decimal("0.1"))
    assert (position.fees, position.cash) == (
        {"BTC": Decimal("0.001")},
        {"BTC": Decimal("0.999"), "USDT": -100},
    )
    assert net_profit(position, Decimal(100)) == Decimal("-0.1")


def test_quote_fee_is_in_net_profit_and_not_in_realized(make: Any) -> None:
    ledger = fold(make, (BUY, "1", "100"), (SELL, "1", "110"), fee="0.1", fee_asset="USDT")
    position = ledger.position("BTCUSDT")
    assert (position.realized, position.fees["USDT"]) == (10, Decimal("0.2"))
    assert net_profit(position, None) == position.cash["USDT"] == Decimal("9.8")


def test_profit_without_a_mark_or_a_fee_price_is_not_known_i12(make: Any) -> None:
    held = fold(make, (BUY, "1", "100"), fee="0.01", fee_asset="BNB").position("BTCUSDT")
    assert net_profit(held, None) is None
    assert net_profit(held, Decimal(100)) is None
    assert net_profit(held, Decimal(101), {"BNB": Decimal(500)}) == -4


def test_trade_counts_once_and_other_sessions_do_not_count(make: Any) -> None:
    ledger = PositionLedger(session_id="mine")
    events = [
        make.filled("1", "1", session="mine"),
        make.filled("1", "1", session="mine"),
        make.filled("2", "5", session="other"),
        make.filled("3", "NaN", session="mine"),
        make.canceled(),
    ]
    for record in make.recorded(events):
        ledger.apply(record)
    assert ledger.position("BTCUSDT").quantity == 1
    assert ledger.position("ETHUSDT").quantity == 0
    assert list(ledger.positions()) == ["BTCUSDT"]


def test_instrument_says_what_base_and_quote_are(make: Any) -> None:
    one = Decimal(1)
    odd = Instrument(
        symbol="BTCUSDT", base="BTCU", quote="SDT", tick_size=one, step_size=one,
        min_quantity=one, max_quantity=one, min_notional=one,
    )  # fmt: skip
    ledger = PositionLedger([odd])
    ledger.apply(make.recorded([make.filled("1", "1", "7")])[0])
    assert (ledger.cash()["BTCU"], ledger.cash()["SDT"]) == (1, -7)


@pytest.mark.parametrize(
    ("symbol", "parts"),
    [
        ("BTCUSDT", ("BTC", "USDT")),
        ("BTCFDUSD", ("BTC", "FDUSD")),
        ("ETHBTC", ("ETH", "BTC")),
        ("XYZ", ("XYZ", "QUOTE")),
    ],
)
def test_symbols_are_split_by_the_known_quotes(symbol: str, parts: tuple[str, str]) -> None:
    assert split_symbol(symbol) == parts


NUMBERS = st.decimals("0.000000000000000001", "999999999999", places=18, allow_nan=False)
FEES = st.decimals("-9", "9", places=18, allow_nan=False)
TRADES = st.lists(
    st.tuples(
        st.sampled_from([BUY, SELL]),
        NUMBERS,
        NUMBERS,
        FEES,
        st.sampled_from(["BTC", "USDT", "BNB"]),
    ),
    max_size=25,
)


@given(trades=TRADES, mark=NUMBERS, flatten=st.booleans())
def test_every_identity_holds_to_the_last_digit(
    make: Any, trades: list[Any], mark: Decimal, flatten: bool
) -> None:
    ledger = PositionLedger()
    base, quote, traded, fee_cost = Fraction(0), Fraction(0), Fraction(0), Fraction(0)
    fees: dict[str, Fraction] = {}

    def book(index: int, side: Side, q: Decimal, p: Decimal, fee: Decimal, asset: str) -> None:
        nonlocal base, quote, traded, fee_cost
        ledger.apply(make.recorded([make.filled(str(index), q, p, fee, asset, side=side)])[0])
        base += side.sign * Fraction(q) - (Fraction(fee) if asset == "BTC" else 0)
        traded -= side.sign * Fraction(q) * Fraction(p)
        quote -= side.sign * Fraction(q) * Fraction(p) + (Fraction(fee) if asset == "USDT" else 0)
        fee_cost += Fraction(fee) * Fraction(p) if asset == "BTC" else 0
        fees[asset] = fees.get(asset, Fraction(0)) + Fraction(fee)

    for index, trade in enumerate(trades):
        book(index, *trade)
    held = ledger.position("BTCUSDT").quantity
    if flatten and held:
        side = SELL if held > 0 else BUY
        book(len(trades), side, held.copy_abs(), mark, Decimal(0), "USDT")

    position = ledger.position("BTCUSDT")
    # quantity and cash conserve
    assert Fraction(position.quantity) == base == Fraction(position.cash.get("BTC", Decimal(0)))
    assert Fraction(position.cash.get("USDT", Decimal(0))) == quote
    assert {a: Fraction(v) for a, v in position.fees.items()} == fees
    # the lots are the position
    assert sum((Fraction(lot.quantity) for lot in ledger.lots("BTCUSDT")), Fraction(0)) == base
    # profit less fees is the cash flow
    assert Fraction(position.fee_cost) == fee_cost
    assert Fraction(position.realized) - fee_cost - Fraction(position.cost) == traded
    value = Fraction(mark) * base
    assert (
        Fraction(position.realized) + Fraction(unrealized(position, mark)) - fee_cost
        == traded + value
    )
    net = net_profit(position, mark, {"BNB": Decimal(2)})
    assert net is not None
    assert Fraction(net) == quote + value - 2 * fees.get("BNB", Fraction(0))
    # cost has the position's sign, and both methods agree when flat
    if base == 0:
        assert position.cost == 0
        assert position.realized == position.realized_fifo
    else:
        assert position.cost * position.quantity >= 0


@given(trades=TRADES)
def test_rounding_of_the_average_cost_is_bounded(make: Any, trades: list[Any]) -> None:
    """Against exact fractions: at most half of 1E-18 a reduction, shrinking with what is held."""
    ledger = PositionLedger()
    quantity, cost, reductions = Fraction(0), Fraction(0), 0
    for index, (side, q, p, _, _) in enumerate(trades):
        ledger.apply(make.recorded([make.filled(str(index), q, p, side=side)])[0])
        signed, price = side.sign * Fraction(q), Fraction(p)
        if quantity * signed < 0:
            closing = -quantity if abs(signed) >= abs(quantity) else signed
            cost *= (quantity + closing) / quantity
            quantity, signed, reductions = quantity + closing, signed - closing, reductions + 1
        quantity += signed
        cost += signed * price
    error = abs(Fraction(ledger.position("BTCUSDT").cost) - cost)
    assert error <= Fraction(reductions, 2 * 10**18)
