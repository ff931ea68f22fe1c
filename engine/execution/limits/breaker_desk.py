"""Looks at the loss breakers four times a second and does what their rows say.

PAUSE: the session is paused by the breaker's name; a person resumes. KILL: the kill switch is
pressed with the source `breaker`, as by the key, and pressed again by whoever comes after a crash
between the record and the press: what is over its limit and not latched is not done.

A new peak of equity between two fills is recorded first, so that what is measured from it is the
same before and after a restart.
"""

from __future__ import annotations

from engine.contracts.event import AnyEvent, BreakerTripped, EquityPeaked, SessionMoved
from engine.contracts.money import to_text
from engine.contracts.people import automaton
from engine.contracts.session import SessionState
from engine.execution.clock import wall_us
from engine.execution.core import Core, State
from engine.execution.kill.switch import KillSwitch
from engine.execution.limits.facts import FactsBuilder
from engine.execution.settle.settler import RaiseAlarm
from engine.governance.session import Session
from engine.governance.transitions import Cause
from engine.risk.breakers import Action, Reading

BREAKER = automaton("breaker")


class BreakerDesk:
    """Trips what is over its limit, once until it is lifted."""

    def __init__(
        self, core: Core, facts: FactsBuilder, kill: KillSwitch, raise_alarm: RaiseAlarm
    ) -> None:
        self._core = core
        self._facts = facts
        self._kill = kill
        self._raise_alarm = raise_alarm

    async def check(self) -> None:
        """Trip every breaker that is over its limit and not tripped yet."""
        await self._mark_peak()
        for reading in self._facts.breakers():
            if reading.over:
                await self._trip(reading)

    async def _mark_peak(self) -> None:
        marks = self._facts.mids()
        if self._core.state.losses.new_peak(marks) is None:
            return

        def decide(state: State) -> list[AnyEvent]:
            session, peak = state.sessions.current, state.losses.new_peak(marks)
            if session is None or peak is None:
                return []
            held = {name: mark for name, mark in marks.items() if state.losses.holds(name)}
            return [EquityPeaked(session_id=session.id, equity=peak, marks=held)]

        await self._core.decide(BREAKER, decide)

    async def _trip(self, reading: Reading) -> None:
        one, used = reading.breaker, reading.used
        if used is None:
            return
        words = f"{one.name}: {to_text(used)} {one.unit} is over {to_text(one.limit)} {one.unit}"

        def decide(state: State) -> list[AnyEvent]:
            session = state.sessions.current
            if session is None or one.name in state.losses.tripped:
                return []
            tripped = BreakerTripped(
                session_id=session.id,
                name=one.name,
                action=one.action.value,
                value=used,
                limit=one.limit,
                unit=one.unit,
                lifted_by=one.lifted_by,
            )
            return [tripped, *_pause(session, words)]

        if await self._core.decide(BREAKER, decide):
            await self._raise_alarm("BREAKER", words)
        if one.action is Action.KILL and not self._facts.latched:
            await self._kill.press(
                actor=BREAKER, reason=words, source="breaker", pressed_us=wall_us()
            )


def _pause(session: Session, reason: str) -> list[AnyEvent]:
    if session.state is not SessionState.LIVE:
        return []
    return [
        SessionMoved(
            session_id=session.id,
            before=SessionState.LIVE,
            after=SessionState.PAUSED,
            cause=Cause.RISK_PAUSE,
            reason=reason,
        )
    ]
