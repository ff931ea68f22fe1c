"""The drills' criteria: whole, and only to be tightened."""

from __future__ import annotations

from pathlib import Path

import pytest

from config.drills import load_criteria, load_max_age_days, parse_criteria
from engine.contracts.errors import ConfigError


def put(tmp_path: Path, text: str) -> Path:
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "drills.toml").write_text(text)
    return tmp_path


def test_the_six_drills_have_criteria() -> None:
    assert set(load_criteria(None)) == {
        "kill_switch",
        "engine_crash",
        "forced_disconnect",
        "flash_volatility",
        "orphan_order",
        "full_session",
    }


@pytest.mark.parametrize(
    "bound", ["proven_ms = { at_most = 4999 }", "proven_ms = { exactly = 5000 }"]
)
def test_a_workspace_may_tighten(tmp_path: Path, bound: str) -> None:
    place = put(tmp_path, f"[kill_switch]\n{bound}\n")
    tightened = {one.measure: one.text for one in load_criteria(place)["kill_switch"]}
    assert tightened["proven_ms"] in {"at most 4999", "exactly 5000"}
    assert tightened["open_at_venue"] == "exactly 0"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[kill_switch]\nproven_ms = { at_most = 5001 }", "at most 5001 is looser than at most"),
        ("[kill_switch]\nproven_ms = { at_least = 1 }", "at least 1 is looser"),
        ("[kill_switch]\nproven_ms = { exactly = 5001 }", "exactly 5001 is looser"),
        ("[kill_switch]\nopen_at_venue = { exactly = 1 }", "exactly 1 is looser than exactly 0"),
        ("[kill_switch]\nopen_at_venue = { at_most = 0 }", "at most 0 is looser than exactly 0"),
        ("[engine_crash]\nwatchdog_reports = { at_least = 0 }", "at least 0 is looser"),
        ("[kill_switch]\nspeed = { at_most = 1 }", "kill_switch.speed: no such measure"),
        ("[nothing]\nx = { at_most = 1 }", "nothing: no such drill"),
        ("[kill_switch]\nproven_ms = 5", "write { at_most = N }"),
        ("[kill_switch]\nproven_ms = { at_most = true }", "write { at_most = N }"),
        ("[kill_switch]\nproven_ms = { around = 5 }", "write { at_most = N }"),
        ("kill_switch = 1", "a table of measures is wanted"),
        ("[kill_switch", "not TOML"),
    ],
)
def test_looser_or_unreadable_criteria_are_refused(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(ConfigError) as refused:
        load_criteria(put(tmp_path, text))
    assert words in refused.value.what


def test_every_bound_has_its_measure() -> None:
    parsed = parse_criteria(b"[a]\nx = { at_most = 1 }\ny = { exactly = 0 }\n", "t")
    assert [(one.measure, one.text) for one in parsed["a"]] == [
        ("x", "at most 1"),
        ("y", "exactly 0"),
    ]


def test_a_result_counts_for_a_month_and_a_workspace_may_only_shorten_that(tmp_path: Path) -> None:
    assert load_max_age_days(None) == 30
    assert load_max_age_days(put(tmp_path, "max_age_days = 7\n")) == 7
    assert load_criteria(tmp_path) == load_criteria(None)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("max_age_days = 31", "31 is looser than 30"),
        ("max_age_days = 0", "a whole number of days"),
        ("max_age_days = true", "a whole number of days"),
        ('max_age_days = "7"', "a whole number of days"),
    ],
)
def test_an_age_that_is_longer_or_no_number_is_refused(
    tmp_path: Path, text: str, words: str
) -> None:
    with pytest.raises(ConfigError) as refused:
        load_max_age_days(put(tmp_path, text))
    assert words in refused.value.what
