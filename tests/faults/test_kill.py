"""The kill: latched, canceled, proven; never a false PROVEN; the latch holds (I4)."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from typing import TYPE_CHECKING

import pytest

from engine.contracts.errors import Refused

if TYPE_CHECKING:
    from tests.faults.conftest import Field, Start


def verdicts(field: Field) -> list[str]:
    return [one["verdict"] for one in field.events("kill.verdict")]


async def refusal(field: Field) -> str:
    """Why an order is refused now; the venue must not have got it."""
    before = await field.venue_orders()
    price = await field.away_price()
    with pytest.raises(Refused):
        await field.submit(price=price)
    assert await field.venue_orders() == before
    checks = field.events("order.blocked")[-1]["decision"]["checks"]
    blocking = [one["code"] for one in checks if one["verdict"] != "ALLOW"]
    return next(code for code in blocking if code.startswith("LATCH"))


async def test_i4_a_kill_cancels_proves_and_refuses_orders(live: Field) -> None:
    order_id = await live.rest_one()
    await live.press_kill()
    view = await live.until_kill("PROVEN")
    assert await live.venue_open() == []
    await live.until_order(order_id, "CANCELED")
    stages = [one.stage for one in view.kill.stages]
    # The cancels leave at once, beside the disk's answer for the latch.
    stages.remove("latched")
    stages.remove("refused")
    assert stages == ["cancel_sent", "acknowledged", "query_1", "query_2", "positions"]
    assert view.session is not None
    assert view.session.state.value == "killed"
    assert await refusal(live) == "LATCH"
    assert await live.reconcile() == []


async def test_a_kill_pressed_by_many_at_once_ends_proven(live: Field) -> None:
    await live.rest_one()
    await asyncio.gather(*(live.press_kill() for _ in range(5)))
    await live.until_kill("PROVEN")
    assert verdicts(live) == ["PROVEN"]
    assert len(live.events("kill.latched")) == 1
    assert len(live.events("session.moved", after="killed")) == 1


async def test_a_kill_pressed_again_later_hunts_again(live: Field) -> None:
    await live.press_kill()
    await live.until_kill("PROVEN")
    await live.press_kill()
    await live.eventually(lambda: verdicts(live) == ["PROVEN"] * 2, "two verdicts")
    await live.until_kill("PROVEN")


async def test_no_proof_while_a_request_is_in_flight(live: Field) -> None:
    price = await live.away_price()
    await live.fault(submit_timeout=1, submit_mode="silent", submit_accept=True)
    sending = asyncio.create_task(live.submit(price=price))
    await live.eventually(live.venue_orders, "the order at the venue")
    await live.press_kill()
    assert (await live.state()).kill.state != "PROVEN"
    order_id = await sending
    await live.until_kill("PROVEN")
    assert await live.venue_open() == []
    order = await live.until_order(order_id, "CANCELED")
    assert order.filled_quantity == 0
    journal = live.journal()
    proven = next(line["seq"] for line in journal if line["data"].get("verdict") == "PROVEN")
    canceled = next(line["seq"] for line in journal if line["kind"] == "order.canceled")
    assert canceled < proven


async def test_no_proof_while_an_order_is_hidden(live: Field) -> None:
    price = await live.away_price()
    await live.fault(
        stream_stall="user",
        stream_stall_ms=6000,
        hide_order_ms=6000,
        submit_timeout=1,
        submit_mode="reset",
    )
    order_id = await live.submit(price=price)
    await live.press_kill()
    await live.until_kill("UNCONFIRMED", "PROVEN")
    proven_early = "PROVEN" in verdicts(live)
    # Proven this early only if the venue itself has ended the order by then.
    assert not proven_early or await live.venue_open() == []
    await live.fault(hide_order_ms=0)
    await live.until_kill("PROVEN")
    assert await live.venue_open() == []
    # The venue ended it, so it may not read as an order that never was.
    order = await live.until_order(order_id, "CANCELED", "REJECTED")
    assert order.state.value == "CANCELED", live.story(order_id)


async def test_i4_the_latch_survives_sigkill_and_the_loss_of_its_file(live: Field) -> None:
    await live.press_kill()
    await live.until_kill("PROVEN")
    latch = live.workspace.state / "latch"
    latch.unlink()
    assert await refusal(live) == "LATCH"
    await live.eventually(latch.exists, "the file again")
    await live.sigkill()
    latch.unlink()
    await live.start_engine()
    assert (await live.state()).kill.state == "PROVEN"
    assert latch.exists()
    await live.ready()
    assert await refusal(live) == "LATCH"


async def test_i4_a_kill_without_proof_is_hunted_after_restart(live: Field) -> None:
    order_id = await live.rest_one()
    await live.fault(stream_stall="user", stream_stall_ms=1000)
    pressing = asyncio.create_task(live.press_kill())
    await live.eventually(lambda: live.events("kill.latched"), "the latch")
    await live.sigkill()
    await asyncio.gather(pressing, return_exceptions=True)
    await live.start_engine()
    await live.until_kill("PROVEN")
    assert await live.venue_open() == []
    await live.until_order(order_id, "CANCELED")


async def test_i4_a_latch_file_alone_latches_at_start(start: Start) -> None:
    desk = await start(engine=False)
    mark = {"kill_id": "abc", "reason": "r", "source": "cli", "by": "carol", "pressed_us": 1}
    latch = desk.workspace.state / "latch"
    latch.write_text(json.dumps(mark))
    await desk.start_engine()
    view = await desk.until_kill("PROVEN")
    assert view.kill.kill_id == "abc"
    assert view.kill.by == "carol"
    assert latch.exists()
    assert len(desk.events("kill.latched")) == 1


async def test_i4_a_latch_file_that_cannot_be_read_is_a_latch(field: Field) -> None:
    latch = field.workspace.state / "latch"
    for number in (1, 2):
        latch.write_bytes(b"torn")
        await field.eventually(
            lambda wanted=number: len(field.events("kill.latched")) == wanted, "latched"
        )
        await field.until_kill("PROVEN")
        await field.release()
        await field.until_kill("READY")
    assert not latch.exists()


async def test_sigusr1_is_a_kill(live: Field) -> None:
    order_id = await live.rest_one()
    os.kill(live.pid, signal.SIGUSR1)
    await live.until_kill("PROVEN")
    await live.until_order(order_id, "CANCELED")


async def test_no_proof_while_the_cancels_are_not_answered(live: Field) -> None:
    """A stranger's order is in no answer: only a cancel-all that was taken says there is none."""
    price = await live.away_price()
    refused = {"answer": "status", "status": 503, "accept": False, "times": 0}
    await live.fault(
        stream_stall="user",
        stream_stall_ms=60_000,
        hide_order_ms=60_000,
        rest=[{"on": "cancel_all", **refused}],
    )
    await live.stranger(price=price)
    assert await live.venue_open() == [], "it is hidden"
    await live.press_kill()
    await live.until_kill("UNCONFIRMED")
    assert "cancel" in (await live.state()).kill.detail or "503" in (await live.state()).kill.detail
    assert verdicts(live) == ["UNCONFIRMED"]
    await live.fault(clear=True)
    view = await live.until_kill("PROVEN")
    assert await live.venue_open() == []
    assert all(one.monotonic_us > 0 for one in view.kill.stages)
    noted = [one["monotonic_us"] for one in live.events("kill.verdict")]
    assert noted == sorted(noted)
    assert noted[0] > 0
