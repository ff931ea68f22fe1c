"""Price collars: how far an order's price may be from what the market shows. In basis points.

Three anchors, because each can be wrong alone: the mid of the book, the last trade, and the far
side of the book (how far a buy reaches over the ask, a sell under the bid). A MARKET order is
judged by the best opposite price. Nothing is divided before it is compared, so no digit is lost.
"""

from __future__ import annotations

from decimal import Decimal

from engine.contracts.decision import Check
from engine.contracts.money import ZERO, to_text
from engine.contracts.order import OrderIntent, OrderType, Side
from engine.orders.exact import EXACT, add, multiply, subtract
from engine.risk.answers import Rule, allow, block, missing
from engine.risk.exposure import BPS, usable_book
from engine.risk.facts import RiskFacts

_CENT = Decimal("0.01")


def _mid(code: str, intent: OrderIntent, facts: RiskFacts) -> Check:
    """|price - mid| by twice the mid, |2p - (bid + ask)|: halving could lose a digit."""
    book, price = usable_book(facts), _price(intent, facts)
    if book is None:
        return missing(code, "uncrossed book")
    if price is None:
        return missing(code, "price")
    twice_mid = add(*book)
    distance = subtract(multiply(price, Decimal(2)), twice_mid).copy_abs()
    return _within(code, price, distance, twice_mid, facts.limits.price_collar_bps, "from mid")


def _last(code: str, intent: OrderIntent, facts: RiskFacts) -> Check:
    price, last = _price(intent, facts), facts.last_price
    if last is None or not last > 0:
        return missing(code, "last trade")
    if price is None:
        return missing(code, "price")
    distance = subtract(price, last).copy_abs()
    return _within(code, price, distance, last, facts.limits.price_last_bps, "from the last trade")


def _book(code: str, intent: OrderIntent, facts: RiskFacts) -> Check:
    book, price = usable_book(facts), _price(intent, facts)
    if book is None:
        return missing(code, "uncrossed book")
    if price is None:
        return missing(code, "price")
    buys = intent.side is Side.BUY
    far = book[1] if buys else book[0]
    through = subtract(price, far) if buys else subtract(far, price)
    words = "over the ask" if buys else "under the bid"
    return _within(code, price, max(ZERO, through), far, facts.limits.price_book_bps, words)


#: The collars, in the order in which the ticket shows them.
COLLARS: tuple[tuple[str, Rule], ...] = (
    ("PRICE_COLLAR", _mid),
    ("PRICE_LAST", _last),
    ("PRICE_BOOK", _book),
)


def _price(intent: OrderIntent, facts: RiskFacts) -> Decimal | None:
    """The price to judge by; None when it cannot be known."""
    if intent.type is not OrderType.MARKET:
        return intent.price
    book = usable_book(facts)
    if book is None:
        return None
    return book[1] if intent.side is Side.BUY else book[0]


def _within(
    code: str, price: Decimal, distance: Decimal, anchor: Decimal, limit_bps: int, words: str
) -> Check:
    """`distance` of `anchor` against the limit."""
    inside = multiply(distance, BPS) <= multiply(anchor, Decimal(limit_bps))
    away = to_text(EXACT.divide(multiply(distance, BPS), anchor).quantize(_CENT))
    numbers = {"value": away, "limit": str(limit_bps), "headroom": str(limit_bps), "unit": "bps"}
    if inside:
        return allow(code, f"price is {away} bps {words}", **numbers)
    return block(code, f"price {to_text(price)} is {away} bps {words}, over {limit_bps}", **numbers)
