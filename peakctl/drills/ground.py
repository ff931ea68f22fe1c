"""The ground of a drill: a throw-away desk with real processes, and a venue one can ask oneself.

Nothing of the workspace that asked for the drill is touched. What the venue has is asked over a
connection of the drill's own, never through the engine that is being tried. At the end, however it
ends, no process and no folder is left.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp

from engine.contracts.errors import AnswerNo, PeakError
from engine.contracts.money import round_down_to
from engine.contracts.order import Order, OrderType, Side
from engine.contracts.session import Limits
from engine.contracts.view import StateView
from engine.venues.binance.options import BinanceOptions
from engine.venues.binance.venue import BinanceVenue
from engine.venues.port import OrderReport
from peakctl.demo_seats import Seat, seats
from peakctl.demo_session import LIMITS, Narrator, Story
from peakctl.founding import create_demo
from peakctl.supervisor import PEAKCTL, Supervisor
from peakctl.workspace import Workspace

SYMBOL = "BTCUSDT"
SMALL = Decimal("0.002")
#: Far enough under the market that nothing trades there.
AWAY = Decimal("0.98")
#: How long a drill waits for what it hopes for.
PATIENCE_SECONDS = 30.0
_POLL_SECONDS = 0.01

#: Short times where waiting for a rule is not what the drill is about.
SETTINGS: dict[str, Any] = {
    "venue": {"recv_window_ms": 1000, "request_timeout_ms": 1500},
    "watchdog": {"grace_seconds": 2, "heartbeat_ms": 250},
    "session": {"min_dwell_ms": 0},
}


class Quiet(Narrator):
    """Tells nothing: a drill prints its measures."""

    def tell(self, name: str, words: str, started: float) -> None:
        """Nothing."""


def since_ms(started: float) -> int:
    """Whole milliseconds since a moment of the monotonic clock, seconds."""
    return round((time.monotonic() - started) * 1000)


async def eventually(look: Callable[[], Awaitable[Any]], what: str, seconds: float) -> Any:
    """The first true answer. Raises AnswerNo at the deadline."""
    deadline = time.monotonic() + seconds
    while True:
        answer = await look()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise AnswerNo(what=f"{what}: not within {seconds:.0f} s", where="drill")
        await asyncio.sleep(_POLL_SECONDS)


@dataclass
class Ground:
    """The desk of one drill.

    `venue` is the drill's own connection, `patience` the longest wait, seconds.
    """

    workspace: Workspace
    supervisor: Supervisor
    venue: BinanceVenue
    operator: Seat
    reviewer: Seat
    rest: str
    limits: Limits
    http: aiohttp.ClientSession
    patience: float
    measured: dict[str, int] = field(default_factory=dict)

    async def go_live(self) -> None:
        """From nothing to a live session, as two people do it."""
        story = Story(self.workspace, Quiet(), self.operator, self.reviewer, self.limits)
        for step in (story.ready, story.charter, story.join, story.checklist, story.go):
            await step()
        await self.operator.until(lambda view: view.engine.attended, "attended")

    async def state(self) -> StateView:
        """The engine's state now."""
        return await self.operator.client.state()

    async def until(
        self, holds: Callable[[StateView], bool], what: str, seconds: float | None = None
    ) -> StateView:
        """The first state that holds, asked for again and again; an engine that is gone is not."""

        async def look() -> StateView | None:
            try:
                view = await self.state()
            except PeakError:
                return None
            return view if holds(view) else None

        view: StateView = await eventually(look, what, seconds or self.patience)
        return view

    async def away_price(self) -> Decimal:
        """A price at which nothing trades, from a fresh market."""
        view = await self.until(_fresh, "a fresh market")
        assert view.market is not None, "a fresh market is a market"
        return round_down_to(view.market.bids[0][0] * AWAY, view.market.tick_size)

    async def buy(
        self,
        price: Decimal | None,
        kind: OrderType = OrderType.LIMIT,
        quantity: Decimal = SMALL,
    ) -> str:
        """Send a buy order. Returns its id; the engine's refusal is raised."""
        sent = await self.operator.client.submit(SYMBOL, Side.BUY, kind, quantity, price)
        return sent.client_order_id

    async def rest_many(self, count: int) -> None:
        """Let orders rest far from the market, a unit apart, as fast as the limits allow."""
        price = await self.away_price()
        pause = 1.0 / self.limits.max_orders_per_second
        for number in range(count):
            await self.buy(price - number)
            await asyncio.sleep(pause)
        self.measured["resting_before"] = len(await self.open_at_venue())

    async def let_through(self, orders: Sequence[tuple[Decimal | None, OrderType]]) -> int:
        """How many of these orders the engine lets through; a refusal is what is hoped for."""
        passed = 0
        for price, kind in orders:
            with contextlib.suppress(PeakError):
                await self.buy(price, kind)
                passed += 1
        return passed

    # --- the venue's own word -------------------------------------------------------------------

    async def open_at_venue(self) -> tuple[OrderReport, ...]:
        """What is open, asked by the drill itself."""
        return await self.venue.open_orders(SYMBOL)

    async def until_clear(self) -> None:
        """Wait until the venue shows nothing open."""

        async def look() -> bool:
            return not await self.open_at_venue()

        await eventually(look, "no open order at the venue", self.patience)

    async def differences(self, since_us: int) -> int:
        """Orders and trades that the engine and the venue tell differently, counted."""
        ours: dict[str, Order] = {
            one.intent.client_order_id: one for one in (await self.state()).orders
        }
        theirs = {one.client_order_id: one for one in await self.venue.orders(SYMBOL, since_us)}
        wrong = len(ours.keys() ^ theirs.keys())
        for name in ours.keys() & theirs.keys():
            same = ours[name].filled_quantity == theirs[name].filled_quantity
            wrong += not (same and (ours[name].state.value in _OPEN) == theirs[name].open)
        return wrong

    async def fault(self, **request: object) -> None:
        """Arm faults of the exchange."""
        async with self.http.post(f"{self.rest}/sandbox/faults", json=request) as answer:
            if answer.status != 200:
                raise AnswerNo(what=f"faults: {(await answer.text())[:200]}", where="drill")

    # --- processes ------------------------------------------------------------------------------

    async def kill_engine(self) -> None:
        """SIGKILL, between two instructions."""
        pid = self.supervisor.engine_pid()
        if pid is None:
            raise AnswerNo(what="no engine runs", where="drill")
        os.kill(pid, signal.SIGKILL)
        await asyncio.to_thread(self.supervisor.await_end, pid)

    async def start_engine(self) -> None:
        """Start it again; an engine that runs is found."""
        await _to_its_end(self.supervisor.ensure_engine)

    def journaled(self, kind: str) -> list[dict[str, Any]]:
        """The data of every journaled event of a kind, read from the disk."""
        lines = b"".join(one.read_bytes() for one in sorted(self.workspace.journal.glob("*.jsonl")))
        rows = [json.loads(line) for line in lines.split(b"\n")[:-1]]
        return [row["data"] for row in rows if row["kind"] == kind]


_OPEN = frozenset({"SUBMITTED", "ACKNOWLEDGED", "PARTIALLY_FILLED", "CANCEL_PENDING", "UNKNOWN"})


def _fresh(view: StateView) -> bool:
    market = view.market
    return (
        view.engine.phase == "ready"
        and market is not None
        and not market.stale
        and bool(market.bids and market.asks)
    )


async def _to_its_end(work: Callable[[], Any]) -> None:
    """Start something in a thread. Who is ended meanwhile waits: what comes up must be ended."""
    started = asyncio.get_running_loop().run_in_executor(None, work)
    try:
        await asyncio.shield(started)
    except asyncio.CancelledError:
        await asyncio.wait([started])
        started.exception()  # nobody is left who asks for it
        raise


@contextlib.asynccontextmanager
async def ground(
    program: Sequence[str] | None = None,
    *,
    limits: Limits = LIMITS,
    settings: Mapping[str, Any] | None = None,
    patience: float = PATIENCE_SECONDS,
    keep: Path | None = None,
) -> AsyncIterator[Ground]:
    """A desk whose engine runs, before any session. `program` is how `peakctl` is run.

    `keep`: a new folder for its journal and signed heads, which are all that is left of it.
    """
    folder = Path(tempfile.mkdtemp(prefix="peakctl-drill-"))
    sandbox = {"enabled": True, "control": True, **(settings or {}).get("sandbox", {})}
    tables = {**SETTINGS, **(settings or {}), "sandbox": sandbox}
    workspace = Workspace(folder / "w")
    supervisor = Supervisor(workspace, program=program or PEAKCTL)
    try:
        await _to_its_end(lambda: create_demo(workspace.root, tables))
        await _to_its_end(supervisor.ensure_engine)
        ready = supervisor.sandbox_ready()
        if ready is None:
            raise AnswerNo(what="the exchange did not come up", where="drill")
        venue = _venue(ready)
        await venue.open()
        async with aiohttp.ClientSession() as http, seats(workspace) as (operator, reviewer):
            try:
                yield Ground(
                    workspace=workspace,
                    supervisor=supervisor,
                    venue=venue,
                    operator=operator,
                    reviewer=reviewer,
                    rest=str(ready["rest"]),
                    limits=limits,
                    http=http,
                    patience=patience,
                )
            finally:
                await venue.close()
    finally:
        await asyncio.to_thread(supervisor.end_all, "alice")
        if keep is not None:
            for kept in (workspace.journal, workspace.heads):
                if kept.is_dir():
                    await asyncio.to_thread(shutil.copytree, kept, keep / kept.name)
        await asyncio.to_thread(shutil.rmtree, folder, True)


def _venue(ready: Mapping[str, Any]) -> BinanceVenue:
    keys = ready["accounts"][0]["hmac"]
    return BinanceVenue(
        BinanceOptions(
            name="drill",
            rest_url=str(ready["rest"]),
            ws_url=str(ready["ws"]),
            ws_api_url=str(ready["ws_api"]),
            api_key=str(keys["key"]),
            secret=str(keys["secret"]),
            symbols=(SYMBOL,),
        )
    )
