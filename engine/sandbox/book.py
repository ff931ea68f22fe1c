"""The order book: price-time priority in integer ticks and steps.

Each side is a dict of price -> level and a sorted list of its prices; a level is a queue of resting
orders, first come first filled. An order that is canceled stays in its queue with nothing
remaining and is skipped when it comes to the front: cancel is O(1). Promises: a level's
`quantity` is the sum of what remains in it, an empty level does not exist, and `update_id` grows
by one with each change of a level, so that depth events can be numbered.

Pure: no clock, no socket. It does not know about accounts, fees or self-trade rules; `matching.py`
decides what may trade and asks the book only for the front of the queue.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

BUY = 1
SELL = -1


class Resting(Protocol):
    """What the book needs of an order: side (+1 buy, -1 sell), ticks and steps."""

    side: int
    price: int
    remaining: int


OrderT = TypeVar("OrderT", bound=Resting)


@dataclass(slots=True)
class Level(Generic[OrderT]):
    """One price: its queue, its total in steps and how many orders are alive in it."""

    queue: deque[OrderT] = field(default_factory=deque)
    quantity: int = 0
    count: int = 0


class Side(Generic[OrderT]):
    """One side of the book. `prices` ascends; the best bid is last, the best ask first."""

    __slots__ = ("levels", "prices", "sign")

    def __init__(self, sign: int) -> None:
        self.sign = sign
        self.levels: dict[int, Level[OrderT]] = {}
        self.prices: list[int] = []

    def best(self) -> int | None:
        """The best price in ticks, or None when the side is empty."""
        if not self.prices:
            return None
        return self.prices[-1] if self.sign == BUY else self.prices[0]

    def crosses(self, limit: int) -> bool:
        """Whether an order of the other side with this limit price would trade here."""
        best = self.best()
        return best is not None and (best - limit) * self.sign >= 0

    def best_first(self, limit: int | None = None) -> Iterator[tuple[int, Level[OrderT]]]:
        """Levels from the best outwards, up to a limit price of the other side when given."""
        for price in reversed(self.prices) if self.sign == BUY else self.prices:
            if limit is not None and (price - limit) * self.sign < 0:
                return
            yield price, self.levels[price]

    def top(self, count: int) -> list[tuple[int, int]]:
        """The best `count` levels as (ticks, steps), best first."""
        chosen = self.prices[: -count - 1 : -1] if self.sign == BUY else self.prices[:count]
        return [(price, self.levels[price].quantity) for price in chosen]


class Book(Generic[OrderT]):
    """Both sides. `changed` collects the (side, price) levels touched since the last `drain`."""

    def __init__(self) -> None:
        self.bids: Side[OrderT] = Side(BUY)
        self.asks: Side[OrderT] = Side(SELL)
        self.update_id = 0
        self.changed: set[tuple[int, int]] = set()

    def side(self, sign: int) -> Side[OrderT]:
        """The side on which orders of this sign rest."""
        return self.bids if sign == BUY else self.asks

    def add(self, order: OrderT) -> None:
        """Put an order at the end of its price's queue. It must not cross."""
        side = self.side(order.side)
        level = side.levels.get(order.price)
        if level is None:
            level = side.levels[order.price] = Level()
            insort(side.prices, order.price)
        level.queue.append(order)
        level.quantity += order.remaining
        level.count += 1
        self._touch(order.side, order.price)

    def front(self, sign: int) -> OrderT | None:
        """The order of this side that must trade next."""
        side = self.side(sign)
        best = side.best()
        if best is None:
            return None
        queue = side.levels[best].queue
        while not queue[0].remaining:
            queue.popleft()
        return queue[0]

    def reduce(self, order: OrderT, quantity: int) -> None:
        """Take steps away from a resting order: a fill, or all that remains for a cancel."""
        side = self.side(order.side)
        level = side.levels[order.price]
        order.remaining -= quantity
        level.quantity -= quantity
        if not order.remaining:
            level.count -= 1
            if not level.count:
                del side.levels[order.price]
                del side.prices[bisect_left(side.prices, order.price)]
            elif level.queue[0] is order:
                level.queue.popleft()
        self._touch(order.side, order.price)

    def grow(self, order: OrderT, quantity: int) -> None:
        """Add steps to a resting order in its place (replayed levels only: a fact, not a wish)."""
        order.remaining += quantity
        self.side(order.side).levels[order.price].quantity += quantity
        self._touch(order.side, order.price)

    def remove(self, order: OrderT) -> None:
        """Cancel: take all that remains."""
        self.reduce(order, order.remaining)

    def quantity_at(self, sign: int, price: int) -> int:
        """Steps resting at a price; 0 when there is no such level."""
        level = self.side(sign).levels.get(price)
        return 0 if level is None else level.quantity

    def drain(self) -> set[tuple[int, int]]:
        """The levels touched since the last call."""
        changed, self.changed = self.changed, set()
        return changed

    def _touch(self, sign: int, price: int) -> None:
        self.update_id += 1
        self.changed.add((sign, price))
