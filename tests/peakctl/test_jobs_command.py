"""`peakctl job` as it is typed: an id, the job's own words and exit code, and nothing left over."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from engine.ops.job_kinds import JOB_KINDS
from engine.ops.jobs import Jobs, JobState
from peakctl.cli import app
from peakctl.workspace import Workspace

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def at(demo: Workspace, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """The workspace that this terminal is in, with a secret in its environment."""
    monkeypatch.chdir(demo.root)
    monkeypatch.setenv("SOME_API_SECRET", "not for children")
    return demo


def typed(*words: str) -> str:
    """What a command prints that ends with 0; in this process, for the time it saves."""
    done = CliRunner().invoke(app, list(words), catch_exceptions=False, standalone_mode=False)
    assert done.exit_code == 0
    return done.stdout


def test_a_job_prints_its_id_and_is_looked_at_with_its_own_words(
    at: Workspace, cli_in: Callable[[Path], Run]
) -> None:
    assert typed("job", "list") == "none\n"
    job_id = typed("job", "run", "journal", "verify").strip()
    typed("job", "logs", job_id, "--follow")
    row, *others = json.loads(typed("job", "list", "--json"))
    assert not others
    assert (row["id"], row["state"], row["exit_code"]) == (job_id, "done", 0)
    assert row["command"] == "journal verify"
    assert "0 signed heads" in row["said"]
    told = json.loads(typed("job", "logs", job_id, "--json"))
    assert "0 events in 0 files" in told["out"]
    assert told["err"] == ""
    assert "done" in typed("job", "list")
    again = cli_in(at.root)("job", "stop", job_id)
    assert (again.returncode, again.stdout) == (1, "")
    assert "is not running, it is done" in again.stderr


def test_waiting_ends_with_the_jobs_words_and_its_exit_code(
    at: Workspace, cli_in: Callable[[Path], Run]
) -> None:
    done = cli_in(at.root)("job", "run", "--wait", "verify", "sessions/none", "--json")
    assert done.returncode == 2
    assert done.stdout == "", "JSON on standard output is only JSON"
    first, second = done.stderr.splitlines()
    assert first.startswith("peakctl: job ")
    assert second == "peakctl: sessions/none: no such pack; name the session's folder"


@pytest.fixture
def grounds(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where drills make their desks; its path is short enough for their sockets."""
    with tempfile.TemporaryDirectory(prefix="pk-") as folder:
        monkeypatch.setenv("TMPDIR", folder)
        yield Path(folder)


def processes_naming(text: str) -> Iterator[int]:
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                line = (folder / "cmdline").read_bytes()
            except OSError:
                continue
            if text.encode() in line:
                yield int(folder.name)


def test_a_stopped_drill_takes_its_engine_and_its_exchange_with_it(
    at: Workspace, grounds: Path
) -> None:
    job_id = typed("job", "run", "drill", "run", "full_session", "--person", "alice").strip()
    jobs = Jobs(at.jobs)
    deadline = time.monotonic() + 60
    while not any(processes_naming(str(grounds))):
        assert time.monotonic() < deadline, jobs.one(job_id)
        time.sleep(0.02)
    assert typed("job", "stop", job_id) == f"{job_id} was stopped with SIGTERM, exit 143\n"
    assert jobs.one(job_id).state is JobState.STOPPED
    assert not list(processes_naming(str(grounds)))
    assert not list(grounds.glob("peakctl-drill-*"))


def test_every_kind_is_a_command_with_these_words() -> None:
    """A row that promises an option which the command does not have would fail as a job only."""
    for kind in JOB_KINDS:
        command = typer.main.get_command(app)
        for word in kind.words:
            command = command.commands[word]  # type: ignore[attr-defined]
        options = {name for one in command.params for name in one.opts}
        assert {*kind.options, *kind.flags} <= options
        needed = [one for one in command.params if one.required]
        assert len(needed) == len(kind.arguments)
    shown = typed("job", "run")
    assert all(kind.usage in shown for kind in JOB_KINDS)
    assert os.environ.get("SOME_API_SECRET") is None
