"""The desk of `test_no_way_round` through long histories, drawn from seeds.

Hypothesis finds the small ways round; these go far enough that every limit has to hold somewhere,
and the test says so: a limit that no history meets would be held by nothing here.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from engine.contracts import event as ev
from engine.contracts.order import Side
from engine.risk.limits import CHECKS
from tests.engine.risk.test_no_way_round import SYMBOLS, TIGHTER, NoWayRound

#: Codes that have no limit here, or facts that are always good.
NEVER = {
    "LATCH", "LOCKS", "SESSION_STATE", "WINDOW", "ATTENDANCE", "DATA_AGE", "CLOCK_OFFSET",
    "VENUE_FILTER", "BALANCE",
}  # fmt: skip
SEEDS, STEPS = range(14), 220

_QUANTITIES = (1, 2, 5, 5, 10, 10, 15, 20, 30, 31)
_AWAY = (None, None, None, None, -1, -1, -10, -10, -30, 0, 1, 10, 12, 31)
_MIDS = (100, 100, 101, 99, 98, 102, 94, 106)
_ANSWERS = ("ack", "reject", "reject", "reject", "unknown", "cancel", "cancel", "cancel")


class History:
    """One desk, and what happens to it."""

    def __init__(self, seed: int) -> None:
        self.draw = random.Random(seed)
        self.desk = NoWayRound()
        self.desk.begin()
        self.last: dict[str, Any] = {}
        #: what happens, and how often
        self.acts: dict[Callable[[], None], int] = {
            self.order: 50,
            self.again: 4,
            self.fill: 24,
            self.answer: 16,
            self.price: 6,
            self.desk.look: 6,
            self.clock: 3,
            self.midnight: 2,
            self.rush: 1,
            self.desk.restart: 2,
            self.desk.charter: 1,
            self.tighten: 1,
            self.loosen: 2,
        }

    def play(self, steps: int) -> set[str]:
        """So many acts. Returns the codes that blocked an order."""
        for _ in range(steps):
            self.draw.choices(list(self.acts), list(self.acts.values()))[0]()
        return {
            reason.code
            for recorded in self.desk.journal
            if isinstance(recorded.event, ev.OrderBlocked)
            for reason in recorded.event.decision.reasons
        }

    def order(self) -> None:
        self.last = {
            "symbol": self.draw.choice(SYMBOLS),
            "side": self.draw.choice(list(Side)),
            "quantity": self.draw.choice(_QUANTITIES),
            "away": self.draw.choice(_AWAY),
        }
        self.desk.order(**self.last, wait=self.draw.choice((0, 0, 1, 1, 1, 2, 10, 30, 60)))

    def again(self) -> None:
        if self.last:
            self.desk.order(**self.last, wait=0)

    @property
    def open(self) -> bool:
        return bool(self.desk.state.orders.open_orders())

    def fill(self) -> None:
        if self.open:
            part, offset = self.draw.choice((1, 1, 2)), self.draw.randint(-3, 3)
            self.desk.fill(self.draw.randrange(10), part, offset)

    def answer(self) -> None:
        if self.open:
            self.desk.answer(self.draw.randrange(10), self.draw.choice(_ANSWERS))

    def price(self) -> None:
        mid, last = self.draw.choice(_MIDS), self.draw.choice(_MIDS)
        self.desk.price(self.draw.choice(SYMBOLS), mid, last)

    def clock(self) -> None:
        self.desk.clock(self.draw.choice((1, 60, 3600, 86_400, -1, -60)))

    def midnight(self) -> None:
        """What rested yesterday is canceled today."""
        self.desk.clock(86_400)
        for _ in range(4):
            if self.open:
                self.desk.answer(self.draw.randrange(10), "cancel")
        self.order()

    def rush(self) -> None:
        """One small order after the other, each answered at once, all in the same way."""
        answer = self.draw.choice(("reject", "cancel"))
        for quantity in (1, 2, 3, 4, 5):
            self.desk.order(symbol="ETHUSDT", side=Side.BUY, quantity=quantity, away=-1, wait=1)
            if self.open:
                self.desk.answer(-1, answer)

    def tighten(self) -> None:
        self.desk.tighten(self.draw.choice(sorted(TIGHTER)), self.draw.randrange(3))

    def loosen(self) -> None:
        name, whole = self.draw.choice(sorted(TIGHTER)), self.draw.random() < 0.7
        self.desk.loosen(name, self.draw.choice((0, 3, 3)), whole=whole)


def test_long_histories_meet_every_limit_and_pass_none() -> None:
    met: set[str] = set()
    for seed in SEEDS:
        met |= History(seed).play(STEPS)
    assert met == {code for code, _ in CHECKS} - NEVER
