"""A throw-away workspace with the real sandbox and engine as processes, and a session gone live.

Everything is ended by its own process id and the folder removed, however the benchmark ends.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec

from engine.contracts.event import Event, Recorded
from engine.contracts.view import StateView
from engine.journal.chain import decode_line
from peakctl.client.raw_http import exchange
from peakctl.demo_seats import Seat, seats
from peakctl.demo_session import LIMITS, Narrator, Story
from peakctl.founding import create_demo
from peakctl.tools import draft_charter
from peakctl.workspace import Workspace

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 120.0
_POLL_SECONDS = 0.002

CHARTER_LIMITS = msgspec.structs.replace(
    LIMITS,
    max_open_orders=500,
    max_orders_per_second=50,
    max_orders_per_minute=1000,
    max_orders_per_session=100_000,
    max_position=Decimal(2),
)


@dataclass
class Desk:
    """One workspace and its processes."""

    workspace: Workspace
    ready: dict[str, Any]
    _running: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start_engine(self, phase: str = "ready") -> tuple[int, float]:
        """Start the engine; (pid, seconds until it answers and has reached `phase`)."""
        begin = time.perf_counter()
        process = _spawn(
            ["engine", str(self.workspace.root), str(self.workspace.socket)],
            self.workspace.log / "engine.log",
        )
        self._running.append(process)
        while time.perf_counter() - begin < START_SECONDS:
            reached = self._phase(process.pid)
            if reached == "ready" or (reached and phase == "answers"):
                return process.pid, time.perf_counter() - begin
            if process.poll() is not None:
                break
            time.sleep(_POLL_SECONDS)
        log = (self.workspace.log / "engine.log").read_text(encoding="utf-8")
        told = [line for line in log.splitlines() if "leaked" not in line]
        raise RuntimeError("\n".join(("the engine did not start:", *told[-40:])))

    def _phase(self, pid: int) -> str:
        try:
            _status, content = exchange(
                self.workspace.socket, "GET", "/v1/state", time.monotonic() + 5
            )
            state = json.loads(content)
        except (OSError, ValueError):
            return ""
        return str(state["engine"]["phase"]) if state["engine"]["pid"] == pid else ""

    def stop_engine(self) -> None:
        """End the engine last started."""
        end(self._running.pop())

    def close(self) -> None:
        """End whatever still runs here, the engine's watchdog included."""
        while self._running:
            end(self._running.pop())
        pid_file = self.workspace.run / "watchdog.pid"
        with contextlib.suppress(OSError, ValueError):
            pid = int(pid_file.read_text(encoding="ascii").split()[0])
            if b"engine.execution.watchdog.process" in Path(f"/proc/{pid}/cmdline").read_bytes():
                os.kill(pid, 15)

    def account(self, name: str) -> tuple[str, str]:
        """API key and HMAC secret of one of the sandbox's accounts."""
        found = next(one for one in self.ready["accounts"] if one["name"] == name)
        return str(found["hmac"]["key"]), str(found["hmac"]["secret"])

    @property
    def rest(self) -> str:
        """The sandbox's REST address."""
        return str(self.ready["rest"])


@contextlib.contextmanager
def desk(*market: str) -> Iterator[Desk]:
    """A workspace with a running sandbox; the engine is started by whoever needs it.

    `market` may be "busy", see `wide`.
    """
    with tempfile.TemporaryDirectory(prefix="peakctl-bench-") as name:
        workspace = create_demo(Path(name) / "w")
        process = _spawn(
            ["sandbox", *market], workspace.log / "sandbox.log", output=subprocess.PIPE
        )
        made = Desk(workspace, {}, [process])
        try:
            assert process.stdout is not None, "the sandbox's output is a pipe"
            made.ready = {**json.loads(process.stdout.readline()), "pid": process.pid}
            workspace.sandbox_ready.write_text(json.dumps(made.ready), encoding="ascii")
            workspace.sandbox_ready.chmod(0o600)
            yield made
        finally:
            made.close()
            if process.stdout is not None:
                process.stdout.close()


class Silent(Narrator):
    """Tells nothing."""

    def tell(self, name: str, words: str, started: float) -> None:
        """Nothing."""


class WideStory(Story):
    """The demo's people, under wider limits."""

    async def charter(self) -> str:
        """As the demo's, with the benchmark's limits."""
        draft = draft_charter(self.workspace, self.operator.client.person)
        self._charter = msgspec.structs.replace(draft, limits=CHARTER_LIMITS, purpose="benchmark")
        await self.operator.client.charter(self._charter)
        await self.operator.client.start_checklist("benchmark")
        return ""


@contextlib.asynccontextmanager
async def live(place: Desk) -> AsyncIterator[tuple[Seat, StateView]]:
    """A session that is live, with both people attending: the operator's seat and the state."""
    async with seats(place.workspace) as (operator, reviewer):
        story = WideStory(place.workspace, Silent(), operator, reviewer)
        for step in (story.ready, story.charter, story.join, story.checklist, story.go):
            await step()
        yield operator, await operator.client.state()


def _spawn(arguments: list[str], log: Path, output: int | None = None) -> subprocess.Popen[bytes]:
    with log.open("ab") as errors:
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "tests.benchmarks.wide", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=errors if output is None else output,
            stderr=errors,
            start_new_session=True,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )


def end(process: subprocess.Popen[bytes]) -> None:
    """SIGTERM, and SIGKILL when that does not help."""
    process.terminate()
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(20)


def recorded(place: Desk, kinds: tuple[type[Event], ...]) -> list[Recorded]:
    """The journal's events of these kinds, read from its files."""
    tags = {str(kind.__struct_config__.tag).encode() for kind in kinds}
    lines = (
        line
        for path in sorted(place.workspace.journal.glob("*.jsonl"))
        for line in path.read_bytes().splitlines(keepends=True)
    )
    return [
        decode_line(line, "journal")[0]
        for line in lines
        if any(b'"kind":"' + tag + b'"' in line for tag in tags)
    ]
