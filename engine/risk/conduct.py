"""How often, and how soon after trouble: rates, messages, cancels an order, cooldowns.

All counts come from the fold of the journal (`activity`), where an order is before it is sent: what
is counted here is what was sent up to this moment. A cancel is counted and never blocked (I13):
too many of them stop the next *order*.
"""

from __future__ import annotations

from decimal import Decimal

from engine.contracts.decision import Check
from engine.contracts.order import OrderIntent
from engine.contracts.session import Limits
from engine.orders.exact import subtract
from engine.risk.answers import Rule, allow, at_most, block, one_more
from engine.risk.exposure import MINUTE_US, SECOND_US, sent_since
from engine.risk.facts import RiskFacts


def _second(code: str, _: OrderIntent, facts: RiskFacts) -> Check:
    sent = sent_since(facts, SECOND_US)
    return one_more(code, "orders in 1 s", sent, facts.limits.max_orders_per_second)


def _minute(code: str, _: OrderIntent, facts: RiskFacts) -> Check:
    sent = sent_since(facts, MINUTE_US)
    return one_more(code, "orders in 60 s", sent, facts.limits.max_orders_per_minute)


def _session(code: str, _: OrderIntent, facts: RiskFacts) -> Check:
    limit = facts.limits.max_orders_per_session
    return one_more(code, "orders of the session", facts.session_orders, limit)


def _day(code: str, _: OrderIntent, facts: RiskFacts) -> Check:
    limit = facts.limits.max_orders_per_day
    return one_more(code, "orders of the UTC day", facts.day_orders, limit)


def _messages(code: str, _: OrderIntent, facts: RiskFacts) -> Check:
    limit = facts.limits.max_messages_per_minute
    return one_more(code, "orders and cancels in 60 s", messages(facts), limit, "messages")


def _cancel_ratio(code: str, _: OrderIntent, facts: RiskFacts) -> Check:
    allowed, cancels = cancels_allowed(facts), facts.day_cancels
    left = subtract(allowed, Decimal(cancels))
    return at_most(code, "cancels of the UTC day", cancels, allowed, "cancels", left)


def _after_loss(code: str, _: OrderIntent, facts: RiskFacts) -> Check:
    seconds = facts.limits.cooldown_loss_seconds
    return _cooled(code, "a losing close", loss_cooldown_us(facts), seconds)


def _after_rejects(code: str, _: OrderIntent, facts: RiskFacts) -> Check:
    seconds = facts.limits.cooldown_rejects_seconds
    what = f"more than {facts.limits.max_rejects_per_minute} rejects in 60 s"
    return _cooled(code, what, reject_cooldown_us(facts), seconds)


#: The rules of conduct, in the order in which the ticket shows them.
CONDUCT: tuple[tuple[str, Rule], ...] = (
    ("RATE_SECOND", _second),
    ("RATE_MINUTE", _minute),
    ("RATE_SESSION", _session),
    ("RATE_DAY", _day),
    ("RATE_MESSAGES", _messages),
    ("CANCEL_RATIO", _cancel_ratio),
    ("COOLDOWN_LOSS", _after_loss),
    ("COOLDOWN_REJECTS", _after_rejects),
)


# --- counts, for the checks and for the view -----------------------------------------------------


def messages(facts: RiskFacts) -> int:
    """Orders and cancels of the last minute."""
    since = facts.now_us - MINUTE_US
    return sent_since(facts, MINUTE_US) + sum(map(since.__lt__, facts.recent_cancels_us))


def cancels_allowed(facts: RiskFacts) -> Decimal:
    """Cancels that the orders of the day allow, never less than the count before the ratio."""
    limits = facts.limits
    return max(
        Decimal(limits.cancels_before_ratio), limits.max_cancels_per_order * facts.day_orders
    )


def loss_cooldown_us(facts: RiskFacts) -> int:
    """How long the cooldown after the last losing close still runs, µs; 0 when it is over."""
    return _left(facts, max(facts.recent_losses_us, default=None), cooldown_us(facts.limits)[0])


def reject_cooldown_us(facts: RiskFacts) -> int:
    """How long the cooldown after the last burst of rejects still runs, µs; 0 when it is over."""
    most = facts.limits.max_rejects_per_minute
    times = sorted(facts.recent_rejects_us)
    ends = [
        last for first, last in zip(times, times[most:], strict=False) if last - first < MINUTE_US
    ]
    return _left(facts, max(ends, default=None), cooldown_us(facts.limits)[1])


def cooldown_us(limits: Limits) -> tuple[int, int]:
    """Length of the cooldowns after a loss and after rejects, µs."""
    return limits.cooldown_loss_seconds * SECOND_US, limits.cooldown_rejects_seconds * SECOND_US


def _left(facts: RiskFacts, began_us: int | None, length_us: int) -> int:
    """What is left of a cooldown; one that began in the future (the clock was set) is whole."""
    if began_us is None:
        return 0
    return max(0, length_us - max(0, facts.now_us - began_us))


def _cooled(code: str, what: str, left_us: int, seconds: int) -> Check:
    left = f"{Decimal(left_us) / SECOND_US:f}"
    numbers = {"value": left, "limit": "0", "headroom": "0", "unit": "s"}
    if left_us > 0:
        return block(code, f"{left} s left of {seconds} s after {what}", **numbers)
    return allow(code, f"no cooldown after {what}")
