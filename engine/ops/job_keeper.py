"""The keeper of one job: `python -m engine.ops.job_keeper FOLDER NICE GRACE WORDS COMMAND…`.

It leaves the terminal (a session of its own, reaped by init), starts the command in a process group
of its own, writes `job.json`, waits, and writes how it ended: the exit code is the one the kernel
told the parent. SIGTERM to the keeper is the question to stop: the group gets SIGTERM, after GRACE
seconds SIGKILL, and the record says which was the last. The command gets SIGTERM as well when the
keeper itself is killed, so that nothing runs on that nobody looks after.

WORDS is how many words of COMMAND are the program; the others are the command line that the record
tells. It holds no secret and asks nobody.
"""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

import msgspec

from engine.ops.jobs import JobRecord, mark_of, write_record

#: What the command's process does before it becomes the command: it asks for SIGTERM when its
#: parent, the keeper, dies (1 is PR_SET_PDEATHSIG of <linux/prctl.h>, kept over exec), and ends at
#: once if that has happened already.
_TIED = f"""
import ctypes, os, sys
ctypes.CDLL(None).prctl(1, {signal.SIGTERM.value})
if os.getppid() != int(sys.argv[1]):
    sys.exit({128 + signal.SIGTERM.value})
os.execv(sys.argv[2], sys.argv[2:])
"""


class _Stopper:
    """The handlers of SIGTERM and of the alarm behind it, for one command."""

    def __init__(self, grace_seconds: int) -> None:
        self.stopped_with = ""
        self._grace_seconds = grace_seconds
        self._asked = False
        self._command: subprocess.Popen[bytes] | None = None
        signal.signal(signal.SIGTERM, self._ask)
        signal.signal(signal.SIGALRM, self._force)

    def holds(self, command: subprocess.Popen[bytes]) -> None:
        """From here on there is a command to stop; stop it when that was asked already."""
        self._command = command
        if self._asked:
            self._ask(signal.SIGTERM, None)

    def _ask(self, _number: int, _frame: FrameType | None) -> None:
        self._asked = True
        if self._command is not None:
            self._send(self._command, signal.SIGTERM)
            signal.alarm(self._grace_seconds)

    def _force(self, _number: int, _frame: FrameType | None) -> None:
        if self._command is not None:
            self._send(self._command, signal.SIGKILL)

    def _send(self, command: subprocess.Popen[bytes], number: signal.Signals) -> None:
        if command.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(command.pid, number)
                self.stopped_with = number.name


def keep(folder: Path, nice: int, grace_seconds: int, words: int, command: Sequence[str]) -> None:
    """Run the command to its end and leave the record of it; says "up" on standard output."""
    os.nice(nice)
    stopper = _Stopper(grace_seconds)
    if not os.access(command[0], os.X_OK):
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), command[0])
    with (folder / "stdout").open("ab") as output, (folder / "stderr").open("ab") as errors:
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _TIED, str(os.getpid()), *command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=errors,
            process_group=0,
        )
    stopper.holds(process)
    me = mark_of(os.getpid())
    if me is None:
        process.kill()
        raise OSError("this process is not in /proc")
    record = JobRecord(
        id=folder.name,
        command=tuple(command[words:]),
        keeper=me,
        started_us=time.time_ns() // 1000,
        grace_seconds=grace_seconds,
    )
    try:
        write_record(folder, record)
    except OSError:
        process.kill()
        raise
    os.write(sys.stdout.fileno(), b"up")
    _leave_standard_output()
    exit_code = process.wait()
    signal.alarm(0)
    ended = msgspec.structs.replace(
        record,
        ended_us=time.time_ns() // 1000,
        exit_code=exit_code,
        stopped_with=stopper.stopped_with,
    )
    write_record(folder, ended)


def _leave_standard_output() -> None:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def main(arguments: Sequence[str]) -> int:
    """Leave whoever called; 0 to the caller once the record is written, 1 when it is not."""
    folder, nice, grace_seconds, words, *command = arguments
    up, told = os.pipe()
    # A fresh process of one thread with nothing of the engine's open: the only fork of ours.
    if os.fork():
        os.close(told)
        return 0 if os.read(up, 1) else 1
    os.close(up)
    os.dup2(told, sys.stdout.fileno())
    os.close(told)
    os.setsid()
    keep(Path(folder), int(nice), int(grace_seconds), int(words), command)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
