"""Market data made from trades and the book: tape, aggregated trades, bars, tickers, depth.

Memory is bounded: the tape keeps the last 100,000 trades, bars the last few days. Documents are in
the wire's words, with money as strings of eight places.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence

import msgspec

from engine.sandbox.book import Book
from engine.sandbox.candles import INTERVALS, MINUTE_MS, Bar, Candles, combine, end_of, open_of
from engine.sandbox.orders import Order, Trade
from engine.sandbox.rules import Rules, amount_text

_KEEP = 100_000
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
        self._next_aggregate = 1

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

    def trade_document(self, trade: Trade) -> dict[str, object]:
        """One trade of GET trades."""
        rules = self.rules
        return {
            "id": trade.trade_id,
            "price": rules.price_text(trade.price),
            "qty": rules.quantity_text(trade.quantity),
            "quoteQty": amount_text(rules.value(trade.price, trade.quantity)),
            "time": trade.time_us // 1000,
            "isBuyerMaker": trade.buyer_is_maker,
            "isBestMatch": True,
        }

    def trades_from(self, from_id: int | None, limit: int) -> list[Trade]:
        """Trades with ids from `from_id` on, or the newest."""
        if from_id is None:
            return self.trades[-limit:]
        start = bisect_left(self.trades, from_id, key=lambda trade: trade.trade_id)
        return self.trades[start : start + limit]

    def aggregates_from(
        self, from_id: int | None, start_ms: int | None, end_ms: int | None, limit: int
    ) -> list[Aggregate]:
        """Aggregates by id or by time (oldest first when a start is given), or the newest."""
        chosen = self.aggregates
        if from_id is not None:
            start = bisect_left(chosen, from_id, key=lambda item: item.aggregate_id)
            return chosen[start : start + limit]
        if start_ms is not None:
            chosen = chosen[bisect_left(chosen, start_ms * 1000, key=lambda item: item.time_us) :]
        if end_ms is not None:
            end = bisect_left(chosen, (end_ms + 1) * 1000, key=lambda item: item.time_us)
            chosen = chosen[:end]
        return chosen[:limit] if start_ms is not None else chosen[-limit:]

    def aggregate_document(self, item: Aggregate) -> dict[str, object]:
        """One aggregate, for REST and (with its head) for the stream."""
        return {
            "a": item.aggregate_id,
            "p": self.rules.price_text(item.price),
            "q": self.rules.quantity_text(item.quantity),
            "f": item.first_id,
            "l": item.last_id,
            "T": item.time_us // 1000,
            "m": item.buyer_is_maker,
            "M": True,
        }

    # --- bars ------------------------------------------------------------------------------------

    def bars(
        self, interval: str, start_ms: int | None, end_ms: int | None, limit: int, now_ms: int
    ) -> list[Bar]:
        """Bars of an interval, ascending; the newest ones unless a start is given."""
        source = self.seconds if interval == "1s" else self.minutes
        source.roll(now_ms)
        if start_ms is None:
            reach = end_ms if end_ms is not None else now_ms
            start_open = open_of(interval, reach) - limit * INTERVALS[interval]
            found = combine(source.since(open_of(interval, start_open)), interval)
        else:
            found = combine(source.since(open_of(interval, start_ms)), interval)
            found = [bar for bar in found if bar.open_ms >= start_ms]
        if end_ms is not None:
            found = [bar for bar in found if bar.open_ms <= end_ms]
        return found[:limit] if start_ms is not None else found[-limit:]

    def bar_row(self, bar: Bar, interval: str) -> list[object]:
        """One row of GET klines."""
        rules = self.rules
        return [
            bar.open_ms,
            rules.price_text(bar.open),
            rules.price_text(bar.high),
            rules.price_text(bar.low),
            rules.price_text(bar.close),
            rules.quantity_text(bar.volume),
            end_of(interval, bar.open_ms) - 1,
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
        last = self.trades[-1].time_us // 1000 if self.trades else now_ms
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

    def day_document(self, book: Book[Order], now_ms: int) -> dict[str, object]:
        """GET ticker/24hr."""
        rules, bar = self.rules, self.day(now_ms)
        change = bar.close - bar.open
        percent = change * 100_000 // bar.open if bar.open else 0
        sign, size = ("-", -percent) if percent < 0 else ("", percent)
        average = bar.value // bar.volume if bar.volume else bar.close
        last = self.trades[-1].quantity if self.trades else 0
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
            "openTime": now_ms - _DAY_MS,
            "closeTime": now_ms,
            "firstId": bar.first_id,
            "lastId": bar.last_id,
            "count": bar.trades,
        }


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
