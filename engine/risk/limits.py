"""The pre-trade checks: one order against what is known, every check every time, doubt blocks.

`CHECKS` is the list of rules, (code, function), some of them in `collars` and `conduct`: a new
limit is a new row and its tests. Each check looks at facts alone, returns one `Check` with its
numbers, and cannot be skipped by another's answer, so that the ticket shows all of them. Promises:

* I12: a missing fact, or any exception inside a check, is BLOCK with the check's own code;
* I5, I4: locks, session state, window, latch and attendance are checks like the others, made at
  the moment of each order;
* I13: cancels do not come here at all;
* worst case: open orders count as if all of one side filled; a MARKET order is priced at the best
  opposite price moved by the collar; a limit sell below the bid is valued at the bid.

A limit is inclusive: at the limit is allowed, one unit over is not. SESSION_LOSS answers PAUSE,
which blocks the order and pauses the session; all others answer BLOCK. The loss breakers act by
themselves, a moment later (`breakers`); BREAKERS keeps an order from passing in that moment.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec

from engine.contracts.decision import Check, Decision, Verdict, decide_all
from engine.contracts.instrument import Instrument
from engine.contracts.money import ZERO, is_multiple, to_text
from engine.contracts.order import OrderIntent, OrderType, Side
from engine.contracts.session import SessionState
from engine.orders.exact import add, subtract
from engine.risk.answers import Rule, allow, at_most, block, missing, number, one_more
from engine.risk.collars import COLLARS
from engine.risk.conduct import CONDUCT
from engine.risk.exposure import (
    SECOND_US,
    clock_distance_ms,
    gross_exposure,
    least_notional,
    most_notional,
    net_exposure,
    on_its_way,
    open_count,
    worst_position,
)
from engine.risk.facts import (
    DUPLICATE_WINDOW_US,
    Measured,
    RiskFacts,
    base_of,
    duplicate_key,
    quote_of,
)
from engine.risk.headroom import headroom, tighter

__all__ = ["CHECKS", "RiskFacts", "check_order", "duplicate_key", "headroom", "tighter"]


_WHOLE = Decimal(1)


def check_order(intent: OrderIntent, facts: RiskFacts) -> Decision:
    """Judge one order by every rule. Never raises; the worst verdict wins."""
    return decide_all(tuple(_guarded(code, rule, intent, facts) for code, rule in CHECKS))


# --- permission --------------------------------------------------------------------------------


def _locks(code: str, _: OrderIntent, facts: RiskFacts) -> Check:
    if not facts.locks:
        return block(code, "no lock was checked")
    closed = [lock for lock in facts.locks if lock.verdict is not Verdict.ALLOW]
    numbers = {"value": str(len(closed)), "limit": "0", "unit": "closed locks"}
    if closed:
        return block(code, "; ".join(lock.text or lock.code for lock in closed), **numbers)
    return allow(code, f"{len(facts.locks)} locks open", **numbers)


def _session_state(code: str, _: OrderIntent, facts: RiskFacts) -> Check:
    if facts.session_state is None:
        return block(code, "there is no session", limit=SessionState.LIVE)
    words = {"value": facts.session_state, "limit": SessionState.LIVE}
    if facts.session_state is not SessionState.LIVE:
        return block(code, f"session is {facts.session_state}, not live", **words)
    return allow(code, "session is live", **words)


def _window(code: str, _: OrderIntent, facts: RiskFacts) -> Check:
    if facts.window_from_us is None or facts.window_until_us is None:
        return missing(code, "change window")
    if facts.now_us < facts.window_from_us:
        return block(code, "change window has not begun")
    left = (facts.window_until_us - facts.now_us) // SECOND_US
    if facts.now_us >= facts.window_until_us:
        return block(code, "change window is over", headroom="0", unit="s")
    return allow(code, f"inside the change window, {left} s left", headroom=str(left), unit="s")


def _latch(code: str, _: OrderIntent, facts: RiskFacts) -> Check:
    if facts.latch_set is None:
        return missing(code, "state of the latch")
    return block(code, "kill latch is set") if facts.latch_set else allow(code, "latch is open")


def _attendance(code: str, _: OrderIntent, facts: RiskFacts) -> Check:
    if facts.attended is None:
        return missing(code, "attendance")
    if not facts.attended:
        return block(code, "no operator console attends")
    return allow(code, "operator attends")


# --- trust in what we see ----------------------------------------------------------------------


def _data_age(code: str, _: OrderIntent, facts: RiskFacts) -> Check:
    age, limit = facts.book_age_ms, facts.stale_limit_ms
    left = None if age is None else limit - age
    return at_most(code, "age of the book", age, limit, "ms", left)


def _clock_offset(code: str, _: OrderIntent, facts: RiskFacts) -> Check:
    away, limit = clock_distance_ms(facts), facts.clock_limit_ms
    left = None if away is None else limit - away
    return at_most(code, "clock offset", away, limit, "ms", left)


def _unknown_orders(code: str, _: OrderIntent, facts: RiskFacts) -> Check:
    return at_most(code, "orders in doubt", facts.unknown_orders, 0, "orders")


# --- the venue's rules -------------------------------------------------------------------------


def _venue_filter(code: str, intent: OrderIntent, facts: RiskFacts) -> Check:
    instrument = facts.instrument
    if instrument is None:
        return missing(code, "instrument")
    fault = _quantity_fault(intent, instrument) or _price_fault(intent, instrument)
    if fault is not None:
        return block(code, fault)
    worth = least_notional(intent, facts)
    if worth is None:
        return missing(code, "price for the least notional")
    if worth < instrument.min_notional:
        least = to_text(instrument.min_notional)
        return block(code, f"notional {to_text(worth)} {instrument.quote} is under {least}")
    return allow(code, "fits the venue's filters")


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
    return at_most(code, "quantity", intent.quantity, limit, base_of(facts))


def _max_notional(code: str, intent: OrderIntent, facts: RiskFacts) -> Check:
    worst = most_notional(intent, facts)
    return at_most(code, "notional", worst, facts.limits.max_order_notional, quote_of(facts))


def _max_position(code: str, intent: OrderIntent, facts: RiskFacts) -> Check:
    before = worst_position(intent.symbol, intent.side, facts)
    after = None if before is None else add(before, intent.quantity)
    name = "longest position" if intent.side is Side.BUY else "shortest position"
    limit = facts.limits.max_position
    left = None if before is None else subtract(limit, before)
    return at_most(code, name, after, limit, base_of(facts), left)


def _max_open_orders(code: str, _: OrderIntent, facts: RiskFacts) -> Check:
    return one_more(code, "open orders", open_count(facts), facts.limits.max_open_orders)


def _max_gross(code: str, intent: OrderIntent, facts: RiskFacts) -> Check:
    """All symbols, long and short at their worst; an order that adds nothing is let through."""
    limit, unit = facts.limits.max_gross_exposure, quote_of(facts)
    before, after = gross_exposure(facts), gross_exposure(facts, intent)
    if before is None or after is None:
        return missing(code, "exposure of all symbols")
    if after == before:
        return allow(code, f"adds nothing to {to_text(before)} {unit}")
    return at_most(code, "gross exposure", after, limit, unit, subtract(limit, before))


def _max_net(code: str, intent: OrderIntent, facts: RiskFacts) -> Check:
    limit, unit = facts.limits.max_net_exposure, quote_of(facts)
    before, after = (net_exposure(facts, intent.side, with_order=one) for one in (None, intent))
    left = None if before is None else subtract(limit, before)
    return at_most(code, "net exposure", after, limit, unit, left)


def _max_asset(code: str, intent: OrderIntent, facts: RiskFacts) -> Check:
    limit, unit, base = facts.limits.max_asset_exposure, quote_of(facts), base_of(facts)
    before, after = (
        net_exposure(facts, intent.side, with_order=one, base=base) for one in (None, intent)
    )
    left = None if before is None else subtract(limit, before)
    return at_most(code, f"exposure in {base}", after, limit, unit, left)


# --- loss, money, repetition -------------------------------------------------------------------


def _session_loss(code: str, _: OrderIntent, facts: RiskFacts) -> Check:
    """Realised, and with what is held at its mark: the larger loss counts."""
    if facts.session_pnl is None or facts.session_realised is None:
        return missing(code, "session profit, for want of a price (a position's, or a fee's asset)")
    realised, marked = facts.session_realised, facts.session_pnl
    name = "session loss, marked" if marked <= realised else "session loss, realised"
    loss = max(ZERO, min(realised, marked).copy_negate())
    limit = facts.limits.max_session_loss
    check = at_most(code, name, loss, limit, quote_of(facts), subtract(limit, loss))
    if check.verdict is Verdict.ALLOW:
        return check
    return msgspec.structs.replace(check, verdict=Verdict.PAUSE)


def _breakers(code: str, _: OrderIntent, facts: RiskFacts) -> Check:
    """The loss breakers at this moment, by the name of the closest."""
    if not facts.breakers:
        return missing(code, "where the breakers stand")
    unknown = [one.name for one in facts.breakers if one.used is None]
    if unknown:
        why = "for want of a price, or of a quote balance at the go"
        return missing(code, f"where {', '.join(unknown)} stands, {why},")
    over = [one for one in facts.breakers if one.used is not None and one.used > one.limit]
    if over:
        words = "; ".join(
            f"{one.name} {number(one.used or 0)} {one.unit} is over {number(one.limit)} {one.unit}"
            for one in over
        )
        return block(code, words, headroom="0")
    one = max(facts.breakers, key=_full)
    used = one.used or ZERO
    words = f"{one.name} {number(used)} of {number(one.limit)} {one.unit}"
    return allow(code, words, headroom=number(subtract(one.limit, used)), unit=one.unit)


def _full(one: Measured) -> Decimal:
    """The share of its limit that is used; a limit of nothing is full."""
    return (one.used or ZERO) / one.limit if one.limit else _WHOLE


def _balance(code: str, intent: OrderIntent, facts: RiskFacts) -> Check:
    if facts.instrument is None or facts.balances is None:
        return missing(code, "balance")
    buys = intent.side is Side.BUY
    asset = facts.instrument.quote if buys else facts.instrument.base
    needed = most_notional(intent, facts) if buys else intent.quantity
    free, _locked = facts.balances.get(asset, (ZERO, ZERO))
    leaving = on_its_way(asset, facts)
    if leaving is None:
        return missing(code, "what orders on their way take")
    name = f"beside {to_text(leaving)} on its way, needed balance" if leaving else "needed balance"
    return at_most(code, name, needed, max(ZERO, subtract(free, leaving)), asset)


def _duplicate(code: str, intent: OrderIntent, facts: RiskFacts) -> Check:
    key = duplicate_key(intent)
    since = facts.now_us - DUPLICATE_WINDOW_US
    ages = [
        facts.now_us - at for known, at in facts.intents_hash_recent if known == key and at > since
    ]
    if ages:
        return block(code, f"an equal order was sent {min(ages) // 1000} ms ago")
    return allow(code, "no equal order just before")


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
    ("MAX_GROSS", _max_gross),
    ("MAX_NET", _max_net),
    ("MAX_ASSET", _max_asset),
    ("MAX_OPEN_ORDERS", _max_open_orders),
    *CONDUCT,
    *COLLARS,
    ("SESSION_LOSS", _session_loss),
    ("BREAKERS", _breakers),
    ("BALANCE", _balance),
    ("DUPLICATE", _duplicate),
)


def _guarded(code: str, rule: Rule, intent: OrderIntent, facts: RiskFacts) -> Check:
    try:
        return rule(code, intent, facts)
    except Exception as error:  # noqa: BLE001  (I12: a check that fails is doubt, doubt blocks)
        return block(code, f"check failed ({type(error).__name__})")
