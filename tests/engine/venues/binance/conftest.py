"""A venue that misbehaves on purpose: raw HTTP on loopback, one answer decided per request."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

import pytest

from engine.venues.binance import BinanceOptions, BinanceVenue

SECRET = "the-shared-secret-of-the-test"
API_KEY = "the-api-key-of-the-test"


class RawVenue:
    """Answers every request with what `decide(method, path)` returns; keeps what was asked.

    `CLOSE` drops the connection after the whole request was read, `HANG` never answers.
    """

    CLOSE = b"close"
    HANG = b"hang"

    def __init__(self) -> None:
        self.decide: Callable[[str, str], bytes] = lambda method, path: self.CLOSE
        self.asked: list[tuple[str, str]] = []
        self.port = 0
        self.hanging = asyncio.Event()

    @staticmethod
    def http(status: int, body: bytes | str, *headers: str) -> bytes:
        """One HTTP answer, bytes as they go over the wire."""
        content = body.encode() if isinstance(body, str) else body
        lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(content)}", *headers, "", ""]
        return "\r\n".join(lines).encode() + content

    @classmethod
    def error(cls, status: int, code: int, message: str, *headers: str) -> bytes:
        """One error of the venue."""
        return cls.http(status, f'{{"code":{code},"msg":"{message}"}}', *headers)

    def count(self, method: str, path: str) -> int:
        return self.asked.count((method, path))

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                method, target, _ = head.split(b"\r\n", 1)[0].decode().split(" ")
                path = target.split("?")[0].removeprefix("/api/v3/")
                self.asked.append((method, path))
                answer = self.decide(method, path)
                if answer == self.HANG:
                    self.hanging.set()
                    await reader.read()
                    break
                if answer == self.CLOSE:
                    break
                writer.write(answer)
                await writer.drain()
        writer.close()


@pytest.fixture
async def raw() -> AsyncIterator[RawVenue]:
    venue = RawVenue()
    server = await asyncio.start_server(venue.serve, "127.0.0.1", 0)
    venue.port = server.sockets[0].getsockname()[1]
    yield venue
    server.close()


@pytest.fixture
async def adapter(raw: RawVenue) -> AsyncIterator[BinanceVenue]:
    """The adapter in front of the raw venue, not opened."""
    venue = BinanceVenue(
        BinanceOptions(
            name="raw",
            rest_url=f"http://127.0.0.1:{raw.port}",
            ws_url=f"ws://127.0.0.1:{raw.port}",
            ws_api_url=f"ws://127.0.0.1:{raw.port}/ws-api/v3",
            api_key=API_KEY,
            secret=SECRET,
            trade_timeout_s=0.25,
            query_timeout_s=0.25,
        )
    )
    yield venue
    await venue.close()
