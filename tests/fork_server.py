"""Programs of ours by fork from one process of the worker that has read all modules already.

Three fifths of the time of a test that starts an engine, and nine tenths of one that asks the
command line, went into reading modules, the same ones each time. What is forked is a process like
any other: its own session, folder, environment and output, the same command line run by the same
function, killed, frozen and waited for by its pid. What only a start by `exec` shows (the command
itself, what `/proc` says of it, which code it reads) is asked in tests/journeys, in
tests/peakctl/test_supervisor.py, test_demo.py and drills, by `real_cli` and `Field(by_exec=True)`.

    python -P -m tests.fork_server SOCKET-DESCRIPTOR STATUS-FOLDER engine sandbox

The last two words are what the supervisor looks for on the command line of a process it adopts.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import json
import os
import pkgutil
import random
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any, NoReturn

from engine.unseen import plain_environment

ROOT = Path(__file__).parents[1]
#: What is read beforehand: these packages whole, and these modules (the screens are not).
_PACKAGES = ("engine", "config", "peakctl.client", "peakctl.commands")
_MODULES = ("peakctl.cli", "peakctl.doctor", "peakctl.founding", "peakctl.supervisor")
_MESSAGE_BYTES = 1 << 20


class Forked:
    """A forked process, as `subprocess.Popen` shows one."""

    def __init__(self, pid: int, status: Path, stdout: IO[bytes] | None) -> None:
        self.pid = pid
        self.stdout = stdout
        self.returncode: int | None = None
        self._status = status

    def poll(self) -> int | None:
        """The exit code, negative for a signal; None while it runs."""
        if self.returncode is None:
            with contextlib.suppress(FileNotFoundError):
                self.returncode = int(self._status.read_text())
                self._status.unlink()
        return self.returncode

    def wait(self, timeout: float = 30) -> int:
        """Wait for the end. Raises TimeoutError."""
        deadline = time.monotonic() + timeout
        while (code := self.poll()) is None:
            if time.monotonic() > deadline:
                raise TimeoutError(f"process {self.pid} has not ended")
            time.sleep(0.005)
        return code

    def kill(self) -> None:
        """SIGKILL, where it still runs."""
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)


class ForkServer:
    """The worker's side: asks for processes."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="peakctl-forks-")
        self._lock = threading.Lock()
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._server = subprocess.Popen(
                [
                    *(sys.executable, "-P", "-m", "tests.fork_server"),
                    *(str(theirs.fileno()), self._folder.name, "engine", "sandbox"),
                ],
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                cwd=ROOT,
                env={**plain_environment(os.environ), "PYTHONPATH": str(ROOT)},
            )

    def close(self) -> None:
        """End the server; what it forked has been ended before."""
        self._socket.close()
        self._server.wait()
        self._folder.cleanup()

    def start(
        self,
        command: Sequence[str],
        *,
        cwd: Path,
        env: Mapping[str, str],
        stdout: int,
        stderr: int,
    ) -> Forked:
        """Fork `python -P -m MODULE ...` or `python -P -c CODE ...`; arguments as of Popen."""
        assert command[:2] == [sys.executable, "-P"], command
        ours, theirs = os.pipe() if stdout == subprocess.PIPE else (-1, stdout)
        request = {"command": list(command[2:]), "cwd": str(cwd), "env": dict(env)}
        try:
            with self._lock:
                socket.send_fds(self._socket, [json.dumps(request).encode()], [theirs, stderr])
                answer = self._socket.recv(_MESSAGE_BYTES)
        finally:
            if ours >= 0:
                os.close(theirs)
        assert answer, "the fork server is gone"
        pid = int(answer)
        pipe = os.fdopen(ours, "rb", buffering=0) if ours >= 0 else None
        return Forked(pid, Path(self._folder.name, str(pid)), pipe)

    def run(
        self, command: Sequence[str], *, cwd: Path, env: Mapping[str, str], timeout: float = 60
    ) -> subprocess.CompletedProcess[str]:
        """Fork, wait, and give what was said, as `subprocess.run(capture_output=True)` does."""
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            process = self.start(
                command, cwd=cwd, env=env, stdout=out.fileno(), stderr=err.fileno()
            )
            try:
                code = process.wait(timeout)
            except BaseException:
                process.kill()
                raise
            said = [file.seek(0) or file.read().decode() for file in (out, err)]
        return subprocess.CompletedProcess(list(command), code, *said)


_server: list[ForkServer] = []


def fork_server() -> ForkServer:
    """The worker's server, started when it is first asked for; it ends with the worker."""
    if not _server:
        _server.append(ForkServer())
        atexit.register(_server[0].close)
    return _server[0]


# --- the server -----------------------------------------------------------------------------------


def _serve(control: socket.socket, folder: Path) -> None:
    awake, wake = os.pipe()
    for end in (awake, wake):
        os.set_blocking(end, False)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    while True:
        readable, _, _ = select.select([control, awake], [], [])
        if awake in readable:
            with contextlib.suppress(BlockingIOError):
                os.read(awake, 4096)
            _bury(folder)
        if control in readable:
            content, descriptors, _, _ = socket.recv_fds(control, _MESSAGE_BYTES, 2)
            if not content:
                return
            pid = os.fork()
            if pid == 0:
                signal.set_wakeup_fd(-1)
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                signal.signal(signal.SIGINT, signal.default_int_handler)
                for descriptor in (awake, wake, control.detach()):
                    os.close(descriptor)
                _become(json.loads(content), descriptors)
            for descriptor in descriptors:
                os.close(descriptor)
            control.send(str(pid).encode())


def _bury(folder: Path) -> None:
    """Keep the exit codes of those that have ended where `Forked` looks for them."""
    with contextlib.suppress(ChildProcessError):
        while (ended := os.waitpid(-1, os.WNOHANG))[0]:
            beside = folder / f"{ended[0]}.new"
            beside.write_text(str(os.waitstatus_to_exitcode(ended[1])))
            beside.rename(folder / str(ended[0]))


def _become(request: dict[str, Any], descriptors: Sequence[int]) -> NoReturn:
    """In the child: be the program that was asked for, and end as an interpreter ends."""
    code = 1
    try:
        os.setsid()
        os.chdir(request["cwd"])
        os.environ.clear()
        os.environ.update(request["env"])
        for target, descriptor in enumerate(descriptors, 1):
            os.dup2(descriptor, target)
            os.close(descriptor)
        random.seed()
        code = _run(request["command"])
    except BaseException:  # noqa: BLE001  (whatever it is, the child ends here as an interpreter does)
        traceback.print_exc()
    finally:
        with contextlib.suppress(BaseException):
            threading._shutdown()  # type: ignore[attr-defined]
            atexit._run_exitfuncs()
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def _run(command: Sequence[str]) -> int:
    kind, program, *arguments = command
    try:
        if kind == "-c":
            sys.argv = ["-c", *arguments]
            exec(compile(program, "<string>", "exec"), {"__name__": "__main__"})
        else:
            sys.argv = [program, *arguments]
            runpy.run_module(program, run_name="__main__", alter_sys=True)
    except SystemExit as end:
        if isinstance(end.code, int) or end.code is None:
            return end.code or 0
        sys.stderr.write(f"{end.code}\n")
        return 1
    return 0


def _main() -> None:
    control = socket.socket(fileno=int(sys.argv[1]))
    os.set_inheritable(control.fileno(), False)
    for name in _PACKAGES:
        room = importlib.import_module(name)
        for found in pkgutil.walk_packages(room.__path__, f"{name}."):
            importlib.import_module(found.name)
    for name in _MODULES:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()
    with control:
        _serve(control, Path(sys.argv[2]))
    os._exit(0)  # nothing here is worth an orderly end, which has libraries tell of their leaks


if __name__ == "__main__":
    _main()
