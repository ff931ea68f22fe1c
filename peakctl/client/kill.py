"""The kill request by hand: standard library, blocking, own connection, 500 ms in all.

Made for the terminal's input thread and for `peakctl kill`: it works while the event loop is
stuck, and imports nothing that could be slow (no aiohttp, no msgspec). It sends once and reads one
answer; whoever calls it falls back to the engine-less kill when it raises.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.contracts.errors import EngineUnreachable, error_from_wire
from peakctl.client.raw_http import ask_line

TIMEOUT_SECONDS = 0.5


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
    body = {
        "person": person,
        "reason": reason,
        "source": source,
        "pressed_us": time.time_ns() // 1000 if pressed_us is None else pressed_us,
    }
    try:
        status, reply = ask_line(socket_path, "kill", deadline, body)
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
