"""What ends a session by rule: attendance, the window, expiry, NO-GO, changed files (I6)."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from engine.contracts.errors import PeakError, Refused

if TYPE_CHECKING:
    from tests.faults.conftest import Field, Start


async def test_nothing_trades_unattended(start: Start) -> None:
    desk = await start(session={"attendance_seconds": 1})
    await desk.go_live()
    order_id = await desk.rest_one()
    await desk.operator.leave()
    await desk.until_session("paused")
    await desk.until_order(order_id, "CANCELED")
    assert await desk.venue_open() == []
    assert "ATTENDANCE" in [one.code for one in (await desk.state()).alarms]
    with pytest.raises(PeakError) as refused:
        await desk.submit(price=await desk.away_price_now())
    assert refused.value.exit_code == 4
    await desk.return_operator()
    await desk.until(lambda view: view.engine.attended, "attended again")
    await desk.client.resume("back")
    await desk.until_session("live")
    await desk.rest_one()


async def test_an_order_that_rests_when_nobody_came_back_after_a_restart_is_canceled(
    start: Start,
) -> None:
    desk = await start(session={"attendance_seconds": 1})
    await desk.go_live()
    order_id = await desk.rest_one()
    await desk.operator.leave()
    await desk.sigkill()
    await desk.start_engine()
    await desk.until_session("paused")
    await desk.until_order(order_id, "CANCELED")
    assert await desk.venue_open() == []


async def test_the_end_of_the_window_winds_down(field: Field) -> None:
    until = time.time_ns() // 1000 + 5_000_000
    await field.go_live(window_until_us=until)
    order_id = await field.rest_one()
    await field.until_session("stopped")
    await field.until_order(order_id, "CANCELED")
    assert field.events("session.moved", after="stopping")[0]["cause"] == "window_end"
    with pytest.raises(Refused):
        await field.submit(price=await field.away_price())
    assert await field.reconcile() == []


async def test_an_expired_packet_goes_back_and_is_not_cosigned(start: Start) -> None:
    desk = await start(session={"go_expiry_seconds": 1})
    await desk.to_checklist()
    packet = await desk.request_and_sign()
    await desk.until_session("checklist")
    assert desk.events("go.voided")[0]["code"] == "EXPIRED"
    with pytest.raises(Refused):
        await desk.cosign(packet)
    assert not desk.events("session.moved", after="live")


async def test_no_go_with_a_reason_ends_the_session(field: Field) -> None:
    await field.to_checklist()
    packet = await field.request_and_sign()
    await field.cosign(packet, "NO-GO", "the limit is too wide")
    await field.until_session("no_go")
    assert field.events("go.decided")[0]["reason"] == "the limit is too wide"
    with pytest.raises(Refused):
        await field.cosign(packet)
    await field.client.charter(field.charter())
    await field.until_session("charter")


@pytest.mark.parametrize("name", ["peakctl.toml", "people.toml", "allowed_signers"])
async def test_i6_a_file_edited_between_the_signatures_voids(field: Field, name: str) -> None:
    await field.to_checklist()
    packet = await field.request_and_sign()
    with (field.workspace.root / "config" / name).open("a") as handle:
        handle.write("# edited\n")
    with pytest.raises(Refused):
        await field.cosign(packet)
    await field.until_session("checklist")
    assert field.events("go.voided")[0]["code"] == "FACTS_CHANGED"
    assert not field.events("session.moved", after="live")


async def test_i6_a_file_edited_while_live_voids_and_winds_down(live: Field) -> None:
    order_id = await live.rest_one()
    with live.workspace.config_file.open("a") as handle:
        handle.write("# edited\n")
    await live.until_session("stopped")
    await live.until_order(order_id, "CANCELED")
    assert live.events("go.voided")[0]["code"] == "CHANGED"
    assert live.events("session.moved", after="stopping")[0]["cause"] == "approval_void"
    assert "APPROVAL_VOID" in [one.code for one in (await live.state()).alarms]


async def test_i6_no_order_leaves_after_the_edit(live: Field) -> None:
    price = await live.away_price()
    with live.workspace.config_file.open("a") as handle:
        handle.write("# edited\n")
    with pytest.raises(PeakError) as refused:
        await live.submit(price=price)
    assert refused.value.exit_code == 4
    assert await live.venue_orders() == []


async def test_a_file_edited_as_the_window_ends_still_winds_down(field: Field) -> None:
    until = time.time_ns() // 1000 + 4_000_000
    await field.go_live(window_until_us=until)
    field.freeze()
    with field.workspace.config_file.open("a") as handle:
        handle.write("# edited\n")
    await field.eventually(lambda: time.time_ns() // 1000 > until, "the window's end")
    field.thaw()
    await field.until_session("stopped")
    assert (await field.state()).engine.phase == "ready"


async def test_an_automatic_item_is_measured_and_never_ticked_by_hand(field: Field) -> None:
    await field.to_checklist()
    before = field.events("checklist.answered")
    with pytest.raises(Refused) as refused:
        await field.client.answer("kill_path", "operator", "yes, it works")
    assert refused.value.code == "AUTO_ITEM"
    assert field.events("checklist.answered") == before
