"""Synthetic order flow: a plausible market from a seed.

A hidden fair price walks with changing volatility; makers quote around it, takers arrive in bursts
whose side tends to persist and whose sizes are heavy-tailed. Orders go through the same matching as
anybody's, so resting orders of accounts are hit in their turn and get partial and full fills.
Shape taken from the real recording (venue.md section 6): spread mostly one tick, trade size median
0.00067 and mean 0.022 BTC, trade signs correlated, about 20 trades a second.

Deterministic: the same seed and the same number of steps give the same orders, sizes and prices
(the times are the caller's), as long as no account trades. Floats here shape the market; what
enters the book is whole ticks and steps.
"""

from __future__ import annotations

import random

from engine.sandbox.book import BUY, SELL
from engine.sandbox.matching import Matching
from engine.sandbox.orders import Order

#: Length of one step in ms.
STEP_MS = 50
_STEP_S = STEP_MS / 1000
_BURSTS_A_SECOND = 7.0
_BURST_GOES_ON = 0.6
_SIDE_PERSISTS = 0.9
_LEVELS = 40
_MOST_STEPS = 5 * 10**5
#: Steps of 1e-5 base: median 0.00067 and log-deviation 2.64 give the recording's mean and p99.
_TRADE_MEDIAN, _TRADE_SIGMA = 67, 2.64
_QUOTE_MEDIAN, _QUOTE_SIGMA = 9_000, 1.1


class Flow:
    """Makers and takers of one market. `price` is the start in ticks."""

    def __init__(self, matching: Matching, seed: int, price: int) -> None:
        self._matching = matching
        self._random = random.Random(seed)  # noqa: S311  (a simulation, not a secret)
        self._fair = float(price)
        self._volatility = 60.0
        self._taker = BUY

    def open(self, now_us: int) -> None:
        """Fill the book around the fair price; a book that is there already is carried on."""
        for side in (BUY, SELL):
            while len(self._matching.book.side(side).prices) < _LEVELS:
                self._quote(side, now_us)
        if not self._matching.last_price:
            self._matching.last_price = int(self._fair)

    def step(self, now_us: int) -> None:
        """One step of 50 ms: the fair price moves, makers follow, takers may come."""
        self._move()
        self._follow(now_us)
        self._quotes(now_us)
        if self._random.random() < _BURSTS_A_SECOND * _STEP_S:
            self._burst(now_us)

    def _move(self) -> None:
        """Volatility reverts to 60 ticks a root-second; now and then it doubles."""
        draw = self._random
        self._volatility += (60.0 - self._volatility) * 0.01
        if draw.random() < 0.002:
            self._volatility = min(self._volatility * 2.0, 400.0)
        if draw.random() < 0.25:
            # The price rests most of the time and moves in jumps, as the recorded one does.
            self._fair += draw.gauss(0.0, self._volatility * (4 * _STEP_S) ** 0.5)
        self._fair = max(self._fair, 1000.0)

    def _follow(self, now_us: int) -> None:
        """Quotes on the wrong side of the fair price are pulled, and what accounts left is hit."""
        bid = int(self._fair)
        for side, touch in ((BUY, bid), (SELL, bid + 1)):
            book = self._matching.book
            stale = [
                order
                for _price, level in book.side(-side).best_first(touch)
                for order in level.queue
                if order.remaining and order.account is None
            ]
            for order in stale:
                self._matching.flow_cancel(order)
            best = book.side(side).best()
            if best is None or (touch - best) * side > 0:
                self._matching.flow_order(side, touch, self._size(), now_us)

    def _quotes(self, now_us: int) -> None:
        """Makers come and go; each side keeps about forty levels."""
        draw = self._random
        for side in (BUY, SELL):
            resting = self._matching.book.side(side)
            if draw.random() < 0.35 and len(resting.prices) > 5:
                self._cancel_one(side)
            while len(resting.prices) < _LEVELS:
                self._quote(side, now_us)
            if draw.random() < 0.35:
                self._quote(side, now_us)
            if len(resting.prices) > _LEVELS + 20:
                self._drop_farthest(side)

    def _quote(self, side: int, now_us: int) -> None:
        """One new quote: dense near the touch, thinner and larger far from it."""
        distance = int(min(self._random.expovariate(1.0) ** 2.5 * 120.0, 60_000.0))
        touch = int(self._fair) if side == BUY else int(self._fair) + 1
        price = touch - side * distance
        if not self._matching.book.side(-side).crosses(price):
            size = self._size() * (1 + distance // 400)
            self._matching.flow_order(side, price, min(size, _MOST_STEPS), now_us)

    def _cancel_one(self, side: int) -> None:
        prices = self._matching.book.side(side).prices
        price = prices[self._random.randrange(len(prices))]
        order = self._newest(side, price)
        if order is not None:
            self._matching.flow_cancel(order)

    def _drop_farthest(self, side: int) -> None:
        prices = self._matching.book.side(side).prices
        price = prices[0] if side == BUY else prices[-1]
        while (order := self._newest(side, price)) is not None:
            self._matching.flow_cancel(order)

    def _newest(self, side: int, price: int) -> Order | None:
        """The last flow order in a level's queue."""
        level = self._matching.book.side(side).levels.get(price)
        if level is None:
            return None
        alive = (o for o in reversed(level.queue) if o.remaining and o.account is None)
        return next(alive, None)

    def _burst(self, now_us: int) -> None:
        """Takers of one side, one after the other; they push the fair price a little."""
        draw = self._random
        if draw.random() > _SIDE_PERSISTS:
            self._taker = -self._taker
        going = True
        while going:
            size = int(draw.lognormvariate(0.0, _TRADE_SIGMA) * _TRADE_MEDIAN) + 1
            size = min(size, _MOST_STEPS)
            self._matching.flow_market(self._taker, size, now_us)
            self._fair += self._taker * min(size / 4000.0, 40.0)
            going = draw.random() < _BURST_GOES_ON

    def _size(self) -> int:
        size = self._random.lognormvariate(0.0, _QUOTE_SIGMA) * _QUOTE_MEDIAN
        return min(int(size) + 1, _MOST_STEPS)
