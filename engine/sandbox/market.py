"""Market data made from trades and the book: tape, aggregated trades, bars, tickers, depth.

Memory is bounded: the tape keeps the last 100,000 trades, bars the last few days. What was before
the start comes from `history.py` and joins on without a seam. Documents are in the wire's words,
with money as strings of eight places and times in the unit that was asked for.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from itertools import islice

import msgspec

from engine.sandbox.book import Book
from engine.sandbox.candles import INTERVALS, MINUTE_MS, Bar, Candles, combine, end_of, open_of
from engine.sandbox.documents import MILLISECOND_US
from engine.sandbox.history import History
from engine.sandbox.orders import Order, Trade
from engine.sandbox.rules import Rules, amount_text

_KEEP = 100_000
_FOREVER_US = 2**62
_DAY_MS = 86_400_000


class Aggregate(msgspec.Struct, kw_only=True):
    """Trades of one taker order at one price."""

    aggregate_id: int
    price: int
    quantity: int
    first_id: int
    last_id: int
    time_us: int
    buyer_is_maker: bool


class MarketData:
    """Everything public about one symbol except the book itself."""

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self.trades: list[Trade] = []
        self.aggregates: list[Aggregate] = []
        self.minutes = Candles(MINUTE_MS)
        self.seconds = Candles(1_000, keep=7_200)
        self.history: History | None = None
        self._next_aggregate = 1

    def begin(self, history: History) -> None:
        """Join the live market to its past. Call it once, before the first trade."""
        self.history = history
        self.minutes.bars = list(history.bars)
        self._next_aggregate = history.end_id

    def record(self, trades: Sequence[Trade]) -> list[Aggregate]:
        """Take in the trades of one action and return their aggregates."""
        fresh: list[Aggregate] = []
        taker = 0
        for trade in trades:
            at_ms = trade.time_us // 1000
            for candles in (self.minutes, self.seconds):
                candles.add(
                    at_ms,
                    trade.price,
                    trade.quantity,
                    taker_buys=not trade.buyer_is_maker,
                    trade_id=trade.trade_id,
                )
            if fresh and trade.taker_order_id == taker and fresh[-1].price == trade.price:
                fresh[-1].quantity += trade.quantity
                fresh[-1].last_id = trade.trade_id
                continue
            taker = trade.taker_order_id
            fresh.append(
                Aggregate(
                    aggregate_id=self._next_aggregate,
                    price=trade.price,
                    quantity=trade.quantity,
                    first_id=trade.trade_id,
                    last_id=trade.trade_id,
                    time_us=trade.time_us,
                    buyer_is_maker=trade.buyer_is_maker,
                )
            )
            self._next_aggregate += 1
        self.trades.extend(trades)
        self.aggregates.extend(fresh)
        for kept in (self.trades, self.aggregates):
            if len(kept) > 2 * _KEEP:
                del kept[:_KEEP]
        return fresh

    # --- tape ------------------------------------------------------------------------------------

    def trade_document(self, trade: Trade, unit_us: int = MILLISECOND_US) -> dict[str, object]:
        """One trade of GET trades."""
        rules = self.rules
        return {
            "id": trade.trade_id,
            "price": rules.price_text(trade.price),
            "qty": rules.quantity_text(trade.quantity),
            "quoteQty": amount_text(rules.value(trade.price, trade.quantity)),
            "time": trade.time_us // unit_us,
            "isBuyerMaker": trade.buyer_is_maker,
            "isBestMatch": True,
        }

    def trades_from(self, from_id: int | None, limit: int) -> list[Trade]:
        """Trades with ids from `from_id` on, or the newest."""
        past = self.history
        if from_id is None:
            found = self.trades[-limit:]
            return past.newest(limit - len(found)) + found if past is not None else found
        found = []
        if past is not None and from_id < past.end_id:
            found = list(islice(past.from_id(from_id), limit))
        start = bisect_left(self.trades, from_id, key=lambda trade: trade.trade_id)
        return found + self.trades[start : start + limit - len(found)]

    def aggregates_from(
        self, from_id: int | None, start_us: int | None, end_us: int | None, limit: int
    ) -> list[Aggregate]:
        """Aggregates by id or by time (oldest first when a start is given), or the newest."""
        chosen, past = self.aggregates, self.history
        before: Iterable[Trade] = ()
        if from_id is not None:
            start = bisect_left(chosen, from_id, key=lambda item: item.aggregate_id)
            if past is not None and from_id < past.end_id:
                before = past.from_id(from_id)
            return [*map(_alone, islice(before, limit)), *chosen[start : start + limit]][:limit]
        if end_us is not None:
            chosen = chosen[: bisect_left(chosen, end_us + 1, key=lambda item: item.time_us)]
        if start_us is not None:
            chosen = chosen[bisect_left(chosen, start_us, key=lambda item: item.time_us) :]
            if past is not None:
                end = chosen[-1].time_us if end_us is None and chosen else end_us
                before = past.between(start_us, end if end is not None else _FOREVER_US)
            return [*map(_alone, islice(before, limit)), *chosen[:limit]][:limit]
        chosen = chosen[-limit:]
        if past is not None:
            before = past.newest(limit - len(chosen), end_us)
        return [*map(_alone, before), *chosen]

    def aggregate_document(
        self, item: Aggregate, unit_us: int = MILLISECOND_US
    ) -> dict[str, object]:
        """One aggregate, for REST and (with its head) for the stream."""
        return {
            "a": item.aggregate_id,
            "p": self.rules.price_text(item.price),
            "q": self.rules.quantity_text(item.quantity),
            "f": item.first_id,
            "l": item.last_id,
            "T": item.time_us // unit_us,
            "m": item.buyer_is_maker,
            "M": True,
        }

    # --- bars ------------------------------------------------------------------------------------

    def bars(
        self,
        interval: str,
        start_ms: int | None,
        end_ms: int | None,
        limit: int,
        now_ms: int,
        zone_ms: int = 0,
    ) -> list[Bar]:
        """Bars of an interval, ascending; the newest ones unless a start is given."""
        if start_ms is None:
            reach = end_ms if end_ms is not None else now_ms
            first = open_of(interval, reach, zone_ms) - limit * INTERVALS[interval]
        else:
            oldest = self.minutes.bars[0].open_ms if self.minutes.bars else now_ms
            first = max(start_ms, open_of(interval, oldest, zone_ms))
            end_ms = min(now_ms if end_ms is None else end_ms, now_ms)
            if interval != "1M":
                # Nobody gets more than `limit` bars: what is later need not be combined.
                end_ms = min(end_ms, first + (limit + 1) * INTERVALS[interval])
        first = open_of(interval, first, zone_ms)
        if interval == "1s":
            found = self._second_bars(first, now_ms if end_ms is None else end_ms, now_ms)
        else:
            self.minutes.roll(now_ms)
            found = combine(self.minutes.since(first), interval, zone_ms)
        found = [
            bar
            for bar in found
            if (start_ms is None or bar.open_ms >= start_ms)
            and (end_ms is None or bar.open_ms <= end_ms)
        ]
        return found[:limit] if start_ms is not None else found[-limit:]

    def _second_bars(self, first_ms: int, end_ms: int, now_ms: int) -> list[Bar]:
        """Bars of a second: those of the past are made from its trades when they are asked for."""
        self.seconds.roll(now_ms)
        live = self.seconds.since(first_ms)
        past = self.history
        if past is None or not past.bars or (live and live[0].open_ms <= first_ms):
            return live
        end_ms = min(end_ms, live[0].open_ms - 1 if live else now_ms)
        seconds = Candles(1_000)
        # From the minute's beginning, so that a second without trades knows the close before it.
        for trade in past.between(open_of("1m", first_ms) * 1000, end_ms * 1000 + 999):
            seconds.add(
                trade.time_us // 1000,
                trade.price,
                trade.quantity,
                taker_buys=not trade.buyer_is_maker,
                trade_id=trade.trade_id,
            )
        if not seconds.bars and first_ms > past.bars[-1].open_ms:
            close = past.bars[-1].close
            seconds.bars.append(Bar(first_ms, close, close, close, close))
        seconds.roll(end_ms)
        return seconds.since(first_ms) + live

    def bar_row(
        self, bar: Bar, interval: str, unit_us: int = MILLISECOND_US, zone_ms: int = 0
    ) -> list[object]:
        """One row of GET klines; its last moment is one unit before the next bar."""
        rules = self.rules
        return [
            bar.open_ms * 1000 // unit_us,
            rules.price_text(bar.open),
            rules.price_text(bar.high),
            rules.price_text(bar.low),
            rules.price_text(bar.close),
            rules.quantity_text(bar.volume),
            end_of(interval, bar.open_ms, zone_ms) * 1000 // unit_us - 1,
            amount_text(bar.value * rules.value_unit),
            bar.trades,
            rules.quantity_text(bar.taker_volume),
            amount_text(bar.taker_value * rules.value_unit),
            "0",
        ]

    def bar_document(self, bar: Bar, interval: str, *, closed: bool) -> dict[str, object]:
        """The `k` object of the kline stream."""
        row = self.bar_row(bar, interval)
        names = ("t", "o", "h", "l", "c", "v", "T", "q", "n", "V", "Q", "B")
        return {
            **dict(zip(names, row, strict=True)),
            "s": self.rules.symbol,
            "i": interval,
            "f": bar.first_id,
            "L": bar.last_id,
            "x": closed,
        }

    # --- summaries -------------------------------------------------------------------------------

    def average(self, minutes: int, now_ms: int) -> tuple[int, int]:
        """Average price in ticks over the last minutes, and the time of the last trade in ms."""
        newest = self.trades_from(None, 1)
        last = newest[-1].time_us // 1000 if newest else now_ms
        recent = self.minutes.since(now_ms - minutes * MINUTE_MS)
        volume = sum(bar.volume for bar in recent)
        if volume:
            return sum(bar.value for bar in recent) // volume, last
        return (self.minutes.bars[-1].close if self.minutes.bars else 0), last

    def day(self, now_ms: int) -> Bar:
        """One bar over the last 24 hours (minutes make its edges)."""
        self.minutes.roll(now_ms)
        whole: Bar | None = None
        for bar in combine(self.minutes.since(now_ms - _DAY_MS), "1d"):
            if whole is None:
                whole = bar
            else:
                whole.merge(bar)
        return whole if whole is not None else Bar(now_ms, 0, 0, 0, 0)

    def day_document(
        self, book: Book[Order], now_ms: int, unit_us: int = MILLISECOND_US
    ) -> dict[str, object]:
        """GET ticker/24hr."""
        rules, bar = self.rules, self.day(now_ms)
        change = bar.close - bar.open
        percent = change * 100_000 // bar.open if bar.open else 0
        sign, size = ("-", -percent) if percent < 0 else ("", percent)
        average = bar.value // bar.volume if bar.volume else bar.close
        newest = self.trades_from(None, 1)
        last = newest[-1].quantity if newest else 0
        return {
            "symbol": rules.symbol,
            "priceChange": rules.price_text(change),
            "priceChangePercent": f"{sign}{size // 1000}.{size % 1000:03d}",
            "weightedAvgPrice": rules.price_text(average),
            "prevClosePrice": rules.price_text(bar.open),
            "lastPrice": rules.price_text(bar.close),
            "lastQty": rules.quantity_text(last),
            **best_document(rules, book),
            "openPrice": rules.price_text(bar.open),
            "highPrice": rules.price_text(bar.high),
            "lowPrice": rules.price_text(bar.low),
            "volume": rules.quantity_text(bar.volume),
            "quoteVolume": amount_text(bar.value * rules.value_unit),
            "openTime": (now_ms - _DAY_MS) * 1000 // unit_us,
            "closeTime": now_ms * 1000 // unit_us,
            "firstId": bar.first_id,
            "lastId": bar.last_id,
            "count": bar.trades,
        }


def _alone(trade: Trade) -> Aggregate:
    """The aggregate of one trade of the past: there each trade had its own taker order."""
    return Aggregate(
        aggregate_id=trade.trade_id,
        price=trade.price,
        quantity=trade.quantity,
        first_id=trade.trade_id,
        last_id=trade.trade_id,
        time_us=trade.time_us,
        buyer_is_maker=trade.buyer_is_maker,
    )


def best(book: Book[Order], sign: int) -> tuple[int, int]:
    """Best price and its quantity, (0, 0) for an empty side."""
    top = book.side(sign).top(1)
    return top[0] if top else (0, 0)


def best_document(rules: Rules, book: Book[Order]) -> dict[str, str]:
    """The four fields of the best bid and ask."""
    (bid, bid_quantity), (ask, ask_quantity) = best(book, 1), best(book, -1)
    return {
        "bidPrice": rules.price_text(bid),
        "bidQty": rules.quantity_text(bid_quantity),
        "askPrice": rules.price_text(ask),
        "askQty": rules.quantity_text(ask_quantity),
    }


def levels(rules: Rules, rows: Iterable[tuple[int, int]]) -> list[list[str]]:
    """Price levels as string pairs."""
    return [[rules.price_text(price), rules.quantity_text(size)] for price, size in rows]
