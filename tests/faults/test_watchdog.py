"""The watchdog survives the engine: it cancels and proves when the engine dies or hangs."""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.faults.conftest import Field, Start

SOON = {"grace_seconds": 1, "heartbeat_ms": 250}


async def canceled_by_the_watchdog(desk: Field) -> None:
    async def none_open() -> bool:
        return await desk.venue_open() == []

    await desk.eventually(none_open, "canceled by the watchdog", 6)


async def test_a_dead_engine_s_orders_are_canceled(start: Start) -> None:
    desk = await start(watchdog=SOON)
    await desk.go_live()
    order_id = await desk.rest_one()
    await desk.sigkill()
    await canceled_by_the_watchdog(desk)
    await desk.eventually((desk.workspace.log / "watchdog.jsonl").exists, "its report")
    await desk.start_engine()
    await desk.until_order(order_id, "CANCELED")
    acted = desk.events("watchdog.acted")
    assert [(one["verdict"], one["canceled"]) for one in acted] == [("PROVEN", 1)]
    assert "WATCHDOG_ACTED" in [one.code for one in (await desk.state()).alarms]
    await desk.sigkill()
    await desk.start_engine()
    assert len(desk.events("watchdog.acted", canceled=1)) == 1


async def test_a_hung_engine_s_orders_are_canceled(start: Start) -> None:
    desk = await start(watchdog=SOON)
    await desk.go_live()
    order_id = await desk.rest_one()
    desk.freeze()
    await canceled_by_the_watchdog(desk)
    desk.thaw()
    await desk.until_order(order_id, "CANCELED")
    await desk.eventually(lambda: desk.events("watchdog.acted"), "the report in the journal")
    await desk.until(lambda view: view.engine.watchdog == "watching", "a new watchdog")
    assert "WATCHDOG_ACTED" in [one.code for one in (await desk.state()).alarms]


async def test_orders_left_by_an_orderly_end_are_canceled(start: Start) -> None:
    desk = await start(watchdog=SOON)
    await desk.go_live()
    order_id = await desk.rest_one()
    await desk.stop_engine()
    await canceled_by_the_watchdog(desk)
    await desk.start_engine()
    await desk.until_order(order_id, "CANCELED")


async def test_a_restart_within_the_grace_time_keeps_the_orders(live: Field) -> None:
    order_id = await live.rest_one()
    await live.sigkill()
    await live.start_engine()
    await live.until(lambda view: view.engine.watchdog == "watching", "a new watchdog")
    await live.until_order(order_id, "ACKNOWLEDGED")
    assert await live.venue_open() == [order_id]
    assert (await live.state()).kill.state == "READY"


async def test_an_orderly_end_without_open_orders_ends_the_watchdog(field: Field) -> None:
    await field.ready()
    await field.stop_engine()
    assert not (field.workspace.run / "watchdog.pid").exists()
    assert not (field.workspace.log / "watchdog.jsonl").exists()


async def test_a_venue_that_is_silent_at_that_moment_is_tried_until_it_answers(
    start: Start,
) -> None:
    """It says UNCONFIRMED meanwhile, and PROVEN only when the book is empty."""
    desk = await start(watchdog=SOON)
    await desk.go_live()
    await desk.rest_one()
    await desk.fault(rest=[{"on": "any", "answer": "silent", "accept": False, "times": 0}])
    await desk.sigkill()
    log = desk.workspace.log / "watchdog.jsonl"
    await desk.eventually(lambda: log.exists() and b"UNCONFIRMED" in log.read_bytes(), "its word")
    assert b"PROVEN" not in log.read_bytes()
    await desk.fault(clear=True)
    await desk.eventually(lambda: b'"PROVEN"' in log.read_bytes(), "the proof")
    assert await desk.venue_open() == []


async def test_a_machine_that_slept_is_no_silent_engine(start: Start) -> None:
    """Engine and watchdog stand still for longer than the grace time, and go on together."""
    desk = await start(watchdog=SOON)
    await desk.go_live(attendance_seconds=15)
    order_id = await desk.rest_one()
    watchdog = int((desk.workspace.run / "watchdog.pid").read_text())
    desk.freeze()
    os.kill(watchdog, signal.SIGSTOP)
    slept = time.monotonic() + 2.5
    await desk.eventually(lambda: time.monotonic() > slept, "asleep")
    os.kill(watchdog, signal.SIGCONT)
    desk.thaw()
    beats = time.monotonic() + 1.5
    await desk.eventually(lambda: time.monotonic() > beats, "a grace time of heartbeats")
    assert await desk.venue_open() == [order_id]
    assert not (desk.workspace.log / "watchdog.jsonl").exists()


async def test_when_both_die_the_next_engine_finds_everything(start: Start) -> None:
    desk = await start(watchdog=SOON)
    await desk.go_live()
    order_id = await desk.rest_one()
    os.kill(int((desk.workspace.run / "watchdog.pid").read_text()), signal.SIGKILL)
    await desk.sigkill()
    assert await desk.venue_open() == [order_id]
    await desk.start_engine()
    await desk.until(lambda view: view.engine.watchdog == "watching", "a new watchdog")
    await desk.until_order(order_id, "ACKNOWLEDGED")
    await desk.press_kill()
    await desk.until_kill("PROVEN")
    assert await desk.venue_open() == []


async def test_it_acts_with_its_own_key(start: Start) -> None:
    """Its key is another account's here, so that what it reaches shows which one it used."""
    ready = "file:.peakctl/run/sandbox.json#accounts.1.hmac"
    own = {"watchdog_api_key_ref": f"{ready}.key", "watchdog_secret_ref": f"{ready}.secret"}
    desk = await start(watchdog=SOON, venue=own)
    await desk.go_live()
    order_id = await desk.rest_one()
    resting = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC"}
    price = str(await desk.away_price_now())
    await desk.ask("POST", "order", account=1, quantity="0.002", price=price, **resting)
    desk.freeze()

    async def gone() -> bool:
        return await desk.ask("GET", "openOrders", account=1, symbol="BTCUSDT") == []

    await desk.eventually(gone, "canceled with the watchdog's own key", 10)
    assert await desk.venue_open() == [order_id]
