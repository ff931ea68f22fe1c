"""What the journal of a drill's own desk says of the measures that were told of it. Pure.

The person who ran a drill measures with a clock and a venue connection of their own; that is what a
drill is. But the drill's desk wrote down much of the same: how long its kill took to prove, what
was left open, which orders were meant after the latch. A measure that is better than the journal
allows was not measured.
"""

from __future__ import annotations

from collections.abc import Mapping

from engine.contracts import event as ev

_US_PER_MS = 1_000
_ORPHAN = "ORPHAN"
_PROVEN = "PROVEN"


class Traces:
    """Bounds on measures, folded from a drill's journal. Total."""

    def __init__(self) -> None:
        self._verdict: ev.KillVerdict | None = None
        self._latched = False
        self._meant_after = self._adopted = 0
        self._watchdog = self._alarms = self._sealed = self._filled = 0
        self._held = 0

    def apply(self, event: ev.AnyEvent) -> None:
        """Fold one event."""
        match event:
            case ev.KillLatched():
                self._latched = True
            case ev.LatchReleased():
                self._latched, self._held = False, 0
            case ev.KillVerdict():
                self._verdict = event
            case ev.OrderIntended():
                self._meant_after += self._latched
            case ev.EngineStarted():
                self._held = int(self._latched)
            case _:
                self._count(event)

    def _count(self, event: ev.AnyEvent) -> None:
        match event:
            case ev.OrphanAdopted():
                self._adopted += 1
            case ev.WatchdogActed():
                self._watchdog += 1
            case ev.AlarmRaised(code=code):
                self._alarms += code == _ORPHAN
            case ev.PackSealed():
                self._sealed += 1
            case ev.OrderFilled():
                self._filled += 1
            case _:
                pass

    def at_least(self) -> Mapping[str, int]:
        """Measures that cannot be smaller than this."""
        found = {"orders_let_through": self._meant_after, "entered_in_the_ledger": self._adopted}
        if self._verdict is not None:
            took_ms = self._verdict.elapsed_us // _US_PER_MS
            open_ = len(self._verdict.open_orders) or int(self._verdict.verdict != _PROVEN)
            found |= {"proven_ms": took_ms, "canceled_by_kill_ms": took_ms, "open_at_venue": open_}
        return found

    def at_most(self) -> Mapping[str, int]:
        """Measures that cannot be larger than this."""
        return {
            "watchdog_reports": self._watchdog,
            "alarms": self._alarms,
            "sealed": self._sealed,
            "filled_while_away": self._filled,
            "latch_held_over_restart": self._held,
        }

    def too_good(self, measured: Mapping[str, int]) -> tuple[str, ...]:
        """The measures that are better than the journal allows, in words."""
        low = [
            f"{name} {measured[name]}, at least {bound}"
            for name, bound in self.at_least().items()
            if name in measured and measured[name] < bound
        ]
        high = [
            f"{name} {measured[name]}, at most {bound}"
            for name, bound in self.at_most().items()
            if name in measured and measured[name] > bound
        ]
        return (*low, *high)
