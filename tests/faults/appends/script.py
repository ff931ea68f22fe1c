"""The scripted session: charter to seal on a market that stands still, every step safe to repeat.

Nothing here knows where the engine dies. A step first looks at what there is, by the engine's word
and, for orders, by the venue's, and does what is missing; when the engine is gone in the middle of
it, `Script` starts the engine in the usual way and the step is taken again. That is what the two
people would do: an order whose submission died is looked for and sent again only when the engine
says, and the venue confirms, that it never arrived. The other side of every trade is a second
account that trades at scripted points, each exactly once.

What the engine acknowledged on the way (answers to commands, and the head of the journal in every
state it showed) is kept, so that the end can be compared with it.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec

from engine.contracts.canonical import sha256_hex
from engine.contracts.documents import Namespace, Purpose
from engine.contracts.errors import EngineUnreachable, PeakError, Refused
from engine.contracts.order import Order, OrderState, OrderType, Side
from engine.contracts.session import ItemKind, ItemResult, SessionState
from engine.contracts.view import StateView
from engine.governance.checklist import parse_runbook
from peakctl.ceremony import new_nonce
from peakctl.demo_seats import answer_for
from peakctl.signing import signals
from tests.faults.conftest import SYMBOL, Field, eventually

if TYPE_CHECKING:
    from engine.contracts.view import PackView, ReconView, SessionView

#: The other account's quotes (side, price, quantity): nothing else stands in the book.
QUOTES = (
    ("SELL", "61000.00", "5"),
    ("SELL", "60500.00", "1"),
    ("BUY", "59000.00", "1"),
    ("BUY", "57500.00", "5"),
)
#: It also moves this far order, so that the market is heard of; nobody trades with it.
FAR = ("BUY", "50000.00", "0.001")
FAR_SECONDS = 0.5

NOTE = "halfway, both orders of the morning are filled"
LESSON = "Seen in the scripted session."

#: States of a session from its beginning to its end.
_ORDER_OF_STATES = (
    SessionState.CHARTER,
    SessionState.CHECKLIST,
    SessionState.GO_NOGO,
    SessionState.LIVE,
    SessionState.PAUSED,
    SessionState.STOPPING,
    SessionState.STOPPED,
    SessionState.RECONCILED,
    SessionState.SEALED,
)
#: Refusals that pass by themselves after a restart: the person tries again.
_PASSING = frozenset(
    {"NOT_READY", "UNKNOWN_ORDERS", "DATA_AGE", "ATTENDANCE", "LOCKS", "CLOCK", "BALANCES"}
)
_PATIENCE_SECONDS = 120.0


class Ticket(msgspec.Struct, frozen=True):
    """One order of the script; side, type, quantity and price together are its own."""

    side: Side
    type: OrderType
    quantity: Decimal
    price: Decimal | None

    def made(self, order: Order) -> bool:
        """Whether this order came from this ticket."""
        one = order.intent
        return (one.side, one.type, one.quantity, one.price) == (
            self.side,
            self.type,
            self.quantity,
            self.price,
        )


def limit(side: Side, quantity: str, price: str) -> Ticket:
    """A limit order that stays until canceled."""
    return Ticket(side, OrderType.LIMIT, Decimal(quantity), Decimal(price))


RESTS = limit(Side.BUY, "0.004", "58500.00")
FILLS_IN_PARTS = limit(Side.BUY, "0.010", "59500.00")
AT_MARKET = Ticket(Side.BUY, OrderType.MARKET, Decimal("0.003"), None)
PART_THEN_CANCELED = limit(Side.BUY, "0.005", "59400.00")
CROSSES = limit(Side.SELL, "0.006", "59000.00")
CANCELED = limit(Side.BUY, "0.007", "58000.00")
CANCELED_BY_STOP = limit(Side.SELL, "0.008", "61500.00")

Step = Callable[["Script"], Awaitable[object]]


class Script:
    """One walk through the session on one desk; `killed` says whether the kill has come."""

    def __init__(self, field: Field, killed: Callable[[], bool]) -> None:
        self.field = field
        self._killed = killed
        self.restarts = 0
        #: whole lines of the journal that the killed engine left on the disk
        self.left = 0
        #: every break that a reconciliation showed, by run and number
        self.breaks: dict[str, str] = {}
        #: what was acknowledged: order ids, and journal size -> head as the engine showed them
        self.submitted: list[str] = []
        self.heads: dict[int, str] = {}
        self._ids: dict[Ticket, str] = {}
        self._done: set[str] = set()

    async def run(self) -> None:
        """From the engine's first start to its last end."""
        for side, price, quantity in QUOTES:
            await self._other(side, price, quantity)
        far = asyncio.create_task(self._keep_market_moving())
        try:
            await self._start(first=True)
            for step in STEPS:
                await self._carry(step)
            await self._end()
        finally:
            far.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await far

    # --- the engine dies and is started again ---------------------------------------------------

    async def _carry(self, step: Step) -> None:
        while True:
            try:
                await step(self)
            except EngineUnreachable:
                if not await self._dead():
                    raise
                await self._start()
            else:
                return

    async def _start(self, *, first: bool = False) -> None:
        """Start the engine; one that was killed while it started is started once more."""
        if first:
            try:
                await self.field.start_engine()
            except EngineUnreachable:
                pass
            else:
                return
        self.restarts += 1
        assert self.restarts == 1, "the engine died again, after its one kill"
        self.left = len(self.field.journal())
        self.field.supervisor.program = type(self.field.supervisor).program
        await self.field.start_engine()

    async def _dead(self) -> bool:
        return await asyncio.to_thread(self.field.supervisor._gone, self.field.pid, 5.0)

    async def _end(self) -> None:
        """End the engine in an orderly way; if it was killed in the middle, again."""
        await self.field.stop_engine()
        if self._killed() and not self.restarts:
            await self._start()
            await self._carry(Script.read)
            await self.field.stop_engine()

    # --- looking --------------------------------------------------------------------------------

    async def read(self) -> StateView:
        """The state now; its journal head is kept, because it was shown."""
        view = await self.field.state()
        self.heads[view.engine.events] = view.engine.head
        return view

    async def session(self) -> SessionView:
        """The session, which is there."""
        found = (await self.read()).session
        assert found is not None
        return found

    async def past(self, state: SessionState) -> bool:
        """Whether the session has reached this state, or is beyond it."""
        now = (await self.session()).state
        assert now in _ORDER_OF_STATES, now
        return _ORDER_OF_STATES.index(now) >= _ORDER_OF_STATES.index(state)

    async def order(self, ticket: Ticket) -> Order:
        """The ticket's order as the engine has it."""
        order_id = self._ids[ticket]
        found = [
            one for one in (await self.read()).orders if one.intent.client_order_id == order_id
        ]
        assert found, f"{order_id} was acknowledged and is gone"
        return found[0]

    async def until(self, ticket: Ticket, state: OrderState, filled: str) -> None:
        """Wait until the engine has the order in a state with so much filled."""

        async def holds() -> bool:
            order = await self.order(ticket)
            return order.state is state and order.filled_quantity == Decimal(filled)

        await eventually(holds, f"{ticket} {state} {filled}", _PATIENCE_SECONDS)

    async def trading(self) -> StateView:
        """Wait until the session is live and attended, the market fresh and no order in doubt."""

        async def look() -> StateView | None:
            view = await self.read()
            assert view.session is not None
            if view.session.state is SessionState.PAUSED and view.engine.attended:
                view = await self.field.client.resume("after the restart")
            doubt = any(
                one.state in {OrderState.UNKNOWN, OrderState.SUBMITTED} for one in view.orders
            )
            fresh = view.market is not None and not view.market.stale
            ready = view.engine.phase == "ready" and view.engine.attended
            live = view.session is not None and view.session.state is SessionState.LIVE
            return view if ready and fresh and live and not doubt else None

        found: StateView = await eventually(look, "trading", _PATIENCE_SECONDS)
        return found

    # --- acting ---------------------------------------------------------------------------------

    async def place(self, ticket: Ticket) -> None:
        """See that the ticket's order is at the venue, once."""
        while True:
            view = await self.trading()
            alive = [
                one
                for one in view.orders
                if ticket.made(one) and one.state is not OrderState.REJECTED
            ]
            assert len(alive) <= 1, alive
            if alive:
                self._ids[ticket] = alive[0].intent.client_order_id
                return
            try:
                sent = await self.field.client.submit(
                    SYMBOL, ticket.side, ticket.type, ticket.quantity, ticket.price
                )
            except Refused as error:
                if error.code not in _PASSING:
                    raise
                continue
            self.submitted.append(sent.client_order_id)

    async def cancel(self, ticket: Ticket, filled: str) -> None:
        """See that the order is canceled with so much filled."""
        resting = {OrderState.ACKNOWLEDGED, OrderState.PARTIALLY_FILLED}

        async def canceled() -> bool:
            order = await self.order(ticket)
            if order.state in resting:
                with contextlib.suppress(Refused):
                    await self.field.client.cancel(order.intent.client_order_id)
            return order.state is OrderState.CANCELED

        await eventually(canceled, f"{ticket} canceled", _PATIENCE_SECONDS)
        await self.until(ticket, OrderState.CANCELED, filled)

    async def sold_into(self, ticket: Ticket, name: str, quantity: str) -> None:
        """The other account sells so much into this resting order, once."""
        if name in self._done:
            return
        order_id = self._ids[ticket]
        await eventually(lambda: self._rests(order_id), f"{order_id} rests", _PATIENCE_SECONDS)
        sold = await self._other("SELL", str(ticket.price), quantity, time_in_force="IOC")
        assert Decimal(sold["executedQty"]) == Decimal(quantity), sold
        self._done.add(name)

    async def _rests(self, order_id: str) -> bool:
        return order_id in await self.field.venue_open()

    async def _other(
        self, side: str, price: str, quantity: str, time_in_force: str = "GTC"
    ) -> dict[str, Any]:
        answer: dict[str, Any] = await self.field.ask(
            "POST",
            "order",
            account=1,
            symbol=SYMBOL,
            side=side,
            type="LIMIT",
            timeInForce=time_in_force,
            quantity=quantity,
            price=price,
        )
        assert "orderId" in answer, answer
        return answer

    async def _keep_market_moving(self) -> None:
        while True:
            await asyncio.sleep(FAR_SECONDS)
            made = await self._other(*FAR)
            await self.field.ask(
                "DELETE", "order", account=1, symbol=SYMBOL, orderId=made["orderId"]
            )

    async def insist(
        self, missing: Callable[[], Awaitable[Callable[[], Awaitable[Any]] | None]], what: str
    ) -> None:
        """Do what is missing until nothing is; a refusal is looked at again, for a while."""
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while (act := await missing()) is not None:
            try:
                await act()
            except EngineUnreachable:
                raise
            except PeakError as error:
                if time.monotonic() > deadline:
                    raise AssertionError(f"{what}: {error.line()}") from error
                await asyncio.sleep(0.05)


# --- the steps, in their order -------------------------------------------------------------------


async def charter(script: Script) -> None:
    """The operator writes the charter, when the engine is ready and the market fresh."""

    async def missing() -> Callable[[], Awaitable[Any]] | None:
        view = await script.read()
        if view.session is not None and view.session.state is not SessionState.SEALED:
            return None
        fresh = view.market is not None and not view.market.stale
        if view.engine.phase != "ready" or not fresh:
            return lambda: asyncio.sleep(0.05)
        return lambda: script.field.client.charter(script.field.charter())

    await script.insist(missing, "charter")


async def checklist(script: Script) -> None:
    """The reviewer joins; every item is measured or answered."""
    desk = script.field

    async def missing() -> Callable[[], Awaitable[Any]] | None:
        session = await script.session()
        if session.state is SessionState.CHARTER:
            return desk.client.start_checklist
        if session.state is not SessionState.CHECKLIST:
            return None
        if not session.reviewer_joined:
            return lambda: desk.reviewer.client.join_review(new_nonce(), signals())
        return await _item_missing(script)

    await script.insist(missing, "checklist")


async def _item_missing(script: Script) -> Callable[[], Awaitable[Any]] | None:
    desk = script.field
    session = await script.session()
    runbook = desk.workspace.runbooks / f"{session.charter.runbook}.md"
    items = {one.id: one for one in parse_runbook(runbook.read_text(), runbook.name).items}
    for seat in (desk.operator, desk.reviewer):
        view = await seat.client.state()
        for row in view.session.checklist if view.session else ():
            given = row.result is ItemResult.OPEN and row.by  # blind, until the other's is in
            if row.result is ItemResult.PASS or given:
                continue
            if row.kind is ItemKind.AUTO:
                return desk.client.probe
            if row.role == seat.client.role:
                words = answer_for(items[row.id], session.charter)
                client = seat.client
                return lambda: client.answer(row.id, row.role, words)
    return None


async def go(script: Script) -> None:
    """The operator asks and signs, the reviewer signs; a request that a restart voided is new."""
    desk = script.field

    async def missing() -> Callable[[], Awaitable[Any]] | None:
        session = await script.session()
        match session.state, session.go.stage:
            case SessionState.CHECKLIST, _:
                return await _item_missing(script) or (
                    lambda: desk.client.request_go(new_nonce(), signals())
                )
            case SessionState.GO_NOGO, "requested":
                return lambda: _sign_go(desk, session.go.packet)
            case SessionState.GO_NOGO, "signed":
                return lambda: desk.cosign(session.go.packet)
            case SessionState.GO_NOGO, stage:
                raise AssertionError(f"go/no-go in stage {stage}")
        return None

    await script.insist(missing, "go")
    await script.trading()


async def _sign_go(desk: Field, packet: str) -> None:
    signature = await desk.operator.sign(packet, Namespace.GO)
    await desk.client.sign_go(sha256_hex(packet.encode()), signature)


async def rest(script: Script) -> None:
    """Two orders that nobody trades with."""
    for ticket in (RESTS, CANCELED_BY_STOP):
        await script.place(ticket)
        await script.until(ticket, OrderState.ACKNOWLEDGED, "0")


async def fill_in_parts(script: Script) -> None:
    """A limit order is filled in two parts."""
    await script.place(FILLS_IN_PARTS)
    await script.sold_into(FILLS_IN_PARTS, "first part", "0.004")
    if "second part" not in script._done:
        await script.until(FILLS_IN_PARTS, OrderState.PARTIALLY_FILLED, "0.004")
    await script.sold_into(FILLS_IN_PARTS, "second part", "0.006")
    await script.until(FILLS_IN_PARTS, OrderState.FILLED, "0.010")


async def take(script: Script) -> None:
    """A market order, and a limit order that crosses."""
    await script.place(AT_MARKET)
    await script.until(AT_MARKET, OrderState.FILLED, "0.003")
    await script.place(CROSSES)
    await script.until(CROSSES, OrderState.FILLED, "0.006")


async def note(script: Script) -> None:
    """A line into the runlog."""
    if not any(NOTE in line for line in (await script.session()).runlog):
        await script.field.client.note(NOTE)


async def cancel(script: Script) -> None:
    """One order is canceled after a part was filled, one before anything was."""
    await script.place(PART_THEN_CANCELED)
    await script.sold_into(PART_THEN_CANCELED, "part before cancel", "0.002")
    await script.cancel(PART_THEN_CANCELED, "0.002")
    await script.place(CANCELED)
    await script.cancel(CANCELED, "0")


async def stop(script: Script) -> None:
    """The session is wound down: what rests is canceled, and the venue proves it."""

    async def missing() -> Callable[[], Awaitable[Any]] | None:
        session = await script.session()
        trading = session.state in {SessionState.LIVE, SessionState.PAUSED}
        return (lambda: script.field.client.stop("the script is over")) if trading else None

    await script.insist(missing, "stop")
    await eventually(lambda: script.past(SessionState.STOPPED), "stopped", _PATIENCE_SECONDS)


async def reconcile(script: Script) -> None:
    """Three sides are compared; what was found is kept and answered, and signed by both."""
    desk = script.field

    async def sign(recon: ReconView) -> None:
        for row in recon.breaks:
            if row.klass == "yellow" and not row.answer:
                await desk.client.answer_break(recon.run_id, row.id, "kept by the script")
        red = [row.id for row in recon.breaks if row.klass == "red" and not row.granted]
        if red:
            subject = {"run_id": recon.run_id, "break_ids": ",".join(red)}
            await desk.grant(Purpose.CLOSE_BREAK, subject, "kept by the script")
        for seat, namespace in (
            (desk.operator, Namespace.RECON),
            (desk.reviewer, Namespace.RECON_REVIEW),
        ):
            signature = await seat.sign(recon.report, namespace)
            await seat.client.sign_recon(sha256_hex(recon.report.encode()), signature)

    async def missing() -> Callable[[], Awaitable[Any]] | None:
        session = await script.session()
        if session.state is not SessionState.STOPPED:
            return None
        recon = session.recon
        if recon is None:
            return desk.client.run_recon
        for one in recon.breaks:
            script.breaks[f"{recon.run_id}/{one.id}"] = (
                f"{one.klass} {one.subject} {one.key}: {one.engine} | {one.journal} | {one.venue}"
            )
        return lambda: sign(recon)

    await script.insist(missing, "reconcile")
    assert await script.past(SessionState.RECONCILED)


async def seal(script: Script) -> None:
    """Lessons, the pack, both signatures."""
    desk = script.field

    async def sign(pack: PackView) -> None:
        for seat in (desk.operator, desk.reviewer):
            await seat.sign_pack(pack)

    async def missing() -> Callable[[], Awaitable[Any]] | None:
        session = await script.session()
        if session.state is not SessionState.RECONCILED:
            return None
        if session.pack is None:
            return lambda: _write_pack(desk, session.id)
        pack = session.pack
        return lambda: sign(pack)

    await script.insist(missing, "seal")
    assert await script.past(SessionState.SEALED)


async def _write_pack(desk: Field, session_id: str) -> None:
    if not desk.events("lessons.written", session_id=session_id):
        await desk.client.write_lessons((LESSON,))
    await desk.client.write_pack()


STEPS: tuple[Step, ...] = (
    charter,
    checklist,
    go,
    rest,
    fill_in_parts,
    take,
    note,
    cancel,
    stop,
    reconcile,
    seal,
)
