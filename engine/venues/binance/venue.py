"""The venue port over the Binance Spot API: one account, its requests and its streams.

A facade: what a request does is in `trading` and `queries`, how it travels in `rest`, what a
failure means in `errors`, and the two streams keep themselves alive. Streams and requests share one
pool of connections, opened before the first order needs it.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Iterable
from decimal import Decimal

from engine.contracts.fill import Fill
from engine.contracts.instrument import Instrument
from engine.contracts.order import OrderIntent
from engine.venues.binance import queries, trading
from engine.venues.binance.clock import monotonic_us
from engine.venues.binance.market_stream import MarketStream
from engine.venues.binance.meter import StreamMeter
from engine.venues.binance.options import BinanceOptions
from engine.venues.binance.rest import RestClient
from engine.venues.binance.user_stream import UserStream
from engine.venues.port import (
    Accepted,
    Canceled,
    CancelOutcome,
    ClockReading,
    MarketEvent,
    OrderReport,
    PriceBar,
    RateUse,
    StreamQuality,
    SubmitOutcome,
    UserEvent,
    VenueQueryFailed,
)

#: Connections opened in advance: one for an order, one for a cancel beside it.
WARM_CONNECTIONS = 2


class BinanceVenue:
    """One account on one Binance-like venue; implements `engine.venues.port.Venue`."""

    def __init__(self, options: BinanceOptions) -> None:
        self.name = options.name
        self._options = options
        self._rest = RestClient(options)
        self._closed = asyncio.Event()
        self._streams: set[MarketStream | UserStream] = set()
        self._meters: dict[str, StreamMeter] = {}
        self._keeper: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Connect, measure the clock, read the rules of the symbols.

        Raises VenueQueryFailed, and may be called again then.
        """
        await self._warm()
        await self._rest.measure_clock()
        for symbol in self._options.symbols:
            await queries.instrument(self._rest, symbol)
        if self._keeper is None:
            self._keeper = asyncio.create_task(self._keep(), name=f"{self.name}-keep")

    async def close(self) -> None:
        """Close every connection; the streams end."""
        self._closed.set()
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)
        for stream in tuple(self._streams):
            await stream.close()
        await self._rest.close()

    async def clock(self) -> ClockReading:
        """Measure the clock offset and use it from now on. Raises VenueQueryFailed."""
        return await self._rest.measure_clock()

    async def instrument(self, symbol: str) -> Instrument:
        """Read the rules of one symbol, as they are now. Raises VenueQueryFailed."""
        return await queries.instrument(self._rest, symbol)

    async def submit(self, intent: OrderIntent) -> SubmitOutcome:
        """Send one order, once."""
        asked = time.monotonic()
        outcome = await trading.submit(self._rest, intent)
        if isinstance(outcome, Accepted):
            self._expect((outcome.report,), "NEW", asked)
        return outcome

    async def cancel(self, symbol: str, client_order_id: str, cancel_id: str) -> CancelOutcome:
        """Cancel one order; not open any more is Rejected("-2011")."""
        asked = time.monotonic()
        outcome = await trading.cancel(self._rest, symbol, client_order_id, cancel_id)
        if isinstance(outcome, Canceled):
            self._expect(outcome.reports, "CANCELED", asked)
        return outcome

    async def cancel_all(self, symbol: str) -> CancelOutcome:
        """Cancel every open order of the symbol; none open is `Canceled(())`."""
        asked = time.monotonic()
        outcome = await trading.cancel_all(self._rest, symbol)
        if isinstance(outcome, Canceled):
            self._expect(outcome.reports, "CANCELED", asked)
        return outcome

    async def order(self, symbol: str, client_order_id: str) -> OrderReport | None:
        """Ask for one order; None when the venue has none. Raises VenueQueryFailed."""
        return await queries.order(self._rest, symbol, client_order_id)

    async def open_orders(self, symbol: str) -> tuple[OrderReport, ...]:
        """All open orders of the symbol. Raises VenueQueryFailed."""
        return await queries.open_orders(self._rest, symbol)

    async def orders(self, symbol: str, since_us: int) -> tuple[OrderReport, ...]:
        """All orders since a time of the venue's clock, oldest first. Raises VenueQueryFailed."""
        return await queries.orders(self._rest, symbol, since_us)

    async def fills(self, symbol: str, since_us: int) -> tuple[Fill, ...]:
        """Own trades since a time of the venue's clock, oldest first. Raises VenueQueryFailed."""
        return await queries.fills(self._rest, symbol, since_us)

    async def balances(self) -> dict[str, tuple[Decimal, Decimal]]:
        """Asset -> (free, locked), zeros left out. Raises VenueQueryFailed."""
        return await queries.balances(self._rest)

    async def bars(self, symbol: str, interval: str, limit: int) -> tuple[PriceBar, ...]:
        """Read the last closed bars, oldest first. Raises VenueQueryFailed."""
        return await queries.bars(self._rest, symbol, interval, limit)

    async def market_events(self, symbol: str) -> AsyncIterator[MarketEvent]:
        """Endless: book and trades; each reader has a connection of its own."""
        meter = self._meter(f"market:{symbol}")
        stream = MarketStream(self._options, self._rest, symbol, self._closed, meter)
        self._streams.add(stream)
        try:
            async for event in stream.events():
                yield event
        finally:
            self._streams.discard(stream)
            await stream.close()

    async def user_events(self) -> AsyncIterator[UserEvent]:
        """Endless: own orders and balances; each reader has a connection of its own."""
        stream = UserStream(self._options, self._rest, self._closed, self._meter("user"))
        self._streams.add(stream)
        try:
            async for event in stream.events():
                yield event
        finally:
            self._streams.discard(stream)
            await stream.close()

    def rate_use(self) -> RateUse | None:
        """Return the counts of weight, orders and requests, or None before the first header."""
        return self._rest.budget.reading(self._rest.venue_now_us())

    def key_refused_since_us(self) -> int | None:
        """Since when (monotonic µs) a key that worked is refused again and again, or None."""
        return self._rest.key.refused_since_us

    def quality(self) -> tuple[StreamQuality, ...]:
        """How good each stream's data is: `market:SYMBOL` and `user`, once they were read."""
        return tuple(meter.quality() for meter in self._meters.values())

    def _meter(self, name: str) -> StreamMeter:
        return self._meters.setdefault(name, StreamMeter(name))

    async def _warm(self) -> None:
        await asyncio.gather(*(self._rest.ping() for _ in range(WARM_CONNECTIONS)))

    async def _keep(self) -> None:
        """Keep connections open through quiet hours, and the clock true.

        A kill must not begin with a handshake, nor an order with a stale timestamp.
        """
        while True:
            try:
                async with asyncio.timeout(self._options.keep_warm_s):
                    await self._rest.clock_doubted.wait()
            except TimeoutError:
                # A venue that does not answer now is told by the streams and the next request.
                with contextlib.suppress(VenueQueryFailed):
                    await self._warm()
            await self._rest.refresh_clock(self._clock_due_us())
            # A venue that does not tell its time must not be asked without a pause.
            self._rest.clock_doubted.clear()

    def _clock_due_us(self) -> int:
        """The latest time (monotonic µs) of a reading that is too old by now."""
        now_us = monotonic_us()
        if self._rest.clock_doubted.is_set():
            return now_us
        return now_us - int(self._options.clock_every_s * 1_000_000)

    def _expect(self, reports: Iterable[OrderReport], execution: str, asked: float) -> None:
        """Let the user streams watch for what the venue has just confirmed."""
        expected = [(report.client_order_id, execution) for report in reports]
        for stream in self._streams:
            if isinstance(stream, UserStream):
                stream.expect(expected, asked)
