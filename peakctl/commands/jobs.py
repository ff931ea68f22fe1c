"""`peakctl job`: long work in a process of its own that goes on when this terminal is closed.

What may run is a table (`engine.ops.job_kinds`), typed as behind `peakctl`. `job run` prints the
id and nothing else; with --wait it prints what the job prints and ends with the job's exit code,
and Ctrl-C ends the waiting, not the job.
"""
# ruff: noqa: FBT002  (typer makes options of booleans with defaults)

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from engine.contracts.errors import InputError, NotProven
from peakctl.client.printable import printable
from peakctl.commands.options import JsonOption, WorkspaceOption, own
from peakctl.commands.output import complain, say, say_json, table

if TYPE_CHECKING:
    from typing import TextIO

    from engine.ops.jobs import Job, Jobs

#: What a job has of our own variables beside the plain ones: a name, and where sockets lie.
ALSO = ("PEAKCTL_PERSON", "XDG_RUNTIME_DIR")

IdArgument = Annotated[str, typer.Argument(metavar="ID", help="As `job run` printed it.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="Long work that outlives this terminal.")
    group.command("run", context_settings={"ignore_unknown_options": True})(run_)
    group.command("list")(list_)
    group.command("logs")(logs)
    group.command("stop")(stop)
    app.add_typer(group, name="job")


def _jobs(workspace: Path | None) -> Jobs:
    from engine.ops.jobs import Jobs  # noqa: PLC0415

    return Jobs(own(workspace).jobs)


def run_(
    command: Annotated[
        list[str] | None,
        typer.Argument(metavar="COMMAND", help="As typed behind peakctl; none lists what may run."),
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Stay until it has ended.")] = False,
    workspace: WorkspaceOption = None,
) -> int:
    """Start one of our own long commands as a job and print its id."""
    from engine.ops.job_kinds import JOB_KINDS  # noqa: PLC0415
    from engine.unseen import plain_environment  # noqa: PLC0415
    from peakctl.supervisor import PEAKCTL, import_path  # noqa: PLC0415

    if not command:
        say(*table((one.usage, one.about) for one in JOB_KINDS))
        return 0
    place = own(workspace)
    jobs = _jobs(place.root)
    environ = {
        **plain_environment(os.environ, ALSO),
        "PYTHONPATH": import_path(),
        "PEAKCTL_WORKSPACE": str(place.root),
    }
    job_id = jobs.start(command, PEAKCTL, Path.cwd(), environ)
    if not wait:
        say(job_id)
        return 0
    complain(f"job {job_id}; it goes on when you leave")
    _follow(jobs, job_id)
    job = jobs.one(job_id)
    if job.record.exit_code is None:
        raise NotProven(what="is lost: how it ended is not known", where=f"job {job_id}")
    return job.record.exit_code if job.record.exit_code >= 0 else 128 - job.record.exit_code


def list_(workspace: WorkspaceOption = None, json: JsonOption = False) -> int:
    """The jobs with their state, exit code and the last line that each has printed."""
    now_us = time.time_ns() // 1000
    rows = [_row(job, now_us) for job in _jobs(workspace).all()]
    if json:
        say_json(rows)
        return 0
    header = ("id", "state", "exit", "age", "ran", "command", "last line")
    cells = (
        (
            row["id"],
            row["state"],
            row["exit"],
            f"{row['age_seconds']} s",
            "-" if row["ran_seconds"] is None else f"{row['ran_seconds']} s",
            row["command"],
            row["said"][:80],
        )
        for row in rows
    )
    say(*(table(cells, header) if rows else ["none"]))
    return 0


def _row(job: Job, now_us: int) -> dict[str, Any]:
    """One job as a row: its age since the start, and how long it took or has taken."""
    record = job.record
    end_us = record.ended_us
    if job.state == "running":
        end_us = now_us
    return {
        "id": record.id,
        "state": job.state.value,
        "exit": _exit(record.exit_code),
        "exit_code": record.exit_code,
        "stopped_with": record.stopped_with,
        "started_us": record.started_us,
        "ended_us": record.ended_us,
        "age_seconds": _seconds(record.started_us, now_us),
        "ran_seconds": None if end_us is None else _seconds(record.started_us, end_us),
        "command": " ".join(record.command),
        "said": job.said,
    }


def _seconds(from_us: int, to_us: int) -> int:
    return max(0, to_us - from_us) // 1_000_000


def _exit(exit_code: int | None) -> str:
    """The exit code, or the name of the signal that ended it."""
    if exit_code is None:
        return "-"
    return str(exit_code) if exit_code >= 0 else signal.Signals(-exit_code).name


def logs(
    job_id: IdArgument,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Until it has ended.")] = False,
    workspace: WorkspaceOption = None,
    json: JsonOption = False,
) -> int:
    """What a job has printed: its output on standard output, its errors on standard error."""
    jobs = _jobs(workspace)
    if json:
        if follow:
            raise InputError(what="--follow has no end to print as JSON", where="job logs")
        output, errors = (_text(path) for path in jobs.output_of(job_id))
        say_json({"id": job_id, "state": jobs.one(job_id).state, "out": output, "err": errors})
    else:
        _follow(jobs, job_id, once=not follow)
    return 0


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")


def _follow(jobs: Jobs, job_id: str, *, once: bool = False) -> None:
    """Print what is printed there, line by line, until the job has ended."""
    from engine.ops.jobs import POLL_SECONDS, JobState  # noqa: PLC0415

    output, errors = jobs.output_of(job_id)
    with (
        output.open(encoding="utf-8", errors="replace", newline="\n") as said,
        errors.open(encoding="utf-8", errors="replace", newline="\n") as complained,
    ):
        streams = ((said, sys.stdout), (complained, sys.stderr))
        held = ["", ""]
        while True:
            # Looked at first: what it printed before its end is read after that.
            over = once or jobs.one(job_id).state is not JobState.RUNNING
            for number, (source, target) in enumerate(streams):
                held[number] = _pass_on(source, target, held[number], last=over)
            if over:
                return
            time.sleep(POLL_SECONDS)


def _pass_on(source: TextIO, target: TextIO, held: str, *, last: bool) -> str:
    """Print the whole lines there are; returns the beginning of the next one."""
    for piece in source:
        held += piece
        if held.endswith("\n"):
            target.write(printable(held[:-1]) + "\n")
            held = ""
    if last and held:
        target.write(printable(held) + "\n")
    target.flush()
    return held


def stop(job_id: IdArgument, workspace: WorkspaceOption = None) -> int:
    """End a running job: SIGTERM, and SIGKILL when it does not clean up in time; says which."""
    job = _jobs(workspace).stop(job_id)
    record = job.record
    if job.state == "lost":
        raise NotProven(what="is lost: how it ended is not known", where=f"job {job_id}")
    if job.state == "stopped":
        say(f"{job_id} was stopped with {record.stopped_with}, exit {_exit(record.exit_code)}")
    else:
        say(f"{job_id} had ended by itself: {job.state}, exit {_exit(record.exit_code)}")
    return 0
