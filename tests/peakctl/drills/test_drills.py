"""Every drill passes on a whole desk, and fails when the mechanism it drills is taken out."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from config.drills import load_criteria
from peakctl.drills.run import DRILLS, Drill, run_drill

SABOTEUR = Path(__file__).with_name("saboteur.py")
NAMES = [one.name for one in DRILLS]

#: What must be missing or wrong when the mechanism is gone, so that no drill fails by accident.
TELLS = {
    "kill_switch": "proven_ms",
    "engine_crash": "cleared_by_watchdog_ms",
    "forced_disconnect": "stale_shown_ms",
    "flash_volatility": "loss_orders_let_through",
    "orphan_order": "found_ms",
    "full_session": "sealed",
}

#: What was still measured and good before that.
BEFORE = {"kill_switch": "latch_answered_ms", "engine_crash": "resting_before"}


def drill(name: str) -> Drill:
    return next(one for one in DRILLS if one.name == name)


def test_each_drill_has_criteria_and_each_criterion_a_drill() -> None:
    assert set(NAMES) == set(load_criteria(None)) == set(TELLS)


@pytest.mark.timeout(240)
@pytest.mark.parametrize("name", NAMES)
async def test_a_whole_desk_passes(name: str) -> None:
    result = await run_drill(drill(name), load_criteria(None)[name], patience=60)
    assert result.passed, result


@pytest.mark.timeout(240)
@pytest.mark.parametrize("name", NAMES)
async def test_without_its_mechanism_the_drill_fails(name: str) -> None:
    program = (sys.executable, "-P", str(SABOTEUR), name)
    result = await run_drill(drill(name), load_criteria(None)[name], program, patience=6)
    assert not result.passed
    told = {row.measure: row for row in result.rows}
    assert not told[TELLS[name]].passed, result
    if name in BEFORE:
        assert told[BEFORE[name]].passed, result


def test_the_list_says_what_each_must_reach() -> None:
    done = subprocess.run(
        [sys.executable, "-P", "-m", "peakctl", "drill", "list", "--json"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        cwd=Path(__file__).parents[3],
    )
    rows = {row["name"]: row for row in json.loads(done.stdout)}
    assert list(rows) == NAMES
    assert rows["kill_switch"]["criteria"]["open_at_venue"] == "exactly 0"


def test_a_drill_that_is_none_is_one_line_and_exit_2() -> None:
    done = subprocess.run(
        [sys.executable, "-P", "-m", "peakctl", "drill", "run", "fire"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        cwd=Path(__file__).parents[3],
    )
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "kill_switch, engine_crash" in done.stderr
