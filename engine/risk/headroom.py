"""How much of each limit is used, and whether limits stay inside their ceiling."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from engine.contracts.money import ZERO
from engine.contracts.order import Side
from engine.contracts.session import LONGER_IS_TIGHTER, Limits
from engine.contracts.view import HeadroomView
from engine.risk.answers import number
from engine.risk.conduct import (
    cancels_allowed,
    cooldown_us,
    loss_cooldown_us,
    messages,
    reject_cooldown_us,
)
from engine.risk.exposure import (
    MINUTE_US,
    SECOND_US,
    clock_distance_ms,
    gross_exposure,
    net_exposure,
    open_count,
    sent_since,
    worst_position_now,
)
from engine.risk.facts import RiskFacts, base_of, quote_of

#: code, words, what is used (None: not known), the limit, its unit
_Row = tuple[str, str, Decimal | int | None, Decimal | int, str]

#: The row that tells how much of a limit is used; a limit of one order has none. That of the
#: session's loss is told by the breakers of the session.
LIMIT_CODES = {
    "max_position": "MAX_POSITION",
    "max_gross_exposure": "MAX_GROSS",
    "max_net_exposure": "MAX_NET",
    "max_asset_exposure": "MAX_ASSET",
    "max_open_orders": "MAX_OPEN_ORDERS",
    "max_orders_per_second": "RATE_SECOND",
    "max_orders_per_minute": "RATE_MINUTE",
    "max_orders_per_session": "RATE_SESSION",
    "max_orders_per_day": "RATE_DAY",
    "max_messages_per_minute": "RATE_MESSAGES",
    "max_cancels_per_order": "CANCEL_RATIO",
    "cooldown_loss_seconds": "COOLDOWN_LOSS",
    "cooldown_rejects_seconds": "COOLDOWN_REJECTS",
}


def tighter(limits: Limits, ceiling: Limits) -> tuple[str, ...]:
    """Names of the limits that are looser than the ceiling; empty means tight enough.

    A limit that is negative or not a number is no limit, so it counts as looser.
    """
    return tuple(
        field
        for field in msgspec.structs.asdict(ceiling)
        if not _as_tight(field, getattr(limits, field), getattr(ceiling, field))
    )


def headroom(facts: RiskFacts) -> tuple[HeadroomView, ...]:
    """How much of each limit is used now; what is not known reads as 100 % used."""
    return tuple(headroom_row(*row) for row in (*_held(facts), *_sent(facts), *_trusted(facts)))


def _held(facts: RiskFacts) -> tuple[_Row, ...]:
    limits, quote = facts.limits, quote_of(facts)
    position = worst_position_now(facts)
    gross, net = gross_exposure(facts), _either_way(facts, None)
    asset = _either_way(facts, base_of(facts))
    return (
        ("MAX_POSITION", "worst-case position", position, limits.max_position, base_of(facts)),
        ("MAX_GROSS", "gross exposure", gross, limits.max_gross_exposure, quote),
        ("MAX_NET", "net exposure", net, limits.max_net_exposure, quote),
        ("MAX_ASSET", f"exposure in {base_of(facts)}", asset, limits.max_asset_exposure, quote),
        ("MAX_OPEN_ORDERS", "open orders", open_count(facts), limits.max_open_orders, "orders"),
    )


def _sent(facts: RiskFacts) -> tuple[_Row, ...]:
    limits = facts.limits
    second, minute = sent_since(facts, SECOND_US), sent_since(facts, MINUTE_US)
    cancels, allowed = facts.day_cancels, cancels_allowed(facts)
    rows: tuple[_Row, ...] = (
        ("RATE_SECOND", "sent in 1 s", second, limits.max_orders_per_second, "orders"),
        ("RATE_MINUTE", "sent in 60 s", minute, limits.max_orders_per_minute, "orders"),
        ("RATE_SESSION", "sent", facts.session_orders, limits.max_orders_per_session, "orders"),
        ("RATE_DAY", "sent today, UTC", facts.day_orders, limits.max_orders_per_day, "orders"),
        ("RATE_MESSAGES", "messages", messages(facts), limits.max_messages_per_minute, "in 60 s"),
        ("CANCEL_RATIO", "cancels today, UTC", cancels, allowed, "cancels"),
        ("COOLDOWN_LOSS", "after a loss", *_cooldown(loss_cooldown_us(facts), limits, 0)),
        ("COOLDOWN_REJECTS", "after rejects", *_cooldown(reject_cooldown_us(facts), limits, 1)),
    )
    # A cooldown of no length is none, and says nothing.
    return tuple(row for row in rows if row[3] or not row[0].startswith("COOLDOWN"))


def _trusted(facts: RiskFacts) -> tuple[_Row, ...]:
    return (
        ("DATA_AGE", "age of the book", facts.book_age_ms, facts.stale_limit_ms, "ms"),
        ("CLOCK_OFFSET", "clock offset", clock_distance_ms(facts), facts.clock_limit_ms, "ms"),
    )


def _either_way(facts: RiskFacts, base: str | None) -> Decimal | None:
    """The larger of the worst long and the worst short net exposure, not below zero."""
    long, short = (net_exposure(facts, side, base=base) for side in Side)
    return None if long is None or short is None else max(ZERO, long, short)


def _cooldown(left_us: int, limits: Limits, which: int) -> tuple[int, int, str]:
    """Whole seconds left, rounded up, of so many."""
    return -(-left_us // SECOND_US), cooldown_us(limits)[which] // SECOND_US, "s"


def _as_tight(field: str, value: Decimal | int, ceiling: Decimal | int) -> bool:
    if not (Decimal(value).is_finite() and Decimal(ceiling).is_finite()):
        return False
    if field in LONGER_IS_TIGHTER:
        return value >= ceiling
    return 0 <= value <= ceiling


def headroom_row(
    code: str, text: str, used: Decimal | int | None, limit: Decimal | int, unit: str
) -> HeadroomView:
    """One row; what is not known, and a limit of nothing, is full."""
    percent = 100
    if used is not None and limit > 0:
        percent = int(Decimal(used) * 100 / Decimal(limit))
    return HeadroomView(
        code=code,
        text=text,
        used="" if used is None else number(used),
        limit=number(limit),
        unit=unit,
        used_percent=percent,
    )
