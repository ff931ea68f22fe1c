"""The engine is SIGKILLed while an order rests: it is known again, nothing is sent twice (I7)."""

from __future__ import annotations

import os
import signal
from decimal import Decimal

from people import (
    Desk,
    ask_for_go,
    decide,
    open_session,
    place_order,
    type_until_seen,
    work_checklist,
)

from peakctl.founding import create_demo


def test_sigkill_while_an_order_rests_ends_reconciled(desk: Desk) -> None:
    # The engine must be back before the watchdog cancels, however slow the machine is.
    create_demo(desk.workspace, {"watchdog": {"grace_seconds": 60}})
    operator, reviewer = desk.console(), desk.reviewer()
    open_session(operator)
    work_checklist(operator, reviewer)
    decide(reviewer, ask_for_go(operator), "GO")
    operator.wait_for("● LIVE")
    bid = Decimal(desk.status()["market"]["bids"][0][0])
    place_order(operator, "0.002", str((bid * Decimal("0.99")).quantize(Decimal("0.01"))))
    operator.wait_for("1 open")
    before = desk.status()

    os.kill(before["engine"]["pid"], signal.SIGKILL)
    operator.wait_for("LINK DOWN")
    operator.close()
    back = desk.console()
    back.wait_for(r"LIVE|PAUSED")

    after = desk.status()
    assert after["engine"]["pid"] != before["engine"]["pid"]
    assert [one["intent"] for one in after["orders"]] == [one["intent"] for one in before["orders"]]
    assert after["orders"][0]["venue_order_id"] == before["orders"][0]["venue_order_id"]

    back.press("f5", "f12")
    back.wait_for("Stop the session")
    type_until_seen(back, "the engine was killed", "the engine was killed")
    back.press("tab", "tab", "enter")
    back.wait_for("Run the reconciliation")
    back.press("f6", "ctrl+r")
    back.wait_for("no breaks")
    assert desk.status()["session"]["recon"]["compared"]["orders"] == 1
    back.press("ctrl+s")
    back.wait_for("signed by operator")
    reviewer.wait_for("Read the reconciliation and sign it")
    reviewer.press("f6")
    reviewer.wait_for("signed by operator")
    reviewer.press("ctrl+s")
    back.wait_for("≡ RECONCILED")
