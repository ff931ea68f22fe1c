"""Kept connections to the engine's socket: one request at a time on each, as little as that needs.

Two tongues, as `engine.command_line` tells: HTTP/1.1 for everything, and one JSON line for what a
person waits for, where every byte that is parsed is waited for too. A command that asks one thing
need not import a web client to do so either. What changes something is sent once, whatever happens;
a GET is asked again when a kept connection turned out to be closed.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec

from engine.http1 import NotHttpError, Reader
from engine.kept_line import KeptLine, Reads


class NotConnectedError(ConnectionError):
    """Nobody listens: the request did not leave."""


class Lines:
    """The connections of one client; made when they are needed, kept until `close`."""

    def __init__(self, path: Path) -> None:
        self._path = str(path)
        self._idle: list[KeptLine] = []
        self._idle_lines: list[KeptLine] = []
        self._all: set[KeptLine] = set()

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

    async def _exchange(self, line: KeptLine, content: bytes) -> Reader:
        reader = Reader()
        await self._ask(line, content, reader)
        if reader.reusable:
            self._idle.append(line)
        else:
            line.hang_up()
        return reader

    async def _ask(self, line: KeptLine, content: bytes, reader: Reads) -> None:
        try:
            await line.ask(content, reader)
        except BaseException:
            line.hang_up()
            raise

    def _kept(self, idle: list[KeptLine]) -> KeptLine | None:
        while idle:
            line = idle.pop()
            if line.open:
                return line
        return None

    async def _made(self) -> KeptLine:
        loop = asyncio.get_running_loop()
        line = KeptLine(self._all, loop)
        try:
            await loop.create_unix_connection(lambda: line, self._path)
        except OSError as error:
            raise NotConnectedError(*error.args) from error
        except BaseException:
            line.give_up()
            raise
        return line


class LineReader:
    """One answer as one JSON line: `{"status":200,"body":...}`."""

    def __init__(self) -> None:
        self._received = b""

    def feed(self, received: bytes) -> bool:
        """Take more bytes; True at the end of the line."""
        self._received += received
        return received.endswith(b"\n")

    def finish(self) -> bool:
        """A line that was cut off is none."""
        return False

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
