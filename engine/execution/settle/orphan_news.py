"""What a report of the venue tells of an order that is not ours: the events, and nothing assumed.

One function for every way a report comes: user stream, open orders, a kill's cancel-all, a
person's cancel, reconciliation. So an orphan is found once and ended once, whoever hears of it.
"""

from __future__ import annotations

from engine.contracts.event import AnyEvent, OrphanEnded, OrphanFound
from engine.execution.core import State
from engine.venues.port import OrderReport


def orphan_events(state: State, report: OrderReport) -> list[AnyEvent]:
    """Found, if it is new; ended, if the report shows that it can no longer execute."""
    events: list[AnyEvent] = []
    known = state.orphans.get(report.symbol, report.client_order_id, report.venue_order_id)
    session = state.sessions.current
    session_id = session.id if session else ""
    if known is None:
        events.append(
            OrphanFound(
                session_id=session_id,
                symbol=report.symbol,
                client_order_id=report.client_order_id,
                venue_order_id=report.venue_order_id,
                side=report.side,
                price=report.price,
                quantity=report.quantity,
            )
        )
    if not report.open and (known is None or not known.over):
        events.append(
            OrphanEnded(
                session_id=session_id,
                symbol=report.symbol,
                client_order_id=report.client_order_id,
                venue_order_id=report.venue_order_id,
                status=report.status,
                filled_quantity=report.filled_quantity,
            )
        )
    return events


def alarm_text(symbol: str, client_order_id: str) -> str:
    """What the alarm of an orphan says; one alarm for each."""
    return f"{symbol} {client_order_id}"
