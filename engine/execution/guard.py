"""The clockwork that watches a live session: attendance, change window, validity of the approval.

Once a tick it compares what must hold with what holds; what no longer holds is acted on by rule:
attendance lost pauses and cancels what rests, a window that ended winds the session down, anything
signed that has changed voids the approval (I6) and winds down, a loss breaker pauses or kills,
a red flag kills.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from engine.contracts.errors import Refused
from engine.contracts.event import AttendanceLost, AttendanceRegained, GoVoided, SessionMoved
from engine.contracts.people import Actor, automaton
from engine.contracts.session import SessionState
from engine.diary import Diary
from engine.execution.clock import monotonic_us, wall_us
from engine.execution.core import Core, State
from engine.execution.limits.facts import Readings
from engine.execution.pipeline import OrderDesk
from engine.execution.settle.settler import RaiseAlarm
from engine.governance.session import Session
from engine.governance.transitions import Cause

ATTENDANCE = automaton("attendance")
GUARD = automaton("guard")
WINDOW = automaton("window")

_log = Diary("guard")

_TICK_SECONDS = 0.25
_US_PER_SECOND = 1_000_000
_TRADING = frozenset({SessionState.LIVE, SessionState.PAUSED})


class BeginStop(Protocol):
    """How the guard stops a session."""

    def __call__(self, cause: Cause, reason: str, actor: Actor) -> Awaitable[None]:
        """Refuse new orders, cancel, prove, stop."""


class Attendance:
    """Which operator consoles are connected, and for each person since when none is."""

    def __init__(self, readings: Readings, now_us: Callable[[], int] = monotonic_us) -> None:
        self._readings = readings
        self._now_us = now_us
        self._consoles: dict[object, str] = {}
        self._born_us = now_us()
        self._left_us: dict[str, int] = {}

    def heard(self, console: object, person: str) -> None:
        """An operator's console is connected."""
        self._consoles[console] = person

    def gone(self, console: object) -> None:
        """A console's connection ended."""
        person = self._consoles.pop(console, None)
        if person is not None and person not in self._consoles.values():
            self._left_us[person] = self._now_us()

    def people(self) -> frozenset[str]:
        """Whose consoles are connected."""
        return frozenset(self._consoles.values())

    def silent_us(self, operator: str) -> int:
        """How long no console of this operator has been connected, µs."""
        if operator in self._consoles.values():
            return 0
        return self._now_us() - self._left_us.get(operator, self._born_us)


@dataclass(frozen=True)
class GuardActs:
    """What the guard asks of the other parts."""

    changed_since_signed: Callable[[Session], tuple[str, ...]]
    wind_down: BeginStop
    expire_request: Callable[[], Awaitable[None]]
    expire_dual: Callable[[], Awaitable[None]]
    hold_latch: Callable[[], Awaitable[None]]
    take_reports: Callable[[], Awaitable[None]]
    check_conditions: Callable[[], Awaitable[None]]
    check_breakers: Callable[[], Awaitable[None]]
    check_red_flags: Callable[[], Awaitable[None]]
    cancel_given_up: Callable[[], Awaitable[None]]
    raise_alarm: RaiseAlarm


class Guard:
    """Runs the rules, one tick after the other."""

    def __init__(
        self,
        core: Core,
        desk: OrderDesk,
        attendance: Attendance,
        readings: Readings,
        acts: GuardActs,
    ) -> None:
        self._core = core
        self._desk = desk
        self._attendance = attendance
        self._readings = readings
        self._acts = acts
        self._lost = False

    async def run(self) -> None:
        """Endless: one tick four times a second."""
        while True:
            await self.tick()
            await asyncio.sleep(_TICK_SECONDS)

    async def tick(self) -> None:
        """Check every rule once."""
        await self._acts.hold_latch()
        await self._acts.take_reports()
        await self._acts.check_conditions()
        await self._acts.check_red_flags()
        await self._acts.expire_dual()
        session = self._core.state.sessions.current
        if session is None or session.ended:
            self._readings.attended = False
            return
        await self._check_attendance(session)
        if session.state is SessionState.GO_NOGO:
            await self._acts.expire_request()
        if session.state in _TRADING:
            await self._acts.check_breakers()
        if session.state in _TRADING:
            await self._check_approval(session)
        if session.state in _TRADING:
            await self._check_window(session)

    async def _check_attendance(self, session: Session) -> None:
        limit = session.charter.attendance_seconds
        silent_us = self._attendance.silent_us(session.charter.operator)
        self._readings.attended = silent_us <= limit * _US_PER_SECOND
        if session.state not in _TRADING:
            self._lost = False
        elif self._readings.attended:
            if self._lost:
                self._lost = False
                await self._core.record(ATTENDANCE, AttendanceRegained(session_id=session.id))
        else:
            if not self._lost or session.state is SessionState.LIVE:
                await self._attendance_lost(session, silent_us // _US_PER_SECOND)
            # As long as nobody is there: a cancel may fail, and an order in doubt may turn up.
            await self._desk.cancel_resting(ATTENDANCE, "attendance lost")
            await self._acts.cancel_given_up()

    async def _attendance_lost(self, session: Session, seconds: int) -> None:
        self._lost = True

        def decide(state: State) -> list[AttendanceLost | SessionMoved]:
            events: list[AttendanceLost | SessionMoved] = [
                AttendanceLost(session_id=session.id, silent_seconds=seconds)
            ]
            if state.sessions.current is session and session.state is SessionState.LIVE:
                events.append(
                    SessionMoved(
                        session_id=session.id,
                        before=SessionState.LIVE,
                        after=SessionState.PAUSED,
                        cause=Cause.ATTENDANCE_LOST,
                        reason=f"no operator console for {seconds} s",
                    )
                )
            return events

        await self._core.decide(ATTENDANCE, decide)
        await self._acts.raise_alarm("ATTENDANCE", f"no operator console for {seconds} s")

    async def _check_approval(self, session: Session) -> None:
        """An approval that is void (also since before a crash) winds down."""
        reason = "the approval is void"
        if session.go.stage == "go":
            changed = self._acts.changed_since_signed(session)
            if not changed:
                return
            reason = f"changed since signed: {', '.join(changed)}"
            voided = GoVoided(
                session_id=session.id,
                packet_sha256=session.go.sha256,
                code="CHANGED",
                reason=reason,
            )
            await self._core.record(GUARD, voided)
            await self._acts.raise_alarm("APPROVAL_VOID", reason)
        await self._wind_down(Cause.APPROVAL_VOID, reason, GUARD)

    async def _check_window(self, session: Session) -> None:
        if wall_us() >= session.charter.window_until_us:
            await self._wind_down(Cause.WINDOW_END, "the change window ended", WINDOW)

    async def _wind_down(self, cause: Cause, reason: str, actor: Actor) -> None:
        """Stop the session, unless somebody stopped or killed it at the same moment."""
        try:
            await self._acts.wind_down(cause, reason, actor)
        except Refused as error:
            _log.info("not wound down", cause=error.line())
