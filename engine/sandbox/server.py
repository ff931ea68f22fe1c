"""The sandbox as a process: options, the server, the market's heartbeat, the ready line.

It listens on loopback and serves REST, market streams and the WebSocket API on one port. When it
is ready, it says so with one JSON line on standard output:
`{"rest","ws","ws_api","accounts":[{"name","hmac":{"key","secret"},"ed25519":{...}}]}`.
Keys are made at the start, or taken from `key_folder` when it has them, so that a restart keeps
them; orders, trades and balances are gone after a restart, as after a wipe of a public test
exchange.
"""

from __future__ import annotations

import asyncio
import errno
import json
import signal
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import uvloop
from aiohttp import web
from aiohttp.typedefs import Middleware

from engine.contracts.errors import InputError, PeakError, WorkspaceError
from engine.sandbox.auth import load_or_make_keys
from engine.sandbox.exchange import Exchange, wall_clock_us
from engine.sandbox.fault_desk import TICK_MS as FAULTS_TICK_MS
from engine.sandbox.fault_desk import FaultDesk
from engine.sandbox.fault_middleware import FaultMiddleware
from engine.sandbox.flow import STEP_MS, Flow
from engine.sandbox.history import History
from engine.sandbox.limits import Limits
from engine.sandbox.replay import Replay
from engine.sandbox.rest import Rest
from engine.sandbox.rules import ONE, rules_for
from engine.sandbox.scenario import Scenario
from engine.sandbox.stage import Stage
from engine.sandbox.streams import TICK_MS, Streams
from engine.sandbox.ws_api import WebSocketApi

_START_PRICE = 6_100_000
_HISTORY_MINUTES = 3 * 1440


class SandboxOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How to run it. `port` 0 takes a free one; `balances` in whole units per asset.

    `replay` is a raw recording that drives the market at `speed` instead of synthetic flow;
    `flow` False leaves the book empty. `scenario` directs the flow and its faults, and `seed`
    counts from the scenario's own: 1 is the scenario as it is written. `control` opens
    POST /sandbox/faults. The limits are the
    venue's, and a test may raise them.

    `first_id` begins the order and trade ids. None takes it from the clock, 10,000 a second, so
    that what a client wrote down of an earlier run never meets the same id again.
    """

    host: str = "127.0.0.1"
    port: int = 0
    seed: int = 1
    symbol: str = "BTCUSDT"
    replay: Path | None = None
    speed: float = 1.0
    flow: bool = True
    scenario: Scenario | None = None
    first_id: int | None = None
    balances: dict[str, Decimal] = msgspec.field(
        default_factory=lambda: {"BTC": Decimal(1), "USDT": Decimal(100_000)}
    )
    accounts: tuple[str, ...] = ("demo",)
    key_folder: Path | None = None
    control: bool = False
    weight_minute: int = 6_000
    orders_10s: int = 100
    orders_day: int = 200_000
    raw_5m: int = 300_000
    connections_5m: int = 300


class Sandbox:
    """A running sandbox: `start`, `run` until cancelled, `close`."""

    def __init__(self, options: SandboxOptions) -> None:
        if options.speed <= 0:
            raise InputError(
                what=f"speed {options.speed} is not positive", where="sandbox.speed", todo="use 1"
            )
        if options.scenario is not None and (options.replay is not None or not options.flow):
            raise InputError(
                what="a scenario directs synthetic flow, and there is none beside a recording",
                where="sandbox.scenario",
                todo="choose the scenario or the recording",
            )
        self._options = options
        limits = Limits(
            weight_minute=options.weight_minute,
            orders_10s=options.orders_10s,
            orders_day=options.orders_day,
            raw_5m=options.raw_5m,
            connections_5m=options.connections_5m,
        )
        first = wall_clock_us() // 100 if options.first_id is None else options.first_id
        self.exchange = Exchange(rules_for(options.symbol), limits, first_id=first)
        self.faults = FaultDesk(self.exchange)
        self.streams = Streams(self.exchange)
        self.user_streams = WebSocketApi(self.exchange)
        self._stack = ExitStack()
        self._runner: web.AppRunner | None = None
        self._replay: Replay | None = None
        self._stage: Stage | None = None
        self.port = 0

    async def start(self) -> dict[str, Any]:
        """Listen and return the ready document. Raises WorkspaceError when the port is taken."""
        options = self._options
        accounts = self._open_accounts()
        self._open_market()
        wrappers: list[Middleware] = []
        if options.control or options.scenario is not None:
            wrappers.append(FaultMiddleware(self.exchange, self.faults.replica).middleware())
        app = web.Application(client_max_size=1 << 20, middlewares=wrappers)
        if options.control:
            app.add_routes(self.faults.routes())
        app.add_routes(Rest(self.exchange).routes())
        app.add_routes(self.user_streams.routes())
        app.add_routes(self.streams.routes())
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
        await self._runner.setup()
        site = web.TCPSite(self._runner, options.host, options.port)
        try:
            await site.start()
        except OSError as error:
            taken = error.errno == errno.EADDRINUSE
            raise WorkspaceError(
                what="port is in use" if taken else f"cannot listen ({error.strerror})",
                where=f"sandbox {options.host}:{options.port}",
                todo="stop the other program or choose another port (0 takes a free one)",
            ) from error
        host, self.port = self._runner.addresses[0][:2]
        return {
            "rest": f"http://{host}:{self.port}",
            "ws": f"ws://{host}:{self.port}",
            "ws_api": f"ws://{host}:{self.port}/ws-api/v3",
            "accounts": accounts,
        }

    async def run(self) -> None:
        """Keep the market alive until cancelled. Raises InputError for a bad recording."""
        async with asyncio.TaskGroup() as group:
            group.create_task(_every(TICK_MS, self.streams.tick))
            group.create_task(_every(FAULTS_TICK_MS, self.faults.tick))
            if self._replay is not None:
                group.create_task(self._replay_then_flow(self._replay))
            elif self._stage is not None:
                group.create_task(_every(STEP_MS, self._stage.step))

    async def close(self) -> None:
        """End all connections and free the port."""
        await self.streams.close()
        await self.user_streams.close()
        if self._runner is not None:
            await self._runner.cleanup()
        self._stack.close()

    def _open_accounts(self) -> list[dict[str, object]]:
        folder = self._options.key_folder
        if folder is None:
            made = tempfile.TemporaryDirectory(prefix="peakctl-sandbox-")
            folder = Path(self._stack.enter_context(made))
        balances = {asset: int(amount * ONE) for asset, amount in self._options.balances.items()}
        documents = []
        for name in self._options.accounts:
            keys, api_keys = load_or_make_keys(folder, name)
            self.exchange.open_account(name, balances)
            self.exchange.keys.update({key.key: key for key in api_keys})
            documents.append(keys.document())
        return documents

    def _open_market(self) -> None:
        """Fill the book and write history, so that the first request finds a market."""
        options, exchange = self._options, self.exchange
        now_us = exchange.clock_us()
        exchange.matching.last_price = _START_PRICE
        if options.replay is not None:
            self._replay = Replay(exchange, options.replay, speed=options.speed)
            self._replay.seed()
        price = exchange.matching.last_price
        first_id = exchange.matching.next_trade_id
        exchange.market.begin(History(options.seed, price, first_id, now_us, _HISTORY_MINUTES))
        if options.flow and self._replay is None:
            self._stage = self._stage_from(price)

    def _stage_from(self, price: int) -> Stage:
        options, scenario = self._options, self._options.scenario
        seed = options.seed if scenario is None else scenario.seed + options.seed - 1
        flow = Flow(self.exchange.matching, seed, price)
        stage = Stage(self.exchange, self.faults, flow, scenario)
        stage.open()
        return stage

    async def _replay_then_flow(self, replay: Replay) -> None:
        await replay.run()
        await _every(STEP_MS, self._stage_from(replay.middle()).step)


async def _every(interval_ms: int, act: Callable[[], None]) -> None:
    """Call at a fixed rate; a rate that cannot be kept is let go, never caught up in a rush."""
    loop = asyncio.get_running_loop()
    due = loop.time()
    while True:
        act()
        due = max(due + interval_ms / 1000, loop.time())
        await asyncio.sleep(due - loop.time())


async def serve(options: SandboxOptions, ready: Callable[[dict[str, Any]], None]) -> None:
    """Run a sandbox until cancelled; `ready` gets the ready document once it listens."""
    sandbox = Sandbox(options)
    try:
        ready(await sandbox.start())
        await sandbox.run()
    except BaseExceptionGroup as group:
        # A job of the market failed: its own error says what to do.
        if isinstance(group.exceptions[0], PeakError):
            raise group.exceptions[0] from None
        raise
    finally:
        await sandbox.close()


def main(options: SandboxOptions) -> int:
    """Like `run`, for a process of its own: an error is one line and its exit code."""
    try:
        return run(options)
    except PeakError as error:
        sys.stderr.write(error.line() + "\n")
        return error.exit_code


def run(options: SandboxOptions) -> int:
    """Print the ready line and run until SIGTERM or SIGINT. Returns 0; raises PeakError."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_main(options))


def _print_ready(document: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(document, separators=(",", ":")) + "\n")
    sys.stdout.flush()


async def _main(options: SandboxOptions) -> int:
    serving = asyncio.create_task(serve(options, _print_ready))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, serving.cancel)
    try:
        await serving
    except asyncio.CancelledError:
        return 0
    return 0
