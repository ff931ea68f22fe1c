"""How far an order would get in the book as it stands, without changing anything.

Asked before an order is accepted: a market order locks what it will pay, one that is sized in quote
gets its quantity here, and a fill-or-kill order is accepted for matching only if all of it will
trade. The walk is the one that matching will take, self-trade prevention included.
"""

from __future__ import annotations

import msgspec

from engine.sandbox.accounts import Account
from engine.sandbox.book import Book
from engine.sandbox.orders import NewOrder, Order
from engine.sandbox.rules import Rules


class Reach(msgspec.Struct, frozen=True):
    """How far an order would get in the book as it stands.

    `quantity` (steps) is what it would use up, of which `fillable` in trades with others, for
    `value` (amount in quote). `dry`: the book ends before the order's quote amount is spent.
    """

    quantity: int
    fillable: int
    value: int
    dry: bool


def reach_of(book: Book[Order], rules: Rules, account: Account, new: NewOrder) -> Reach:
    """Walk the other side from its best price."""
    quantity = fillable = value = spent = last = 0
    limit = new.price if new.type != "MARKET" else None
    for price, level in book.side(-new.side).best_first(limit):
        last = price
        for maker in level.queue:
            own = maker.account is account and new.stp != "NONE"
            if not maker.remaining or (own and new.stp == "EXPIRE_MAKER"):
                continue
            most = new.quantity - quantity
            if new.quote_amount:
                most = (new.quote_amount - spent) // rules.value(price, 1)
            taken = min(maker.remaining, most)
            quantity += taken
            spent += rules.value(price, taken)
            if not own:
                fillable += taken
                value += rules.value(price, taken)
            if taken < maker.remaining or (own and new.stp != "DECREMENT"):
                return Reach(quantity, fillable, value, dry=False)
    left = new.quote_amount - spent
    return Reach(quantity, fillable, value, dry=left > 0 and left >= rules.value(last, 1))
