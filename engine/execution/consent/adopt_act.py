"""Adopting an orphan, as an act of dual control: what the venue shows becomes the session's order.

The document says which order, as the venue had it when it was asked for; at the grant the venue is
asked again, and an order that is gone, or reads differently, is not adopted (I2). It enters the
session's ledger under its own id, owned by the person who asked; its trades are asked for like any
other's. It may have ended already: what it traded moved this account. Cancelling an orphan stays
one person's act, at once (I13, `orphan_desk`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

from engine.contracts.errors import InputError, Refused
from engine.contracts.event import AnyEvent, OrphanAdopted
from engine.contracts.money import plain, to_text
from engine.contracts.order import OrderIntent, OrderType, Side
from engine.contracts.session import SessionState
from engine.diary import Diary
from engine.execution.consent.dual_act import Act, Grant, Measured
from engine.execution.core import Core, State
from engine.execution.session_desk import current_session
from engine.execution.settle.settler import Settler
from engine.governance.dual import Denied
from engine.orders.orphans import ADOPTED, Orphan
from engine.venues.port import OrderReport, Venue, VenueQueryFailed

_log = Diary("orphans")

#: A session can take an order in from its go until both have signed its reconciliation.
_ADOPTING = frozenset(
    {
        SessionState.LIVE,
        SessionState.PAUSED,
        SessionState.STOPPING,
        SessionState.STOPPED,
        SessionState.KILLED,
    }
)


class AdoptAct(Act):
    """Takes a stranger's order into the session's ledger."""

    fields = ("symbol", "client_order_id")

    def __init__(self, core: Core, settler: Settler, venue: Venue) -> None:
        self._core = core
        self._settler = settler
        self._venue = venue

    def describe(self, state: State, asked: Mapping[str, str]) -> dict[str, str]:
        """The order as the venue showed it when it was found. Raises InputError."""
        named = super().describe(state, asked)
        orphan = state.orphans.named(named["symbol"], named["client_order_id"])
        if orphan is None:
            raise InputError(
                what="no such orphan",
                where=f"{named['symbol'][:20]} {named['client_order_id'][:40]}",
                todo="see peakctl orphan list",
            )
        return _subject(orphan)

    def check(self, state: State, subject: Mapping[str, str]) -> None:
        """Refuse what must not be adopted. Raises Refused."""
        session = current_session(state)
        orphan = state.orphans.named(subject["symbol"], subject["client_order_id"])
        wrong: tuple[str, str] | None = None
        if session.state not in _ADOPTING:
            wrong = "NOT_TRADING", f"the session is {session.state.value}"
        elif subject["symbol"] not in session.charter.instruments:
            wrong = "SYMBOL", f"{subject['symbol']} is not in the charter"
        elif state.orders.get(subject["client_order_id"]) is not None:
            name = subject["client_order_id"]
            wrong = "NAME_TAKEN", f"the ledger has an order {name} already"
        elif orphan is None or _subject(orphan) != dict(subject):
            wrong = "ORPHAN_CHANGED", "the order is not the one in the document any more"
        elif orphan.state == ADOPTED:
            wrong = "ADOPTED", f"the order is adopted already, by {orphan.by}"
        if wrong is not None:
            raise Refused(
                what=wrong[1],
                where=subject["client_order_id"],
                todo="cancel it instead, if it is open",
                code=wrong[0],
            )

    async def measure(self, subject: Mapping[str, str]) -> Measured:
        """Ask the venue for the order now; what it does not show as signed is not adopted."""
        try:
            report = await self._venue.order(subject["symbol"], subject["client_order_id"])
        except VenueQueryFailed as error:
            return Measured({}, Denied("NOT_KNOWN", f"{error.line()}; sign again"))
        if report is None:
            return Measured(
                {}, Denied("NOT_SHOWN", "the venue does not show this order; nothing was adopted")
            )
        shown = {**_shown(report), "status": report.status}
        if any(subject[name] != value for name, value in _shown(report).items()):
            return Measured(
                shown, Denied("ORPHAN_CHANGED", "the venue shows another order; ask anew")
            )
        return Measured(shown)

    def events(self, state: State, subject: Mapping[str, str], grant: Grant) -> Sequence[AnyEvent]:
        """The adoption, owned by who asked."""
        return [
            OrphanAdopted(
                session_id=current_session(state).id,
                intent=_intent_of(subject),
                venue_order_id=subject["venue_order_id"],
                owner=grant.requested_by,
                reason=grant.reason,
            )
        ]

    async def done(self, subject: Mapping[str, str], grant: Grant) -> None:  # noqa: ARG002
        """Learn what it has traded; the settler goes on asking where the venue does not answer."""
        name = subject["client_order_id"]
        try:
            report = await self._venue.order(subject["symbol"], name)
            if report is not None:
                await self._settler.learn(report, ())
        except VenueQueryFailed as error:
            _log.warning("adopted order not asked", cause=error.line())
        self._settler.settle_later(name)


def _subject(orphan: Orphan) -> dict[str, str]:
    return {
        "client_order_id": orphan.client_order_id,
        "price": to_text(orphan.price),
        "quantity": to_text(orphan.quantity),
        "side": orphan.side.value,
        "symbol": orphan.symbol,
        "venue_order_id": orphan.venue_order_id,
    }


def _shown(report: OrderReport) -> dict[str, str]:
    return {
        "price": to_text(report.price),
        "quantity": to_text(report.quantity),
        "side": report.side.value,
        "venue_order_id": report.venue_order_id,
    }


def _intent_of(subject: Mapping[str, str]) -> OrderIntent:
    """What both signed of an order, as an intent; its time in force is not shown by the venue."""
    price = Decimal(subject["price"])
    market = price == 0
    return OrderIntent(
        client_order_id=subject["client_order_id"],
        symbol=subject["symbol"],
        side=Side(subject["side"]),
        type=OrderType.MARKET if market else OrderType.LIMIT,
        quantity=Decimal(subject["quantity"]),
        price=None if market else plain(price),
    )
