"""Orders: what we want (intent), what we know of it (order), and the states between.

The table of legal transitions is `engine/orders/machine.py`; here are only the words.
"""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum

import msgspec

from engine.contracts.canonical import canonical, sha256_hex
from engine.contracts.money import ZERO


class Side(StrEnum):
    """Direction of an order from our side."""

    BUY = "BUY"
    SELL = "SELL"

    @property
    def sign(self) -> int:
        """+1 for BUY, -1 for SELL."""
        return 1 if self is Side.BUY else -1


class OrderType(StrEnum):
    """Order types the venue knows; post-only is LIMIT_MAKER."""

    LIMIT = "LIMIT"
    MARKET = "MARKET"
    LIMIT_MAKER = "LIMIT_MAKER"


class TimeInForce(StrEnum):
    """How long a limit order may rest."""

    GTC = "GTC"
    IOC = "IOC"
    FOK = "FOK"


class OrderState(StrEnum):
    """Where an order stands. UNKNOWN is a state of its own and only the venue ends it (I3)."""

    CREATED = "CREATED"
    SUBMITTED = "SUBMITTED"
    ACKNOWLEDGED = "ACKNOWLEDGED"
    PARTIALLY_FILLED = "PARTIALLY_FILLED"
    FILLED = "FILLED"
    CANCEL_PENDING = "CANCEL_PENDING"
    CANCELED = "CANCELED"
    REJECTED = "REJECTED"
    EXPIRED = "EXPIRED"
    UNKNOWN = "UNKNOWN"
    CLOSED = "CLOSED"


#: States in which the order may still execute at the venue.
OPEN_STATES = frozenset(
    {
        OrderState.SUBMITTED,
        OrderState.ACKNOWLEDGED,
        OrderState.PARTIALLY_FILLED,
        OrderState.CANCEL_PENDING,
        OrderState.UNKNOWN,
    }
)


class OrderIntent(msgspec.Struct, frozen=True, kw_only=True):
    """What a person asked for, before anything was sent.

    `client_order_id` is derived from session and sequence (at most 36 characters of
    `[A-Za-z0-9_-]`, the venue's rule). `quantity` in base, `price` in quote (None for MARKET).
    """

    client_order_id: str
    symbol: str
    side: Side
    type: OrderType
    quantity: Decimal
    price: Decimal | None = None
    time_in_force: TimeInForce | None = None

    def intent_sha256(self) -> str:
        """Hash of the canonical intent: the identity that is journaled before the request (I1)."""
        return sha256_hex(canonical(self))


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """One order as the fold of its events: quantity in base, price and value in quote.

    `owner` is the person (or automaton) who asked; `created_us` and `updated_us` are journal times,
    µs UTC. `trade_ids` are the venue's ids of the fills counted so far. `lost` marks an order in
    doubt of which the venue, asked again and again, could say nothing more (`order.lost`).
    """

    intent: OrderIntent
    state: OrderState
    owner: str
    session_id: str
    created_us: int
    updated_us: int
    venue_order_id: str | None = None
    filled_quantity: Decimal = ZERO
    filled_quote: Decimal = ZERO
    reason: str = ""
    trade_ids: frozenset[str] = frozenset()
    lost: bool = False

    @property
    def remaining(self) -> Decimal:
        """Base quantity not yet filled."""
        return self.intent.quantity - self.filled_quantity
