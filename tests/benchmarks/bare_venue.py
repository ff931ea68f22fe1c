"""The least that talks to the venue: aiohttp, one signature, the answer read as JSON."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import time
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Any
from urllib.parse import urlencode

import aiohttp
import msgspec
from yarl import URL


class BareVenue:
    """A signed client without anything of ours."""

    def __init__(self, rest: str, key: str, secret: str) -> None:
        self._base = f"{rest}/api/v3/"
        self._key = key
        self._secret = secret.encode()
        self._session = aiohttp.ClientSession(
            headers={"X-MBX-APIKEY": key}, cookie_jar=aiohttp.DummyCookieJar()
        )

    async def __aenter__(self) -> BareVenue:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._session.close()

    async def signed(self, method: str, path: str, **params: str) -> Any:
        """One signed request. Raises RuntimeError for anything but a 2xx."""
        query = urlencode({**params, "recvWindow": "5000", "timestamp": str(_now_ms())})
        signature = hmac.new(self._secret, query.encode(), hashlib.sha256).hexdigest()
        url = URL(f"{self._base}{path}?{query}&signature={signature}", encoded=True)
        async with self._session.request(method, url) as response:
            body = await response.read()
            if response.status >= 300:
                raise RuntimeError(f"{path}: {response.status} {body[:200]!r}")
        return msgspec.json.decode(body)

    async def limit_order(self, price: str, quantity: str, client_order_id: str) -> Any:
        """A resting buy."""
        return await self.signed(
            "POST",
            "order",
            symbol="BTCUSDT",
            side="BUY",
            type="LIMIT",
            timeInForce="GTC",
            quantity=quantity,
            price=price,
            newClientOrderId=client_order_id,
            newOrderRespType="FULL",
        )

    @contextlib.asynccontextmanager
    async def listening(self, ws_api: str) -> AsyncIterator[None]:
        """Have the account's own reports sent here too, and read them; as whoever trades must."""
        params = {"apiKey": self._key, "timestamp": _now_ms()}
        payload = "&".join(f"{name}={params[name]}" for name in sorted(params))
        signature = hmac.new(self._secret, payload.encode(), hashlib.sha256).hexdigest()
        async with self._session.ws_connect(ws_api) as socket:
            await socket.send_json(
                {
                    "id": 1,
                    "method": "userDataStream.subscribe.signature",
                    "params": {**params, "signature": signature},
                }
            )
            answer = await socket.receive_json()
            assert answer["status"] == 200, f"subscription refused: {answer}"
            reading = asyncio.create_task(_read(socket))
            try:
                yield
            finally:
                reading.cancel()
                await asyncio.gather(reading, return_exceptions=True)

    async def ping(self) -> None:
        """The cheapest request there is."""
        async with self._session.get(f"{self._base}ping") as response:
            await response.read()


async def _read(socket: aiohttp.ClientWebSocketResponse) -> None:
    async for message in socket:
        msgspec.json.decode(message.data)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
