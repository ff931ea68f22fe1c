"""The kill key on a real terminal: read and sent while the event loop is blocked."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import sys
import textwrap
import threading
from pathlib import Path

import pexpect
import pytest

PROGRAM = """
import sys, time, threading
from pathlib import Path
import peakctl.shell
from peakctl.app import ConsoleApp
from peakctl.workspace import Workspace
from textual.widgets import Input

marks = Path(sys.argv[2])

def mark(name):
    with marks.open("a") as file:
        file.write(name + "\\n")

class Blocked(ConsoleApp):
    def on_ready(self):
        self.set_timer(0.2, self.block)

    def block(self):
        {before}
        mark("blocked")
        {hold}
        mark("free")

app = Blocked(Workspace(Path(sys.argv[1])), "alice", None)
app.run()
"""
#: Holds the UI's event loop until the test makes the file `release`.
HOLD = "while not marks.with_name('release').exists(): time.sleep(0.005)"


class KillServer:
    """A Unix socket that answers the kill like the engine, and remembers the bodies."""

    def __init__(self, path: Path, marks: Path) -> None:
        self.bodies: list[dict[str, object]] = []
        self.arrived = threading.Semaphore(0)
        self._marks = marks
        self._server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._server.bind(str(path))
        self._server.listen(16)
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._server.accept()
            except OSError:
                return
            # One thread each, as the engine is: the console's other connection may stand open and
            # silent while its loop is blocked, and must not keep the kill waiting.
            threading.Thread(target=self._take, args=(connection,), daemon=True).start()

    def _take(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            self._answer(connection)

    def _answer(self, connection: socket.socket) -> None:
        received = b""
        while not received.endswith(b"\n"):
            chunk = connection.recv(65536)
            if not chunk:
                return
            received += chunk
            if not received.startswith(b"{") and b"\r\n\r\n" in received:
                # HTTP: somebody else than the kill key.
                connection.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
                return
        asked = json.loads(received)
        assert asked["route"] == "kill"
        with self._marks.open("a") as file:
            file.write("kill\n")
        self.bodies.append(asked["body"])
        self.arrived.release()
        # On a crowded machine the sender may have given up waiting; it comes again by itself.
        with contextlib.suppress(OSError):
            connection.sendall(b'{"status":200,"body":{"state":"LATCHED","kill_id":"k1"}}\n')

    def close(self) -> None:
        self._server.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / ".peakctl" / "run").mkdir(parents=True)
    return tmp_path


def start(
    folder: Path, before: str = "pass", hold: str = HOLD
) -> tuple[pexpect.spawn, KillServer, Path]:
    marks = folder / "marks"
    server = KillServer(folder / ".peakctl" / "run" / "engine.sock", marks)
    program = folder / "program.py"
    program.write_text(textwrap.dedent(PROGRAM).format(before=before, hold=hold))
    child = pexpect.spawn(
        sys.executable,
        [str(program), str(folder), str(marks)],
        dimensions=(24, 80),
        env={**os.environ, "TERM": "xterm-256color"},
        timeout=20,
    )
    return child, server, marks


def drain_until(child: pexpect.spawn, marks: Path, word: str) -> None:
    """Read what the terminal gets, so that it never blocks, until the mark is there."""
    for _ in range(400):
        with contextlib.suppress(pexpect.TIMEOUT):
            child.read_nonblocking(65536, timeout=0.05)
        if marks.exists() and word in marks.read_text().split():
            return
    raise AssertionError(f"no {word} in time: {child.before!r}")


@pytest.mark.parametrize("key", ["\x1b[20~", "\x18"], ids=["F9", "ctrl+x"])
@pytest.mark.parametrize(
    "before",
    ["pass", "self.screen.query(Input).first().focus()", "self.action_help()"],
    ids=["screen", "input focused", "modal"],
)
def test_kill_leaves_while_the_event_loop_is_blocked(folder: Path, key: str, before: str) -> None:
    child, server, marks = start(folder, before)
    try:
        drain_until(child, marks, "blocked")
        child.send(key)
        assert server.arrived.acquire(timeout=10)
        assert "free" not in marks.read_text().split()  # sent, and still blocked
        (folder / "release").touch()
        drain_until(child, marks, "free")
        body = server.bodies[0]
        assert body["person"] == "alice"
        assert body["source"] == "operator-key"
        assert isinstance(body["pressed_us"], int)
    finally:
        child.close(force=True)
        server.close()


def test_every_press_is_sent(folder: Path) -> None:
    child, server, marks = start(folder)
    try:
        drain_until(child, marks, "blocked")
        for _ in range(5):
            child.send("\x1b[20~")
        for _ in range(5):
            assert server.arrived.acquire(timeout=10)
        assert len(server.bodies) == 5
        assert "free" not in marks.read_text()
    finally:
        child.close(force=True)
        server.close()
