"""A WebSocket connection that comes back by itself: the part both streams share.

    connect -> events of the connection -> lost: StreamDown, pause, connect -> ... -> closed

The pause doubles, is bounded and jittered: several clients must not come back in step after a
venue's restart. A connection counts as good only after it lasted a while, so one that is cut right
after every connect backs off too (the venue allows 300 connections in 5 minutes).
"""

from __future__ import annotations

import asyncio
import random
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from typing import Generic, TypeVar

import aiohttp

from engine.venues.binance.errors import TRANSPORT_ERRORS, classify_transport
from engine.venues.binance.options import BinanceOptions
from engine.venues.binance.rest import RestClient
from engine.venues.binance.wire import WireError
from engine.venues.port import StreamDown, VenueQueryFailed

Event = TypeVar("Event")

#: A connection that lasted so long starts the pauses from the shortest again.
GOOD_AFTER_S = 10.0
SHORTEST_WAIT_S = 0.01


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


class Stream(ABC, Generic[Event]):
    """One stream: `events` connects and reconnects by itself until `closed` is set."""

    name: str

    def __init__(self, options: BinanceOptions, rest: RestClient, closed: asyncio.Event) -> None:
        self._options = options
        self._rest = rest
        self._closed = closed
        self._socket: aiohttp.ClientWebSocketResponse | None = None

    @abstractmethod
    def _url(self) -> str:
        """Where to connect."""

    @abstractmethod
    def _connection(self, socket: aiohttp.ClientWebSocketResponse) -> AsyncIterator[Event]:
        """Emit the events of one connection; raises when it is of no more use."""

    async def events(self) -> AsyncIterator[Event | StreamDown]:
        """Endless until closed."""
        backoff = Backoff(self._options.reconnect_first_s, self._options.reconnect_longest_s)
        while not self._closed.is_set():
            started = time.monotonic()
            reason = "closed by the venue"
            try:
                self._socket = await self._connect()
                async for event in self._connection(self._socket):
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
                await self.close()
            if self._closed.is_set():
                return
            yield StreamDown(stream=self.name, reason=reason)
            backoff.lasted(time.monotonic() - started)
            await self._pause(backoff.pause_s(random.random()))  # noqa: S311

    async def close(self) -> None:
        """Close the connection; `events` ends or connects anew."""
        socket, self._socket = self._socket, None
        if socket is not None:
            await socket.close()

    async def _connect(self) -> aiohttp.ClientWebSocketResponse:
        async with asyncio.timeout(self._options.query_timeout_s):
            return await self._rest.start().ws_connect(
                self._url(), heartbeat=self._options.ping_s, timeout=_SOCKET_TIMEOUT
            )

    async def _pause(self, seconds: float) -> None:
        """Wait so long, or until closed."""
        try:
            async with asyncio.timeout(seconds):
                await self._closed.wait()
        except TimeoutError:
            return


#: A venue that does not answer our close frame must not hold up the reconnect.
_SOCKET_TIMEOUT = aiohttp.ClientWSTimeout(ws_close=1.0)


async def receive_text(socket: aiohttp.ClientWebSocketResponse, within_s: float) -> str | None:
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
