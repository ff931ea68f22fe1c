"""Finding and starting the processes of a workspace: the engine and, in dev, the sandbox.

Promises: a running engine is found again (pid file and a socket that answers) and never started
twice from here; a started one is its own session, so closing a terminal does not take it down; its
output goes to `.peakctl/log/`; if it dies while starting, its own one error line is what is shown.
Blocking, standard library only: it runs before the first paint.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from engine.contracts.errors import (
    EngineUnreachable,
    IntegrityError,
    PeakError,
    Refused,
    WorkspaceError,
    error_from_wire,
)
from engine.unseen import KEYRING, plain_environment
from peakctl.client.raw_http import exchange
from peakctl.workspace import Workspace

START_SECONDS = 30.0
STOP_SECONDS = 20.0
ANSWER_SECONDS = 2.0
_POLL_SECONDS = 0.02

#: How `peakctl` itself is run.
PEAKCTL = (sys.executable, "-P", "-m", "peakctl")

#: The module that the watchdog's process runs.
WATCHDOG = "engine.execution.watchdog.process"

_BY_EXIT: dict[int, type[PeakError]] = {1: IntegrityError, 2: WorkspaceError, 4: Refused}

#: Children that may outlive whoever started them; kept here so that the dead ones are reaped.
_CHILDREN: dict[int, subprocess.Popen[bytes]] = {}


@dataclass
class Supervisor:
    """The processes of one workspace. `overrides` are passed on to a process that is started.

    `program` is how `peakctl` itself is run; the name of the process and its arguments follow it.
    """

    workspace: Workspace
    overrides: Mapping[str, str] = field(default_factory=dict)
    program: Sequence[str] = PEAKCTL

    # --- engine ----------------------------------------------------------------------------

    def engine_state(self, seconds: float = ANSWER_SECONDS) -> dict[str, Any] | None:
        """The running engine's state document, or None when none answers."""
        try:
            status, content = exchange(
                self.workspace.socket, "GET", "/v1/state", time.monotonic() + seconds
            )
            document = json.loads(content)
        except (OSError, ValueError):
            return None
        return document if status == 200 and isinstance(document, dict) else None

    def engine_pid(self) -> int | None:
        """The pid in the pid file when that process is alive and is an engine of ours."""
        return _live_pid(_read_pid(self.workspace.engine_pid), "engine")

    def ensure_engine(self) -> int:
        """Return the pid of the engine that answers, starting the processes that are missing.

        Raises PeakError with the engine's own line when it does not come up.
        """
        state = self.engine_state()
        if state is not None:
            return int(state["engine"]["pid"])
        pid = self.engine_pid()
        if pid is not None:
            raise EngineUnreachable(
                what=f"the engine (pid {pid}) does not answer",
                where=str(self.workspace.socket),
                todo=f"`peakctl kill` stops the market without it; then end it with kill -9 {pid}",
            )
        self.ensure_sandbox()
        return self._start_engine()

    def _start_engine(self) -> int:
        log = self.workspace.log / "engine.log"
        offset = log.stat().st_size if log.exists() else 0
        with log.open("ab") as output:
            process = self._spawn("engine", [], output.fileno(), output.fileno())
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if process.poll() is not None:
                raise _death(process.returncode, log, offset)
            state = self.engine_state()
            if state is not None and state["engine"]["pid"] == process.pid:
                return process.pid
            time.sleep(_POLL_SECONDS)
        self._end(process.pid)
        raise EngineUnreachable(
            what=f"the engine was not ready within {START_SECONDS:.0f} s",
            where=str(log),
            todo="read the log",
        )

    def stop_engine(self, person: str, reason: str) -> None:
        """Ask the engine to stop and wait until it is gone. Raises its refusal (a session trades).

        An engine that does not answer gets SIGTERM.
        """
        state = self.engine_state()
        pid = int(state["engine"]["pid"]) if state is not None else self.engine_pid()
        if pid is None:
            return
        deadline = time.monotonic() + ANSWER_SECONDS
        body = {"person": person, "reason": reason}
        with contextlib.suppress(OSError):
            status, content = exchange(
                self.workspace.socket, "POST", "/v1/engine/stop", deadline, body
            )
            if status != 200:
                raise error_from_wire(json.loads(content).get("error", {}))
            if self._gone(pid, STOP_SECONDS):
                return
        self._end(pid)

    def end_all(self, person: str) -> None:
        """End engine, watchdog and sandbox of a throw-away workspace, asking first."""
        try:
            self.stop_engine(person, "the demo ends")
        except PeakError:
            pid = self.engine_pid()
            if pid is not None:
                self._end(pid)
        watchdog = _live_pid(_read_pid(self.workspace.run / "watchdog.pid"), WATCHDOG)
        if watchdog is not None:
            self._end(watchdog)
        self.stop_sandbox()

    # --- sandbox ---------------------------------------------------------------------------

    def ensure_sandbox(self) -> dict[str, Any] | None:
        """The ready line of the workspace's sandbox, started when it is wanted and not running.

        None where `sandbox.enabled` is false. Raises PeakError.
        """
        from config.settings import load  # noqa: PLC0415  (pydantic is slow to import)

        settings = load(self.workspace.root, os.environ, self.overrides).settings
        if not settings.sandbox.enabled:
            return None
        running = self.sandbox_ready()
        if running is not None:
            return running
        self.workspace.sandbox_ready.unlink(missing_ok=True)
        arguments = [
            f"--port={settings.sandbox.port}",
            f"--seed={settings.sandbox.seed}",
            f"--speed={settings.sandbox.speed}",
            f"--symbol={settings.venue.symbols[0]}",
        ]
        if settings.sandbox.replay:
            arguments.append(f"--replay={settings.sandbox.replay}")
        if settings.sandbox.scenario:
            arguments.append(f"--scenario={settings.sandbox.scenario}")
        if settings.sandbox.control:
            arguments.append("--control")
        return self._start_sandbox(arguments)

    def sandbox_ready(self) -> dict[str, Any] | None:
        """The kept ready line when that sandbox is alive and answers a ping, else None."""
        try:
            ready = json.loads(self.workspace.sandbox_ready.read_bytes())
            alive = _live_pid(int(ready["pid"]), "sandbox") is not None
            answers = alive and _pings(str(ready["rest"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return ready if answers and isinstance(ready, dict) else None

    def _start_sandbox(self, arguments: list[str]) -> dict[str, Any]:
        log = self.workspace.log / "sandbox.log"
        offset = log.stat().st_size if log.exists() else 0
        with log.open("ab") as output:
            process = self._spawn("sandbox", arguments, subprocess.PIPE, output.fileno())
        line = _first_line(process, time.monotonic() + START_SECONDS)
        if not line:
            self._end(process.pid)
            raise _death(process.wait(), log, offset)
        try:
            ready = {**json.loads(line), "pid": process.pid}
        except (ValueError, TypeError) as error:
            self._end(process.pid)
            raise WorkspaceError(
                what="the sandbox's first line was not its ready line", where=str(log)
            ) from error
        _write_private(self.workspace.sandbox_ready, json.dumps(ready).encode())
        return ready

    def stop_sandbox(self) -> None:
        """End the workspace's sandbox and forget its ready line."""
        try:
            ready = json.loads(self.workspace.sandbox_ready.read_bytes())
            pid = _live_pid(int(ready["pid"]), "sandbox")
        except (OSError, ValueError, KeyError, TypeError):
            pid = None
        if pid is not None:
            self._end(pid)
        self.workspace.sandbox_ready.unlink(missing_ok=True)

    # --- processes -------------------------------------------------------------------------

    def _spawn(
        self, name: str, arguments: list[str], output: int, errors: int
    ) -> subprocess.Popen[bytes]:
        command = [*self.program, name, *arguments]
        if name == "engine":
            command += [f"--workspace={self.workspace.root}"]
            command += [f"--set={key}={value}" for key, value in self.overrides.items()]
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=errors,
            start_new_session=True,
            cwd=self.workspace.root,
            env={**self._environment(name), "PYTHONPATH": import_path()},
        )
        _reap()
        _CHILDREN[process.pid] = process
        return process

    def _environment(self, name: str) -> dict[str, str]:
        """What the process needs: the exchange nothing of ours, the engine its own secrets only."""
        if name != "engine":
            return plain_environment(os.environ)
        from config.settings import load, secret_variables  # noqa: PLC0415

        settings = load(self.workspace.root, os.environ, self.overrides).settings
        own = ("PEAKCTL__*", "PEAKCTL_DEBUG", *secret_variables(settings), *KEYRING)
        return plain_environment(os.environ, own)

    def await_end(self, pid: int, seconds: float = STOP_SECONDS) -> bool:
        """Wait until a process is gone; False at the deadline."""
        return self._gone(pid, seconds)

    def _gone(self, pid: int, seconds: float) -> bool:
        """Wait for a process to end; children of ours are reaped."""
        deadline = time.monotonic() + seconds
        child = _CHILDREN.get(pid)
        while time.monotonic() < deadline:
            ended = child.poll() is not None if child is not None else not _alive(pid)
            if ended:
                _reap()
                return True
            time.sleep(_POLL_SECONDS)
        return False

    def _end(self, pid: int) -> None:
        """SIGTERM, then after a while SIGKILL, to one process that we started or found by file."""
        for number, seconds in ((signal.SIGTERM, 5.0), (signal.SIGKILL, 5.0)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
            if self._gone(pid, seconds):
                return


def _reap() -> None:
    """Forget children that have ended."""
    for pid in [pid for pid, child in _CHILDREN.items() if child.poll() is not None]:
        del _CHILDREN[pid]


def import_path() -> str:
    """Where this package lies, and nowhere else: a child imports the same code from any folder.

    What else the caller's PYTHONPATH names would stand before the installed packages, and no hash
    of ours is over it (I6).
    """
    return str(Path(__file__).resolve().parent.parent)


def _read_pid(path: Path) -> int | None:
    try:
        return int(path.read_text(encoding="ascii").split()[0])
    except (OSError, ValueError, IndexError):
        return None


def _live_pid(pid: int | None, word: str) -> int | None:
    """`pid` when it runs and is a peakctl process with `word` among its arguments."""
    if pid is None or pid <= 1 or not _alive(pid):
        return None
    try:
        arguments = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return None
    return pid if word.encode() in arguments else None


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    with contextlib.suppress(OSError):
        return b") Z" not in Path(f"/proc/{pid}/stat").read_bytes()
    return True


def _pings(rest: str) -> bool:
    parts = urlsplit(rest)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=2)
    try:
        connection.request("GET", "/api/v3/ping")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _first_line(process: subprocess.Popen[bytes], deadline: float) -> bytes:
    """The first line of a child's output; b"" when it ends or time is up before that."""
    received = b""
    if process.stdout is None:
        return received
    with selectors.DefaultSelector() as selector, process.stdout as pipe:
        selector.register(pipe, selectors.EVENT_READ)
        while b"\n" not in received:
            if not selector.select(max(0.0, deadline - time.monotonic())):
                return b""
            chunk = os.read(pipe.fileno(), 65536)
            if not chunk:
                return b""
            received += chunk
    return received.partition(b"\n")[0]


def _death(exit_code: int, log: Path, offset: int) -> PeakError:
    """The error that a child died of: its last `peakctl: ` line, as its exit code's class."""
    with log.open("rb") as handle:
        handle.seek(offset)
        lines = handle.read().decode("utf-8", "replace").splitlines()
    told = [line.removeprefix("peakctl: ") for line in lines if line.startswith("peakctl: ")]
    kind = _BY_EXIT.get(exit_code, EngineUnreachable)
    if told:
        return kind(what=told[-1])
    last = lines[-1] if lines else "it said nothing"
    return kind(what=f"ended with {exit_code} while starting ({last})", where=str(log))


def _write_private(path: Path, content: bytes) -> None:
    beside = path.with_name(f"{path.name}.new")
    beside.unlink(missing_ok=True)
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as handle:
        handle.write(content)
    beside.replace(path)
