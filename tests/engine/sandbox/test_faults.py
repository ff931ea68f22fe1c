from __future__ import annotations

import asyncio

import aiohttp
import pytest


async def arm(venue, **faults) -> dict:
    url = venue.urls["rest"] + "/sandbox/faults"
    async with venue.http.post(url, json=faults) as response:
        assert response.status == 200
        return await response.json()


async def test_fault_switch_is_off_unless_asked_for(venue) -> None:
    async with venue.http.post(venue.urls["rest"] + "/sandbox/faults", json={}) as response:
        assert response.status == 404


async def test_unknown_fault_is_refused(start) -> None:
    venue = await start(control=True)
    url = venue.urls["rest"] + "/sandbox/faults"
    async with venue.http.post(url, json={"submit_timeouts": 1}) as response:
        assert response.status == 400


@pytest.mark.parametrize("accept", [True, False])
async def test_status_unknown_with_and_without_the_order(start, accept: bool) -> None:
    venue = await start(control=True)
    await arm(venue, submit_timeout=1, submit_mode="code", submit_accept=accept)

    status, body = await venue.demo.limit("BUY", "61000", "0.01", newClientOrderId="u-1")

    assert (status, body["code"]) == (504, -1007)
    seen = await venue.demo.signed("GET", "order", symbol="BTCUSDT", origClientOrderId="u-1")
    assert seen[0] == (200 if accept else 400)
    assert (await venue.demo.limit("BUY", "61000", "0.01"))[0] == 200


async def test_reset_and_silence_after_the_order_was_accepted(start) -> None:
    venue = await start(control=True)
    await arm(venue, submit_timeout=1, submit_mode="reset")
    with pytest.raises(aiohttp.ClientError):
        await venue.demo.limit("BUY", "61000", "0.01", newClientOrderId="r-1")
    await arm(venue, submit_timeout=1, submit_mode="silent")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3):
            await venue.demo.limit("BUY", "61000", "0.01", newClientOrderId="s-1")

    _, found = await venue.demo.signed("GET", "openOrders", symbol="BTCUSDT")
    assert [row["clientOrderId"] for row in found] == ["r-1", "s-1"]


async def test_cut_ends_only_the_named_streams(start) -> None:
    venue = await start(control=True)
    async with (
        venue.http.ws_connect(venue.urls["ws"] + "/ws/btcusdt@trade") as market,
        venue.http.ws_connect(venue.urls["ws_api"]) as user,
    ):
        await arm(venue, stream_cut="market")
        async with asyncio.timeout(5):
            message = await market.receive()
        assert message.type in {aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR}
        await user.send_json({"id": 1, "method": "ping"})
        assert (await user.receive_json())["status"] == 200


async def test_stalled_stream_is_open_and_silent_and_leaves_a_gap(start) -> None:
    venue = await start(control=True, flow=True)
    async with venue.http.ws_connect(venue.urls["ws"] + "/ws/btcusdt@depth@100ms") as socket:
        before = await socket.receive_json()
        armed = await arm(venue, stream_stall="market", stream_stall_ms=400)
        assert armed["stalled"] == ["market"]
        async with asyncio.timeout(5):
            while True:
                after = await socket.receive_json()
                if after["U"] != before["u"] + 1:
                    break
                before = after
        assert after["U"] > before["u"] + 1


async def test_hidden_order_is_open_but_not_shown(start) -> None:
    venue = await start(control=True)
    await arm(venue, hide_order_ms=60_000)
    await venue.demo.limit("BUY", "61000", "0.01", newClientOrderId="h-1")
    query = {"symbol": "BTCUSDT", "origClientOrderId": "h-1"}

    assert (await venue.demo.signed("GET", "order", **query))[1]["code"] == -2013
    assert (await venue.demo.signed("GET", "openOrders"))[1] == []
    await arm(venue, hide_order_ms=0)
    assert (await venue.demo.signed("GET", "order", **query))[1]["status"] == "NEW"
