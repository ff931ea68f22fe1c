"""ccxt and ccxt.pro trade on the sandbox; nothing of them is changed but their URLs."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from decimal import Decimal
from functools import partial
from itertools import pairwise
from typing import Any

import ccxt.pro
import pytest

SYMBOL = "BTC/USDT"
#: What one wait for the market may take on a busy machine.
DEADLINE_S = 60


@contextlib.asynccontextmanager
async def client(ready: Any, keys: tuple[str, str] = ("", "")) -> AsyncIterator[Any]:
    """A ccxt exchange that talks to the sandbox."""
    urls = {"public": f"{ready.rest}/api/v3", "private": f"{ready.rest}/api/v3"}
    exchange = ccxt.pro.binance(
        {
            "apiKey": keys[0],
            "secret": keys[1],
            "options": {
                "defaultType": "spot",
                "fetchMarkets": {"types": ["spot"]},
                "fetchCurrencies": False,
                "fetchMargins": False,
            },
            "urls": {
                "api": {
                    **urls,
                    "ws": {"spot": f"{ready.ws}/ws", "ws-api": {"spot": ready.ws_api}},
                }
            },
        }
    )
    try:
        yield exchange
    finally:
        await exchange.close()


async def until(watch: Callable[[], Awaitable[Any]], holds: Callable[[Any], Any]) -> Any:
    """The first thing watched for which something holds."""
    async with asyncio.timeout(DEADLINE_S):
        while True:
            seen = await watch()
            if holds(seen):
                return seen


async def low_price(exchange: Any) -> float:
    """A price at which an order rests."""
    ticker = await exchange.fetch_ticker(SYMBOL)
    return round(ticker["bid"] * 0.9, 2)


async def test_market_rules_and_history(ready: Any) -> None:
    async with client(ready) as exchange:
        markets = await exchange.load_markets()
        assert list(markets) == [SYMBOL]
        precision = markets[SYMBOL]["precision"]
        assert (precision["amount"], precision["price"]) == (1e-05, 0.01)
        assert markets[SYMBOL]["limits"]["cost"]["min"] == 5.0

        now = exchange.milliseconds()
        bars = await exchange.fetch_ohlcv(SYMBOL, "1m", since=now - 20 * 3_600_000, limit=1000)
        assert len(bars) == 1000
        assert {after[0] - before[0] for before, after in pairwise(bars)} == {60_000}
        assert all(bar[5] > 0 for bar in bars)
        trades = await exchange.fetch_trades(SYMBOL, since=bars[0][0], limit=500)
        assert trades[0]["timestamp"] == bars[0][0]
        assert trades[0]["price"] == bars[0][1]
        book = await exchange.fetch_order_book(SYMBOL, 50)
        assert book["bids"][0][0] < book["asks"][0][0]
        tickers = await exchange.fetch_tickers([SYMBOL])
        assert tickers[SYMBOL]["quoteVolume"] > 0


@pytest.mark.parametrize("kind", ["hmac", "ed25519"])
async def test_orders_are_placed_filled_seen_and_canceled(ready: Any, kind: str) -> None:
    keys = getattr(ready, kind)(f"ccxt_{kind}")
    async with client(ready, keys) as exchange:
        await exchange.load_markets()
        price = await low_price(exchange)
        resting = await exchange.create_order(SYMBOL, "limit", "buy", 0.001, price)
        assert resting["status"] == "open"
        assert [o["id"] for o in await exchange.fetch_open_orders(SYMBOL)] == [resting["id"]]
        seen = await exchange.fetch_order(resting["id"], SYMBOL)
        assert (seen["filled"], seen["price"]) == (0.0, price)
        canceled = await exchange.cancel_order(resting["id"], SYMBOL)
        assert canceled["status"] == "canceled"

        taken = await exchange.create_order(SYMBOL, "market", "buy", 0.002)
        assert (taken["status"], taken["filled"]) == ("closed", 0.002)
        fills = await exchange.fetch_my_trades(SYMBOL)
        assert sum(Decimal(str(fill["amount"])) for fill in fills) == Decimal("0.002")
        assert {fill["order"] for fill in fills} == {taken["id"]}
        assert {fill["fee"]["currency"] for fill in fills} == {"BTC"}
        balance = await exchange.fetch_balance()
        fees = sum(Decimal(str(fill["fee"]["cost"])) for fill in fills)
        assert Decimal(balance["info"]["balances"][0]["free"]) == 1 + Decimal("0.002") - fees

        spent = await exchange.create_market_buy_order_with_cost(SYMBOL, 100)
        assert 99 < spent["cost"] <= 100
        for number in range(3):
            await exchange.create_order(
                SYMBOL, "limit", "buy", 0.001, price - number, {"postOnly": True}
            )
        gone = await exchange.cancel_all_orders(SYMBOL)
        assert len(gone) == 3
        assert await exchange.fetch_open_orders(SYMBOL) == []


async def test_refusals_are_the_clients_own_exceptions(ready: Any) -> None:
    async with client(ready, ready.hmac("ccxt_refused")) as exchange:
        await exchange.load_markets()
        price = await low_price(exchange)
        high = round(price * 1.2, 2)

        def order(amount: float, at: float, **params: Any) -> Any:
            return exchange.create_order(SYMBOL, "limit", "buy", amount, at, params)

        for refused, error in (
            (partial(order, 0.001, high, postOnly=True), ccxt.OrderImmediatelyFillable),
            (partial(order, 100, price), ccxt.InsufficientFunds),
            (partial(order, 10, 1.0), ccxt.InvalidOrder),
            (partial(order, 0.001, 1.0), ccxt.BadRequest),
            (partial(exchange.cancel_order, "1", SYMBOL), ccxt.OrderNotFound),
            (partial(exchange.fetch_order, "1", SYMBOL), ccxt.OrderNotFound),
            (partial(exchange.cancel_all_orders, SYMBOL), ccxt.OrderNotFound),
            (partial(exchange.fetch_balance, {"recvWindow": 60_001}), ccxt.BadRequest),
            (partial(exchange.publicGetDepth, {"symbol": "ETHBTC"}), ccxt.BadSymbol),
        ):
            with pytest.raises(error):
                await refused()
        first = await order(0.001, price, clientOrderId="same")
        with pytest.raises(ccxt.InvalidOrder, match="Duplicate order sent"):
            await order(0.001, price, clientOrderId="same")
        await exchange.cancel_order(first["id"], SYMBOL)
    async with client(ready, (ready.hmac("ccxt_refused")[0], "wrong")) as exchange:
        with pytest.raises(ccxt.AuthenticationError):
            await exchange.fetch_balance()


async def test_pro_watches_the_market(ready: Any) -> None:
    async with client(ready) as exchange:
        await exchange.load_markets()
        trades = await asyncio.wait_for(exchange.watch_trades(SYMBOL), DEADLINE_S)
        assert trades[0]["symbol"] == SYMBOL
        book = await asyncio.wait_for(exchange.watch_order_book(SYMBOL), DEADLINE_S)
        for _ in range(10):
            book = await asyncio.wait_for(exchange.watch_order_book(SYMBOL), DEADLINE_S)
            assert book["bids"][0][0] < book["asks"][0][0]
        ticker = await asyncio.wait_for(exchange.watch_ticker(SYMBOL), DEADLINE_S)
        assert ticker["last"] > 0
        bars = await asyncio.wait_for(exchange.watch_ohlcv(SYMBOL, "1m"), DEADLINE_S)
        assert bars[-1][4] > 0


async def test_pro_watches_its_orders_trades_and_balance(ready: Any) -> None:
    async with client(ready, ready.hmac("pro")) as exchange:
        await exchange.load_markets()
        orders: list[tuple[str, str]] = []
        fills: list[Any] = []
        balances: list[Any] = []

        async def watch(source: Callable[[], Awaitable[Any]], take: Callable[[Any], Any]) -> None:
            while True:
                take(await source())

        watching = [
            asyncio.create_task(watch(*pair))
            for pair in (
                (
                    lambda: exchange.watch_orders(SYMBOL),
                    lambda seen: orders.extend((o["id"], o["status"]) for o in seen),
                ),
                (lambda: exchange.watch_my_trades(SYMBOL), fills.extend),
                (exchange.watch_balance, balances.append),
            )
        ]
        try:
            # Nothing is replayed: orders are sent once the stream is known to be open.
            await until(
                lambda: asyncio.sleep(0.02, exchange.clients.get(ready.ws_api)), _subscribed
            )
            price = await low_price(exchange)
            resting = await exchange.create_order(SYMBOL, "limit", "buy", 0.001, price)
            await exchange.cancel_order(resting["id"], SYMBOL)
            taken = await exchange.create_order(SYMBOL, "market", "buy", 0.002)

            def told(_: Any) -> bool:
                return (
                    (resting["id"], "canceled") in orders
                    and (taken["id"], "closed") in orders
                    and sum(Decimal(str(f["amount"])) for f in fills) == Decimal("0.002")
                    and bool(balances)
                    and balances[-1]["BTC"]["total"] > 1
                )

            await until(lambda: asyncio.sleep(0.02), told)
            assert (resting["id"], "open") in orders
            assert {fill["order"] for fill in fills} == {taken["id"]}
        finally:
            for task in watching:
                task.cancel()
            await asyncio.gather(*watching, return_exceptions=True)


def _subscribed(connection: Any) -> bool:
    return connection is not None and bool(connection.subscriptions)
