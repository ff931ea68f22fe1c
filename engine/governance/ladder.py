"""The scaling ladder: which step an environment stands on, and what moves it. A pure fold.

A step is data: limits that cap what a charter may say, and what must be shown, at the step below
and since it was entered, before two people may sign the way up. Up is one step at a time; its
record counts only with the grant of two people over this very step. Down is one person's act, or
happens by itself: `TROUBLES` says what takes a session down and how far. What happens by itself is
in force with the event that caused it; the record that follows only tells it.

Troubles of one session are counted from the step it began at, and the worst of them decides: a
breaker that presses the kill switch is one trouble and not two. The way up begins anew after each
step down, since only sessions after it count.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

import msgspec

from engine.contracts.documents import Purpose
from engine.contracts.event import (
    BreakerTripped,
    EngineStarted,
    KillLatched,
    LadderStepped,
    ReconRun,
    Recorded,
    SessionChartered,
    SessionMoved,
)
from engine.contracts.standing import EvidenceRow
from engine.governance.grants import GrantBook
from engine.governance.promotion import EvidenceBook, SealedSession
from engine.governance.transitions import Cause

UP, DOWN = "up", "down"
#: More steps than any ladder has: down to the first.
ALL = 1_000


class Trouble(msgspec.Struct, frozen=True, kw_only=True):
    """What takes a session down by itself, and by how many steps."""

    cause: str
    text: str
    steps: int


TROUBLES: dict[str, Trouble] = {
    one.cause: one
    for one in (
        Trouble(cause="kill", text="the kill switch was pressed", steps=1),
        Trouble(cause="breaker", text="a loss breaker tripped", steps=1),
        Trouble(cause="red_break", text="a reconciliation found a red break", steps=1),
        Trouble(cause="drawdown", text="the drawdown breaker tripped", steps=ALL),
    )
}


class Asks(msgspec.Struct, frozen=True, kw_only=True):
    """What the way up to a step asks for. Sessions and weeks at least, the rest at most.

    `drills` 1: every required drill must count.
    """

    sealed_sessions: int = 0
    weeks: int = 0
    drills: int = 0
    max_drawdown_bps: int = 2_000
    open_breaks: int = 0


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One step; `limits` cap those of the configuration, by name."""

    name: str
    text: str
    limits: dict[str, Decimal]
    asks: Asks


class Due(msgspec.Struct, frozen=True):
    """A step down that happened by itself and is not recorded yet."""

    before: int
    after: int
    cause: str
    reason: str


class _Place(msgspec.Struct, kw_only=True):
    """Where one environment stands. `since_seq`: evidence of later sessions counts."""

    step: int = 0
    since_seq: int = -1
    since_us: int = 0
    cause: str = ""
    by: str = ""
    reason: str = ""
    #: the step that the troubles of this session are counted from
    base: int = 0
    due: Due | None = None


class LadderFold:
    """The step of every environment, folded in place. Total."""

    def __init__(self) -> None:
        self.environment = ""
        self._places: dict[str, _Place] = {}

    def place(self, environment: str) -> _Place:
        """Where an environment stands; on its first step when nothing is told."""
        return self._places.setdefault(environment, _Place())

    def apply(self, recorded: Recorded, grants: GrantBook) -> None:
        """Fold one event."""
        match recorded.event:
            case EngineStarted(environment=environment):
                self.environment = environment
            case SessionChartered():
                here = self.place(self.environment)
                here.base = here.step
            case LadderStepped() as event:
                self._step(event, recorded, grants)
            case KillLatched(reason=reason):
                self._trouble("kill", reason, recorded)
            case BreakerTripped(name=name):
                self._trouble("drawdown" if name == "DRAWDOWN" else "breaker", name, recorded)
            case SessionMoved(cause=Cause.RECON_RED, reason=reason):
                self._trouble("red_break", reason, recorded)
            case ReconRun(breaks=breaks) if breaks.get("red", 0) > 0:
                self._trouble("red_break", f"{breaks['red']} red", recorded)
            case _:
                pass

    def _step(self, event: LadderStepped, recorded: Recorded, grants: GrantBook) -> None:
        here, by = self.place(event.environment), recorded.actor.name
        if event.cause == UP:
            grant = grants.spend(Purpose.STEP_UP, event.document_sha256)
            wanted = {"environment": event.environment, "step": event.step}
            if grant is None or any(
                grant.subject.get(name) != value for name, value in wanted.items()
            ):
                return
            if event.before != here.step or event.after != here.step + 1:
                return
            here.base, by = event.after, grant.people
        elif event.cause in TROUBLES:
            here.due = None
            if event.after > here.step:
                return
        elif event.cause != DOWN or not 0 <= event.after < here.step:
            return
        self._set(here, event.after, recorded, event.cause, event.reason)
        here.by = by

    def _trouble(self, cause: str, reason: str, recorded: Recorded) -> None:
        here = self.place(self.environment)
        after = max(0, here.base - TROUBLES[cause].steps)
        if after < here.step:
            here.due = Due(here.due.before if here.due else here.step, after, cause, reason)
            self._set(here, after, recorded, cause, reason)

    @staticmethod
    def _set(here: _Place, step: int, recorded: Recorded, cause: str, reason: str) -> None:
        here.step = step
        here.since_seq, here.since_us = recorded.seq, recorded.ts_us
        here.cause, here.by, here.reason = cause, recorded.actor.name, reason


def shown(
    asks: Asks,
    sessions: Sequence[SealedSession] | None,
    missing_drills: Sequence[str] | None,
    open_breaks: int | None,
) -> tuple[EvidenceRow, ...]:
    """What is asked for and what there is; None for sessions or drills: not known.

    The drawdown is the deepest of all these sessions, the one with a red break included; one whose
    drawdown is not known makes it not known.
    """
    count, weeks, deepest = (None, None, None) if sessions is None else _measured(sessions)
    drills = None if missing_drills is None else int(not missing_drills)
    lacking = f" (not: {', '.join(missing_drills)})" if missing_drills else ""
    return (
        _least("sealed_sessions", "sealed sessions without a red break", count, asks),
        _least("weeks", "weeks with such a session", weeks, asks),
        _least("drills", f"every drill counts{lacking}", drills, asks),
        _most("max_drawdown_bps", "deepest drawdown, bps", deepest, asks),
        _most("open_breaks", "unanswered breaks", open_breaks, asks),
    )


def _measured(sessions: Sequence[SealedSession]) -> tuple[int, int, int | None]:
    """Sessions without a red break, weeks with one, and the deepest drawdown of all, bps."""
    clean = [one for one in sessions if one.clean]
    falls = [one.drawdown_bps for one in sessions]
    deepest = None if None in falls else max((one for one in falls if one is not None), default=0)
    return len(clean), len({one.week for one in clean if one.week is not None}), deepest


def since(evidence: EvidenceBook, environment: str, since_seq: int) -> tuple[SealedSession, ...]:
    """The sealed sessions of an environment that became live after a moment of the journal."""
    return tuple(
        one
        for one in evidence.sealed
        if one.environment == environment and one.live_seq > since_seq
    )


def standing(place: int, steps: Sequence[Step]) -> int:
    """The step as this ladder has it: a ladder that became shorter ends where it ends."""
    return min(max(place, 0), len(steps) - 1)


def caps_of(steps: Sequence[Step], place: int) -> Mapping[str, Decimal]:
    """What the step caps."""
    return steps[standing(place, steps)].limits


def _least(code: str, text: str, have: int | None, asks: Asks) -> EvidenceRow:
    need = getattr(asks, code)
    met = need <= 0 or (have is not None and have >= need)
    return EvidenceRow(code=code, text=text, have=have, need=need, bound="at least", met=met)


def _most(code: str, text: str, have: int | None, asks: Asks) -> EvidenceRow:
    need = getattr(asks, code)
    met = have is not None and have <= need
    return EvidenceRow(code=code, text=text, have=have, need=need, bound="at most", met=met)
