"""Each switch of the streams: cut, stall, pong, shutdown, age, gap, and execution reports."""

from __future__ import annotations

import asyncio
import contextlib

import aiohttp
import pytest

ENDED = {aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR}


async def until_end(socket) -> list[dict]:
    """Everything that comes before the connection ends."""
    seen = []
    async with asyncio.timeout(10):
        while True:
            message = await socket.receive()
            if message.type in ENDED:
                return seen
            if message.type is aiohttp.WSMsgType.TEXT:
                seen.append(message.json())


@pytest.mark.parametrize("which", ["market", "user", "all"])
async def test_cut_ends_only_the_named_streams_without_a_close_frame(start, which: str) -> None:
    venue = await start(control=True)
    async with (
        venue.http.ws_connect(venue.urls["ws"] + "/ws/btcusdt@trade") as market,
        venue.http.ws_connect(venue.urls["ws_api"]) as user,
    ):
        await venue.arm(stream_cut=which)
        for kind, socket in (("market", market), ("user", user)):
            if which in {kind, "all"}:
                await until_end(socket)
                assert socket.close_code == aiohttp.WSCloseCode.ABNORMAL_CLOSURE
                assert await venue.fired(f"stream_cut.{kind}") == 1
            else:
                await socket.ping(b"x")
                await socket.send_json({"id": 1, "method": "LIST_SUBSCRIPTIONS"})
                assert (await socket.receive_json())["id"] == 1


async def test_stalled_stream_is_open_and_silent_and_leaves_a_gap(start) -> None:
    venue = await start(control=True, flow=True)
    async with venue.http.ws_connect(venue.urls["ws"] + "/ws/btcusdt@depth@100ms") as socket:
        before = await socket.receive_json()
        armed = await venue.arm(stream_stall="market", stream_stall_ms=400)
        assert armed["stalled"] == ["market"]
        async with asyncio.timeout(10):
            while True:
                after = await socket.receive_json()
                if after["U"] != before["u"] + 1:
                    break
                before = after
        assert after["U"] > before["u"] + 1
    assert await venue.fired("stream_stall.market") >= 1


async def test_stalled_user_stream_loses_what_happens(start) -> None:
    venue = await start(control=True)
    async with venue.user_stream() as events:
        await venue.arm(stream_stall="user", stream_stall_ms=60_000)
        await venue.demo.limit("BUY", "61000", "0.01", newClientOrderId="lost")
        await venue.arm(stream_stall="user", stream_stall_ms=0)
        await venue.demo.limit("BUY", "61000", "0.01", newClientOrderId="seen")
        assert (await events.report())["c"] == "seen"
    assert await venue.fired("stream_stall.user") == 2


async def test_ping_is_answered_with_its_payload_unless_muted(start) -> None:
    venue = await start(control=True)
    url = venue.urls["ws"] + "/ws/0"
    async with venue.http.ws_connect(url, autoping=False) as socket, asyncio.timeout(10):
        await socket.ping(b"one")
        pong = await socket.receive()
        assert (pong.type, bytes(pong.data)) == (aiohttp.WSMsgType.PONG, b"one")
        await venue.arm(no_pong="market")
        await socket.ping(b"two")
        while await venue.fired("no_pong.market") == 0:
            continue
        await venue.arm(no_pong="")
        await socket.ping(b"three")
        pong = await socket.receive()
        assert bytes(pong.data) == b"three"


async def test_client_that_does_not_echo_pings_is_cut_and_one_that_does_is_kept(start) -> None:
    venue = await start()
    connections = venue.exchange.connections
    connections.ping_every_s, connections.pong_within_s = 0.1, 1.5
    url = venue.urls["ws"] + "/ws/0"
    async with (
        venue.http.ws_connect(url) as echoing,
        venue.http.ws_connect(url, autoping=False) as mute,
        venue.http.ws_connect(url, autoping=False) as unsolicited,
    ):
        reading = asyncio.create_task(until_end(echoing))
        async with asyncio.timeout(10):
            first = await mute.receive()
            assert first.type is aiohttp.WSMsgType.PING
            assert first.data
            while True:
                if (await mute.receive()).type in ENDED:
                    break
            while (await unsolicited.receive()).type not in ENDED:
                with contextlib.suppress(ConnectionError):
                    await unsolicited.pong(b"")
        await asyncio.sleep(0)
        assert not reading.done()
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)


async def test_shutdown_is_announced_on_every_connection_and_then_happens(start) -> None:
    venue = await start(control=True)
    async with (
        venue.http.ws_connect(venue.urls["ws"] + "/ws/btcusdt@trade") as raw,
        venue.http.ws_connect(venue.urls["ws"] + "/stream?streams=btcusdt@trade") as combined,
        venue.http.ws_connect(venue.urls["ws_api"]) as user,
    ):
        await venue.arm(server_shutdown=True, server_shutdown_ms=50)
        seen = [await until_end(socket) for socket in (raw, combined, user)]
        event = seen[0][0]
        assert (event["e"], set(event)) == ("serverShutdown", {"e", "E"})
        assert seen == [[event], [{"stream": "!serverShutdown", "data": event}], [{"event": event}]]
        for socket in (raw, combined, user):
            assert socket.close_code == aiohttp.WSCloseCode.GOING_AWAY
    assert await venue.fired("server_shutdown") == 3
    async with venue.http.ws_connect(venue.urls["ws_api"]) as again:
        await again.send_json({"id": 1, "method": "ping"})
        assert (await again.receive_json())["status"] == 200


async def test_connection_ends_at_the_settable_age(start) -> None:
    venue = await start(control=True)
    assert (await venue.arm())["cut_after_s"] == 86_400
    async with venue.http.ws_connect(venue.urls["ws"] + "/ws/0") as socket:
        await venue.arm(cut_after_s=0.2)
        await until_end(socket)
    assert await venue.fired("cut_after") == 1
    assert (await venue.arm(cut_after_s=0))["cut_after_s"] == 86_400


async def test_depth_gap_loses_so_many_events_of_the_stream(start) -> None:
    venue = await start(control=True, flow=True)
    async with venue.http.ws_connect(venue.urls["ws"] + "/ws/btcusdt@depth@100ms") as socket:
        before = await socket.receive_json()
        await venue.arm(depth_gap=2)
        gaps = 0
        async with asyncio.timeout(15):
            for _ in range(12):
                after = await socket.receive_json()
                gaps += after["U"] != before["u"] + 1
                before = after
    assert gaps == 1
    assert await venue.fired("depth_gap") == 2


async def test_stale_snapshot_is_the_book_from_before(start) -> None:
    venue = await start(control=True)
    await venue.demo.limit("BUY", "60000", "0.01")
    _, before = await venue.demo.public("depth", symbol="BTCUSDT")
    await venue.arm(stale_snapshot=1)
    await venue.demo.limit("BUY", "60001", "0.01")

    _, stale = await venue.demo.public("depth", symbol="BTCUSDT", limit=5)
    _, fresh = await venue.demo.public("depth", symbol="BTCUSDT")

    assert stale == before
    assert fresh["lastUpdateId"] > before["lastUpdateId"]
    assert len(fresh["bids"]) == 2


# --- execution reports ----------------------------------------------------------------------------


async def test_duplicate_report_comes_twice_in_the_same_words(start) -> None:
    venue = await start(control=True)
    async with venue.user_stream() as events:
        await venue.arm(reports=[{"how": "duplicate", "execution": "TRADE"}])
        await venue.other.limit("SELL", "61000", "0.01")
        await venue.demo.limit("BUY", "61000", "0.01")
        seen = [await events.report() for _ in range(3)]
    assert [report["x"] for report in seen] == ["NEW", "TRADE", "TRADE"]
    assert seen[1] == seen[2]
    assert await venue.fired("report.duplicate") == 1


async def test_lost_report_never_comes_though_the_order_is_filled(start) -> None:
    venue = await start(control=True)
    async with venue.user_stream() as events:
        await venue.arm(reports=[{"how": "lose", "execution": "TRADE"}])
        await venue.other.limit("SELL", "61000", "0.01")
        _, order = await venue.demo.limit("BUY", "61000", "0.01")
        await venue.demo.limit("BUY", "60000", "0.01", newClientOrderId="next")
        seen = [await events.report() for _ in range(2)]
    assert [(report["x"], report["X"]) for report in seen] == [("NEW", "NEW"), ("NEW", "NEW")]
    assert seen[1]["c"] == "next"
    assert order["status"] == "FILLED"
    assert await venue.fired("report.lose") == 1


async def test_reordered_reports_change_places(start) -> None:
    venue = await start(control=True)
    async with venue.user_stream() as events:
        await venue.arm(reports=[{"how": "reorder", "execution": "NEW"}])
        await venue.other.limit("SELL", "61000", "0.01")
        await venue.demo.limit("BUY", "61000", "0.01")
        seen = [await events.report() for _ in range(2)]
        assert [report["x"] for report in seen] == ["TRADE", "NEW"]

        await venue.arm(reports=[{"how": "reorder", "execution": "NEW"}])
        await venue.demo.limit("BUY", "60000", "0.01", newClientOrderId="alone")
        assert (await events.report())["c"] == "alone", "without another it still comes"
    assert await venue.fired("report.reorder") == 2


async def test_delayed_report_comes_late_and_is_overtaken(start) -> None:
    venue = await start(control=True)
    async with venue.user_stream() as events:
        await venue.arm(reports=[{"how": "delay", "execution": "any", "delay_ms": 300}])
        await venue.demo.limit("BUY", "60000", "0.01", newClientOrderId="late")
        await venue.demo.limit("BUY", "60001", "0.01", newClientOrderId="prompt")
        seen = [(await events.report())["c"] for _ in range(2)]
    assert seen == ["prompt", "late"]


async def test_clearing_hands_out_what_was_held_back(start) -> None:
    venue = await start(control=True)
    async with venue.user_stream() as events:
        await venue.arm(reports=[{"how": "delay", "delay_ms": 3_600_000}])
        await venue.demo.limit("BUY", "60000", "0.01", newClientOrderId="held")
        await venue.arm(clear=True)
        assert (await events.report())["c"] == "held"
