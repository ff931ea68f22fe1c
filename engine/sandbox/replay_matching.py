"""Matching beside a recorded market: levels that are set from outside, trades that happened.

The recorded levels rest as orders without an account, one a level. They do not react to us: the
next recorded event for a level restores what an order of ours took from it. Our resting orders are
filled by recorded trades at or through their price, as if they stood first in the queue, and by
recorded levels that come through them. The promises of `matching.py` hold here too.
"""

from __future__ import annotations

from collections.abc import Callable

from engine.sandbox.matching import Matching
from engine.sandbox.orders import Order
from engine.sandbox.rules import Rules


class ReplayMatching(Matching):
    """A matching engine whose market is set from a recording."""

    def __init__(self, rules: Rules, *, first_order_id: int = 1, first_trade_id: int = 1) -> None:
        super().__init__(rules, first_order_id=first_order_id, first_trade_id=first_trade_id)
        self._replayed: dict[tuple[int, int], Order] = {}
        self._next_anonymous = 0
        #: asked before each cancel: "" or how much of the order is filled first ("part", "all")
        self.cancel_race: Callable[[], str] = lambda: ""

    def cancel(self, order: Order, cancel_id: str, now_us: int) -> None:
        """Cancel what remains; a fill may be faster (the cancel race fault)."""
        race = self.cancel_race() if order.open and order.rested else ""
        if race:
            quantity = order.remaining if race == "all" else (order.remaining + 1) // 2
            taker = self._anonymous(-order.side, 0, quantity, now_us)
            self._trade(taker, order, quantity, now_us)
        super().cancel(order, cancel_id, now_us)

    def forget(self, order: Order) -> None:
        """Take a resting order of an account away without a word (a wipe)."""
        self.book.remove(order)
        order.status = "CANCELED"
        self.resting.pop(order.order_id, None)

    def set_level(self, side: int, price: int, quantity: int, now_us: int) -> None:
        """Make the replayed quantity of a level this much (0 removes it).

        A level that comes through orders of ours fills them at their price first; replayed levels
        of the other side that it comes through are out of date and go.
        """
        left = quantity
        opposite = self.book.side(-side)
        while left and opposite.crosses(price):
            maker = self.book.front(-side)
            assert maker is not None, "a side that crosses has a front"
            if maker.account is None:
                self.book.remove(maker)
                continue
            taker = self._anonymous(side, 0, min(left, maker.remaining), now_us)
            left -= taker.quantity
            self._trade(taker, maker, taker.quantity, now_us)
        known = self._replayed.get((side, price))
        if known is None or not known.remaining:
            if left:
                order = self._anonymous(side, price, left, now_us)
                order.rested = True
                self.book.add(order)
                self._replayed[side, price] = order
            return
        if left > known.remaining:
            self.book.grow(known, left - known.remaining)
        elif left < known.remaining:
            self.book.reduce(known, known.remaining - left)
        if not left:
            del self._replayed[side, price]

    def replay_trade(self, taker_side: int, price: int, quantity: int, now_us: int) -> None:
        """A recorded trade: it fills our orders at or through its price, the rest goes on the tape.

        The recorded levels are not touched here: the recorded book events say what became of them.
        """
        left = quantity
        hit = [
            order
            for order in self.resting.values()
            if order.side == -taker_side and (price - order.price) * taker_side >= 0
        ]
        for maker in sorted(hit, key=lambda order: (order.price * taker_side, order.order_id)):
            if not left:
                return
            taker = self._anonymous(taker_side, 0, min(left, maker.remaining), now_us)
            left -= taker.quantity
            self._trade(taker, maker, taker.quantity, now_us)
        if left:
            taker = self._anonymous(taker_side, 0, left, now_us)
            self._print(taker, price, left, now_us)

    def _anonymous(self, side: int, price: int, quantity: int, now_us: int) -> Order:
        """An order of the recorded market: numbered apart, so that it uses up no order ids."""
        self._next_anonymous -= 1
        return Order(
            order_id=self._next_anonymous,
            account=None,
            client_id="",
            side=side,
            type="LIMIT" if price else "MARKET",
            time_in_force="GTC",
            price=price,
            quantity=quantity,
            remaining=quantity,
            created_us=now_us,
            updated_us=now_us,
        )
