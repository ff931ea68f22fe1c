"""The pre-trade checks: one order against what is known, every check every time, doubt blocks.

`CHECKS` is the list of rules, (code, function); a new limit is a new row and its tests. Each check
looks at facts alone, returns one `Check` with its numbers, and cannot be skipped by another's
answer, so that the ticket shows all of them. Promises:

* I12: a missing fact, or any exception inside a check, is BLOCK with the check's own code;
* I5, I4: locks, session state, window, latch and attendance are checks like the others, made at
  the moment of each order;
* I13: cancels do not come here at all;
* worst case: open orders count as if all of one side filled; a MARKET order is priced at the best
  opposite price moved by the collar; a limit sell below the bid is valued at the bid.

A limit is inclusive: at the limit is allowed, one unit over is not. SESSION_LOSS answers PAUSE,
which blocks the order and pauses the session; all others answer BLOCK.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import msgspec

from engine.contracts.decision import Check, Decision, Verdict, decide_all
from engine.contracts.instrument import Instrument
from engine.contracts.money import ZERO, is_multiple, to_text
from engine.contracts.order import OrderIntent, OrderType, Side
from engine.contracts.session import SessionState
from engine.orders.exact import EXACT, add, multiply, subtract
from engine.risk.exposure import (
    BPS,
    MINUTE_US,
    SECOND_US,
    clock_distance_ms,
    least_notional,
    most_notional,
    open_count,
    sent_since,
    usable_book,
    worst_position,
)
from engine.risk.facts import DUPLICATE_WINDOW_US, RiskFacts, duplicate_key
from engine.risk.headroom import headroom, number, tighter

__all__ = ["CHECKS", "RiskFacts", "check_order", "duplicate_key", "headroom", "tighter"]

Rule = Callable[[str, OrderIntent, RiskFacts], Check]


def check_order(intent: OrderIntent, facts: RiskFacts) -> Decision:
    """Judge one order by every rule. Never raises; the worst verdict wins."""
    return decide_all(tuple(_guarded(code, rule, intent, facts) for code, rule in CHECKS))


# --- permission --------------------------------------------------------------------------------


def _locks(code: str, _: OrderIntent, facts: RiskFacts) -> Check:
    if not facts.locks:
        return _block(code, "no lock was checked")
    closed = [lock for lock in facts.locks if lock.verdict is not Verdict.ALLOW]
    numbers = {"value": str(len(closed)), "limit": "0", "unit": "closed locks"}
    if closed:
        return _block(code, "; ".join(lock.text or lock.code for lock in closed), **numbers)
    return _allow(code, f"{len(facts.locks)} locks open", **numbers)


def _session_state(code: str, _: OrderIntent, facts: RiskFacts) -> Check:
    if facts.session_state is None:
        return _block(code, "there is no session", limit=SessionState.LIVE)
    words = {"value": facts.session_state, "limit": SessionState.LIVE}
    if facts.session_state is not SessionState.LIVE:
        return _block(code, f"session is {facts.session_state}, not live", **words)
    return _allow(code, "session is live", **words)


def _window(code: str, _: OrderIntent, facts: RiskFacts) -> Check:
    if facts.window_from_us is None or facts.window_until_us is None:
        return _missing(code, "change window")
    if facts.now_us < facts.window_from_us:
        return _block(code, "change window has not begun")
    left = (facts.window_until_us - facts.now_us) // SECOND_US
    if facts.now_us >= facts.window_until_us:
        return _block(code, "change window is over", headroom="0", unit="s")
    return _allow(code, f"inside the change window, {left} s left", headroom=str(left), unit="s")


def _latch(code: str, _: OrderIntent, facts: RiskFacts) -> Check:
    if facts.latch_set is None:
        return _missing(code, "state of the latch")
    return _block(code, "kill latch is set") if facts.latch_set else _allow(code, "latch is open")


def _attendance(code: str, _: OrderIntent, facts: RiskFacts) -> Check:
    if facts.attended is None:
        return _missing(code, "attendance")
    if not facts.attended:
        return _block(code, "no operator console attends")
    return _allow(code, "operator attends")


# --- trust in what we see ----------------------------------------------------------------------


def _data_age(code: str, _: OrderIntent, facts: RiskFacts) -> Check:
    return _at_most(code, "age of the book", facts.book_age_ms, facts.stale_limit_ms, "ms")


def _clock_offset(code: str, _: OrderIntent, facts: RiskFacts) -> Check:
    return _at_most(code, "clock offset", clock_distance_ms(facts), facts.clock_limit_ms, "ms")


def _unknown_orders(code: str, _: OrderIntent, facts: RiskFacts) -> Check:
    return _at_most(code, "orders in doubt", facts.unknown_orders, 0, "orders")


# --- the venue's rules -------------------------------------------------------------------------


def _venue_filter(code: str, intent: OrderIntent, facts: RiskFacts) -> Check:
    instrument = facts.instrument
    if instrument is None:
        return _missing(code, "instrument")
    fault = _quantity_fault(intent, instrument) or _price_fault(intent, instrument)
    if fault is not None:
        return _block(code, fault)
    worth = least_notional(intent, facts)
    if worth is None:
        return _missing(code, "price for the least notional")
    if worth < instrument.min_notional:
        least = to_text(instrument.min_notional)
        return _block(code, f"notional {to_text(worth)} {instrument.quote} is under {least}")
    return _allow(code, "fits the venue's filters")


def _quantity_fault(intent: OrderIntent, instrument: Instrument) -> str | None:
    if intent.symbol != instrument.symbol:
        return f"order is in {intent.symbol}, facts are of {instrument.symbol}"
    if not instrument.trading:
        return f"{instrument.symbol} is not trading"
    if not instrument.min_quantity <= intent.quantity <= instrument.max_quantity:
        span = f"{to_text(instrument.min_quantity)} to {to_text(instrument.max_quantity)}"
        return f"quantity {to_text(intent.quantity)} is not in {span} {instrument.base}"
    if intent.quantity <= 0 or not is_multiple(intent.quantity, instrument.step_size):
        step = to_text(instrument.step_size)
        return f"quantity {to_text(intent.quantity)} is not a multiple of {step}"
    return None


def _price_fault(intent: OrderIntent, instrument: Instrument) -> str | None:
    if intent.type is OrderType.MARKET:
        return None if intent.price is None else "a MARKET order has no price"
    if intent.price is None:
        return f"a {intent.type} order needs a price"
    if intent.price <= 0 or not is_multiple(intent.price, instrument.tick_size):
        tick = to_text(instrument.tick_size)
        return f"price {to_text(intent.price)} is not a multiple of {tick}"
    return None


# --- size --------------------------------------------------------------------------------------


def _max_quantity(code: str, intent: OrderIntent, facts: RiskFacts) -> Check:
    limit = facts.limits.max_order_quantity
    return _at_most(code, "quantity", intent.quantity, limit, _base(facts))


def _max_notional(code: str, intent: OrderIntent, facts: RiskFacts) -> Check:
    worst = most_notional(intent, facts)
    return _at_most(code, "notional", worst, facts.limits.max_order_notional, _quote(facts))


def _max_position(code: str, intent: OrderIntent, facts: RiskFacts) -> Check:
    before = worst_position(intent.symbol, intent.side, facts)
    after = None if before is None else add(before, intent.quantity)
    name = "longest position" if intent.side is Side.BUY else "shortest position"
    limit = facts.limits.max_position
    left = None if before is None else subtract(limit, before)
    return _at_most(code, name, after, limit, _base(facts), left)


def _max_open_orders(code: str, _: OrderIntent, facts: RiskFacts) -> Check:
    return _one_more(code, "open orders", open_count(facts), facts.limits.max_open_orders)


# --- rates -------------------------------------------------------------------------------------


def _rate_second(code: str, _: OrderIntent, facts: RiskFacts) -> Check:
    sent = sent_since(facts, SECOND_US)
    return _one_more(code, "orders in 1 s", sent, facts.limits.max_orders_per_second)


def _rate_minute(code: str, _: OrderIntent, facts: RiskFacts) -> Check:
    sent = sent_since(facts, MINUTE_US)
    return _one_more(code, "orders in 60 s", sent, facts.limits.max_orders_per_minute)


def _rate_session(code: str, _: OrderIntent, facts: RiskFacts) -> Check:
    limit = facts.limits.max_orders_per_session
    return _one_more(code, "orders of the session", facts.session_orders, limit)


# --- price, loss, money, repetition ------------------------------------------------------------


def _price_collar(code: str, intent: OrderIntent, facts: RiskFacts) -> Check:
    """|price - mid| against the collar, without dividing: |2p - (bid + ask)| * 10000."""
    book = usable_book(facts)
    if book is None:
        return _missing(code, "uncrossed book")
    bid, ask = book
    price = intent.price
    if intent.type is OrderType.MARKET:
        price = ask if intent.side is Side.BUY else bid
    if price is None:
        return _missing(code, "price")
    twice_mid = add(bid, ask)
    distance = subtract(multiply(price, Decimal(2)), twice_mid).copy_abs()
    limit_bps = facts.limits.price_collar_bps
    inside = multiply(distance, BPS) <= multiply(twice_mid, Decimal(limit_bps))
    away = to_text(EXACT.divide(multiply(distance, BPS), twice_mid).quantize(Decimal("0.01")))
    numbers = {"value": away, "limit": str(limit_bps), "headroom": str(limit_bps), "unit": "bps"}
    if inside:
        return _allow(code, f"price is {away} bps from mid", **numbers)
    return _block(
        code, f"price {to_text(price)} is {away} bps from mid, over {limit_bps}", **numbers
    )


def _session_loss(code: str, _: OrderIntent, facts: RiskFacts) -> Check:
    if facts.session_pnl is None:
        return _missing(code, "session profit")
    loss = max(ZERO, facts.session_pnl.copy_negate())
    limit = facts.limits.max_session_loss
    check = _at_most(code, "session loss", loss, limit, _quote(facts), subtract(limit, loss))
    if check.verdict is Verdict.ALLOW:
        return check
    return msgspec.structs.replace(check, verdict=Verdict.PAUSE)


def _balance(code: str, intent: OrderIntent, facts: RiskFacts) -> Check:
    if facts.instrument is None or facts.balances is None:
        return _missing(code, "balance")
    buys = intent.side is Side.BUY
    asset = facts.instrument.quote if buys else facts.instrument.base
    needed = most_notional(intent, facts) if buys else intent.quantity
    free, _locked = facts.balances.get(asset, (ZERO, ZERO))
    return _at_most(code, "needed balance", needed, free, asset)


def _duplicate(code: str, intent: OrderIntent, facts: RiskFacts) -> Check:
    key = duplicate_key(intent)
    since = facts.now_us - DUPLICATE_WINDOW_US
    ages = [
        facts.now_us - at for known, at in facts.intents_hash_recent if known == key and at > since
    ]
    if ages:
        return _block(code, f"an equal order was sent {min(ages) // 1000} ms ago")
    return _allow(code, "no equal order just before")


#: Every rule, in the order in which the ticket shows them.
CHECKS: tuple[tuple[str, Rule], ...] = (
    ("LATCH", _latch),
    ("LOCKS", _locks),
    ("SESSION_STATE", _session_state),
    ("WINDOW", _window),
    ("ATTENDANCE", _attendance),
    ("DATA_AGE", _data_age),
    ("CLOCK_OFFSET", _clock_offset),
    ("UNKNOWN_ORDERS", _unknown_orders),
    ("VENUE_FILTER", _venue_filter),
    ("MAX_QUANTITY", _max_quantity),
    ("MAX_NOTIONAL", _max_notional),
    ("MAX_POSITION", _max_position),
    ("MAX_OPEN_ORDERS", _max_open_orders),
    ("RATE_SECOND", _rate_second),
    ("RATE_MINUTE", _rate_minute),
    ("RATE_SESSION", _rate_session),
    ("PRICE_COLLAR", _price_collar),
    ("SESSION_LOSS", _session_loss),
    ("BALANCE", _balance),
    ("DUPLICATE", _duplicate),
)


# --- how answers are written -------------------------------------------------------------------


def _guarded(code: str, rule: Rule, intent: OrderIntent, facts: RiskFacts) -> Check:
    try:
        return rule(code, intent, facts)
    except Exception as error:  # noqa: BLE001  (I12: a check that fails is doubt, doubt blocks)
        return _block(code, f"check failed ({type(error).__name__})")


def _allow(code: str, text: str, **numbers: str) -> Check:
    return Check(code=code, verdict=Verdict.ALLOW, text=text, **numbers)


def _block(code: str, text: str, **numbers: str) -> Check:
    return Check(code=code, verdict=Verdict.BLOCK, text=f"{code}: {text}", **numbers)


def _missing(code: str, what: str) -> Check:
    return _block(code, f"{what} is not known")


def _at_most(
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
        return _missing(code, name)
    if isinstance(limit, Decimal) and not limit.is_finite():
        return _missing(code, f"limit of {name}")
    shown, bound = number(value), number(limit)
    within = value <= limit
    return Check(
        code=code,
        verdict=Verdict.ALLOW if within else Verdict.BLOCK,
        text=f"{name} {shown} {unit} of {bound} {unit}"
        if within
        else f"{code}: {name} {shown} {unit} is over {bound} {unit}",
        value=shown,
        limit=bound,
        headroom=bound if left is None else number(left) if left > 0 else "0",
        unit=unit,
    )


def _one_more(code: str, name: str, count: int, limit: int) -> Check:
    return _at_most(code, name, count + 1, limit, "orders", limit - count)


def _base(facts: RiskFacts) -> str:
    return facts.instrument.base if facts.instrument else "base"


def _quote(facts: RiskFacts) -> str:
    return facts.instrument.quote if facts.instrument else "quote"
