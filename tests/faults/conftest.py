"""A whole desk for the fault tests: workspace, sandbox with fault control, engine, two people.

Everything is real and everything is a process of its own, as on a desk. `Field` is what a test
holds: it starts, stops, freezes and kills the processes, asks the venue by itself, and reads the
journal from the disk, whether an engine runs or not. At the end no process of the workspace is
left: they are found by their working directory, because that survives whatever the test did.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import aiohttp
import msgspec
import pytest
from yarl import URL

from engine.contracts.canonical import sha256_hex
from engine.contracts.documents import DUAL_NAMESPACES, Namespace, Purpose
from engine.contracts.money import round_down_to
from engine.contracts.order import Order, OrderType, Side
from engine.contracts.people import Role
from engine.contracts.session import END_STATES, Charter, ItemKind, ItemResult
from engine.contracts.view import DualView, StateView
from engine.governance.checklist import parse_runbook
from engine.governance.wordlist import short_code
from peakctl.ceremony import cosign_document, new_nonce
from peakctl.client.client import EngineClient
from peakctl.demo_seats import Seat, answer_for
from peakctl.founding import create_demo
from peakctl.signing import Signer, signals
from peakctl.supervisor import _CHILDREN, Supervisor, _reap
from peakctl.tools import draft_charter
from peakctl.workspace import Workspace
from tests.fork_server import Forked, by_fork, fork_server

ROOT = Path(__file__).parents[2]
SYMBOL = "BTCUSDT"
SMALL = Decimal("0.002")
DEADLINE = 20.0

_SANDBOX = """
import json
import sys
from decimal import Decimal
from pathlib import Path
from engine.sandbox.server import SandboxOptions, main
options = {
    "control": True,
    "seed": 7,
    "weight_minute": 1_000_000,
    "accounts": ("demo", "other"),
    "balances": {"BTC": Decimal(200), "USDT": Decimal(10_000_000)},
    "port": int(sys.argv[2]),
    "key_folder": Path(sys.argv[3]),
    **json.loads(sys.argv[4]),
}
options |= {name: Path(options[name]) for name in ("replay",) if name in options}
sys.exit(main(SandboxOptions(**options)))
"""

#: Short times everywhere, so that waiting for a rule is short. What a test is about it sets itself.
FAST = {
    "venue": {"recv_window_ms": 500, "request_timeout_ms": 1000},
    "watchdog": {"grace_seconds": 30, "heartbeat_ms": 250},
    "session": {"min_dwell_ms": 0},
}


def merged(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """`over` laid over `base`, table by table."""
    made = dict(base)
    for key, value in over.items():
        made[key] = {**made.get(key, {}), **value} if isinstance(value, dict) else value
    return made


async def eventually(
    holds: Callable[[], Any | Awaitable[Any]], what: str, seconds: float = DEADLINE
) -> Any:
    """The first true value of `holds`. Fails the test at the deadline."""
    deadline = time.monotonic() + seconds
    while True:
        value = holds()
        if isinstance(value, Awaitable):
            value = await value
        if value:
            return value
        assert time.monotonic() < deadline, f"{what}: not within {seconds:.0f} s"
        await asyncio.sleep(0.02)


class ForkingSupervisor(Supervisor):
    """The supervisor, whose processes come from the worker's fork server."""

    _spawn = by_fork


class Field:
    """One workspace with its processes and its two people.

    `exchange` are further options of the sandbox, as JSON has them. `by_exec` starts the engine as
    a desk does, not by fork.
    """

    def __init__(
        self,
        workspace: Workspace,
        overrides: dict[str, str],
        exchange: dict[str, Any] | None = None,
        *,
        by_exec: bool = False,
    ) -> None:
        self.workspace = workspace
        self._exchange = exchange or {}
        self.supervisor = (Supervisor if by_exec else ForkingSupervisor)(workspace, overrides)
        self.venue: dict[str, Any] = {}
        self.pid = 0
        self._http = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10))
        self._sandbox: Forked | None = None
        self._seats: list[Seat] = []
        self.operator: Seat
        self.reviewer: Seat

    # --- processes ------------------------------------------------------------------------------

    async def start_sandbox(self, port: int = 0) -> None:
        """Start the exchange and keep its ready line where the supervisor keeps it."""
        self.venue = await asyncio.to_thread(self._start_sandbox, port)
        self.workspace.sandbox_ready.write_text(json.dumps(self.venue))
        self.workspace.sandbox_ready.chmod(0o600)

    def _start_sandbox(self, port: int) -> dict[str, Any]:
        keys = self.workspace.root / "venue-keys"
        process = self._sandbox = fork_server().start(
            [
                *(sys.executable, "-P", "-c", _SANDBOX, "sandbox", str(port), str(keys)),
                json.dumps(self._exchange),
            ],
            stdout=subprocess.PIPE,
            stderr=sys.stderr.fileno(),
            cwd=self.workspace.root,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        assert process.stdout is not None
        with process.stdout as pipe:
            return {**json.loads(pipe.readline()), "pid": process.pid}

    async def stop_sandbox(self) -> None:
        """End the exchange; its ready line stays, as after a crash."""
        if self._sandbox is not None:
            self._sandbox.kill()
            await asyncio.to_thread(self._sandbox.wait)

    async def start_engine(self) -> int:
        """Start the engine, or find the one that runs. Returns its pid."""
        self.pid = await asyncio.to_thread(self.supervisor.ensure_engine)
        return self.pid

    async def sigkill(self) -> None:
        """End the engine between two instructions."""
        os.kill(self.pid, signal.SIGKILL)
        assert await asyncio.to_thread(self.supervisor._gone, self.pid, 30.0)

    async def stop_engine(self) -> None:
        """End the engine in an orderly way (SIGTERM)."""
        os.kill(self.pid, signal.SIGTERM)
        assert await asyncio.to_thread(self.supervisor._gone, self.pid, 30.0)

    def freeze(self) -> None:
        """Hang the engine."""
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        os.kill(self.pid, signal.SIGCONT)

    async def peakctl(self, *arguments: str) -> tuple[int, str, str]:
        """Run a command of ours: exit code, standard output, standard error."""
        place = self.workspace.root
        done = await asyncio.to_thread(
            fork_server().run,
            [sys.executable, "-P", "-m", "peakctl", *arguments, f"--workspace={place}"],
            cwd=place,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        return done.returncode, done.stdout, done.stderr

    async def close(self) -> None:
        """End whatever runs in this workspace."""
        await self.leave()
        await self._http.close()
        deadline = time.monotonic() + 30
        ended = {self.pid}
        while pids := _running_in(self.workspace.root):
            ended.update(pids)
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            assert time.monotonic() < deadline, f"still running: {pids}"
            await asyncio.sleep(0.01)
        if self._sandbox is not None:
            self._sandbox.wait()
        # One that is on its way out has no folder any more, and is not yet a child that ended.
        for child in [_CHILDREN[pid] for pid in ended if pid in _CHILDREN]:
            await asyncio.to_thread(child.wait, 30)
        _reap()

    # --- people ---------------------------------------------------------------------------------

    async def sit_down(self) -> None:
        """Both people open their consoles."""
        place = self.workspace
        self.operator, self.reviewer = self._seats = [
            Seat(EngineClient(place.socket, name, role), Signer(place.key_of(role)))
            for name, role in (("alice", "operator"), ("bob", "reviewer"))
        ]

    async def leave(self) -> None:
        """Both people close their consoles."""
        for seat in self._seats:
            await seat.leave()
            await seat.client.close()
        self._seats = []

    @property
    def client(self) -> EngineClient:
        """The operator's client."""
        return self.operator.client

    async def state(self) -> StateView:
        """The engine's state, asked for now."""
        return await self.client.state()

    async def until(
        self, holds: Callable[[StateView], bool], what: str, seconds: float = DEADLINE
    ) -> StateView:
        """The first state in which `holds` is true, asked for again and again."""

        last: list[StateView] = []

        async def look() -> StateView | None:
            last[:] = [await self.state()]
            return last[0] if holds(last[0]) else None

        try:
            return await eventually(look, what, seconds)
        except AssertionError as error:
            raise AssertionError(f"{error}; {_summary(last)}") from error

    async def until_session(self, name: str, seconds: float = DEADLINE) -> StateView:
        """Wait for a state of the session."""
        return await self.until(
            lambda view: view.session is not None and view.session.state.value == name,
            f"session {name}",
            seconds,
        )

    async def until_order(self, order_id: str, *states: str, seconds: float = DEADLINE) -> Order:
        """Wait until an order has one of the states."""
        seen: list[str] = []

        async def look() -> Order | None:
            view = await self.state()
            for order in view.orders:
                if order.intent.client_order_id == order_id:
                    seen.append(order.state.value)
                    return order if order.state.value in states else None
            return None

        try:
            return await eventually(look, f"{order_id} {states}", seconds)
        except AssertionError as error:
            raise AssertionError(f"{error}, last {seen[-1:]}") from error

    async def ready(self) -> StateView:
        """Wait until the engine is ready, the market is fresh and the account is known."""
        return await self.until(
            lambda view: (
                view.engine.phase == "ready"
                and view.market is not None
                and not view.market.stale
                and bool(view.market.bids and view.market.asks)
                and bool(view.balances)
                and (view.engine.attended or not _attends(view))
            ),
            "engine ready, market fresh, account known",
        )

    # --- a session ------------------------------------------------------------------------------

    def charter(self, **changes: Any) -> Charter:
        """The charter the console drafts, with changes."""
        return msgspec.structs.replace(draft_charter(self.workspace, "alice"), **changes)

    async def to_checklist(self, **changes: Any) -> str:
        """Charter, join, every item answered. Returns the session id."""
        await self.ready()
        charter = self.charter(**changes)
        await self.client.charter(charter)
        view = await self.client.start_checklist("test")
        await self.reviewer.client.join_review(new_nonce(), signals())
        await self.client.probe()
        path = self.workspace.runbooks / f"{charter.runbook}.md"
        items = {one.id: one for one in parse_runbook(path.read_text(), path.name).items}
        for seat in (self.operator, self.reviewer):
            view = await seat.client.state()
            for row in view.session.checklist if view.session else ():
                mine = row.kind is ItemKind.MANUAL and row.role == seat.client.role
                if mine and row.result is ItemResult.OPEN:
                    words = answer_for(items[row.id], charter)
                    await seat.client.answer(row.id, row.role, words)
        view = await self.state()
        assert view.session is not None
        return view.session.id

    async def request_and_sign(self) -> str:
        """The operator asks for go and signs. Returns the packet."""
        go = await self.client.request_go(new_nonce(), signals())
        digest = sha256_hex(go.packet.encode())
        await self.client.sign_go(digest, await self.operator.sign(go.packet, Namespace.GO))
        return go.packet

    async def cosign(self, packet: str, decision: str = "GO", reason: str = "") -> StateView:
        """The reviewer types the code and decides."""
        code = short_code(sha256_hex(packet.encode()))
        document = cosign_document(
            packet=packet,
            decision=decision,
            reason=reason,
            typed_code=code,
            typed_limit=json.loads(packet)["limits"]["max_order_notional"],
        )
        signature = await self.reviewer.sign(document, Namespace.COSIGN)
        return await self.reviewer.client.cosign(document, signature)

    async def go_live(self, **changes: Any) -> str:
        """From nothing to live. Returns the session id."""
        session_id = await self.to_checklist(**changes)
        await self.cosign(await self.request_and_sign())
        await self.until_session("live")
        await self.until(lambda view: view.engine.attended, "attended")
        return session_id

    async def away_price(self) -> Decimal:
        """A price far enough under the market that nothing trades there."""
        market = (await self.ready()).market
        assert market is not None
        return round_down_to(market.bids[0][0] * Decimal("0.97"), market.tick_size)

    async def submit(self, kind: OrderType = OrderType.LIMIT, price: Decimal | None = None) -> str:
        """Send a small buy order. Returns its id; a refusal is raised."""
        sent = await self.client.submit(SYMBOL, Side.BUY, kind, SMALL, price)
        return sent.client_order_id

    async def rest_one(self) -> str:
        """Send an order that rests, and wait until the venue has it."""
        order_id = await self.submit(price=await self.away_price())
        await self.until_order(order_id, "ACKNOWLEDGED")
        return order_id

    async def reconcile(self) -> list[str]:
        """Run, answer, sign by both. Returns the red breaks."""
        found = await self.client.run_recon()
        for row in found.breaks:
            if row.klass == "yellow":
                await self.client.answer_break(found.run_id, row.id, "seen in the test")
        red = [row.id for row in found.breaks if row.klass == "red"]
        if red:
            subject = {"run_id": found.run_id, "break_ids": ",".join(red)}
            await self.grant(Purpose.CLOSE_BREAK, subject, "seen in the test")
        digest = sha256_hex(found.report.encode())
        for seat, namespace in (
            (self.operator, Namespace.RECON),
            (self.reviewer, Namespace.RECON_REVIEW),
        ):
            await seat.client.sign_recon(digest, await seat.sign(found.report, namespace))
        await self.until_session("reconciled")
        return [row.key for row in found.breaks if row.klass == "red"]

    async def dual_ask(
        self, purpose: Purpose, subject: Mapping[str, str], reason: str = "the test is over"
    ) -> DualView:
        """The operator asks for an act that two people grant."""
        return await self.client.dual_request(purpose, subject, reason)

    async def dual_sign(self, view: DualView, role: Role, **changes: Any) -> StateView:
        """One of the two signs the request's document in its own namespace."""
        seat = self.operator if role is Role.OPERATOR else self.reviewer
        purpose = Purpose(view.purpose)
        signature = await seat.sign(view.document, DUAL_NAMESPACES[purpose, role])
        return await seat.client.dual_sign(view.id, view.sha256, signature, **changes)

    async def grant(
        self, purpose: Purpose, subject: Mapping[str, str], reason: str = "the test is over"
    ) -> StateView:
        """The operator asks, both sign."""
        view = await self.dual_ask(purpose, subject, reason)
        await self.dual_sign(view, Role.OPERATOR)
        return await self.dual_sign(view, Role.REVIEWER)

    async def adopt(self, symbol: str, client_order_id: str, reason: str) -> StateView:
        """Both sign that an orphan becomes an order of the session."""
        subject = {"symbol": symbol, "client_order_id": client_order_id}
        return await self.grant(Purpose.ADOPT, subject, reason)

    async def release(self) -> StateView:
        """Both sign the release of the latch, once what its checklist asks for is there again."""
        await self.until(
            lambda view: (
                view.market is not None
                and not view.market.stale
                and view.engine.watchdog == "watching"
            ),
            "a market and a watchdog",
        )
        return await self.grant(Purpose.RELEASE, {})

    async def press_kill(self) -> None:
        """The operator's kill."""
        await self.client.kill("test", "test", time.time_ns() // 1000)

    async def until_kill(self, *states: str, seconds: float = DEADLINE) -> StateView:
        """Wait for a state of the kill."""
        return await self.until(lambda view: view.kill.state in states, f"kill {states}", seconds)

    eventually = staticmethod(eventually)

    async def away_price_now(self) -> Decimal:
        """As `away_price`, from the venue's own book, whatever the engine knows."""
        url = f"{self.venue['rest']}/api/v3/ticker/bookTicker?symbol={SYMBOL}"
        async with self._http.get(url) as response:
            bid = Decimal((await response.json())["bidPrice"])
        return round_down_to(bid * Decimal("0.97"), Decimal("0.01"))

    async def return_operator(self) -> None:
        """The operator opens a console again."""
        client = self.operator.client
        self.operator = Seat(client, self.operator.signer)
        self._seats[0] = self.operator

    async def rest_at_best(self) -> tuple[str, Decimal]:
        """Send an order that rests as the best bid, and say its price."""
        await self.ready()
        url = f"{self.venue['rest']}/api/v3/ticker/bookTicker?symbol={SYMBOL}"
        async with self._http.get(url) as response:
            price = Decimal((await response.json())["bidPrice"])
        order_id = await self.submit(price=price)
        await self.until_order(order_id, "ACKNOWLEDGED", "PARTIALLY_FILLED", "FILLED")
        return order_id, price

    async def sweep(self, price: Decimal) -> None:
        """Somebody else sells into everything down to this price."""
        sold = await self.ask(
            "POST",
            "order",
            account=1,
            symbol=SYMBOL,
            side="SELL",
            type="LIMIT",
            timeInForce="IOC",
            quantity="50",
            price=str(price),
        )
        assert "orderId" in sold, sold

    async def stranger(
        self, name: str = "", price: Decimal | None = None, quantity: str = "0.002"
    ) -> dict[str, Any]:
        """An order in our account that the engine knows nothing of; without a price at the market.

        Returns the venue's answer.
        """
        at = {"price": str(price), "timeInForce": "GTC"} if price is not None else {}
        named = {"newClientOrderId": name} if name else {}
        placed: dict[str, Any] = await self.ask(
            "POST",
            "order",
            symbol=SYMBOL,
            side="BUY",
            type="MARKET" if price is None else "LIMIT",
            quantity=quantity,
            **at,
            **named,
        )
        assert "orderId" in placed, placed
        return placed

    async def same_trades_here_and_there(self) -> None:
        """Every trade of the venue is in the journal once, and no other."""
        there = [str(one["id"]) for one in await self.venue_trades()]
        here = [one["fill"]["trade_id"] for one in self.events("order.filled")]
        assert sorted(here) == sorted(there)
        assert here

    async def seal(self) -> None:
        """Lessons, pack, both signatures."""
        await self.client.write_lessons(("Seen in the test.",))
        pack = await self.client.write_pack()
        for seat in (self.operator, self.reviewer):
            await seat.sign_pack(pack)
        await self.until_session("sealed")

    # --- records --------------------------------------------------------------------------------

    def journal(self) -> list[dict[str, Any]]:
        """Every whole line of the journal, from the disk."""
        raw = b"".join(path.read_bytes() for path in sorted(self.workspace.journal.glob("*.jsonl")))
        return [json.loads(line) for line in raw.split(b"\n")[:-1]]

    def events(self, kind: str, **fields: Any) -> list[dict[str, Any]]:
        """The data of the events of a kind, those with the given fields only."""
        return [
            line["data"]
            for line in self.journal()
            if line["kind"] == kind
            and all(line["data"].get(name) == value for name, value in fields.items())
        ]

    def story(self, order_id: str) -> list[str]:
        """What happened to one order, kind by kind."""
        return [
            line["kind"].removeprefix("order.")
            for line in self.journal()
            if line["kind"].startswith("order.") and order_id in json.dumps(line["data"])
        ]

    # --- the venue's own word -------------------------------------------------------------------

    async def ask(self, method: str, path: str, account: int = 0, **params: Any) -> Any:
        """A signed request of our own to the venue; account 1 is somebody else's."""
        keys = self.venue["accounts"][account]["hmac"]
        query = urlencode({**params, "timestamp": time.time_ns() // 1_000_000})
        seal = hmac.new(keys["secret"].encode(), query.encode(), hashlib.sha256).hexdigest()
        url = URL(f"{self.venue['rest']}/api/v3/{path}?{query}&signature={seal}", encoded=True)
        async with self._http.request(
            method, url, headers={"X-MBX-APIKEY": keys["key"]}
        ) as response:
            return await response.json()

    async def venue_orders(self) -> list[dict[str, Any]]:
        """All orders of the account, as the venue has them."""
        found: list[dict[str, Any]] = await self.ask("GET", "allOrders", symbol=SYMBOL)
        return found

    async def venue_open(self) -> list[str]:
        """Client order ids that are open at the venue."""
        return [one["clientOrderId"] for one in await self.ask("GET", "openOrders", symbol=SYMBOL)]

    async def venue_trades(self) -> list[dict[str, Any]]:
        """All trades of the account."""
        found: list[dict[str, Any]] = await self.ask("GET", "myTrades", symbol=SYMBOL)
        return found

    async def fault(self, **request: Any) -> dict[str, Any]:
        """Arm faults of the sandbox; nothing only asks. Returns what is armed and has `fired`."""
        url = f"{self.venue['rest']}/sandbox/faults"
        async with self._http.post(url, json=request) as response:
            assert response.status == 200, await response.text()
            armed: dict[str, Any] = await response.json()
            return armed


def _attends(view: StateView) -> bool:
    """Whether the engine looks for an attending operator: from the go to the session's end."""
    session = view.session
    return session is not None and session.go.stage == "go" and session.state not in END_STATES


def _summary(views: list[StateView]) -> str:
    """What a failed wait last saw."""
    if not views:
        return "no engine answered"
    view = views[0]
    session = view.session.state.value if view.session else "none"
    orders = [(one.intent.client_order_id, one.state.value, one.reason) for one in view.orders]
    alarms = [(one.code, one.text) for one in view.alarms]
    return (
        f"engine {view.engine.phase}, attended {view.engine.attended}, session {session}, "
        f"kill {view.kill.state} {view.kill.detail}, orders {orders}, alarms {alarms}"
    )


def _running_in(folder: Path) -> list[int]:
    """Living processes whose working directory is this folder."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        with contextlib.suppress(OSError):
            if (entry / "cwd").readlink() == folder and b") Z" not in (entry / "stat").read_bytes():
                found.append(int(entry.name))
    return found


Start = Callable[..., Awaitable[Field]]


@pytest.fixture
async def start(tmp_path: Path) -> AsyncIterator[Start]:
    """Set up a desk: `await start()`; keyword tables are laid over the config."""
    fields: list[Field] = []

    async def make(
        folder: str = "w",
        *,
        engine: bool = True,
        overrides: Any = None,
        exchange: dict[str, Any] | None = None,
        **settings: Any,
    ) -> Field:
        path = tmp_path / folder
        workspace = await asyncio.to_thread(create_demo, path, merged(FAST, settings))
        field = Field(workspace, overrides or {}, exchange)
        fields.append(field)
        await field.start_sandbox()
        if engine:
            await field.start_engine()
        await field.sit_down()
        return field

    yield make
    for field in fields:
        await field.close()


@pytest.fixture
async def field(start: Start) -> Field:
    """A desk whose engine runs, before any session."""
    return await start()


@pytest.fixture
async def live(field: Field) -> Field:
    """A desk with a live session."""
    await field.go_live()
    return field
