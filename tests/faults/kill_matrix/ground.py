"""A desk for one cell of the kill matrix: make the condition, let the cause happen, hold it to it.

What is asked of the product is at the end: never a PROVEN while the exchange's own book has an
order of ours, none afterwards, nothing sent behind the latch, and UNCONFIRMED told meanwhile. The
book is watched all the time on a connection of its own, by a clock that the product does not know.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import resource
import signal
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from engine.contracts.errors import PeakError, Refused
from engine.contracts.order import OrderType
from engine.contracts.order import Side as Way
from peakctl.client.kill import send_kill
from peakctl.founding import create_demo
from tests.faults.conftest import FAST, SYMBOL, Field, eventually, merged
from tests.faults.kill_matrix.table import ARMS, UNPROVABLE, Cell

PATIENCE_S = 60.0
#: How long a venue is unwell.
UNWELL_S = 3.0
_LOOK_S = 0.02
_GRACE_S = 1
_ACCOUNT = "demo"
#: So little money that the fee of one order is more than the breaker allows.
_POOR = {"balances": {"BTC": 0, "USDT": 2000}}

#: Runs `peakctl` as it is; the flag of the key's file does not wait.
_AT_ONCE = """
import sys
import msgspec
from engine.governance import red_flags
from peakctl.cli import main
red_flags.FLAGS = tuple(
    msgspec.structs.replace(row, lasts_us=0) if row.code == "KEY_FILE" else row
    for row in red_flags.FLAGS
)
sys.exit(main())
"""


@dataclass(frozen=True)
class Played:
    """What one cell came to. Times in seconds since the cause; None: not reached, or not asked."""

    cell: Cell
    verdict: str
    empty_s: float | None
    proven_s: float | None
    loud: bool
    hidden_s: float


class Ground:
    """One desk with a live session, and the watch over its book."""

    def __init__(self, field: Field, cell: Cell, hide_s: float) -> None:
        self.field = field
        self.cell = cell
        self.hide_s = hide_s
        self._began = 0.0
        self._hidden_at = 0.0
        #: (time, open orders) by the exchange's own book
        self._book: list[tuple[float, int]] = []
        self._tasks: list[asyncio.Task[Any]] = []
        self._command: tuple[int, dict[str, Any]] | None = None
        self._proven_at: float | None = None
        self._refused = ""

    # --- the truth ------------------------------------------------------------------------------

    async def open_now(self) -> list[str]:
        """What is open in our account by the exchange's own book, hidden orders included."""
        url = f"{self.field.venue['rest']}/sandbox/open-orders"
        async with self.field._http.get(url) as response:
            found: list[str] = (await response.json())[_ACCOUNT]
            return found

    async def _watch_book(self) -> None:
        while True:
            count = len(await self.open_now())
            self._book.append((time.monotonic(), count))
            await asyncio.sleep(_LOOK_S)

    # --- the play -------------------------------------------------------------------------------

    async def play(self) -> Played:
        """Play the cell. Raises AssertionError with what differs."""
        field, cell = self.field, self.cell
        if cell.cause == "breaker":
            await field.ready()
        else:
            await field.rest_one()
        self._tasks.append(asyncio.create_task(self._watch_book()))
        if cell.venue == "hides":
            await self._doubt()
        await self._engine_condition()
        await self._venue_condition()
        self._began = time.monotonic()
        await self._cause()
        if cell.venue in UNPROVABLE:
            loud = await self._unwell()
        else:
            loud = False
        if cell.venue not in {"late", "slow"}:
            await field.fault(clear=True)
        verdict = await self._verdict()
        if cell.venue == "late" and cell.kills:
            await self._late()
        await self._held_to_it(verdict)
        return Played(
            cell=cell,
            verdict=verdict,
            empty_s=self._emptied(),
            proven_s=None if self._proven_at is None else self._proven_at - self._began,
            loud=loud,
            hidden_s=self.hide_s if cell.venue == "hides" else 0.0,
        )

    async def _doubt(self) -> None:
        """An order without an answer or a report, which neither query nor cancel finds."""
        price = await self.field.away_price_now()
        await self.field.fault(
            rest=[{"on": "submit", "answer": "silent", "accept": True}],
            stream_stall="user",
            stream_stall_ms=120_000,
            hide_order_ms=int(self.hide_s * 1000),
            hide_from_cancels=True,
        )
        before = len(await self.open_now())
        self._hidden_at = time.monotonic()
        self._tasks.append(asyncio.create_task(self._submit(price - Decimal("0.07"))))

        async def there() -> bool:
            return len(await self.open_now()) > before

        try:
            await eventually(there, "the hidden order is in the book")
        except AssertionError as error:
            raise AssertionError(f"{error}; {self._refused or 'nothing was refused'}") from error

    async def _submit(self, price: Decimal) -> None:
        """Send it, again as long as it is refused before the cause: a book is stale for a moment
        on a busy machine.
        """
        while not self._began:
            try:
                await self.field.client.submit(
                    SYMBOL, Way.BUY, OrderType.LIMIT, Decimal("0.00211"), price
                )
            except Refused as error:
                self._refused = error.line()
                await asyncio.sleep(0.2)
            except PeakError:
                return
            else:
                return

    async def _engine_condition(self) -> None:
        field = self.field
        match self.cell.engine:
            case "hung":
                field.freeze()
            case "dead":
                await field.sigkill()
            case "stream-down":
                await field.fault(stream_stall="all", stream_stall_ms=120_000)
            case "mid-submit" if self.cell.venue != "hides":
                price = await field.away_price_now()
                await field.fault(rest=[{"on": "submit", "answer": "silent", "accept": True}])
                self._tasks.append(asyncio.create_task(self._submit(price - Decimal("0.03"))))
                await eventually(
                    lambda: len(field.events("order.intended")) > 1 or self.cell.cause == "breaker",
                    "the order is on its way",
                )
            case "clock-wrong":
                await field.fault(clock_skew_ms=3_600_000)
            case "restarting":
                await field.sigkill()

    async def _venue_condition(self) -> None:
        arm = ARMS.get(self.cell.venue)
        if self.cell.engine == "restarting":
            # An engine without its venue is started by hand: the supervisor would want a new one.
            self._tasks.append(asyncio.create_task(self.field.start_engine()))
            await eventually(self._starting, "an engine process")
        if self.cell.cause == "breaker":
            return  # the loss needs a venue that trades; the condition follows it
        if arm is not None:
            await self.field.fault(**arm)

    def _starting(self) -> bool:
        pid = self.field.supervisor.engine_pid()
        if pid is not None:
            self.field.pid = pid
        return pid is not None

    async def _cause(self) -> None:
        field = self.field
        if self.cell.engine == "disk-full":
            size = max(path.stat().st_size for path in field.workspace.journal.glob("*.jsonl"))
            resource.prlimit(field.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
        match self.cell.cause:
            case "key":
                self._begin_press()
            case "command":
                self._tasks.append(asyncio.create_task(self._type()))
            case "signal":
                os.kill(field.pid, signal.SIGUSR1)
            case "red-flag":
                field.workspace.sandbox_ready.chmod(0o644)
            case "breaker":
                await self._lose()
            case "attendance":
                await field.operator.leave()
        if self.cell.engine == "twice":
            if self.cell.cause == "breaker":
                # A key pressed first would end the session, and no breaker trips after that.
                await self._tripped()
            self._begin_press()

    async def _tripped(self) -> None:
        tripped = {"name": "DRAWDOWN", "action": "KILL"}
        await eventually(
            lambda: self.field.events("breaker.tripped", **tripped), "the breaker's own word"
        )

    def _begin_press(self) -> None:
        self._tasks.append(asyncio.create_task(asyncio.to_thread(self._press)))

    def _press(self) -> None:
        """As the console's input thread does: until it is answered, for ten seconds."""
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            try:
                send_kill(
                    self.field.workspace.socket, person="alice", reason="matrix", source="key"
                )
            except PeakError:
                time.sleep(0.1)
            else:
                return

    async def _type(self) -> None:
        code, out, _ = await self.field.peakctl("kill", "--reason", "matrix", "--json")
        self._command = code, json.loads(out) if out else {}

    async def _lose(self) -> None:
        """One order at the market: its fee is a larger share of this account than is allowed."""
        await self.field.client.submit(SYMBOL, Way.BUY, OrderType.MARKET, Decimal("0.016"), None)
        if self.cell.venue in ARMS:
            await self.field.fault(**ARMS[self.cell.venue])

    async def _unwell(self) -> bool:
        """While the venue is so, nothing may be called proven that is not. True if it was said."""
        hides = self.cell.venue == "hides"
        until = self._hidden_at + self.hide_s if hides else self._began + UNWELL_S
        loud = False
        while time.monotonic() < until:
            await asyncio.sleep(_LOOK_S)
            if self._proven_at is None and await self._said_proven():
                self._proven_at = time.monotonic()
                left = await self.open_now()
                assert left == [], f"PROVEN with {left} in the book"
            loud = loud or await self._said_unconfirmed()
        if self.cell.venue == "hides" and self.cell.kills and self.cell.engine != "disk-full":
            assert self._proven_at is None, "PROVEN while an order was hidden"
        return loud

    async def _late(self) -> None:
        """After the proof an order surfaces that nobody here knows of; it is hunted down."""
        if self.cell.without_engine:
            # Nobody is left to watch but the next engine, which finds the latch and looks.
            if self.cell.engine == "hung":
                self.field.thaw()
            else:
                await self.field.start_engine()
            await self.field.until_kill("PROVEN", seconds=PATIENCE_S)
        await self.field.fault(clock_skew_ms=0)  # for our own request
        await self.field.stranger(price=await self.field.away_price_now())

        async def gone() -> bool:
            return await self.open_now() == []

        await eventually(gone, "the late order is hunted down", PATIENCE_S)
        if self.cell.engine != "disk-full":
            await self.field.until_kill("PROVEN", seconds=PATIENCE_S)
            assert self.field.events("kill.stage", stage="surfaced")

    # --- what is said ---------------------------------------------------------------------------

    async def _said_proven(self) -> bool:
        if self.cell.cause == "watchdog":
            return any(one["verdict"] == "PROVEN" for one in self._reports())
        if self.cell.without_engine:
            said = self._command[1] if self._command is not None else {}
            return said.get("state") == "PROVEN"
        return bool(await asyncio.to_thread(self.field.events, "kill.verdict", verdict="PROVEN"))

    async def _said_unconfirmed(self) -> bool:
        if self.cell.cause == "watchdog":
            return any(one["verdict"] == "UNCONFIRMED" for one in self._reports())
        if self.cell.without_engine:
            return True  # it is on the command's standard error, which is not read here
        said = await asyncio.to_thread(self.field.events, "kill.verdict", verdict="UNCONFIRMED")
        return bool(said)

    def _reports(self) -> list[dict[str, Any]]:
        path = self.field.workspace.log / "watchdog.jsonl"
        if not path.exists():
            return []
        return [json.loads(line) for line in path.read_bytes().split(b"\n")[:-1]]

    async def _verdict(self) -> str:
        """The last word: PROVEN, SAFE (no kill, nothing open), or LATCHED on a full disk."""
        if not self.cell.kills:
            await eventually(self._none_open, "nothing is open", PATIENCE_S)
            return "SAFE"
        if self.cell.engine == "disk-full":
            await eventually(self._none_open, "nothing is open", PATIENCE_S)
            view = await self.field.state()
            assert view.kill.state != "READY"
            assert view.kill.held_in, "the latch is held nowhere"
            return view.kill.state
        if self.cell.without_engine and self.cell.cause == "command":
            await eventually(lambda: self._command is not None, "the command's answer", PATIENCE_S)
            assert self._command is not None
            code, said = self._command
            state = str(said.get("state", f"exit {code}"))
            assert (code == 0) == (state == "PROVEN"), (code, said)
            if state == "PROVEN" and self._proven_at is None:
                self._proven_at = time.monotonic()
            return state
        if self._proven_at is None:
            await eventually(self._said_proven, f"PROVEN of {self.cell.name}", PATIENCE_S)
            self._proven_at = time.monotonic()
            left = await self.open_now()
            assert left == [], f"PROVEN with {left} in the book"
        return "PROVEN"

    async def _none_open(self) -> bool:
        return await self.open_now() == []

    async def _held_to_it(self, verdict: str) -> None:
        """Afterwards: an empty book, and no proof that was taken back without a late order."""
        field, cell = self.field, self.cell
        if verdict in {"PROVEN", "SAFE"}:
            left = await self.open_now()
            assert left == [], f"{verdict} and then {left} in the book"
        if cell.cause == "breaker":
            await self._tripped()
        if cell.venue != "late":
            surfaced = await asyncio.to_thread(field.events, "kill.stage", stage="surfaced")
            assert not surfaced, f"a proof was false: {surfaced}"
        if cell.kills and not cell.without_engine and cell.engine != "disk-full":
            lines = await asyncio.to_thread(field.journal)
            latched = next(line["seq"] for line in lines if line["kind"] == "kill.latched")
            behind = [
                line["data"]["intent"]["client_order_id"]
                for line in lines
                if line["kind"] == "order.intended" and line["seq"] > latched
            ]
            assert behind == [], f"intended behind the latch: {behind}"

    def _emptied(self) -> float | None:
        """When the book was empty for good, seconds after the cause."""
        last = max((at for at, count in self._book if count), default=self._began)
        return max(0.0, last - self._began) if self._book and not self._book[-1][1] else None

    async def close(self) -> None:
        """End what is still going on."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


@contextlib.asynccontextmanager
async def ground(cell: Cell, folder: Path, hide_s: float) -> AsyncIterator[Ground]:
    """A live desk in a folder; every process of it is ended afterwards."""
    settings: dict[str, Any] = {"watchdog": {"grace_seconds": 30, "heartbeat_ms": 250}}
    exchange: dict[str, Any] = {}
    charter: dict[str, Any] = {}
    if cell.cause == "watchdog":
        settings["watchdog"] = {"grace_seconds": _GRACE_S, "heartbeat_ms": 250}
    if cell.cause == "breaker":
        settings["breakers"] = {"max_drawdown_bps": 1}
        exchange = _POOR
    if cell.cause == "attendance":
        charter = {"attendance_seconds": 1}
    workspace = await asyncio.to_thread(create_demo, folder, merged(FAST, settings))
    field = Field(workspace, {}, exchange)
    made: Ground | None = None
    try:
        await field.start_sandbox()
        if cell.cause == "red-flag":
            field.supervisor.program = (sys.executable, "-P", "-c", _AT_ONCE)
        await field.start_engine()
        await field.sit_down()
        await field.go_live(**charter)
        made = Ground(field, cell, hide_s)
        yield made
    finally:
        if made is not None:
            await made.close()
        await field.close()


async def play(cell: Cell, folder: Path, hide_s: float) -> Played:
    """Play one cell at a fresh desk. Raises AssertionError."""
    async with ground(cell, folder, hide_s) as desk:
        return await desk.play()
