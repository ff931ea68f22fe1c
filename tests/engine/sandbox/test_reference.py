"""The reference, row by row (venue.md 2.1 to 2.6): weights, errors, limits, times, shapes."""

from __future__ import annotations

import time
from typing import Any
from urllib.parse import urlencode

import aiohttp
import msgspec
import pytest

S = {"symbol": "BTCUSDT"}
LIMIT = {
    **S,
    "side": "BUY",
    "type": "LIMIT",
    "timeInForce": "GTC",
    "quantity": "0.001",
    "price": "60000",
}

#: 2.1: path, parameters, weight.
PUBLIC_WEIGHTS = [
    ("ping", {}, 1),
    ("time", {}, 1),
    ("exchangeInfo", {}, 20),
    ("exchangeInfo", S, 20),
    ("depth", S, 5),
    ("depth", {**S, "limit": 100}, 5),
    ("depth", {**S, "limit": 101}, 25),
    ("depth", {**S, "limit": 500}, 25),
    ("depth", {**S, "limit": 1000}, 50),
    ("depth", {**S, "limit": 1001}, 250),
    ("depth", {**S, "limit": 9999}, 250),
    ("trades", S, 25),
    ("historicalTrades", {**S, "fromId": 1}, 25),
    ("aggTrades", S, 4),
    ("klines", {**S, "interval": "1m"}, 2),
    ("uiKlines", {**S, "interval": "1m"}, 2),
    ("avgPrice", S, 2),
    ("ticker/24hr", S, 2),
    ("ticker/24hr", {"symbols": '["BTCUSDT"]'}, 2),
    ("ticker/24hr", {}, 80),
    ("ticker/price", S, 2),
    ("ticker/price", {}, 4),
    ("ticker/price", {"symbols": '["BTCUSDT"]'}, 4),
    ("ticker/bookTicker", S, 2),
    ("ticker/bookTicker", {}, 4),
]
#: 2.1: method, path, parameters, status, weight. Orders that succeed cost nothing.
SIGNED_WEIGHTS = [
    ("POST", "order", LIMIT, 200, 0),
    ("POST", "order", {**LIMIT, "quantity": "9"}, 400, 1),
    ("POST", "order/test", LIMIT, 200, 1),
    ("POST", "order/test", {**LIMIT, "computeCommissionRates": "true"}, 200, 20),
    ("GET", "order", {**S, "origClientOrderId": "none"}, 400, 4),
    ("DELETE", "order", {**S, "origClientOrderId": "none"}, 400, 1),
    ("DELETE", "openOrders", S, 400, 1),
    ("GET", "openOrders", S, 200, 6),
    ("GET", "openOrders", {}, 200, 80),
    ("GET", "allOrders", S, 200, 20),
    ("GET", "account", {}, 200, 20),
    ("GET", "myTrades", S, 200, 20),
    ("GET", "myTrades", {**S, "orderId": 1}, 200, 5),
    ("GET", "rateLimit/order", {}, 200, 40),
    ("GET", "account/commission", S, 200, 20),
    ("GET", "myPreventedMatches", {**S, "preventedMatchId": 1}, 200, 2),
    ("GET", "myPreventedMatches", {**S, "orderId": 1}, 200, 20),
]


def stop_clock(venue: Any) -> int:
    """Stop the venue's clock, so that no window ends and no timestamp ages; returns it in ms."""
    now_ms = 1_800_000_030_000
    venue.exchange.wall_us = lambda: now_ms * 1000
    return now_ms


@pytest.mark.parametrize(("path", "params", "weight"), PUBLIC_WEIGHTS)
async def test_weight_of_public_endpoints(venue, path: str, params: dict, weight: int) -> None:
    stop_clock(venue)
    status, _ = await venue.demo.public(path, **params)
    assert (status, venue.demo.headers["X-MBX-USED-WEIGHT-1M"]) == (200, str(weight))
    assert venue.demo.headers["X-MBX-USED-WEIGHT"] == str(weight)


@pytest.mark.parametrize(("method", "path", "params", "status", "weight"), SIGNED_WEIGHTS)
async def test_weight_of_signed_endpoints(
    venue, method: str, path: str, params: dict, status: int, weight: int
) -> None:
    got, body = await venue.demo.signed(method, path, **params, timestamp=stop_clock(venue))
    assert (got, venue.demo.headers["X-MBX-USED-WEIGHT-1M"]) == (status, str(weight)), body
    counted = "X-MBX-ORDER-COUNT-10S" in venue.demo.headers
    assert counted == ((method, path, status) == ("POST", "order", 200))


async def test_successful_cancels_cost_no_weight(venue) -> None:
    stamp = {"timestamp": stop_clock(venue)}
    await venue.demo.limit("BUY", "60000", "0.001", newClientOrderId="a", **stamp)
    await venue.demo.cancel(origClientOrderId="a", **stamp)
    assert venue.demo.headers["X-MBX-USED-WEIGHT-1M"] == "0"
    await venue.demo.limit("BUY", "60000", "0.001", **stamp)
    await venue.demo.signed("DELETE", "openOrders", **S, **stamp)
    assert venue.demo.headers["X-MBX-USED-WEIGHT-1M"] == "0"


ILLEGAL = "Illegal characters found in parameter '{name}'; legal range is '{legal}'."
BALANCE = "Account has insufficient balance for requested action."
#: 2.3 and 2.5: what is different from a good order, then HTTP status, code and message.
ORDER_ERRORS: list[tuple[dict[str, Any], int, int, str]] = [
    ({"price": "60000.001"}, 400, -1013, "Filter failure: PRICE_FILTER"),
    ({"price": "0"}, 400, -1013, "Filter failure: PRICE_FILTER"),
    ({"price": "10000000"}, 400, -1013, "Filter failure: PRICE_FILTER"),
    ({"quantity": "0.000001"}, 400, -1013, "Filter failure: LOT_SIZE"),
    ({"quantity": "0"}, 400, -1013, "Filter failure: LOT_SIZE"),
    ({"quantity": "9001"}, 400, -1013, "Filter failure: LOT_SIZE"),
    ({"quantity": "0.00001"}, 400, -1013, "Filter failure: NOTIONAL"),
    ({"price": "12000"}, 400, -1013, "Filter failure: PERCENT_PRICE_BY_SIDE"),
    ({"price": "310000"}, 400, -1013, "Filter failure: PERCENT_PRICE_BY_SIDE"),
    (
        {"type": "MARKET", "timeInForce": None, "price": None, "quantity": "101"},
        400,
        -1013,
        "Filter failure: MARKET_LOT_SIZE",
    ),
    (
        {"selfTradePreventionMode": "TRANSFER"},
        400,
        -1013,
        "This symbol does not allow the specified self-trade prevention mode.",
    ),
    (
        {"price": "6e4"},
        400,
        -1100,
        ILLEGAL.format(name="price", legal=r"^([0-9]{1,20})(\.[0-9]{1,20})?$"),
    ),
    (
        {"price": "-60000"},
        400,
        -1100,
        ILLEGAL.format(name="price", legal=r"^([0-9]{1,20})(\.[0-9]{1,20})?$"),
    ),
    (
        {"newClientOrderId": "not legal"},
        400,
        -1100,
        ILLEGAL.format(name="newClientOrderId", legal="^[a-zA-Z0-9-_]{1,36}$"),
    ),
    (
        {"price": None},
        400,
        -1102,
        "Mandatory parameter 'price' was not sent, was empty/null, or malformed.",
    ),
    (
        {"timeInForce": ""},
        400,
        -1102,
        "Mandatory parameter 'timeInForce' was not sent, was empty/null, or malformed.",
    ),
    (
        {"surprise": "1"},
        400,
        -1104,
        "Not all sent parameters were read; read '8' parameter(s) but was sent '9'.",
    ),
    ({"quoteOrderQty": "10"}, 400, -1106, "Parameter 'quoteOrderQty' sent when not required."),
    ({"icebergQty": "1"}, 400, -1106, "Parameter 'icebergQty' sent when not required."),
    (
        {"type": "MARKET", "timeInForce": "IOC", "price": None},
        400,
        -1106,
        "Parameter 'timeInForce' sent when not required.",
    ),
    ({"price": "60000.0000000001"}, 400, -1111, "Parameter 'price' has too much precision."),
    ({"timeInForce": "GTX"}, 400, -1115, "Invalid timeInForce."),
    ({"type": "STOP_LOSS"}, 400, -1116, "Invalid orderType."),
    ({"side": "HOLD"}, 400, -1117, "Invalid side."),
    ({"symbol": "ETHUSDT"}, 400, -1121, "Invalid symbol."),
    ({"strategyType": "1"}, 400, -1134, "strategyType was less than 1000000."),
    ({"quantity": "9"}, 400, -2010, BALANCE),
    ({"side": "SELL", "quantity": "1.5"}, 400, -2010, BALANCE),
    ({"newClientOrderId": "open"}, 400, -2010, "Duplicate order sent."),
    (
        {"type": "LIMIT_MAKER", "timeInForce": None, "price": "61000"},
        400,
        -2010,
        "Order would immediately match and take.",
    ),
    (
        {"recvWindow": "60001"},
        400,
        -1102,
        "'recvWindow' contains unexpected value. Cannot be greater than '60000'.",
    ),
    (
        {"timestamp": 1},
        400,
        -1021,
        "Timestamp for this request is outside of the recvWindow.",
    ),
    (
        {"timestamp": 99_999_999_999_999},
        400,
        -1021,
        "Timestamp for this request was 1000ms ahead of the server's time.",
    ),
]


@pytest.mark.parametrize(("change", "status", "code", "message"), ORDER_ERRORS)
async def test_refused_order_says_why(
    venue, change: dict[str, Any], status: int, code: int, message: str
) -> None:
    await venue.other.limit("SELL", "61000", "0.5")
    await venue.demo.limit("BUY", "60000", "0.001", newClientOrderId="open")
    before = await venue.demo.signed("GET", "account")
    order = {k: v for k, v in {**LIMIT, **change}.items() if v is not None}

    answer = await venue.demo.signed("POST", "order", **order)

    assert answer == (status, {"code": code, "msg": message})
    assert await venue.demo.signed("GET", "account") == before


#: 2.1 and 2.5: method, path, parameters, HTTP status, code, message.
ERRORS = [
    ("GET", "klines", {**S, "interval": "7m"}, -1120, "Invalid interval."),
    ("GET", "depth", {"symbol": "NONE"}, -1121, "Invalid symbol."),
    ("GET", "depth", {"symbol": "btcusdt"}, -1121, "Invalid symbol."),
    ("GET", "exchangeInfo", {"symbol": "NONE"}, -1121, "Invalid symbol."),
    ("GET", "exchangeInfo", {"symbolStatus": "OPEN"}, -1122, "Invalid symbolStatus."),
    (
        "GET",
        "exchangeInfo",
        {**S, "symbols": '["BTCUSDT"]'},
        -1128,
        "Combination of optional parameters invalid.",
    ),
    (
        "GET",
        "ticker/price",
        {"symbols": '["BTCUSDT","BTCUSDT"]'},
        -1151,
        "Symbol is present multiple times in the list.",
    ),
    ("GET", "ticker/24hr", {**S, "type": "HALF"}, -1139, "Invalid ticker type."),
    (
        "GET",
        "klines",
        {**S, "interval": "1m", "timeZone": "15"},
        -1130,
        "Data sent for parameter 'timeZone' is not valid.",
    ),
    (
        "GET",
        "aggTrades",
        {**S, "fromId": 1, "startTime": 1},
        -1128,
        "Combination of optional parameters invalid.",
    ),
    (
        "GET",
        "trades",
        {},
        -1102,
        "Mandatory parameter 'symbol' was not sent, was empty/null, or malformed.",
    ),
    ("signed GET", "order", {**S, "orderId": 5}, -2013, "Order does not exist."),
    ("signed DELETE", "order", {**S, "orderId": 5}, -2011, "Unknown order sent."),
    ("signed DELETE", "openOrders", S, -2011, "Unknown order sent."),
    (
        "signed GET",
        "order",
        S,
        -1102,
        "Mandatory parameter 'orderId' was not sent, was empty/null, or malformed.",
    ),
    (
        "signed GET",
        "allOrders",
        {**S, "startTime": 1, "endTime": 86_400_002},
        -1127,
        "More than 24 hours between startTime and endTime.",
    ),
    (
        "signed GET",
        "myTrades",
        {**S, "startTime": 1, "endTime": 86_400_002},
        -1127,
        "More than 24 hours between startTime and endTime.",
    ),
    (
        "signed GET",
        "myTrades",
        {**S, "fromId": 1, "startTime": 1},
        -1128,
        "Combination of optional parameters invalid.",
    ),
    (
        "signed GET",
        "myPreventedMatches",
        S,
        -1102,
        "Param 'preventedMatchId' or 'orderId' must be sent, but both were empty/null!",
    ),
]


@pytest.mark.parametrize(("method", "path", "params", "code", "message"), ERRORS)
async def test_refused_request_says_why(
    venue, method: str, path: str, params: dict, code: int, message: str
) -> None:
    if method == "GET":
        answer = await venue.demo.public(path, **params)
    else:
        answer = await venue.demo.signed(method.removeprefix("signed "), path, **params)
    assert answer == (400, {"code": code, "msg": message})


async def test_cancel_restrictions(venue) -> None:
    await venue.demo.limit("BUY", "60000", "0.01", newClientOrderId="a")
    refused = "Order was not canceled due to cancel restrictions."
    wrong = "`cancelRestrictions` has to be either `ONLY_NEW` or `ONLY_PARTIALLY_FILLED`."
    for only, code, message in (
        ("ONLY_PARTIALLY_FILLED", -2011, refused),
        ("NEVER", -1145, wrong),
    ):
        answer = await venue.demo.cancel(origClientOrderId="a", cancelRestrictions=only)
        assert answer == (400, {"code": code, "msg": message})
    await venue.other.market("SELL", quantity="0.002")
    answer = await venue.demo.cancel(origClientOrderId="a", cancelRestrictions="ONLY_NEW")
    assert answer[1]["code"] == -2011
    done = await venue.demo.cancel(
        origClientOrderId="a", cancelRestrictions="ONLY_PARTIALLY_FILLED"
    )
    assert done[1]["status"] == "CANCELED"


# --- 2.2 signatures and time ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("age_ms", "window", "code"),
    [
        (0, None, 0),
        (5_000, None, 0),
        (5_001, None, -1021),
        (6_000, "10000", 0),
        (60_000, "60000", 0),
        (60_001, "60000", -1021),
        (100, "100.0", 0),
        (100, "99.999", -1021),
        (-999, None, 0),
        (-1_000, None, -1021),
        (0, "60000.001", -1102),
        (0, "1.2345", -1102),
        (0, "soon", -1102),
    ],
)
@pytest.mark.parametrize("per_ms", [1, 1000])
async def test_receive_window(venue, age_ms: int, window: str, code: int, per_ms: int) -> None:
    params = {"timestamp": (stop_clock(venue) - age_ms) * per_ms}
    params |= {} if window is None else {"recvWindow": window}
    _, body = await venue.demo.signed("GET", "account", **params)
    assert body.get("code", 0) == code, body


async def test_parameter_in_query_and_body_counts_as_in_the_query(venue) -> None:
    query = urlencode({**LIMIT, "quantity": "0.002"})
    body = urlencode({"quantity": "0.001", "timestamp": time.time_ns() // 1_000_000})
    headers = {
        "X-MBX-APIKEY": venue.demo.keys["hmac"]["key"],
        "Content-Type": "application/x-www-form-urlencoded",
    }
    signed = f"{body}&signature={venue.demo.sign(query + body)}"
    status, placed = await venue.demo.raw("POST", "order", query, headers=headers, data=signed)
    assert (status, placed["origQty"]) == (200, "0.00200000")


async def test_payload_is_signed_as_it_is_sent_percent_encoded(venue) -> None:
    stamp = time.time_ns() // 1_000_000
    headers = {"X-MBX-APIKEY": venue.demo.keys["hmac"]["key"]}
    encoded = f"symbol=%EF%BC%91&timestamp={stamp}"
    for payload, code in ((encoded, -1121), (f"symbol=\uff11&timestamp={stamp}", -1022)):
        query = f"{encoded}&signature={venue.demo.sign(payload)}"
        _, body = await venue.demo.raw("GET", "openOrders", query, headers=headers)
        assert body["code"] == code


# --- 2.6 limits ----------------------------------------------------------------------------------


async def test_weight_429_then_418_with_retry_after(start) -> None:
    venue = await start(weight_minute=20)
    now_ms = stop_clock(venue)
    seen = [await _refusal(venue.demo) for _ in range(23)]
    assert seen == [(200, 0)] + [(429, 30)] * 21 + [(418, 121)]
    signed = await venue.demo.signed("GET", "account", timestamp=now_ms)
    assert (signed[0], signed[1]["code"]) == (418, -1003)
    with pytest.raises(aiohttp.WSServerHandshakeError, match="418"):
        await venue.http.ws_connect(venue.urls["ws_api"])


async def _refusal(client) -> tuple[int, int]:
    """Status and Retry-After of a heavy request."""
    status, body = await client.public("exchangeInfo")
    if status == 200:
        return status, 0
    assert body["code"] == -1003
    return status, int(client.headers["Retry-After"])


async def test_raw_requests_have_a_limit_and_no_header(start) -> None:
    venue = await start(raw_5m=3)
    stop_clock(venue)
    answers = [await venue.demo.public("ping") for _ in range(5)]
    assert [status for status, _ in answers] == [200, 200, 200, 429, 429]
    assert "per 5 MINUTE" in answers[-1][1]["msg"]
    assert 1 <= int(venue.demo.headers["Retry-After"]) <= 300
    assert [name for name in venue.demo.headers if name.upper().startswith("X-MBX-")] == [
        "X-MBX-USED-WEIGHT",
        "X-MBX-USED-WEIGHT-1M",
    ]


@pytest.mark.parametrize("path", ["ws", "ws_api"])
async def test_connections_of_an_address_have_a_limit(start, path: str) -> None:
    venue = await start(connections_5m=2)
    stop_clock(venue)
    url = venue.urls["ws"] + "/ws/0" if path == "ws" else venue.urls["ws_api"]
    refused: list[int] = []
    for _ in range(5):
        try:
            await (await venue.http.ws_connect(url)).close()
        except aiohttp.WSServerHandshakeError as error:
            refused.append(error.status)
    assert refused == [429] * 3


# --- 2.1, 2.3 and 2.4 shapes ---------------------------------------------------------------------

COMMON = {
    "symbol", "orderId", "orderListId", "clientOrderId", "price", "origQty", "executedQty",
    "origQuoteOrderQty", "cummulativeQuoteQty", "status", "timeInForce", "type", "side",
    "selfTradePreventionMode",
}  # fmt: skip
ACK = {"symbol", "orderId", "orderListId", "clientOrderId", "transactTime"}
RESULT = COMMON | {"transactTime", "workingTime"}
FULL = RESULT | {"fills"}
QUERY = COMMON | {
    "stopPrice", "icebergQty", "time", "updateTime", "isWorking", "workingTime",
}  # fmt: skip
CANCELED = COMMON | {"transactTime", "origClientOrderId"}


@pytest.mark.parametrize(
    ("change", "fields"),
    [
        ({}, FULL),
        ({"type": "MARKET", "price": None, "timeInForce": None}, FULL),
        ({"type": "LIMIT_MAKER", "timeInForce": None}, ACK),
        ({"newOrderRespType": "ACK"}, ACK),
        ({"newOrderRespType": "RESULT"}, RESULT),
        ({"type": "LIMIT_MAKER", "timeInForce": None, "newOrderRespType": "FULL"}, FULL),
        ({"timeInForce": "IOC"}, FULL | {"expiryReason"}),
        ({"timeInForce": "FOK"}, FULL | {"expiryReason"}),
    ],
)
async def test_form_of_an_answer_to_an_order(venue, change: dict, fields: set[str]) -> None:
    if "MARKET" in change.values():
        await venue.other.limit("SELL", "60000", "0.5")
    order = {k: v for k, v in {**LIMIT, **change}.items() if v is not None}
    status, placed = await venue.demo.signed("POST", "order", **order)
    assert (status, set(placed)) == (200, fields)


async def test_forms_of_queries_cancels_and_trades(venue) -> None:
    await venue.demo.limit("BUY", "60000", "0.01", newClientOrderId="a")
    await venue.other.market("SELL", quantity="0.004")
    _, seen = await venue.demo.signed("GET", "order", **S, origClientOrderId="a")
    assert set(seen) == QUERY
    assert seen["isWorking"] is True
    _, gone = await venue.demo.cancel(origClientOrderId="a", newClientOrderId="c")
    assert set(gone) == CANCELED
    _, (trade,) = await venue.demo.signed("GET", "myTrades", **S)
    assert set(trade) == {
        "symbol", "id", "orderId", "orderListId", "price", "qty", "quoteQty", "commission",
        "commissionAsset", "time", "isBuyer", "isMaker", "isBestMatch",
    }  # fmt: skip
    _, account = await venue.demo.signed("GET", "account")
    assert {"balances", "commissionRates", "canTrade", "uid", "permissions"} <= set(account)


async def test_exchange_info_names_what_clients_need_and_what_is_not_offered(venue) -> None:
    _, info = await venue.demo.public("exchangeInfo")
    assert set(info) == {"timezone", "serverTime", "rateLimits", "exchangeFilters", "symbols"}
    (symbol,) = info["symbols"]
    offered = {
        "icebergAllowed", "ocoAllowed", "otoAllowed", "opoAllowed", "allowTrailingStop",
        "cancelReplaceAllowed", "amendAllowed", "pegInstructionsAllowed", "isMarginTradingAllowed",
    }  # fmt: skip
    assert {symbol[name] for name in offered} == {False}
    assert symbol["orderTypes"] == ["LIMIT", "LIMIT_MAKER", "MARKET"]
    assert set(symbol) == offered | {
        "symbol", "status", "baseAsset", "baseAssetPrecision", "quoteAsset", "quotePrecision",
        "quoteAssetPrecision", "baseCommissionPrecision", "quoteCommissionPrecision", "orderTypes",
        "quoteOrderQtyMarketAllowed", "isSpotTradingAllowed", "filters", "permissions",
        "permissionSets", "defaultSelfTradePreventionMode", "allowedSelfTradePreventionModes",
    }  # fmt: skip
    assert [(r["rateLimitType"], r["interval"], r["intervalNum"]) for r in info["rateLimits"]] == [
        ("REQUEST_WEIGHT", "MINUTE", 1),
        ("ORDERS", "SECOND", 10),
        ("ORDERS", "DAY", 1),
        ("RAW_REQUESTS", "MINUTE", 5),
    ]
    assert (await venue.demo.public("exchangeInfo", permissions="MARGIN"))[1]["symbols"] == []
    assert (await venue.demo.public("exchangeInfo", symbolStatus="HALT"))[1]["symbols"] == []
    assert len((await venue.demo.public("exchangeInfo", permissions='["SPOT"]'))[1]["symbols"]) == 1


@pytest.mark.parametrize("path", ["ticker/24hr", "ticker/price", "ticker/bookTicker"])
async def test_tickers_for_one_a_list_and_all(venue, path: str) -> None:
    _, one = await venue.demo.public(path, **S)
    _, listed = await venue.demo.public(path, symbols='["BTCUSDT"]')
    _, every = await venue.demo.public(path)
    same = [{**row, "openTime": 0, "closeTime": 0} for row in (one, *listed, *every)]
    assert same[0] == same[1] == same[2]


async def test_mini_ticker_leaves_out_the_rest(venue) -> None:
    _, mini = await venue.demo.public("ticker/24hr", **S, type="MINI")
    assert set(mini) == {
        "symbol", "lastPrice", "openPrice", "highPrice", "lowPrice", "volume", "quoteVolume",
        "openTime", "closeTime", "firstId", "lastId", "count",
    }  # fmt: skip


# --- times in µs -------------------------------------------------------------------------------


async def test_times_are_in_the_unit_that_was_asked_for(venue) -> None:
    demo = venue.demo
    await demo.limit("BUY", "60000", "0.01", newClientOrderId="a")
    await venue.other.market("SELL", quantity="0.004")
    micro = {"X-MBX-TIME-UNIT": "MICROSECOND"}
    now_us = time.time_ns() // 1000
    _, clock = await demo.raw("GET", "time", headers=micro)
    assert abs(clock["serverTime"] - now_us) < 60_000_000
    for path, names in (
        ("trades", ("time",)),
        ("aggTrades", ("T",)),
        ("avgPrice", ("closeTime",)),
        ("ticker/24hr", ("openTime", "closeTime")),
    ):
        _, plain = await demo.raw("GET", path, urlencode(S))
        _, fine = await demo.raw("GET", path, urlencode(S), headers=micro)
        for a, b in zip(*([x] if isinstance(x, dict) else x for x in (plain, fine)), strict=True):
            assert all(abs(b[name] // 1000 - a[name]) < 60_000 for name in names)
    query = urlencode({**S, "interval": "1m", "limit": 1})
    _, (bar,) = await demo.raw("GET", "klines", query, headers=micro)
    assert bar[6] - bar[0] == 59_999_999
    signed = urlencode({**S, "timestamp": now_us})
    signed += f"&signature={demo.sign(signed)}"
    headers = {"X-MBX-APIKEY": demo.keys["hmac"]["key"], **micro}
    _, (order,) = await demo.raw("GET", "allOrders", signed, headers=headers)
    assert abs(order["time"] - now_us) < 60_000_000
    assert order["updateTime"] >= order["time"]
    wrong = await demo.raw("GET", "time", headers={"X-MBX-TIME-UNIT": "HOUR"})
    assert wrong[1]["code"] == -1194


async def test_days_of_a_time_zone_begin_in_it(start) -> None:
    venue = await start(first_id=None)
    hour_ms = 3_600_000
    for zone, hours in (("0", 0), ("8", 8), ("-1:00", -1), ("05:45", 5.75), ("+14:00", 14)):
        query = {**S, "interval": "1d", "timeZone": zone}
        _, days = await venue.demo.public("klines", **query)
        assert {int(day[0] + hours * hour_ms) % (24 * hour_ms) for day in days} == {0}
        assert {day[6] - day[0] for day in days} == {24 * hour_ms - 1}


# --- self-trade prevention -----------------------------------------------------------------------


async def test_prevented_matches_are_told_in_the_answer_and_can_be_asked_for(venue) -> None:
    demo = venue.demo
    _, maker = await demo.limit("SELL", "60000", "0.006", newClientOrderId="m")
    _, taker = await demo.limit("BUY", "60000", "0.002", selfTradePreventionMode="DECREMENT")

    assert (taker["status"], taker["preventedQuantity"]) == ("EXPIRED_IN_MATCH", "0.00200000")
    assert taker["preventedMatches"] == [
        {
            "preventedMatchId": 0,
            "makerOrderId": maker["orderId"],
            "price": "60000.00000000",
            "takerPreventedQuantity": "0.00200000",
            "makerPreventedQuantity": "0.00200000",
        }
    ]
    _, seen = await demo.signed("GET", "order", **S, origClientOrderId="m")
    assert (seen["status"], seen["preventedQuantity"]) == ("NEW", "0.00200000")
    assert seen["preventedMatchId"] == 0
    _, depth = await demo.public("depth", **S)
    assert depth["asks"] == [["60000.00000000", "0.00400000"]]
    for asked in ({"preventedMatchId": 0}, {"orderId": taker["orderId"]}):
        _, (match,) = await demo.signed("GET", "myPreventedMatches", **S, **asked)
        assert match["takerOrderId"] == taker["orderId"]
        assert (match["selfTradePreventionMode"], match["tradeGroupId"]) == ("DECREMENT", -1)
    assert (await demo.public("trades", **S))[1] == []


async def test_quote_order_on_a_dry_book_expires(venue) -> None:
    _, empty = await venue.demo.market("BUY", quoteOrderQty="100")
    assert (empty["status"], empty["executedQty"]) == ("EXPIRED", "0.00000000")
    assert empty["expiryReason"] == "INSUFFICIENT_LIQUIDITY"
    await venue.other.limit("SELL", "60000", "0.001")
    _, short = await venue.demo.market("BUY", quoteOrderQty="100")
    assert (short["status"], short["cummulativeQuoteQty"]) == ("EXPIRED", "60.00000000")
    await venue.other.limit("SELL", "60000", "0.01")
    _, whole = await venue.demo.market("BUY", quoteOrderQty="100")
    assert (whole["status"], whole["executedQty"]) == ("FILLED", "0.00166000")


# --- what the tables above cannot say ------------------------------------------------------------


async def test_no_more_than_200_open_orders(start) -> None:
    venue = await start(orders_10s=1000)
    for number in range(200):
        status, _ = await venue.demo.limit("BUY", f"{50000 + number}", "0.0002")
        assert status == 200
    refused = await venue.demo.limit("BUY", "49000", "0.0002")
    assert refused == (400, {"code": -1013, "msg": "Filter failure: MAX_NUM_ORDERS"})


async def test_parameter_that_comes_twice_is_refused(venue) -> None:
    refused = await venue.demo.raw("GET", "depth", "symbol=BTCUSDT&symbol=BTCUSDT")
    message = "Duplicate values for parameter 'symbol' detected."
    assert refused == (400, {"code": -1101, "msg": message})


@pytest.mark.parametrize("state", ["HALT", "BREAK", "END_OF_DAY", "CANCEL_ONLY"])
async def test_closed_market_takes_no_orders_but_cancels(venue, state: str) -> None:
    await venue.demo.limit("BUY", "60000", "0.001", newClientOrderId="a")
    rules = venue.exchange.rules
    venue.exchange.change_rules(msgspec.structs.replace(rules, status=state))
    refused = await venue.demo.limit("BUY", "60000", "0.001")
    assert refused == (400, {"code": -2010, "msg": "Market is closed."})
    _, info = await venue.demo.public("exchangeInfo", **S)
    assert info["symbols"][0]["status"] == state
    assert len((await venue.demo.public("exchangeInfo", symbolStatus=state))[1]["symbols"]) == 1
    gone = await venue.demo.cancel(origClientOrderId="a")
    assert gone[1]["status"] == "CANCELED"


async def test_market_order_has_one_size_and_a_maximum_only_by_lot(venue) -> None:
    size = "Mandatory parameter 'quantity' was not sent, was empty/null, or malformed."
    neither = await venue.demo.market("BUY")
    assert neither == (400, {"code": -1102, "msg": size})
    both = await venue.demo.market("BUY", quantity="1", quoteOrderQty="100")
    assert both[1]["code"] == -1106
    small = await venue.demo.market("BUY", quoteOrderQty="4.99")
    assert small[1]["msg"] == "Filter failure: NOTIONAL"
    await venue.other.limit("SELL", "60000", "0.5")
    over = await venue.demo.market("BUY", quoteOrderQty="100001")
    assert over[1]["code"] == -2010


async def test_client_order_id_is_free_again_once_its_order_is_not_open(venue) -> None:
    first = await venue.demo.limit("BUY", "60000", "0.001", newClientOrderId="same")
    await venue.other.market("SELL", quantity="0.001")
    second = await venue.demo.limit("BUY", "60000", "0.002", newClientOrderId="same")
    assert (first[0], second[0]) == (200, 200)
    _, seen = await venue.demo.signed("GET", "order", **S, origClientOrderId="same")
    assert seen["orderId"] == second[1]["orderId"]
    _, old = await venue.demo.signed("GET", "order", **S, orderId=first[1]["orderId"])
    assert old["status"] == "FILLED"


async def test_newest_first_without_a_start_and_oldest_first_with_one(venue) -> None:
    began = time.time_ns() // 1_000_000 - 1
    for number in range(5):
        await venue.demo.limit("BUY", f"{60000 + number}", "0.001")
    ids = [o["orderId"] for o in (await venue.demo.signed("GET", "allOrders", **S))[1]]
    assert ids == sorted(ids)
    for asked, expected in (
        ({"limit": 2}, ids[-2:]),
        ({"limit": 2, "startTime": began}, ids[:2]),
        ({"limit": 2, "startTime": began * 1000}, ids[:2]),
        ({"orderId": ids[2]}, ids[2:]),
        ({"endTime": began}, []),
    ):
        _, found = await venue.demo.signed("GET", "allOrders", **S, **asked)
        assert [order["orderId"] for order in found] == expected
