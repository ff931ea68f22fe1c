"""The risk screen: empty, asked, answered, refused, old; and its pictures."""

from __future__ import annotations

import msgspec
import pytest
from textual.pilot import Pilot

from engine.contracts.errors import EngineUnreachable
from tests.screens import conftest as data
from tests.screens import risk_data as risk

SIZES = [(80, 24), (120, 40)]


def answering(made, *answers):
    """The console answers its reports in turn; an error is raised."""
    waiting = list(answers)

    async def risk_report():
        one = waiting.pop(0)
        made[1].calls.append(("risk_report",))
        if isinstance(one, Exception):
            raise one
        return one

    made[1].risk_report = risk_report
    return made


async def test_before_the_first_report_the_screen_says_how_to_get_one(operator) -> None:
    async with data.staged(operator) as stage:
        await stage.show(data.LIVE)
        await stage.press("ctrl+y")
        assert "No report yet. ctrl+r makes one" in stage.text("risk-sheet")
        assert stage.console.calls == []


async def test_a_report_shows_every_part(operator) -> None:
    async with data.staged(answering(operator, risk.WHOLE), (120, 60)) as stage:
        await stage.show(data.LIVE)
        await stage.press("ctrl+y", "ctrl+r")
        await stage.until(lambda: "historical" in stage.text("risk-sheet"))
        shown = stage.text("risk-sheet")
        for words in (
            "what the session holds",
            "10:20:26 UTC, 4.0 s ago",
            "99 %, one bar of 5m, 863 bars",
            "rests on 9 observations",
            "not valid here: the expansion is not increasing",
            "13 exceptions in 613 forecasts, 6.13 expected: too many",
            "Basel ▲ YELLOW",
            "Kupiec p 0.0163, Christoffersen independence p -",
            "▲ too few exceptions to test their independence",
            "■ NOT covered: BTCUSDT",
        ):
            assert words in shown
        assert "OLD" not in shown
        assert shown.index("everything_down_50") < shown.index("everything_up_20")
        assert f"Risk report {risk.WHOLE.sha256[:12]} is in the journal." in stage.said


async def test_the_other_sheet_is_one_key_away(operator) -> None:
    async with data.staged(answering(operator, risk.WHOLE)) as stage:
        await stage.show(data.LIVE)
        await stage.press("ctrl+y", "ctrl+r")
        await stage.until(lambda: "◂ ▸ shows what the account holds" in stage.text("risk-sheet"))
        await stage.press("right")
        assert "1.06995 at 60000.05" in stage.text("risk-sheet")
        await stage.press("left")
        assert "what the session holds" in stage.text("risk-sheet")


async def test_what_is_missing_comes_first_and_nothing_is_called_flat(operator) -> None:
    async with data.staged(answering(operator, risk.GAPPED)) as stage:
        await stage.show(data.LIVE)
        await stage.press("ctrl+y", "ctrl+r")
        await stage.until(lambda: "MISSING" in stage.text("risk-sheet"))
        rows = stage.text("risk-sheet").splitlines()
        assert rows[1].startswith("▲ MISSING: 0.07 BTCUSDT is not in this report")
        assert "nothing to lose" not in stage.text("risk-sheet")
        assert "something is MISSING in it" in stage.said


async def test_an_engine_that_does_not_answer_is_told_on_the_screen(operator) -> None:
    gone = EngineUnreachable(what="no engine answers", todo="ctrl+e starts it")
    async with data.staged(answering(operator, gone, risk.WHOLE)) as stage:
        await stage.show(data.LIVE)
        await stage.press("ctrl+y", "ctrl+r")
        await stage.until(lambda: "■ NO REPORT: no engine answers" in stage.text("risk-sheet"))
        await stage.press("ctrl+r")
        await stage.until(lambda: "historical" in stage.text("risk-sheet"))
        assert "NO REPORT" not in stage.text("risk-sheet")


async def test_a_report_is_old_once_the_session_holds_something_else(operator) -> None:
    (held,) = data.LIVE.positions
    more = msgspec.structs.replace(held, quantity=held.quantity * 2)
    async with data.staged(answering(operator, risk.WHOLE)) as stage:
        await stage.show(data.LIVE)
        await stage.press("ctrl+y", "ctrl+r")
        await stage.until(lambda: "historical" in stage.text("risk-sheet"))
        await stage.show(msgspec.structs.replace(data.LIVE, positions=(more,)))
        assert "▲ OLD: the session's positions have changed" in stage.text("risk-sheet")


async def test_the_reviewer_may_ask_as_well(reviewer) -> None:
    async with data.staged(answering(reviewer, risk.FLAT)) as stage:
        await stage.show(data.with_session(data.SessionState.CHARTER))
        await stage.press("ctrl+y", "ctrl+r")
        await stage.until(lambda: "nothing to lose" in stage.text("risk-sheet"))


PICTURES = {"report": risk.WHOLE, "missing": risk.GAPPED, "empty": None}


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("name", PICTURES)
def test_picture(snap_compare, operator, name: str, size: tuple[int, int]) -> None:
    app, console = answering(operator, PICTURES[name])

    async def run(pilot: Pilot[int]) -> None:
        stage = data.Stage(app, console, pilot)
        await stage.show(data.LIVE)
        await stage.press("ctrl+y", *(["ctrl+r"] if PICTURES[name] else []))
        await stage.until(lambda: not PICTURES[name] or "is in the journal" in stage.said)

    assert snap_compare(app, terminal_size=size, run_before=run)
