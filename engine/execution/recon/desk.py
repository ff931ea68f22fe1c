"""Reconciliation at the end of a session: three sides, every break answered, both sign.

The engine's own ledgers, the journal recomputed by SQL in the store, and the venue asked by REST.
Before comparing, the venue is asked for whatever our side may have missed; what it answers is
recorded as events like any other news, never invented (I2). A failed query ends the attempt: not
known is not "flat".
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence

from engine.contracts.canonical import sha256_hex
from engine.contracts.documents import Namespace
from engine.contracts.errors import InputError, Refused
from engine.contracts.event import (
    AnyEvent,
    BalancesRead,
    BreakAnswered,
    OrderClosed,
    ReconRun,
    ReconSigned,
)
from engine.contracts.order import OPEN_STATES, OrderState
from engine.contracts.people import ENGINE, Actor, Role, person
from engine.contracts.requests import BreakAnswerRequest, SignRequest
from engine.contracts.session import SessionState
from engine.contracts.view import ReconView
from engine.execution.clock import monotonic_us, wall_us
from engine.execution.consent.signature_watch import FirstUse
from engine.execution.core import Core, State
from engine.execution.recon.sides import CLOCK_MARGIN_US, SideReader, strangers
from engine.execution.session_desk import SessionDesk, current_session, moved
from engine.execution.settle.settler import RaiseAlarm, Settler
from engine.execution.view import recon_view
from engine.governance.people import Roster
from engine.governance.saying import in_words
from engine.governance.session import ReconState, Session
from engine.governance.transitions import Cause
from engine.reconcile.causes import GREEN, RED
from engine.reconcile.compare import reconcile
from engine.reconcile.report import Report
from engine.reconcile.rows import Sides
from engine.store.store import Store
from engine.venues.port import Venue

#: States in which a session is reconciled.
RECONCILABLE = frozenset({SessionState.STOPPED, SessionState.KILLED})

#: How long open questions to the venue may take before the attempt ends, µs.
_SETTLE_US = 15_000_000
_POLL_SECONDS = 0.02
_ANSWER_LIMIT = 500

_NAMESPACES = {Role.OPERATOR: Namespace.RECON, Role.REVIEWER: Namespace.RECON_REVIEW}


class ReconDesk:
    """Runs, answers and signs the reconciliation of the current session."""

    def __init__(
        self,
        core: Core,
        session: SessionDesk,
        settler: Settler,
        venue: Venue,
        store: Store,
        roster: Roster,
        checker: FirstUse,
        raise_alarm: RaiseAlarm,
    ) -> None:
        self._core = core
        self._session = session
        self._settler = settler
        self._reader = SideReader(core, venue, store)
        self._roster = roster
        self._checker = checker
        self._raise_alarm = raise_alarm

    async def run(self, actor: Actor) -> ReconView:
        """Compare the three sides now. Raises Refused, VenueQueryFailed; then nothing is known."""
        self._session.require(actor, Role.OPERATOR, Role.REVIEWER)
        session = self._reconcilable()
        await self._learn_all(session)
        sides = await self._sides(session)
        watch = self._core.state.recon_watch
        since = watch.first_seen_us if watch.session_id == session.id else {}
        report = reconcile(secrets.token_hex(6), session.id, wall_us(), sides, since)
        document = report.to_document()
        await self._core.record(
            actor,
            ReconRun(
                session_id=session.id,
                run_id=report.run_id,
                compared=report.compared,
                breaks=report.counts,
                report=document.decode("ascii"),
                report_sha256=sha256_hex(document),
            ),
        )
        if report.counts[RED]:
            await self._raise_alarm("RECON_RED", f"{report.counts[RED]} red")
        return recon_view(self._last(session))

    async def answer(self, request: BreakAnswerRequest, actor: Actor) -> None:
        """Answer one break of the last run; a red one is closed by two people (`close_act`)."""
        self._session.require(actor, Role.OPERATOR, Role.REVIEWER)
        words = in_words(request.answer)
        if not words or len(words) > _ANSWER_LIMIT:
            raise InputError(what=f"an answer has 1 to {_ANSWER_LIMIT} characters", where="break")

        def decide(state: State) -> Sequence[AnyEvent]:
            session = current_session(state)
            recon = self._last(session)
            known = {
                one.id: one.klass for one in Report.from_document(recon.report.encode()).breaks
            }
            if request.run_id != recon.run_id or request.break_id not in known:
                raise InputError(
                    what=f"no break {request.break_id[:20]!r} in the last run",
                    where="reconciliation",
                    todo="look at the present report",
                )
            if known[request.break_id] == RED:
                raise Refused(
                    what=f"break {request.break_id} is red: one person does not close it",
                    where="reconciliation",
                    todo="ask for it with `peakctl dual ask close_break`; both sign",
                    code="RED_BREAK",
                )
            return [
                BreakAnswered(
                    session_id=session.id,
                    run_id=recon.run_id,
                    break_id=request.break_id,
                    answer=words,
                )
            ]

        await self._core.decide(actor, decide)

    async def sign(self, request: SignRequest, actor: Actor) -> None:
        """Take one person's signature; with both, the session is reconciled."""
        self._session.require(actor, Role.OPERATOR, Role.REVIEWER)
        session = self._reconcilable()
        recon = self._last(session)
        who = self._roster.by_id(actor.name)
        if who is None or actor.name not in {session.charter.operator, session.charter.reviewer}:
            raise Refused(
                what=f"{actor.name} is not of this session", where="reconciliation", code="ROLE"
            )
        if request.sha256 != recon.sha256:
            raise Refused(
                what="the signature is over another report",
                where="reconciliation",
                todo="read the present report and sign that",
                code="REPORT_CHANGED",
            )
        verdict = await self._checker.check_async(
            who.principal, _NAMESPACES[who.role], recon.report.encode(), request.signature
        )
        if not verdict.ok:
            raise Refused(
                what=verdict.reason,
                where="reconciliation",
                todo="sign again",
                code=verdict.code or "SIGNATURE",
            )
        role = who.role

        def decide(state: State) -> Sequence[AnyEvent]:
            now = current_session(state)
            self._all_answered(self._last(now))
            return [
                ReconSigned(
                    session_id=now.id,
                    run_id=recon.run_id,
                    role=role,
                    report_sha256=recon.sha256,
                    signature=request.signature,
                    fingerprint=verdict.fingerprint,
                    counter=verdict.sk_counter,
                )
            ]

        await self._core.decide(person(actor.name, f"sshsig:{verdict.fingerprint}"), decide)
        await self._core.decide(ENGINE, self._reconciled)

    def _reconciled(self, state: State) -> Sequence[AnyEvent]:
        session = current_session(state)
        recon = session.recon
        both = recon is not None and {Role.OPERATOR, Role.REVIEWER} <= set(recon.signatures)
        if recon is None or not both or session.state not in RECONCILABLE:
            return []
        if state.orders.unsettled():
            raise Refused(
                what="orders are still open or unknown",
                where="reconciliation",
                todo="cancel and settle them, then run it again",
                code="OPEN_ORDERS",
            )
        closed = [
            OrderClosed(client_order_id=order.intent.client_order_id, run_id=recon.run_id)
            for order in state.orders.session_orders(session.id)
            # what the venue lost is closed by the answer that both people signed
            if order.lost or order.state not in OPEN_STATES
            if order.state is not OrderState.CLOSED
        ]
        return [*closed, moved(session, SessionState.RECONCILED, Cause.RECON_SIGNED)]

    @staticmethod
    def _all_answered(recon: ReconState) -> None:
        report = Report.from_document(recon.report.encode())
        closed = {RED: recon.granted}
        open_ = [
            one.id
            for one in report.breaks
            if one.klass != GREEN and one.id not in closed.get(one.klass, recon.answers)
        ]
        if open_:
            raise Refused(
                what=f"breaks without an answer: {', '.join(open_[:8])}",
                where="reconciliation",
                todo="answer each, the red ones as two people, then sign",
                code="UNANSWERED",
            )

    def _reconcilable(self) -> Session:
        session = current_session(self._core.state)
        if session.state not in RECONCILABLE:
            raise Refused(
                what=f"the session is {session.state.value}",
                where="reconciliation",
                todo="stop the session first",
                code="NOT_STOPPED",
            )
        return session

    @staticmethod
    def _last(session: Session) -> ReconState:
        if session.recon is None:
            raise Refused(
                what="there is no reconciliation yet",
                where="reconciliation",
                todo="run it first",
                code="NO_RECON",
            )
        return session.recon

    # --- the three sides ------------------------------------------------------------------------

    async def _learn_all(self, session: Session) -> None:
        """Ask the venue for everything our side may have missed, and wait until it is recorded."""
        for symbol in session.charter.instruments:
            await self._settler.sync(symbol)
            await self._settler.missed_fills(symbol, session.created_us)
        deadline = monotonic_us() + _SETTLE_US
        while self._settler.unsettled or self._settler.in_flight:
            if monotonic_us() > deadline:
                names = ", ".join((*self._settler.unsettled, *self._settler.in_flight)[:5])
                raise Refused(
                    what=f"the venue has not settled {names}",
                    where="reconciliation",
                    todo="wait until these orders are known, then run it again",
                    code="UNSETTLED",
                )
            await asyncio.sleep(_POLL_SECONDS)

    async def _sides(self, session: Session) -> Sides:
        word = await self._reader.ask(
            session.charter.instruments, session.created_us - CLOCK_MARGIN_US
        )
        for report in strangers(self._core.state, session, word.reports):
            await self._settler.found_orphan(report)
        await self._core.record(
            ENGINE,
            BalancesRead(session_id=session.id, moment="reconcile", balances=word.balances),
        )
        return await self._reader.whole(session, word)
