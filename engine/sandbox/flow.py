"""Synthetic order flow: a plausible market from a seed.

A hidden fair price walks with changing volatility; makers quote around it, takers arrive in bursts
whose side tends to persist and whose sizes are heavy-tailed. Orders go through the same matching as
anybody's, so resting orders of accounts are hit in their turn and get partial and full fills.

The shape is that of the real recording (venue.md section 6), slower in price but not in kind:
`flow_shape.py` measures both with the same function, and a test holds them together. What makes it:
trades of one burst share their millisecond; makers step back after the price has jumped, so that
the spread is one tick nine times out of ten and hundreds of ticks one time in a hundred; volatility
is lognormal and soon forgotten, so that returns have heavy tails but little memory.

Deterministic: the same seed, shape and number of steps give the same orders, sizes and prices
(the times are the caller's), as long as no account trades. Floats here shape the market; what
enters the book is whole ticks and steps.
"""

from __future__ import annotations

import math
import random
from typing import Annotated

import msgspec

from engine.sandbox.book import BUY, SELL
from engine.sandbox.matching import Matching
from engine.sandbox.orders import Order

#: Length of one step in ms.
STEP_MS = 50
_STEP_S = STEP_MS / 1000
#: Trade signs: 0.64 of the trades continue their burst, and two bursts correlate by 0.41.
_SIDE_PERSISTS = 0.705
#: Steps of 1e-5 base. Large takers are split by what rests, which gives the recording's sizes.
_TRADE_MEDIAN, _TRADE_SIGMA = 40, 3.0
_MOST_STEPS = 5 * 10**5
_QUOTE_SIGMA = 1.1
#: The price rests most of the time and moves in jumps, as the recorded one does.
_JUMPS = 0.11
#: Log-deviation of the volatility, and how much of it is left after one step (half in 0.4 s).
_VOLATILITY_SIGMA, _VOLATILITY_KEPT = 0.75, 0.92
_GAP_SIGMA, _GAP_CLOSES = 1.2, 0.5
_CHANGES_SIGMA = 1.0
_MOST_CHANGES = 150
_LOWEST_PRICE = 1000.0


class FlowShape(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a market moves. Prices in ticks, sizes in steps, rates a second.

    `drift` ticks a second, `volatility` ticks a root-second, `pull` the share of its distance from
    the start price that the price loses in a second. `bursts` of takers a second, each of
    `burst_length` trades on average, their sizes times `trade_size`. `levels` a side of the book,
    of `quote_size` at the median; `changes` quotes a step at the median; the spread is open for
    `gap_share` of the time, by `gap` ticks at the median. `bias` of the bursts are on one side for
    sure: buyers when it is positive, sellers when it is negative.
    """

    drift: Annotated[float, msgspec.Meta(ge=-1e6, le=1e6)] = 0.0
    volatility: Annotated[float, msgspec.Meta(ge=0, le=1e6)] = 250.0
    pull: Annotated[float, msgspec.Meta(ge=0, le=10)] = 0.0
    bursts: Annotated[float, msgspec.Meta(ge=0, le=400)] = 7.5
    burst_length: Annotated[float, msgspec.Meta(ge=1, le=100)] = 2.4
    bias: Annotated[float, msgspec.Meta(ge=-1, le=1)] = 0.0
    trade_size: Annotated[float, msgspec.Meta(gt=0, le=1000)] = 1.0
    levels: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 100
    quote_size: Annotated[float, msgspec.Meta(gt=0, le=1e6)] = 9_000.0
    changes: Annotated[float, msgspec.Meta(ge=0, le=150)] = 6.7
    gap_share: Annotated[float, msgspec.Meta(ge=0, le=0.9)] = 0.075
    gap: Annotated[float, msgspec.Meta(ge=0, le=1e5)] = 80.0


class Flow:
    """Makers and takers of one market. `price` is the start in ticks; `shape` may be changed."""

    def __init__(
        self, matching: Matching, seed: int, price: int, shape: FlowShape | None = None
    ) -> None:
        self._matching = matching
        self._random = random.Random(seed)  # noqa: S311  (a simulation, not a secret)
        self._fair = self._anchor = float(price)
        self._heat = 0.0
        self._gaps = {BUY: 0, SELL: 0}
        self._taker = self._behind = BUY
        self.shape = FlowShape() if shape is None else shape

    def open(self, now_us: int) -> None:
        """Fill the book around the fair price; a book that is there already is carried on."""
        for side in (BUY, SELL):
            while len(self._matching.book.side(side).prices) < self.shape.levels:
                self._quote(side, now_us)
        if not self._matching.last_price:
            self._matching.last_price = int(self._fair)

    def step(self, now_us: int) -> None:
        """One step of 50 ms: the fair price moves, makers follow, takers may come."""
        self._move()
        self._follow(now_us)
        self._quotes(now_us)
        expected = self.shape.bursts * _STEP_S
        bursts = int(expected) + (self._random.random() < expected % 1)
        for _ in range(bursts):
            self._burst(now_us)

    # --- the price -------------------------------------------------------------------------------

    def _move(self) -> None:
        """Drift and pull all the time, jumps now and then; makers step back from some of them."""
        draw, shape = self._random, self.shape
        kept = _VOLATILITY_KEPT
        self._heat = kept * self._heat + math.sqrt(1 - kept**2) * draw.gauss(0.0, 1.0)
        self._fair += (shape.drift - shape.pull * (self._fair - self._anchor)) * _STEP_S
        if draw.random() < _JUMPS:
            scale = shape.volatility * math.exp(_VOLATILITY_SIGMA * self._heat)
            # The mean square of the lognormal part is taken out, so that `volatility` is the total.
            scale *= math.exp(-(_VOLATILITY_SIGMA**2)) * math.sqrt(_STEP_S / _JUMPS)
            jump = draw.gauss(0.0, scale)
            self._fair += jump
            self._behind = BUY if jump > 0 else SELL
        self._fair = max(self._fair, _LOWEST_PRICE)
        self._step_back()

    def _step_back(self) -> None:
        """Open or close the spread; half of the open times last longer than one step."""
        draw, share = self._random, self.shape.gap_share
        if self._gaps[BUY] or self._gaps[SELL]:
            if draw.random() < _GAP_CLOSES:
                self._gaps = {BUY: 0, SELL: 0}
        elif draw.random() < _GAP_CLOSES * share / (1 - share):
            width = int(draw.lognormvariate(0.0, _GAP_SIGMA) * self.shape.gap) + 1
            # The side that the price has left behind catches up last.
            behind = min(width, int(self._fair) // 2)
            self._gaps = {self._behind: behind, -self._behind: 0}

    def _touch(self, side: int) -> int:
        """The price at which this side's makers quote best."""
        bid = int(self._fair)
        return bid - self._gaps[BUY] if side == BUY else bid + 1 + self._gaps[SELL]

    # --- makers ----------------------------------------------------------------------------------

    def _follow(self, now_us: int) -> None:
        """Quotes in front of the touch are pulled, and what accounts left on the way is hit."""
        book = self._matching.book
        for side in (BUY, SELL):
            touch = self._touch(side)
            stale = [
                order
                for _price, level in book.side(side).best_first(touch + side)
                for order in level.queue
                if order.remaining and order.account is None
            ]
            for order in stale:
                self._matching.flow_cancel(order)
        for side in (BUY, SELL):
            touch = self._touch(side)
            best = book.side(side).best()
            if best is None or (touch - best) * side > 0:
                self._matching.flow_order(side, touch, self._size(), now_us)

    def _quotes(self, now_us: int) -> None:
        """Makers come and go; each side keeps about as many levels as its shape says."""
        draw, most = self._random, self.shape.levels
        changes = int(draw.lognormvariate(0.0, _CHANGES_SIGMA) * self.shape.changes)
        for _ in range(min(changes, _MOST_CHANGES)):
            side = draw.choice((BUY, SELL))
            if draw.random() < 0.5:
                self._cancel_one(side)
            else:
                self._quote(side, now_us)
        for side in (BUY, SELL):
            resting = self._matching.book.side(side)
            while len(resting.prices) < most:
                self._quote(side, now_us)
            while len(resting.prices) > most + most // 5 and self._drop_farthest(side):
                continue

    def _quote(self, side: int, now_us: int) -> None:
        """One new quote: dense near the touch, thinner and larger far from it."""
        distance = int(min(self._random.expovariate(1.0) ** 2.5 * 120.0, 60_000.0))
        price = self._touch(side) - side * distance
        if price > 0 and not self._matching.book.side(-side).crosses(price):
            size = self._size() * (1 + distance // 400)
            self._matching.flow_order(side, price, min(size, _MOST_STEPS), now_us)

    def _cancel_one(self, side: int) -> None:
        prices = self._matching.book.side(side).prices
        if len(prices) <= 5:
            return
        order = self._newest(side, prices[self._random.randrange(len(prices))])
        if order is not None:
            self._matching.flow_cancel(order)

    def _drop_farthest(self, side: int) -> bool:
        """Pull the farthest level; False when accounts hold it."""
        prices = self._matching.book.side(side).prices
        price = prices[0] if side == BUY else prices[-1]
        dropped = False
        while (order := self._newest(side, price)) is not None:
            self._matching.flow_cancel(order)
            dropped = True
        return dropped

    def _newest(self, side: int, price: int) -> Order | None:
        """The last flow order in a level's queue."""
        level = self._matching.book.side(side).levels.get(price)
        if level is None:
            return None
        alive = (o for o in reversed(level.queue) if o.remaining and o.account is None)
        return next(alive, None)

    def _size(self) -> int:
        size = self._random.lognormvariate(0.0, _QUOTE_SIGMA) * self.shape.quote_size
        return min(int(size) + 1, _MOST_STEPS)

    # --- takers ----------------------------------------------------------------------------------

    def _burst(self, now_us: int) -> None:
        """Takers of one side, one after the other; they push the fair price a little."""
        draw, shape = self._random, self.shape
        if draw.random() > _SIDE_PERSISTS:
            self._taker = -self._taker
        if shape.bias and draw.random() < abs(shape.bias):
            self._taker = BUY if shape.bias > 0 else SELL
        goes_on = 1 - 1 / max(shape.burst_length, 1.0)
        while True:
            size = draw.lognormvariate(0.0, _TRADE_SIGMA) * _TRADE_MEDIAN * shape.trade_size
            steps = min(int(size) + 1, _MOST_STEPS)
            self._matching.flow_market(self._taker, steps, now_us)
            self._fair += self._taker * min(steps / 4000.0, 40.0)
            if draw.random() >= goes_on:
                return
