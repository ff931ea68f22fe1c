"""Reports and answers that race each other: whatever the order of the news, the same order.

The exchange delivers execution reports twice, out of order, late or never, and lets a cancel lose
against a fill. At the end the order here is the order there, and each trade is recorded once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.faults.conftest import Field


@pytest.mark.parametrize("how", ["duplicate", "reorder", "delay"])
async def test_reports_that_come_twice_or_out_of_order_record_each_trade_once(
    live: Field, how: str
) -> None:
    await live.fault(reports=[{"how": how, "execution": "any", "delay_ms": 300, "times": 6}])
    canceled = await live.rest_one()
    await live.client.cancel(canceled)
    filled, price = await live.rest_at_best()
    await live.sweep(price)
    await live.until_order(filled, "FILLED")
    await live.until_order(canceled, "CANCELED")
    assert (await live.fault(clear=True))["fired"][f"report.{how}"]
    await live.same_trades_here_and_there()
    assert live.story(filled).count("acknowledged") == 1
    assert live.story(canceled).count("canceled") == 1
    alarms = {one.code for one in (await live.state()).alarms}
    assert not alarms & {"LEDGER_REFUSED", "ORPHAN", "ORDER_LOST"}


async def test_a_trade_that_the_stream_never_told_is_found_by_the_periodic_look(
    live: Field,
) -> None:
    order_id, price = await live.rest_at_best()
    await live.fault(reports=[{"how": "lose", "execution": "TRADE", "times": 9}])
    await live.sweep(price)
    await live.until_order(order_id, "FILLED", seconds=40)
    assert (await live.fault())["fired"]["report.lose"]
    await live.same_trades_here_and_there()
    assert live.events("venue.disconnected") == []  # the stream was open all the time


@pytest.mark.parametrize("fill", ["part", "all"])
async def test_a_cancel_that_loses_against_a_fill_invents_nothing(live: Field, fill: str) -> None:
    """-2011 and a later TRADE, or a cancel of what a fill has left."""
    order_id = await live.rest_one()
    await live.fault(cancel_race={"fill": fill})
    await live.client.cancel(order_id)
    order = await live.until_order(order_id, "FILLED" if fill == "all" else "CANCELED")
    assert (await live.fault())["fired"][f"cancel_race.{fill}"] == 1
    await live.eventually(lambda: live.events("order.filled"), "the fill")
    await live.same_trades_here_and_there()
    assert (order.remaining == 0) is (fill == "all")
    assert live.story(order_id).count("cancel_requested") == 1
    assert ("cancel_refused" in live.story(order_id)) is (fill == "all")
    await live.client.stop("test")
    await live.until_session("stopped")
    assert await live.reconcile() == []
