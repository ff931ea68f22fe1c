"""The words of a session: environment, mode, state, charter, limits, checklist answers.

The table of legal transitions is `engine/governance/transitions.py`.
"""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum

import msgspec


class Environment(StrEnum):
    """What may be touched. The default is `dev`."""

    DEV = "dev"
    SHADOW = "shadow"
    TESTNET = "testnet"
    PROD = "prod"


class Mode(StrEnum):
    """How orders reach a market."""

    PAPER = "paper"
    SHADOW = "shadow"
    TESTNET = "testnet"
    LIVE = "live"


class SessionState(StrEnum):
    """Where a session stands."""

    CHARTER = "charter"
    CHECKLIST = "checklist"
    GO_NOGO = "go_nogo"
    LIVE = "live"
    PAUSED = "paused"
    STOPPING = "stopping"
    STOPPED = "stopped"
    RECONCILED = "reconciled"
    SEALED = "sealed"
    NO_GO = "no_go"
    ABORTED = "aborted"
    KILLED = "killed"


#: States that end a session: a new charter may follow.
END_STATES = frozenset({SessionState.SEALED, SessionState.NO_GO, SessionState.ABORTED})


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """The hard limits of one session; a charter may only tighten what the config allows.

    Quantities in base; notionals, exposures and losses in quote; rates per second, minute, session
    and UTC day. `price_collar_bps` is of the mid price, `price_last_bps` of the last trade,
    `price_book_bps` how far an order may reach through the far side of the book; what is missing
    blocks. Exposures are over all symbols at worst, `max_asset_exposure` over those of one base.
    Messages are orders and cancels. Cancels of a day may be `cancels_before_ratio`, or
    `max_cancels_per_order` for each order of the day, whichever is more. After a losing close, and
    after more than `max_rejects_per_minute` rejects, no order leaves for the cooldown.

    A field that charters of older journals do not have has the default of the `dev` ceiling.
    """

    max_order_quantity: Decimal
    max_order_notional: Decimal
    max_position: Decimal
    max_open_orders: int
    max_orders_per_second: int
    max_orders_per_minute: int
    max_orders_per_session: int
    max_session_loss: Decimal
    price_collar_bps: int
    price_last_bps: int = 1000
    price_book_bps: int = 500
    max_gross_exposure: Decimal = Decimal(500_000)
    max_net_exposure: Decimal = Decimal(500_000)
    max_asset_exposure: Decimal = Decimal(500_000)
    max_orders_per_day: int = 200_000
    max_messages_per_minute: int = 2000
    max_cancels_per_order: Decimal = Decimal(10)
    cancels_before_ratio: int = 100
    cooldown_loss_seconds: int = 0
    max_rejects_per_minute: int = 60
    cooldown_rejects_seconds: int = 2


#: What each limit is counted in.
LIMIT_UNITS: dict[str, str] = {
    "max_order_quantity": "base",
    "max_order_notional": "quote",
    "max_position": "base",
    "max_open_orders": "orders",
    "max_orders_per_second": "orders",
    "max_orders_per_minute": "orders",
    "max_orders_per_session": "orders",
    "max_session_loss": "quote",
    "price_collar_bps": "bps",
    "price_last_bps": "bps",
    "price_book_bps": "bps",
    "max_gross_exposure": "quote",
    "max_net_exposure": "quote",
    "max_asset_exposure": "quote",
    "max_orders_per_day": "orders",
    "max_messages_per_minute": "messages",
    "max_cancels_per_order": "cancels",
    "cancels_before_ratio": "cancels",
    "cooldown_loss_seconds": "s",
    "max_rejects_per_minute": "rejects",
    "cooldown_rejects_seconds": "s",
}

#: Limits of which the larger value is the tighter one.
LONGER_IS_TIGHTER = frozenset({"cooldown_loss_seconds", "cooldown_rejects_seconds"})


class BreakerTerms(msgspec.Struct, frozen=True, kw_only=True):
    """What the breakers of `engine.risk.breakers` trip over. Losses in quote, rolling.

    The drawdown in basis points of the peak of equity; over 2000 counts as 2000.
    """

    max_day_loss: Decimal = Decimal(20_000)
    max_week_loss: Decimal = Decimal(50_000)
    max_drawdown_bps: int = 2000
    max_losses_in_a_row: int = 100
    max_pauses_per_hour: int = 100


class Charter(msgspec.Struct, frozen=True, kw_only=True):
    """What the session may do. Times in µs UTC; the change window is half-open [from, until)."""

    mode: Mode
    venue: str
    account: str
    instruments: tuple[str, ...]
    limits: Limits
    window_from_us: int
    window_until_us: int
    operator: str
    reviewer: str
    runbook: str
    attendance_seconds: int
    purpose: str = ""


class ItemKind(StrEnum):
    """Automatic items run a probe; manual items want an answer and a name."""

    AUTO = "auto"
    MANUAL = "manual"


class ItemResult(StrEnum):
    """How an item stands. `stale` is an answer that is too old to count."""

    OPEN = "open"
    PASS = "pass"  # noqa: S105  (not a password)
    FAIL = "fail"


class ChecklistItem(msgspec.Struct, frozen=True, kw_only=True):
    """One item of a runbook's checklist (TOML front matter).

    `roles` says who answers: one or both; `probe` names the automatic probe; `expect` is a
    regular expression that a manual answer must match in full; `critical` items are repeated
    just before go.
    """

    id: str
    title: str
    kind: ItemKind
    roles: tuple[str, ...] = ("operator",)
    probe: str = ""
    expect: str = ".+"
    hint: str = ""
    critical: bool = False


class Checklist(msgspec.Struct, frozen=True, kw_only=True):
    """A runbook's checklist; `sha256` is of the runbook file's bytes."""

    runbook: str
    version: str
    sha256: str
    items: tuple[ChecklistItem, ...]
