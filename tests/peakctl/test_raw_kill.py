"""The raw kill client against a real Unix server: one request, one deadline, no heavy import."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from engine.contracts.errors import EngineUnreachable, Refused
from peakctl.client.kill import send_kill

Answer = Callable[[socket.socket], None]


@contextmanager
def serving(path: Path, answer: Answer) -> Iterator[list[bytes]]:
    """A server for one connection; collects the request's bytes, then answers."""
    requests: list[bytes] = []
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            received = b""
            while not received.endswith(b"\n"):
                received += connection.recv(65536)
            requests.append(received)
            answer(connection)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield requests
    finally:
        listener.close()


def reply(status: int, body: dict[str, object], cut: int = 0) -> Answer:
    sent = json.dumps({"status": status, "body": body}).encode() + b"\n"

    def answer(connection: socket.socket) -> None:
        for start in range(0, len(sent) - cut, 40):
            connection.sendall(sent[start : min(start + 40, len(sent) - cut)])

    return answer


def press(path: Path, seconds: float = 5.0) -> object:
    return send_kill(path, person="alice", reason="r", source="test", timeout_seconds=seconds)


def test_the_request_names_person_reason_source_and_the_time_of_the_press(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with serving(path, reply(200, {"state": "LATCHED", "kill_id": "k1"})) as requests:
        answer = send_kill(path, person="alice", reason="now", source="f9", pressed_us=7)
    body = {"person": "alice", "reason": "now", "source": "f9", "pressed_us": 7}
    assert json.loads(requests[0]) == {"route": "kill", "body": body}
    assert (answer.state, answer.kill_id) == ("LATCHED", "k1")


def test_a_refusal_arrives_as_the_class_that_was_raised(tmp_path: Path) -> None:
    wire = Refused(what="no", where="kill", code="X").to_wire()
    with (
        serving(tmp_path / "s", reply(403, {"error": wire})),
        pytest.raises(Refused, match="kill: no"),
    ):
        press(tmp_path / "s")


def test_an_engine_that_hangs_is_given_up_at_the_deadline(tmp_path: Path) -> None:
    over = threading.Event()
    with serving(tmp_path / "s", lambda _connection: over.wait(20) and None):
        started = time.monotonic()
        with pytest.raises(EngineUnreachable, match="within 200 ms"):
            press(tmp_path / "s", 0.2)
        assert time.monotonic() - started < 5
        over.set()


@pytest.mark.parametrize(
    "answer",
    [
        reply(200, {"state": "LATCHED"}, cut=3),
        lambda connection: connection.sendall(b'{"body":{}}\n'),
        lambda connection: connection.sendall(b'{"status":200,"body":[]}\n'),
        lambda connection: connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n{}\n"),
        lambda connection: connection.sendall(b"{{{\n"),
        lambda connection: None,
    ],
    ids=["cut", "no-status", "no-object", "http", "no-json", "closed"],
)
def test_an_answer_that_is_none_counts_as_unreachable(tmp_path: Path, answer: Answer) -> None:
    with serving(tmp_path / "s", answer), pytest.raises(EngineUnreachable):
        press(tmp_path / "s")


def test_no_socket_is_unreachable(tmp_path: Path) -> None:
    with pytest.raises(EngineUnreachable) as caught:
        press(tmp_path / "missing")
    assert caught.value.exit_code == 5


def test_the_kill_client_imports_nothing_slow() -> None:
    program = (
        "import sys, peakctl.client.kill\n"
        "slow = ('aiohttp', 'msgspec', 'pydantic', 'textual', 'asyncio')\n"
        "print([name for name in slow if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
