"""How much of each limit is used, and whether limits stay inside their ceiling."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from engine.contracts.money import ZERO, to_text
from engine.contracts.session import Limits
from engine.contracts.view import HeadroomView
from engine.risk.exposure import (
    MINUTE_US,
    SECOND_US,
    clock_distance_ms,
    open_count,
    sent_since,
    worst_position_now,
)
from engine.risk.facts import RiskFacts


def tighter(limits: Limits, ceiling: Limits) -> tuple[str, ...]:
    """Names of the limits that are looser than the ceiling; empty means tight enough.

    A limit that is negative or not a number is no limit, so it counts as looser.
    """
    return tuple(
        field
        for field in msgspec.structs.asdict(ceiling)
        if not _within(getattr(limits, field), getattr(ceiling, field))
    )


def headroom(facts: RiskFacts) -> tuple[HeadroomView, ...]:
    """How much of each limit is used now; what is not known reads as 100 % used."""
    limits = facts.limits
    instrument = facts.instrument
    base = instrument.base if instrument else "base"
    quote = instrument.quote if instrument else "quote"
    last_second = sent_since(facts, SECOND_US)
    last_minute = sent_since(facts, MINUTE_US)
    loss = None if facts.session_pnl is None else max(ZERO, facts.session_pnl.copy_negate())
    rows: tuple[tuple[str, str, Decimal | int | None, Decimal | int, str], ...] = (
        (
            "MAX_POSITION",
            "worst-case position",
            worst_position_now(facts),
            limits.max_position,
            base,
        ),
        ("MAX_OPEN_ORDERS", "open orders", open_count(facts), limits.max_open_orders, "orders"),
        ("RATE_SECOND", "sent in 1 s", last_second, limits.max_orders_per_second, "orders"),
        ("RATE_MINUTE", "sent in 60 s", last_minute, limits.max_orders_per_minute, "orders"),
        ("RATE_SESSION", "sent", facts.session_orders, limits.max_orders_per_session, "orders"),
        ("SESSION_LOSS", "session loss", loss, limits.max_session_loss, quote),
        ("DATA_AGE", "age of the book", facts.book_age_ms, facts.stale_limit_ms, "ms"),
        ("CLOCK_OFFSET", "clock offset", clock_distance_ms(facts), facts.clock_limit_ms, "ms"),
    )
    return tuple(_headroom_row(*row) for row in rows)


def number(value: Decimal | int) -> str:
    """Write an amount or a count as plain text."""
    return to_text(value) if isinstance(value, Decimal) else str(value)


def _within(value: Decimal | int, ceiling: Decimal | int) -> bool:
    if not (Decimal(value).is_finite() and Decimal(ceiling).is_finite()):
        return False
    return 0 <= value <= ceiling


def _headroom_row(
    code: str, text: str, used: Decimal | int | None, limit: Decimal | int, unit: str
) -> HeadroomView:
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
