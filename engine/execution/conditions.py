"""Alarms that stand for a condition: raised once it lasts, cleared when it is over and was taken.

An alarm whose cause is gone stays until a person has taken it: what nobody saw must not vanish
(ISA-18.2 calls it returned to normal, unacknowledged). A condition counts only after it held for
a while, so that a reconnect is not a page of alarms.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

from engine.contracts.event import AnyEvent
from engine.contracts.money import to_text
from engine.contracts.people import ENGINE
from engine.contracts.session import SessionState
from engine.execution.clock import monotonic_us, wall_us
from engine.execution.core import Core, State
from engine.execution.limits.facts import FactsBuilder, Readings
from engine.execution.market import Market
from engine.governance.latch import LatchState
from engine.governance.session import Session
from engine.risk.breakers import OF_SESSION

_MIB = 1 << 20
_LASTS_US = 3_000_000
#: A start and a reconnect may take their time.
_LASTS_LONGER_US = {"VENUE_DOWN": 5_000_000}
_WINDOW_NOTICE_US = 300_000_000
_DISK_LOOK_US = 5_000_000
_TRADING = frozenset({SessionState.LIVE, SessionState.PAUSED, SessionState.STOPPING})


class Conditions:
    """Looks at the running parts once a tick. Limits: ms, MiB."""

    def __init__(
        self,
        core: Core,
        markets: Mapping[str, Market],
        readings: Readings,
        facts: FactsBuilder,
        connected: Callable[[], bool],
        *,
        clock_limit_ms: int,
        disk: Path,
        min_free_mb: int,
    ) -> None:
        self._core = core
        self._markets = markets
        self._readings = readings
        self._facts = facts
        self._connected = connected
        self._clock_limit_ms = clock_limit_ms
        self._disk = disk
        self._min_free_mb = min_free_mb
        self._since: dict[str, int] = {}
        self._disk_looked_us = 0
        self._disk_low = ""

    async def check(self) -> None:
        """Raise what lasts, clear what is over and was taken."""
        now = monotonic_us()
        if now - self._disk_looked_us > _DISK_LOOK_US:
            self._disk_looked_us = now
            self._disk_low = await asyncio.to_thread(self._disk_text)
        wanted: list[tuple[str, str]] = []
        for code, text in self._now().items():
            if text:
                since = self._since.setdefault(code, now)
                if now - since < _LASTS_LONGER_US.get(code, _LASTS_US):
                    continue
            else:
                self._since.pop(code, None)
            if self._differs(self._core.state, code, text):
                wanted.append((code, text))
        if wanted:
            await self._core.decide(ENGINE, lambda state: self._events(state, wanted[0]))

    @staticmethod
    def _differs(state: State, code: str, text: str) -> bool:
        alarm = state.alarms.find(code)
        if text:
            return alarm is None
        return alarm is not None and bool(alarm.acknowledged_by)

    def _events(self, state: State, one: tuple[str, str]) -> list[AnyEvent]:
        """One alarm at a time: the next id counts what is journaled."""
        code, text = one
        if not self._differs(state, code, text):
            return []
        if not text:
            return list(state.alarms.clear_events(code))
        session = state.sessions.current
        raised = state.alarms.raise_event(code, session.id if session else "", text)
        return [raised] if raised is not None else []

    def _now(self) -> dict[str, str]:
        """Each condition with what it says now, "" when it does not hold."""
        state, offset = self._core.state, self._readings.clock_offset_ms
        unknown = [order.intent.client_order_id for order in state.orders.unknown()]
        drifted = offset is not None and abs(offset) > self._clock_limit_ms
        unproven = state.latch.state is LatchState.UNCONFIRMED
        session = state.sessions.current
        trading = session is not None and session.state in _TRADING
        return {
            "ORDER_UNKNOWN": ", ".join(unknown[:5]),
            "KILL_UNCONFIRMED": "orders may be open" if unproven else "",
            "VENUE_DOWN": "" if self._connected() else "a stream is down",
            "CLOCK_OFFSET": f"{offset} ms" if drifted else "",
            "DISK_LOW": self._disk_low,
            **(self._of_session(session) if session is not None and trading else _NO_SESSION),
        }

    def _of_session(self, session: Session) -> dict[str, str]:
        charter = session.charter
        stale = [
            symbol
            for symbol in charter.instruments
            if symbol not in self._markets or self._markets[symbol].stale
        ]
        left_us = charter.window_until_us - wall_us()
        return {
            "MARKET_STALE": ", ".join(stale),
            "SESSION_LOSS": self._lost(),
            "WINDOW_END": "less than five minutes" if left_us < _WINDOW_NOTICE_US else "",
        }

    def _lost(self) -> str:
        """The session's loss, realised or marked, that has reached its limit; "" when none has."""
        for one in self._facts.breakers():
            row, limit = one.breaker, one.breaker.limit
            if row.name in OF_SESSION and one.used is not None and one.used >= limit:
                return f"{row.text}: {to_text(one.used)} of {to_text(limit)} {row.unit}"
        return ""

    def _disk_text(self) -> str:
        try:
            free_mb = shutil.disk_usage(self._disk).free // _MIB
        except OSError as error:
            return f"free space cannot be read ({error.strerror})"
        return f"{free_mb} MiB free" if free_mb < self._min_free_mb else ""


_NO_SESSION = {"MARKET_STALE": "", "SESSION_LOSS": "", "WINDOW_END": ""}
