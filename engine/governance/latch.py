"""The kill latch as a fold over the journal (I4).

Promises: once latched, only a LatchReleased that names the newest kill makes it READY again; a
verdict counts only for the newest kill; any verdict that is not the word PROVEN is UNCONFIRMED
(I12). Total: events that do not fit are ignored, nothing raises. The signatures of a release are
judged before its event is written (`engine.governance.dual`).
"""

from __future__ import annotations

from enum import StrEnum

from engine.contracts.event import (
    KillLatched,
    KillStage,
    KillVerdict,
    LatchReleased,
    Recorded,
)


class LatchState(StrEnum):
    """Where the latch stands; only READY lets orders out."""

    READY = "READY"
    LATCHED = "LATCHED"
    PROVEN = "PROVEN"
    UNCONFIRMED = "UNCONFIRMED"


class LatchFold:
    """The latch with its last kill: who, why, the stages (µs after the request) and the verdict."""

    def __init__(self) -> None:
        self.state = LatchState.READY
        #: every kill since the last release, oldest first
        self.kill_ids: list[str] = []
        self.session_id = ""
        self.reason = ""
        self.source = ""
        self.by = ""
        #: journal time of the first kill since the last release, µs UTC
        self.latched_us: int | None = None
        self.pressed_us: int | None = None
        #: stages of the newest kill
        self.stages: list[KillStage] = []
        self.verdict: KillVerdict | None = None
        self.released_us: int | None = None
        self.releases = 0

    @property
    def is_set(self) -> bool:
        """Whether orders are held back."""
        return self.state is not LatchState.READY

    @property
    def kill_id(self) -> str:
        """The newest kill, or the empty string."""
        return self.kill_ids[-1] if self.kill_ids else ""

    def apply(self, recorded: Recorded) -> None:
        """Fold one event; events of other kinds and events that do not fit change nothing."""
        match recorded.event:
            case KillLatched() as event:
                self._latch(event, recorded)
            case KillStage() as event:
                if self.is_set and event.kill_id == self.kill_id:
                    self.stages.append(event)
            case KillVerdict() as event:
                if self.is_set and event.kill_id == self.kill_id:
                    self.verdict = event
                    proven = event.verdict == LatchState.PROVEN and not event.open_orders
                    self.state = LatchState.PROVEN if proven else LatchState.UNCONFIRMED
            case LatchReleased() as event:
                if self.is_set and event.kill_id == self.kill_id:
                    self.state = LatchState.READY
                    self.kill_ids.clear()
                    self.released_us = recorded.ts_us
                    self.releases += 1
            case _:
                pass

    def _latch(self, event: KillLatched, recorded: Recorded) -> None:
        if event.kill_id in self.kill_ids:
            return
        if not self.is_set:
            self.latched_us = recorded.ts_us
        self.kill_ids.append(event.kill_id)
        self.state = LatchState.LATCHED
        self.session_id = event.session_id
        self.reason = event.reason
        self.source = event.source
        self.by = recorded.actor.name
        self.pressed_us = event.pressed_us
        self.stages = []
        self.verdict = None
