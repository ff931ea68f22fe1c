"""`peakctl gates` and `config diff|check` without an engine: read alone, and nothing is changed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from engine.contracts.session import Environment
from engine.governance.locks import BASIC_LOCKS, LIVE_LOCKS
from peakctl.founding import init
from peakctl.workspace import Workspace
from tests.peakctl.conftest import Run


def files(root: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_gates_explain_every_lock_of_the_mode_and_change_nothing(cli: Run, demo: Workspace) -> None:
    before = files(demo.root)
    told = json.loads(cli("gates", "--json", "-w", str(demo.root)).stdout)
    assert (told["mode"], told["environment"], told["open"]) == ("paper", "dev", False)
    assert [gate["code"] for gate in told["gates"]] == [code for code, _ in BASIC_LOCKS]
    (demo.root / ".peakctl" / "latch").write_text("?")
    live = json.loads(cli("gates", "--mode", "live", "--json", "-w", str(demo.root)).stdout)
    gates = {gate["code"]: gate for gate in live["gates"]}
    assert list(gates) == [code for code, _ in LIVE_LOCKS]
    assert {code for code, gate in gates.items() if gate["open"]} == {"LOCK_ALLOW_LIST"}
    assert gates["LOCK_LATCH"]["why"].startswith("kill latch is set: LATCHED")
    assert gates["LOCK_SHADOW_WEEKS"]["why"] == "0 of 4 weeks of shadow"
    (demo.root / ".peakctl" / "latch").unlink()
    assert files(demo.root) == before


def test_gates_for_people_name_each_lock_twice_and_no_way_round(cli: Run, tmp_path: Path) -> None:
    place = init(tmp_path / "p", Environment.PROD)
    done = cli("gates", "-w", str(place.root))
    assert done.returncode == 0, done.stderr
    first, *lines = done.stdout.splitlines()
    assert first.startswith("mode live in environment prod: 11 of 14 locks shut")
    assert sum(line.startswith("SHUT") for line in lines) == 11
    for code, _ in LIVE_LOCKS:
        assert done.stdout.count(f"{code} ") == 2
    assert "--" not in done.stdout, "no option, no command: an explanation"


@pytest.mark.parametrize("arguments", [["--json"], []])
def test_check_says_all_problems_with_their_lines(
    cli: Run, demo: Workspace, arguments: list[str]
) -> None:
    text = demo.config_file.read_text()
    demo.config_file.write_text(f'{text}\n[market]\nstale_ms = "soon"\n[limts]\nx = 1\n')
    line = len(text.splitlines())
    done = cli(
        "config", "check", "--set", "clock.limit_ms=0", "-w", str(demo.root), *arguments,
        PEAKCTL__DISK__MIN_FREE_MB="-1",
    )  # fmt: skip
    assert done.returncode == 2
    told = done.stdout if arguments else done.stderr
    problems = json.loads(told)["problems"] if arguments else told.splitlines()
    assert len(problems) == 4
    for part in (
        f"config/peakctl.toml:{line + 3}: market.stale_ms",
        f"config/peakctl.toml:{line + 5}: limts.x: unknown key; did you mean limits",
        "PEAKCTL__DISK__MIN_FREE_MB: disk.min_free_mb",
        "command line: clock.limit_ms",
    ):
        assert part.partition("; did")[0] in told


def test_diff_is_against_the_defaults_and_names_where_a_value_is_from(
    cli: Run, demo: Workspace
) -> None:
    place = ("-w", str(demo.root))
    done = cli("config", "diff", "--json", "--set", "market.stale_ms=2999", *place)
    rows = {row["key"]: row for row in json.loads(done.stdout)}
    assert set(rows) == {"allow_same_uid", "sandbox.enabled", "market.stale_ms"}
    assert rows["market.stale_ms"] == {
        "key": "market.stale_ms",
        "before": "3000",
        "value": "2999",
        "origin": "command line",
    }
    done = cli("config", "diff", "--against", "session", *place)
    assert done.returncode == 2
    assert "there was no session yet" in done.stderr
