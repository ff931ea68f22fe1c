"""Whom to ask about next: the orders that are not settled, each with its own back-off. Pure.

Theory. The venue's patience is finite: who polls past a 429 is banned (trading.md, pain 15). So an
order is asked about at once, then ever more seldom; one that was asked for waits behind those that
were not; and after a refusal for the rate nothing at all is asked for a while, twice as long each
time. All times are µs of one monotonic clock, given by the caller.

`silent` counts answers of the venue that held no news. Failed queries are not answers: nothing is
concluded from them (I2). What is concluded, and that no timer alone concludes it, is the caller's.
"""

from __future__ import annotations

from dataclasses import dataclass

#: From one question about an order to the next, seconds; the last one repeats.
BACKOFF_SECONDS = (0.1, 0.25, 0.5, 1.0, 2.0)
#: The pauses after a query that failed, and after one refused for the rate: first and longest.
FAILED_SECONDS = (0.25, 4.0)
LIMITED_SECONDS = (1.0, 32.0)
#: An order is given up only after so long and so many answers without news.
SILENT_US = 10_000_000
SILENT_ANSWERS = 5

_US = 1_000_000


@dataclass
class _Question:
    due_us: int
    attempt: int = 0
    silent_since_us: int | None = None
    answers: int = 0


class SettleQueue:
    """The orders to ask about, by client order id."""

    def __init__(self) -> None:
        self._questions: dict[str, _Question] = {}
        self._paused_until_us = 0
        self._failures = 0

    @property
    def waiting(self) -> tuple[str, ...]:
        """Everything that is not settled."""
        return tuple(self._questions)

    def add(self, order_id: str, now_us: int) -> None:
        """Ask about this order; one that is waiting already keeps its turn."""
        self._questions.setdefault(order_id, _Question(now_us))

    def hurry(self, order_id: str, now_us: int) -> bool:
        """Ask about this order now, if it is waiting, because something changed. True if it is."""
        question = self._questions.get(order_id)
        if question is None:
            return False
        question.due_us, question.attempt = now_us, 0
        return True

    def due(self, now_us: int) -> tuple[str, ...]:
        """Whom to ask about now, those first who have waited longest; none during a pause."""
        if now_us < self._paused_until_us:
            return ()
        ready = [(one.due_us, name) for name, one in self._questions.items()]
        return tuple(name for due_us, name in sorted(ready) if due_us <= now_us)

    def later(self, order_id: str, now_us: int) -> None:
        """The order was asked about and is not settled: ask again, later each time."""
        question = self._questions.get(order_id)
        if question is not None:
            seconds = BACKOFF_SECONDS[min(question.attempt, len(BACKOFF_SECONDS) - 1)]
            question.due_us = now_us + int(seconds * _US)
            question.attempt += 1

    def drop(self, order_id: str) -> None:
        """The order is settled."""
        self._questions.pop(order_id, None)

    def silent(self, order_id: str, now_us: int) -> bool:
        """Count an answer without news. True when there were enough of them for long enough."""
        question = self._questions.get(order_id)
        if question is None:
            return False
        if question.silent_since_us is None:
            question.silent_since_us = now_us
        question.answers += 1
        long_enough = now_us - question.silent_since_us >= SILENT_US
        return long_enough and question.answers >= SILENT_ANSWERS

    def news(self, order_id: str) -> None:
        """The venue told something of the order: the count of silent answers starts over."""
        question = self._questions.get(order_id)
        if question is not None:
            question.silent_since_us, question.answers = None, 0

    def answered(self) -> None:
        """The venue answers again."""
        self._failures = 0

    def failed(self, now_us: int, *, limited: bool, silent_ms: int = 0) -> float:
        """A query failed; `limited`: refused for the rate. Returns the pause in seconds.

        `silent_ms` is for how long the venue asked for silence: the pause is no shorter.
        """
        first, longest = LIMITED_SECONDS if limited else FAILED_SECONDS
        seconds: float = max(min(first * 2**self._failures, longest), silent_ms / 1000)
        self._failures += 1
        self._paused_until_us = now_us + int(seconds * _US)
        return seconds

    def wait_seconds(self, now_us: int) -> float | None:
        """How long until somebody is due; None when nobody waits."""
        if not self._questions:
            return None
        due_us = min(one.due_us for one in self._questions.values())
        return max(due_us, self._paused_until_us, now_us) / _US - now_us / _US
