"""A venue that misbehaves on purpose (raw HTTP on loopback), and the sandbox with two accounts."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from engine.sandbox.server import Sandbox, SandboxOptions
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
        self.connections = 0
        self.stop_listening: Callable[[], None] = lambda: None
        self._serving: set[asyncio.Task[None]] = set()

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
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        try:
            with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
                await self._answer(reader, writer)
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
            self._serving.discard(task)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            method, target, _ = head.split(b"\r\n", 1)[0].decode().split(" ")
            path = target.split("?")[0].removeprefix("/api/v3/")
            self.asked.append((method, path))
            answer = self.decide(method, path)
            if answer == self.HANG:
                await reader.read()
                return
            if answer == self.CLOSE:
                return
            writer.write(answer)
            await writer.drain()

    async def hang_up(self) -> None:
        """End every connection before the loop does, or they end as warnings in another test."""
        for task in tuple(self._serving):
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)


@pytest.fixture
async def raw() -> AsyncIterator[RawVenue]:
    venue = RawVenue()
    server = await asyncio.start_server(venue.serve, "127.0.0.1", 0)
    venue.port = server.sockets[0].getsockname()[1]
    venue.stop_listening = server.close
    yield venue
    server.close()
    await venue.hang_up()


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
            keep_warm_s=0.05,
            clock_every_s=0.2,
        )
    )
    yield venue
    await venue.close()


class Market:
    """A running sandbox without flow, two accounts on it, and its fault switches."""

    def __init__(self, ready: dict[str, Any]) -> None:
        self.ready = ready
        self._venues: list[BinanceVenue] = []

    def options(self, account: int = 0, **changes: Any) -> BinanceOptions:
        hmac = self.ready["accounts"][account]["hmac"]
        plain = {
            "name": "sandbox",
            "rest_url": self.ready["rest"],
            "ws_url": self.ready["ws"],
            "ws_api_url": self.ready["ws_api"],
            "api_key": hmac["key"],
            "secret": hmac["secret"],
            "symbols": ("BTCUSDT",),
            "reconnect_first_s": 0.02,
        }
        return BinanceOptions(**{**plain, **changes})

    async def venue(self, account: int = 0, **changes: Any) -> BinanceVenue:
        """An opened adapter of one of the two accounts."""
        venue = BinanceVenue(self.options(account, **changes))
        await venue.open()
        self._venues.append(venue)
        return venue

    async def fault(self, **switches: Any) -> dict[str, Any]:
        """Arm faults; returns what is armed and what has fired."""
        url = f"{self.ready['rest']}/sandbox/faults"
        async with aiohttp.ClientSession() as session, session.post(url, json=switches) as answer:
            assert answer.status == 200, await answer.text()
            return await answer.json()

    async def fired(self, name: str) -> int:
        return (await self.fault())["fired"].get(name, 0)

    async def close(self) -> None:
        for venue in self._venues:
            await venue.close()


@contextlib.asynccontextmanager
async def running_market(folder: Path, **options: Any) -> AsyncIterator[Market]:
    """A sandbox with these options, running."""
    plain = {"flow": False, "control": True, "accounts": ("ours", "theirs"), "key_folder": folder}
    sandbox = Sandbox(SandboxOptions(**{**plain, **options}))
    market = Market(await sandbox.start())
    running = asyncio.create_task(sandbox.run())
    try:
        yield market
    finally:
        await market.close()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await sandbox.close()


@pytest.fixture
async def market(tmp_path: Path) -> AsyncIterator[Market]:
    async with running_market(tmp_path / "keys") as market:
        yield market


@pytest.fixture
async def market_with(
    tmp_path: Path,
) -> AsyncIterator[Callable[..., Awaitable[Market]]]:
    """Starts a sandbox with options of its own."""
    async with contextlib.AsyncExitStack() as stack:

        async def start(**options: Any) -> Market:
            return await stack.enter_async_context(running_market(tmp_path / "keys", **options))

        yield start


class Watch:
    """Reads a stream in the background; `until` waits for an event with a deadline."""

    def __init__(self, events: AsyncIterator[Any]) -> None:
        self.seen: list[Any] = []
        self._read = 0
        self._arrived = asyncio.Event()
        self._task = asyncio.create_task(self._pump(events))

    async def _pump(self, events: AsyncIterator[Any]) -> None:
        async for event in events:
            self.seen.append(event)
            self._arrived.set()

    async def until(self, matches: Callable[[Any], Any], within_s: float = 5.0) -> Any:
        """The first event after the last one waited for that matches."""
        async with asyncio.timeout(within_s):
            while True:
                while self._read < len(self.seen):
                    event = self.seen[self._read]
                    self._read += 1
                    if matches(event):
                        return event
                self._arrived.clear()
                await self._arrived.wait()

    async def kind(self, kind: type, within_s: float = 5.0) -> Any:
        return await self.until(lambda event: isinstance(event, kind), within_s)

    async def finished(self) -> None:
        async with asyncio.timeout(5):
            await self._task

    def cancel(self) -> None:
        self._task.cancel()


@pytest.fixture
async def watch() -> AsyncIterator[Callable[[AsyncIterator[Any]], Watch]]:
    watches: list[Watch] = []

    def start(events: AsyncIterator[Any]) -> Watch:
        watches.append(Watch(events))
        return watches[-1]

    yield start
    for one in watches:
        one.cancel()
