"""How the answers of the checks are written: one `Check` with its numbers, the same way everywhere.

A limit is inclusive: at the limit is allowed, one unit over is not. What is missing, or is no
number, blocks (I12).
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from engine.contracts.decision import Check, Verdict
from engine.contracts.money import to_text
from engine.contracts.order import OrderIntent
from engine.risk.facts import RiskFacts

#: One check: its own code, the order, what is known.
Rule = Callable[[str, OrderIntent, RiskFacts], Check]


def allow(code: str, text: str, **numbers: str) -> Check:
    """The order may go by this rule."""
    return Check(code=code, verdict=Verdict.ALLOW, text=text, **numbers)


def block(code: str, text: str, **numbers: str) -> Check:
    """It may not; the text begins with the code."""
    return Check(code=code, verdict=Verdict.BLOCK, text=f"{code}: {text}", **numbers)


def missing(code: str, what: str) -> Check:
    """What the rule needs is not known, and doubt blocks (I12)."""
    return block(code, f"{what} is not known")


def at_most(
    code: str,
    name: str,
    value: Decimal | int | None,
    limit: Decimal | int,
    unit: str,
    left: Decimal | int | None = None,
) -> Check:
    """`value <= limit`, inclusive. A value or limit that is not a number blocks.

    `left` is the headroom before this order where it is not the whole limit; below zero reads as
    zero.
    """
    if value is None:
        return missing(code, name)
    if isinstance(limit, Decimal) and not limit.is_finite():
        return missing(code, f"limit of {name}")
    shown, bound = number(value), number(limit)
    within = value <= limit
    # A count is named by what it counts ("orders in 1 s"); that word is not said again.
    named = unit in name.split()
    words = f"{name}: {shown}" if named else f"{name} {shown} {unit}"
    most = bound if named else f"{bound} {unit}"
    return Check(
        code=code,
        verdict=Verdict.ALLOW if within else Verdict.BLOCK,
        text=f"{words} of {most}" if within else f"{code}: {words} is over {most}",
        value=shown,
        limit=bound,
        headroom=bound if left is None else number(max(left, 0)),
        unit=unit,
    )


def one_more(code: str, name: str, count: int, limit: int, unit: str = "orders") -> Check:
    """One more of what `count` counts may be made."""
    return at_most(code, name, count + 1, limit, unit, limit - count)


def number(value: Decimal | int) -> str:
    """Write an amount or a count as plain text."""
    return to_text(value) if isinstance(value, Decimal) else str(value)
