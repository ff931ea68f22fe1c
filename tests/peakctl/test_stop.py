"""`peakctl kill` with a healthy engine, a hung one and none: the exit code never says too much."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from engine.contracts.errors import NotProven
from peakctl.commands.stop import _latch_alone
from peakctl.supervisor import Supervisor
from peakctl.workspace import Workspace

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def supervisor(demo: Workspace) -> Iterator[Supervisor]:
    supervisor = Supervisor(demo)
    supervisor.ensure_engine()
    yield supervisor
    supervisor.end_all("alice")


def test_through_the_engine_the_venue_proves_zero(
    supervisor: Supervisor, demo: Workspace, cli: Run
) -> None:
    done = cli("kill", "--reason", "test", "--json", "-w", str(demo.root))
    assert done.returncode == 0, done.stderr
    view = json.loads(done.stdout)
    assert view["state"] == "PROVEN"
    assert {"latched", "cancel_sent", "query_2"} <= {one["stage"] for one in view["stages"]}
    assert (demo.state / "latch").exists()
    state = supervisor.engine_state()
    assert state is not None
    assert state["kill"]["state"] == "PROVEN"


def test_a_hung_engine_does_not_keep_the_kill_from_its_proof(
    supervisor: Supervisor, demo: Workspace, cli: Run
) -> None:
    pid = supervisor.engine_pid()
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    try:
        done = cli("kill", "--json", "-w", str(demo.root))
    finally:
        os.kill(pid, signal.SIGCONT)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["state"] == "PROVEN"
    assert "within 500 ms" in done.stderr
    assert (demo.state / "latch").exists()


def test_with_no_engine_and_no_venue_the_latch_holds_and_the_answer_is_not_proven(
    demo: Workspace, cli: Run
) -> None:
    done = cli("kill", "-w", str(demo.root))
    assert done.returncode == 3
    assert "the latch is set, and nothing was canceled" in done.stderr
    assert (demo.state / "latch").exists()


def test_a_latch_in_a_folder_that_may_not_be_looked_into_is_not_called_set(tmp_path: Path) -> None:
    """What the kill says is set must be on the disk: here a folder is no folder."""
    wall = tmp_path / "state"
    wall.write_text("")
    with pytest.raises(NotProven, match="could not be written"):
        _latch_alone(wall / "latch", "alice", "test", 1)
