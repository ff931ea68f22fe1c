"""The kill matrix as data: every cause, in every condition of the engine, at every venue.

A cell is one desk: an order rests, the condition is made, the cause happens, the venue gets well
again, and at the end the verdict is compared with the exchange's own book, which no fault touches.
What cannot happen is a row in `IMPOSSIBLE` with its reason, and not a cell.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

#: What asks for the stop.
CAUSES: dict[str, str] = {
    "key": "the console's kill line, as F9 sends it",
    "command": "peakctl kill",
    "signal": "SIGUSR1 to the engine",
    "watchdog": "the watchdog, because the engine is silent",
    "breaker": "the drawdown breaker",
    "red-flag": "the venue key's file is opened to others",
    "attendance": "the operator's console is closed",
}
#: How the engine is at that moment.
ENGINES: dict[str, str] = {
    "healthy": "as it should be",
    "hung": "stopped by SIGSTOP",
    "dead": "killed by SIGKILL",
    "disk-full": "its journal cannot grow",
    "stream-down": "the user stream is silent",
    "mid-submit": "an order's request has no answer yet",
    "restarting": "killed and starting again",
    "twice": "two kills at once",
    "clock-wrong": "the machine's clock is an hour behind the venue's",
}
#: How the venue is from that moment on. Times in ms.
VENUES: dict[str, str] = {
    "fine": "answers",
    "slow": "answers everything after 0.6 s",
    "silent": "does not answer for a while",
    "429": "refuses for the rate for a while",
    "418": "has banned us for a while",
    "no-cancels": "cancels fail, queries work",
    "no-queries": "queries fail, cancels work",
    "hides": "an order in doubt is hidden from queries and cancels",
    "late": "an order surfaces after the proof",
}

_NEEDS_ENGINE = frozenset({"signal", "breaker", "red-flag", "attendance", "key"})


@dataclass(frozen=True)
class Cell:
    """One desk."""

    cause: str
    engine: str
    venue: str

    @property
    def name(self) -> str:
        """For people and pytest's ids."""
        return f"{self.cause} x {self.engine} x {self.venue}"

    @property
    def without_engine(self) -> bool:
        """Whether no engine takes part in the stop."""
        return self.engine in {"hung", "dead"}

    @property
    def kills(self) -> bool:
        """Whether a latch follows; attendance pauses and cancels, and its latch stays open."""
        return self.cause != "attendance"


def impossible(cell: Cell) -> str:
    """Why this combination cannot happen, "" when it can."""
    attended = cell.cause == "attendance"
    rules = (
        (cell.without_engine and cell.cause in _NEEDS_ENGINE, "needs an engine that runs"),
        (cell.cause == "watchdog" and not cell.without_engine, "acts on a silent engine alone"),
        (
            cell.engine == "disk-full" and cell.cause in {"breaker", "attendance"},
            "the full disk is a kill already",
        ),
        (cell.engine == "twice" and attended, "no kill to be pressed twice"),
        (cell.venue == "late" and attended, "no proof after which it could surface"),
        (
            cell.cause == "breaker" and cell.venue == "hides",
            "an order in doubt blocks the order that loses",
        ),
        (
            cell.cause == "breaker" and cell.engine in {"restarting", "clock-wrong"},
            "such an engine sends no order that could lose",
        ),
        (
            cell.engine == "clock-wrong" and cell.venue == "hides",
            "with a clock that far off no order is sent that could be hidden",
        ),
    )
    return next((reason for holds, reason in rules if holds), "")


CELLS: tuple[Cell, ...] = tuple(
    cell for names in product(CAUSES, ENGINES, VENUES) if not impossible(cell := Cell(*names))
)

#: What the suite plays whatever is drawn: the order that is hidden.
ALWAYS = Cell("key", "healthy", "hides")
SEED = 20261121


def share(count: int, seed: int = SEED) -> tuple[Cell, ...]:
    """The cell that hides an order, and drawn ones, no two with the same engine or cause first."""
    chance = random.Random(seed)
    rest = [cell for cell in CELLS if cell != ALWAYS]
    chance.shuffle(rest)
    picked = [ALWAYS]
    while len(picked) < count:
        seen = {one.engine for one in picked}, {one.venue for one in picked}
        best = max(
            rest, key=lambda cell: (cell.engine not in seen[0]) + (cell.venue not in seen[1])
        )
        rest.remove(best)
        picked.append(best)
    return tuple(picked)


def pairs() -> tuple[Cell, ...]:
    """A small set in which every possible pair of two columns is played at least once."""
    left = {pair for cell in CELLS for pair in _pairs(cell)}
    picked: list[Cell] = []
    while left:
        best = max(CELLS, key=lambda cell: len(left & _pairs(cell)))
        picked.append(best)
        left -= _pairs(best)
    return tuple(picked)


def _pairs(cell: Cell) -> frozenset[tuple[str, str]]:
    cause, engine, venue = f"c:{cell.cause}", f"e:{cell.engine}", f"v:{cell.venue}"
    return frozenset({(cause, engine), (cause, venue), (engine, venue)})


Arm = Mapping[str, Any]
_REFUSED = {"answer": "code", "code": -1003, "accept": False, "times": 0}
_DOWN = {"answer": "status", "status": 503, "accept": False, "times": 0}
#: How each venue is armed; what is not here is done by the desk itself.
ARMS: dict[str, Arm] = {
    "slow": {"rest": [{"on": "any", "answer": "delay", "delay_ms": 600, "times": 0}]},
    "silent": {"rest": [{"on": "any", "answer": "silent", "accept": False, "times": 0}]},
    "429": {"rest": [{**_REFUSED, "on": "any", "status": 429, "retry_after_s": 2}]},
    "418": {"ban_ms": 3_000},
    "no-cancels": {"rest": [{**_DOWN, "on": "cancel_all"}, {**_DOWN, "on": "cancel"}]},
    "no-queries": {"rest": [{**_DOWN, "on": "query"}]},
}
#: Venues at which nothing can be proven while they are so.
UNPROVABLE = frozenset({"silent", "429", "418", "no-cancels", "no-queries", "hides"})
