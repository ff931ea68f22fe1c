"""`config set` and `unset`: one key changes, comments stay, what would not load is not written."""

from __future__ import annotations

import os
import stat
import tomllib
from collections.abc import Mapping
from pathlib import Path

import pytest

from config.edit import plan_set, plan_unset
from config.replace import FileChange
from config.settings import Effective, load
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


def set_key(workspace: Path, key: str, text: str, environ: Mapping[str, str]) -> Effective:
    planned = plan_set(workspace, key, text, environ)
    planned.file.apply()
    return planned.effective


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


SPREAD = """[venue] # ours
symbols = [ # both
    "BTCUSDT", # the first
    "ETHUSDT",
]
recv_window_ms = 4000
"""


def test_a_list_is_written_on_one_line_and_found_on_many(tmp_path: Path) -> None:
    path = tmp_path / "config" / "peakctl.toml"
    path.parent.mkdir()
    path.write_text(SPREAD)
    set_key(tmp_path, "venue.symbols", "SOLUSDT,BTCUSDT", {})
    rest = "recv_window_ms = 4000\n"
    assert path.read_text() == f'[venue] # ours\nsymbols = ["SOLUSDT", "BTCUSDT"]\n{rest}'
    set_key(tmp_path, "venue.symbols", "ETHUSDT", {})
    assert path.read_text() == f'[venue] # ours\nsymbols = ["ETHUSDT"]\n{rest}'
    for text in (SPREAD, path.read_text()):
        path.write_text(text)
        plan_unset(tmp_path, "venue.symbols", {}).file.apply()
        assert path.read_text() == f"[venue] # ours\n{rest}"


@pytest.mark.parametrize(
    ("key", "text", "allowed"),
    [
        ("limits.max_position", '"0.4"', "allowed: a plain decimal number such as 12.50 above 0"),
        ("venue.symbols", '["BTCUSDT"]', "allowed: with commas between, each: capital letters"),
    ],
)
def test_what_is_typed_is_explained_as_typed(
    workspace: Path, key: str, text: str, allowed: str
) -> None:
    with pytest.raises(ConfigError) as refused:
        plan_set(workspace, key, text, {})
    assert allowed in refused.value.line()


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


def test_a_plan_says_what_would_be_in_force_and_writes_nothing(workspace: Path) -> None:
    planned = plan_set(workspace, "limits.max_position", "0.4", {})
    assert (planned.before, planned.after, planned.was_set) == ("0.5", "0.4", True)
    assert planned.effects == {"limits.max_position": "0.4"}
    assert text_of(workspace) == BEFORE


def test_a_hidden_key_changes_the_file_and_nothing_in_force(workspace: Path) -> None:
    planned = plan_set(workspace, "market.stale_ms", "1500", {"PEAKCTL__MARKET__STALE_MS": "1000"})
    assert (planned.before, planned.after, planned.effects) == ("1000", "1000", {})
    assert planned.written == "1500"
    shown = plan_set(workspace, "limits.max_position", "0.40", {})
    assert shown.written == shown.after, "the same number in the same form"


def test_another_environment_moves_every_default_that_differs(tmp_path: Path) -> None:
    planned = plan_set(tmp_path, "environment", "shadow", {})
    assert planned.effects["environment"] == "shadow"
    assert planned.effects["limits.max_position"] == "0.2"
    assert "watchdog.grace_seconds" not in planned.effects


def test_a_comment_behind_a_value_and_a_header_with_one_stay(workspace: Path) -> None:
    path = workspace / "config" / "peakctl.toml"
    path.write_text('[limits] # ours\nmax_position = "0.5" # agreed\n\n[market]\nstale_ms = 9')
    set_key(workspace, "market.stale_ms", "900", {})
    set_key(workspace, "limits.max_position", "0.4", {})
    assert text_of(workspace) == (
        '[limits] # ours\nmax_position = "0.4" # agreed\n\n[market]\nstale_ms = 900\n'
    )


def test_a_key_is_taken_out_and_its_default_is_back(workspace: Path) -> None:
    planned = plan_unset(workspace, "limits.max_position", {})
    planned.file.apply()
    assert (planned.before, planned.after, planned.written) == ("0.5", "2", "")
    assert text_of(workspace) == BEFORE.replace('max_position = "0.5"\n', "")
    with pytest.raises(ConfigError, match="is not set there"):
        plan_unset(workspace, "limits.max_position", {})


def test_a_file_that_does_not_load_can_be_repaired(workspace: Path) -> None:
    path = workspace / "config" / "peakctl.toml"
    path.write_text("[market]\nstale_ms = 9\n")
    planned = plan_set(workspace, "market.stale_ms", "900", {})
    assert planned.before == "(did not load)"
    planned.file.apply()
    assert load(workspace, {}).settings.market.stale_ms == 900


def test_a_link_is_not_replaced(workspace: Path) -> None:
    path = workspace / "config" / "peakctl.toml"
    path.rename(workspace / "elsewhere.toml")
    path.symlink_to(workspace / "elsewhere.toml")
    with pytest.raises(ConfigError, match="is a link"):
        plan_set(workspace, "limits.max_position", "0.4", {})
    assert (workspace / "elsewhere.toml").read_text() == BEFORE


def test_an_edit_in_between_is_noticed_and_kept(workspace: Path) -> None:
    planned = plan_set(workspace, "limits.max_position", "0.4", {})
    path = workspace / "config" / "peakctl.toml"
    path.write_text(BEFORE + "# theirs\n")
    with pytest.raises(ConfigError, match="was edited meanwhile"):
        planned.file.apply()
    assert text_of(workspace) == BEFORE + "# theirs\n"


def test_mode_and_owner_stay_and_nothing_is_left_beside(workspace: Path) -> None:
    path = workspace / "config" / "peakctl.toml"
    path.chmod(0o640)
    if os.getuid() == 0:
        os.chown(path, 0, 12)
    before = path.stat()
    set_key(workspace, "limits.max_position", "0.4", {})
    after = path.stat()
    assert (stat.S_IMODE(after.st_mode), after.st_uid, after.st_gid) == (
        0o640,
        before.st_uid,
        before.st_gid,
    )
    assert [one.name for one in path.parent.iterdir()] == ["peakctl.toml"]


def test_undo_puts_back_what_was_there_or_was_not(tmp_path: Path) -> None:
    path = tmp_path / "config" / "x.toml"
    made = FileChange(path, None, b"new")
    made.apply()
    assert path.read_bytes() == b"new"
    made.undo()
    assert not path.exists()


@pytest.mark.parametrize("value", ["a=b\n[x]", '"""', "\x00", "x" * 70_000])
def test_no_value_writes_more_than_its_own_key(workspace: Path, value: str) -> None:
    for key in ("venue.account", "sandbox.replay", "venue.symbols"):
        try:
            planned = plan_set(workspace, key, value, {})
        except ConfigError:
            continue
        before = tomllib.loads(BEFORE)
        after = tomllib.loads(planned.file.after.decode())
        section, _, name = key.partition(".")
        assert after[section].pop(name)
        assert {k: v for k, v in after.items() if v} == before
