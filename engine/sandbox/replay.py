"""A recording as the market: its book and its tape, with our orders beside them.

The fill model. The recorded levels rest in the matching engine as anonymous orders and are set to
what the recording says at each depth event and bookTicker.

* A taker order of ours walks the replayed levels at their prices and leaves less of them, until the
  next recorded event for a level restores it.
* A resting order of ours stands behind the quantity that the recording shows at its price when it
  comes to rest, and is filled, in parts if need be, by recorded trades at its price once these have
  reached it (`replay_queue.py`), at once by recorded trades through its price, and by recorded
  levels that come through it. Its fills are at its own price.
* What a recorded trade gives to us is taken off its size on our tape: volume is not counted twice.

Its limits. **The replayed book does not react to us**: nobody follows, undercuts or pulls away, and
an order larger than the market was moves it for a moment only. The queue errs to the late side.
Results for sizes that are small beside the recorded ones can be trusted, others cannot; synthetic
flow (`flow.py`) does react, but is nobody's real market.

Speed divides the waits between messages: at 50 a recorded second takes 20 ms. Our orders and
timeouts do not speed up, so latency grows with the speed. While the symbol is halted the recording
stands still. Ids and times on our wire are the sandbox's own: the clock is now, not 2024.

A recording without a snapshot at its beginning starts from its first bookTicker (and the depth
events before it): the best bid and ask, then every level that later events name. Deep levels that
never change in the recording stay unknown; a level that is shown is always true.

When the recording ends, its last book stays and synthetic flow carries on from its middle price.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path

from engine.contracts.errors import InputError
from engine.sandbox.book import BUY, SELL
from engine.sandbox.exchange import Exchange
from engine.sandbox.recording import (
    BestPrices,
    BookBuilder,
    Diff,
    RecordedMessage,
    RecordedTrade,
    Snapshot,
    read_recording,
)

#: How far into a recording its first snapshot is looked for, in ns.
_SNAPSHOT_WITHIN_NS = 10 * 10**9
#: The longest silence of a recording that is waited for, in seconds.
_LONGEST_WAIT = 5.0
#: The longest time without a look at the clients, in seconds.
_BREATH_S = 0.005
#: How often a halted recording looks whether it may go on, in seconds.
_HALT_S = 0.02


class Replay:
    """One recording driving one exchange at `speed` (2.0 is twice as fast)."""

    def __init__(self, exchange: Exchange, path: Path, *, speed: float) -> None:
        self._exchange = exchange
        self._path = path
        self._speed = speed
        self._messages: Iterator[RecordedMessage] = read_recording(path)
        self._depth_id = 0
        self._ahead: BestPrices | None = None

    def seed(self) -> None:
        """Read up to the first snapshot (or bookTicker when there is none) and set the book."""
        read: list[RecordedMessage] = []
        for message in self._messages:
            read.append(message)
            if isinstance(message.payload, Snapshot):
                break
            if message.received_ns - read[0].received_ns > _SNAPSHOT_WITHIN_NS:
                break
        if not read:
            raise InputError(what="the recording is empty", where=str(self._path))
        if not isinstance(read[-1].payload, Snapshot):
            kinds = [isinstance(message.payload, BestPrices) for message in read]
            if not any(kinds):
                raise InputError(
                    what="neither a snapshot nor a bookTicker in its first 10 seconds",
                    where=str(self._path),
                    todo="record the bookTicker stream too, or begin with a depth snapshot",
                )
            first = kinds.index(True) + 1
            self._messages = chain(read[first:], self._messages)
            read = read[:first]
        self._set_book(read)

    def middle(self) -> int:
        """The middle price in ticks of the book as it stands."""
        book = self._exchange.matching.book
        bid, ask = book.bids.best(), book.asks.best()
        if bid is None or ask is None:
            return self._exchange.matching.last_price
        return (bid + ask) // 2

    async def run(self) -> None:
        """Play to the end of the recording."""
        loop = asyncio.get_running_loop()
        began, first_ns = loop.time(), 0
        breathed = began
        for message in self._messages:
            first_ns = first_ns or message.received_ns
            while not self._exchange.trading:
                began += _HALT_S
                await asyncio.sleep(_HALT_S)
            due = began + (message.received_ns - first_ns) / 1e9 / self._speed
            wait = due - loop.time()
            if wait > 0.001:
                self._exchange.settle()
                if wait > _LONGEST_WAIT:
                    began -= wait - _LONGEST_WAIT
                    wait = _LONGEST_WAIT
                await asyncio.sleep(wait)
                breathed = loop.time()
            elif loop.time() - breathed > _BREATH_S:
                # Behind its time, or many messages at once: clients are served all the same.
                self._exchange.settle()
                await asyncio.sleep(0)
                breathed = loop.time()
            self.play(message)
        self._exchange.settle()

    def play(self, message: RecordedMessage) -> None:
        """Let one recorded message happen now."""
        match message.payload:
            case Diff() as diff:
                self._diff(diff)
            case BestPrices() as best:
                self._ahead = best
                self._best(best)
            case RecordedTrade() as trade:
                rules = self._exchange.rules
                self._exchange.matching.replay_trade(
                    SELL if trade.buyer_is_maker else BUY,
                    trade.price // rules.tick,
                    trade.quantity // rules.step,
                    self._exchange.clock_us(),
                )
            case Snapshot() as snapshot:
                if snapshot.last_id > self._depth_id:
                    self._whole(snapshot.bids, snapshot.asks)
                    self._depth_id = snapshot.last_id

    def _set_book(self, read: list[RecordedMessage]) -> None:
        builder = BookBuilder()
        for message in read:
            match message.payload:
                case Diff() as diff:
                    builder.diff(diff)
                case Snapshot() as snapshot:
                    builder.snapshot(snapshot)
                case BestPrices() as best:
                    self._ahead = best
                case RecordedTrade():
                    continue
        if not builder.synced:
            builder.seed()
        self._whole(builder.bids.items(), builder.asks.items())
        self._depth_id = builder.last_id
        if self._ahead is not None:
            self._best(self._ahead)
        self._exchange.matching.last_price = self.middle()
        self._exchange.settle()

    def _whole(self, bids: Iterable[tuple[int, int]], asks: Iterable[tuple[int, int]]) -> None:
        """Make the replayed levels exactly these."""
        rules, book = self._exchange.rules, self._exchange.matching.book
        for sign, rows in ((BUY, bids), (SELL, asks)):
            wanted = {price // rules.tick: quantity // rules.step for price, quantity in rows}
            for price in [p for p in book.side(sign).prices if p not in wanted]:
                self._level(sign, price, 0)
            for price, quantity in wanted.items():
                self._level(sign, price, quantity)

    def _diff(self, diff: Diff) -> None:
        if diff.last_id <= self._depth_id:
            return
        rules = self._exchange.rules
        self._depth_id = diff.last_id
        # Removals first: a level that moved through the other side replaces it in one event.
        for empty in (True, False):
            for sign, rows in ((BUY, diff.bids), (SELL, diff.asks)):
                for price, quantity in rows:
                    if (quantity == 0) is empty:
                        self._level(sign, price // rules.tick, quantity // rules.step)
        if self._ahead is not None and self._ahead.update_id > diff.last_id:
            self._best(self._ahead)
        self._exchange.matching.depth_event_done()

    def _best(self, best: BestPrices) -> None:
        """A bookTicker: set the two best levels; replayed levels in front of them are gone.

        It may run ahead of the depth event that holds its update; that event then sets the same
        levels again.
        """
        if best.update_id <= self._depth_id:
            return
        rules, book = self._exchange.rules, self._exchange.matching.book
        for sign, (price, quantity) in ((BUY, best.bid), (SELL, best.ask)):
            level = price // rules.tick
            side = book.side(sign)
            for better, _ in list(side.best_first(level + sign)):
                self._level(sign, better, 0)
            self._level(sign, level, quantity // rules.step)

    def _level(self, sign: int, price: int, quantity: int) -> None:
        self._exchange.matching.set_level(sign, price, quantity, self._exchange.clock_us())
