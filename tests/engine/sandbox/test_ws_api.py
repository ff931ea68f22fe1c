from __future__ import annotations

import asyncio
import time


async def call(socket, method: str, number: int = 1, **params) -> dict:
    await socket.send_json({"id": number, "method": method, "params": params})
    async with asyncio.timeout(10):
        while True:
            message = await socket.receive_json()
            if message.get("id") == number:
                return message


async def event(socket, kind: str) -> dict:
    async with asyncio.timeout(10):
        while True:
            message = await socket.receive_json()
            if message.get("event", {}).get("e") == kind:
                return message["event"]


def signed(client, kind: str, **more) -> dict:
    params = {
        "apiKey": client.keys[kind]["key"],
        "timestamp": time.time_ns() // 1_000_000,
        **more,
    }
    payload = "&".join(f"{name}={params[name]}" for name in sorted(params))
    return {**params, "signature": client.sign(payload, kind)}


async def test_ping_time_and_rate_limits_in_every_answer(venue) -> None:
    async with venue.http.ws_connect(venue.urls["ws_api"]) as socket:
        pong = await call(socket, "ping")
        assert (pong["status"], pong["result"]) == (200, {})
        assert pong["rateLimits"][0]["rateLimitType"] == "REQUEST_WEIGHT"
        assert "serverTime" in (await call(socket, "v3/time"))["result"]
        unknown = await call(socket, "order.fly")
        assert unknown["status"] == 400
        await socket.send_str("nonsense")
        assert (await socket.receive_json())["error"]["code"] == -1135


async def test_user_stream_by_signature_reports_orders_and_balances_in_order(venue) -> None:
    demo, other = venue.demo, venue.other
    async with venue.http.ws_connect(venue.urls["ws_api"]) as socket:
        answer = await call(socket, "userDataStream.subscribe.signature", **signed(demo, "hmac"))
        assert answer["result"] == {"subscriptionId": 0}
        again = await call(socket, "userDataStream.subscribe.signature", **signed(demo, "hmac"))
        assert again["error"]["code"] == -2035

        await demo.limit("BUY", "61000", "0.01", newClientOrderId="o-1")
        placed = await event(socket, "executionReport")
        assert (placed["x"], placed["X"], placed["c"], placed["C"]) == ("NEW", "NEW", "o-1", "")
        assert (placed["t"], placed["N"]) == (-1, None)
        held = await event(socket, "outboundAccountPosition")
        assert held["B"] == [{"a": "USDT", "f": "99390.00000000", "l": "610.00000000"}]

        await other.market("SELL", quantity="0.004")
        traded = await event(socket, "executionReport")
        assert (traded["x"], traded["X"], traded["l"], traded["z"]) == (
            "TRADE",
            "PARTIALLY_FILLED",
            "0.00400000",
            "0.00400000",
        )
        assert (traded["n"], traded["N"], traded["m"], traded["t"]) == (
            "0.00000400",
            "BTC",
            True,
            1,
        )
        after = await event(socket, "outboundAccountPosition")
        assert after["B"] == [
            {"a": "BTC", "f": "1.00399600", "l": "0.00000000"},
            {"a": "USDT", "f": "99390.00000000", "l": "366.00000000"},
        ]

        await demo.cancel(origClientOrderId="o-1", newClientOrderId="c-1")
        canceled = await event(socket, "executionReport")
        assert (canceled["x"], canceled["c"], canceled["C"]) == ("CANCELED", "c-1", "o-1")


async def test_logon_is_for_ed25519_only_and_subscribes_its_account(venue) -> None:
    async with venue.http.ws_connect(venue.urls["ws_api"]) as socket:
        refused = await call(socket, "userDataStream.subscribe")
        assert refused["status"] == 401
        hmac = await call(socket, "session.logon", **signed(venue.demo, "hmac"))
        assert hmac["error"]["code"] == -4056
        wrong = signed(venue.demo, "ed25519")
        wrong["timestamp"] += 1
        assert (await call(socket, "session.logon", **wrong))["error"]["code"] == -1022

        logon = await call(socket, "session.logon", **signed(venue.demo, "ed25519"))
        assert logon["result"]["apiKey"] == venue.demo.keys["ed25519"]["key"]
        assert (await call(socket, "userDataStream.subscribe"))["result"] == {"subscriptionId": 0}
        status = await call(socket, "session.status")
        assert status["result"]["userDataStream"] is True

        await venue.demo.limit("BUY", "61000", "0.01")
        assert (await event(socket, "executionReport"))["X"] == "NEW"

        await call(socket, "session.logout")
        subscriptions = await call(socket, "session.subscriptions")
        assert subscriptions["result"] == []


async def test_unsubscribing_ends_the_events_and_says_so(venue) -> None:
    async with venue.http.ws_connect(venue.urls["ws_api"]) as socket:
        await call(socket, "userDataStream.subscribe.signature", **signed(venue.demo, "hmac"))
        await socket.send_json({"id": 2, "method": "userDataStream.unsubscribe"})
        assert (await event(socket, "eventStreamTerminated"))["e"] == "eventStreamTerminated"
        again = await call(socket, "userDataStream.unsubscribe", 3, subscriptionId=0)
        assert again["error"]["code"] == -2036


async def test_an_account_hears_nothing_of_another(venue) -> None:
    async with venue.http.ws_connect(venue.urls["ws_api"]) as socket:
        await call(socket, "userDataStream.subscribe.signature", **signed(venue.other, "hmac"))
        await venue.demo.limit("BUY", "61000", "0.01")
        await venue.other.limit("BUY", "60000", "0.02")
        assert (await event(socket, "executionReport"))["q"] == "0.02000000"
