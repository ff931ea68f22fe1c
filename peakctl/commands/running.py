"""Running a command: coroutines to their end, every error to one line and its exit code."""

from __future__ import annotations

import asyncio
import errno
import io
import os
import signal
import sys
import traceback
from collections.abc import Callable, Coroutine
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn, TypeVar

from engine.contracts.errors import PeakError, WorkspaceError
from peakctl.commands.output import complain
from peakctl.crash import crash_line, without_secrets

_T = TypeVar("_T")


def run(work: Coroutine[Any, Any, _T]) -> _T:
    """Run one coroutine to its end."""
    return asyncio.run(work)


def leave_in_order() -> None:
    """Let SIGTERM and SIGHUP end this process the ordinary way, with all that it has started."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _leave)


def _leave(number: int, _frame: FrameType | None) -> NoReturn:
    raise SystemExit(128 + number)


#: What the machine or whoever called refuses, and no code of ours could help.
_NOT_OURS = {errno.EDQUOT, errno.EIO, errno.ELOOP, errno.ENAMETOOLONG, errno.ENOSPC, errno.EROFS}


def guarded(call: Callable[[], int], *, debug: bool) -> int:
    """Run a whole command line and turn whatever goes wrong into a line and an exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # what a terminal's coding lacks is shown escaped
            stream.reconfigure(errors="backslashreplace")
    try:
        return call()
    except PeakError as error:
        if debug:
            _print_trace()
        for line in getattr(error, "problems", (error.line(),)):
            complain(without_secrets(line))
        return error.exit_code
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE
    except Exception as error:  # noqa: BLE001  (the last line of defence: told, kept, exit 1)
        if debug:
            _print_trace()
        return _told(error)


def _told(error: Exception) -> int:
    """What has no type of ours: the machine's refusals by their place, else our own fault."""
    if isinstance(error, PermissionError):
        complain(f"{error.filename or 'this'}: {error.strerror}; ask its owner for access")
        return WorkspaceError.exit_code
    if isinstance(error, OSError) and error.errno in _NOT_OURS:
        complain(f"{str(error.filename or 'what is printed here')[:200]}: {error.strerror}")
        return WorkspaceError.exit_code
    complain(crash_line(error, _crash_folders()))
    return 1


def _print_trace() -> None:
    """The fault as Python tells it, without secrets."""
    sys.stderr.write(without_secrets(traceback.format_exc()))


def _crash_folders() -> list[Path]:
    """The log folder of the workspace in use."""
    named = _named_workspace(sys.argv[1:]) or os.environ.get("PEAKCTL_WORKSPACE", "")
    try:
        start = Path(named) if named else Path.cwd()
    except FileNotFoundError:  # the folder that we are in was removed
        return []
    return [start / ".peakctl" / "log"]


def _named_workspace(arguments: list[str]) -> str:
    for argument, following in zip(arguments, [*arguments[1:], ""], strict=False):
        if argument in {"--workspace", "-w"}:
            return following
        if argument.startswith("--workspace="):
            return argument.partition("=")[2]
    return ""
