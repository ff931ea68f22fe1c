"""The equity curve against a second bookkeeping in fractions, to the last digit."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from engine.contracts.order import Side
from engine.orders.equity import EquityCurve

BUY, SELL = Side.BUY, Side.SELL


def curve_of(make: Any, *events: Any) -> EquityCurve:
    curve = EquityCurve()
    for record in make.recorded(events):
        curve.apply(record)
    return curve


def test_curve_of_a_buy_a_mark_and_a_sell(make: Any) -> None:
    curve = curve_of(make, make.filled("1", "2", "100", "0.2", "USDT"))
    curve.mark("BTCUSDT", Decimal(103), 77)
    curve.apply(make.recorded([make.filled("2", "1", "105", "0.1", "USDT", side=SELL)])[0])
    first, marked, last = curve.points
    assert (first.before_fees, first.fees, first.net) == (0, Decimal("0.2"), Decimal("-0.2"))
    assert (marked.trade_id, marked.time_us, marked.before_fees) == ("", 77, 6)
    assert (last.realized, last.unrealized, last.before_fees) == (5, 5, 10)
    assert last.net == Decimal("9.7")


def test_a_fee_in_a_third_asset_is_listed_until_it_has_a_price_i12(make: Any) -> None:
    curve = curve_of(make, make.filled("1", "1", "100", "0.01", "BNB"))
    assert curve.points[0].unpriced == {"BNB": Decimal("0.01")}
    assert curve.points[0].net is None
    curve.price_fee("BNB", "EUR", Decimal(400))  # a price in another currency is none
    unpriced = curve.mark("BTCUSDT", Decimal(100), 1)
    assert unpriced is not None
    assert unpriced.net is None
    curve.price_fee("BNB", "USDT", Decimal(500))
    priced = curve.mark("BTCUSDT", Decimal(100), 2)
    assert priced is not None
    assert (priced.fees, priced.unpriced, priced.net) == (5, {}, -5)


def test_a_trade_told_twice_is_one_point_and_an_untraded_symbol_has_none(make: Any) -> None:
    curve = curve_of(make, make.filled(), make.filled(), make.canceled(), make.filled("2", "NaN"))
    assert len(curve.points) == 1
    assert curve.mark("ETHUSDT", Decimal(1), 1) is None
    assert len(curve.points) == 1


class Books:
    """A second bookkeeping, as slow and plain as can be: every unit of every lot in fractions."""

    def __init__(self) -> None:
        self.trades: list[tuple[Fraction, Fraction]] = []  # signed quantity, price
        self.fees: list[tuple[str, Fraction, Fraction]] = []  # asset, amount, price of the trade
        self.base = self.quote = Fraction(0)

    def trade(self, side: Side, quantity: Decimal, price: Decimal) -> None:
        signed = side.sign * Fraction(quantity)
        self.trades.append((signed, Fraction(price)))
        self.base += signed
        self.quote -= signed * Fraction(price)

    def fee(self, asset: str, amount: Decimal, price: Decimal) -> None:
        self.fees.append((asset, Fraction(amount), Fraction(price)))
        if asset == "USDT":
            self.quote -= Fraction(amount)
        if asset == "BTC" and amount:
            # paid out of what is held: a sale at the trade's own price that pays the fee
            self.trades.append((-Fraction(amount), Fraction(price)))
            self.base -= Fraction(amount)

    def fifo(self) -> Fraction:
        """Realized by first in, first out, from the very first trade on."""
        lots: list[list[Fraction]] = []
        realized = Fraction(0)
        for signed, price in self.trades:
            rest = signed
            while rest and lots and lots[0][0] * rest < 0:
                taken = min(abs(rest), abs(lots[0][0]))
                direction = 1 if lots[0][0] > 0 else -1
                realized += direction * taken * (price - lots[0][1])
                lots[0][0] -= direction * taken
                rest += direction * taken
                if not lots[0][0]:
                    lots.pop(0)
            if rest:
                lots.append([rest, price])
        return realized

    def average(self) -> Fraction:
        """Realized by average cost."""
        held = cost = realized = Fraction(0)
        for signed, price in self.trades:
            rest = signed
            if held * rest < 0:
                closing = -held if abs(rest) >= abs(held) else rest
                realized -= closing * (price - cost / held)
                cost *= (held + closing) / held
                held, rest = held + closing, rest - closing
            held, cost = held + rest, cost + rest * price
        return realized

    def fee_value(self, bnb: Fraction) -> Fraction:
        worth = {"USDT": Fraction(1), "BNB": bnb}
        return sum(
            (amount * worth.get(asset, price) for asset, amount, price in self.fees), Fraction(0)
        )


NUMBERS = st.decimals("0.000000000000000001", "99999999", places=18, allow_nan=False)
ROUND = st.sampled_from([Decimal(1), Decimal(2), Decimal(3), Decimal("0.5")])
TRADES = st.lists(
    st.tuples(
        st.sampled_from([BUY, SELL]),
        st.one_of(ROUND, NUMBERS),
        st.one_of(ROUND, NUMBERS),
        st.decimals("-0.4", "0.4", places=18, allow_nan=False),
        st.sampled_from(["BTC", "USDT", "BNB"]),
    ),
    min_size=1,
    max_size=12,
)


@given(trades=TRADES, mark=NUMBERS, bnb=NUMBERS)
def test_every_point_equals_the_second_bookkeeping(
    make: Any, trades: Sequence[Any], mark: Decimal, bnb: Decimal
) -> None:
    curve, books = EquityCurve(), Books()
    curve.price_fee("BNB", "USDT", bnb)
    for index, (side, quantity, price, fee, asset) in enumerate(trades):
        event = make.filled(str(index), quantity, price, fee, asset, side=side)
        point = curve.apply(make.recorded([event])[0])
        assert point is not None
        books.trade(side, quantity, price)
        books.fee(asset, fee, price)
        _agrees(curve, books, price, bnb, index + 1)
    curve.mark("BTCUSDT", mark, 99)
    _agrees(curve, books, mark, bnb, len(trades))


def _agrees(curve: EquityCurve, books: Books, mark: Decimal, bnb: Decimal, trades: int) -> None:
    point = curve.points[-1]
    held = curve.positions.position("BTCUSDT")
    # quantities conserve: trades, cash and lots say the same
    lots = curve.positions.lots("BTCUSDT")
    assert Fraction(point.quantity) == books.base
    assert sum((Fraction(lot.quantity) for lot in lots), Fraction(0)) == books.base
    # before fees the curve is what was traded, priced fees in base included, and what is held
    assert Fraction(point.before_fees) == Fraction(point.realized) + Fraction(point.unrealized)
    # profit less fees is the cash flow, to the last digit
    third = Fraction(bnb) * sum((a for asset, a, _ in books.fees if asset == "BNB"), Fraction(0))
    own_fees = Fraction(point.fees) - third
    assert Fraction(point.fees) == books.fee_value(Fraction(bnb))
    assert Fraction(point.before_fees) - own_fees == books.quote + books.base * Fraction(mark)
    assert point.net is not None
    assert Fraction(point.net) == books.quote + books.base * Fraction(mark) - third
    # both methods: lots exactly, average cost but for the rounding of its divisions
    assert Fraction(held.realized_fifo) == books.fifo()
    assert abs(Fraction(held.realized) - books.average()) <= Fraction(trades, 10**18)
