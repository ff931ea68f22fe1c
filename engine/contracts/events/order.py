"""Orders and strangers' orders: intents, what the venue said, balances."""

from __future__ import annotations

from decimal import Decimal

from engine.contracts.decision import Decision
from engine.contracts.events.base import Event
from engine.contracts.fill import Fill
from engine.contracts.order import OrderIntent, Side


class OrderIntended(Event, frozen=True, kw_only=True, tag="order.intended"):
    """Intent first (I1): written and fsynced before the request leaves."""

    session_id: str
    intent: OrderIntent
    intent_sha256: str
    owner: str
    decision: Decision


class OrderBlocked(Event, frozen=True, kw_only=True, tag="order.blocked"):
    """An order was asked for and refused by a check; nothing was sent."""

    session_id: str
    intent: OrderIntent
    owner: str
    decision: Decision


class OrderAcknowledged(Event, frozen=True, kw_only=True, tag="order.acknowledged"):
    """The venue has the order."""

    client_order_id: str
    venue_order_id: str
    venue_time_us: int


class OrderRejected(Event, frozen=True, kw_only=True, tag="order.rejected"):
    """The venue said no, with certainty (or proved that it never had the order)."""

    client_order_id: str
    code: str
    reason: str


class OrderUnknown(Event, frozen=True, kw_only=True, tag="order.unknown"):
    """The outcome of a request is not known (I3)."""

    client_order_id: str
    cause: str


class OrderLost(Event, frozen=True, kw_only=True, tag="order.lost"):
    """An order in doubt of which the venue, asked for long enough, could say nothing more.

    It stays UNKNOWN (I3); what is lost is the hope that asking again helps. People answer for it.
    """

    client_order_id: str
    cause: str


class OrderFilled(Event, frozen=True, kw_only=True, tag="order.filled"):
    """One trade of ours."""

    session_id: str
    fill: Fill


class CancelRequested(Event, frozen=True, kw_only=True, tag="order.cancel_requested"):
    """A cancel is about to be sent."""

    client_order_id: str
    cancel_id: str
    cause: str


class CancelRefused(Event, frozen=True, kw_only=True, tag="order.cancel_refused"):
    """The venue did not cancel (too late, or it does not know the order)."""

    client_order_id: str
    code: str
    reason: str


class OrderCanceled(Event, frozen=True, kw_only=True, tag="order.canceled"):
    """The venue canceled what was left."""

    client_order_id: str
    filled_quantity: Decimal
    venue_time_us: int


class OrderExpired(Event, frozen=True, kw_only=True, tag="order.expired"):
    """The venue expired what was left (IOC, FOK, market without depth)."""

    client_order_id: str
    filled_quantity: Decimal
    reason: str
    venue_time_us: int


class OrderClosed(Event, frozen=True, kw_only=True, tag="order.closed"):
    """A final order agreed on all three sides of a reconciliation."""

    client_order_id: str
    run_id: str


class OrphanFound(Event, frozen=True, kw_only=True, tag="orphan.found"):
    """The venue shows an order or trade of this account that we did not make (I2)."""

    session_id: str
    symbol: str
    client_order_id: str
    venue_order_id: str
    side: Side
    price: Decimal
    quantity: Decimal


class OrphanAdopted(Event, frozen=True, kw_only=True, tag="orphan.adopted"):
    """A person took a stranger's order into the session, under the id that the venue knows it by.

    `intent` is what the venue showed of it; from here on it is an order like any other.
    """

    session_id: str
    intent: OrderIntent
    venue_order_id: str
    owner: str
    reason: str


class OrphanCancelRequested(Event, frozen=True, kw_only=True, tag="orphan.cancel_requested"):
    """A person asked for the cancel of a stranger's order; it is about to be sent."""

    session_id: str
    symbol: str
    client_order_id: str
    venue_order_id: str
    cancel_id: str
    reason: str


class OrphanEnded(Event, frozen=True, kw_only=True, tag="orphan.ended"):
    """A stranger's order can no longer execute. `status` is the venue's word, or GONE.

    GONE: the venue showed it once and, asked for it and for its open orders, knows it no more.
    """

    session_id: str
    symbol: str
    client_order_id: str
    venue_order_id: str
    status: str
    filled_quantity: Decimal


class BalancesRead(Event, frozen=True, kw_only=True, tag="balances.read"):
    """The venue's balances at a moment (`opening`, `reconcile`): asset -> (free, locked)."""

    session_id: str
    moment: str
    balances: dict[str, tuple[Decimal, Decimal]]
