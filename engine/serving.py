"""One engine as a process: the control socket it listens on, its signals, its pid file, its end.

What may be asked on the socket is `engine.api`'s, and in one line `engine.command_line`'s. The
socket is ours alone (folder 0750, socket 0660), never TCP; the pid is written only when a signal
kills the market and no longer the process.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import signal
import stat
import sys
from collections.abc import Mapping
from pathlib import Path

import msgspec
import uvloop
from aiohttp import web

from engine.api import build, uid_of
from engine.command_line import CheckedBody, Commands, Front
from engine.contracts import requests as rq
from engine.contracts.errors import PeakError, WorkspaceError
from engine.diary import Diary
from engine.host import Host
from engine.ops.log import configure
from engine.setup import Setup, read_setup

_log = Diary("api")

#: Connections that may wait to be taken: a flood must not turn the next caller, a kill, away.
_BACKLOG = 4096
#: New objects between two looks of the collector at the youngest.
_COLLECT_OBJECTS = 20_000
#: A thread that computes lets another one run after so long.
_LOCK_WAIT_SECONDS = 0.0005


def _prepare_socket(path: Path) -> None:
    """Make the folder (0750) and remove the socket of an engine that died."""
    path.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
    with contextlib.suppress(FileNotFoundError):
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise WorkspaceError(what="is not a socket", where=str(path), todo="move it away")
        # The journal's lock is ours by now, so no other engine can be behind an old socket.
        path.unlink()


class Site(web.UnixSite):
    """The socket, with `Front` before aiohttp's own protocol."""

    def __init__(
        self, runner: web.AppRunner, path: Path, commands: Commands, checked: CheckedBody
    ) -> None:
        super().__init__(runner, str(path))
        self._commands = commands
        self._checked = checked
        self._fronts: set[Front] = set()

    async def start(self) -> None:
        """Listen. Raises OSError."""
        await web.BaseSite.start(self)
        server = self._runner.server
        assert server is not None, "the runner is set up before its sites"
        self._server = await asyncio.get_running_loop().create_unix_server(
            lambda: Front(self._commands, server, uid_of, self._fronts, self._checked),
            self._path,
            backlog=_BACKLOG,
        )

    async def stop(self) -> None:
        """Stop listening and hang up where nothing has been asked over HTTP."""
        for front in tuple(self._fronts):
            front.close()
        await super().stop()


async def listen(host: Host, path: Path) -> web.AppRunner:
    """Serve on the Unix socket: folder 0750, socket 0660. Raises WorkspaceError."""
    await asyncio.to_thread(_prepare_socket, path)
    runner = web.AppRunner(build(host), access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    commands: Commands = {
        "order/submit": (msgspec.json.Decoder(rq.OrderRequest), host.submit),
        "kill": (msgspec.json.Decoder(rq.KillRequest), host.kill),
    }
    try:
        await Site(runner, path, commands, host.setup.pasted.checked).start()
    except OSError as error:
        await runner.cleanup()
        raise WorkspaceError(
            what=f"cannot listen ({error.strerror or error})", where=str(path), todo="see doctor"
        ) from error
    await asyncio.to_thread(path.chmod, 0o660)
    return runner


async def serve(setup: Setup) -> None:
    """Run one engine until it is asked to stop. Raises PeakError when it cannot start."""
    host = Host(setup)
    await host.start()
    runner = await listen(host, setup.paths.socket)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, host.stopping.set)
    loop.add_signal_handler(signal.SIGHUP, lambda: None)
    loop.add_signal_handler(signal.SIGUSR1, host.kill_by_signal)
    # Only now: whoever reads the pid and sends the kill signal must not end us instead.
    await asyncio.to_thread(setup.paths.pid.write_text, f"{os.getpid()}\n", encoding="ascii")
    host.run_in_background()
    _calm_collector()
    try:
        await host.stopping.wait()
    finally:
        await host.stop()
        await runner.cleanup()
        for path in (setup.paths.pid, setup.paths.socket):
            await asyncio.to_thread(path.unlink, missing_ok=True)


def _calm_collector() -> None:
    """Let an order's own garbage go by itself, and do not look through what was loaded at start.

    With Python's default of 700 objects the collector runs several times on the way of one order.
    Cycles are still found, every few thousand events. And a kill or an order that arrives while a
    thread of the store computes does not wait for Python's default of 5 ms until it may run.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_COLLECT_OBJECTS, 10, 10)
    sys.setswitchinterval(_LOCK_WAIT_SECONDS)


def main(workspace: Path, socket: Path, overrides: Mapping[str, object] | None = None) -> int:
    """Run the engine of a workspace; returns the exit code. Errors are for the caller to print."""
    setup = read_setup(workspace, socket, overrides=overrides)
    log = configure(setup.paths.engine_log, setup.secrets())
    try:
        uvloop.run(serve(setup))
    except PeakError:
        _log.exception("engine not started")
        raise
    finally:
        log.close()
    return 0
