"""The supervisor with real processes: found again, never twice, and their own words on failure."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from engine.contracts.errors import WorkspaceError
from peakctl.founding import create_demo
from peakctl.supervisor import Supervisor
from peakctl.workspace import Workspace


@pytest.fixture
def supervisor(demo: Workspace) -> Iterator[Supervisor]:
    supervisor = Supervisor(demo)
    yield supervisor
    supervisor.end_all("alice")


def eventually(holds: Callable[[], bool], seconds: float = 20.0) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if holds():
            return True
        time.sleep(0.02)
    return False


def test_the_sandbox_is_started_once_and_its_keys_are_kept_private(
    supervisor: Supervisor, demo: Workspace
) -> None:
    ready = supervisor.ensure_sandbox()
    assert ready is not None
    assert Supervisor(demo).ensure_sandbox() == ready
    assert stat.S_IMODE(demo.sandbox_ready.stat().st_mode) == 0o600
    secret = ready["accounts"][0]["hmac"]["secret"]
    assert secret not in (demo.log / "sandbox.log").read_text()


def test_a_sandbox_that_died_is_replaced(supervisor: Supervisor, demo: Workspace) -> None:
    first = supervisor.ensure_sandbox()
    assert first is not None
    os.kill(first["pid"], signal.SIGKILL)
    assert eventually(lambda: supervisor.sandbox_ready() is None)
    second = supervisor.ensure_sandbox()
    assert second is not None
    assert second["pid"] != first["pid"]


def test_no_sandbox_where_none_is_wanted(demo: Workspace) -> None:
    assert Supervisor(demo, {"sandbox.enabled": "false"}).ensure_sandbox() is None


def test_a_port_in_use_is_told_in_the_sandboxs_own_line(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        workspace = create_demo(tmp_path / "w", {"sandbox": {"port": port}})
        with pytest.raises(WorkspaceError, match=str(port)):
            Supervisor(workspace).ensure_sandbox()
        assert not workspace.sandbox_ready.exists()


def test_the_engine_is_started_once_found_again_and_ended(
    supervisor: Supervisor, demo: Workspace
) -> None:
    pid = supervisor.ensure_engine()
    assert supervisor.ensure_engine() == pid
    assert Supervisor(demo).ensure_engine() == pid
    assert supervisor.engine_pid() == pid
    assert os.getsid(pid) == pid
    supervisor.stop_engine("alice", "test")
    assert supervisor.engine_state() is None
    assert supervisor.engine_pid() is None


def test_a_second_engine_is_refused_naming_the_first(
    supervisor: Supervisor, demo: Workspace, cli: Callable[..., object]
) -> None:
    pid = supervisor.ensure_engine()
    done = cli("engine", "--workspace", str(demo.root))
    assert done.returncode == 2  # type: ignore[attr-defined]
    assert str(pid) in done.stderr  # type: ignore[attr-defined]
    assert supervisor.ensure_engine() == pid


def test_an_engine_that_cannot_start_says_why_in_one_line(
    supervisor: Supervisor, demo: Workspace
) -> None:
    demo.people_file.write_text("people = 3\n")
    with pytest.raises(WorkspaceError, match=r"people\.toml"):
        supervisor.ensure_engine()


def test_state_of_the_engine_is_json_for_anyone_on_the_socket(
    supervisor: Supervisor, demo: Workspace, cli: Callable[..., object]
) -> None:
    pid = supervisor.ensure_engine()
    done = cli("status", "--json", "-w", str(demo.root))
    assert json.loads(done.stdout)["engine"]["pid"] == pid  # type: ignore[attr-defined]
