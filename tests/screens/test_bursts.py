"""Keys that arrive together act in the order in which they were typed, in a real terminal."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from peakctl.founding import create_demo
from peakctl.supervisor import Supervisor
from peakctl.workspace import Workspace
from tests.journeys.terminal import KEYS, Terminal


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Path]:
    place = create_demo(tmp_path / "w")
    try:
        yield place.root
    finally:
        Supervisor(place).end_all("alice")


@pytest.fixture
def console(workspace: Path) -> Iterator[Terminal]:
    terminal = Terminal("--workspace", str(workspace), "--person", "alice")
    try:
        terminal.wait_for("data live")
        terminal.wait_for("New charter")
        terminal.wait_for(r"reviewer\s+bob")
        yield terminal
    finally:
        terminal.close()


def burst(terminal: Terminal, *keys: str) -> None:
    """All of it in one write."""
    terminal.type("".join(KEYS.get(key, key) for key in keys))


def status(workspace: Path) -> dict[str, Any]:
    command = [sys.executable, "-m", "peakctl", "status", "--json", "--workspace", str(workspace)]
    done = subprocess.run(command, capture_output=True, check=True)
    return json.loads(done.stdout)


def test_text_then_an_application_key(console: Terminal, workspace: Path) -> None:
    burst(console, "wrong words", "ctrl+u", "a burst of words", "ctrl+s")
    console.wait_for("CHECKLIST")
    assert status(workspace)["session"]["charter"]["purpose"] == "a burst of words"
    burst(console, "ctrl+r", "down")
    console.wait_for("8 of 11 passed")


def test_a_choice_then_an_application_key(console: Terminal, workspace: Path) -> None:
    burst(console, *(["shift+tab"] * 8), "right", "ctrl+s")
    console.wait_for("▸shadow◂")
    console.wait_for("▲ .*(mode|shadow)")
    assert status(workspace)["session"] is None
    burst(console, "left", "tab", "ctrl+u", "nowhere", "ctrl+u", "sandbox", "ctrl+s")
    console.wait_for("CHECKLIST")
    assert status(workspace)["session"]["charter"]["venue"] == "sandbox"


def test_an_engine_that_died_is_started_again_by_a_key_and_never_by_itself(
    console: Terminal, workspace: Path
) -> None:
    before = status(workspace)["engine"]["pid"]
    console.type("x")
    os.kill(before, signal.SIGKILL)
    console.wait_for("LINK DOWN")
    console.wait_for(r"No engine runs here. ctrl\+e starts it again")
    assert Supervisor(Workspace.open(workspace)).engine_pid() is None
    console.press("ctrl+e")
    console.wait_for(r"The engine runs again \(pid \d+\)")
    console.wait_for("data live")
    assert status(workspace)["engine"]["pid"] != before
    burst(console, "ctrl+u", "ab", "ctrl+a", "ctrl+e", "c", "ctrl+s")
    console.wait_for("CHECKLIST")
    assert status(workspace)["session"]["charter"]["purpose"] == "abc"


def test_an_engine_that_does_not_come_up_says_why_in_one_line(
    console: Terminal, workspace: Path
) -> None:
    os.kill(status(workspace)["engine"]["pid"], signal.SIGKILL)
    console.wait_for("No engine runs here")
    (workspace / "config" / "peakctl.toml").write_text("environment = 7\n", encoding="utf-8")
    console.press("ctrl+e")
    console.wait_for("peakctl.toml:1: environment")
    console.wait_for("No engine runs here")
