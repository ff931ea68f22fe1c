"""python-binance trades on the sandbox; nothing of it is changed but its URLs."""

from __future__ import annotations

import asyncio
import contextlib
import warnings
from collections.abc import AsyncIterator
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest

with warnings.catch_warnings():
    # Its `websockets` import is the legacy one.
    warnings.simplefilter("ignore", DeprecationWarning)
    from binance import AsyncClient, BinanceSocketManager, DepthCacheManager
    from binance.exceptions import BinanceAPIException

SYMBOL = "BTCUSDT"
#: What one wait for the market may take on a busy machine.
DEADLINE_S = 60


@contextlib.asynccontextmanager
async def client(ready: Any, **keys: str) -> AsyncIterator[Any]:
    """A client that talks to the sandbox: a subclass with other URLs, as its documentation says."""

    class Local(AsyncClient):
        API_URL = f"{ready.rest}/api"
        WS_API_URL = ready.ws_api

    made = await Local.create(**keys)
    # Its reader looks up only so often, and closing waits for that: 10 s unless it is told.
    made.ws_api.TIMEOUT = 0.5
    try:
        yield made
    finally:
        await made.close_connection()


def sockets(ready: Any, made: Any) -> BinanceSocketManager:
    """Its socket manager with another URL."""
    manager = BinanceSocketManager(made)
    manager.STREAM_URL = f"{ready.ws}/"
    return manager


def keys_of(ready: Any, kind: str) -> dict[str, str]:
    """The two kinds of keys as it takes them."""
    key, secret = getattr(ready, kind)(f"python_{kind}")
    if kind == "hmac":
        return {"api_key": key, "api_secret": secret}
    return {"api_key": key, "private_key": secret}


async def low_price(made: Any) -> str:
    """A price at which an order rests."""
    best = Decimal((await made.get_orderbook_ticker(symbol=SYMBOL))["bidPrice"])
    return str((best * Decimal("0.9")).quantize(Decimal("0.01")))


async def test_history_is_back_filled_over_many_pages(ready: Any) -> None:
    async with client(ready) as made:
        info = await made.get_symbol_info(SYMBOL)
        assert {f["filterType"] for f in info["filters"]} >= {"PRICE_FILTER", "LOT_SIZE"}
        bars = await made.get_historical_klines(SYMBOL, "1m", "40 hours ago UTC")
        assert len(bars) >= 2399
        assert {after[0] - before[0] for before, after in pairwise(bars)} == {60_000}
        seen: list[int] = []
        async for trade in made.aggregate_trade_iter(SYMBOL, start_str="3 hours ago UTC"):
            seen.append(trade["a"])
            if len(seen) == 1500:
                break
        assert {after - before for before, after in pairwise(seen)} == {1}


@pytest.mark.parametrize("kind", ["hmac", "ed25519"])
async def test_orders_are_placed_filled_seen_and_canceled(ready: Any, kind: str) -> None:
    async with client(ready, **keys_of(ready, kind)) as made:
        price = await low_price(made)
        resting = await made.order_limit_buy(symbol=SYMBOL, quantity="0.001", price=price)
        assert resting["status"] == "NEW"
        assert resting["clientOrderId"].startswith("x-HNA2TXFJ")
        (opened,) = await made.get_open_orders(symbol=SYMBOL)
        assert opened["orderId"] == resting["orderId"]
        gone = await made.cancel_order(symbol=SYMBOL, orderId=resting["orderId"])
        assert gone["status"] == "CANCELED"

        taken = await made.order_market_buy(symbol=SYMBOL, quantity="0.002")
        assert taken["status"] == "FILLED"
        fills = await made.get_my_trades(symbol=SYMBOL, orderId=taken["orderId"])
        assert sum(Decimal(fill["qty"]) for fill in fills) == Decimal("0.002")
        assert [(f["tradeId"], f["commission"]) for f in taken["fills"]] == [
            (f["id"], f["commission"]) for f in fills
        ]
        held = await made.get_asset_balance(asset="BTC")
        fees = sum(Decimal(fill["commission"]) for fill in fills)
        assert Decimal(held["free"]) == 1 + Decimal("0.002") - fees
        history = await made.get_all_orders(symbol=SYMBOL)
        assert [order["status"] for order in history] == ["CANCELED", "FILLED"]
        for _ in range(2):
            await made.order_limit_sell(symbol=SYMBOL, quantity="0.001", price="90000.00")
        assert len(await made.cancel_all_open_orders(symbol=SYMBOL)) == 2


async def test_refusals_are_the_clients_own_exceptions(ready: Any) -> None:
    key, secret = ready.hmac("python_refused")
    async with client(ready, api_key=key, api_secret=secret) as made:
        price = await low_price(made)
        high = str(Decimal(price) * 2)
        order = {"symbol": SYMBOL, "side": "BUY", "quantity": "0.001", "price": high}
        for change, code, words in (
            ({"type": "LIMIT_MAKER"}, -2010, "immediately match"),
            ({"type": "LIMIT", "timeInForce": "GTC", "quantity": "9"}, -2010, "insufficient"),
            ({"type": "LIMIT", "timeInForce": "GTX"}, -1115, "timeInForce"),
            ({"type": "LIMIT", "timeInForce": "GTC", "price": "1.005"}, -1013, "PRICE_FILTER"),
        ):
            with pytest.raises(BinanceAPIException, match=words) as refused:
                await made.create_order(**{**order, **change})
            assert (refused.value.code, refused.value.status_code) == (code, 400)
        with pytest.raises(BinanceAPIException) as refused:
            await made.cancel_order(symbol=SYMBOL, orderId=1)
        assert refused.value.code == -2011


async def test_user_socket_and_depth_cache(ready: Any) -> None:
    key, secret = ready.hmac("python_stream")
    async with client(ready, api_key=key, api_secret=secret) as made:
        manager = sockets(ready, made)
        seen: list[tuple[str, str]] = []
        async with asyncio.timeout(DEADLINE_S):
            async with manager.user_socket() as stream:
                placed = await made.order_market_buy(symbol=SYMBOL, quantity="0.002")
                while ("executionReport", "FILLED") not in seen:
                    event = await stream.recv()
                    seen.append((event["e"], event.get("X", "")))
                    if event["e"] == "executionReport":
                        assert event["i"] == placed["orderId"]
            assert seen[0] == ("executionReport", "NEW")
            async with DepthCacheManager(made, SYMBOL, bm=manager, ws_interval=100) as depth:
                for _ in range(5):
                    cache = await depth.recv()
                    assert cache.get_bids()[0][0] < cache.get_asks()[0][0]
            async with manager.trade_socket(SYMBOL) as stream:
                first, second = await stream.recv(), await stream.recv()
            assert second["t"] == first["t"] + 1
