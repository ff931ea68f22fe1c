"""Workspaces and the command line as its users run it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from peakctl.founding import create_demo
from peakctl.supervisor import Supervisor
from peakctl.workspace import Workspace
from tests.fork_server import by_fork, fork_server

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def demo(tmp_path: Path) -> Workspace:
    return create_demo(tmp_path / "w")


#: Modules that start engines as users do.
BY_EXEC = ("test_supervisor", "test_demo")


@pytest.fixture(scope="module", autouse=True)
def engines_by_fork(request: pytest.FixtureRequest) -> Iterator[None]:
    """What is started here is forked, but where the start itself is asked about."""
    with pytest.MonkeyPatch.context() as patch:
        if request.path.stem not in BY_EXEC:
            patch.setattr(Supervisor, "_spawn", by_fork)
        yield


@pytest.fixture(scope="session")
def cli_in() -> Callable[[Path], Run]:
    """`peakctl ...` as a forked process, in a folder."""

    def of(folder: Path) -> Run:
        def run(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
            kept = {k: v for k, v in os.environ.items() if not k.startswith("PEAKCTL")}
            command = [sys.executable, "-P", "-m", "peakctl", *arguments]
            return fork_server().run(command, cwd=folder, env={**kept, **environ})

        return run

    return of


@pytest.fixture
def cli(tmp_path: Path, cli_in: Callable[[Path], Run]) -> Run:
    """`peakctl ...` as a process, outside any workspace unless told."""
    return cli_in(tmp_path)


@pytest.fixture
def real_cli(tmp_path: Path) -> Run:
    """`peakctl ...` as its users start it: a new interpreter with nothing read."""

    def run(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith("PEAKCTL")}
        return subprocess.run(
            [sys.executable, "-m", "peakctl", *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            cwd=tmp_path,
            env={**kept, **environ},
        )

    return run


@pytest.fixture
def agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An ssh-agent of the test's own."""
    socket = tmp_path / "agent.sock"
    process = subprocess.Popen(
        ["ssh-agent", "-D", "-a", str(socket)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    monkeypatch.setenv("SSH_AUTH_SOCK", str(socket))
    try:
        for _ in range(500):
            listed = subprocess.run(["ssh-add", "-l"], capture_output=True, check=False)
            if listed.returncode != 2:
                break
        yield
    finally:
        process.terminate()
        process.wait(timeout=10)
