"""Matching beside a recorded market: levels that are set from outside, trades that happened.

The recorded levels rest as orders without an account, one a level. They do not react to us: the
next recorded event for a level restores what an order of ours took from it. Our resting orders are
filled by recorded trades through their price, by recorded trades at their price once these have
taken all that stood ahead (`replay_queue.py`), and by recorded levels that come through them. The
promises of `matching.py` hold here too.
"""

from __future__ import annotations

from collections.abc import Callable

from engine.sandbox.matching import Matching
from engine.sandbox.orders import Order
from engine.sandbox.replay_queue import Place, shares
from engine.sandbox.rules import Rules


class ReplayMatching(Matching):
    """A matching engine whose market is set from a recording."""

    def __init__(self, rules: Rules, *, first_order_id: int = 1, first_trade_id: int = 1) -> None:
        super().__init__(rules, first_order_id=first_order_id, first_trade_id=first_trade_id)
        self._replayed: dict[tuple[int, int], Order] = {}
        self._places: dict[tuple[int, int], dict[int, Place]] = {}
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
        for place in self._places.get((side, price), {}).values():
            place.level_is(left)
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
        """A recorded trade: it fills our orders that it reaches, the rest goes on the tape.

        Orders at a better price than the trade's come first, whatever stands ahead of them; at the
        price itself the queue decides. The recorded levels are not touched here: the recorded book
        events say what became of them.
        """
        ours = [order for order in self.resting.values() if order.side == -taker_side]
        left = quantity
        better = [order for order in ours if (price - order.price) * taker_side > 0]
        for maker in sorted(better, key=lambda order: (order.price * taker_side, order.order_id)):
            left -= self._hit(maker, taker_side, min(left, maker.remaining), now_us)
        queue = sorted(
            (order for order in ours if order.price == price),
            key=lambda order: (self._wait(order), order.order_id),
        )
        got, recorded = shares(left, [(self._wait(order), order.remaining) for order in queue])
        for maker, filled in zip(queue, got, strict=True):
            self._hit(maker, taker_side, filled, now_us)
        for place in self._places.get((-taker_side, price), {}).values():
            place.traded(recorded)
        if recorded:
            taker = self._anonymous(taker_side, 0, recorded, now_us)
            self._print(taker, price, recorded, now_us)

    def depth_event_done(self) -> None:
        """One recorded depth event has been applied (see `replay_queue`)."""
        for places in self._places.values():
            for place in places.values():
                place.aged()

    def _wait(self, order: Order) -> int:
        place = self._places.get((order.side, order.price), {}).get(order.order_id)
        return 0 if place is None else place.wait

    def _hit(self, maker: Order, taker_side: int, quantity: int, now_us: int) -> int:
        """Fill an order of ours by the recorded market; returns the quantity."""
        if quantity:
            taker = self._anonymous(taker_side, 0, quantity, now_us)
            self._trade(taker, maker, quantity, now_us)
        return quantity

    def _rest_or_expire(self, order: Order, now_us: int) -> None:
        """An order that comes to rest stands behind what the recording shows at its price."""
        super()._rest_or_expire(order, now_us)
        known = self._replayed.get((order.side, order.price))
        if order.rested and known is not None and known.remaining:
            places = self._places.setdefault((order.side, order.price), {})
            places[order.order_id] = Place(known.remaining)

    def _close(self, order: Order) -> None:
        super()._close(order)
        places = self._places.get((order.side, order.price))
        if places is not None:
            places.pop(order.order_id, None)
            if not places:
                del self._places[order.side, order.price]

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
