"""Long work in a process of its own that outlives the terminal: starting, looking, stopping.

`.peakctl/jobs/ID/` holds `job.json`, `stdout` and `stderr`. One process writes `job.json`: the
job's keeper (`engine.ops.job_keeper`), at the start and at the end, each time whole. Whoever looks
judges by it and by the keeper's process, which is known by pid, start time and boot: a number that
the system gave to another process is not taken for it, and no signal goes there. A keeper that is
gone without having written the end leaves a job that is LOST: how it ended is not known and nothing
is made up.

A job is no event of trading and is not journaled: it starts one of our own commands
(`engine.ops.job_kinds`), which anybody may run at a terminal with the same effect, and what that
command does is journaled where it must be (a drill's result and a risk report by the engine, under
a name). What lies here is not evidence; the newest `KEPT` ended jobs are kept.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from pathlib import Path

import msgspec

from engine.contracts.errors import AnswerNo, InputError, NotProven, Refused, WorkspaceError
from engine.ops.job_kinds import kind_of

#: How many jobs may run at once, and how many ended ones are remembered.
RUNNING_MOST = 4
KEPT = 20

#: How long a keeper may take to come up, and to write its end after the last signal it sent.
START_SECONDS = 30.0
END_SECONDS = 5.0
POLL_SECONDS = 0.05

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_ID_LETTERS = frozenset("0123456789abcdef")
_TAIL_BYTES = 4096


class JobState(StrEnum):
    """Where a job stands."""

    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    STOPPED = "stopped"
    LOST = "lost"


class ProcessMark(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One process and no other: pid, start in clock ticks since boot, and which boot."""

    pid: int
    start_ticks: int
    boot_id: str

    def alive(self) -> bool:
        """Whether this very process still runs; one that only waits to be reaped does not."""
        return mark_of(self.pid) == self

    def send(self, number: signal.Signals) -> bool:
        """Send a signal to this process; False when it is gone. Never reaches another one."""
        try:
            handle = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return False
        try:
            if not self.alive():
                return False
            signal.pidfd_send_signal(handle, number)
        except ProcessLookupError:
            return False
        finally:
            os.close(handle)
        return True


class JobRecord(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the keeper writes. `exit_code` is negative for a signal; times are wall, µs, UTC.

    `stopped_with` is the last signal that was sent because somebody asked for the end, else "".
    """

    id: str
    command: tuple[str, ...]
    keeper: ProcessMark
    started_us: int
    grace_seconds: int
    ended_us: int | None = None
    exit_code: int | None = None
    stopped_with: str = ""


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """One job as it stands now; `said` is the last line that it printed."""

    record: JobRecord
    state: JobState
    said: str = ""


def mark_of(pid: int) -> ProcessMark | None:
    """The mark of a process, None when there is none with this pid (proc(5), fields 3 and 22)."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
        boot_id = _BOOT_ID.read_text(encoding="ascii").strip()
    except OSError:
        return None
    # The name in field 2 may hold anything, spaces and brackets too: count behind its last one.
    fields = stat.rpartition(b")")[2].split()
    if fields[0] in {b"Z", b"X"}:
        return None
    return ProcessMark(pid=pid, start_ticks=int(fields[19]), boot_id=boot_id)


def write_record(folder: Path, record: JobRecord) -> None:
    """Write `job.json` whole or not at all. Raises OSError."""
    draft = folder / "job.json.partial"
    draft.write_bytes(msgspec.json.encode(record) + b"\n")
    draft.replace(folder / "job.json")


class Jobs:
    """The jobs below one folder, `.peakctl/jobs`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def start(
        self, words: Sequence[str], program: Sequence[str], cwd: Path, environ: Mapping[str, str]
    ) -> str:
        """Start `program` with a command line of the table and return the job's id.

        It runs in `cwd` with the variables of `environ` and no others, without a terminal. Raises
        InputError for what is no job, Refused when too many run, WorkspaceError.
        """
        kind = kind_of(words)
        with self._alone():
            running = self._forget_old()
            if running >= RUNNING_MOST:
                raise Refused(
                    what=f"{running} jobs are running, that is as many as may",
                    where="job run",
                    todo="wait for one, or `peakctl job stop ID`",
                )
            job_id = secrets.token_hex(4)
            folder = self._folder / job_id
            folder.mkdir(mode=0o700)
            terms = (str(folder), str(kind.nice), str(kind.grace_seconds), str(len(program)))
            keeper = [sys.executable, "-P", "-m", "engine.ops.job_keeper", *terms]
            _run_keeper([*keeper, *program, *words], folder, cwd, environ)
        return job_id

    def all(self) -> list[Job]:
        """Every job, the newest first. Raises WorkspaceError."""
        found = [self._seen(folder) for folder in self._folders()]
        return sorted(
            (one for one in found if one is not None),
            key=lambda one: one.record.started_us,
            reverse=True,
        )

    def one(self, job_id: str) -> Job:
        """One job as it stands. Raises InputError."""
        named = bool(job_id) and set(job_id) <= _ID_LETTERS
        found = self._seen(self._folder / job_id) if named else None
        if found is None:
            raise InputError(
                what=f"no job {job_id[:40]!r}", where="job", todo="see `peakctl job list`"
            )
        return found

    def output_of(self, job_id: str) -> tuple[Path, Path]:
        """Where its standard output and standard error lie. Raises InputError."""
        folder = self._folder / self.one(job_id).record.id
        return folder / "stdout", folder / "stderr"

    def stop(self, job_id: str) -> Job:
        """End a running job: SIGTERM, after its grace SIGKILL; returns it ended.

        Raises AnswerNo when it is not running, NotProven when it does not end.
        """
        job = self.one(job_id)
        if job.state is not JobState.RUNNING:
            raise AnswerNo(what=f"is not running, it is {job.state}", where=f"job {job_id}")
        job.record.keeper.send(signal.SIGTERM)
        deadline = time.monotonic() + job.record.grace_seconds + END_SECONDS
        while time.monotonic() < deadline:
            job = self.one(job_id)
            if job.state is not JobState.RUNNING:
                return job
            time.sleep(POLL_SECONDS)
        raise NotProven(
            what="was asked to end and has not ended",
            where=f"job {job_id}",
            todo=f"see `peakctl job list`; its keeper is pid {job.record.keeper.pid}",
        )

    def _seen(self, folder: Path) -> Job | None:
        """A job as it stands; None while there is no record of it."""
        record = _read(folder)
        if record is None:
            return None
        alive = record.ended_us is None and record.keeper.alive()
        if record.ended_us is None and not alive:
            # It may have written its end and left between the two looks.
            record = _read(folder) or record
        return Job(record=record, state=_state(record, alive=alive), said=_last_line(folder))

    def _folders(self) -> list[Path]:
        try:
            return [path for path in self._folder.iterdir() if path.is_dir()]
        except FileNotFoundError:
            return []

    def _forget_old(self) -> int:
        """Remove what is past `KEPT` and what never came up; returns how many run."""
        jobs = self.all()
        running = {one.record.id for one in jobs if one.state is JobState.RUNNING}
        ended = [one.record.id for one in jobs if one.record.id not in running]
        kept = {*running, *ended[: KEPT - 1]}
        for folder in self._folders():
            if folder.name not in kept:
                shutil.rmtree(folder)
        return len(running)

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """One start at a time: who counts, counts right, and what has no record is no start."""
        self._folder.mkdir(mode=0o700, exist_ok=True)
        handle = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)


def _run_keeper(
    command: Sequence[str], folder: Path, cwd: Path, environ: Mapping[str, str]
) -> None:
    """Start the keeper; it has left this process behind and written its record on return."""
    with (folder / "stderr").open("ab") as errors:
        try:
            came_up = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                cwd=cwd,
                env=environ,
                timeout=START_SECONDS,
                check=False,
            )
            fault = "" if came_up.returncode == 0 else _last_line(folder) or "it said nothing"
        except subprocess.TimeoutExpired:
            fault = f"not within {START_SECONDS:.0f} s"
    if fault:
        shutil.rmtree(folder)
        raise WorkspaceError(what=f"the job did not come up: {fault}", where="job run")


def _read(folder: Path) -> JobRecord | None:
    path = folder / "job.json"
    try:
        return msgspec.json.decode(path.read_bytes(), type=JobRecord)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except msgspec.MsgspecError as error:
        raise WorkspaceError(
            what=f"not a job's record ({error})", where=str(path), todo="delete its folder"
        ) from error


def _state(record: JobRecord, *, alive: bool) -> JobState:
    if record.ended_us is None:
        return JobState.RUNNING if alive else JobState.LOST
    if record.exit_code == 0:
        return JobState.DONE
    return JobState.STOPPED if record.stopped_with else JobState.FAILED


def _last_line(folder: Path) -> str:
    """The last line that was printed, on whichever of the two was written last; "" for none."""
    written = [path for path in (folder / "stdout", folder / "stderr") if _size(path)]
    if not written:
        return ""
    with max(written, key=lambda path: path.stat().st_mtime_ns).open("rb") as file:
        file.seek(-min(_TAIL_BYTES, os.fstat(file.fileno()).st_size), os.SEEK_END)
        lines = file.read().decode("utf-8", "replace").split("\n")
    return next((line for line in reversed(lines) if line.strip()), "")


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
