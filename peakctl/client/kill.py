"""The kill request by hand: standard library, blocking, own connection, 500 ms in all.

Made for the terminal's input thread and for `peakctl kill`: it works while the event loop is
stuck, and imports nothing that could be slow (no aiohttp, no msgspec). It sends once and reads one
answer; whoever calls it falls back to the engine-less kill when it raises.
"""

from __future__ import annotations

import json
import socket
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.contracts.errors import EngineUnreachable, error_from_wire

TIMEOUT_SECONDS = 0.5
_MAX_REPLY = 4 * 1024 * 1024


@dataclass(frozen=True)
class KillAnswer:
    """The engine's answer: `state` as in KillView, `elapsed_ms` until it arrived."""

    state: str
    kill_id: str
    elapsed_ms: float
    reply: dict[str, Any]


def send_kill(
    socket_path: Path,
    *,
    person: str,
    reason: str,
    source: str,
    pressed_us: int | None = None,
    timeout_seconds: float = TIMEOUT_SECONDS,
) -> KillAnswer:
    """Send the kill and wait for the latch. Raises EngineUnreachable, or the engine's own error.

    `pressed_us` is when the key was read, µs UTC (now when None).
    """
    started = time.monotonic()
    deadline = started + timeout_seconds
    body = json.dumps(
        {
            "person": person,
            "reason": reason,
            "source": source,
            "pressed_us": time.time_ns() // 1000 if pressed_us is None else pressed_us,
        }
    ).encode("ascii")
    head = (
        "POST /v1/kill HTTP/1.1\r\nHost: engine\r\nConnection: close\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode("ascii")
    try:
        status, content = _exchange(socket_path, head + body, deadline)
        reply = json.loads(content)
    except (OSError, ValueError) as error:
        raise EngineUnreachable(
            what=f"no answer to the kill within {timeout_seconds * 1000:.0f} ms ({error})",
            where=str(socket_path),
            todo="use `peakctl kill`, which also works without the engine",
        ) from error
    if status != 200:
        raise error_from_wire(reply.get("error", {}))
    return KillAnswer(
        state=str(reply.get("state", "")),
        kill_id=str(reply.get("kill_id", "")),
        elapsed_ms=(time.monotonic() - started) * 1000,
        reply=reply,
    )


def _exchange(socket_path: Path, request: bytes, deadline: float) -> tuple[int, bytes]:
    """One HTTP/1.1 exchange; the reply must carry a Content-Length. Raises OSError, ValueError."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(_left(deadline))
        connection.connect(str(socket_path))
        connection.settimeout(_left(deadline))
        connection.sendall(request)
        received = b""
        while b"\r\n\r\n" not in received:
            received += _more(connection, deadline)
        head, _, content = received.partition(b"\r\n\r\n")
        status_line, *fields = head.decode("latin-1").split("\r\n")
        status = int(status_line.split(" ", 2)[1])
        headers = {
            name.strip().lower(): value.strip()
            for name, _, value in (field.partition(":") for field in fields)
        }
        length = int(headers["content-length"]) if "content-length" in headers else -1
        if not 0 <= length <= _MAX_REPLY:
            raise ValueError("reply without a usable length")
        while len(content) < length:
            content += _more(connection, deadline)
        return status, content[:length]


def _more(connection: socket.socket, deadline: float) -> bytes:
    connection.settimeout(_left(deadline))
    chunk = connection.recv(65536)
    if not chunk:
        raise ConnectionResetError("connection closed before the answer")
    return chunk


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError("time is up")
    return left
