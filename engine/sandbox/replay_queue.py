"""Where our resting orders stand in a recorded queue: the fill model of a replay. Pure.

An order that comes to rest stands behind all that the recording shows at its price. What is ahead
of it grows less in two ways only:

* a recorded trade at the price takes from the front of the queue;
* a level that is smaller than what we thought to be ahead proves that so much has gone. Of a
  shrinking level nothing else is believed: cancels are taken to come from behind us.

The same trade is often seen twice, as a trade and as a smaller level, in either order. What a
smaller level has proved is therefore kept as *unexplained* for up to two depth events (200 ms of
the recording), and trades at the price explain it before they move us forward again.

The model errs to the late side: a real order would often be filled sooner, because others ahead of
it cancel. It never fills an order that the recorded trades did not reach.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(slots=True)
class Place:
    """One order's place: steps of the recording ahead of it, and what is not yet explained.

    `fresh` was proved since the last depth event, `old` since the one before.
    """

    ahead: int
    fresh: int = 0
    old: int = 0

    @property
    def wait(self) -> int:
        """Steps that must trade at the price before this order is reached."""
        return self.ahead + self.fresh + self.old

    def level_is(self, quantity: int) -> None:
        """The recording shows so much at the price."""
        if self.ahead > quantity:
            self.fresh += self.ahead - quantity
            self.ahead = quantity

    def traded(self, quantity: int) -> None:
        """So much of the recorded queue was taken by a trade."""
        for name in ("old", "fresh", "ahead"):
            taken = min(quantity, getattr(self, name))
            setattr(self, name, getattr(self, name) - taken)
            quantity -= taken

    def aged(self) -> None:
        """A depth event has passed."""
        self.old, self.fresh = self.fresh, 0


def shares(quantity: int, orders: Iterable[tuple[int, int]]) -> tuple[list[int], int]:
    """Divide a trade at one price among our orders there and the recorded queue.

    `orders` are (wait, remaining) from the front of the queue. Returns what each order gets and
    what the recorded queue gets; together they are the trade.
    """
    left, passed = quantity, 0
    got: list[int] = []
    for wait, remaining in orders:
        recorded = min(left, max(0, wait - passed))
        passed += recorded
        left -= recorded
        filled = min(left, remaining)
        got.append(filled)
        left -= filled
    return got, passed + left
