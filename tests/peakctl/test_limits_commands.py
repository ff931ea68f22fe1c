"""`peakctl limits` and `ladder` without an engine: reads are told, changes are not made."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from peakctl.workspace import Workspace
    from tests.peakctl.conftest import Run


def test_the_limits_can_be_read_and_the_step_caps_them(cli: Run, demo: Workspace) -> None:
    ladder = demo.root / "config" / "ladder.toml"
    ladder.write_text("[dev.rehearsal_1.limits]\nmax_open_orders = 3\n")
    done = cli("limits", "--json", "-w", str(demo.root))
    told = json.loads(done.stdout)
    rows = {one["name"]: one for one in told["rows"]}
    assert (told["step"], told["session_id"]) == ("rehearsal_1", "")
    assert rows["max_open_orders"]["value"] == rows["max_open_orders"]["step"] == "3"
    assert rows["max_open_orders"]["origin"] == "ladder step rehearsal_1"
    assert rows["max_open_orders"]["config"] == "200"
    assert (rows["max_position"]["value"], rows["max_position"]["origin"]) == ("2", "config")
    ladder.write_text("[dev.rehearsal_1.limits]\nmax_open_orders = 'many'\n")
    done = cli("limits", "-w", str(demo.root))
    assert done.returncode == 2
    assert "dev.rehearsal_1.limits.max_open_orders" in done.stderr


def test_without_an_engine_nothing_is_changed_and_without_a_reason_neither(
    cli: Run, demo: Workspace
) -> None:
    where = ("-w", str(demo.root), "--person", "alice")
    for words in (
        ("limits", "set", "max_position", "1"),
        ("ladder", "down"),
    ):
        assert cli(*words, "--reason", "x", *where).returncode == 5
        done = cli(*words, *where)
        assert done.returncode == 2
        assert "there is no reason" in done.stderr
