"""The engine's line to the venue: streams in, readings kept fresh, nothing decided.

Two endless stream tasks (market per symbol, user) and one polling task (clock, rules, balances).
What a stream missed while it was down is asked for by REST as soon as it is back, before its state
counts as known again: until then the stream is not called up and the balances are not known, which
blocks new orders (I12).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from engine.contracts.event import VenueConnected, VenueDisconnected
from engine.contracts.people import ENGINE
from engine.diary import Diary
from engine.execution.clock import wall_us
from engine.execution.core import Core
from engine.execution.limits.facts import Readings
from engine.execution.market import Market, StreamHealth
from engine.execution.settle.settler import Settler
from engine.venues.port import (
    BalanceUpdate,
    BookTop,
    MarketEvent,
    OrderUpdate,
    StreamDown,
    StreamUp,
    TradeTick,
    Venue,
    VenueQueryFailed,
)

_log = Diary("venue")

_POLL_SECONDS = 10.0
#: While a symbol does not trade, its rules are asked for so often: nobody waits long after a halt.
_HALT_POLL_SECONDS = 2.0
_RETRY_SECONDS = 1.0
_US_PER_MS = 1_000
#: The last closed one ends with the last trade before its end.
_LAST_BAR = "1m"


class VenueLink:
    """Runs the streams and the polling of one venue account."""

    def __init__(
        self,
        core: Core,
        venue: Venue,
        settler: Settler,
        markets: Mapping[str, Market],
        readings: Readings,
        user_limit_ms: int,
    ) -> None:
        self._core = core
        self._venue = venue
        self._settler = settler
        self._markets = markets
        self._readings = readings
        self.user = StreamHealth("user", user_limit_ms)
        self._changed: list[Callable[[], None]] = []
        self._taps: list[Callable[[MarketEvent], None]] = []

    def on_change(self, callback: Callable[[], None]) -> None:
        """Call back whenever a reading changed."""
        self._changed.append(callback)

    def tap(self, callback: Callable[[MarketEvent], None]) -> None:
        """Hand every book and trade to the callback (the market recorder)."""
        self._taps.append(callback)

    @property
    def connected(self) -> bool:
        """Whether both streams are up."""
        return self.user.connected and all(one.stream.connected for one in self._markets.values())

    async def measure_clock(self) -> None:
        """Measure the offset and keep it. Raises VenueQueryFailed."""
        reading = await self._venue.clock()
        self._readings.clock_offset_ms = round(reading.offset_us / _US_PER_MS)

    async def read_balances(self) -> None:
        """Read the balances and keep them. Raises VenueQueryFailed."""
        self._readings.balances = await self._venue.balances()

    async def read_rules(self) -> None:
        """Read every symbol's rules and keep them: halts begin and end, filters change.

        Raises VenueQueryFailed.
        """
        for symbol, market in self._markets.items():
            market.instrument = await self._venue.instrument(symbol)

    async def read_last_prices(self) -> None:
        """Read where each symbol last traded, unless the stream told it. Raises VenueQueryFailed.

        The stream tells of trades from now on only, and a quiet market may have none for long.
        """
        for symbol, market in self._markets.items():
            if market.last is None:
                for bar in await self._venue.bars(symbol, _LAST_BAR, 1):
                    market.traded_before(bar.close)

    async def run_market(self, symbol: str) -> None:
        """Endless: follow the market of one symbol."""
        market = self._markets[symbol]
        async for event in self._venue.market_events(symbol):
            market.hear(event)
            if isinstance(event, BookTop | TradeTick):
                for tap in self._taps:
                    tap(event)
            elif isinstance(event, StreamUp | StreamDown):
                await self._note_stream(event)
            self._notify()

    async def run_user(self) -> None:
        """Endless: follow our own orders and balances."""
        async for event in self._venue.user_events():
            match event:
                case StreamUp():
                    await self._note_stream(event)
                    await self._catch_up()
                    self.user.up()
                case StreamDown():
                    self.user.down()
                    self._readings.balances = None
                    await self._note_stream(event)
                case OrderUpdate():
                    self.user.heard()
                    await self._settler.on_update(event)
                case BalanceUpdate(balances=balances):
                    self.user.heard()
                    known = self._readings.balances or {}
                    self._readings.balances = {**known, **balances}
            self._notify()
            # A cancel-all brings hundreds of events at once: its own answer must not wait for them.
            await asyncio.sleep(0)

    async def run_polling(self) -> None:
        """Endless: clock, rules, balances and open orders, every 10 s."""
        while True:
            await self._until_next_poll()
            try:
                await self.measure_clock()
                await self.read_rules()
                await self.read_last_prices()
                for symbol in self._markets:
                    await self._settler.look_for_missed(symbol)
                if self.user.connected:
                    await self.read_balances()
                    # A quiet account sends nothing for hours. The adapter pings the stream and
                    # calls it down within two pings; that it is up is what is fresh here.
                    self.user.alive()
            except VenueQueryFailed as error:
                # Not known is said as not known: risk blocks until the next good reading (I12).
                _log.warning("poll failed", cause=error.line())
                self._readings.clock_offset_ms = None
                self._readings.balances = None
            self._notify()

    async def _until_next_poll(self) -> None:
        """Wait; meanwhile only ask whether a symbol that stands still trades again."""
        for _ in range(int(_POLL_SECONDS / _HALT_POLL_SECONDS)):
            await asyncio.sleep(_HALT_POLL_SECONDS)
            if all(market.instrument.trading for market in self._markets.values()):
                continue
            try:
                await self.read_rules()
            except VenueQueryFailed as error:
                _log.warning("rules not read", cause=error.line())
            self._notify()

    async def _catch_up(self) -> None:
        """Ask for what the stream did not tell while it was down, until the venue has answered."""
        session = self._core.state.sessions.current
        since_us = session.created_us if session else wall_us()
        while True:
            try:
                for symbol in self._markets:
                    await self._settler.sync(symbol)
                    await self._settler.missed_fills(symbol, since_us)
                await self.read_balances()
            except VenueQueryFailed as error:
                _log.warning("catch-up failed", cause=error.line())
                await asyncio.sleep(_RETRY_SECONDS)
            else:
                return

    async def _note_stream(self, event: StreamUp | StreamDown) -> None:
        if isinstance(event, StreamUp):
            offset_ms = self._readings.clock_offset_ms or 0
            await self._core.record(
                ENGINE,
                VenueConnected(
                    venue=self._venue.name,
                    stream=event.stream,
                    clock_offset_us=offset_ms * _US_PER_MS,
                ),
            )
        else:
            await self._core.record(
                ENGINE,
                VenueDisconnected(venue=self._venue.name, stream=event.stream, reason=event.reason),
            )

    def _notify(self) -> None:
        for callback in self._changed:
            callback()
