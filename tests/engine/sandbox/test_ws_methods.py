"""REST's endpoints under their WebSocket API names, and what only the user stream tells."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from engine.sandbox.ws_methods import ACCOUNT, MARKET

S = {"symbol": "BTCUSDT"}
LIMIT = {
    **S,
    "side": "BUY",
    "type": "LIMIT",
    "timeInForce": "GTC",
    "quantity": "0.001",
    "price": "60000",
}
#: Method -> the parameters it is asked with.
ASKED: dict[str, dict[str, Any]] = {
    "depth": {**S, "limit": 5},
    "trades.recent": S,
    "trades.historical": {**S, "limit": 2},
    "trades.aggregate": S,
    "klines": {**S, "interval": "1h", "limit": 3},
    "uiKlines": {**S, "interval": "1h", "limit": 3},
    "avgPrice": S,
    "ticker.24hr": {"symbols": ["BTCUSDT"]},
    "ticker.price": S,
    "ticker.book": S,
    "order.status": {**S, "origClientOrderId": "mine"},
    "openOrders.status": S,
    "allOrders": S,
    "myTrades": S,
    "myPreventedMatches": {**S, "preventedMatchId": 0},
    "account.commission": S,
}
#: Methods whose answers are about this moment or change something.
OTHERS = {"ping", "time", "exchangeInfo", "order.place", "order.test", "order.cancel"}
OTHERS |= {"openOrders.cancelAll", "account.rateLimits.orders", "account.status"}


async def ask(socket: Any, method: str, params: dict[str, Any] | None = None) -> dict[str, Any]:
    """The answer to one request; events in between are passed over."""
    number = f"{method}-{time.monotonic_ns()}"[-36:]
    await socket.send_json({"id": number, "method": method, "params": params or {}})
    async with asyncio.timeout(10):
        while True:
            message = await socket.receive_json()
            if message.get("id") == number:
                return message


async def event(socket: Any, kind: str) -> dict[str, Any]:
    async with asyncio.timeout(10):
        while True:
            message = await socket.receive_json()
            if message.get("event", {}).get("e") == kind:
                return message["event"]


def signed(client: Any, kind: str = "hmac", **more: Any) -> dict[str, Any]:
    params = {
        "apiKey": client.keys[kind]["key"],
        "timestamp": time.time_ns() // 1_000_000,
        **more,
    }
    payload = "&".join(f"{name}={params[name]}" for name in sorted(params))
    return {**params, "signature": client.sign(payload, kind)}


def test_every_method_is_asked_here() -> None:
    assert set(ASKED) | OTHERS == set(MARKET) | set(ACCOUNT)


@pytest.mark.parametrize("prefix", ["", "v3/"])
@pytest.mark.parametrize("method", sorted(ASKED))
async def test_method_answers_as_rest_does(venue, method: str, prefix: str) -> None:
    demo = venue.demo
    await demo.limit("BUY", "60000", "0.01", newClientOrderId="mine")
    await venue.other.market("SELL", quantity="0.004")
    asked = ASKED[method]
    async with venue.http.ws_connect(venue.urls["ws_api"]) as socket:
        sent = asked if method in MARKET else signed(demo, **asked)
        answer = await ask(socket, prefix + method, sent)
    plain = {k: '["BTCUSDT"]' if isinstance(v, list) else v for k, v in asked.items()}
    if method in MARKET:
        _, body = await demo.public(MARKET[method], **plain)
    else:
        http, path = ACCOUNT[method]
        _, body = await demo.signed(http, path, **plain)
    assert answer["status"] == 200, answer
    assert _still(answer["result"]) == _still(body)


def _still(body: Any) -> Any:
    """Without the two fields that are about this moment."""
    if isinstance(body, list):
        return [_still(row) for row in body]
    if isinstance(body, dict):
        return {k: v for k, v in body.items() if k not in {"openTime", "closeTime"}}
    return body


async def test_orders_are_placed_and_canceled_by_socket(venue) -> None:
    demo = venue.demo
    async with venue.http.ws_connect(venue.urls["ws_api"]) as socket:
        placed = await ask(socket, "order.place", signed(demo, **LIMIT, newClientOrderId="w-1"))
        assert (placed["status"], placed["result"]["status"]) == (200, "NEW")
        kinds = [(r["rateLimitType"], r["interval"], r["count"]) for r in placed["rateLimits"]]
        assert kinds == [
            ("ORDERS", "SECOND", 1),
            ("ORDERS", "DAY", 1),
            ("REQUEST_WEIGHT", "MINUTE", 0),
        ]
        _, opened = await demo.signed("GET", "openOrders", **S)
        assert [order["clientOrderId"] for order in opened] == ["w-1"]
        gone = await ask(socket, "order.cancel", signed(demo, **S, origClientOrderId="w-1"))
        assert gone["result"]["status"] == "CANCELED"
        tested = await ask(socket, "order.test", signed(demo, **LIMIT))
        assert tested["result"] == {}
        refused = await ask(socket, "order.place", signed(demo, **{**LIMIT, "quantity": "9"}))
        assert (refused["status"], refused["error"]["code"]) == (400, -2010)
        await ask(socket, "order.place", signed(demo, **LIMIT))
        await ask(socket, "order.place", signed(demo, **LIMIT))
        every = await ask(socket, "openOrders.cancelAll", signed(demo, **S))
        assert [order["status"] for order in every["result"]] == ["CANCELED"] * 2
        counts = await ask(socket, "account.rateLimits.orders", signed(demo))
        short, day = (row["count"] for row in counts["result"])
        # Ten seconds may have ended in between.
        assert (short <= 3, day) == (True, 3)
        account = await ask(socket, "account.status", signed(demo))
        assert {row["locked"] for row in account["result"]["balances"]} == {"0.00000000"}


async def test_a_connection_that_is_logged_on_needs_no_signature_but_a_time(venue) -> None:
    async with venue.http.ws_connect(venue.urls["ws_api"]) as socket:
        stamp = {"timestamp": time.time_ns() // 1_000_000}
        before = await ask(socket, "order.place", {**LIMIT, **stamp})
        assert (before["status"], before["error"]["code"]) == (401, -2014)
        await ask(socket, "session.logon", signed(venue.demo, "ed25519"))
        placed = await ask(socket, "order.place", {**LIMIT, **stamp})
        assert placed["result"]["status"] == "NEW"
        timeless = await ask(socket, "order.place", LIMIT)
        assert timeless["error"]["code"] == -1102
        old = await ask(socket, "order.place", {**LIMIT, "timestamp": 1})
        assert old["error"]["code"] == -1021
        forged = await ask(socket, "account.status", {**signed(venue.demo), "signature": "00"})
        assert forged["error"]["code"] == -1022


async def test_rate_limits_are_left_out_where_nobody_wants_them(venue) -> None:
    url = venue.urls["ws_api"]
    async with venue.http.ws_connect(url) as socket:
        assert "rateLimits" in await ask(socket, "ping")
        assert "rateLimits" not in await ask(socket, "ping", {"returnRateLimits": False})
    async with venue.http.ws_connect(url + "?returnRateLimits=false") as socket:
        assert "rateLimits" not in await ask(socket, "ping")
        assert "rateLimits" in await ask(socket, "ping", {"returnRateLimits": True})


async def test_times_are_in_the_unit_of_the_connection(venue) -> None:
    async with venue.http.ws_connect(venue.urls["ws_api"] + "?timeUnit=MICROSECOND") as socket:
        clock = await ask(socket, "time")
        began = clock["result"]["serverTime"]
        assert abs(began - time.time_ns() // 1000) < 60_000_000
        await ask(socket, "userDataStream.subscribe.signature", signed(venue.demo))
        async with venue.http.ws_connect(venue.urls["ws_api"]) as coarse:
            await ask(coarse, "userDataStream.subscribe.signature", signed(venue.demo))
            _, placed = await venue.demo.limit("BUY", "60000", "0.001")
            report, plain = [await event(s, "executionReport") for s in (socket, coarse)]
            held, plainly = [await event(s, "outboundAccountPosition") for s in (socket, coarse)]
        for name in ("E", "T", "O", "W"):
            assert began <= report[name] < began + 60_000_000
            assert plain[name] == report[name] // 1000
        assert plain["T"] == placed["transactTime"]
        assert (plainly["E"], plainly["u"]) == (held["E"] // 1000, held["u"] // 1000)


async def test_weight_over_the_limit_says_when_to_come_back(start) -> None:
    venue = await start(weight_minute=10)
    async with venue.http.ws_connect(venue.urls["ws_api"]) as socket:
        answers = [await ask(socket, "exchangeInfo") for _ in range(3)]
    assert [answer["status"] for answer in answers] == [429] * 3
    when = answers[0]["error"]["data"]
    assert 0 < when["retryAfter"] - when["serverTime"] <= 60_000


async def test_prevented_self_trade_is_reported_to_both_orders(venue) -> None:
    demo = venue.demo
    async with venue.http.ws_connect(venue.urls["ws_api"]) as socket:
        await ask(socket, "userDataStream.subscribe.signature", signed(demo))
        _, maker = await demo.limit("SELL", "60000", "0.006")
        _, taker = await demo.limit("BUY", "60000", "0.002", selfTradePreventionMode="EXPIRE_BOTH")
        told = {}
        while len(told) < 2:
            report = await event(socket, "executionReport")
            if report["x"] == "TRADE_PREVENTION":
                told[report["i"]] = report
    lost = {maker["orderId"]: "0.00600000", taker["orderId"]: "0.00200000"}
    for order_id, report in told.items():
        assert (report["X"], report["v"], report["u"], report["Cs"]) == (
            "EXPIRED_IN_MATCH",
            0,
            -1,
            "BTCUSDT",
        )
        assert (report["A"], report["B"]) == (lost[order_id], lost[order_id])
        assert report["U"] in set(lost) - {order_id}
        assert (report["pl"], report["pL"], report["pY"]) == (
            "0.00200000",
            "60000.00000000",
            "120.00000000",
        )
        assert (report["t"], report["N"], report["n"], report["w"]) == (-1, None, "0", False)
