"""`[risk]`: what the report is made with; text and never a float, and rules over two keys."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from config.settings import load
from engine.contracts.session import Environment
from tests.config.test_settings import problems, write

INTERVALS = {
    Environment.DEV: "5m",
    Environment.SHADOW: "1d",
    Environment.TESTNET: "1d",
    Environment.PROD: "1d",
}


@pytest.mark.parametrize("environment", list(Environment))
def test_a_day_is_the_horizon_but_for_development(tmp_path: Path, environment: Environment) -> None:
    risk = load(tmp_path, {"PEAKCTL__ENVIRONMENT": environment.value}).settings.risk
    assert (risk.level, risk.bars, risk.window) == (Decimal("0.99"), 1000, 250)
    assert risk.interval == INTERVALS[environment]


def test_the_level_is_text_in_the_document_that_is_hashed(tmp_path: Path) -> None:
    assert b'"risk.level":{"origin":"defaults/base.toml","value":"0.99"}' in load(
        tmp_path, {}
    ).document.replace(b": ", b":")


@pytest.mark.parametrize(
    "line",
    [
        "level = 0.99",
        'level = "0.8999"',
        'level = "0.9991"',
        'interval = "7m"',
        "bars = 1001",
        "bars = 99",
        "window = 29",
    ],
)
def test_what_is_no_setting_is_refused(tmp_path: Path, line: str) -> None:
    (problem,) = problems(write(tmp_path, f"[risk]\n{line}\n"))
    assert f"risk.{line.split(maxsplit=1)[0]}" in problem
    assert "allowed" in problem


@pytest.mark.parametrize(("window", "fits"), [(168, True), (169, False)])
def test_the_backtest_has_thirty_forecasts_at_least(
    tmp_path: Path, window: int, fits: bool
) -> None:
    """One bar is lost to the first return, and of a thousand one is still open."""
    write(tmp_path, f"[risk]\nbars = 200\nwindow = {window}\n")
    if fits:
        assert load(tmp_path, {}).settings.risk.window == window
    else:
        assert "risk.window" in problems(tmp_path)[0]
