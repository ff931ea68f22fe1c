"""Limits and ladder on a whole desk: narrowed in mid-session, over a restart, down by itself."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec
import pytest

from engine.contracts.documents import Purpose
from engine.contracts.errors import InputError, Refused
from engine.contracts.order import OrderType, Side
from tests.faults.conftest import SYMBOL

if TYPE_CHECKING:
    from engine.contracts.standing import LimitRow
    from tests.faults.conftest import Field, Start

#: The first step is narrower than what the demo's charter asks for; the second is not.
LADDER = """
[dev.rehearsal_1.limits]
max_order_quantity = "0.3"
[dev.rehearsal_2.limits]
max_order_quantity = "0.4"
"""
NAME = "max_order_quantity"


async def row(desk: Field) -> LimitRow:
    answer = await desk.client.limits()
    return next(one for one in answer.rows if one.name == NAME)


async def buy(desk: Field, quantity: str) -> None:
    """The checks' word on a market order of this size; nothing is sent."""
    decision = await desk.client.preview(SYMBOL, Side.BUY, OrderType.MARKET, Decimal(quantity))
    wrong = [one.text for one in decision.reasons]
    if wrong:
        raise Refused(what="; ".join(wrong))


async def test_narrowed_at_once_kept_over_a_restart_widened_by_two_down_by_itself(
    start: Start,
) -> None:
    desk = await start(engine=False)
    (desk.workspace.root / "config" / "ladder.toml").write_text(LADDER)
    await desk.start_engine()
    await desk.ready()

    # A charter above the ladder's step is refused, by the step's name.
    limits = desk.charter().limits
    with pytest.raises(InputError, match=r"max_order_quantity: looser than 0\.3 of ladder step"):
        await desk.client.charter(desk.charter())
    limits = msgspec.structs.replace(limits, max_order_quantity=Decimal("0.3"))
    await desk.go_live(limits=limits)
    assert (await row(desk)).origin in {"charter", "ladder step rehearsal_1"}

    # One person narrows it: the next order is judged by it, and the approval stands.
    await buy(desk, "0.002")
    await desk.client.tighten_limit(NAME, "0.001", "thin book")
    with pytest.raises(Refused, match=r"MAX_QUANTITY: quantity 0\.002 BTC is over 0\.001"):
        await buy(desk, "0.002")
    with pytest.raises(Refused, match=r"over 0\.001"):
        await desk.submit(OrderType.MARKET)
    view = await desk.state()
    assert view.session is not None
    assert (view.session.state.value, view.session.go.stage) == ("live", "go")

    # A restart forgets nothing.
    await desk.sigkill()
    await desk.start_engine()
    await desk.until(lambda now: now.engine.attended, "attended again")
    await desk.ready()
    found = await row(desk)
    assert (found.value, found.origin, found.by) == ("0.001", "tightened by alice", "alice")

    # Two people widen it, and never beyond what the session was signed for.
    with pytest.raises(Refused, match="not tighter"):
        await desk.client.tighten_limit(NAME, "0.002", "deeper")
    with pytest.raises(Refused, match=r"0\.4 is over 0\.3"):
        await desk.dual_ask(Purpose.LOOSEN, {"name": NAME, "value": "0.4"})
    await desk.grant(Purpose.LOOSEN, {"name": NAME, "value": "0.002"})
    found = await row(desk)
    assert (found.value, found.origin) == ("0.002", "loosened by alice and bob")
    order_id = await desk.submit(OrderType.MARKET)
    await desk.until_order(order_id, "FILLED")

    # The way up asks for a sealed session; the engine counts it, nobody types it.
    with pytest.raises(Refused, match="sealed sessions without a red break: 0 of 1"):
        await desk.dual_ask(Purpose.STEP_UP, {})
    await desk.client.stop("done")
    await desk.until_session("stopped")
    await desk.reconcile()
    await desk.seal()
    view = await desk.until(
        lambda now: now.ladder is not None and now.ladder.asks[0].have == 1,
        "the session's signatures verified again",
    )
    assert [one.have for one in view.promotion][:2] == [0, 0]
    await desk.grant(Purpose.STEP_UP, {})
    ladder = (await desk.client.evidence()).ladder
    assert (ladder.name, ladder.by) == ("rehearsal_2", "alice and bob")

    # A kill takes it a step down by itself, once, by the automaton's name.
    await desk.press_kill()
    await desk.until(
        lambda now: now.ladder is not None and now.ladder.name == "rehearsal_1", "a step down"
    )
    await desk.until(lambda now: "LADDER_DOWN" in {one.code for one in now.alarms}, "the alarm")
    stepped = desk.events("ladder.stepped")
    assert [(one["before"], one["after"], one["cause"]) for one in stepped] == [
        (0, 1, "up"),
        (1, 0, "kill"),
    ]
    assert stepped[0]["document_sha256"]
    await desk.sigkill()
    await desk.start_engine()
    await desk.until(lambda now: now.ladder is not None, "back again")
    assert len(desk.events("ladder.stepped")) == 2
    with pytest.raises(Refused, match="rehearsal_1 is the first step"):
        await desk.client.ladder_down("lower")
