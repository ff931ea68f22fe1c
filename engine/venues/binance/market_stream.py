"""Book and trades of one symbol over a combined stream, kept in sync for as long as it is read.

    connect -> first event or a moment of quiet -> snapshot (events wait meanwhile)
            -> StreamUp, BookTop -> diff events and trades
            -> gap: StreamGap, snapshot, BookTop
            -> connection lost or stalled: StreamDown, pause, connect

bookTicker is not subscribed: it runs ahead of the 100 ms book, and what we show must be one book.

A snapshot is judged by the events around it, so the first event is waited for: one that is older
than the stream (a lagging replica's) is taken again and never shown.

A silent stream is either a quiet market or a stalled connection. After `silence_s` without a depth
event we ask the venue for its book: the same update id proves the market quiet, and the top is
emitted again with a new time; a newer id that the stream does not deliver proves the stall.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

from engine.contracts.order import Side
from engine.venues.binance import queries, translate, wire
from engine.venues.binance.book import Gap, LocalBook, Step
from engine.venues.binance.meter import StreamMeter
from engine.venues.binance.options import BinanceOptions
from engine.venues.binance.rest import RestClient
from engine.venues.binance.seen import Seen
from engine.venues.binance.stream import Stream, StreamLost
from engine.venues.port import (
    BookTop,
    MarketEvent,
    StreamGap,
    StreamUp,
    TradeTick,
    VenueQueryFailed,
)

NAME = "market"
#: Snapshots in a row that did not fit, before the connection itself is given up.
SYNC_ATTEMPTS = 5
SYNC_PAUSE_S = 0.2
#: Depth events come every 100 ms; without one in this time the market is quiet.
FIRST_EVENT_S = 0.25
#: Levels asked for when only the update id matters.
PROBE_LEVELS = 5
#: Public trades remembered, so that one which comes twice is told once: more than an overlap of two
#: connections carries on a bad day, or on a machine that is far behind.
TRADES_REMEMBERED = 20_000
#: Refused for the rate budget: that says nothing about the stream.
WITHHELD = frozenset({"RATE_RESERVED", "-1003", "HTTP_429", "HTTP_418"})


class MarketStream(Stream[MarketEvent]):
    """One symbol's market data."""

    name = NAME

    def __init__(
        self,
        options: BinanceOptions,
        rest: RestClient,
        symbol: str,
        closed: asyncio.Event,
        meter: StreamMeter,
    ) -> None:
        super().__init__(options, rest, closed, meter)
        self._symbol = symbol
        self._book = LocalBook()
        self._owed: int | None = None  # the update that a query saw and the stream has not sent
        self._trades: Seen[tuple[int, int]] = Seen(TRADES_REMEMBERED)

    def _url(self) -> str:
        symbol = self._symbol.lower()
        base = self._options.ws_url.rstrip("/")
        return f"{base}/stream?streams={symbol}@depth@100ms/{symbol}@trade"

    async def _connection(self) -> AsyncIterator[MarketEvent]:
        """Emit the events of one connection; raises when it is of no more use."""
        self._book = LocalBook()
        self._owed = None
        waiting = await self._first_events()
        async for event in self._synchronise():
            yield event
        self._meter.up()
        yield StreamUp(stream=NAME)
        yield self._top(self._rest.venue_now_us())
        for trade in waiting:
            yield trade
        deadline = time.monotonic() + self._options.silence_s
        while True:
            text = await self._next(deadline - time.monotonic())
            message = "" if text is None else wire.decode_market(text)
            if isinstance(message, wire.DepthDiff):
                async for event in self._on_diff(message):
                    yield event
                deadline = time.monotonic() + self._options.silence_s
                continue
            if (tick := self._other(message)) is not None:
                yield tick
            if time.monotonic() >= deadline:
                if (top := await self._prove_quiet()) is not None:
                    yield top
                deadline = time.monotonic() + self._options.silence_s

    def _other(self, message: wire.TradeMessage | str) -> TradeTick | None:
        """Take a message that is no depth event."""
        if isinstance(message, wire.TradeMessage):
            return self._tick(message)
        if message == "serverShutdown":
            self._leave_soon()
        return None

    async def _first_events(self) -> list[TradeTick]:
        """Put the first depth event into the book's buffer, or find the market quiet.

        Returns the trades that came before it.
        """
        trades: list[TradeTick] = []
        deadline = time.monotonic() + FIRST_EVENT_S
        while (left_s := deadline - time.monotonic()) > 0:
            text = await self._next(left_s)
            if text is None:
                break
            message = wire.decode_market(text)
            if isinstance(message, wire.DepthDiff):
                self._meter.event(self._delay_us(message.event_time))
                self._book.add(message)
                break
            if (tick := self._other(message)) is not None:
                trades.append(tick)
        return trades

    async def _on_diff(self, diff: wire.DepthDiff) -> AsyncIterator[MarketEvent]:
        """Apply one event; after a gap, tell it and make the book again."""
        self._meter.event(self._delay_us(diff.event_time))
        outcome = self._book.add(diff)
        if isinstance(outcome, Gap):
            self._meter.gaps += 1
            yield StreamGap(stream=NAME, detail=outcome.detail)
            async for event in self._synchronise():
                yield event
            yield self._top(translate.us(diff.event_time))
        elif outcome is Step.APPLIED:
            yield self._top(translate.us(diff.event_time))

    def _tick(self, trade: wire.TradeMessage) -> TradeTick | None:
        """Translate a public trade; None for one that was told already."""
        self._meter.event(self._delay_us(trade.event_time))
        if self._trades.again((trade.trade_id, trade.trade_time)):
            return None
        return TradeTick(
            symbol=trade.symbol,
            trade_id=trade.trade_id,
            price=trade.price,
            quantity=trade.quantity,
            taker_side=Side.SELL if trade.buyer_is_maker else Side.BUY,
            venue_time_us=translate.us(trade.trade_time),
        )

    async def _synchronise(self) -> AsyncIterator[MarketEvent]:
        """Load snapshots until one fits what waits in the book's buffer."""
        for attempt in range(SYNC_ATTEMPTS):
            if attempt:
                await asyncio.sleep(SYNC_PAUSE_S * attempt)
            levels = self._options.snapshot_levels
            snapshot = await queries.depth(self._rest, self._symbol, levels)
            outcome = self._book.load(snapshot)
            if not isinstance(outcome, Gap):
                return
            self._meter.gaps += 1
            yield StreamGap(stream=NAME, detail=f"snapshot does not fit: {outcome.detail}")
        raise StreamLost(f"no snapshot fitted in {SYNC_ATTEMPTS} attempts")

    async def _prove_quiet(self) -> BookTop | None:
        """Ask the venue where its book stands after a silence.

        The top again if our book stands there too; None if the venue is ahead, which the stream
        has until the next silence to deliver; StreamLost if it had that time already.
        """
        standing = self._book.last_id or 0
        if self._owed is not None and standing < self._owed:
            raise StreamLost(f"stalled: {self._owed - standing} updates behind the venue's book")
        asked_us = self._rest.venue_now_us()
        try:
            probe = await queries.depth(self._rest, self._symbol, PROBE_LEVELS)
        except VenueQueryFailed as error:
            if error.code in WITHHELD:
                return None
            raise StreamLost(f"silent, and no book by query ({error.code})") from error
        self._owed = probe.last_update_id if probe.last_update_id > standing else None
        return self._top(asked_us) if self._owed is None else None

    def _top(self, venue_time_us: int) -> BookTop:
        depth = self._options.book_levels
        return BookTop(
            symbol=self._symbol,
            update_id=self._book.last_id or 0,
            bids=self._book.bids(depth),
            asks=self._book.asks(depth),
            venue_time_us=venue_time_us,
        )
