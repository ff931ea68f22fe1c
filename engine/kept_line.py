"""One kept connection that carries one request at a time: write it, wait for its whole answer.

What the answer is made of is the reader's (`engine.http1.Reader`, or a JSON line). Bytes that
nobody asked for end the connection; one that ends before its answer is whole fails whoever waits
with ConnectionResetError, and what was sent may have been done (I3). Nothing is sent twice here.
"""

from __future__ import annotations

import asyncio
from typing import Protocol, cast


class Reads(Protocol):
    """What makes an answer of bytes."""

    def feed(self, received: bytes) -> bool:
        """Take more bytes; True when the answer is whole. Raises NotHttpError."""

    def finish(self) -> bool:
        """The peer closed: True when that ends the answer."""


class KeptLine(asyncio.Protocol):
    """The connection; it stands in `every` while it is open, `gone` is set when it has ended.

    `idle_since` is its owner's (loop time, seconds).
    """

    def __init__(self, every: set[KeptLine], loop: asyncio.AbstractEventLoop) -> None:
        self.idle_since = 0.0
        self.gone = asyncio.Event()
        self._every = every
        self._loop = loop
        self._reader: Reads | None = None
        self._transport: asyncio.Transport | None = None
        self._answer: asyncio.Future[None] | None = None
        self._given_up = False

    @property
    def open(self) -> bool:
        """Whether a request may be written."""
        return self._transport is not None and not self._transport.is_closing()

    async def ask(self, request: bytes, reader: Reads, until: float | None = None) -> None:
        """Write the request and wait until `reader` has its answer, at most until `until` (loop).

        Raises TimeoutError, NotHttpError, and ConnectionResetError when the connection ended.
        """
        if self._transport is None or self._transport.is_closing():
            raise ConnectionResetError("closed before the request")
        self._reader = reader
        answer = self._answer = self._loop.create_future()
        timer = None
        if until is not None:
            timer = self._loop.call_at(until, self._fail, TimeoutError("no answer in time"))
        try:
            self._transport.write(request)
            await answer
        finally:
            if timer is not None:
                timer.cancel()
            self._answer = None

    def hang_up(self) -> None:
        """End the connection at once."""
        if self._transport is not None:
            self._transport.abort()

    def give_up(self) -> None:
        """Nobody waits for this connection any more: whoever made it was canceled.

        uvloop tells nothing of the end of a connection whose maker was canceled, and a close that
        waits for `gone` would wait forever.
        """
        self._given_up = True
        self.hang_up()
        self._every.discard(self)
        self.gone.set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        # uvloop's transports have the methods and not the base class.
        self._transport = cast(asyncio.Transport, transport)
        if self._given_up:
            self._transport.abort()
            return
        self._every.add(self)

    def data_received(self, data: bytes) -> None:
        """Read on; bytes that nobody asked for end the connection."""
        answer = self._answer
        if answer is None or answer.done() or self._reader is None:
            self.hang_up()
            return
        try:
            if self._reader.feed(data):
                answer.set_result(None)
        except ConnectionError as error:
            self._fail(error)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell whoever waits."""
        self._every.discard(self)
        self._transport = None
        self.gone.set()
        answer = self._answer
        if answer is None or answer.done():
            return
        if exc is None and self._reader is not None and self._reader.finish():
            answer.set_result(None)
        else:
            self._fail(exc or ConnectionResetError("closed unanswered"))

    def _fail(self, error: Exception) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error)
