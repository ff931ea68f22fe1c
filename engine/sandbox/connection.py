"""One WebSocket connection: a queue and a writer, so that no slow client holds up the market.

A client that lets more than a few thousand messages pile up is cut off, as a venue does. The
venue's pings go out every 20 s with a payload of their own; a client that has not echoed one for a
minute is cut off, and an unsolicited pong does not count (web-socket-streams.md). `Connections`
knows all that are open, because faults and age end them from outside.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable

from aiohttp import WSMsgType, web

_MOST_QUEUED = 20_000
PING_EVERY_S = 20.0
PONG_WITHIN_S = 60.0


class Connections:
    """Open connections by kind (`market` or `user`). `mute` says whether pings go unanswered."""

    def __init__(self, mute: Callable[[str], bool]) -> None:
        self.mute = mute
        self.ping_every_s = PING_EVERY_S
        self.pong_within_s = PONG_WITHIN_S
        self._open: dict[Connection, str] = {}

    def add(self, connection: Connection) -> None:
        """A handshake was answered."""
        self._open[connection] = connection.kind

    def remove(self, connection: Connection) -> None:
        """It has ended."""
        self._open.pop(connection, None)

    def cut(self, kind: str) -> int:
        """End all of a kind without a close frame; returns how many."""
        chosen = [connection for connection, found in self._open.items() if found == kind]
        for connection in chosen:
            connection.cut()
        return len(chosen)

    def shut_down(self, event: bytes, after_s: float) -> int:
        """Announce the shutdown on all connections and end them later; returns how many.

        Each kind has its own wrapper: bare on a raw stream, as stream `!serverShutdown` on a
        combined one, as `event` without a subscription on the WebSocket API.
        """
        for connection in self._open:
            connection.send(connection.announcement(event))
            connection.ends_at = time.monotonic() + after_s
        return len(self._open)

    def tick(self, most_age_s: float, fired: Counter[str]) -> None:
        """End what is too old or was told of a shutdown, in an orderly way."""
        now = time.monotonic()
        for connection in list(self._open):
            too_old = now - connection.opened_at >= most_age_s
            if connection.ending or not (too_old or now >= connection.ends_at):
                continue
            if too_old:
                fired["cut_after"] += 1
            connection.end()


class Connection:
    """Messages go out in the order of `send`."""

    def __init__(self, request: web.Request, connections: Connections, kind: str) -> None:
        self._request = request
        self._connections = connections
        self.kind = kind
        self.socket = web.WebSocketResponse(autoping=False, compress=False, max_msg_size=1 << 20)
        self.opened_at = time.monotonic()
        self.ends_at = float("inf")
        self.ending = False
        #: how an event of the connection itself is wrapped
        self.announcement: Callable[[bytes], bytes] = _as_event if kind == "user" else bytes
        self._queue: deque[bytes] = deque()
        self._wake = asyncio.Event()
        self._jobs: list[asyncio.Task[None]] = []
        self._pinged: deque[bytes] = deque(maxlen=8)
        self._ponged_at = self.opened_at

    async def open(self) -> None:
        """Answer the handshake and start to write."""
        await self.socket.prepare(self._request)
        self._connections.add(self)
        self._jobs = [asyncio.create_task(self._write()), asyncio.create_task(self._ping())]

    async def texts(self) -> AsyncIterator[str]:
        """What the client sends, until it goes or sends anything but text; pings are answered."""
        async for message in self.socket:
            match message.type:
                case WSMsgType.TEXT:
                    yield message.data
                case WSMsgType.PING:
                    if not self._connections.mute(self.kind):
                        await self.socket.pong(message.data)
                case WSMsgType.PONG:
                    if bytes(message.data) in self._pinged:
                        self._ponged_at = time.monotonic()
                case _:
                    return

    def send(self, message: bytes) -> None:
        """Queue one text message."""
        if len(self._queue) >= _MOST_QUEUED:
            self.cut()
            return
        self._queue.append(message)
        self._wake.set()

    def cut(self) -> None:
        """End the connection without a close frame."""
        self._queue.clear()
        if self._request.transport is not None:
            self._request.transport.abort()

    def end(self) -> None:
        """End the connection with a close frame, after what is queued."""
        self.ending = True
        self._wake.set()

    async def close(self) -> None:
        """Stop writing."""
        self._connections.remove(self)
        for job in self._jobs:
            job.cancel()
        await asyncio.gather(*self._jobs, return_exceptions=True)

    async def _write(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._queue:
                try:
                    await self.socket.send_frame(self._queue.popleft(), WSMsgType.TEXT)
                except (ConnectionError, RuntimeError):
                    # The peer is gone; the reader ends the connection.
                    return
            if self.ending:
                await self.socket.close(code=1001, message=b"going away")
                return

    async def _ping(self) -> None:
        while True:
            await asyncio.sleep(self._connections.ping_every_s)
            now = time.monotonic()
            if now - self._ponged_at >= self._connections.pong_within_s:
                self.cut()
                return
            payload = str(time.time_ns() // 1_000_000).encode()
            self._pinged.append(payload)
            try:
                await self.socket.ping(payload)
            except (ConnectionError, RuntimeError):
                return


def _as_event(raw: bytes) -> bytes:
    return b'{"event":' + raw + b"}"
