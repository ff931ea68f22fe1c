"""I3: an answer that never came is UNKNOWN, ended only by the venue; nothing is sent again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from engine.contracts.errors import Refused

if TYPE_CHECKING:
    from tests.faults.conftest import Field


@pytest.mark.parametrize("mode", ["reset", "code", "silent"])
async def test_i3_no_answer_but_accepted_becomes_what_the_venue_shows(
    live: Field, mode: str
) -> None:
    await live.fault(submit_timeout=1, submit_mode=mode, submit_accept=True)
    order_id = await live.submit(price=await live.away_price())
    await live.until_order(order_id, "ACKNOWLEDGED")
    assert [one["clientOrderId"] for one in await live.venue_orders()] == [order_id]
    assert len(live.events("order.intended")) == 1
    await live.client.cancel(order_id)
    await live.until_order(order_id, "CANCELED")


@pytest.mark.parametrize("mode", ["reset", "code"])
async def test_i3_never_accepted_is_said_only_after_the_receive_window(
    live: Field, mode: str
) -> None:
    await live.fault(submit_timeout=1, submit_mode=mode, submit_accept=False)
    order_id = await live.submit(price=await live.away_price())
    await live.until_order(order_id, "REJECTED")
    assert live.story(order_id) == ["intended", "unknown", "rejected"]
    times = {
        line["kind"]: line["ts"] for line in live.journal() if line["kind"].startswith("order.")
    }
    assert times["order.rejected"] - times["order.intended"] >= 500_000
    assert live.events("order.rejected")[0]["code"] == "NEVER_ACCEPTED"
    assert await live.venue_orders() == []


async def test_an_order_that_turns_up_after_it_was_given_up_is_an_alarm(live: Field) -> None:
    """Three faults at once: no answer, no stream, and queries that lag behind the window."""
    price = await live.away_price()
    await live.fault(
        stream_stall="user",
        stream_stall_ms=8000,
        hide_order_ms=60_000,
        submit_timeout=1,
        submit_mode="reset",
    )
    order_id = await live.submit(price=price)
    await live.until_order(order_id, "REJECTED")
    await live.fault(hide_order_ms=0)
    view = await live.until(
        lambda seen: "LEDGER_REFUSED" in [one.code for one in seen.alarms], "an alarm for it"
    )
    assert order_id in next(one.text for one in view.alarms if one.code == "LEDGER_REFUSED")
    await live.press_kill()
    await live.until_kill("PROVEN")
    assert await live.venue_open() == []


async def test_i3_while_one_order_is_in_doubt_no_other_is_sent(live: Field) -> None:
    price = await live.away_price()
    await live.fault(
        stream_stall="user",
        stream_stall_ms=1500,
        hide_order_ms=1000,
        submit_timeout=1,
        submit_mode="reset",
    )
    order_id = await live.submit(price=price)
    assert (await live.state()).orders[0].state.value == "UNKNOWN"
    with pytest.raises(Refused, match="UNKNOWN") as refused:
        await live.submit(price=price)
    assert refused.value.code == "UNKNOWN_ORDERS"
    await live.fault(hide_order_ms=0)
    await live.until_order(order_id, "ACKNOWLEDGED")
    assert [one["clientOrderId"] for one in await live.venue_orders()] == [order_id]
