"""Programs of ours by fork from one process of the worker that has read all modules already.

Three fifths of the time of a test that starts an engine, and nine tenths of one that asks the
command line, went into reading modules, the same ones each time. What is forked is a process like
any other: its own session, folder, environment and output, the same command line run by the same
function, killed, frozen and waited for by its pid. What only a start by `exec` shows (the command
itself, what `/proc` says of it, which code it reads) is asked in tests/journeys, in
tests/peakctl/test_supervisor.py, test_demo.py and drills, by `real_cli` and `Field(by_exec=True)`.

    python -P -m tests.fork_server FOLDER engine sandbox

The last two words are what the supervisor looks for on the command line of a process it adopts. The
server listens in the folder and keeps exit codes there; it ends with its standard input. Who was
forked by it can ask it in turn: a `peakctl drill` that was forked starts its engine by fork.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import io
import json
import os
import pkgutil
import random
import runpy
import select
import shutil
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
from peakctl.supervisor import _CHILDREN, Supervisor, _reap, import_path

ROOT = Path(__file__).parents[1]
#: What is read beforehand: these packages whole, and these modules (the screens are not).
_PACKAGES = ("engine", "config", "peakctl.client", "peakctl.commands")
_MODULES = ("peakctl.cli", "peakctl.doctor", "peakctl.founding", "peakctl.supervisor")
_MESSAGE_BYTES = 1 << 20
_SOCKET = "ask"
#: Which descriptor of the server listens.
_DESCRIPTOR = "FORK_SERVER_LISTENS"


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
    """Whoever asks the server in a folder for processes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._socket.connect(str(folder / _SOCKET))

    def close(self) -> None:
        """Hang up."""
        self._socket.close()

    def start(
        self,
        command: Sequence[str],
        *,
        cwd: Path,
        env: Mapping[str, str],
        stdout: int,
        stderr: int,
    ) -> Forked:
        """Fork `python -P ...`, of a module, a file or `-c` code; arguments as of Popen."""
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
        return Forked(pid, self._folder / str(pid), pipe)

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


_folder: list[Path] = []
_asked: dict[int, ForkServer] = {}


def fork_server() -> ForkServer:
    """This process's way to the worker's server, which is started when it is first asked for."""
    if os.getpid() not in _asked:
        if not _folder:
            _start_server()
        _asked[os.getpid()] = ForkServer(_folder[0])
    return _asked[os.getpid()]


def _start_server() -> None:
    """Start the server of this worker; it ends with it."""
    folder = Path(tempfile.mkdtemp(prefix="peakctl-forks-"))
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listening.bind(str(folder / _SOCKET))
    listening.listen(16)
    server = subprocess.Popen(
        [sys.executable, "-P", "-m", "tests.fork_server", str(folder), "engine", "sandbox"],
        stdin=subprocess.PIPE,
        pass_fds=[listening.fileno()],
        cwd=ROOT,
        env={
            **plain_environment(os.environ),
            "PYTHONPATH": str(ROOT),
            _DESCRIPTOR: str(listening.fileno()),
        },
    )
    listening.close()
    _folder.append(folder)

    def end() -> None:
        for ours in _asked.values():
            ours.close()
        if server.stdin is not None:
            server.stdin.close()
        server.wait()
        shutil.rmtree(folder)

    atexit.register(end)


def by_fork(
    supervisor: Supervisor, name: str, arguments: list[str], output: int, errors: int
) -> Any:
    """`Supervisor._spawn`, from the server."""
    command = [*supervisor.program, name, *arguments]
    if name == "engine":
        command += [f"--workspace={supervisor.workspace.root}"]
        command += [f"--set={key}={value}" for key, value in supervisor.overrides.items()]
    process = fork_server().start(
        command,
        stdout=output,
        stderr=errors,
        cwd=supervisor.workspace.root,
        env={**supervisor._environment(name), "PYTHONPATH": import_path()},
    )
    _reap()
    _CHILDREN[process.pid] = process  # type: ignore[assignment]
    return process


# --- the server -----------------------------------------------------------------------------------


def _serve(listening: socket.socket, folder: Path) -> None:
    awake, wake = os.pipe()
    for end in (awake, wake):
        os.set_blocking(end, False)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    asking: list[socket.socket] = []
    while True:
        readable, _, _ = select.select([0, awake, listening, *asking], [], [])
        if awake in readable:
            with contextlib.suppress(BlockingIOError):
                os.read(awake, 4096)
            _bury(folder)
        if 0 in readable:
            return  # the worker is gone
        if listening in readable:
            asking.append(listening.accept()[0])
        for one in [one for one in asking if one in readable]:
            if not _answer(one, folder, (awake, wake), (listening, *asking)):
                asking.remove(one)
                one.close()


def _answer(
    one: socket.socket, folder: Path, pipes: Sequence[int], sockets: Sequence[socket.socket]
) -> bool:
    """Fork what is asked for; False when nobody asks any more. The child keeps none of ours."""
    content, descriptors = b"", list[int]()
    with contextlib.suppress(ConnectionError):
        content, descriptors, _, _ = socket.recv_fds(one, _MESSAGE_BYTES, 2)
    if not content:
        return False
    pid = os.fork()
    if pid == 0:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        for descriptor in (*pipes, *(ours.detach() for ours in sockets)):
            os.close(descriptor)
        _become(json.loads(content), descriptors)
    (folder / str(pid)).unlink(missing_ok=True)  # an older process's, whose end nobody asked for
    for descriptor in descriptors:
        os.close(descriptor)
    with contextlib.suppress(ConnectionError):
        one.send(str(pid).encode())
    return True


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
        for target, descriptor in enumerate([os.open(os.devnull, os.O_RDONLY), *descriptors]):
            os.dup2(descriptor, target)
            os.close(descriptor)
        _speak_anew()
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


def _speak_anew() -> None:
    """Standard output and error as an interpreter opens them: what they lead to is another file."""
    out = io.FileIO(1, "w", closefd=False)
    err = io.FileIO(2, "w", closefd=False)
    sys.stdout = io.TextIOWrapper(io.BufferedWriter(out), "utf-8")
    sys.stderr = io.TextIOWrapper(
        io.BufferedWriter(err), "utf-8", errors="backslashreplace", line_buffering=True
    )


def _run(command: Sequence[str]) -> int:
    kind, program, *arguments = command
    try:
        if kind == "-c":
            sys.argv = ["-c", *arguments]
            exec(compile(program, "<string>", "exec"), {"__name__": "__main__"})
        elif kind == "-m":
            sys.argv = [program, *arguments]
            runpy.run_module(program, run_name="__main__", alter_sys=True)
        else:
            sys.argv = [kind, program, *arguments]
            runpy.run_path(kind, run_name="__main__")
    except SystemExit as end:
        if isinstance(end.code, int) or end.code is None:
            return end.code or 0
        sys.stderr.write(f"{end.code}\n")
        return 1
    return 0


def _main() -> None:
    folder = Path(sys.argv[1])
    listening = socket.socket(fileno=int(os.environ[_DESCRIPTOR]))
    os.set_inheritable(listening.fileno(), False)
    for name in _PACKAGES:
        room = importlib.import_module(name)
        for found in pkgutil.walk_packages(room.__path__, f"{name}."):
            importlib.import_module(found.name)
    for name in _MODULES:
        importlib.import_module(name)
    # Forked programs import this module by its name; here it is `__main__`.
    ours = importlib.import_module("tests.fork_server")
    ours._folder.append(folder)
    Supervisor._spawn = ours.by_fork  # type: ignore[method-assign]
    gc.collect()
    gc.freeze()
    _serve(listening, folder)
    os._exit(0)  # nothing here is worth an orderly end, which has libraries tell of their leaks


if __name__ == "__main__":
    _main()
