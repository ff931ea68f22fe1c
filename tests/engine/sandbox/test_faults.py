"""Each REST switch, proved by a plain client: what it sees, and what the venue really did."""

from __future__ import annotations

import asyncio
import errno
import time

import aiohttp
import pytest

#: word of `on` -> (method, path, more parameters, signed)
REQUESTS = {
    "submit": ("POST", "order", {}, True),
    "cancel": ("DELETE", "order", {"orderId": 1}, True),
    "cancel_all": ("DELETE", "openOrders", {}, True),
    "order": ("GET", "order", {"orderId": 1}, True),
    "open_orders": ("GET", "openOrders", {}, True),
    "orders": ("GET", "allOrders", {}, True),
    "fills": ("GET", "myTrades", {}, True),
    "account": ("GET", "account", {}, True),
    "depth": ("GET", "depth", {}, False),
    "time": ("GET", "time", {}, False),
    "query": ("GET", "rateLimit/order", {}, True),
    "any": ("GET", "ping", {}, False),
}
NO_SYMBOL = {"account", "time", "query", "any"}
ORDER = {
    "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "price": "61000", "quantity": "0.01",
}  # fmt: skip


async def ask(venue, on: str, **more) -> tuple[int, dict]:
    method, path, params, signed = REQUESTS[on]
    params = {**params, **({} if on in NO_SYMBOL else {"symbol": "BTCUSDT"}), **more}
    if on == "submit":
        params = {**ORDER, **params}
    if signed:
        return await venue.demo.signed(method, path, **params)
    return await venue.demo.public(path, **params)


async def known(venue, client_id: str) -> bool:
    query = {"symbol": "BTCUSDT", "origClientOrderId": client_id}
    return (await venue.demo.signed("GET", "order", **query))[0] == 200


async def test_fault_switch_is_off_unless_asked_for(venue) -> None:
    async with venue.http.post(venue.urls["rest"] + "/sandbox/faults", json={}) as response:
        assert response.status == 404


@pytest.mark.parametrize(
    "body",
    [
        {"submit_timeouts": 1},
        {"rest": [{"on": "submit", "answer": "silence"}]},
        {"rest": [{"on": "submit", "answer": "code", "repeat": 2}]},
        {"schedule": {"seed": 1, "every_ms": 100, "kinds": ["locusts"]}},
        {"filters": {"tick_size": "0.015"}},
        {"depth_gap": -1},
    ],
)
async def test_request_that_is_not_understood_is_refused_and_arms_nothing(start, body) -> None:
    venue = await start(control=True)
    before = await venue.arm()
    url = venue.urls["rest"] + "/sandbox/faults"
    async with venue.http.post(url, json=body) as response:
        assert response.status == 400
        assert (await response.json())["code"] == -1100
    assert await venue.arm() == before


@pytest.mark.parametrize("on", list(REQUESTS))
async def test_each_word_hits_its_request_once_and_no_other(start, on: str) -> None:
    venue = await start(control=True)
    await ask(venue, "submit", newClientOrderId="first")
    await venue.arm(rest=[{"on": on, "answer": "code", "code": -1008}])
    general = {"query", "any"}
    for other in REQUESTS:
        specific = other not in general and on not in general
        if specific and other != on and other not in {"cancel", "cancel_all", "submit"}:
            assert (await ask(venue, other))[1] != {"code": -1008}
    assert await venue.fired(f"{on}.code") == 0

    status, body = await ask(venue, on)

    assert (status, body["code"]) == (503, -1008)
    assert await venue.fired(f"{on}.code") == 1
    assert (await ask(venue, on))[0] == 200


async def test_query_is_every_signed_get_and_no_post(start) -> None:
    venue = await start(control=True)
    await venue.arm(rest=[{"on": "query", "answer": "skew", "times": 0}])
    assert (await ask(venue, "submit", newClientOrderId="q"))[0] == 200
    assert (await ask(venue, "time"))[0] == 200
    for on in ("order", "open_orders", "orders", "fills", "account", "query"):
        assert (await ask(venue, on))[1]["code"] == -1021
    assert await venue.fired("query.skew") == 6
    await venue.arm(clear=True)
    assert (await ask(venue, "account"))[0] == 200


@pytest.mark.parametrize("accept", [True, False])
async def test_status_unknown_with_and_without_the_order(start, accept: bool) -> None:
    venue = await start(control=True)
    await venue.arm(rest=[{"on": "submit", "answer": "code", "code": -1007, "accept": accept}])

    status, body = await ask(venue, "submit", newClientOrderId="u-1")

    assert (status, body["code"]) == (504, -1007)
    assert await known(venue, "u-1") is accept


@pytest.mark.parametrize("accept", [True, False])
async def test_reset_is_a_tcp_reset_with_and_without_the_order(start, accept: bool) -> None:
    venue = await start(control=True)
    await venue.arm(rest=[{"on": "submit", "answer": "reset", "accept": accept}])

    with pytest.raises(aiohttp.ClientOSError) as caught:
        await ask(venue, "submit", newClientOrderId="r-1")

    assert caught.value.errno == errno.ECONNRESET
    assert await known(venue, "r-1") is accept


@pytest.mark.parametrize("accept", [True, False])
async def test_silence_keeps_the_connection_open_without_an_answer(start, accept: bool) -> None:
    venue = await start(control=True)
    await venue.arm(rest=[{"on": "submit", "answer": "silent", "accept": accept}])

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3):
            await ask(venue, "submit", newClientOrderId="s-1")

    assert await known(venue, "s-1") is accept
    assert await venue.fired("submit.silent") == 1


@pytest.mark.parametrize(
    ("status", "executed", "wait"),
    [(503, True, None), (429, False, "7"), (418, False, "7")],
)
async def test_bare_status_without_body(start, status: int, executed: bool, wait) -> None:
    venue = await start(control=True)
    await venue.arm(
        rest=[{"on": "submit", "answer": "status", "status": status}
              | ({"retry_after_s": int(wait)} if wait else {})]
    )  # fmt: skip
    query = {"symbol": "BTCUSDT", "newClientOrderId": "b-1", **ORDER}
    with pytest.raises(aiohttp.ContentTypeError) as caught:
        await venue.demo.signed("POST", "order", **query)
    assert caught.value.status == status
    assert venue.demo.headers.get("Retry-After") == wait
    assert await known(venue, "b-1") is executed


async def test_too_many_requests_says_when_to_come_back(start) -> None:
    venue = await start(control=True)
    await venue.arm(rest=[{"on": "any", "answer": "code", "code": -1003, "retry_after_s": 3}])
    status, body = await ask(venue, "depth")
    assert (status, body["code"]) == (429, -1003)
    assert venue.demo.headers["Retry-After"] == "3"


async def test_web_page_of_a_firewall(start) -> None:
    venue = await start(control=True)
    await venue.arm(rest=[{"on": "account", "answer": "html"}])
    with pytest.raises(aiohttp.ContentTypeError) as caught:
        await ask(venue, "account")
    assert caught.value.status == 403
    assert venue.demo.headers["Content-Type"].startswith("text/html")


@pytest.mark.parametrize("accept", [True, False])
async def test_delay_holds_the_answer_or_the_request(start, accept: bool) -> None:
    venue = await start(control=True)
    fault = {"on": "submit", "answer": "delay", "delay_ms": 400, "accept": accept}
    await venue.arm(rest=[fault])
    began = time.monotonic()
    asking = asyncio.create_task(ask(venue, "submit", newClientOrderId="d-1"))
    async with asyncio.timeout(5):
        while await venue.fired("submit.delay") == 0:
            continue
    while_waiting = bool(venue.exchange.accounts["demo"].orders)
    in_time = time.monotonic() - began < 0.4

    status, body = await asking

    assert time.monotonic() - began >= 0.4
    assert (status, body["clientOrderId"]) == (200, "d-1")
    assert not in_time or while_waiting is accept


async def test_after_lets_so_many_pass_and_times_counts_down(start) -> None:
    venue = await start(control=True)
    await venue.arm(rest=[{"on": "time", "answer": "code", "code": -1000, "times": 2, "after": 3}])
    seen = [(await ask(venue, "time"))[0] for _ in range(7)]
    assert seen == [200, 200, 200, 500, 500, 200, 200]
    assert await venue.fired("time.code") == 2


async def test_old_words_still_switch_the_answer_to_orders(start) -> None:
    venue = await start(control=True)
    armed = await venue.arm(submit_timeout=2, submit_mode="code", submit_accept=False)
    assert armed["submit_timeout"] == 2
    assert (await ask(venue, "submit", newClientOrderId="o-1"))[1]["code"] == -1007
    assert not await known(venue, "o-1")
    assert (await venue.arm(submit_timeout=0))["rest"] == []
    assert (await ask(venue, "submit"))[0] == 200


async def test_executed_request_keeps_its_weight_headers(start) -> None:
    venue = await start(control=True)
    await venue.arm(rest=[{"on": "submit", "answer": "code"}])
    await ask(venue, "submit")
    assert venue.demo.headers["X-MBX-ORDER-COUNT-10S"] == "1"


async def test_ban_is_for_everybody_and_ends(start) -> None:
    venue = await start(control=True)
    await venue.arm(ban_ms=60_000)
    for client in (venue.demo, venue.other):
        status, body = await client.public("time")
        assert (status, body["code"]) == (418, -1003)
        assert 1 <= int(client.headers["Retry-After"]) <= 60
    with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
        await venue.http.ws_connect(venue.urls["ws_api"])
    assert caught.value.status == 418
    assert await venue.fired("ban") == 3
    await venue.arm(ban_ms=0)
    assert (await venue.demo.public("time"))[0] == 200


async def test_what_is_left_after_its_time_does_not_fire(start) -> None:
    venue = await start(control=True)
    armed = await venue.arm(rest=[{"on": "time", "answer": "html", "times": 9}], for_ms=150)
    assert len(armed["rest"]) == 1
    async with asyncio.timeout(10):
        while (await venue.arm())["rest"]:
            continue
    assert (await ask(venue, "time"))[0] == 200
