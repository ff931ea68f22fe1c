"""The market before the start: bars, and the trades that they are made of.

Clients back-fill, so the past must hold together: bars of every length, trades, aggregated trades
and seconds of the past agree to the last digit. A past minute is kept as seven *runs* (price,
quantity, number of trades, taker's side) from which its bar is summed; the single trades of a
minute are worked out when somebody asks for them, from a seed that belongs to the minute, and are
the same each time. Ids count backwards from the first live one; where they reach zero the past
has no more trades and the price stands still.

Deterministic and pure: a seed, a price and a time make one past. Floats shape it; what comes out is
whole ticks and steps.
"""

from __future__ import annotations

import random
from bisect import bisect_right
from collections.abc import Iterator, Sequence

import msgspec

from engine.sandbox.candles import MINUTE_MS, Bar
from engine.sandbox.orders import Trade

_MINUTE_US = MINUTE_MS * 1000
#: About as many trades and as much volume a minute as the live flow makes.
_TRADES, _VOLUME = 1_200, 1_500_000


class _Run(msgspec.Struct, frozen=True):
    """Trades in a row at one price (ticks, steps)."""

    price: int
    quantity: int
    count: int
    taker_buys: bool


class _Minute(msgspec.Struct, frozen=True):
    """One minute of the past; without runs nothing was traded in it."""

    open_ms: int
    first_id: int
    runs: tuple[_Run, ...]

    @property
    def end_id(self) -> int:
        """The id after its last trade."""
        return self.first_id + sum(run.count for run in self.runs)


class History:
    """`minutes` of past that end at the start of the current minute, at `price` (ticks).

    `first_id` is the first id of the live market.
    """

    def __init__(self, seed: int, price: int, first_id: int, now_us: int, minutes: int) -> None:
        draw = random.Random(seed ^ 0x5EED)  # noqa: S311  (a simulation, not a secret)
        self._seed = seed
        self.end_id = first_id
        end_ms = now_us // _MINUTE_US * MINUTE_MS
        close = price
        made: list[_Minute] = []
        bars: list[Bar] = []
        for back in range(1, minutes + 1):
            runs = _runs(draw, close, first_id - 1)
            first_id -= sum(run.count for run in runs)
            minute = _Minute(end_ms - back * MINUTE_MS, first_id, runs)
            made.append(minute)
            bars.append(_bar(minute, close))
            close = bars[-1].open
        self._minutes = made[::-1]
        self._opens = [minute.open_ms for minute in self._minutes]
        self._ids = [minute.first_id for minute in self._minutes]
        #: Minute bars, oldest first.
        self.bars = bars[::-1]
        self.first_id = first_id

    def from_id(self, trade_id: int) -> Iterator[Trade]:
        """Trades with this id or a later one, oldest first."""
        start = max(0, bisect_right(self._ids, trade_id) - 1)
        for minute in self._minutes[start:]:
            for trade in self._trades(minute):
                if trade.trade_id >= trade_id:
                    yield trade

    def between(self, start_us: int, end_us: int) -> Iterator[Trade]:
        """Trades of a span of time (both ends count), oldest first."""
        start = max(0, bisect_right(self._opens, start_us // 1000) - 1)
        end = bisect_right(self._opens, end_us // 1000)
        for minute in self._minutes[start:end]:
            for trade in self._trades(minute):
                if start_us <= trade.time_us <= end_us:
                    yield trade

    def newest(self, count: int, end_us: int | None = None) -> list[Trade]:
        """The last `count` trades up to a moment, oldest first."""
        end = len(self._minutes)
        if end_us is not None:
            end = bisect_right(self._opens, end_us // 1000)
        found: list[Trade] = []
        while end and len(found) < count:
            end -= 1
            trades = [
                t for t in self._trades(self._minutes[end]) if not end_us or t.time_us <= end_us
            ]
            found = trades + found
        return found[-count:] if count > 0 else []

    def _trades(self, minute: _Minute) -> list[Trade]:
        """The trades of one minute, spread evenly over it; sizes as uneven as real ones."""
        draw = random.Random(self._seed ^ minute.open_ms)  # noqa: S311  (a simulation)
        total, made = minute.end_id - minute.first_id, 0
        trades: list[Trade] = []
        for run in minute.runs:
            for quantity in _split(draw, run.quantity, run.count):
                trade_id = minute.first_id + made
                trades.append(
                    Trade(
                        trade_id=trade_id,
                        price=run.price,
                        quantity=quantity,
                        time_us=minute.open_ms * 1000 + made * _MINUTE_US // total,
                        buyer_is_maker=not run.taker_buys,
                        taker_order_id=trade_id,
                    )
                )
                made += 1
        return trades


def _runs(draw: random.Random, close: int, room: int) -> tuple[_Run, ...]:
    """A minute that ends at `close`: opening, one extreme, the other, closing, and what is between.

    Without `room` for its ids there is no trade.
    """
    opened = max(close + int(draw.gauss(0.0, 1_800.0)), 1_000)
    high = max(opened, close) + int(draw.expovariate(1 / 900.0))
    low = max(min(opened, close) - int(draw.expovariate(1 / 900.0)), 1)
    count = int(draw.lognormvariate(0.0, 0.4) * _TRADES) + 7
    if count > room:
        return ()
    volume = int(draw.lognormvariate(0.0, 0.6) * _VOLUME) + 7 * count
    first, second = (low, high) if close > opened else (high, low)
    prices = (
        opened,
        (opened + first) // 2,
        first,
        (first + second) // 2,
        second,
        (second + close) // 2,
        close,
    )
    runs = []
    before = opened
    for number, price in enumerate(prices):
        left = 7 - number
        some, size = count, volume
        if left > 1:
            some = max(1, int(count / left * (0.5 + 0.9 * draw.random())))
            # A step for each trade is set aside first, so that no trade is empty.
            size = some + int((volume - count) / left * (0.4 + 1.1 * draw.random()))
        count -= some
        volume -= size
        buys = price > before if price != before else draw.random() < 0.5
        runs.append(_Run(price, size, some, buys))
        before = price
    return tuple(runs)


def _bar(minute: _Minute, close: int) -> Bar:
    bar = Bar(minute.open_ms, close, close, close, close)
    if not minute.runs:
        return bar
    bar.open = minute.runs[0].price
    for run in minute.runs:
        value = run.price * run.quantity
        bar.high, bar.low = max(bar.high, run.price), min(bar.low, run.price)
        bar.volume += run.quantity
        bar.value += value
        bar.trades += run.count
        if run.taker_buys:
            bar.taker_volume += run.quantity
            bar.taker_value += value
    bar.first_id, bar.last_id = minute.first_id, minute.end_id - 1
    return bar


def _split(draw: random.Random, quantity: int, count: int) -> Sequence[int]:
    """A quantity in `count` uneven parts, none of them empty."""
    weights = [draw.expovariate(1.0) ** 2 for _ in range(count)]
    share = (quantity - count) / (sum(weights) or 1.0)
    parts = [1 + int(weight * share) for weight in weights]
    over = sum(parts) - quantity
    # Rounding leaves a few steps: the largest part takes them.
    parts[parts.index(max(parts))] -= over
    return parts
