"""A venue that forgets: wiped as test exchanges are, while our orders rest on it (venue.md 2.9).

The order stays UNKNOWN, because only the venue ends doubt (I3), and is called lost, once, with an
alarm. The session ends all the same: it is stopped, compared, and both people answer for the red
break, which closes the order with the run that they signed.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from engine.contracts.errors import Refused

if TYPE_CHECKING:
    from tests.faults.conftest import Field, Start


async def test_a_session_whose_orders_the_venue_forgot_is_ended_by_two_people(live: Field) -> None:
    order_id = await live.rest_one()
    await live.fault(wipe=True)
    await live.client.stop("the venue was wiped")
    await live.until_order(order_id, "UNKNOWN")
    await live.until_session("stopped", seconds=60)
    order = await live.until_order(order_id, "UNKNOWN")
    assert order.lost
    assert len(live.events("order.lost")) == 1
    assert [one.code for one in (await live.state()).alarms].count("ORDER_LOST") == 1

    red = await live.reconcile()
    assert any(order_id in key for key in red), red
    assert (await live.until_order(order_id, "CLOSED")).lost
    run_id = live.events("recon.run")[-1]["run_id"]
    assert live.events("order.closed", client_order_id=order_id) == [
        {"client_order_id": order_id, "run_id": run_id}
    ]


#: Runs `peakctl` as it is; what was given up may surface for two seconds instead of sixty.
_SOON = """
import sys
from engine.execution.kill import doubts as kill_doubts
from peakctl.cli import main
kill_doubts.GIVEN_UP_US = 2_000_000
sys.exit(main())
"""


async def test_a_kill_after_a_wipe_is_proven_and_names_what_was_lost(start: Start) -> None:
    """Restarted in the middle: what was lost before the restart is lost after it (I7)."""
    live = await start(engine=False)
    live.supervisor.program = (sys.executable, "-P", "-c", _SOON)
    await live.start_engine()
    await live.go_live()
    order_id = await live.rest_one()
    await live.fault(wipe=True)
    await live.press_kill()
    await live.until_kill("UNCONFIRMED")  # as long as the venue may still tell, it is not done
    await live.until_kill("PROVEN", seconds=60)
    assert order_id in live.events("kill.verdict", verdict="PROVEN")[-1]["detail"]
    await live.sigkill()
    await live.start_engine()
    await live.until(lambda view: view.engine.phase == "ready", "ready again")
    assert (await live.until_order(order_id, "UNKNOWN")).lost
    assert len(live.events("order.lost")) == 1
    with pytest.raises(Refused):
        await live.submit(price=await live.away_price_now())
