"""Bars from trades: one pure aggregator for the live tape, the history and the recordings.

A bar holds integers only. Prices, quantities and values are in the caller's units (ticks and
steps in the sandbox, 1e-8 in recordings); times are ms UTC.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

MINUTE_MS = 60_000

#: Interval name -> length in ms; weeks start on Monday, months are by calendar.
INTERVALS: dict[str, int] = {
    "1s": 1_000,
    "1m": MINUTE_MS,
    "3m": 3 * MINUTE_MS,
    "5m": 5 * MINUTE_MS,
    "15m": 15 * MINUTE_MS,
    "30m": 30 * MINUTE_MS,
    "1h": 60 * MINUTE_MS,
    "2h": 120 * MINUTE_MS,
    "4h": 240 * MINUTE_MS,
    "6h": 360 * MINUTE_MS,
    "8h": 480 * MINUTE_MS,
    "12h": 720 * MINUTE_MS,
    "1d": 1440 * MINUTE_MS,
    "3d": 4320 * MINUTE_MS,
    "1w": 10080 * MINUTE_MS,
    "1M": 43200 * MINUTE_MS,
}
#: 1970-01-01 was a Thursday: weeks are counted from the Monday before.
_MONDAY_MS = 3 * 1440 * MINUTE_MS


@dataclass(slots=True)
class Bar:
    """One bar; `value` is the sum of price times quantity, `trades` a count."""

    open_ms: int
    open: int
    high: int
    low: int
    close: int
    volume: int = 0
    value: int = 0
    trades: int = 0
    taker_volume: int = 0
    taker_value: int = 0
    first_id: int = -1
    last_id: int = -1

    def merge(self, later: Bar) -> None:
        """Take in the bar that follows."""
        self.high = max(self.high, later.high)
        self.low = min(self.low, later.low)
        self.close = later.close
        self.volume += later.volume
        self.value += later.value
        self.trades += later.trades
        self.taker_volume += later.taker_volume
        self.taker_value += later.taker_value
        if self.first_id < 0:
            self.first_id = later.first_id
        self.last_id = max(self.last_id, later.last_id)


def open_of(interval: str, at_ms: int, zone_ms: int = 0) -> int:
    """The open time of the bar that holds a moment; days begin `zone_ms` before UTC's."""
    if interval == "1M":
        first = _day(at_ms + zone_ms).replace(day=1)
        return int(first.timestamp() * 1000) - zone_ms
    length = INTERVALS[interval]
    shift = zone_ms + (_MONDAY_MS if interval == "1w" else 0)
    return (at_ms + shift) // length * length - shift


def end_of(interval: str, open_ms: int, zone_ms: int = 0) -> int:
    """The open time of the next bar."""
    if interval == "1M":
        later = _day(open_ms + zone_ms) + timedelta(days=32)
        return int(later.replace(day=1).timestamp() * 1000) - zone_ms
    return open_ms + INTERVALS[interval]


def _day(at_ms: int) -> datetime:
    return datetime.fromtimestamp(at_ms // 1000, UTC).replace(hour=0, minute=0, second=0)


class Candles:
    """Bars of one fixed length in ms, ascending, without holes between trades' bars."""

    def __init__(self, length_ms: int, keep: int = 50_000) -> None:
        self.length_ms = length_ms
        self.bars: list[Bar] = []
        self._keep = keep

    def add(
        self, at_ms: int, price: int, quantity: int, *, taker_buys: bool, trade_id: int
    ) -> None:
        """Count a trade. Trades come in time order."""
        self.roll(at_ms)
        open_ms = at_ms // self.length_ms * self.length_ms
        if not self.bars or self.bars[-1].open_ms < open_ms:
            self.bars.append(Bar(open_ms, price, price, price, price))
        bar = self.bars[-1]
        if not bar.trades:
            bar.open = bar.high = bar.low = price
        value = price * quantity
        bar.high = max(bar.high, price)
        bar.low = min(bar.low, price)
        bar.close = price
        bar.volume += quantity
        bar.value += value
        bar.trades += 1
        bar.taker_volume += quantity if taker_buys else 0
        bar.taker_value += value if taker_buys else 0
        bar.first_id = trade_id if bar.first_id < 0 else bar.first_id
        bar.last_id = trade_id

    def roll(self, at_ms: int) -> None:
        """Make the bars up to a moment: one without trades repeats the close before it."""
        if not self.bars:
            return
        open_ms = at_ms // self.length_ms * self.length_ms
        while self.bars[-1].open_ms < open_ms:
            last = self.bars[-1]
            close = last.close
            self.bars.append(Bar(last.open_ms + self.length_ms, close, close, close, close))
        if len(self.bars) > self._keep:
            del self.bars[: len(self.bars) - self._keep]

    def since(self, from_ms: int) -> list[Bar]:
        """Bars that open at or after a moment."""
        return self.bars[bisect_left(self.bars, from_ms, key=lambda bar: bar.open_ms) :]


def combine(bars: list[Bar], interval: str, zone_ms: int = 0) -> list[Bar]:
    """Bars of a longer interval out of shorter ones, ascending."""
    out: list[Bar] = []
    for bar in bars:
        open_ms = open_of(interval, bar.open_ms, zone_ms)
        if out and out[-1].open_ms == open_ms:
            out[-1].merge(bar)
        else:
            out.append(replace(bar, open_ms=open_ms))
    return out
