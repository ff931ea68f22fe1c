"""Book and trades of one symbol over a combined stream, kept in sync for as long as it is read.

    connect -> snapshot (events wait in the connection meanwhile) -> StreamUp, BookTop
            -> diff events and trades -> gap: StreamGap, snapshot, BookTop
            -> connection lost or stalled: StreamDown, pause, connect

bookTicker is not subscribed: it runs ahead of the 100 ms book, and what we show must be one book.

A silent stream is either a quiet market or a stalled connection. After `silence_s` without a depth
event we ask the venue for its book: the same update id proves the market quiet, and the top is
emitted again with a new time; a newer id that the stream does not deliver proves the stall.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import aiohttp

from engine.contracts.order import Side
from engine.venues.binance import queries, translate, wire
from engine.venues.binance.book import Gap, LocalBook, Step
from engine.venues.binance.options import BinanceOptions
from engine.venues.binance.rest import RestClient
from engine.venues.binance.stream import Stream, StreamLost, receive_text
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
#: Levels asked for when only the update id matters.
PROBE_LEVELS = 5


class MarketStream(Stream[MarketEvent]):
    """One symbol's market data."""

    name = NAME

    def __init__(
        self, options: BinanceOptions, rest: RestClient, symbol: str, closed: asyncio.Event
    ) -> None:
        super().__init__(options, rest, closed)
        self._symbol = symbol
        self._book = LocalBook()
        self._owed: int | None = None  # the update that a query saw and the stream has not sent

    def _url(self) -> str:
        symbol = self._symbol.lower()
        base = self._options.ws_url.rstrip("/")
        return f"{base}/stream?streams={symbol}@depth@100ms/{symbol}@trade"

    async def _connection(
        self, socket: aiohttp.ClientWebSocketResponse
    ) -> AsyncIterator[MarketEvent]:
        """Emit the events of one connection; raises when it is of no more use."""
        self._book = LocalBook()
        self._owed = None
        async for event in self._synchronise():
            yield event
        yield StreamUp(stream=NAME)
        yield self._top(self._rest.venue_now_us())
        silence_s = self._options.silence_s
        deadline = time.monotonic() + silence_s
        while True:
            message = await _receive(socket, deadline - time.monotonic())
            match message:
                case wire.DepthDiff():
                    async for event in self._on_diff(message):
                        yield event
                    deadline = time.monotonic() + silence_s
                    continue
                case wire.TradeMessage():
                    yield _tick(message)
                case "serverShutdown":
                    raise StreamLost("the venue announced its shutdown")
            if time.monotonic() >= deadline:
                if (top := await self._prove_quiet()) is not None:
                    yield top
                deadline = time.monotonic() + silence_s

    async def _on_diff(self, diff: wire.DepthDiff) -> AsyncIterator[MarketEvent]:
        """Apply one event; after a gap, tell it and make the book again."""
        outcome = self._book.add(diff)
        if isinstance(outcome, Gap):
            yield StreamGap(stream=NAME, detail=outcome.detail)
            async for event in self._synchronise():
                yield event
            yield self._top(translate.us(diff.event_time))
        elif outcome is Step.APPLIED:
            yield self._top(translate.us(diff.event_time))

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
            if error.code == "RATE_RESERVED":
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


async def _receive(
    socket: aiohttp.ClientWebSocketResponse, within_s: float
) -> wire.DepthDiff | wire.TradeMessage | str:
    """Return the next message; "" when none came in time."""
    text = await receive_text(socket, within_s)
    return "" if text is None else wire.decode_market(text)


def _tick(trade: wire.TradeMessage) -> TradeTick:
    return TradeTick(
        symbol=trade.symbol,
        trade_id=trade.trade_id,
        price=trade.price,
        quantity=trade.quantity,
        taker_side=Side.SELL if trade.buyer_is_maker else Side.BUY,
        venue_time_us=translate.us(trade.trade_time),
    )
