"""One exchange over a Unix socket: standard library, blocking, with one deadline for all of it.

For callers that must not wait for an event loop or for imports: the supervisor, in HTTP/1.1, and
the kill key, in the engine's JSON lines (`engine.command_line`), of which less has to be parsed.
"""

from __future__ import annotations

import json
import socket
import struct
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_MAX_REPLY = 64 * 1024 * 1024
_PEER = struct.Struct("3i")
_ROOT = 0
#: The hidden folder of a workspace.
_STATE = ".peakctl"


def exchange(
    socket_path: Path,
    method: str,
    path: str,
    deadline: float,
    body: Mapping[str, object] | None = None,
) -> tuple[int, bytes]:
    """Send one request, return status and content. `deadline` is on the monotonic clock, seconds.

    The reply must carry a Content-Length. Raises OSError (TimeoutError too) and ValueError.
    """
    content = b"" if body is None else json.dumps(body).encode("ascii")
    head = (
        f"{method} {path} HTTP/1.1\r\nHost: engine\r\nConnection: close\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
    ).encode("ascii")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(_left(deadline))
        connection.connect(str(socket_path))
        connection.settimeout(_left(deadline))
        connection.sendall(head + content)
        return _read_reply(connection, deadline)


def ask_line(
    socket_path: Path, route: str, deadline: float, body: Mapping[str, object]
) -> tuple[int, dict[str, Any]]:
    """Ask by one JSON line, once; status and body of the answer. Deadline and errors as above."""
    # As the engine would write it: then it need not look for fields that stand twice.
    text = json.dumps({"route": route, "body": body}, separators=(",", ":"))
    question = text.encode("ascii") + b"\n"
    received = b""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(_left(deadline))
        connection.connect(str(socket_path))
        connection.sendall(question)
        _refuse_impostor(connection, socket_path)
        while not received.endswith(b"\n"):
            received += _more(connection, deadline)
            if len(received) > _MAX_REPLY:
                raise ValueError("a reply without an end")
    match json.loads(received):
        case {"status": int(status), "body": dict(answer)}:
            return status, answer
    raise ValueError("the reply is no line of the engine's")


def _refuse_impostor(connection: socket.socket, socket_path: Path) -> None:
    """Raise PermissionError unless the workspace's owner, or root, listens.

    A kill believes nobody else that it was done. Who may write a folder may put a socket there;
    who listens on it is the kernel's word.
    """
    _, uid, _ = _PEER.unpack(
        connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size)
    )
    hidden = socket_path.parent.parent
    root = hidden.parent if hidden.name == _STATE else socket_path.parent
    if uid not in {root.stat().st_uid, _ROOT}:
        raise PermissionError(1, f"Unix user {uid} listens there, not the workspace's owner")


def _read_reply(connection: socket.socket, deadline: float) -> tuple[int, bytes]:
    received = b""
    while b"\r\n\r\n" not in received:
        received += _more(connection, deadline)
    head, _, content = received.partition(b"\r\n\r\n")
    status_line, *fields = head.decode("latin-1").split("\r\n")
    headers = {
        name.strip().lower(): value.strip()
        for name, _, value in (field.partition(":") for field in fields)
    }
    length = int(headers["content-length"]) if "content-length" in headers else -1
    if not 0 <= length <= _MAX_REPLY:
        raise ValueError("reply without a usable length")
    chunks, missing = [content], length - len(content)
    while missing > 0:
        chunks.append(_more(connection, deadline))
        missing -= len(chunks[-1])
    status = status_line.split(" ", 2)[1:2]
    return int(status[0] if status else ""), b"".join(chunks)[:length]


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
