"""A real sandbox on a free port, and a small signing client for it."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import aiohttp
import pytest
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from yarl import URL

from engine.sandbox.server import Sandbox, SandboxOptions

DATA = Path(__file__).parents[3].parent / "shared" / "data"


class Client:
    """One account of one sandbox."""

    def __init__(self, document: dict[str, Any], http: aiohttp.ClientSession, account: int) -> None:
        self.urls = document
        self.http = http
        self.keys = document["accounts"][account]
        self.headers: dict[str, str] = {}

    def sign(self, payload: str, kind: str = "hmac") -> str:
        if kind == "hmac":
            secret = self.keys["hmac"]["secret"].encode()
            return hmac.new(secret, payload.encode(), hashlib.sha256).hexdigest()
        pem = Path(self.keys["ed25519"]["private_key_file"]).read_bytes()
        key = load_pem_private_key(pem, password=None)
        return base64.b64encode(key.sign(payload.encode())).decode()

    async def raw(self, method: str, path: str, query: str = "", **more: Any) -> tuple[int, Any]:
        url = f"{self.urls['rest']}/api/v3/{path}" + (f"?{query}" if query else "")
        async with self.http.request(method, URL(url, encoded=True), **more) as response:
            self.headers = dict(response.headers)
            return response.status, await response.json()

    async def public(self, path: str, **params: Any) -> tuple[int, Any]:
        return await self.raw("GET", path, urlencode(params))

    async def signed(
        self, method: str, path: str, kind: str = "hmac", **params: Any
    ) -> tuple[int, Any]:
        params.setdefault("timestamp", time.time_ns() // 1_000_000)
        query = urlencode(params)
        query += "&" + urlencode({"signature": self.sign(query, kind)})
        headers = {"X-MBX-APIKEY": self.keys[kind]["key"]}
        return await self.raw(method, path, query, headers=headers)

    async def limit(self, side: str, price: str, quantity: str, **more: Any) -> tuple[int, Any]:
        order = {"type": "LIMIT", "timeInForce": "GTC", **more}
        return await self.signed(
            "POST", "order", symbol="BTCUSDT", side=side, price=price, quantity=quantity, **order
        )

    async def market(self, side: str, **more: Any) -> tuple[int, Any]:
        return await self.signed(
            "POST", "order", symbol="BTCUSDT", side=side, type="MARKET", **more
        )

    async def cancel(self, **more: Any) -> tuple[int, Any]:
        return await self.signed("DELETE", "order", symbol="BTCUSDT", **more)


class Venue:
    """A running sandbox with one client an account."""

    def __init__(self, sandbox: Sandbox, clients: list[Client]) -> None:
        self.sandbox = sandbox
        self.exchange = sandbox.exchange
        self.demo, self.other = clients
        self.http = self.demo.http
        self.urls = self.demo.urls

    async def arm(self, **faults: Any) -> dict[str, Any]:
        """POST /sandbox/faults; the answer says what is armed and what has fired."""
        async with self.http.post(self.urls["rest"] + "/sandbox/faults", json=faults) as response:
            body: dict[str, Any] = await response.json()
            assert response.status == 200, body
            return body

    async def fired(self, name: str) -> int:
        """How often a fault has happened."""
        return int((await self.arm())["fired"].get(name, 0))

    @asynccontextmanager
    async def user_stream(self) -> AsyncIterator[Events]:
        """A WebSocket API connection that is subscribed to the first account's events."""
        async with self.http.ws_connect(self.urls["ws_api"]) as socket:
            params = {
                "apiKey": self.demo.keys["hmac"]["key"],
                "timestamp": (await self.demo.public("time"))[1]["serverTime"],
            }
            payload = "&".join(f"{name}={params[name]}" for name in sorted(params))
            params["signature"] = self.demo.sign(payload)
            method = "userDataStream.subscribe.signature"
            await socket.send_json({"id": 0, "method": method, "params": params})
            answer = await socket.receive_json()
            assert answer["status"] == 200, answer
            yield Events(socket)


class Events:
    """What a user stream brings, by kind."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket

    async def report(self, seconds: float = 10) -> dict[str, Any]:
        """The next execution report."""
        async with asyncio.timeout(seconds):
            while True:
                event: dict[str, Any] = (await self.socket.receive_json()).get("event", {})
                if event.get("e") == "executionReport":
                    return event


Start = Callable[..., Awaitable[Venue]]


@pytest.fixture
async def start(tmp_path: Path) -> AsyncIterator[Start]:
    """Start sandboxes; all are closed at the end. The book is empty unless flow is asked for."""
    opened: list[tuple[Sandbox, asyncio.Task[None], aiohttp.ClientSession]] = []

    async def start(**options: Any) -> Venue:
        options = {"flow": False, "first_id": 1, "key_folder": tmp_path / "keys", **options}
        sandbox = Sandbox(SandboxOptions(accounts=("demo", "other"), **options))
        document = await sandbox.start()
        running = asyncio.create_task(sandbox.run())
        http = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10))
        opened.append((sandbox, running, http))
        return Venue(sandbox, [Client(document, http, number) for number in range(2)])

    yield start
    for sandbox, running, http in opened:
        await http.close()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await sandbox.close()


@pytest.fixture
async def venue(start: Start) -> Venue:
    """An empty market with two accounts."""
    return await start()


@pytest.fixture(scope="session")
def recordings() -> list[Path]:
    """The real recordings, oldest first."""
    found = sorted(DATA.glob("binance_spot_BTCUSDT_*_raw.txt.gz"))
    if len(found) != 2:
        pytest.skip(f"needs the two real recordings in {DATA}")
    return found


@pytest.fixture(scope="session")
def klines() -> Path:
    """The official minute klines."""
    found = DATA / "binance_spot_BTCUSDT_1m_2024Q3.csv.xz"
    if not found.exists():
        pytest.skip(f"needs the klines in {DATA}")
    return found
