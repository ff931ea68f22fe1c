"""What one person does about orders of the account that we did not make: cancel one.

That never happens by itself (I2), and it always passes (I13): no lock, limit, latch or session
stands in its way, and its outcome is the venue's word; while that is missing the venue is asked
again. Adopting one needs two people (`adopt_act`). The alarm stays until the order has ended or is
adopted, and a person has taken it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from engine.contracts.errors import InputError, Refused
from engine.contracts.event import (
    AlarmCleared,
    AnyEvent,
    OrphanCancelRequested,
    OrphanEnded,
)
from engine.contracts.people import ENGINE, Actor, Role
from engine.contracts.requests import OrphanRequest
from engine.contracts.view import OrphanView
from engine.diary import Diary
from engine.execution.core import Core, State
from engine.execution.session_desk import SessionDesk
from engine.execution.settle.orphan_news import alarm_text
from engine.execution.settle.settler import Settler
from engine.governance.saying import in_words
from engine.orders.orphans import CANCEL_REQUESTED, Orphan
from engine.venues.port import Canceled, Rejected, Venue, VenueQueryFailed

_log = Diary("orphans")

_REASON_LIMIT = 500
_TICK_SECONDS = 1.0
_SHOWN = 40


class OrphanDesk:
    """Adopts and cancels orphans, and follows those whose cancel has no answer yet."""

    def __init__(self, core: Core, session: SessionDesk, settler: Settler, venue: Venue) -> None:
        self._core = core
        self._session = session
        self._settler = settler
        self._venue = venue

    @property
    def _state(self) -> State:
        return self._core.state

    async def cancel(self, request: OrphanRequest, actor: Actor) -> None:
        """Cancel the order. What the venue did not answer is asked for until it is known (I3)."""
        self._session.require(actor, Role.OPERATOR, Role.REVIEWER)
        reason = _words(request)
        orphan = self._named(request)
        if orphan.over:
            raise Refused(
                what=f"the order is {orphan.state} {orphan.status}".rstrip(),
                where=orphan.client_order_id,
                todo="nothing to cancel here"
                if orphan.status
                else "cancel it like any order of the session",
                code="NOT_OPEN",
            )
        await asyncio.shield(asyncio.ensure_future(self._cancel(orphan, reason, actor)))

    async def _cancel(self, orphan: Orphan, reason: str, actor: Actor) -> None:
        session = self._state.sessions.current
        cancel_id = f"pk-orphan-{orphan.venue_order_id}"[:36]
        await self._core.record(
            actor,
            OrphanCancelRequested(
                session_id=session.id if session else "",
                symbol=orphan.symbol,
                client_order_id=orphan.client_order_id,
                venue_order_id=orphan.venue_order_id,
                cancel_id=cancel_id,
                reason=reason,
            ),
        )
        outcome = await self._venue.cancel(orphan.symbol, orphan.client_order_id, cancel_id)
        match outcome:
            case Canceled(reports=reports):
                for report in reports:
                    await self._settler.found_orphan(report)
            case Rejected(code=code, reason=text):
                _log.warning(
                    "cancel refused", orphan=orphan.client_order_id, cause=f"{code} {text}"
                )
        if not self._now(orphan).over:
            await self._ask(orphan)

    # --- following ------------------------------------------------------------------------------

    async def run(self) -> None:
        """Endless: ask after cancels without an answer, clear the alarms of what is over."""
        while True:
            for orphan in self._state.orphans.alive:
                if orphan.state == CANCEL_REQUESTED:
                    await self._ask(orphan)
            await self._clear_alarms()
            await asyncio.sleep(_TICK_SECONDS)

    async def _ask(self, orphan: Orphan) -> None:
        """Ask the venue what became of it. No answer changes nothing."""
        try:
            report = await self._venue.order(orphan.symbol, orphan.client_order_id)
            if report is not None and report.venue_order_id == orphan.venue_order_id:
                await self._settler.found_orphan(report)
                return
            shown = await self._venue.open_orders(orphan.symbol)
        except VenueQueryFailed as error:
            _log.warning("orphan not asked", cause=error.line())
            return
        if any(one.venue_order_id == orphan.venue_order_id for one in shown):
            return

        def decide(state: State) -> Sequence[AnyEvent]:
            return [] if self._now(orphan).over else [_gone(state, orphan)]

        await self._core.decide(ENGINE, decide)

    async def _clear_alarms(self) -> None:
        def decide(state: State) -> Sequence[AnyEvent]:
            over = {
                alarm_text(one.symbol, one.client_order_id)
                for one in state.orphans.all.values()
                if one.over
            }
            over -= {alarm_text(one.symbol, one.client_order_id) for one in state.orphans.alive}
            return [
                AlarmCleared(alarm_id=alarm.raised.alarm_id)
                for alarm in state.alarms.active
                if alarm.raised.code == "ORPHAN" and alarm.acknowledged_by
                if alarm.raised.text.partition(": ")[2] in over
            ]

        if self._state.alarms.find("ORPHAN") is not None:
            await self._core.decide(ENGINE, decide)

    # --- readings -------------------------------------------------------------------------------

    def views(self) -> tuple[OrphanView, ...]:
        """Those that may still execute first, then the newest that are over."""
        known = sorted(self._state.orphans.all.values(), key=lambda one: (one.over, -one.found_us))
        return tuple(
            OrphanView(
                symbol=one.symbol,
                client_order_id=one.client_order_id,
                venue_order_id=one.venue_order_id,
                side=one.side.value,
                price=one.price,
                quantity=one.quantity,
                filled_quantity=one.filled_quantity,
                state=one.state,
                status=one.status,
                found_us=one.found_us,
                by=one.by,
                reason=one.reason,
            )
            for one in known[:_SHOWN]
        )

    def _named(self, request: OrphanRequest) -> Orphan:
        found = self._state.orphans.named(request.symbol, request.client_order_id)
        if found is None:
            raise InputError(
                what="no such orphan",
                where=f"{request.symbol[:20]} {request.client_order_id[:40]}",
                todo="see peakctl orphan list",
            )
        return found

    def _now(self, orphan: Orphan) -> Orphan:
        key = orphan.symbol, orphan.client_order_id, orphan.venue_order_id
        return self._state.orphans.all[key]


def _gone(state: State, orphan: Orphan) -> OrphanEnded:
    """The venue knows it no more: neither by its name nor among the open ones."""
    session = state.sessions.current
    return OrphanEnded(
        session_id=session.id if session else "",
        symbol=orphan.symbol,
        client_order_id=orphan.client_order_id,
        venue_order_id=orphan.venue_order_id,
        status="GONE",
        filled_quantity=orphan.filled_quantity,
    )


def _words(request: OrphanRequest) -> str:
    words = in_words(request.reason)
    if not words or len(words) > _REASON_LIMIT:
        raise InputError(what=f"a reason has 1 to {_REASON_LIMIT} characters", where="orphan")
    return words
