"""Kept connections to the engine's socket: one request at a time on each, as little as that needs.

Two tongues, as `engine.command_line` tells: HTTP/1.1 for everything, and one JSON line for what a
person waits for, where every byte that is parsed is waited for too. A command that asks one thing
need not import a web client to do so either. What changes something is sent once, whatever happens;
a GET is asked again when a kept connection turned out to be closed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Protocol, cast

import msgspec

from engine.http1 import NotHttpError, Reader


class NotConnectedError(ConnectionError):
    """Nobody listens: the request did not leave."""


class Lines:
    """The connections of one client; made when they are needed, kept until `close`."""

    def __init__(self, path: Path) -> None:
        self._path = str(path)
        self._idle: list[_Line] = []
        self._idle_lines: list[_Line] = []
        self._all: set[_Line] = set()

    async def request(self, method: str, target: str, body: bytes | None, seconds: float) -> Reader:
        """Send one request and read its answer, all within `seconds`.

        Raises NotConnectedError when nothing left, OSError (TimeoutError too) when the outcome is
        not known.
        """
        head = f"{method} {target} HTTP/1.1\r\nHost: engine\r\n"
        if body is not None:
            head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        content = head.encode("ascii") + b"\r\n" + (body or b"")
        async with asyncio.timeout(seconds):
            line = self._kept(self._idle)
            if line is not None:
                try:
                    return await self._exchange(line, content)
                except ConnectionResetError:
                    if method != "GET":
                        raise
            return await self._exchange(await self._made(), content)

    async def command(self, route: str, body: bytes, seconds: float) -> tuple[int, bytes]:
        """Ask by one JSON line; status and body of the answer. Sent once. Raises as `request`."""
        content = b'{"route":"%b","body":%b}\n' % (route.encode("ascii"), body)
        async with asyncio.timeout(seconds):
            line = self._kept(self._idle_lines) or await self._made()
            reply = LineReader()
            await self._ask(line, content, reply)
        self._idle_lines.append(line)
        return reply.parsed()

    async def close(self) -> None:
        """Hang up; what is under way fails as a lost connection."""
        lines = tuple(self._all)
        self._idle.clear()
        self._idle_lines.clear()
        for line in lines:
            line.hang_up()
        await asyncio.gather(*(line.gone.wait() for line in lines))

    async def _exchange(self, line: _Line, content: bytes) -> Reader:
        reader = Reader()
        await self._ask(line, content, reader)
        if reader.reusable:
            self._idle.append(line)
        else:
            line.hang_up()
        return reader

    async def _ask(self, line: _Line, content: bytes, reader: _Reads) -> None:
        try:
            await line.ask(content, reader)
        except BaseException:
            line.hang_up()
            raise

    def _kept(self, idle: list[_Line]) -> _Line | None:
        while idle:
            line = idle.pop()
            if line.open:
                return line
        return None

    async def _made(self) -> _Line:
        loop = asyncio.get_running_loop()
        try:
            _, line = await loop.create_unix_connection(
                lambda: _Line(self._all, loop.create_future), self._path
            )
        except OSError as error:
            raise NotConnectedError(*error.args) from error
        return line


class _Reads(Protocol):
    """What makes an answer of bytes."""

    def feed(self, received: bytes) -> bool:
        """Take more bytes; True when the answer is whole. Raises NotHttpError."""


class LineReader:
    """One answer as one JSON line: `{"status":200,"body":...}`."""

    def __init__(self) -> None:
        self._received = b""

    def feed(self, received: bytes) -> bool:
        """Take more bytes; True at the end of the line."""
        self._received += received
        return received.endswith(b"\n")

    def parsed(self) -> tuple[int, bytes]:
        """Status and body. Raises NotHttpError for what is no such line."""
        try:
            answer = _ANSWER.decode(self._received)
        except msgspec.MsgspecError as error:
            raise NotHttpError("the answer is not a line of the engine's") from error
        return answer.status, bytes(answer.body)


class _Answer(msgspec.Struct, frozen=True):
    status: int
    body: msgspec.Raw


_ANSWER = msgspec.json.Decoder(_Answer)


class _Line(asyncio.Protocol):
    """One connection and the one answer it waits for."""

    def __init__(self, every: set[_Line], new_future: Callable[[], asyncio.Future[None]]) -> None:
        self.gone = asyncio.Event()
        self._every = every
        self._new_future = new_future
        self._reader: _Reads = Reader()
        self._transport: asyncio.Transport | None = None
        self._answer: asyncio.Future[None] | None = None

    @property
    def open(self) -> bool:
        """Whether a request may be written."""
        return self._transport is not None and not self._transport.is_closing()

    async def ask(self, content: bytes, reader: _Reads) -> None:
        """Write the request and wait until `reader` has its whole answer."""
        if self._transport is None:
            raise ConnectionResetError("closed before the request")
        self._reader = reader
        self._answer = self._new_future()
        self._transport.write(content)
        await self._answer

    def hang_up(self) -> None:
        """End the connection at once."""
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        # uvloop's transports have the methods and not the base class.
        self._transport = cast(asyncio.Transport, transport)
        self._every.add(self)

    def data_received(self, data: bytes) -> None:
        """Read on; bytes that nobody asked for end the connection."""
        answer = self._answer
        if answer is None or answer.done():
            self.hang_up()
            return
        try:
            if self._reader.feed(data):
                answer.set_result(None)
        except NotHttpError as error:
            answer.set_exception(error)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell whoever waits."""
        self._every.discard(self)
        self._transport = None
        self.gone.set()
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(exc or ConnectionResetError("closed unanswered"))
