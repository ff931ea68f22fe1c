"""Market streams (venue.md 2.7): `/ws/<any tail>` raw and `/stream?streams=` wrapped.

A message is made only when somebody listens, and once for all who do. Depth events are numbered
without gaps for each speed: the `U` of an event is the `u` before it plus one, whoever listens.
`@trade`, `@aggTrade` and `@bookTicker` go out at once; depth every 100 ms or 1 s, bars every 2 s
(1s bars every second), tickers every second. Stream names of other symbols are accepted and stay
silent, as on the venue.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec
from aiohttp import web

from engine.sandbox.candles import INTERVALS
from engine.sandbox.connection import Connection
from engine.sandbox.errors import VenueError
from engine.sandbox.exchange import Exchange
from engine.sandbox.market import Aggregate, best, levels
from engine.sandbox.orders import Output, Trade
from engine.sandbox.rest import refused
from engine.sandbox.rules import amount_text
from engine.sandbox.streams_control import Control

TICK_MS = 100
_PARTIAL = (5, 10, 20)
_MOST_STREAMS = 1024


class _Diff:
    """Depth events of one speed: the levels changed since the last event, and its last id."""

    def __init__(self) -> None:
        self.changed: set[tuple[int, int]] = set()
        self.last_id = 0


class Subscriber:
    """One market connection with the streams it listens to."""

    def __init__(self, connection: Connection, *, combined: bool) -> None:
        self.connection = connection
        self.combined = combined
        self.streams: set[str] = set()

    def announcement(self, raw: bytes) -> bytes:
        """An event of the connection itself, in the form that this connection has asked for."""
        return b'{"stream":"!serverShutdown","data":' + raw + b"}" if self.combined else raw


class Streams:
    """All market connections of one exchange."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._symbol = exchange.rules.symbol.lower()
        self._listeners: dict[str, set[Subscriber]] = {}
        self._subscribers: set[Subscriber] = set()
        self._diffs = {"@100ms": _Diff(), "": _Diff()}
        self._best: tuple[tuple[int, int], tuple[int, int]] = ((0, 0), (0, 0))
        self._ticks = 0
        self._open_bars: dict[str, int] = {}
        exchange.listeners.append(self.on_market)

    def routes(self) -> list[web.RouteDef]:
        """The paths clients connect to."""
        return [
            web.get("/ws", self._raw),
            web.get("/ws/{tail:.*}", self._raw),
            web.get("/stream", self._wrapped),
        ]

    # --- connections -----------------------------------------------------------------------------

    async def _raw(self, request: web.Request) -> web.StreamResponse:
        names = [name for name in request.match_info.get("tail", "").split("/") if "@" in name]
        return await self._serve(request, names, combined=False)

    async def _wrapped(self, request: web.Request) -> web.StreamResponse:
        names = [name for name in request.query.get("streams", "").split("/") if name]
        return await self._serve(request, names, combined=True)

    async def _serve(
        self, request: web.Request, names: list[str], *, combined: bool
    ) -> web.StreamResponse:
        try:
            self._exchange.limits.connect(request.remote or "", self._exchange.clock_us())
        except VenueError as error:
            return refused(error)
        connection = Connection(request, self._exchange.connections, "market")
        await connection.open()
        subscriber = Subscriber(connection, combined=combined)
        connection.announcement = subscriber.announcement
        self._subscribers.add(subscriber)
        self.subscribe(subscriber, names)
        control = Control(self, subscriber, self._exchange.clock_us)
        try:
            async for text in connection.texts():
                if not control.take(text):
                    break
        finally:
            self.unsubscribe(subscriber, list(subscriber.streams))
            self._subscribers.discard(subscriber)
            await connection.close()
        return connection.socket

    def subscribe(self, subscriber: Subscriber, names: list[str]) -> None:
        """Add streams, up to 1,024 a connection."""
        for name in names:
            if len(subscriber.streams) < _MOST_STREAMS:
                subscriber.streams.add(name)
                self._listeners.setdefault(name, set()).add(subscriber)

    def unsubscribe(self, subscriber: Subscriber, names: list[str]) -> None:
        """Take streams away."""
        for name in names:
            subscriber.streams.discard(name)
            listeners = self._listeners.get(name, set())
            listeners.discard(subscriber)
            if not listeners:
                self._listeners.pop(name, None)

    async def close(self) -> None:
        """End every connection in an orderly way."""
        for subscriber in list(self._subscribers):
            await subscriber.connection.socket.close(code=1001, message=b"going away")

    # --- what goes out ---------------------------------------------------------------------------

    def on_market(self, out: list[Output], aggregates: list[Aggregate]) -> None:
        """Publish trades and the best prices of one action."""
        symbol = self._exchange.rules.symbol
        event_ms = self._exchange.clock_us() // 1000
        if f"{self._symbol}@trade" in self._listeners:
            for item in out:
                if isinstance(item, Trade):
                    self._send("@trade", self._trade(item, event_ms))
        if f"{self._symbol}@aggTrade" in self._listeners:
            for aggregate in aggregates:
                document = self._exchange.market.aggregate_document(aggregate)
                head = {"e": "aggTrade", "E": event_ms, "s": symbol}
                self._send("@aggTrade", {**head, **document})
        book = self._exchange.matching.book
        now = (best(book, 1), best(book, -1))
        if now != self._best:
            self._best = now
            self._publish("@bookTicker", self._book_ticker)

    def tick(self) -> None:
        """Publish what is due; called every 100 ms."""
        self._ticks += 1
        book = self._exchange.matching.book
        changed = book.drain()
        for diff in self._diffs.values():
            diff.changed |= changed
        self._depth("@100ms")
        if self._ticks % 10 == 0:
            self._depth("")
        for count in _PARTIAL:
            self._publish(f"@depth{count}@100ms", lambda count=count: self._partial(count))  # type: ignore[misc]
            if self._ticks % 10 == 0:
                self._publish(f"@depth{count}", lambda count=count: self._partial(count))  # type: ignore[misc]
        if self._ticks % 10 == 0:
            self._publish("@ticker", self._ticker)
            self._publish("@miniTicker", self._mini_ticker)
            self._publish("@avgPrice", self._average)
            for name in ("!miniTicker@arr",):
                if name in self._listeners:
                    self._deliver(name, [self._mini_ticker()])
            self._bars()

    def _publish(self, suffix: str, document: Callable[[], dict[str, object]]) -> None:
        if self._symbol + suffix in self._listeners:
            self._send(suffix, document())

    def _send(self, suffix: str, document: dict[str, object]) -> None:
        self._deliver(self._symbol + suffix, document)

    def _deliver(self, name: str, document: object) -> None:
        if self._exchange.faults.stalled("market", self._exchange.wall_us()):
            return
        raw = msgspec.json.encode(document)
        wrapped = b'{"stream":"' + name.encode() + b'","data":' + raw + b"}"
        for subscriber in self._listeners.get(name, ()):
            subscriber.connection.send(wrapped if subscriber.combined else raw)

    def _head(self, kind: str) -> dict[str, object]:
        event_ms = self._exchange.clock_us() // 1000
        return {"e": kind, "E": event_ms, "s": self._exchange.rules.symbol}

    def _trade(self, trade: Trade, event_ms: int) -> dict[str, object]:
        rules = self._exchange.rules
        return {
            "e": "trade",
            "E": event_ms,
            "s": rules.symbol,
            "t": trade.trade_id,
            "p": rules.price_text(trade.price),
            "q": rules.quantity_text(trade.quantity),
            "T": trade.time_us // 1000,
            "m": trade.buyer_is_maker,
            "M": True,
        }

    def _book_ticker(self) -> dict[str, object]:
        rules, (bid, ask) = self._exchange.rules, self._best
        return {
            "u": self._exchange.matching.book.update_id,
            "s": rules.symbol,
            "b": rules.price_text(bid[0]),
            "B": rules.quantity_text(bid[1]),
            "a": rules.price_text(ask[0]),
            "A": rules.quantity_text(ask[1]),
        }

    def _depth(self, speed: str) -> None:
        """One diff event; without changes there is none, and no id is lost."""
        book, diff = self._exchange.matching.book, self._diffs[speed]
        first, diff_changed = diff.last_id + 1, diff.changed
        if book.update_id < first:
            return
        diff.last_id, diff.changed = book.update_id, set()
        name = f"@depth{speed}"
        if self._symbol + name not in self._listeners or self._exchange.faults.take_gap(speed):
            return
        rows = {
            sign: [(p, book.quantity_at(sign, p)) for s, p in diff_changed if s == sign]
            for sign in (1, -1)
        }
        rules = self._exchange.rules
        ids = {"U": first, "u": book.update_id}
        bids = levels(rules, sorted(rows[1], reverse=True))
        asks = levels(rules, sorted(rows[-1]))
        self._send(name, {**self._head("depthUpdate"), **ids, "b": bids, "a": asks})

    def _partial(self, count: int) -> dict[str, object]:
        book, rules = self._exchange.matching.book, self._exchange.rules
        return {
            "lastUpdateId": book.update_id,
            "bids": levels(rules, book.bids.top(count)),
            "asks": levels(rules, book.asks.top(count)),
        }

    def _bars(self) -> None:
        """Bars: the one that has just ended once more with `x` true, then the open one."""
        now_ms = self._exchange.clock_us() // 1000
        for interval in INTERVALS:
            name = f"{self._symbol}@kline_{interval}"
            if name not in self._listeners:
                self._open_bars.pop(interval, None)
                continue
            if interval != "1s" and self._ticks % 20:
                continue
            market = self._exchange.market
            bars = market.bars(interval, None, None, 3, now_ms)
            seen = self._open_bars.get(interval)
            for bar in bars:
                closed = bar is not bars[-1]
                if closed and (seen is None or bar.open_ms < seen):
                    continue
                body = market.bar_document(bar, interval, closed=closed)
                self._send(f"@kline_{interval}", {**self._head("kline"), "k": body})
            if bars:
                self._open_bars[interval] = bars[-1].open_ms

    def _ticker(self) -> dict[str, object]:
        now_ms = self._exchange.clock_us() // 1000
        day = self._exchange.market.day_document(self._exchange.matching.book, now_ms)
        letters = zip("pPwxcQbBaAohlvqOCFLn", list(day)[1:], strict=True)
        return {**self._head("24hrTicker"), **{letter: day[name] for letter, name in letters}}

    def _mini_ticker(self) -> dict[str, object]:
        rules = self._exchange.rules
        bar = self._exchange.market.day(self._exchange.clock_us() // 1000)
        return {
            **self._head("24hrMiniTicker"),
            "c": rules.price_text(bar.close),
            "o": rules.price_text(bar.open),
            "h": rules.price_text(bar.high),
            "l": rules.price_text(bar.low),
            "v": rules.quantity_text(bar.volume),
            "q": amount_text(bar.value * rules.value_unit),
        }

    def _average(self) -> dict[str, object]:
        price, last_ms = self._exchange.market.average(5, self._exchange.clock_us() // 1000)
        text = self._exchange.rules.price_text(price)
        return {**self._head("avgPrice"), "i": "5m", "w": text, "T": last_ms}
