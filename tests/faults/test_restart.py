"""I7: SIGKILL at any instruction; after the restart the state is the journal's, asked of the venue.

Nothing is sent twice, nothing acknowledged is lost, and what was in doubt is resolved by asking.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from engine.contracts.errors import PeakError, Refused
from engine.contracts.order import OrderType

if TYPE_CHECKING:
    from tests.faults.conftest import Field, Start


async def test_i7_an_order_that_rests_is_known_again_after_sigkill(live: Field) -> None:
    order_id = await live.rest_one()
    before = (await live.state()).orders[0]
    await live.sigkill()
    await live.start_engine()
    await live.ready()
    after = await live.until_order(order_id, "ACKNOWLEDGED")
    assert after.intent == before.intent
    assert after.venue_order_id == before.venue_order_id
    assert live.story(order_id) == ["intended", "acknowledged"]
    assert [one["clientOrderId"] for one in await live.venue_orders()] == [order_id]
    await live.client.stop("test")
    await live.until_session("stopped")
    assert await live.venue_open() == []
    assert await live.reconcile() == []


async def test_i7_an_order_canceled_while_no_engine_ran_is_canceled_after_restart(
    live: Field,
) -> None:
    order_id = await live.rest_one()
    await live.sigkill()
    await live.ask("DELETE", "openOrders", symbol="BTCUSDT")
    await live.start_engine()
    await live.until_order(order_id, "CANCELED")
    assert live.story(order_id) == ["intended", "acknowledged", "canceled"]


async def test_i7_a_fill_while_no_engine_ran_is_recorded_once(live: Field) -> None:
    order_id, price = await live.rest_at_best()
    await live.sigkill()
    await live.sweep(price)
    await live.start_engine()
    await live.until_order(order_id, "FILLED")
    await live.same_trades_here_and_there()


async def interrupted(live: Field, *, accepted: bool) -> str:
    """SIGKILL between the intent and the answer. Returns the order's id."""
    price = await live.away_price()
    await live.fault(
        submit_timeout=1,
        submit_mode="silent",
        submit_accept=accepted,
        stream_stall="user",
        stream_stall_ms=1500,
    )
    sending = asyncio.create_task(live.submit(price=price))
    order_id = (await live.eventually(lambda: live.events("order.intended"), "an intent"))[0][
        "intent"
    ]["client_order_id"]
    if accepted:
        await live.eventually(live.venue_orders, "the order at the venue")
    await live.sigkill()
    await asyncio.gather(sending, return_exceptions=True)
    return str(order_id)


async def test_i3_killed_before_the_answer_of_an_accepted_order(live: Field) -> None:
    order_id = await interrupted(live, accepted=True)
    await live.start_engine()
    await live.until_order(order_id, "ACKNOWLEDGED")
    assert live.story(order_id) == ["intended", "unknown", "acknowledged"]
    assert [one["clientOrderId"] for one in await live.venue_orders()] == [order_id]
    await live.client.stop("test")
    await live.until_session("stopped")
    assert await live.venue_open() == []


async def test_i3_killed_before_the_answer_of_an_order_that_never_arrived(live: Field) -> None:
    order_id = await interrupted(live, accepted=False)
    await live.start_engine()
    order = await live.until_order(order_id, "REJECTED")
    assert live.story(order_id) == ["intended", "unknown", "rejected"]
    assert live.events("order.rejected")[0]["code"] == "NEVER_ACCEPTED"
    assert order.state.value == "REJECTED"
    assert await live.venue_orders() == []


async def test_i7_nothing_is_sent_while_an_order_is_in_doubt_after_restart(live: Field) -> None:
    order_id = await interrupted(live, accepted=False)
    await live.fault(hide_order_ms=1)
    await live.start_engine()
    codes = []
    while not live.events("order.rejected", client_order_id=order_id):
        try:
            await live.submit(OrderType.MARKET)
        except PeakError as error:
            codes.append(error.code)
    assert set(codes) <= {"NOT_READY", "UNKNOWN_ORDERS", "DATA_AGE", "ATTENDANCE", "LOCKS"}
    assert codes
    assert await live.venue_orders() == []


async def test_a_stop_interrupted_by_sigkill_is_finished_after_restart(live: Field) -> None:
    await live.rest_one()
    await live.fault(stream_cut="all")
    live.freeze()
    stopping = asyncio.create_task(live.client.stop("test"))
    live.thaw()
    await live.eventually(lambda: live.events("session.moved", after="stopping"), "stopping")
    await live.sigkill()
    await asyncio.gather(stopping, return_exceptions=True)
    await live.start_engine()
    await live.until_session("stopped")
    assert await live.venue_open() == []


async def test_a_restart_before_the_decision_voids_the_request(start: Start) -> None:
    desk = await start()
    await desk.to_checklist()
    packet = await desk.request_and_sign()
    await desk.sigkill()
    await desk.start_engine()
    await desk.until_session("checklist")
    assert desk.events("go.voided")[0]["code"] == "ELAPSED_UNKNOWN"
    with pytest.raises(Refused):
        await desk.cosign(packet)
    assert not desk.events("session.moved", after="live")
