"""What was sent, canceled, rejected and lost, and when: the fold behind rates and cooldowns. Pure.

A fold of the journal and nothing else, so that a restart forgets nothing and re-measures nothing.
It is of the whole workspace: a new session does not begin with fresh rates.

The wall clock may be set at any moment, either way. So nothing is dropped because it looks old,
and what is stamped in the future counts as just now: setting the clock makes no room that the
journal would not give.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections import Counter
from decimal import Decimal

from engine.contracts import event as ev
from engine.orders.exact import subtract
from engine.orders.positions import Position, PositionLedger, fees_in_quote

DAY_US = 86_400_000_000


class Times:
    """Times in µs UTC in the order they came; counting back costs what it finds."""

    def __init__(self) -> None:
        self._at = array("q")
        #: the highest of the first n, so that a search finds where to begin
        self._highest = array("q")

    def add(self, at_us: int) -> None:
        """One more."""
        self._at.append(at_us)
        self._highest.append(max(at_us, self._highest[-1] if self._highest else at_us))

    def after(self, since_us: int) -> tuple[int, ...]:
        """Those later than `since_us`, in the order they came."""
        begin = bisect_right(self._highest, since_us)
        return tuple(filter(since_us.__lt__, self._at[begin:]))


class Activity:
    """Orders, cancels, rejects and losing closes of all sessions, folded in place."""

    def __init__(self) -> None:
        #: intents journaled, each before its request leaves (I1)
        self.orders = Times()
        #: cancels journaled, each before its request leaves
        self.cancels = Times()
        self.rejects = Times()
        #: fills that took a position down for less than it had cost, the close's own fee included
        self.losses = Times()
        self._orders_by_day: Counter[int] = Counter()
        self._cancels_by_day: Counter[int] = Counter()
        self._positions = PositionLedger()
        self._held: dict[str, Position] = {}

    def orders_of_day(self, now_us: int) -> int:
        """How many orders the UTC day of `now_us` has."""
        return self._orders_by_day[now_us // DAY_US]

    def cancels_of_day(self, now_us: int) -> int:
        """How many cancels the UTC day of `now_us` has."""
        return self._cancels_by_day[now_us // DAY_US]

    def apply(self, recorded: ev.Recorded) -> None:
        """Fold one event. Total: what does not concern it changes nothing."""
        at_us = recorded.ts_us
        match recorded.event:
            case ev.OrderIntended():
                self.orders.add(at_us)
                self._orders_by_day[at_us // DAY_US] += 1
            case ev.CancelRequested() | ev.OrphanCancelRequested():
                self.cancels.add(at_us)
                self._cancels_by_day[at_us // DAY_US] += 1
            case ev.OrderRejected():
                self.rejects.add(at_us)
            case ev.OrderFilled():
                self._fill(recorded, recorded.event)
            case ev.SessionChartered(session_id=session_id):
                # Positions are the session's own, as everywhere.
                self._positions = PositionLedger(session_id=session_id)
                self._held.clear()

    def _fill(self, recorded: ev.Recorded, event: ev.OrderFilled) -> None:
        if not self._positions.apply(recorded):
            return
        symbol = event.fill.symbol
        before, after = self._held.get(symbol), self._positions.position(symbol)
        self._held[symbol] = after
        if before is None:
            return
        closes = before.quantity * event.fill.side.sign < 0
        if closes and subtract(_earned(after), _earned(before)) < 0:
            self.losses.add(recorded.ts_us)


def _earned(position: Position) -> Decimal:
    """Realised less the fees that have a price, quote."""
    fees, _unpriced = fees_in_quote(position, {})
    return subtract(position.realized, fees)
