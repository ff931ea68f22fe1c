from __future__ import annotations

import asyncio
from decimal import Decimal
from itertools import pairwise

import pytest

from engine.sandbox.recording import BookBuilder, Diff, Snapshot
from engine.sandbox.rules import parse_amount


async def receive(socket, wanted, seconds: float = 10) -> dict:
    async with asyncio.timeout(seconds):
        while True:
            message = await socket.receive_json()
            if wanted(message):
                return message


def levels(rows) -> tuple[tuple[int, int], ...]:
    return tuple((parse_amount(price, "p"), parse_amount(size, "q")) for price, size in rows)


async def test_depth_events_are_contiguous_and_rebuild_the_book(start) -> None:
    venue = await start(flow=True)
    url = venue.urls["ws"] + "/stream?streams=btcusdt@depth@100ms/btcusdt@bookTicker"
    builder, events, tickers = BookBuilder(), [], {}
    tops = {}
    async with venue.http.ws_connect(url) as socket, asyncio.timeout(15):
        while len(events) < 25:
            message = await socket.receive_json()
            body = message["data"]
            if message["stream"] == "btcusdt@bookTicker":
                tickers[body["u"]] = (body["b"], body["B"], body["a"], body["A"])
                continue
            events.append(body)
            builder.diff(Diff(body["U"], body["u"], levels(body["b"]), levels(body["a"]), 0))
            if len(events) == 3:
                _, depth = await venue.demo.public("depth", symbol="BTCUSDT", limit=5000)
                bids, asks = levels(depth["bids"]), levels(depth["asks"])
                builder.snapshot(Snapshot(depth["lastUpdateId"], bids, asks))
            top = builder.best()
            if top is not None:
                assert top.bid[0] < top.ask[0]
                tops[builder.last_id] = top

    for before, after in pairwise(events):
        assert after["U"] == before["u"] + 1
    assert builder.synced
    for update, top in tops.items():
        if update in tickers:
            bid, bid_size, ask, ask_size = (parse_amount(x, "x") for x in tickers[update])
            assert (top.bid, top.ask) == ((bid, bid_size), (ask, ask_size))
    assert len(builder.bids) > 20


async def test_trade_ids_on_the_stream_are_contiguous_and_match_rest(start) -> None:
    venue = await start(flow=True)
    seen = []
    async with venue.http.ws_connect(venue.urls["ws"] + "/ws/btcusdt@trade") as socket:
        while len(seen) < 10:
            seen.append(await receive(socket, lambda m: m["e"] == "trade"))
    ids = [trade["t"] for trade in seen]
    assert ids == list(range(ids[0], ids[0] + 10))
    _, rest = await venue.demo.public("historicalTrades", symbol="BTCUSDT", fromId=ids[0], limit=10)
    assert [(t["id"], t["price"], t["qty"]) for t in rest] == [
        (t["t"], t["p"], t["q"]) for t in seen
    ]


async def test_any_tail_is_accepted_and_subscribing_works(venue) -> None:
    async with venue.http.ws_connect(venue.urls["ws"] + "/ws/0") as socket:
        await socket.send_json(
            {"method": "SUBSCRIBE", "params": ["btcusdt@trade", "btcusdt@aggTrade"], "id": 7}
        )
        assert await receive(socket, lambda m: "id" in m) == {"result": None, "id": 7}
        await socket.send_json({"method": "LIST_SUBSCRIPTIONS", "id": "x"})
        listed = await receive(socket, lambda m: "id" in m)
        assert listed == {"result": ["btcusdt@aggTrade", "btcusdt@trade"], "id": "x"}

        await venue.demo.limit("SELL", "61000", "0.01")
        await venue.demo.limit("SELL", "61000", "0.01", selfTradePreventionMode="NONE")
        await venue.other.limit("BUY", "61000", "0.02")

        trade = await receive(socket, lambda m: m.get("e") == "trade")
        assert (trade["t"], trade["p"], trade["m"]) == (1, "61000.00000000", False)
        aggregate = await receive(socket, lambda m: m.get("e") == "aggTrade")
        assert (aggregate["f"], aggregate["l"], aggregate["q"]) == (1, 2, "0.02000000")


@pytest.mark.parametrize(
    ("request_text", "code", "words"),
    [
        ("{", 3, "Invalid JSON"),
        ('{"method":5,"id":1}', 2, "Invalid request"),
        ('{"id":1}', 2, "method"),
        ('{"method":"JUMP","id":1}', 2, "unknown variant `JUMP`"),
        ('{"method":"SUBSCRIBE","params":[],"id":1}', 2, "names of streams"),
        ('{"method":"SUBSCRIBE","params":[1],"id":1}', 2, "names of streams"),
        ('{"method":"SUBSCRIBE","params":["a@trade"],"id":1.5}', 2, "Invalid request"),
        ('{"method":"LIST_SUBSCRIPTIONS","id":"' + "x" * 37 + '"}', 2, "36 characters"),
        ('{"method":"SET_PROPERTY","params":["combined",5],"id":1}', 1, "expected Boolean"),
        ('{"method":"SET_PROPERTY","params":["colour",true],"id":1}', 0, "Unknown property"),
        ('{"method":"GET_PROPERTY","params":["combined",1],"id":1}', 2, "too many parameters"),
        ('{"method":"GET_PROPERTY","params":[7],"id":1}', 2, "must be a string"),
    ],
)
async def test_wrong_requests_are_answered_with_a_code(
    venue, request_text: str, code: int, words: str
) -> None:
    async with venue.http.ws_connect(venue.urls["ws"] + "/ws/0") as socket:
        await socket.send_str(request_text)
        answer = await socket.receive_json()
        assert answer["code"] == code
        assert words in answer["msg"]
        await socket.send_json({"method": "LIST_SUBSCRIPTIONS", "id": None})
        assert await socket.receive_json() == {"result": [], "id": None}


async def test_no_more_than_1024_streams_on_a_connection(venue) -> None:
    async with venue.http.ws_connect(venue.urls["ws"] + "/ws/0") as socket:
        names = [f"s{number}@trade" for number in range(1024)]
        await socket.send_json({"method": "SUBSCRIBE", "params": names, "id": 1})
        assert await socket.receive_json() == {"result": None, "id": 1}
        await socket.send_json({"method": "SUBSCRIBE", "params": ["btcusdt@trade"], "id": 2})
        assert (await socket.receive_json())["code"] == 2


async def test_wrapping_can_be_switched_on_a_connection(venue) -> None:
    async with venue.http.ws_connect(venue.urls["ws"] + "/ws/btcusdt@trade") as socket:
        await socket.send_json({"method": "GET_PROPERTY", "params": ["combined"], "id": 1})
        assert await socket.receive_json() == {"result": False, "id": 1}
        await socket.send_json({"method": "SET_PROPERTY", "params": ["combined", True], "id": 2})
        assert await socket.receive_json() == {"result": None, "id": 2}
        await venue.demo.limit("SELL", "61000", "0.01")
        await venue.other.limit("BUY", "61000", "0.01")
        assert (await receive(socket, lambda m: "stream" in m))["stream"] == "btcusdt@trade"


async def test_more_than_five_requests_a_second_end_the_connection(venue) -> None:
    async with venue.http.ws_connect(venue.urls["ws"] + "/ws/0") as socket:
        for number in range(20):
            await socket.send_json({"method": "LIST_SUBSCRIPTIONS", "id": number})
        async with asyncio.timeout(10):
            async for _ in socket:
                continue
        assert socket.closed


async def test_partial_depth_tickers_and_bars(start) -> None:
    venue = await start(flow=True)
    names = (
        "btcusdt@depth5@100ms/btcusdt@depth20/btcusdt@ticker/btcusdt@miniTicker/btcusdt@kline_1m"
    )
    seen = {}
    url = venue.urls["ws"] + f"/stream?streams={names}"
    async with venue.http.ws_connect(url) as socket, asyncio.timeout(10):
        while len(seen) < 5:
            message = await socket.receive_json()
            seen[message["stream"]] = message["data"]
    five = seen["btcusdt@depth5@100ms"]
    assert len(five["bids"]) == len(five["asks"]) == 5
    assert len(seen["btcusdt@depth20"]["bids"]) == 20
    assert Decimal(five["bids"][0][0]) < Decimal(five["asks"][0][0])
    assert seen["btcusdt@ticker"]["e"] == "24hrTicker"
    bar = seen["btcusdt@kline_1m"]["k"]
    assert bar["i"] == "1m"
    assert bar["T"] - bar["t"] == 59_999
