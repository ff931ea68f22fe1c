"""The equity curve: what the session's trading was worth, after each fill and at each mark. Pure.

Theory. A point is made of nothing but the position ledger's exact sums and one price, so the curve
cannot drift from the ledger. Before fees it is `realized + unrealized`; fees in base and quote are
taken off at their own value, fees in a third asset only at a price that was given for them, else
they are listed beside the figure and the net is not known (I12). To the last digit, for every point

    before_fees - fees in base and quote  =  quote cash flow + quantity held * mark

because both sides are the same exact sums (`positions`): money is neither made nor lost by keeping
the books. All times are µs UTC, amounts in the symbol's quote asset.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

import msgspec

from engine.contracts.event import OrderFilled, Recorded
from engine.contracts.instrument import Instrument
from engine.orders.exact import add, subtract, tidy
from engine.orders.positions import PositionLedger, fees_in_quote, unrealized


class EquityPoint(msgspec.Struct, frozen=True, kw_only=True):
    """One symbol at one moment. `trade_id` is "" at a mark that is no trade of ours.

    `quantity` in base, net of base fees; `average_price` None when flat. `fees` is the quote value
    of all fees so far that have a price, `unpriced` the amounts of the others by asset.
    """

    time_us: int
    symbol: str
    trade_id: str
    quantity: Decimal
    average_price: Decimal | None
    mark: Decimal
    realized: Decimal
    unrealized: Decimal
    before_fees: Decimal
    fees: Decimal
    unpriced: dict[str, Decimal] = {}

    @property
    def net(self) -> Decimal | None:
        """Equity after all fees, or None while a fee has no price."""
        return None if self.unpriced else tidy(subtract(self.before_fees, self.fees))


class EquityCurve:
    """Folds the journal's fills, takes marks, and keeps the points in the order they came."""

    def __init__(
        self, instruments: Iterable[Instrument] = (), session_id: str | None = None
    ) -> None:
        self.positions = PositionLedger(instruments, session_id)
        self.points: list[EquityPoint] = []
        self._fee_prices: dict[tuple[str, str], Decimal] = {}

    def apply(self, recorded: Recorded) -> EquityPoint | None:
        """Fold one record; the point of a trade that is new, at the trade's own price."""
        if not self.positions.apply(recorded):
            return None
        event = recorded.event
        assert isinstance(event, OrderFilled)
        fill = event.fill
        return self._point(
            fill.symbol, fill.price, fill.time_us or recorded.ts_us, trade_id=fill.trade_id
        )

    def mark(self, symbol: str, price: Decimal, time_us: int) -> EquityPoint | None:
        """The point at a price of the market; None for a symbol that was never traded."""
        if symbol not in self.positions.positions():
            return None
        return self._point(symbol, price, time_us, trade_id="")

    def price_fee(self, asset: str, quote: str, price: Decimal) -> None:
        """From now on fees in `asset` are worth so much `quote` each."""
        self._fee_prices[asset, quote] = price

    def _point(self, symbol: str, price: Decimal, time_us: int, *, trade_id: str) -> EquityPoint:
        held = self.positions.position(symbol)
        prices = {
            asset: value
            for (asset, quote), value in self._fee_prices.items()
            if quote == held.quote
        }
        fees, unpriced = fees_in_quote(held, prices)
        open_profit = unrealized(held, price)
        point = EquityPoint(
            time_us=time_us,
            symbol=symbol,
            trade_id=trade_id,
            quantity=held.quantity,
            average_price=held.average_price,
            mark=price,
            realized=held.realized,
            unrealized=tidy(open_profit),
            before_fees=tidy(add(held.realized, open_profit)),
            fees=tidy(fees),
            unpriced=unpriced,
        )
        self.points.append(point)
        return point
