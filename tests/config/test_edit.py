"""`config set`: one key changes, comments stay, a change that does not load is undone."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from config.edit import set_key
from engine.contracts.errors import ConfigError

BEFORE = """# ours
environment = "dev"

[limits]
# agreed on Monday
max_position = "0.5"

[market]
stale_ms = 2000
"""


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "peakctl.toml").write_text(BEFORE)
    return tmp_path


def text_of(workspace: Path) -> str:
    return (workspace / "config" / "peakctl.toml").read_text()


def test_a_key_changes_in_its_place(workspace: Path) -> None:
    set_key(workspace, "limits.max_position", "0.4", {})
    assert text_of(workspace) == BEFORE.replace('"0.5"', '"0.4"')


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [
        ("limits.max_open_orders", "9", 9),
        ("session.go_expiry_seconds", "60", 60),
        ("venue.symbols", "BTCUSDT,ETHUSDT", ["BTCUSDT", "ETHUSDT"]),
    ],
)
def test_a_new_key_goes_into_its_section(
    workspace: Path, key: str, text: str, value: object
) -> None:
    effective = set_key(workspace, key, text, {})
    section, _, name = key.partition(".")
    assert tomllib.loads(text_of(workspace))[section][name] == value
    assert effective.origins[key] == "config/peakctl.toml"
    assert "# agreed on Monday" in text_of(workspace)


def test_a_top_level_key_stays_above_the_sections(workspace: Path) -> None:
    set_key(workspace, "allow_same_uid", "true", {})
    assert tomllib.loads(text_of(workspace))["allow_same_uid"] is True


@pytest.mark.parametrize(
    ("key", "text"),
    [("limits.max_position", "3"), ("limits.max_position", "x"), ("limits.typo", "3")],
)
def test_what_does_not_load_is_refused_and_undone(workspace: Path, key: str, text: str) -> None:
    with pytest.raises(ConfigError):
        set_key(workspace, key, text, {})
    assert text_of(workspace) == BEFORE
