"""Shocks as TOML: ours are whole, a workspace adds its own, and every fault is named at once."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from config.stress import load_shocks, parse_shocks
from engine.contracts.errors import ConfigError
from engine.risk.stress import EVERY

GOOD = """
[[shock]]
name = "mine"
kind = "hypothetical"
text = "a bad day"
moves = { BTCUSDT = "-0.3", "*" = "-0.1" }
"""


def test_ours_are_whole_and_every_historical_one_names_its_source(tmp_path: Path) -> None:
    shocks = load_shocks(tmp_path)
    assert len(shocks) >= 7
    assert [one.name for one in shocks] == sorted(one.name for one in shocks)
    assert all(one.source for one in shocks if one.kind == "historical")
    fall = next(one for one in shocks if one.name == "day_2024_08_05")
    low, first = Decimal("49000.00"), Decimal("58161.00")
    assert fall.moves["BTCUSDT"] == (low / first - 1).quantize(Decimal("0.000001"))


def test_a_workspace_adds_its_own_and_replaces_by_name(tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    own = GOOD + GOOD.replace("mine", "everything_down_20")
    (tmp_path / "config" / "stress.toml").write_text(own)
    by_name = {one.name: one for one in load_shocks(tmp_path)}
    assert by_name["mine"].moves == {"BTCUSDT": Decimal("-0.3"), EVERY: Decimal("-0.1")}
    assert by_name["everything_down_20"].text == "a bad day"
    assert "everything_down_50" in by_name


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("hypothetical", "probable"), "kind: got 'probable'; allowed: historical, hypothetical"),
        (("hypothetical", "historical"), "source is missing"),
        (('"-0.3"', "-0.3"), "moves.BTCUSDT: a text between"),
        (('"-0.3"', '"-1.01"'), "moves.BTCUSDT: a text between"),
        (('"-0.3"', '"NaN"'), "moves.BTCUSDT: a text between"),
        (("BTCUSDT", "btc"), "'btc' is no symbol"),
        (("text", "words"), "words is not known | mine: text is missing"),
        (("mine", "Mine!"), "name: allowed are a-z"),
        (("[[shock]]", "[[shocks]]"), "shocks: not known"),
        (("[[shock]]", "[shock]"), "write each as a [[shock]] table"),
        (("[[shock]]", "[[shock]"), "not TOML"),
        (('{ BTCUSDT = "-0.3", "*" = "-0.1" }', "{}"), "at least one"),
    ],
)
def test_what_is_wrong_is_named_with_the_shock(change: tuple[str, str], words: str) -> None:
    with pytest.raises(ConfigError) as refused:
        parse_shocks(GOOD.replace(*change).encode(), "stress.toml")
    assert words in refused.value.what
    assert refused.value.where == "stress.toml"


def test_all_problems_at_once() -> None:
    bad = GOOD.replace("hypothetical", "x") + GOOD.replace("-0.1", "-7")
    with pytest.raises(ConfigError) as refused:
        parse_shocks(bad.encode(), "stress.toml")
    assert "kind" in refused.value.what
    assert "moves.*" in refused.value.what


def test_a_name_twice_in_one_file_is_refused() -> None:
    with pytest.raises(ConfigError, match="twice"):
        parse_shocks((GOOD + GOOD).encode(), "stress.toml")


def test_a_file_that_is_a_folder_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "config" / "stress.toml").mkdir(parents=True)
    with pytest.raises(ConfigError, match="cannot be read"):
        load_shocks(tmp_path)
