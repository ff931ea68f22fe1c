"""The local order book, kept by the venue's own procedure (web-socket-streams.md). Pure.

    buffer events -> take a snapshot -> drop events with u <= lastUpdateId
    -> the first kept one must have U <= lastUpdateId + 1 <= u -> apply absolute quantities
    -> whenever U > last + 1: throw the book away and start over

Promise: in sync, the book equals the snapshot plus every later event, however the events were cut
or repeated; or it says `Gap` and is empty until the next snapshot. A book that crosses is as wrong
as one with a hole, and is treated alike.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from decimal import Decimal
from enum import Enum

import msgspec

from engine.venues.binance.wire import DepthDiff, DepthSnapshot

Level = tuple[Decimal, Decimal]


class Step(Enum):
    """What became of an event or a snapshot that did no harm."""

    APPLIED = "applied"
    OLD = "old"
    BUFFERED = "buffered"


class Gap(msgspec.Struct, frozen=True):
    """The sequence broke: the book is empty and needs a newer snapshot."""

    detail: str


class _Side:
    """One side: quantities by price, and the prices in ascending order."""

    __slots__ = ("prices", "quantities")

    def __init__(self) -> None:
        self.quantities: dict[Decimal, Decimal] = {}
        self.prices: list[Decimal] = []

    def set(self, price: Decimal, quantity: Decimal) -> None:
        """Set the absolute quantity at a price; zero removes the level."""
        if quantity == 0:
            if self.quantities.pop(price, None) is not None:
                del self.prices[bisect_left(self.prices, price)]
            return
        if price not in self.quantities:
            insort(self.prices, price)
        self.quantities[price] = quantity

    def clear(self) -> None:
        """Forget everything."""
        self.quantities.clear()
        self.prices.clear()


class LocalBook:
    """The book of one symbol. `last_id` is the update it stands at, None while out of sync."""

    #: Events kept while waiting for a snapshot: ten minutes of them. More means that no snapshot
    #: comes, and then the oldest are worth nothing.
    LONGEST_BUFFER = 6000

    def __init__(self) -> None:
        self.last_id: int | None = None
        self._bids = _Side()
        self._asks = _Side()
        self._buffer: list[DepthDiff] = []

    def add(self, diff: DepthDiff) -> Step | Gap:
        """Take one event of the stream, in the order of arrival."""
        if self.last_id is None:
            self._buffer.append(diff)
            del self._buffer[: -self.LONGEST_BUFFER]
            return Step.BUFFERED
        if diff.last_id <= self.last_id:
            return Step.OLD
        if diff.first_id > self.last_id + 1:
            return self._lose(f"expected update {self.last_id + 1}, got {diff.first_id}", [diff])
        return self._apply(diff)

    def load(self, snapshot: DepthSnapshot) -> Step | Gap:
        """Take a snapshot and catch up with the events that waited for it."""
        self._bids.clear()
        self._asks.clear()
        for side, levels in ((self._bids, snapshot.bids), (self._asks, snapshot.asks)):
            for price, quantity in levels:
                side.set(price, quantity)
        self.last_id = snapshot.last_update_id
        waiting, self._buffer = self._buffer, []
        if (crossed := self._crossed()) is not None:
            return self._lose(f"snapshot: {crossed}", waiting)
        for position, diff in enumerate(waiting):
            outcome = self.add(diff)
            if isinstance(outcome, Gap):
                self._buffer.extend(waiting[position + 1 :])
                return outcome
        return Step.APPLIED

    def bids(self, depth: int) -> tuple[Level, ...]:
        """Return the best bids first, at most `depth`."""
        side = self._bids
        best = side.prices[: -depth - 1 : -1]
        return tuple((price, side.quantities[price]) for price in best)

    def asks(self, depth: int) -> tuple[Level, ...]:
        """Return the best asks first, at most `depth`."""
        side = self._asks
        return tuple((price, side.quantities[price]) for price in side.prices[:depth])

    def _apply(self, diff: DepthDiff) -> Step | Gap:
        for price, quantity in diff.bids:
            self._bids.set(price, quantity)
        for price, quantity in diff.asks:
            self._asks.set(price, quantity)
        self.last_id = diff.last_id
        crossed = self._crossed()
        return Step.APPLIED if crossed is None else self._lose(crossed, [])

    def _crossed(self) -> str | None:
        """Say how the best prices contradict each other, None when they do not."""
        bids, asks = self._bids.prices, self._asks.prices
        if bids and asks and bids[-1] >= asks[0]:
            return f"bid {bids[-1]} is not under ask {asks[0]}"
        return None

    def _lose(self, detail: str, keep: list[DepthDiff]) -> Gap:
        """Throw the book away; the events to keep wait for the next snapshot."""
        self.last_id = None
        self._bids.clear()
        self._asks.clear()
        self._buffer = keep
        return Gap(detail)
