"""The ladder's file: whole for every environment, and only to be tightened by a workspace."""

from __future__ import annotations

import itertools
from decimal import Decimal
from pathlib import Path

import pytest

from config.ladder import load_ladder, parse_ladders
from config.settings import load
from engine.contracts.errors import ConfigError
from engine.contracts.session import Environment
from engine.risk.standing import capped, tighter_than
from tests.engine.risk.test_standing import NAMES


def put(tmp_path: Path, text: str, name: str = "ladder.toml") -> Path:
    (tmp_path / "config").mkdir(exist_ok=True)
    (tmp_path / "config" / name).write_text(text)
    return tmp_path


@pytest.mark.parametrize("environment", list(Environment))
def test_each_step_is_as_wide_as_the_one_below_and_inside_the_ceiling(
    environment: Environment,
) -> None:
    settings = load(Path("/nowhere"), {"PEAKCTL__ENVIRONMENT": environment.value}).settings
    ceiling = settings.limits.to_limits()
    steps = load_ladder(None, environment)
    made = [capped(ceiling, step.limits) for step in steps]
    for below, above in itertools.pairwise(made):
        assert not [n for n in NAMES if tighter_than(n, getattr(above, n), getattr(below, n))]
    for step in steps:
        wider = [
            n for n, value in step.limits.items() if tighter_than(n, getattr(ceiling, n), value)
        ]
        assert wider == []
    assert steps[0].asks.sealed_sessions == 0
    assert made[-1] == ceiling


def test_live_goes_up_only_with_evidence_and_dev_is_not_hindered() -> None:
    for step in load_ladder(None, Environment.PROD)[1:]:
        assert step.asks.sealed_sessions > 0
        assert step.asks.weeks > 0
        assert step.asks.drills == 1
    assert load_ladder(None, Environment.DEV)[0].limits == {}


def test_a_workspace_may_tighten_by_name(tmp_path: Path) -> None:
    place = put(
        tmp_path,
        '[dev.rehearsal_1.limits]\nmax_position = "0.5"\ncooldown_loss_seconds = 5\n'
        "[prod.small]\nasks = { sealed_sessions = 6, max_drawdown_bps = 299 }\n",
    )
    first = load_ladder(place, Environment.DEV)[0]
    assert first.limits == {"max_position": Decimal("0.5"), "cooldown_loss_seconds": Decimal(5)}
    small = load_ladder(place, Environment.PROD)[1]
    assert (small.asks.sealed_sessions, small.asks.weeks, small.asks.max_drawdown_bps) == (
        6,
        2,
        299,
    )
    assert small.limits["max_position"] == Decimal("0.005")
    assert small.text == "a quarter"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('[prod.probe.limits]\nmax_position = "0.0021"', "0.0021 is wider than 0.002"),
        ("[prod.probe.limits]\nmax_open_orders = 3", "3 is wider than 2"),
        ("[prod.small]\nasks = { sealed_sessions = 4 }", "4 asks for less than 5"),
        ("[prod.small]\nasks = { weeks = 0 }", "0 asks for less than 2"),
        ("[prod.small]\nasks = { drills = 0 }", "0 asks for less than 1"),
        ("[prod.small]\nasks = { max_drawdown_bps = 301 }", "301 asks for less than 300"),
        ("[prod.small]\nasks = { open_breaks = 1 }", "1 asks for less than 0"),
        ("[prod.small]\nasks = { luck = 1 }", "prod.small.asks.luck: allowed"),
        ("[prod.small]\nasks = { weeks = -1 }", "a whole number from 0"),
        ("[prod.small]\nasks = { weeks = 2.0 }", "a whole number from 0"),
        ("[prod.small]\nasks = { drills = true }", "a whole number from 0"),
        ("[prod.small]\nasks = 1", "prod.small.asks: a table is wanted"),
        ("[prod.huge]\ntext = ''", "prod.huge: no such step"),
        ("[moon.probe]\ntext = ''", "moon: allowed: dev"),
        ("prod = 1", "prod: allowed: dev"),
        ("[prod]\nprobe = 1", "prod.probe: a table is wanted"),
        ("[prod.probe]\nsize = 1", "prod.probe.size: unknown key"),
        ("[prod.probe]\ntext = 1", "prod.probe.text: words are wanted"),
        ("[prod.probe]\nlimits = 1", "prod.probe.limits: a table is wanted"),
        ("[prod.probe.limits]\nmax_position = 0.001", "in quotes"),
        ("[prod.probe.limits]\nmax_position = true", "in quotes"),
        ('[prod.probe.limits]\nmax_position = "1E-9"', "not a plain decimal number"),
        ('[prod.probe.limits]\nmax_position = "-1"', "a limit is 0 or more"),
        ('[prod.probe.limits]\nmax_position = "NaN"', "not a plain decimal number"),
        ('[prod.probe.limits]\nmax_positon = "1"', "no limit 'max_positon'"),
        ("[prod.probe", "not TOML"),
    ],
)
def test_wider_or_unreadable_steps_are_refused(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(ConfigError) as refused:
        load_ladder(put(tmp_path, text), Environment.PROD)
    assert words in refused.value.what


def test_every_problem_is_told_at_once(tmp_path: Path) -> None:
    text = "[prod.huge]\n[prod.probe.limits]\nmax_open_orders = 3\n[moon]\n"
    with pytest.raises(ConfigError) as refused:
        load_ladder(put(tmp_path, text), Environment.PROD)
    assert refused.value.what.count(" | ") == 2


def test_an_environment_without_a_step_is_no_ladder() -> None:
    with pytest.raises(ConfigError, match="prod: no step"):
        parse_ladders(b"[dev.a]\n[shadow.a]\n[testnet.a]\n", "ladder.toml")


def test_a_file_that_anybody_may_write_is_refused(tmp_path: Path) -> None:
    place = put(tmp_path, "[dev.rehearsal_1]\ntext = 'x'\n")
    (place / "config" / "ladder.toml").chmod(0o666)
    with pytest.raises(ConfigError, match="not writable by everyone"):
        load_ladder(place, Environment.DEV)


@pytest.mark.parametrize("name", ["ladder.toml", "drills.toml"])
def test_the_hash_that_an_approval_binds_covers_the_workspaces_tables(
    tmp_path: Path, name: str
) -> None:
    before = load(tmp_path, {})
    after = load(put(tmp_path, "# a remark\n", name), {})
    assert before.sha256 != after.sha256
    assert f"config/{name}" in {one.path for one in after.inputs}
    assert after.files()[f"config/{name}"]
    assert before.files()[f"config/{name}"] == ""
