"""The engine's end of the watchdog: starts it, feeds it heartbeats, says bye, reads what it did.

The child is started with `exec` in a session of its own, so a signal to the engine's group does not
reach it. When it ends while the engine lives, it is started again and an alarm is raised.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from engine.contracts.canonical import canonical
from engine.diary import Diary
from engine.execution.kill.latch_file import LatchMark
from engine.execution.settle.settler import RaiseAlarm
from engine.execution.watchdog.process import WatchdogOrders
from engine.unseen import plain_environment

_log = Diary("watchdog")

_READY_SECONDS = 10.0
#: With -P: its folder is the workspace, and nothing is imported from there.
_PROCESS = "engine.execution.watchdog.process"
_BYE_SECONDS = 2.0


#: Told the status of a watchdog that ended by itself: exit code, or -signal.
Ended = Callable[[int], Awaitable[None]]


class WatchdogLink:
    """Keeps one watchdog process alive. `status` is `watching`, `starting` or `down`."""

    def __init__(
        self,
        orders: WatchdogOrders,
        heartbeat_ms: int,
        pid_path: Path,
        log_path: Path,
        raise_alarm: RaiseAlarm,
        ended: Ended,
        command: Sequence[str] = (sys.executable, "-P", "-m", _PROCESS),
    ) -> None:
        self._orders = orders
        self._heartbeat_seconds = heartbeat_ms / 1_000
        self._pid_path = pid_path
        self._log_path = log_path
        self._raise_alarm = raise_alarm
        self._ended = ended
        self._command = tuple(command)
        self._process: asyncio.subprocess.Process | None = None
        self.status = "down"

    async def start(self) -> bool:
        """Start the watchdog, then end an older one. True once the new one watches."""
        self.status = "starting"
        older = self._read_pid()
        log = os.open(self._log_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            process = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                start_new_session=True,
                env=plain_environment(os.environ),
            )
        finally:
            os.close(log)
        self._process = process
        watching = False
        if process.stdin is not None and process.stdout is not None:
            with contextlib.suppress(OSError, TimeoutError):
                process.stdin.write(canonical(self._orders) + b"\n")
                await process.stdin.drain()
                async with asyncio.timeout(_READY_SECONDS):
                    line = await process.stdout.readline()
                watching = line.strip() == b"watching"
        if not watching:
            # One that does not say so must not go on unseen beside the next one.
            await _status_of(process)
            self.status = "down"
            return False
        self._pid_path.write_text(f"{process.pid}\n", encoding="ascii")
        self._end_older(older)
        self.status = "watching"
        return True

    async def run(self) -> None:
        """Endless: one heartbeat per interval; a watchdog that ended is started again."""
        while True:
            await asyncio.sleep(self._heartbeat_seconds)
            process = self._process
            if process is not None and process.returncode is None and process.stdin is not None:
                with contextlib.suppress(OSError):
                    process.stdin.write(b"beat\n")
                    await process.stdin.drain()
                    continue
            self.status = "down"
            await self._ended(-1 if process is None else await _status_of(process))
            await self._raise_alarm("WATCHDOG_DOWN", "the watchdog process ended")
            await self.start()

    async def hold(self, mark: LatchMark) -> bool:
        """Hand over a latch that no disk took; it is held until one does. True once it is told."""
        process = self._process
        if process is None or process.returncode is not None or process.stdin is None:
            return False
        try:
            process.stdin.write(b"latch " + canonical(mark) + b"\n")
            await process.stdin.drain()
        except OSError:
            return False
        return True

    async def bye(self) -> None:
        """Tell the watchdog that the engine ends in an orderly way."""
        process = self._process
        if process is None or process.returncode is not None or process.stdin is None:
            return
        with contextlib.suppress(OSError, TimeoutError):
            process.stdin.write(b"bye\n")
            await process.stdin.drain()
            process.stdin.close()
            async with asyncio.timeout(_BYE_SECONDS):
                await process.wait()
        if process.returncode is None:
            process.kill()
            await process.wait()
        self._pid_path.unlink(missing_ok=True)

    def _read_pid(self) -> int | None:
        try:
            return int(self._pid_path.read_text(encoding="ascii"))
        except (FileNotFoundError, ValueError):
            return None

    def _end_older(self, pid: int | None) -> None:
        """End the watchdog of an engine that died: this one has taken over."""
        if pid is None or not _is_watchdog(pid):
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGTERM)
            _log.info("ended the older watchdog", pid=pid)


async def _status_of(process: asyncio.subprocess.Process) -> int:
    """How a process that no longer listens ended: exit code, or -signal. A hung one is ended."""
    try:
        async with asyncio.timeout(_BYE_SECONDS):
            return await process.wait()
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        return await process.wait()


def _is_watchdog(pid: int) -> bool:
    """A pid is reused sooner or later: only a process with our module on its line is ended."""
    try:
        line = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
    return b"engine.execution.watchdog.process" in line
