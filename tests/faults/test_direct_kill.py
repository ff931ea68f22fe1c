"""`peakctl kill` when the engine hangs or is dead: it stops the market by itself and proves it."""

from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING

import pytest

from engine.contracts.errors import PeakError

if TYPE_CHECKING:
    from tests.faults.conftest import Field


async def test_a_hung_engine_is_passed_by_and_finds_the_latch_when_it_wakes(live: Field) -> None:
    order_id = await live.rest_one()
    live.freeze()
    code, out, _ = await live.peakctl("kill", "--reason", "it hangs", "--json", "--person=bob")
    assert code == 0
    killed = json.loads(out)
    assert killed["state"] == "PROVEN"
    assert await live.venue_open() == []
    assert not live.events("kill.latched")
    live.thaw()
    price = await live.away_price_now()
    with pytest.raises(PeakError) as refused:
        await live.submit(price=price)
    assert refused.value.exit_code == 4
    assert len(await live.venue_orders()) == 1
    await live.until_kill("PROVEN")
    # The request that waited in the hung engine's socket is taken too: harmless, and recorded.
    await live.eventually(
        lambda: live.events("kill.latched", kill_id=killed["kill_id"]), "the kill in the journal"
    )
    assert {one["reason"] for one in live.events("kill.latched")} == {"it hangs"}
    await live.until_kill("PROVEN")
    await live.until_order(order_id, "CANCELED")
    await live.eventually(lambda: live.events("watchdog.acted"), "the report in the journal")


async def test_a_dead_engine_is_not_needed(live: Field) -> None:
    order_id = await live.rest_one()
    await live.sigkill()
    code, out, _ = await live.peakctl("kill", "--reason", "it is dead")
    assert code == 0, out
    assert await live.venue_open() == []
    await live.start_engine()
    await live.until_kill("PROVEN")
    assert (await live.until_session("killed")).kill.reason == "it is dead"
    await live.until_order(order_id, "CANCELED")
    assert len(live.events("watchdog.acted")) == 1


async def test_a_second_direct_kill_is_journaled_too(live: Field) -> None:
    await live.press_kill()
    first = (await live.until_kill("PROVEN")).kill.kill_id
    live.freeze()
    code, out, _ = await live.peakctl("kill", "--reason", "again", "--json")
    assert code == 0
    live.thaw()
    second = json.loads(out)["kill_id"]
    await live.eventually(lambda: live.events("kill.latched", kill_id=second), "the second kill")
    await live.until_kill("PROVEN")
    latched = [one["kill_id"] for one in live.events("kill.latched")]
    assert latched[0] == first
    assert latched.count(second) == 1


async def test_without_the_venue_it_is_not_proven(live: Field) -> None:
    await live.rest_one()
    await live.sigkill()
    await live.stop_sandbox()
    code, _, err = await live.peakctl("kill", "--reason", "nothing answers")
    assert code == 3
    assert "UNCONFIRMED" in err
    assert (live.workspace.state / "latch").exists()


async def test_a_venue_that_answers_no_question_does_not_hold_up_the_cancels(live: Field) -> None:
    """Every GET is met with silence: the cancels leave all the same, and it is not called done."""
    await live.rest_one()
    await live.sigkill()
    silent = {"answer": "silent", "accept": False, "times": 0}
    questions = [{"on": word, **silent} for word in ("query", "time")]
    await live.fault(rest=questions)
    began = time.monotonic()
    await live.peakctl("kill", "--help")
    a_start = time.monotonic() - began  # of a program, on the machine as busy as it is now
    began = time.monotonic()
    killing = asyncio.create_task(live.peakctl("kill", "--reason", "no answers", "--json"))

    async def none_open() -> bool:
        url = f"{live.venue['rest']}/sandbox/open-orders"
        async with live._http.get(url) as response:
            return (await response.json())["demo"] == []

    await live.eventually(none_open, "canceled", 60)
    assert time.monotonic() - began < 8 + 4 * a_start, "it asked first"
    assert not killing.done()
    until = began + 6
    await live.eventually(lambda: time.monotonic() > until, "no answer for a while")
    assert not killing.done(), "there is no proof yet"
    await live.fault(clear=True)
    code, out, err = await killing
    assert code == 0
    assert json.loads(out)["state"] == "PROVEN"
    assert "UNCONFIRMED" in err
