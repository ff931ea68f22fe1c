"""States of a whole session as data, a console that answers from data, and apps around both."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from textual.pilot import Pilot

from engine.contracts.decision import Check, Decision, Verdict, decide_all
from engine.contracts.fill import Fill, Liquidity
from engine.contracts.order import Order, OrderIntent, OrderState, OrderType, Side, TimeInForce
from engine.contracts.people import Role
from engine.contracts.session import Charter, ItemKind, ItemResult, Limits, Mode, SessionState
from engine.contracts.view import (
    AlarmView,
    BreakView,
    DualView,
    EngineView,
    GoView,
    HeadroomView,
    ItemView,
    KillView,
    MarketView,
    OrphanView,
    PackView,
    PositionView,
    RateWindowView,
    ReconView,
    ReconWatchView,
    SessionView,
    StageView,
    StateView,
    StreamView,
    TradeView,
    VenueView,
    WatchBreakView,
)
from engine.governance.dual import DualContent, Signer, build_dual
from engine.governance.shapes import Head
from peakctl.app import ConsoleApp, ReviewApp
from peakctl.client.replies import Heads, HeadText, Submitted
from peakctl.dual import read_view
from peakctl.shell import PeakApp
from peakctl.workspace import Workspace
from screens.desk import CosignFacts, DualSeen, Tools

D = Decimal
#: 2024-08-09 10:20:30.123456 UTC
NOW = 1_723_198_830_123_456
SESSION = "4f2k9x0abq7m"

LIMITS = Limits(
    max_order_quantity=D("0.5"),
    max_order_notional=D(25000),
    max_position=D(1),
    max_open_orders=20,
    max_orders_per_second=5,
    max_orders_per_minute=60,
    max_orders_per_session=500,
    max_session_loss=D(500),
    price_collar_bps=100,
)
CHARTER = Charter(
    mode=Mode.PAPER,
    venue="sandbox",
    account="demo",
    instruments=("BTCUSDT",),
    limits=LIMITS,
    window_from_us=NOW - 600_000_000,
    window_until_us=NOW + 2_700_000_000,
    operator="alice",
    reviewer="bob",
    runbook="session-day",
    attendance_seconds=15,
    purpose="first paper session",
)
#: What the console reads of the config.
SETTINGS = SimpleNamespace(session=SimpleNamespace(min_dwell_ms=0))


def item(number: int, title: str, kind: ItemKind, result: ItemResult, **more: Any) -> ItemView:
    role = more.pop("role", "operator")
    return ItemView(id=f"i{number}", title=title, kind=kind, role=role, result=result, **more)


ITEMS = (
    item(
        1,
        "Clock offset to the venue is small",
        ItemKind.AUTO,
        ItemResult.PASS,
        value="3 ms",
        by="engine",
        answered_us=NOW,
    ),
    item(
        2,
        "Market data is fresh",
        ItemKind.AUTO,
        ItemResult.PASS,
        value="87 ms",
        by="engine",
        answered_us=NOW,
        critical=True,
    ),
    item(
        3,
        "Watchdog is armed and has its own link",
        ItemKind.AUTO,
        ItemResult.FAIL,
        value="no heartbeat",
        detail="watchdog: no heartbeat for 4.2 s; start it with the engine",
        by="engine",
        answered_us=NOW,
    ),
    item(
        4,
        "Position before the session, BTC",
        ItemKind.MANUAL,
        ItemResult.PASS,
        value="0",
        by="alice",
        answered_us=NOW,
        shared=True,
    ),
    item(
        5,
        "Largest order allowed, USDT",
        ItemKind.MANUAL,
        ItemResult.OPEN,
        hint="Read it from the charter on F2: a number",
        shared=True,
    ),
    item(
        6,
        "Kill key arrives: press it in the drill",
        ItemKind.MANUAL,
        ItemResult.OPEN,
        critical=True,
    ),
    item(
        4,
        "Position before the session, BTC",
        ItemKind.MANUAL,
        ItemResult.OPEN,
        role="reviewer",
        shared=True,
    ),
    item(
        5,
        "Largest order allowed, USDT",
        ItemKind.MANUAL,
        ItemResult.OPEN,
        role="reviewer",
        shared=True,
        hint="Read it from the charter: a number",
    ),
)

PACKET = '{"account":"demo","session":"4f2k9x0abq7m","type":"peakctl-go-1"}\n'
PACKET_SHA = hashlib.sha256(PACKET.encode()).hexdigest()
LINES = (
    ("session", SESSION),
    ("environment", "dev"),
    ("mode", "PAPER"),
    ("venue", "sandbox"),
    ("account", "demo"),
    ("instruments", "BTCUSDT"),
    ("limit max_order_notional", "25000"),
    ("limit max_position", "1"),
    ("operator", "alice (op:alice, SHA256:qQ1rQ0nVJ8cFh0c2n9Yp6f2Zq8c1mS3k4J5h6G7f8D9, uid 1000)"),
    ("reviewer", "bob (rev:bob, SHA256:aA1rQ0nVJ8cFh0c2n9Yp6f2Zq8c1mS3k4J5h6G7f8D9, uid 1001)"),
    ("same-uid waiver", "no"),
    ("config", "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"),
)
CODE = "bajik-torul-masit-kurob"

REPORT = '{"type":"peakctl-recon-1"}\n'
RECON = ReconView(
    run_id="r1",
    report=REPORT,
    report_sha256=hashlib.sha256(REPORT.encode()).hexdigest(),
    compared={"orders": 14, "fills": 9, "fees": 9, "positions": 1, "balances": 2},
    breaks=(
        BreakView(
            id="b1",
            klass="red",
            subject="fills",
            key="BTCUSDT 28457",
            engine="missing",
            journal="missing",
            venue="BUY 0.01 @ 60000.10",
            cause="fill known to the venue only",
        ),
        BreakView(
            id="b2",
            klass="yellow",
            subject="fees",
            key="BNB",
            engine="0.00012",
            journal="0.00012",
            venue="0.00013",
            cause="rounding over the tolerance",
            answer="venue rounds per fill",
        ),
        BreakView(
            id="b3",
            klass="green",
            subject="balances",
            key="USDT",
            engine="99400.00",
            journal="99400.00",
            venue="99400.000",
            cause="same number, other digits",
        ),
    ),
    signed_by=("operator",),
)

#: What a person signs of a written pack, by name, and what ties it together.
RUNLOG = b"""\
# Runlog of session 4f2k9x0abq7m

| time (UTC) | seq | who | what |
|---|---|---|---|
| 2024-08-09T10:20:30.000001Z | 6 | alice | session 4f2k9x0abq7m chartered |
| 2024-08-09T10:31:02.120001Z | 27 | bob | GO by the reviewer |
| 2024-08-09T10:31:40.000001Z | 28 | alice | note: [@click=app.exit]\xe2\x80\xae all well[/] |
"""
DOCUMENTS = {
    "data/reports/runlog.md": RUNLOG,
    "data/reports/incidents.md": b"# Incidents of session 4f2k9x0abq7m\n\nnone\n",
}
MANIFEST = b"".join(
    b"%b  %b\n" % (hashlib.sha256(raw).hexdigest().encode(), name.encode())
    for name, raw in DOCUMENTS.items()
)
DOCUMENTS["manifest-sha256.txt"] = MANIFEST

TAG = "e3b0c442 data/go.json\n"
PACK = PackView(
    stage="written",
    folder="/home/alice/peak/sessions/20240809_102030_4f2k9x0abq7m",
    tagmanifest=TAG,
    tagmanifest_sha256=hashlib.sha256(TAG.encode()).hexdigest(),
    signed_by=("operator",),
)


SIGNABLE_TAG = f"{hashlib.sha256(MANIFEST).hexdigest()}  manifest-sha256.txt\n"
SIGNABLE = msgspec.structs.replace(
    PACK,
    tagmanifest=SIGNABLE_TAG,
    tagmanifest_sha256=hashlib.sha256(SIGNABLE_TAG.encode()).hexdigest(),
)


def order(
    number: int, state: OrderState, side: Side, price: str, filled: str = "0", **more: Any
) -> Order:
    return Order(
        intent=OrderIntent(
            client_order_id=f"{SESSION}-{number:04d}",
            symbol="BTCUSDT",
            side=side,
            type=OrderType.LIMIT,
            quantity=D("0.05"),
            price=D(price),
            time_in_force=TimeInForce.GTC,
        ),
        state=state,
        owner="alice",
        session_id=SESSION,
        created_us=NOW - 60_000_000 + number,
        updated_us=NOW - 30_000_000,
        filled_quantity=D(filled),
        **more,
    )


ORDERS = (
    order(7, OrderState.UNKNOWN, Side.BUY, "59990.1", reason="timeout: asking the venue"),
    order(6, OrderState.ACKNOWLEDGED, Side.SELL, "60100.5"),
    order(5, OrderState.PARTIALLY_FILLED, Side.BUY, "60000.1", "0.02"),
    order(4, OrderState.CANCEL_PENDING, Side.BUY, "59900"),
    order(3, OrderState.FILLED, Side.BUY, "60003.7", "0.05"),
    order(2, OrderState.REJECTED, Side.BUY, "60003.7", reason="-2010 insufficient balance"),
    order(1, OrderState.CANCELED, Side.BUY, "59800"),
)
FILLS = tuple(
    Fill(
        symbol="BTCUSDT",
        trade_id=str(28457 - n),
        client_order_id=f"{SESSION}-0003",
        venue_order_id="991",
        side=Side.BUY,
        price=D("60003.7") - n,
        quantity=D("0.01"),
        fee=D("0.00001"),
        fee_asset="BTC",
        liquidity=Liquidity.TAKER,
        time_us=NOW - n * 1_500_000,
    )
    for n in range(5)
)
MARKET = MarketView(
    symbol="BTCUSDT",
    base="BTC",
    quote="USDT",
    tick_size=D("0.01"),
    step_size=D("0.00001"),
    bids=tuple((D("60000.10") - n * D("0.37"), D("0.41235") + n * D("0.113")) for n in range(12)),
    asks=tuple((D("60000.50") + n * D("0.41"), D("0.09875") + n * D("0.207")) for n in range(12)),
    trades=tuple(
        TradeView(
            price=D("60000.10") + n % 3,
            quantity=D("0.00125") * (n + 1),
            taker="BUY" if n % 2 else "SELL",
            time_us=NOW - n * 700_000,
        )
        for n in range(12)
    ),
    last=D("60000.10"),
    book_age_ms=87,
    trade_age_ms=410,
    stale=False,
    limit_ms=3000,
)
HEADROOM = (
    HeadroomView(
        code="MAX_POSITION", text="position", used="0.07", limit="1", unit="BTC", used_percent=7
    ),
    HeadroomView(
        code="MAX_OPEN_ORDERS", text="open orders", used="4", limit="20", unit="", used_percent=20
    ),
    HeadroomView(
        code="SESSION_LOSS",
        text="session loss",
        used="412.50",
        limit="500",
        unit="USDT",
        used_percent=82,
    ),
    HeadroomView(
        code="RATE_SESSION", text="orders, session", used="7", limit="500", unit="", used_percent=1
    ),
    HeadroomView(
        code="RATE_MINUTE", text="orders, minute", used="60", limit="60", unit="", used_percent=100
    ),
)
ALARM = AlarmView(
    id="a1",
    code="ORDER_UNKNOWN",
    priority=1,
    text="order 0007 is UNKNOWN: the venue did not answer",
    response="wait for the engine's question to the venue; do not send it again",
    raised_us=NOW - 4_000_000,
)
ENGINE = EngineView(
    pid=4711,
    version="0.1.0",
    phase="ready",
    started_us=NOW - 3_600_000_000,
    environment="dev",
    workspace="/home/alice/peak",
    demo=True,
    config_sha256="9f86d081",
    events=1234,
    head="ab" * 32,
    store_lag=0,
    attended=True,
    watchdog="watching",
    review_command="peakctl review --workspace /home/alice/peak",
)
VENUE = VenueView(
    name="sandbox",
    connected=True,
    clock_offset_ms=3,
    streams=(
        StreamView(
            name="market",
            connected=True,
            age_ms=87,
            limit_ms=3000,
            messages=9000,
            gaps=0,
            reconnects=0,
        ),
        StreamView(
            name="user",
            connected=True,
            age_ms=1200,
            limit_ms=60000,
            messages=40,
            gaps=0,
            reconnects=0,
        ),
    ),
    used_weight=120,
    weight_limit=6000,
)
POSITION = PositionView(
    symbol="BTCUSDT",
    quantity=D("0.06995"),
    average_price=D("60002.61"),
    realized=D("-12.4"),
    unrealized=D("3.05"),
    fees={"BTC": D("0.00005")},
    mark=D("60000.30"),
)

EMPTY = StateView(
    time_us=NOW,
    engine=ENGINE,
    kill=KillView(state="READY"),
    venue=VENUE,
    market=MARKET,
    session=None,
    orders=(),
    fills=(),
    positions=(),
    balances={"USDT": (D(100000), D(0))},
    limits=(),
    alarms=(),
    next_step="Write the charter (F2) and open the session with ctrl+s.",
    next_step_reviewer="Wait for the operator's charter.",
)


def session(state: SessionState, **more: Any) -> SessionView:
    more.setdefault("go", GoView(stage="none"))
    return SessionView(
        id=SESSION,
        state=state,
        charter=CHARTER,
        since_us=NOW - 60_000_000,
        checklist=ITEMS,
        reviewer_joined=True,
        runlog=(),
        **more,
    )


def with_session(state: SessionState, **more: Any) -> StateView:
    return msgspec.structs.replace(EMPTY, session=session(state, **more))


def go_view(stage: str = "requested", **more: Any) -> GoView:
    return GoView(
        stage=stage, packet=PACKET, packet_sha256=PACKET_SHA, expires_us=NOW + 240_000_000, **more
    )


CHECKLIST = msgspec.structs.replace(
    with_session(SessionState.CHECKLIST),
    next_step="Answer 2 open items; one automatic item failed: watchdog.",
    next_step_reviewer="Answer the 2 shared items from your own readings.",
)
GO = msgspec.structs.replace(
    with_session(SessionState.GO_NOGO, go=go_view()),
    next_step="Read the packet, then sign it with ctrl+s.",
)
LIVE = msgspec.structs.replace(
    with_session(SessionState.LIVE, go=go_view("go", decision="GO")),
    orders=ORDERS,
    fills=FILLS,
    positions=(POSITION,),
    limits=HEADROOM,
    alarms=(ALARM,),
    next_step="Session is live until 11:05:30Z. ctrl+n opens the order ticket; F12 stops.",
    next_step_reviewer="Watch the session; F9 stops everything.",
)
WATCHED = ReconWatchView(
    state="breaks",
    moment="live",
    at_us=NOW - 4_000_000,
    age_ms=4_000,
    limit_ms=30_000,
    compared={"orders": 7, "fills": 3, "fees": 3, "positions": 1, "balances": 2},
    breaks=(
        WatchBreakView(
            code="FILL_MISSING_ENGINE",
            key="BTCUSDT 90211",
            klass="red",
            subject="fills",
            first_seen_us=NOW - 14_000_000,
            age_ms=14_000,
            runs=2,
            cause="the engine missed the trade",
            likely="the user stream lost it",
            owner="operator",
        ),
        WatchBreakView(
            code="ORDER_UNKNOWN",
            key="pk-4f2k9x0abq7m-000007",
            klass="yellow",
            subject="orders",
            first_seen_us=NOW - 4_000_000,
            age_ms=4_000,
            runs=1,
            cause="the order's outcome is in doubt",
            likely="a request without an answer",
            owner="operator",
        ),
    ),
)
ORPHANS = (
    OrphanView(
        symbol="BTCUSDT",
        client_order_id="stranger-1",
        venue_order_id="88100412",
        side="BUY",
        price=D("59000.00"),
        quantity=D("0.002"),
        filled_quantity=D(0),
        state="open",
        status="NEW",
        found_us=NOW - 8_000_000,
    ),
    OrphanView(
        symbol="BTCUSDT",
        client_order_id="web_4c1",
        venue_order_id="88100399",
        side="SELL",
        price=D("61000.00"),
        quantity=D("0.010"),
        filled_quantity=D("0.004"),
        state="ended",
        status="CANCELED",
        found_us=NOW - 80_000_000,
        by="alice",
        reason="by key",
    ),
)
TROUBLE = msgspec.structs.replace(
    LIVE,
    recon_watch=WATCHED,
    orphans=ORPHANS,
    venue=msgspec.structs.replace(
        VENUE,
        windows=(
            RateWindowView(kind="REQUEST_WEIGHT", window="1M", used=120, limit=6000),
            RateWindowView(kind="ORDERS", window="10S", used=80, limit=100),
            RateWindowView(kind="ORDERS", window="1D", used=None, limit=200000),
        ),
        streams=(
            msgspec.structs.replace(
                VENUE.streams[0],
                gaps=1,
                reconnects=2,
                latency_p50_ms=2,
                latency_p95_ms=9,
                latency_p99_ms=31,
            ),
            VENUE.streams[1],
        ),
    ),
    next_step="A red break stands: look at it with ctrl+o.",
)
RECONCILE = msgspec.structs.replace(
    with_session(SessionState.STOPPED, recon=RECON),
    next_step="Answer the red break, then sign the report with ctrl+s.",
)
SEAL = msgspec.structs.replace(
    with_session(SessionState.RECONCILED, recon=RECON, pack=SIGNABLE),
    next_step="The reviewer signs the pack.",
)
KILLED = msgspec.structs.replace(
    with_session(SessionState.KILLED),
    kill=KillView(
        state="PROVEN",
        kill_id="k-000017",
        reason="kill key",
        by="alice",
        latched_us=NOW - 3_000_000,
        stages=(
            StageView(stage="latched", elapsed_us=840, detail="journal and latch file"),
            StageView(stage="cancel-all", elapsed_us=21_400, detail="4 orders, 1 request"),
            StageView(stage="acknowledged", elapsed_us=48_210, detail="4 of 4"),
            StageView(stage="proof 1", elapsed_us=61_000, detail="0 open"),
            StageView(stage="proof 2", elapsed_us=312_900, detail="0 open"),
        ),
        positions={"BTCUSDT": D("0.06995")},
    ),
    next_step="Killed and proven. Reconcile with F6.",
)

ALLOW = decide_all(
    (
        Check(
            code="MAX_NOTIONAL",
            verdict=Verdict.ALLOW,
            text="notional is inside",
            value="600.00",
            limit="25000",
            headroom="24400",
            unit="USDT",
        ),
        Check(code="WINDOW", verdict=Verdict.ALLOW, text="inside the change window"),
        Check(
            code="PRICE_COLLAR",
            verdict=Verdict.ALLOW,
            text="inside",
            value="2",
            limit="100",
            headroom="98",
            unit="bps",
        ),
    )
)
BLOCK = decide_all(
    (
        Check(
            code="MAX_NOTIONAL",
            verdict=Verdict.BLOCK,
            text="MAX_NOTIONAL: notional 30000.05 USDT is over 25000 USDT",
        ),
        Check(code="WINDOW", verdict=Verdict.ALLOW, text="inside the change window"),
    )
)


def dual_view(**changes: Any) -> DualView:
    """A request of alice's for a looser limit, as the engine shows it; with its real document."""
    words = {"subject": {"limit": "max_position", "before": "1", "after": "2", "ceiling": "5"}}
    words |= changes.pop("says", {})
    said = DualContent(
        type="peakctl-dual-loosen-1",
        purpose="loosen",
        request_id="0a1b2c3d4e5f",
        session=SESSION,
        environment="dev",
        subject=words.pop("subject"),
        reason=words.pop("reason", "the book is deeper than we thought"),
        requested_by=words.pop("requested_by", "alice"),
        operator=Signer(person="alice", principal="op:alice", fingerprint="SHA256:" + "o" * 43),
        reviewer=Signer(person="bob", principal="rev:bob", fingerprint="SHA256:" + "r" * 43),
        allow_same_uid=True,
        config_sha256="c" * 64,
        code_sha256="d" * 64,
        roster_sha256="e" * 64,
        prev_head=Head(size=412, sha256="f" * 64),
        nonce="a" * 64,
        issued_at=NOW - 30_000_000,
        expires_at=NOW + 270_000_000,
        boot_id="boot",
        hostname="desk",
    )
    document = build_dual(said)
    view = DualView(
        id=said.request_id,
        purpose=said.purpose,
        stage="pending",
        document=document.decode(),
        sha256=hashlib.sha256(document).hexdigest(),
        reason=said.reason,
        requested_by=said.requested_by,
        operator="alice",
        reviewer="bob",
        requested_us=said.issued_at,
        expires_us=said.expires_at,
        signed_by=("alice",),
    )
    return msgspec.structs.replace(view, **changes)


DUAL = dual_view()


class DataConsole:
    """Answers from data and writes down what it was asked; `push` is the engine's stream."""

    def __init__(self, person: str, role: str) -> None:
        self.person = person
        self.role = role
        self.calls: list[tuple[Any, ...]] = []
        self.connected = True
        self.signed_heads: tuple[HeadText, ...] = ()
        self.journal_lines: Callable[[int], bytes] = lambda _start: b""
        self.clock = Clock()
        self.now: StateView | None = None
        self.decision: Decision = ALLOW
        self._states: asyncio.Queue[StateView] = asyncio.Queue()

    async def __aenter__(self) -> DataConsole:
        return self

    async def __aexit__(self, *_: object) -> None:
        return None

    def push(self, state: StateView) -> None:
        self.now = state
        self._states.put_nowait(state)

    async def stream(self) -> AsyncIterator[StateView]:
        while True:
            yield await self._states.get()

    async def heads(self) -> Heads:
        return Heads(heads=self.signed_heads)

    async def journal(self, from_seq: int = 0) -> AsyncIterator[bytes]:
        for line in self.journal_lines(from_seq).splitlines(keepends=True):
            yield line

    async def state(self) -> StateView:
        assert self.now is not None
        return self.now

    async def preview(self, *order: Any) -> Decision:
        self.calls.append(("preview", *order))
        return self.decision

    async def submit(self, *order: Any) -> Submitted:
        self.calls.append(("submit", *order))
        assert self.now is not None
        return Submitted(decision=self.decision, client_order_id=f"{SESSION}-0008")

    async def dual_request(self, *asked: Any) -> DualView:
        self.calls.append(("dual_request", *asked))
        return DUAL

    async def dual_sign(self, *signed: Any, **more: Any) -> StateView:
        self.calls.append(("dual_sign", *signed, more["typed_code"]))
        assert self.now is not None
        return self.now

    async def pack_document(self, name: str) -> bytes:
        return DOCUMENTS[name]

    def __getattr__(self, name: str) -> Callable[..., Any]:
        async def call(*arguments: Any) -> StateView | None:
            self.calls.append((name, *arguments))
            return self.now

        return call


async def sign(namespace: str, message: bytes) -> str:
    return f"signed {namespace} {hashlib.sha256(message).hexdigest()}"


def data_tools() -> Tools:
    return Tools(
        sign=sign,
        short_code=lambda _sha: CODE,
        packet_lines=lambda _packet: LINES,
        cosign_document=_cosign,
        new_nonce=lambda: "ab" * 32,
        signals=lambda: {"tty": "/dev/pts/1"},
        verify_pack=lambda folder: (True, (f"{folder}: 41 files",)),
        charter_draft=lambda: CHARTER,
        read_dual=_read_dual,
        min_dwell_ms=0,
    )


def _read_dual(view: DualView) -> DualSeen:
    reading = read_view(view)
    return DualSeen(
        sha256=reading.sha256,
        short_code=reading.code,
        lines=reading.lines,
        namespaces={role.value: reading.namespace(role).value for role in Role},
    )


def _cosign(facts: CosignFacts) -> str:
    typed = f"{facts.short_code} {facts.typed_limit}"
    return f"{facts.decision} {facts.packet_sha256} {typed} {facts.reason}\n"


class Clock:
    """Stands in for the shell's clock: moves only when told."""

    def __init__(self) -> None:
        self.passed_ms = 1_000

    def time_ns(self) -> int:
        return NOW * 1_000

    def monotonic(self) -> float:
        return self.passed_ms / 1_000

    def monotonic_ns(self) -> int:
        return self.passed_ms * 1_000_000


class Stage:
    """An app on data: `show` brings it to a state and waits until it is drawn."""

    def __init__(self, app: PeakApp, console: DataConsole, pilot: Pilot[int]) -> None:
        self.app = app
        self.clock = console.clock
        self.console = console
        self.pilot = pilot

    async def show(self, state: StateView) -> None:
        self.console.push(state)
        await self.until(lambda: self.app.model.state is state)
        self.app.tick()
        await self.pilot.pause()

    async def press(self, *keys: str) -> None:
        """Keys at the pace of a person: the dialogs' first 300 ms are over."""
        self.clock.passed_ms += 400
        await self.pilot.press(*keys)

    async def type(self, words: str) -> None:
        await self.press(*(key_of(letter) for letter in words))

    async def until(self, condition: Callable[[], bool]) -> None:
        for _ in range(400):
            if condition():
                await self.pilot.pause()
                return
            await self.pilot.pause(0.005)
        raise AssertionError("the condition did not come true in time")

    def text(self, *names: str) -> str:
        """What stands in these rows of the screen on top."""
        rows = []
        for name in names:
            rows += self.app.screen.lines(name).plain_rows  # type: ignore[attr-defined]
        return "\n".join(rows)

    @property
    def said(self) -> str:
        return self.app.model.said.words


def key_of(letter: str) -> str:
    names = {" ": "space", ".": "full_stop", "-": "minus", "+": "plus"}
    return names.get(letter, letter)


@asynccontextmanager
async def staged(
    made: tuple[PeakApp, DataConsole], size: tuple[int, int] = (80, 24)
) -> AsyncIterator[Stage]:
    """The app running on a terminal of this size."""
    app, console = made
    async with app.run_test(size=size) as pilot:
        yield Stage(app, console, pilot)


def make_app(
    role: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[PeakApp, DataConsole]:
    """An app whose client is data and whose clock stands still."""
    person = "alice" if role == "operator" else "bob"
    console = DataConsole(person, role)
    monkeypatch.setattr("peakctl.shell.EngineClient", lambda *_: console)
    clock = Clock()
    monkeypatch.setattr("peakctl.shell.time", clock)
    monkeypatch.setattr("peakctl.shell.draft_charter", lambda *_: CHARTER)
    monkeypatch.setattr("peakctl.shell.read_settings", lambda *_: SETTINGS)
    app: PeakApp
    if role == "operator":
        app = ConsoleApp(Workspace(folder), person, None)
    else:
        app = ReviewApp(Workspace(folder), person, None, folder / "heads.jsonl")
    console.clock = clock
    app.tools = replace(data_tools(), sign=sign)
    return app, console


@pytest.fixture
def operator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[PeakApp, DataConsole]:
    return make_app("operator", tmp_path, monkeypatch)


@pytest.fixture
def reviewer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[PeakApp, DataConsole]:
    return make_app("reviewer", tmp_path, monkeypatch)
