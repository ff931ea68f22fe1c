"""One WebSocket connection: a queue and a writer, so that no slow client holds up the market.

A client that lets more than a few thousand messages pile up is cut off, as a venue does.
"""

from __future__ import annotations

import asyncio
from collections import deque

from aiohttp import WSMsgType, web

_MOST_QUEUED = 20_000


class Connection:
    """Messages go out in the order of `send`."""

    def __init__(self, request: web.Request) -> None:
        self._request = request
        self.socket = web.WebSocketResponse(heartbeat=20, compress=False, max_msg_size=1 << 20)
        self._queue: deque[bytes] = deque()
        self._wake = asyncio.Event()
        self._writer: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Answer the handshake and start to write."""
        await self.socket.prepare(self._request)
        self._writer = asyncio.create_task(self._write())

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

    async def close(self) -> None:
        """Stop writing."""
        if self._writer is not None:
            self._writer.cancel()
            await asyncio.gather(self._writer, return_exceptions=True)

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
