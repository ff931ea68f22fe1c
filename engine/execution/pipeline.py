"""The order pipeline: ticket to venue and back, one order at a time, nothing assumed.

    decide (locks, limits: pure) -> journal the intent (fsync, I1) -> look at the latch again (I4)
    -> send, once -> journal what the venue said -> or UNKNOWN, and ask by client order id (I3)

What the venue answers is taken in by `settler`. Cancels pass no check (I13).
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from engine.contracts.decision import Decision, Verdict
from engine.contracts.errors import InputError, Refused
from engine.contracts.event import (
    AnyEvent,
    CancelRefused,
    CancelRequested,
    OrderBlocked,
    OrderIntended,
    OrderRejected,
    SessionMoved,
)
from engine.contracts.order import (
    OPEN_STATES,
    Order,
    OrderIntent,
    OrderState,
    OrderType,
    TimeInForce,
)
from engine.contracts.people import ENGINE, Actor
from engine.contracts.replies import OrderTimes, Submitted
from engine.contracts.requests import OrderRequest
from engine.contracts.session import SessionState
from engine.execution.clock import monotonic_us
from engine.execution.core import Core, State
from engine.execution.limits.facts import FactsBuilder
from engine.execution.settle.settler import Settler
from engine.governance.transitions import Cause
from engine.orders.ledger import client_order_id
from engine.risk.limits import check_order
from engine.venues.port import (
    Accepted,
    Canceled,
    Rejected,
    Unknown,
    Venue,
)

_RESTING = frozenset({OrderState.ACKNOWLEDGED, OrderState.PARTIALLY_FILLED})

#: The venue takes ids of at most 36 characters, also for a cancel.
_CANCEL_ID_STEM = 34


class OrderDesk:
    """Submits and cancels the orders of one account on one venue."""

    def __init__(
        self,
        core: Core,
        venue: Venue,
        facts: FactsBuilder,
        settler: Settler,
    ) -> None:
        self._core = core
        self._venue = venue
        self._facts = facts
        self._settler = settler

    @property
    def in_flight(self) -> frozenset[str]:
        """Orders whose request has left and is not answered."""
        return frozenset(self._settler.in_flight)

    @property
    def _state(self) -> State:
        return self._core.state

    # --- orders of a person ---------------------------------------------------------------------

    def preview(self, request: OrderRequest) -> Decision:
        """Say what would happen to this order now. Changes nothing. Raises InputError, Refused."""
        intent = self._intent(request, self._state)
        return check_order(intent, self._facts.risk(request.symbol))

    async def submit(self, request: OrderRequest, actor: Actor) -> Submitted:
        """Decide, journal, send. Returns once what the venue said is durable.

        A blocked order is journaled too and raises Refused with the first reason. The caller runs
        this in a task that ends only with it: what was started is carried through.
        """
        begun = monotonic_us()
        made: list[tuple[OrderIntent, Decision, int]] = []

        def decide(state: State) -> Sequence[AnyEvent]:
            intent = self._intent(request, state)
            decision = check_order(intent, self._facts.risk(request.symbol))
            made.append((intent, decision, monotonic_us()))
            return self._decided(state, intent, decision, actor)

        await self._core.decide(actor, decide)
        durable = monotonic_us()
        intent, decision, decided = made[0]
        if decision.verdict is not Verdict.ALLOW:
            first = decision.reasons[0]
            raise Refused(what=first.text, where="order", todo="nothing was sent", code=first.code)
        answered = await self._send(intent)
        return Submitted(
            decision=decision,
            client_order_id=intent.client_order_id,
            order=self._state.orders.get(intent.client_order_id),
            times=OrderTimes(
                read_us=begun,
                decided_us=decided - begun,
                durable_us=durable - begun,
                answered_us=answered - begun,
                known_us=monotonic_us() - begun,
            ),
        )

    def _decided(
        self, state: State, intent: OrderIntent, decision: Decision, actor: Actor
    ) -> Sequence[AnyEvent]:
        session = state.sessions.current
        session_id = session.id if session else ""
        if decision.verdict is Verdict.ALLOW:
            return [
                OrderIntended(
                    session_id=session_id,
                    intent=intent,
                    intent_sha256=intent.intent_sha256(),
                    owner=actor.name,
                    decision=decision,
                )
            ]
        events: list[AnyEvent] = [
            OrderBlocked(session_id=session_id, intent=intent, owner=actor.name, decision=decision)
        ]
        if decision.verdict is Verdict.PAUSE and session and session.state is SessionState.LIVE:
            events.append(
                SessionMoved(
                    session_id=session_id,
                    before=SessionState.LIVE,
                    after=SessionState.PAUSED,
                    cause=Cause.RISK_PAUSE,
                    reason=decision.reasons[0].text,
                )
            )
        return events

    async def _send(self, intent: OrderIntent) -> int:
        """Send one journaled intent, unless the latch was set since it was decided (I4).

        Returns when the venue's answer was there, monotonic µs.
        """
        order_id = intent.client_order_id
        if self._facts.latched:
            await self._core.record(
                ENGINE,
                OrderRejected(
                    client_order_id=order_id,
                    code="LATCH",
                    reason="never sent: the kill latch was set after the decision",
                ),
            )
            return monotonic_us()
        self._settler.leaves(order_id)
        try:
            outcome = await self._venue.submit(intent)
            answered = monotonic_us()
            match outcome:
                case Accepted(report=report, fills=fills):
                    await self._settler.learn(report, fills)
                case Rejected(code=code, reason=reason, advice=advice):
                    told = _told(reason, advice)
                    await self._core.record(
                        ENGINE, OrderRejected(client_order_id=order_id, code=code, reason=told)
                    )
                case Unknown(cause=cause, advice=advice):
                    await self._settler.mark_unknown(order_id, _told(cause, advice))
        finally:
            self._settler.answered(order_id)
        return answered

    async def cancel(self, order_id: str, actor: Actor, cause: str) -> None:
        """Cancel one open order. Raises Refused when there is nothing to cancel."""
        order = self._state.orders.get(order_id)
        if order is None:
            raise InputError(what="no such order", where=order_id[:40], todo="see peakctl status")
        if order.state not in OPEN_STATES:
            raise Refused(
                what=f"order is {order.state.value} already",
                where=order_id,
                todo="nothing to cancel",
                code="NOT_OPEN",
            )
        await asyncio.shield(asyncio.ensure_future(self._cancel(order, actor, cause)))

    async def cancel_resting(self, actor: Actor, cause: str) -> None:
        """Cancel what is known to rest, one request per order, all at once.

        What is being canceled or in doubt already is asked for instead, and canceled once it is
        found to rest.
        """
        resting = []
        for order in self._state.orders.unsettled():
            if order.state in _RESTING:
                resting.append(order)
            else:
                self._settler.settle_later(order.intent.client_order_id)
        await asyncio.gather(*(self._cancel(order, actor, cause) for order in resting))

    async def _cancel(self, order: Order, actor: Actor, cause: str) -> None:
        order_id = order.intent.client_order_id
        cancel_id = f"{order_id[:_CANCEL_ID_STEM]}-c"

        def decide(state: State) -> Sequence[AnyEvent]:
            now = state.orders.get(order_id)
            if now is None or now.state not in OPEN_STATES:
                return []
            return [CancelRequested(client_order_id=order_id, cancel_id=cancel_id, cause=cause)]

        if not await self._core.decide(actor, decide):
            return  # it ended while the cancel was on its way here: there is nothing to cancel
        with self._settler.canceling(order_id):
            outcome = await self._venue.cancel(order.intent.symbol, order_id, cancel_id)
        match outcome:
            case Canceled(reports=reports):
                for report in reports:
                    await self._settler.learn(report, ())
            case Rejected(code=code, reason=reason, advice=advice):
                told = _told(reason, advice)
                await self._core.record(
                    ENGINE, CancelRefused(client_order_id=order_id, code=code, reason=told)
                )
                self._settler.settle_later(order_id)
            case Unknown(cause=unknown, advice=advice):
                await self._settler.mark_unknown(order_id, _told(unknown, advice))

    # --- helpers --------------------------------------------------------------------------------

    def _intent(self, request: OrderRequest, state: State) -> OrderIntent:
        session = state.sessions.current
        if session is None:
            raise Refused(
                what="there is no session",
                where="order",
                todo="write a charter first",
                code="SESSION",
            )
        if request.quantity <= 0:
            raise InputError(what="must be above zero", where="quantity", todo="enter a quantity")
        market = request.type is OrderType.MARKET
        if market != (request.price is None):
            raise InputError(
                what="a market order has no price, a limit order needs one",
                where="price",
                todo="change the type or the price",
            )
        if request.price is not None and request.price <= 0:
            raise InputError(what="must be above zero", where="price", todo="enter a price")
        resting = request.type is OrderType.LIMIT
        return OrderIntent(
            client_order_id=client_order_id(session.id, state.orders.sequence(session.id)),
            symbol=request.symbol,
            side=request.side,
            type=request.type,
            quantity=request.quantity,
            price=request.price,
            time_in_force=(request.time_in_force or TimeInForce.GTC) if resting else None,
        )


def _told(what: str, advice: str) -> str:
    """What happened, and what the operator does about it, in one line."""
    return f"{what.rstrip('.')}. {advice}" if advice else what
