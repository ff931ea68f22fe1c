from __future__ import annotations

import time
from itertools import pairwise
from urllib.parse import urlencode

import pytest


async def test_ping_time_and_weight_headers(venue) -> None:
    assert await venue.demo.public("ping") == (200, {})
    status, body = await venue.demo.public("time")
    assert status == 200
    assert abs(body["serverTime"] - time.time_ns() // 1_000_000) < 5_000
    # A new minute may have begun in between.
    assert venue.demo.headers["X-MBX-USED-WEIGHT-1M"] in {"1", "2"}
    assert venue.demo.headers["X-MBX-USED-WEIGHT"] in {"1", "2"}


async def test_exchange_info_has_rules_filters_and_limits(venue) -> None:
    status, body = await venue.demo.public("exchangeInfo", symbol="BTCUSDT")
    assert status == 200
    (symbol,) = body["symbols"]
    filters = {row["filterType"]: row for row in symbol["filters"]}
    assert filters["PRICE_FILTER"]["tickSize"] == "0.01000000"
    assert filters["LOT_SIZE"]["stepSize"] == "0.00001000"
    assert filters["NOTIONAL"]["minNotional"] == "5.00000000"
    assert symbol["ocoAllowed"] is False
    assert body["rateLimits"][0]["limit"] == 6000
    assert venue.demo.headers["X-MBX-USED-WEIGHT-1M"] == "20"
    assert (await venue.demo.public("exchangeInfo", symbol="XXX"))[1]["code"] == -1121
    many = await venue.demo.public("exchangeInfo", symbols='["BTCUSDT"]')
    assert many[0] == 200


async def test_order_rests_is_partly_filled_canceled_and_seen_by_every_query(venue) -> None:
    demo, other = venue.demo, venue.other
    status, placed = await demo.limit("BUY", "61000.00", "0.01", newClientOrderId="first-1")
    assert status == 200
    assert placed["status"] == "NEW"
    assert placed["fills"] == []
    assert demo.headers["X-MBX-ORDER-COUNT-10S"] == "1"
    assert demo.headers["X-MBX-USED-WEIGHT-1M"] == "0"

    _, taker = await other.market("SELL", quantity="0.004")
    assert taker["status"] == "FILLED"
    assert taker["fills"][0]["price"] == "61000.00000000"
    assert taker["fills"][0]["commissionAsset"] == "USDT"
    assert taker["fills"][0]["commission"] == "0.24400000"

    _, seen = await demo.signed("GET", "order", symbol="BTCUSDT", origClientOrderId="first-1")
    assert (seen["status"], seen["executedQty"]) == ("PARTIALLY_FILLED", "0.00400000")
    assert "fills" not in seen
    _, opened = await demo.signed("GET", "openOrders")
    assert [row["orderId"] for row in opened] == [placed["orderId"]]

    _, canceled = await demo.cancel(origClientOrderId="first-1", newClientOrderId="c-1")
    assert canceled["status"] == "CANCELED"
    assert (canceled["origClientOrderId"], canceled["clientOrderId"]) == ("first-1", "c-1")
    assert (await demo.cancel(origClientOrderId="first-1"))[1]["code"] == -2011

    _, trades = await demo.signed("GET", "myTrades", symbol="BTCUSDT")
    assert [(t["qty"], t["commission"], t["isMaker"]) for t in trades] == [
        ("0.00400000", "0.00000400", True)
    ]
    _, every = await demo.signed("GET", "allOrders", symbol="BTCUSDT")
    assert [row["status"] for row in every] == ["CANCELED"]
    _, account = await demo.signed("GET", "account", omitZeroBalances="true")
    assert account["balances"] == [
        {"asset": "BTC", "free": "1.00399600", "locked": "0.00000000"},
        {"asset": "USDT", "free": "99756.00000000", "locked": "0.00000000"},
    ]
    assert (await other.signed("GET", "allOrders", symbol="BTCUSDT"))[1][0]["side"] == "SELL"


async def test_cancel_all_answers_each_and_refuses_when_none_is_open(venue) -> None:
    for number in range(3):
        await venue.demo.limit("BUY", f"{60000 + number}.00", "0.001")
    status, body = await venue.demo.signed("DELETE", "openOrders", symbol="BTCUSDT")
    assert status == 200
    assert [row["status"] for row in body] == ["CANCELED"] * 3
    status, body = await venue.demo.signed("DELETE", "openOrders", symbol="BTCUSDT")
    assert (status, body) == (400, {"code": -2011, "msg": "Unknown order sent."})


async def test_response_types(venue) -> None:
    _, ack = await venue.demo.limit("BUY", "61000", "0.001", newOrderRespType="ACK")
    assert set(ack) == {"symbol", "orderId", "orderListId", "clientOrderId", "transactTime"}
    _, result = await venue.demo.limit("BUY", "61000", "0.001", newOrderRespType="RESULT")
    assert "fills" not in result
    assert result["cummulativeQuoteQty"] == "0.00000000"
    _, maker = await venue.demo.signed(
        "POST",
        "order",
        symbol="BTCUSDT",
        side="SELL",
        type="LIMIT_MAKER",
        quantity="0.001",
        price="61001",
    )
    assert set(maker) == set(ack)
    _, expired = await venue.demo.limit("SELL", "60999", "0.5", timeInForce="FOK")
    assert (expired["status"], expired["expiryReason"]) == (
        "EXPIRED",
        "UNFILLED_FOK_ORDER_EXPIRED",
    )


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"symbol": "ETHUSDT"}, 400, -1121),
        ({"side": "HOLD"}, 400, -1117),
        ({"type": "STOP"}, 400, -1116),
        ({"timeInForce": "GTX"}, 400, -1115),
        ({"price": "61000.001"}, 400, -1013),
        ({"price": "6e4"}, 400, -1100),
        ({"price": "61000.0000000001"}, 400, -1111),
        ({"price": ""}, 400, -1102),
        ({"quantity": "0.000001"}, 400, -1013),
        ({"quantity": "0.00001"}, 400, -1013),
        ({"quantity": "9"}, 400, -2010),
        ({"newClientOrderId": "not legal"}, 400, -1100),
        ({"newClientOrderId": "x" * 37}, 400, -1100),
        ({"quoteOrderQty": "10"}, 400, -1106),
        ({"stopPrice": "10"}, 400, -1106),
        ({"wrong": "1"}, 400, -1104),
        ({"timestamp": 1_000}, 400, -1021),
        ({"recvWindow": 60_001}, 400, -1102),
    ],
)
async def test_refused_orders(venue, change, status: int, code: int) -> None:
    order = {
        "symbol": "BTCUSDT",
        "side": "BUY",
        "type": "LIMIT",
        "timeInForce": "GTC",
        "price": "61000",
        "quantity": "0.01",
    }
    got, body = await venue.demo.signed("POST", "order", **{**order, **change})
    assert (got, body["code"]) == (status, code), body
    assert (await venue.demo.signed("GET", "openOrders", symbol="BTCUSDT"))[1] == []
    counts = await venue.demo.signed("GET", "rateLimit/order")
    assert [row["count"] for row in counts[1]] == [0, 0]


async def test_test_order_checks_and_places_nothing(venue) -> None:
    order = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC"}
    good = await venue.demo.signed("POST", "order/test", price="61000", quantity="0.01", **order)
    bad = await venue.demo.signed("POST", "order/test", price="61000", quantity="9", **order)
    assert good == (200, {})
    assert bad[1]["code"] == -2010
    assert venue.exchange.matching.resting == {}


async def test_ed25519_and_hmac_keys_work_and_wrong_ones_do_not(venue) -> None:
    assert (await venue.demo.signed("GET", "account", "ed25519"))[0] == 200
    query = urlencode({"timestamp": time.time_ns() // 1_000_000})
    key = {"X-MBX-APIKEY": venue.demo.keys["hmac"]["key"]}

    good = f"{query}&signature={venue.demo.sign(query)}"
    assert (await venue.demo.raw("GET", "account", good, headers=key))[0] == 200
    for text, headers, status, code in (
        (good, {}, 401, -2014),
        (good, {"X-MBX-APIKEY": "wrong"}, 401, -2015),
        (f"{query}&signature={'0' * 64}", key, 400, -1022),
        (f"{query}&omitZeroBalances=true&signature={venue.demo.sign(query)}", key, 400, -1022),
        (query, key, 400, -1102),
    ):
        got, body = await venue.demo.raw("GET", "account", text, headers=headers)
        assert (got, body["code"]) == (status, code)


async def test_parameters_may_be_split_over_query_and_body(venue) -> None:
    query = "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC"
    body = f"quantity=0.01&price=61000&timestamp={time.time_ns() // 1_000_000}"
    signed = f"{body}&signature={venue.demo.sign(query + body)}"
    headers = {
        "X-MBX-APIKEY": venue.demo.keys["hmac"]["key"],
        "Content-Type": "application/x-www-form-urlencoded",
    }
    status, placed = await venue.demo.raw("POST", "order", query, headers=headers, data=signed)
    assert (status, placed["status"]) == (200, "NEW")


async def test_failed_order_costs_weight_and_gives_the_order_count_back(venue) -> None:
    await venue.demo.limit("BUY", "61000", "9")
    assert venue.demo.headers["X-MBX-USED-WEIGHT-1M"] == "1"
    _, rows = await venue.demo.signed("GET", "rateLimit/order")
    assert [row["count"] for row in rows] == [0, 0]


async def test_order_rate_limit_is_429_without_retry_after(start) -> None:
    venue = await start(orders_10s=3)
    codes = [(await venue.demo.limit("BUY", "61000", "0.001"))[0] for _ in range(8)]
    # A 10 s window may end in between: four in a row of one window are never accepted.
    assert 429 in codes
    refused = await venue.demo.limit("BUY", "61000", "0.001")
    if refused[0] == 429:
        assert refused[1]["code"] == -1015
        assert "Retry-After" not in venue.demo.headers


async def test_weight_limit_is_429_with_retry_after(start) -> None:
    venue = await start(weight_minute=30)
    answers = [await venue.demo.public("exchangeInfo") for _ in range(4)]
    refused = [body for status, body in answers if status == 429]
    assert refused
    assert refused[0]["code"] == -1003


async def test_market_data_follows_from_the_trades(venue) -> None:
    demo, other = venue.demo, venue.other
    await demo.limit("SELL", "61000.00", "0.010")
    await demo.limit("SELL", "61001.00", "0.010")
    await other.limit("BUY", "61001.00", "0.015")

    _, depth = await demo.public("depth", symbol="BTCUSDT", limit=5)
    assert depth["asks"] == [["61001.00000000", "0.00500000"]]
    assert depth["lastUpdateId"] == venue.exchange.matching.book.update_id
    _, trades = await demo.public("trades", symbol="BTCUSDT", limit=2)
    assert [(t["id"], t["price"], t["qty"], t["isBuyerMaker"]) for t in trades] == [
        (1, "61000.00000000", "0.01000000", False),
        (2, "61001.00000000", "0.00500000", False),
    ]
    _, aggregates = await demo.public("aggTrades", symbol="BTCUSDT")
    assert [(a["f"], a["l"], a["q"]) for a in aggregates] == [
        (1, 1, "0.01000000"),
        (2, 2, "0.00500000"),
    ]
    _, one = await demo.public("historicalTrades", symbol="BTCUSDT", fromId=2)
    assert [t["id"] for t in one] == [2]
    now_ms = time.time_ns() // 1_000_000
    _, bars = await demo.public("klines", symbol="BTCUSDT", interval="1m", limit=1000)
    assert len(bars) == 1000
    assert [b[0] - a[0] for a, b in pairwise(bars)] == [60_000] * 999
    assert bars[-1][0] <= now_ms < bars[-1][6] + 5_000
    traded = [bar for bar in bars[-2:] if bar[8] == 2]
    assert traded[0][1:6] == [
        "61000.00000000",
        "61001.00000000",
        "61000.00000000",
        "61001.00000000",
        "0.01500000",
    ]
    _, hours = await demo.public(
        "klines", symbol="BTCUSDT", interval="1h", startTime=now_ms - 7_200_000
    )
    assert 2 <= len(hours) <= 3
    _, day = await demo.public("ticker/24hr", symbol="BTCUSDT")
    assert (day["lastPrice"], day["askPrice"]) == ("61001.00000000", "61001.00000000")
    assert len(day) == 21
    _, price = await demo.public("ticker/price")
    assert price == [{"symbol": "BTCUSDT", "price": "61001.00000000"}]
    _, best = await demo.public("ticker/bookTicker", symbol="BTCUSDT")
    assert (best["askQty"], best["bidQty"]) == ("0.00500000", "0.00000000")
    _, average = await demo.public("avgPrice", symbol="BTCUSDT")
    assert average["mins"] == 5
    assert (await demo.public("klines", symbol="BTCUSDT", interval="7m"))[1]["code"] == -1120


async def test_time_ranges_of_account_queries(venue) -> None:
    await venue.demo.limit("BUY", "61000", "0.001")
    now_ms = time.time_ns() // 1_000_000
    for path in ("allOrders", "myTrades"):
        status, body = await venue.demo.signed(
            "GET", path, symbol="BTCUSDT", startTime=now_ms - 90_000_000, endTime=now_ms
        )
        assert (status, body["code"]) == (400, -1127)
    later = await venue.demo.signed("GET", "allOrders", symbol="BTCUSDT", startTime=now_ms + 9000)
    assert later == (200, [])


async def test_unknown_order_and_cancel_restrictions(venue) -> None:
    missing = await venue.demo.signed("GET", "order", symbol="BTCUSDT", origClientOrderId="x")
    assert (missing[0], missing[1]["code"]) == (400, -2013)
    _, placed = await venue.demo.limit("BUY", "61000", "0.01")
    refused = await venue.demo.cancel(
        orderId=placed["orderId"], cancelRestrictions="ONLY_PARTIALLY_FILLED"
    )
    assert refused[1]["code"] == -2011
    wrong = await venue.demo.cancel(orderId=placed["orderId"], cancelRestrictions="ONLY")
    assert wrong[1]["code"] == -1145
    both = await venue.demo.cancel(orderId=placed["orderId"], origClientOrderId="other")
    assert both[1]["code"] == -2011
    done = await venue.demo.cancel(orderId=placed["orderId"], cancelRestrictions="ONLY_NEW")
    assert done[1]["status"] == "CANCELED"
