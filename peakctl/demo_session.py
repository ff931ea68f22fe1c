"""The headless session: what the operator and the reviewer do, step by step, from charter to pack.

Reads as the script of two people. Every wait has a condition and a deadline; a step that fails
ends the demo with its error.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import msgspec

from engine.contracts.canonical import sha256_hex
from engine.contracts.decision import Verdict
from engine.contracts.documents import Namespace
from engine.contracts.errors import AnswerNo, IntegrityError, PeakError
from engine.contracts.money import round_down_to, to_text
from engine.contracts.order import Order, OrderState, OrderType, Side
from engine.contracts.session import Charter, ChecklistItem, ItemKind, ItemResult, Limits
from engine.contracts.view import ItemView, MarketView, StateView
from engine.governance.checklist import parse_runbook
from engine.governance.wordlist import short_code
from peakctl.ceremony import cosign_document, new_nonce
from peakctl.client.kill import send_kill
from peakctl.commands.output import say
from peakctl.demo_seats import WAIT_SECONDS, Late, Seat, answer_for, seats
from peakctl.signing import signals
from peakctl.tools import draft_charter, read_settings
from peakctl.workspace import Workspace

#: The demo's own limits: well inside what `dev` allows.
LIMITS = Limits(
    max_order_quantity=Decimal("0.5"),
    max_order_notional=Decimal(40000),
    max_position=Decimal(1),
    max_open_orders=20,
    max_orders_per_second=5,
    max_orders_per_minute=60,
    max_orders_per_session=200,
    max_session_loss=Decimal(1000),
    price_collar_bps=300,
)

FILL_SECONDS = 10.0
#: How far under the best bid an order rests, how far over the best ask one crosses even when the
#: market moves meanwhile; quantities in units of the base.
BELOW_BID = Decimal("0.998")
OVER_ASK = Decimal("1.0005")
SMALL = Decimal("0.002")
MIDDLE = Decimal("0.1")
LARGEST = Decimal("0.4")

_FINAL = frozenset(
    {OrderState.FILLED, OrderState.CANCELED, OrderState.REJECTED, OrderState.EXPIRED}
)


class Narrator:
    """Prints one line per step with the time it took."""

    def tell(self, name: str, words: str, started: float) -> None:
        """A step that is done; `started` is on the monotonic clock, seconds."""
        say(f"{name:<11}{(time.monotonic() - started) * 1000:8.0f} ms  {words}")


async def play(workspace: Workspace, narrator: Narrator) -> Path:
    """The whole session. Returns the folder of the sealed and verified pack."""
    async with seats(workspace) as (operator, reviewer):
        story = Story(workspace, narrator, operator, reviewer)
        await story.all_steps()
        return story.folder


class Story:
    """The steps in order; each returns what is told about it."""

    def __init__(
        self,
        workspace: Workspace,
        narrator: Narrator,
        operator: Seat,
        reviewer: Seat,
        limits: Limits = LIMITS,
    ) -> None:
        self.limits = limits
        self.workspace = workspace
        self.narrator = narrator
        self.operator = operator
        self.reviewer = reviewer
        self.folder = workspace.sessions
        self._charter: Charter | None = None
        self._resting = ""

    async def all_steps(self) -> None:
        """The whole session, each step told as it is done."""
        for name, step in (
            ("ready", self.ready),
            ("charter", self.charter),
            ("join", self.join),
            ("checklist", self.checklist),
            ("go", self.go),
            ("limit", self.limit_order),
            ("market", self.market_order),
            ("partial", self.partial_fills),
            ("cancel", self.cancel_one),
            ("note", self.note),
            ("snapshot", self.snapshot),
            ("kill", self.kill),
            ("reconcile", self.reconcile),
            ("lessons", self.lessons),
            ("pack", self.pack),
            ("verify", self.verify),
        ):
            started = time.monotonic()
            self.narrator.tell(name, await step(), started)

    async def ready(self) -> str:
        """Wait until the engine is ready and the market is alive."""
        view = await self.operator.until(
            lambda seen: seen.engine.phase == "ready" and _alive(seen.market), "engine ready"
        )
        market = _market(view)
        return f"{market.symbol} {market.bids[0][0]} / {market.asks[0][0]}"

    async def charter(self) -> str:
        """The operator writes the charter and begins the checklist."""
        draft = draft_charter(self.workspace, self.operator.client.person)
        self._charter = msgspec.structs.replace(
            draft, limits=self.limits, purpose="demo: one session from charter to pack"
        )
        await self.operator.client.charter(self._charter)
        view = await self.operator.client.start_checklist("demo")
        return f"session {_session_id(view)}, paper, {', '.join(self._charter.instruments)}"

    async def join(self) -> str:
        """The reviewer's process joins with its own nonce."""
        await self.reviewer.client.join_review(new_nonce(), signals())
        return f"{self.reviewer.client.person} joined"

    async def checklist(self) -> str:
        """Automatic items are probed; both people answer theirs from own readings."""
        probed = await self.operator.client.probe()
        items = self._runbook_items()
        answered = 0
        for seat in (self.operator, self.reviewer):
            view = await seat.client.state()
            for row in _open_manual(view, seat.client.role):
                words = answer_for(items[row.id], self._the_charter())
                await seat.client.answer(row.id, seat.client.role, words)
                answered += 1
        view = await self.operator.client.state()
        left = [
            f"{row.id} ({row.role}): {row.value} {row.detail}".strip()
            for row in (view.session.checklist if view.session else ())
            if row.result is not ItemResult.PASS
        ]
        if left:
            raise AnswerNo(what=f"items are not passed: {'; '.join(left)}", where="checklist")
        probes = sum(
            row.kind is ItemKind.AUTO
            for row in (probed.session.checklist if probed.session else ())
        )
        return f"{probes} items probed, {answered} answered"

    def _runbook_items(self) -> dict[str, ChecklistItem]:
        name = self._the_charter().runbook
        path = self.workspace.runbooks / f"{name}.md"
        checklist = parse_runbook(path.read_text(encoding="utf-8"), path.name)
        return {item.id: item for item in checklist.items}

    async def go(self) -> str:
        """Packet, two real signatures over it, and the engine's own judgement."""
        go = await self.operator.client.request_go(new_nonce(), signals())
        digest = sha256_hex(go.packet.encode("ascii"))
        await self.operator.client.sign_go(
            digest, await self.operator.sign(go.packet, Namespace.GO)
        )
        seen = await self.reviewer.until(
            lambda view: view.session is not None and view.session.go.stage == "signed",
            "the operator's signature",
        )
        packet = seen.session.go.packet if seen.session else ""
        code = short_code(sha256_hex(packet.encode("ascii")))
        document = cosign_document(
            packet=packet,
            decision="GO",
            reason="",
            typed_code=code,
            typed_limit=to_text(self._the_charter().limits.max_order_notional),
        )
        await asyncio.sleep(read_settings(self.workspace, {}).session.min_dwell_ms / 1000)
        await self.reviewer.client.cosign(
            document, await self.reviewer.sign(document, Namespace.COSIGN)
        )
        await self.operator.until(_in_state("live"), "live")
        return f"GO, code {code}, packet {digest[:16]}"

    async def limit_order(self) -> str:
        """A limit order under the market: the decision first, then sent, then resting."""
        market = _market(await self.operator.client.state())
        price = round_down_to(market.bids[0][0] * BELOW_BID, market.tick_size)
        self._resting = await self._order(Side.BUY, OrderType.LIMIT, SMALL, price)
        order = await self._until_order(
            self._resting, lambda one: one.state is OrderState.ACKNOWLEDGED, "resting"
        )
        return f"BUY {SMALL} at {price} rests as {order.venue_order_id}"

    async def market_order(self) -> str:
        """A market order and its fills."""
        order_id = await self._order(Side.BUY, OrderType.MARKET, SMALL, None)
        order = await self._until_order(
            order_id, lambda one: one.state is OrderState.FILLED, "filled"
        )
        average = order.filled_quote / order.filled_quantity
        return f"BUY {SMALL} filled in {len(order.trade_ids)} trades at {average:.2f}"

    async def partial_fills(self) -> str:
        """An order larger than the best level: part fills at once, the rest as the market comes."""
        market = _market(await self.operator.client.state())
        best, offered = market.asks[0]
        price = round_down_to(best * OVER_ASK, market.tick_size)
        quantity = max(round_down_to(offered * 2, market.step_size), MIDDLE)
        quantity = min(
            quantity,
            LARGEST,
            round_down_to(self.limits.max_order_notional / price, market.step_size),
        )
        order_id = await self._order(Side.BUY, OrderType.LIMIT, quantity, price)
        order = await self._until_order(order_id, lambda one: one.filled_quantity > 0, "a fill")
        with contextlib.suppress(Late):
            order = await self._until_order(
                order_id,
                lambda one: len(one.trade_ids) > 1 or one.state in _FINAL,
                "more fills",
                FILL_SECONDS,
            )
        filled = to_text(order.filled_quantity)
        return f"{filled} of {to_text(quantity)} in {len(order.trade_ids)} trades, {order.state}"

    async def cancel_one(self) -> str:
        """The resting order is canceled and the venue says so."""
        await self.operator.client.cancel(self._resting)
        order = await self._until_order(
            self._resting, lambda one: one.state is OrderState.CANCELED, "canceled"
        )
        return f"{order.intent.client_order_id} canceled"

    async def note(self) -> str:
        """A line for the runlog, and an order left resting for the kill."""
        await self.operator.client.note("demo: everything as expected so far")
        market = _market(await self.operator.client.state())
        price = round_down_to(market.bids[0][0] * BELOW_BID, market.tick_size)
        order_id = await self._order(Side.BUY, OrderType.LIMIT, SMALL, price)
        await self._until_order(
            order_id, lambda one: one.state is OrderState.ACKNOWLEDGED, "resting"
        )
        return "written; one more order rests"

    async def snapshot(self) -> str:
        """The whole state as a file, its hash in the journal."""
        taken = await self.operator.client.snapshot()
        return f"{taken.sha256[:16]} {Path(taken.file).name}"

    async def kill(self) -> str:
        """The kill key's own path: raw, from a thread; then the verdict."""
        pressed = await asyncio.to_thread(
            send_kill,
            self.workspace.socket,
            person=self.operator.client.person,
            reason="demo",
            source="demo",
        )
        view = await self.operator.until(
            lambda seen: seen.kill.state in {"PROVEN", "UNCONFIRMED"}, "the kill's verdict"
        )
        if view.kill.state != "PROVEN":
            raise AnswerNo(what=f"kill {view.kill.state}: {view.kill.detail}", where="kill")
        stages = ", ".join(f"{one.stage} {one.elapsed_us / 1000:.1f}" for one in view.kill.stages)
        return f"PROVEN; latch answered in {pressed.elapsed_ms:.1f} ms; ms: {stages}"

    async def reconcile(self) -> str:
        """Three sides compared, every break answered, both sign the report."""
        found = await self.operator.client.run_recon()
        for row in found.breaks:
            if row.klass == "yellow" and not row.answer:
                words = f"demo: seen, {row.cause}"
                await self.operator.client.answer_break(found.run_id, row.id, words)
        red = [row.key for row in found.breaks if row.klass == "red"]
        if red:
            raise IntegrityError(what=f"red breaks: {', '.join(red)}", where="reconcile")
        digest = sha256_hex(found.report.encode("ascii"))
        for seat, namespace in (
            (self.operator, Namespace.RECON),
            (self.reviewer, Namespace.RECON_REVIEW),
        ):
            await seat.client.sign_recon(digest, await seat.sign(found.report, namespace))
        await self.operator.until(_in_state("reconciled"), "reconciled")
        compared = ", ".join(f"{count} {what}" for what, count in found.compared.items())
        return f"{compared}; {len(found.breaks)} breaks; both signed"

    async def lessons(self) -> str:
        """Asked for even on a green day."""
        await self.operator.client.write_lessons(("The demo runs from charter to pack by itself.",))
        return "1 point"

    async def pack(self) -> str:
        """Written, signed by both over the same bytes, sealed."""
        pack = await self.operator.client.write_pack()
        for seat in (self.operator, self.reviewer):
            await seat.sign_pack(pack)
        view = await self.operator.until(_in_state("sealed"), "sealed")
        sealed = view.session.pack if view.session else None
        if sealed is None:
            raise AnswerNo(what="sealed without a pack", where="pack")
        self.folder = self.workspace.sessions / Path(sealed.folder).name
        return f"sealed, manifest {sealed.tagmanifest_sha256[:16]}"

    async def verify(self) -> str:
        """What an auditor does, with the signers' list from outside the pack."""
        from engine.evidence.verify import verify_pack  # noqa: PLC0415

        report = await asyncio.to_thread(
            verify_pack, self.folder, self.workspace.allowed_signers, self.workspace.revoked_keys
        )
        if not report.ok:
            found = "; ".join(f"{one.file}: {one.what}" for one in report.findings)
            raise IntegrityError(what=found, where=str(self.folder))
        return f"PACK OK, {len(report.checks)} checks"

    # --- orders ----------------------------------------------------------------------------

    async def _order(
        self, side: Side, kind: OrderType, quantity: Decimal, price: Decimal | None
    ) -> str:
        """Preview, then send. Raises AnswerNo with the reasons when it is blocked."""
        symbol = self._the_charter().instruments[0]
        client = self.operator.client
        decision = await client.preview(symbol, side, kind, quantity, price)
        if decision.verdict is Verdict.ALLOW:
            sent = await client.submit(symbol, side, kind, quantity, price)
            decision = sent.decision
            if decision.verdict is Verdict.ALLOW:
                return sent.client_order_id
        reasons = "; ".join(check.text for check in decision.reasons)
        raise AnswerNo(what=f"{decision.verdict}: {reasons}", where="order")

    async def _until_order(
        self,
        client_order_id: str,
        holds: Callable[[Order], bool],
        what: str,
        seconds: float = WAIT_SECONDS,
    ) -> Order:
        def find(view: StateView) -> Order | None:
            ids = (one for one in view.orders if one.intent.client_order_id == client_order_id)
            return next(ids, None)

        def reached(view: StateView) -> bool:
            order = find(view)
            if order is not None and order.state in _FINAL and not holds(order):
                told = "; ".join(
                    [str(order.state), order.reason, *(one.text for one in view.alarms)]
                )
                raise AnswerNo(what=told, where=client_order_id)
            return order is not None and holds(order)

        order = find(await self.operator.until(reached, f"{client_order_id} {what}", seconds))
        if order is None:
            raise PeakError(what="the order left the screen", where=client_order_id)
        return order

    def _the_charter(self) -> Charter:
        if self._charter is None:
            raise PeakError(what="no charter yet", where="demo")
        return self._charter


def _alive(market: MarketView | None) -> bool:
    return market is not None and not market.stale and bool(market.bids) and bool(market.asks)


def _market(view: StateView) -> MarketView:
    if view.market is None or not _alive(view.market):
        raise AnswerNo(what="no fresh market", where="demo")
    return view.market


def _session_id(view: StateView) -> str:
    return view.session.id if view.session else "?"


def _in_state(name: str) -> Callable[[StateView], bool]:
    return lambda view: view.session is not None and view.session.state.value == name


def _open_manual(view: StateView, role: str) -> list[ItemView]:
    rows = view.session.checklist if view.session else ()
    return [
        row
        for row in rows
        if row.kind is ItemKind.MANUAL and row.role == role
        if row.result is ItemResult.OPEN and not row.by
    ]
