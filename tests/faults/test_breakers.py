"""A loss breaker acts by itself, on a whole desk: it pauses, outlives a crash, and kills."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from engine.contracts.errors import Refused
from engine.contracts.order import OrderType

if TYPE_CHECKING:
    from engine.contracts.view import StateView
    from tests.faults.conftest import Start


def used(view: StateView, code: str) -> str:
    return next(row.used for row in view.limits if row.code == code)


async def test_a_loss_pauses_is_not_measured_anew_and_the_second_pause_kills(start: Start) -> None:
    desk = await start(breakers={"max_day_loss": "0.01", "max_pauses_per_hour": 1})
    await desk.go_live()
    order_id = await desk.submit(OrderType.MARKET)  # its fee alone is more than a cent
    await desk.until_order(order_id, "FILLED")
    view = await desk.until_session("paused")
    lost = used(view, "DAY_LOSS")
    assert desk.events("breaker.tripped", name="DAY_LOSS")[0]["action"] == "PAUSE"
    assert "DAY_LOSS" in desk.events("session.moved", after="paused")[0]["reason"]
    await desk.until(lambda now: "BREAKER" in {one.code for one in now.alarms}, "the alarm")
    with pytest.raises(Refused):
        await desk.submit(OrderType.MARKET)

    await desk.sigkill()
    await desk.start_engine()
    await desk.until(lambda now: now.engine.attended, "attended again")
    assert used(await desk.state(), "DAY_LOSS") == lost
    assert len(desk.events("breaker.tripped", name="DAY_LOSS")) == 1

    await desk.client.resume("we looked")
    view = await desk.until_kill("PROVEN")
    assert "AUTO_PAUSES" in view.kill.reason
    assert desk.events("kill.latched")[0]["source"] == "breaker"
    assert len(desk.events("breaker.tripped", name="DAY_LOSS")) == 2
    assert len(desk.events("breaker.tripped", name="AUTO_PAUSES")) == 1
