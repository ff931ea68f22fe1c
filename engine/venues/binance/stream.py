"""A WebSocket connection that comes back by itself: the part both streams share.

    connect, subscribe -> events -> lost: StreamDown, pause, connect -> ... -> closed
                             |
                             old age, or the venue announces its end: a second connection is made
                             beside the first, both run for `overlap_s`, then the first is drained
                             and closed. Nothing falls between them, so nothing is called down.

The pause doubles, is bounded and jittered: several clients must not come back in step after a
venue's restart. A connection counts as good only after it lasted a while, so one that is cut right
after every connect backs off too (the venue allows 300 connections in 5 minutes).
"""

from __future__ import annotations

import asyncio
import random
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import AsyncIterator
from typing import Generic, TypeVar

import aiohttp
import msgspec

from engine.venues.binance.errors import TRANSPORT_ERRORS, classify_transport
from engine.venues.binance.meter import StreamMeter
from engine.venues.binance.options import BinanceOptions
from engine.venues.binance.rest import RestClient
from engine.venues.binance.wire import WireError
from engine.venues.port import StreamDown, VenueQueryFailed

Event = TypeVar("Event")
Socket = aiohttp.ClientWebSocketResponse

#: A connection that lasted so long starts the pauses from the shortest again.
GOOD_AFTER_S = 10.0
SHORTEST_WAIT_S = 0.01
#: While a second connection is made, a quiet first one is left so often to see whether it is ready.
RENEWAL_LOOK_S = 0.05
#: A stream that never pauses is not drained to the end: the new connection has the rest too.
LONGEST_DRAIN_S = 1.0
#: Connections of one age are not all replaced at once: up to this share earlier.
RENEW_JITTER = 0.1


class StreamLost(Exception):  # noqa: N818
    """The connection is of no more use; the text says why, without URL or key."""


class Backoff:
    """Pauses in seconds, from `first_s` doubling to `longest_s`, each cut by up to a half. Pure."""

    def __init__(self, first_s: float, longest_s: float) -> None:
        self._first_s = first_s
        self._longest_s = longest_s
        self._failures = 0

    def lasted(self, seconds: float) -> None:
        """Tell how long the last connection lived."""
        if seconds >= GOOD_AFTER_S:
            self._failures = 0

    def pause_s(self, chance: float) -> float:
        """Return the next pause; `chance` is a random number of [0, 1)."""
        doubled: float = self._first_s * 2.0 ** min(self._failures, 30)
        self._failures += 1
        return min(doubled, self._longest_s) * (0.5 + chance / 2)


class Line(msgspec.Struct, frozen=True):
    """A subscribed connection and what it has said already."""

    socket: Socket
    early: list[str]


class Stream(ABC, Generic[Event]):
    """One stream: `events` connects and reconnects by itself until `closed` is set."""

    #: What the port's StreamUp and StreamDown call it.
    name: str

    def __init__(
        self,
        options: BinanceOptions,
        rest: RestClient,
        closed: asyncio.Event,
        meter: StreamMeter,
    ) -> None:
        self._options = options
        self._rest = rest
        self._closed = closed
        self._meter = meter
        self._socket: Socket | None = None
        #: Texts that were read and not yet handed out.
        self._backlog: deque[str] = deque()
        self._renew_at = 0.0  # monotonic s
        self._successor: asyncio.Task[Line] | None = None
        self._renewals = Backoff(options.reconnect_first_s, options.reconnect_longest_s)

    @abstractmethod
    def _url(self) -> str:
        """Where to connect."""

    async def _subscribe(self, socket: Socket) -> list[str]:  # noqa: ARG002  (for the heirs)
        """Ask for the events on a fresh connection; texts that came meanwhile. Raises StreamLost.

        A stream whose address names what it wants has nothing to ask for.
        """
        return []

    @abstractmethod
    def _connection(self) -> AsyncIterator[Event]:
        """Emit the events of one connection; raises when it is of no more use."""

    def _moved(self) -> None:
        """Forget what was asked on a connection that has been replaced."""

    async def events(self) -> AsyncIterator[Event | StreamDown]:
        """Endless until closed."""
        backoff = Backoff(self._options.reconnect_first_s, self._options.reconnect_longest_s)
        while not self._closed.is_set():
            started = time.monotonic()
            reason = "closed by the venue"
            try:
                self._use(await self._connect())
                async for event in self._connection():
                    yield event
            except StreamLost as error:
                reason = str(error)
            except VenueQueryFailed as error:
                reason = error.what
            except WireError as error:
                reason = f"unreadable message: {error}"
            except TRANSPORT_ERRORS as error:
                reason = classify_transport(error).text
            finally:
                self._meter.down()
                await self.close()
            if self._closed.is_set():
                return
            yield StreamDown(stream=self.name, reason=reason)
            backoff.lasted(time.monotonic() - started)
            await self._pause(backoff.pause_s(random.random()))  # noqa: S311

    async def close(self) -> None:
        """Close the connection; `events` ends or connects anew."""
        socket, self._socket = self._socket, None
        self._backlog.clear()
        await self._abandon()
        if socket is not None:
            await socket.close()

    # --- for the streams themselves --------------------------------------------------------------

    async def _next(self, within_s: float) -> str | None:
        """Return the next text, None when none came in time. Raises StreamLost."""
        deadline = time.monotonic() + within_s
        while True:
            await self._renew()
            if self._backlog:
                return self._backlog.popleft()
            if self._socket is None:
                raise StreamLost("closed")
            left_s = deadline - time.monotonic()
            wait_s = left_s if self._successor is None else min(left_s, RENEWAL_LOOK_S)
            text = await receive_text(self._socket, wait_s)
            if text is not None:
                self._meter.heard()
                return text
            if time.monotonic() >= deadline:
                return None

    async def _renew(self) -> None:
        """Begin a second connection when it is due; go over to it when it is ready."""
        if self._successor is not None and self._successor.done():
            await self._move(self._successor)
        elif self._successor is None and time.monotonic() >= self._renew_at:
            self._successor = asyncio.create_task(self._prepare(), name=f"{self.name}-renewal")

    def _leave_soon(self) -> None:
        """The venue has announced the end of this connection: make another one beside it."""
        self._renew_at = 0.0

    def _delay_us(self, event_time_ms: int) -> int:
        """Time since an event of the venue's clock."""
        return self._rest.venue_now_us() - event_time_ms * 1000

    # --- connections -----------------------------------------------------------------------------

    async def _connect(self) -> Line:
        """Open a connection and subscribe on it. Raises StreamLost and transport errors."""
        async with asyncio.timeout(self._options.query_timeout_s):
            socket = await self._rest.start().ws_connect(
                self._url(), heartbeat=self._options.ping_s, timeout=_SOCKET_TIMEOUT
            )
        try:
            return Line(socket, await self._subscribe(socket))
        except BaseException:
            await socket.close()
            raise

    def _use(self, line: Line) -> None:
        self._socket = line.socket
        self._backlog.extend(line.early)
        age_s = self._options.renew_after_s
        self._renew_at = time.monotonic() + age_s * (1 - RENEW_JITTER * random.random())  # noqa: S311

    async def _prepare(self) -> Line:
        """Make a second connection and let it run beside the first for a while."""
        line = await self._connect()
        try:
            await asyncio.sleep(self._options.overlap_s)
        except asyncio.CancelledError:
            await line.socket.close()
            raise
        return line

    async def _move(self, made: asyncio.Task[Line]) -> None:
        """Go over to the second connection, with all that the first still holds."""
        self._successor = None
        try:
            fresh = made.result()
        except (StreamLost, WireError, VenueQueryFailed, *TRANSPORT_ERRORS):
            # The present connection still lives: try again later.
            pause_s = self._renewals.pause_s(random.random())  # noqa: S311
            self._renew_at = time.monotonic() + pause_s
            return
        try:
            await self._drain()
        except BaseException:
            # It broke before it was drained: what it still held is not known.
            await fresh.socket.close()
            raise
        self._use(fresh)
        self._meter.up()
        self._moved()

    async def _drain(self) -> None:
        """Read what the old connection still holds, and close it. Raises StreamLost."""
        old = self._socket
        if old is None:
            raise StreamLost("closed")
        give_up = time.monotonic() + LONGEST_DRAIN_S
        while (text := await receive_text(old, SHORTEST_WAIT_S)) is not None:
            self._backlog.append(text)
            if time.monotonic() > give_up:
                break
        await old.close()

    async def _abandon(self) -> None:
        """End the making of a second connection."""
        made, self._successor = self._successor, None
        if made is None:
            return
        made.cancel()
        (outcome,) = await asyncio.gather(made, return_exceptions=True)
        if isinstance(outcome, Line):
            await outcome.socket.close()

    async def _pause(self, seconds: float) -> None:
        """Wait so long, or until closed."""
        try:
            async with asyncio.timeout(seconds):
                await self._closed.wait()
        except TimeoutError:
            return


#: A venue that does not answer our close frame must not hold up the reconnect.
_SOCKET_TIMEOUT = aiohttp.ClientWSTimeout(ws_close=1.0)


async def receive_text(socket: Socket, within_s: float) -> str | None:
    """Return the next text message, None when none came in time. StreamLost at the end.

    What has arrived already is returned even if the time is over: our own delay proves nothing.
    """
    try:
        message = await socket.receive(timeout=max(within_s, SHORTEST_WAIT_S))
    except TimeoutError:
        return None
    if message.type is aiohttp.WSMsgType.TEXT:
        return str(message.data)
    if message.type is aiohttp.WSMsgType.ERROR:
        raise StreamLost(f"connection broken ({type(message.data).__name__})")
    raise StreamLost(f"closed (code {socket.close_code})")
