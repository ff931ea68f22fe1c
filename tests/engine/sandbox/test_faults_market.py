"""Each switch of symbol, clock, accounts and cancels, and the schedule on a running venue."""

from __future__ import annotations

import asyncio
import time

import pytest

OPEN_ORDERS = {"symbol": "BTCUSDT"}


async def info(venue) -> tuple[str, dict[str, dict]]:
    _, body = await venue.demo.public("exchangeInfo", symbol="BTCUSDT")
    symbol = body["symbols"][0]
    return symbol["status"], {row["filterType"]: row for row in symbol["filters"]}


@pytest.mark.parametrize("status", ["HALT", "BREAK", "CANCEL_ONLY"])
async def test_symbol_that_does_not_trade_refuses_orders_and_lets_cancels(start, status) -> None:
    venue = await start(control=True)
    await venue.demo.limit("BUY", "61000", "0.01", newClientOrderId="rests")
    await venue.other.limit("SELL", "62000", "0.01")
    await venue.arm(symbol_status=status)

    assert (await info(venue))[0] == status
    for refused in (venue.demo.limit("BUY", "61000", "0.01"), venue.demo.market("BUY", quantity=1)):
        code, body = await refused
        assert (code, body) == (400, {"code": -2010, "msg": "Market is closed."})
    _, canceled = await venue.demo.cancel(origClientOrderId="rests")
    assert canceled["status"] == "CANCELED"
    await venue.arm(symbol_status="TRADING")
    assert (await venue.demo.limit("BUY", "61000", "0.01"))[0] == 200
    assert await venue.fired(f"symbol_status.{status}") == 1


async def test_halted_market_prints_no_trades_and_goes_on_afterwards(start) -> None:
    venue = await start(control=True, flow=True)
    await venue.arm(symbol_status="HALT", for_ms=300)
    trades, update = venue.exchange.market.trades, venue.exchange.matching.book.update_id
    count = len(trades)
    async with asyncio.timeout(10):
        while True:
            seen = len(trades), venue.exchange.matching.book.update_id
            if (await venue.arm())["symbol_status"] != "HALT":
                break
            assert seen == (count, update)
        while len(trades) == count:
            await venue.arm()


async def test_filters_change_at_run_time_and_come_back(start) -> None:
    venue = await start(control=True)
    await venue.arm(
        filters={"tick_size": "0.50", "step_size": "0.001", "min_notional": "100"},
    )
    _, filters = await info(venue)
    assert filters["PRICE_FILTER"]["tickSize"] == "0.50000000"
    assert filters["LOT_SIZE"]["stepSize"] == "0.00100000"
    assert filters["NOTIONAL"]["minNotional"] == "100.00000000"
    for price, quantity, name in (
        ("61000.10", "0.01", "PRICE_FILTER"),
        ("61000.50", "0.0015", "LOT_SIZE"),
        ("61000.50", "0.001", "NOTIONAL"),
    ):
        status, body = await venue.demo.limit("BUY", price, quantity)
        assert (status, body) == (400, {"code": -1013, "msg": f"Filter failure: {name}"})
    assert (await venue.demo.limit("BUY", "61000.50", "0.002"))[0] == 200
    assert set((await venue.arm())["filters"]) == {
        "price_multiple", "quantity_multiple", "min_notional",
    }  # fmt: skip
    await venue.arm(filters={})
    assert (await venue.demo.limit("BUY", "61000.10", "0.0015"))[0] == 200


async def test_wipe_as_on_the_public_test_exchange(start) -> None:
    venue = await start(control=True)
    await venue.other.limit("SELL", "61000", "0.01")
    await venue.demo.limit("BUY", "61000", "0.02", newClientOrderId="half")
    _, before = await venue.demo.signed("GET", "account")
    _, last = await venue.demo.signed("GET", "order", symbol="BTCUSDT", origClientOrderId="half")

    await venue.arm(wipe=True)

    _, account = await venue.demo.signed("GET", "account")
    balances = {row["asset"]: (row["free"], row["locked"]) for row in account["balances"]}
    assert balances == {
        "BTC": ("1.00000000", "0.00000000"),
        "USDT": ("100000.00000000", "0.00000000"),
    }
    assert account["balances"] != before["balances"]
    for path in ("openOrders", "allOrders", "myTrades"):
        assert (await venue.demo.signed("GET", path, symbol="BTCUSDT")) == (200, [])
    query = {"symbol": "BTCUSDT", "origClientOrderId": "half"}
    assert (await venue.demo.signed("GET", "order", **query))[1]["code"] == -2013
    _, depth = await venue.demo.public("depth", symbol="BTCUSDT")
    assert (depth["bids"], depth["asks"]) == ([], [])
    _, again = await venue.demo.limit("BUY", "61000", "0.01", newClientOrderId="half")
    assert again["orderId"] > last["orderId"]
    assert await venue.fired("wipe") == 1


async def test_cancel_that_loses_to_the_whole_fill_is_unknown_and_a_trade_comes_later(
    start,
) -> None:
    venue = await start(control=True)
    await venue.demo.limit("BUY", "61000", "0.01", newClientOrderId="raced")
    await venue.arm(cancel_race={"fill": "all"})
    async with venue.user_stream() as events:
        status, body = await venue.demo.cancel(origClientOrderId="raced")
        assert (status, body["code"]) == (400, -2011)
        report = await events.report()
    assert (report["x"], report["X"], report["m"]) == ("TRADE", "FILLED", True)
    query = {"symbol": "BTCUSDT", "origClientOrderId": "raced"}
    assert (await venue.demo.signed("GET", "order", **query))[1]["status"] == "FILLED"
    assert await venue.fired("cancel_race.all") == 1


async def test_cancel_that_loses_to_a_partial_fill_cancels_the_rest(start) -> None:
    venue = await start(control=True)
    await venue.demo.limit("BUY", "61000", "0.01", newClientOrderId="raced")
    await venue.arm(cancel_race={"fill": "part"})
    async with venue.user_stream() as events:
        _, body = await venue.demo.cancel(origClientOrderId="raced")
        assert (body["status"], body["executedQty"]) == ("CANCELED", "0.00500000")
        assert [(await events.report())["x"] for _ in range(2)] == ["TRADE", "CANCELED"]


async def test_cancel_all_goes_on_past_the_order_that_was_filled_first(start) -> None:
    venue = await start(control=True)
    for number in range(3):
        await venue.demo.limit("BUY", "61000", "0.01", newClientOrderId=f"c-{number}")
    await venue.arm(cancel_race={"fill": "all"})
    status, rows = await venue.demo.signed("DELETE", "openOrders", symbol="BTCUSDT")
    assert status == 200
    assert [row["origClientOrderId"] for row in rows] == ["c-1", "c-2"]
    assert (await venue.demo.signed("GET", "openOrders", **OPEN_ORDERS))[1] == []


async def test_skewed_clock_refuses_a_client_that_does_not_measure_it(start) -> None:
    venue = await start(control=True)
    await venue.arm(clock_skew_ms=60_000)
    status, body = await venue.demo.signed("GET", "account")
    assert (status, body["code"]) == (400, -1021)
    _, clock = await venue.demo.public("time")
    assert clock["serverTime"] - time.time() * 1000 > 55_000
    assert (await venue.demo.signed("GET", "account", timestamp=clock["serverTime"]))[0] == 200
    await venue.arm(clock_skew_ms=-60_000)
    _, ahead = await venue.demo.signed("GET", "account")
    assert ahead["code"] == -1021
    await venue.arm(clock_skew_ms=0)
    assert (await venue.demo.signed("GET", "account"))[0] == 200


async def test_hidden_order_is_open_but_not_shown(start) -> None:
    venue = await start(control=True)
    await venue.arm(hide_order_ms=60_000)
    await venue.demo.limit("BUY", "61000", "0.01", newClientOrderId="h-1")
    query = {"symbol": "BTCUSDT", "origClientOrderId": "h-1"}

    assert (await venue.demo.signed("GET", "order", **query))[1]["code"] == -2013
    assert (await venue.demo.signed("GET", "openOrders"))[1] == []
    assert await venue.fired("hide_order") >= 2
    await venue.arm(hide_order_ms=0)
    assert (await venue.demo.signed("GET", "order", **query))[1]["status"] == "NEW"


async def test_lagging_replica_shows_open_orders_as_they_were(start) -> None:
    venue = await start(control=True, weight_minute=10**6)
    await venue.demo.limit("BUY", "61000", "0.01", newClientOrderId="gone")
    await venue.arm(open_orders_lag_ms=300)
    await venue.demo.cancel(origClientOrderId="gone")
    await venue.demo.limit("BUY", "61000", "0.02", newClientOrderId="young")

    async def names() -> list[tuple[str, str]]:
        _, rows = await venue.demo.signed("GET", "openOrders", **OPEN_ORDERS)
        return [(row["clientOrderId"], row["status"]) for row in rows]

    assert await names() == [("gone", "NEW")]
    query = {"symbol": "BTCUSDT", "origClientOrderId": "gone"}
    assert (await venue.demo.signed("GET", "order", **query))[1]["status"] == "CANCELED"
    async with asyncio.timeout(10):
        while await names() != [("young", "NEW")]:
            continue
    assert await venue.fired("open_orders_lag") >= 2


async def test_clear_brings_back_a_healthy_venue(start) -> None:
    venue = await start(control=True)
    healthy = await venue.arm()
    await venue.arm(
        rest=[{"on": "any", "answer": "silent", "times": 0}],
        reports=[{"how": "lose", "times": 0}],
        cancel_race={"fill": "all"},
        stream_stall="all",
        stream_stall_ms=60_000,
        no_pong="all",
        cut_after_s=100,
        depth_gap=5,
        stale_snapshot=5,
        symbol_status="HALT",
        filters={"min_notional": "1000"},
        clock_skew_ms=5000,
        hide_order_ms=5000,
        open_orders_lag_ms=5000,
        ban_ms=60_000,
        schedule={"seed": 1, "every_ms": 60_000},
    )
    cleared = await venue.arm(clear=True)
    assert {**cleared, "fired": {}} == {**healthy, "fired": {}}
    assert (await venue.demo.limit("BUY", "61000", "0.01"))[0] == 200


async def test_schedule_fires_its_kinds_and_disarms_at_its_end(start) -> None:
    venue = await start(control=True)
    await venue.arm(
        schedule={
            "seed": 3,
            "every_ms": 30,
            "kinds": ["halt", "query_5xx", "report_duplicate"],
            "until_ms": 600,
        }
    )
    async with asyncio.timeout(15):
        while (state := await venue.arm())["schedule"]:
            continue
    drawn = {name: n for name, n in state["fired"].items() if name.startswith("schedule.")}
    assert set(drawn) == {"schedule.halt", "schedule.query_5xx", "schedule.report_duplicate"}
    assert 600 / 45 - 2 <= sum(drawn.values()) <= 600 / 15
    assert (state["symbol_status"], state["rest"], state["reports"]) == ("TRADING", [], [])
