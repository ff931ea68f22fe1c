"""Jobs with real processes: what they get, how they end, and that nobody else is ever signalled."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec
import pytest

from engine.contracts.errors import AnswerNo, InputError, Refused, WorkspaceError
from engine.ops import jobs as rooms
from engine.ops.job_kinds import JOB_KINDS, JobKind, kind_of
from engine.ops.jobs import Job, Jobs, JobState, ProcessMark, mark_of

WORDS = ("journal", "verify")
ROOT = Path(__file__).parents[3]
ENVIRON = {"PYTHONPATH": str(ROOT), "PATH": os.environ["PATH"], "GIVEN": "by name"}

TELLS = (
    "import json, os, sys; "
    "print(json.dumps([sys.argv[1:], dict(os.environ), sys.stdin.read(), os.getcwd()]))"
)
WAITS = "import time; print('up', flush=True); time.sleep(60)"
DEAF = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + WAITS


@pytest.fixture
def jobs(tmp_path: Path) -> Iterator[Jobs]:
    jobs = Jobs(tmp_path / "jobs")
    yield jobs
    for job in jobs.all():
        if job.state is JobState.RUNNING:
            jobs.stop(job.record.id)


def start(jobs: Jobs, script: str, cwd: Path = ROOT, words: Sequence[str] = WORDS) -> str:
    return jobs.start(words, (sys.executable, "-S", "-c", script), cwd, ENVIRON)


def until(jobs: Jobs, job_id: str, holds: Callable[[Job], bool]) -> Job:
    deadline = time.monotonic() + 30
    while not holds(job := jobs.one(job_id)):
        assert time.monotonic() < deadline, job
        time.sleep(0.01)
    return job


def over(job: Job) -> bool:
    return job.state is not JobState.RUNNING


def is_up(job: Job) -> bool:
    return job.said == "up"


def gone(process: ProcessMark) -> bool:
    deadline = time.monotonic() + 30
    while process.alive():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def command_of(job: Job) -> ProcessMark:
    """The one child of a job's keeper."""
    children = Path(f"/proc/{job.record.keeper.pid}/task/{job.record.keeper.pid}/children")
    mark = mark_of(int(children.read_text()))
    assert mark is not None
    return mark


def test_a_job_gets_its_words_what_was_named_and_nothing_else(jobs: Jobs, tmp_path: Path) -> None:
    os.environ["NOT_GIVEN"] = "a value of the terminal's"
    try:
        job_id = start(jobs, TELLS, tmp_path)
    finally:
        del os.environ["NOT_GIVEN"]
    job = until(jobs, job_id, over)
    assert (job.state, job.record.exit_code, job.record.command) == (JobState.DONE, 0, WORDS)
    words, environ, read, cwd = json.loads(jobs.output_of(job_id)[0].read_text())
    assert (words, read, cwd) == ([*WORDS], "", str(tmp_path))
    assert {**environ, "LC_CTYPE": ""} == {**ENVIRON, "LC_CTYPE": ""}
    assert job.said.startswith("[["), "its last line is told"
    assert (tmp_path / "jobs").stat().st_mode & 0o077 == 0
    with pytest.raises(AnswerNo, match="it is done"):
        jobs.stop(job_id)


@pytest.mark.parametrize(
    ("script", "exit_code"),
    [
        ("raise SystemExit(3)", 3),
        ("import os; os.kill(os.getpid(), 9)", -signal.SIGKILL),
        ("import os; os.kill(os.getpid(), 15)", -signal.SIGTERM),
    ],
)
def test_what_ends_badly_by_itself_has_failed_with_the_codes_that_the_kernel_told(
    jobs: Jobs, script: str, exit_code: int
) -> None:
    job = until(jobs, start(jobs, script), over)
    assert (job.state, job.record.exit_code) == (JobState.FAILED, exit_code)
    assert job.record.stopped_with == ""


def test_a_job_outlives_the_terminal_that_started_it(jobs: Jobs, tmp_path: Path) -> None:
    starter = (
        "import sys; from pathlib import Path; from engine.ops.jobs import Jobs\n"
        f"Jobs(Path({str(tmp_path / 'jobs')!r})).start({WORDS!r}, "
        f"(sys.executable, '-S', '-c', {WAITS!r}), Path({str(tmp_path)!r}), {ENVIRON!r})\n"
        "input()"
    )
    terminal, its_end = pty.openpty()
    shell = subprocess.Popen(
        [sys.executable, "-c", starter],
        stdin=its_end,
        stdout=its_end,
        stderr=its_end,
        start_new_session=True,
        cwd=ROOT,
    )
    os.close(its_end)
    deadline = time.monotonic() + 30
    while not (found := jobs.all()):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    job = until(jobs, found[0].record.id, is_up)
    os.close(terminal)
    os.killpg(shell.pid, signal.SIGHUP)
    shell.wait(timeout=30)
    assert job.record.keeper.alive()
    assert os.getsid(job.record.keeper.pid) not in {shell.pid, os.getsid(0)}
    assert jobs.one(job.record.id).state is JobState.RUNNING
    assert jobs.stop(job.record.id).state is JobState.STOPPED


def test_stopping_says_what_it_took(jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rooms, "kind_of", lambda _words: JobKind(WORDS, "", grace_seconds=1))
    willing, deaf = (start(jobs, script) for script in (WAITS, DEAF))
    commands = [command_of(until(jobs, one, is_up)) for one in (willing, deaf)]
    ended = [jobs.stop(one).record for one in (willing, deaf)]
    assert [one.stopped_with for one in ended] == ["SIGTERM", "SIGKILL"]
    assert [one.exit_code for one in ended] == [-signal.SIGTERM, -signal.SIGKILL]
    assert [jobs.one(one).state for one in (willing, deaf)] == [JobState.STOPPED] * 2
    assert all(gone(one) for one in commands)


def test_a_killed_keeper_leaves_a_lost_job_and_no_command_behind(jobs: Jobs) -> None:
    job = until(jobs, start(jobs, WAITS), is_up)
    command = command_of(job)
    assert job.record.keeper.send(signal.SIGKILL)
    job = until(jobs, job.record.id, over)
    assert (job.state, job.record.exit_code, job.record.ended_us) == (JobState.LOST, None, None)
    assert gone(command)
    with pytest.raises(AnswerNo, match="it is lost"):
        jobs.stop(job.record.id)


def test_a_pid_that_somebody_else_has_now_is_not_the_jobs(jobs: Jobs, tmp_path: Path) -> None:
    job = until(jobs, start(jobs, TELLS), over)
    with subprocess.Popen(["sleep", "60"]) as other:
        try:
            mark = mark_of(other.pid)
            assert mark is not None
            for reused in (
                msgspec.structs.replace(mark, start_ticks=mark.start_ticks - 1),
                msgspec.structs.replace(mark, boot_id="another boot"),
            ):
                record = msgspec.structs.replace(
                    job.record, keeper=reused, ended_us=None, exit_code=None
                )
                rooms.write_record(tmp_path / "jobs" / job.record.id, record)
                assert jobs.one(job.record.id).state is JobState.LOST
                with pytest.raises(AnswerNo):
                    jobs.stop(job.record.id)
                assert not reused.send(signal.SIGTERM)
            assert other.poll() is None
        finally:
            other.kill()
    assert mark_of(other.pid) is None


def test_few_run_at_once_and_few_are_kept(
    jobs: Jobs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rooms, "KEPT", 2)
    monkeypatch.setattr(rooms, "RUNNING_MOST", 1)
    first = start(jobs, WAITS)
    with pytest.raises(Refused, match="1 jobs are running"):
        start(jobs, TELLS)
    jobs.stop(first)
    (tmp_path / "jobs" / "0badbeef").mkdir()
    left = [first]
    for _ in range(2):
        left.append(start(jobs, "pass"))
        until(jobs, left[-1], over)
    assert [one.record.id for one in jobs.all()] == [left[2], left[1]]
    assert {path.name for path in (tmp_path / "jobs").iterdir()} == {*left[1:]}


def test_what_cannot_start_leaves_nothing(jobs: Jobs, tmp_path: Path) -> None:
    with pytest.raises(WorkspaceError, match="No such file"):
        jobs.start(WORDS, ("/no/such/program",), ROOT, ENVIRON)
    assert not list((tmp_path / "jobs").iterdir())


@pytest.mark.parametrize("job_id", ["", "..", "../jobs", "abc", "0badbeef", "x" * 99])
def test_an_id_that_is_none_is_said(jobs: Jobs, job_id: str) -> None:
    with pytest.raises(InputError, match="no job"):
        jobs.one(job_id)


def test_a_damaged_record_is_named(tmp_path: Path) -> None:
    (tmp_path / "abc").mkdir()
    (tmp_path / "abc" / "job.json").write_text('{"id": 1}')
    with pytest.raises(WorkspaceError, match=r"abc/job\.json"):
        Jobs(tmp_path).one("abc")


@pytest.mark.parametrize(
    "words",
    [
        *((), ("sh", "-c", "true"), ("kill",), ("journal",), ("store", "query", "select 1")),
        *(("engine",), ("drill", "record", "x"), ("limits", "set", "a", "1")),
        *(("verify",), ("verify", "a", "b"), ("verify", "a", "--debug"), ("verify", "a", "--set")),
        *(("verify", "a", "--revoked"), ("verify", "a", "--revoked", "--json")),
        *(("store", "rebuild", "--json"), ("journal", "verify", "now"), ("drill", "run", "-x")),
    ],
)
def test_only_the_table_runs(words: tuple[str, ...]) -> None:
    with pytest.raises(InputError):
        kind_of(words)


def test_what_the_table_names_runs() -> None:
    for kind in JOB_KINDS:
        options = [word for one in kind.options for word in (one, "a value")]
        joined = [f"{one}=value" for one in kind.options]
        assert kind_of([*kind.words, *options, *kind.arguments, *kind.flags]) is kind
        assert kind_of([*kind.words, *kind.arguments, *joined]) is kind
