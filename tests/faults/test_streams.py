"""What a stream did not tell is asked for: each fill is recorded exactly once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from engine.contracts.errors import Refused
from engine.contracts.order import OrderType

if TYPE_CHECKING:
    from tests.faults.conftest import Field


async def test_a_fill_while_the_user_stream_is_cut_is_recorded_once(live: Field) -> None:
    order_id, price = await live.rest_at_best()
    await live.fault(stream_cut="user")
    await live.sweep(price)
    await live.until_order(order_id, "FILLED")
    await live.same_trades_here_and_there()


async def test_a_fill_while_the_user_stream_is_stalled_is_recorded_once(live: Field) -> None:
    order_id, price = await live.rest_at_best()
    await live.fault(stream_stall="user", stream_stall_ms=1500)
    await live.sweep(price)
    await live.until_order(order_id, "FILLED", seconds=30)
    await live.same_trades_here_and_there()


async def test_the_state_tells_how_good_each_stream_is(live: Field) -> None:
    await live.rest_one()
    view = await live.until(
        lambda seen: (
            seen.venue is not None
            and {one.name for one in seen.venue.streams} == {"market", "user"}
            and all(one.latency_p99_ms is not None for one in seen.venue.streams)
        ),
        "figures of both streams",
    )
    assert view.venue is not None
    for one in view.venue.streams:
        assert one.connected
        assert one.messages > 0
        assert 0 <= one.latency_p50_ms <= one.latency_p95_ms <= one.latency_p99_ms
    kinds = {(one.kind, one.window) for one in view.venue.windows}
    assert {("REQUEST_WEIGHT", "1M"), ("ORDERS", "10S"), ("ORDERS", "1D")} <= kinds
    await live.fault(stream_cut="user")
    await live.until(
        lambda seen: {one.name: one.reconnects for one in seen.venue.streams}["user"] == 1,
        "the reconnect counted",
    )


@pytest.mark.parametrize("mode", ["reset", "code"])
async def test_a_market_order_without_an_answer_is_filled_once(live: Field, mode: str) -> None:
    await live.fault(submit_timeout=1, submit_mode=mode)
    order_id = await live.submit(OrderType.MARKET)
    await live.until_order(order_id, "FILLED")
    await live.same_trades_here_and_there()
    await live.client.stop("test")
    await live.until_session("stopped")
    assert await live.reconcile() == []


async def test_a_stalled_market_is_stale_and_blocks(live: Field) -> None:
    price = await live.away_price()
    await live.fault(stream_stall="market", stream_stall_ms=8000)
    await live.until(lambda view: view.market is not None and view.market.stale, "stale")
    with pytest.raises(Refused):
        await live.submit(price=price)
    assert await live.venue_orders() == []
    await live.ready()
    await live.rest_one()


async def test_a_venue_that_is_gone_is_an_alarm_until_it_is_back_and_taken(live: Field) -> None:
    port = int(live.venue["rest"].rpartition(":")[2])
    await live.stop_sandbox()
    view = await live.until(
        lambda seen: "VENUE_DOWN" in [one.code for one in seen.alarms], "an alarm for it"
    )
    assert view.market is not None
    assert view.market.stale
    await live.start_sandbox(port)
    await live.until(lambda seen: seen.venue is not None and seen.venue.connected, "back")
    for alarm in (await live.state()).alarms:
        await live.client.acknowledge(alarm.id, "seen")
    await live.until(lambda seen: seen.alarms == (), "no alarm left")
    await live.until(
        lambda seen: seen.venue is not None and seen.venue.clock_offset_ms is not None,
        "the venue's clock known again",
    )
    await live.rest_one()


async def test_an_order_of_somebody_else_is_an_orphan_and_never_ours(live: Field) -> None:
    price = await live.away_price()
    await live.stranger("stranger", price, "0.001")
    await live.eventually(lambda: live.events("orphan.found"), "the orphan")
    view = await live.until(lambda seen: bool(seen.alarms), "an alarm")
    assert [one.code for one in view.alarms] == ["ORPHAN"]
    assert view.orders == ()
    assert len(live.events("orphan.found")) == 1
