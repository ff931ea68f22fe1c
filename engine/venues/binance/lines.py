"""Kept connections to the REST host, one request at a time on each, as little as that needs.

aiohttp's client spends about as long on a request as the venue does; on the order path that is half
of what a person waits for. So requests travel here and aiohttp keeps the streams. Promises: a POST
is written once, on one connection, and never again (I3); a GET or DELETE is written a second time
only when a *kept* connection was closed without one byte of an answer, as a closed idle connection
is; redirects are not followed; errors say what is known and quote nothing of the request (I10).
"""

from __future__ import annotations

import asyncio
import ssl
from typing import NamedTuple

from aiohttp import ConnectionTimeoutError
from multidict import CIMultiDict
from yarl import URL

from engine.contracts.errors import ConfigError
from engine.http1 import Reader
from engine.kept_line import KeptLine


class NotConnectedError(ConnectionError):
    """No connection came to be: the request certainly did not leave."""


class Answer(NamedTuple):
    """Status, headers (any case) and whole body."""

    status: int
    headers: CIMultiDict[str]
    body: bytes


class Lines:
    """The connections to one host. An idle one is dropped after `keep_alive_s`."""

    def __init__(
        self, base: str, headers: dict[str, str], *, connect_timeout_s: float, keep_alive_s: float
    ) -> None:
        """`base` is scheme, host, port and what paths begin with; `headers` go with all."""
        url = URL(base)
        if url.scheme not in {"http", "https"} or url.host is None or url.port is None:
            raise ConfigError(what="is not an http or https address", where="venue.rest_url")
        lines = [f"Host: {url.authority}", *(f"{name}: {headers[name]}" for name in headers)]
        if any(not line.isascii() or not line.isprintable() for line in lines):
            raise ConfigError(what="has characters no header may have", where="venue key")
        self._head = "".join(f"{line}\r\n" for line in lines)
        self._prefix = url.raw_path.rstrip("/")
        self._host, self._port = url.host, url.port
        self._secure = url.scheme == "https"
        self._tls: ssl.SSLContext | None = None
        self._connect_timeout_s = connect_timeout_s
        self._keep_alive_s = keep_alive_s
        self._idle: list[KeptLine] = []
        self._all: set[KeptLine] = set()
        self.closed = False

    async def request(self, method: str, target: str, timeout_s: float) -> Answer:
        """Send one request for `target` (path and query) and read the answer.

        Raises NotConnectedError and ConnectionTimeoutError when nothing left; TimeoutError,
        NotHttpError or ConnectionResetError when the outcome is not known.
        """
        loop = asyncio.get_running_loop()
        until = loop.time() + timeout_s
        length = "Content-Length: 0\r\n" if method == "POST" else ""
        request = f"{method} {self._prefix}{target} HTTP/1.1\r\n{self._head}{length}\r\n".encode()
        reader = Reader()
        line = self._kept(loop.time())
        if line is not None:
            try:
                return await self._ask(line, request, reader, until)
            except ConnectionResetError:
                if method == "POST" or reader.begun:
                    raise
                reader = Reader()
        return await self._ask(await self._made(until), request, reader, until)

    async def close(self) -> None:
        """Hang up; what is under way fails as a lost connection."""
        self.closed = True
        lines = tuple(self._all)
        for line in lines:
            line.hang_up()
        await asyncio.gather(*(line.gone.wait() for line in lines))

    async def _ask(self, line: KeptLine, request: bytes, reader: Reader, until: float) -> Answer:
        try:
            await line.ask(request, reader, until)
        except BaseException:
            line.hang_up()
            raise
        if reader.reusable and not self.closed:
            line.idle_since = asyncio.get_running_loop().time()
            self._idle.append(line)
        else:
            line.hang_up()
        return Answer(reader.status, CIMultiDict(reader.headers), reader.body)

    def _kept(self, now: float) -> KeptLine | None:
        """The connection that was used last: its way is the warmest."""
        while self._idle:
            line = self._idle.pop()
            if line.open and now - line.idle_since < self._keep_alive_s:
                return line
            line.hang_up()
        return None

    async def _made(self, until: float) -> KeptLine:
        loop = asyncio.get_running_loop()
        if self._secure and self._tls is None:
            self._tls = await asyncio.to_thread(ssl.create_default_context)
        limit = min(self._connect_timeout_s, max(0.0, until - loop.time()))
        line = KeptLine(self._all, loop)
        try:
            async with asyncio.timeout(limit):
                try:
                    await loop.create_connection(
                        lambda: line, self._host, self._port, ssl=self._tls
                    )
                except BaseException:
                    line.give_up()
                    raise
        except TimeoutError as error:
            raise ConnectionTimeoutError("no connection in time") from error
        except OSError as error:
            raise NotConnectedError(error.errno, "no connection") from error
        return line
