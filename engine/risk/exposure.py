"""What could happen at worst, from the facts: prices, notionals, positions and counts.

Every function is conservative: it answers with the number that is worse for us, or None when the
facts do not say (the caller blocks, I12).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal

import msgspec

from engine.contracts.instrument import Instrument
from engine.contracts.money import ZERO
from engine.contracts.order import (
    OPEN_STATES,
    Order,
    OrderIntent,
    OrderState,
    OrderType,
    Side,
)
from engine.orders.exact import add, multiply, subtract
from engine.orders.positions import Position
from engine.risk.facts import Exposure, RiskFacts, quote_of

BPS = Decimal(10_000)
SECOND_US = 1_000_000
MINUTE_US = 60 * SECOND_US


def usable_book(facts: RiskFacts) -> tuple[Decimal, Decimal] | None:
    """Best bid and ask; None when one is missing, not positive, or the book is crossed."""
    bid, ask = facts.best_bid, facts.best_ask
    if bid is None or ask is None or not 0 < bid <= ask:
        return None
    return bid, ask


def most_notional(intent: OrderIntent, facts: RiskFacts) -> Decimal | None:
    """The most quote this order can move: what a buy may cost, what a sell may bring."""
    price: Decimal | None
    book = usable_book(facts)
    if intent.type is not OrderType.MARKET and intent.side is Side.BUY:
        price = intent.price
    elif book is None:
        price = None
    elif intent.type is OrderType.MARKET:
        price = _collared(book[1], facts, Side.BUY) if intent.side is Side.BUY else book[0]
    else:
        price = None if intent.price is None else max(intent.price, book[0])
    return None if price is None else multiply(price, intent.quantity)


def least_notional(intent: OrderIntent, facts: RiskFacts) -> Decimal | None:
    """The least quote this order can be worth at the venue's minimum notional check."""
    price = intent.price
    if intent.type is OrderType.MARKET:
        book = usable_book(facts)
        buys = intent.side is Side.BUY
        price = (
            None if book is None else (book[1] if buys else _collared(book[0], facts, Side.SELL))
        )
    return None if price is None else multiply(price, intent.quantity)


def _collared(price: Decimal, facts: RiskFacts, side: Side) -> Decimal:
    """The price moved against us by the collar: up for a buy, down for a sell."""
    factor = Decimal(1) + side.sign * Decimal(facts.limits.price_collar_bps) / BPS
    return multiply(price, factor)


def worst_position(symbol: str, side: Side, facts: RiskFacts) -> Decimal | None:
    """How long (BUY) or short (SELL) we would be if every open order of that side filled."""
    if facts.position is None:
        return None
    worst = facts.position if side is Side.BUY else facts.position.copy_negate()
    for order in facts.open_orders:
        intent = order.intent
        if order.state in OPEN_STATES and intent.symbol == symbol and intent.side is side:
            worst = add(worst, max(ZERO, subtract(intent.quantity, order.filled_quantity)))
    return worst


def worst_position_now(facts: RiskFacts) -> Decimal | None:
    """The larger of the worst long and the worst short position in the facts' symbol, base."""
    if facts.instrument is None:
        return None
    symbol = facts.instrument.symbol
    sides = (worst_position(symbol, side, facts) for side in Side)
    known = [worst for worst in sides if worst is not None]
    return max(ZERO, *known) if known else None


def exposures(
    positions: Mapping[str, Position],
    open_orders: Iterable[Order],
    instruments: Mapping[str, Instrument],
    marks: Mapping[str, Decimal],
) -> tuple[Exposure, ...] | None:
    """Every symbol at its worst, before the order: `RiskFacts.exposures`.

    None when a symbol that is held or may come to be held has no instrument, so no assets.
    """
    long: dict[str, Decimal] = dict.fromkeys(instruments, ZERO)
    short = dict(long)
    for symbol, position in positions.items():
        long[symbol], short[symbol] = position.quantity, position.quantity.copy_negate()
    for order in open_orders:
        intent = order.intent
        side = long if intent.side is Side.BUY else short
        rest = max(ZERO, subtract(intent.quantity, order.filled_quantity))
        side[intent.symbol] = add(side.get(intent.symbol, ZERO), rest)
    if not long.keys() | short.keys() <= instruments.keys():
        return None
    return tuple(
        Exposure(
            symbol=symbol,
            base=one.base,
            quote=one.quote,
            longest=long[symbol],
            shortest=short[symbol],
            mark=marks.get(symbol),
        )
        for symbol, one in instruments.items()
    )


def gross_exposure(facts: RiskFacts, order: OrderIntent | None = None) -> Decimal | None:
    """All symbols, each at the larger of its worst long and worst short value, quote."""
    return _total(
        _with_order(facts, order), quote_of(facts), lambda row: max(row.longest, row.shortest)
    )


def net_exposure(
    facts: RiskFacts, side: Side, *, with_order: OrderIntent | None = None, base: str | None = None
) -> Decimal | None:
    """All symbols (of one base asset, if given) were they all at their longest, or shortest."""
    rows = _with_order(facts, with_order)
    if rows is not None and base is not None:
        rows = tuple(row for row in rows if row.base == base)
    buys = side is Side.BUY
    return _total(rows, quote_of(facts), lambda row: row.longest if buys else row.shortest)


def _with_order(facts: RiskFacts, order: OrderIntent | None) -> tuple[Exposure, ...] | None:
    """The rows as they would be with the order sent; None when its symbol has none."""
    rows = facts.exposures
    if rows is None or order is None:
        return rows
    if order.symbol not in {row.symbol for row in rows}:
        return None
    return tuple(_after(row, order) if row.symbol == order.symbol else row for row in rows)


def _after(row: Exposure, order: OrderIntent) -> Exposure:
    if order.side is Side.BUY:
        return msgspec.structs.replace(row, longest=add(row.longest, order.quantity))
    return msgspec.structs.replace(row, shortest=add(row.shortest, order.quantity))


def _total(
    rows: tuple[Exposure, ...] | None, quote: str, size: Callable[[Exposure], Decimal]
) -> Decimal | None:
    """Sum of size times mark; None when a size that is not zero has no price in `quote`."""
    if rows is None:
        return None
    total = ZERO
    for row in rows:
        amount = size(row)
        if not amount:
            continue
        if row.mark is None or row.quote != quote:
            return None
        total = add(total, multiply(amount, row.mark))
    return total


def on_its_way(asset: str, facts: RiskFacts) -> Decimal | None:
    """What orders that the venue has not answered may take of `asset`; None when one has no price.

    The venue's balance does not show it yet: two orders at once must not both count on all of it.
    """
    rows = {row.symbol: row for row in facts.exposures or ()}
    total = ZERO
    for order in facts.open_orders:
        if order.state is not OrderState.SUBMITTED:
            continue
        intent = order.intent
        row = rows.get(intent.symbol)
        if row is None:
            return None
        if intent.side is Side.SELL and row.base == asset:
            total = add(total, intent.quantity)
        elif intent.side is Side.BUY and row.quote == asset:
            price = intent.price
            if price is None and row.mark is not None:
                price = _collared(row.mark, facts, Side.BUY)
            if price is None:
                return None
            total = add(total, multiply(price, intent.quantity))
    return total


def open_count(facts: RiskFacts) -> int:
    """Orders of any symbol that may still execute."""
    return sum(order.state in OPEN_STATES for order in facts.open_orders)


def sent_since(facts: RiskFacts, span_us: int) -> int:
    """Sends younger than the span; one stamped in the future (the clock was set) counts too."""
    # They come in the order of time nearly always, and then this looks at each but once, cheaply.
    times = sorted(facts.recent_submits_us)
    return len(times) - bisect_right(times, facts.now_us - span_us)


def clock_distance_ms(facts: RiskFacts) -> int | None:
    """How far our clock is from the venue's, either way, ms."""
    return None if facts.clock_offset_ms is None else abs(facts.clock_offset_ms)
