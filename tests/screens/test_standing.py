"""Breakers, ladder and evidence as they are drawn: the closest first, unknown is never met."""

from __future__ import annotations

import msgspec

from engine.contracts.standing import EvidenceRow, LadderView, StepView
from engine.contracts.view import HeadroomView
from screens.charter import capped
from screens.standing import breaker_rows, ladder_rows, standing_rows
from tests.screens import conftest as data


def breaker(name: str, used: str, percent: int, action: str = "PAUSE") -> HeadroomView:
    return HeadroomView(
        code=name,
        text=f"{name} in words",
        used=used,
        limit="100",
        unit="USDT",
        used_percent=percent,
        action=action,
        lifted_by="operator",
    )


BREAKERS = (
    breaker("DAY_LOSS", "10", 10),
    breaker("DRAWDOWN", "120", 120, "KILL"),
    breaker("WEEK_LOSS", "", 100),
    breaker("AUTO_PAUSES", "80", 80),
)
ASKS = (
    EvidenceRow(code="weeks", text="weeks", have=3, need=4, bound="at least", met=False),
    EvidenceRow(code="breaks", text="breaks", have=None, need=0, bound="at most", met=False),
    EvidenceRow(code="drills", text="drills", have=1, need=1, bound="at least", met=True),
)
LADDER = LadderView(
    environment="prod",
    step=1,
    steps=(
        StepView(name="probe", text="the least", limits={}),
        StepView(name="small", text="a quarter", limits={"max_position": "0.005"}),
        StepView(name="whole", text="all", limits={}),
    ),
    next="whole",
    asks=ASKS,
    since_us=data.NOW,
    cause="kill",
    by="ladder",
    reason="the kill switch was pressed",
)


def drawn(rows: object, width: int = 80) -> list[str]:
    lines = [row.plain.rstrip() for row in rows]  # type: ignore[attr-defined]
    assert all(row.cell_length <= width for row in rows), lines  # type: ignore[attr-defined]
    return lines


def test_the_closest_breaker_comes_first_with_what_it_does() -> None:
    title, first, second, third, fourth = drawn(breaker_rows((*data.HEADROOM, *BREAKERS), 80))
    assert title.startswith("Breakers")
    assert first.startswith("■  DRAWDOWN in words")
    assert first.endswith("KILL")
    assert "120/100 USDT" in first
    assert "?/100 USDT" in second
    assert third.startswith("▲")
    assert fourth.strip().startswith("DAY_LOSS")


def test_without_breakers_there_is_no_title() -> None:
    assert breaker_rows(data.HEADROOM, 80) == []


def test_the_ladder_says_where_it_stands_why_and_what_the_next_asks_for() -> None:
    lines = "\n".join(drawn(ladder_rows(LADDER, 80)))
    for words in (
        "step 2 of 3, prod",
        "small: a quarter",
        "caps max_position 0.005",
        "kill by ladder",
        "whole asks for",
        "1 of 3 met",
    ):
        assert words in lines
    assert "3, at least 4" in lines
    assert "?, at most 0" in lines
    highest = msgspec.structs.replace(LADDER, step=2, next="", asks=())
    assert "asks for" not in "\n".join(drawn(ladder_rows(highest, 80)))


async def test_the_risk_screen_and_the_ticket_show_them(operator) -> None:
    live = msgspec.structs.replace(
        data.LIVE, limits=(*data.HEADROOM, *BREAKERS), ladder=LADDER, promotion=ASKS
    )
    async with data.staged(operator, (120, 50)) as stage:
        await stage.show(live)
        await stage.press("ctrl+y")
        shown = stage.text("risk-sheet")
        for words in ("DRAWDOWN in words", "step 2 of 3, prod", "Live asks for", "KILL"):
            assert words in shown
        await stage.press("escape", "ctrl+n")
        stage.app.screen.query_one("#quantity").value = "0.01"
        await stage.until(lambda: "DRAWDOWN in words" in stage.text("ticket-checks"))
        assert "MAX_NOTIONAL" in stage.text("ticket-checks")


def test_narrow_terminals_cut_and_nothing_is_told_without_a_state() -> None:
    live = msgspec.structs.replace(data.LIVE, limits=BREAKERS, ladder=LADDER, promotion=ASKS)
    for width in (40, 60, 80, 120):
        drawn(standing_rows(live, width), width)
    assert standing_rows(None, 80) == []


def test_a_new_charter_is_drafted_inside_the_step() -> None:
    values = {"max_position": "0.5", "max_open_orders": "1", "cooldown_loss_seconds": "5"}
    caps = {"max_position": "0.005", "max_open_orders": "2", "cooldown_loss_seconds": "60"}
    assert capped(values, caps) == {
        "max_position": "0.005",
        "max_open_orders": "1",
        "cooldown_loss_seconds": "60",
    }
    assert capped(values, {}) == values
