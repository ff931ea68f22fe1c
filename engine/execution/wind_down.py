"""The orderly end of trading: no new orders, cancel, prove with the venue, stopped."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from engine.background import Spawn
from engine.contracts.people import Actor, automaton
from engine.contracts.session import SessionState
from engine.diary import Diary
from engine.execution.core import Core
from engine.execution.kill.switch import KillSwitch
from engine.execution.pipeline import OrderDesk
from engine.execution.session_desk import SessionDesk
from engine.governance.transitions import Cause

_log = Diary("wind-down")

_RETRY_SECONDS = 0.25
_US_PER_MS = 1_000
_WIND_DOWN = automaton("wind-down")


class WindDown:
    """Stops a session and stays with it until the venue has proven zero."""

    def __init__(
        self,
        core: Core,
        session: SessionDesk,
        desk: OrderDesk,
        kill: KillSwitch,
        symbols: Callable[[], Iterable[str]],
        spawn: Spawn,
    ) -> None:
        self._core = core
        self._session = session
        self._desk = desk
        self._kill = kill
        self._symbols = symbols
        self._spawn = spawn
        self._task: asyncio.Task[None] | None = None

    async def begin(self, cause: Cause, reason: str, actor: Actor) -> None:
        """Refuse new orders from now on; the rest goes on by itself."""
        await self._session.begin_stop(cause, reason, actor)
        self.resume()

    def resume(self) -> None:
        """Go on with a session that is stopping, also after a restart."""
        session = self._core.state.sessions.current
        running = self._task is not None and not self._task.done()
        if session is not None and session.state is SessionState.STOPPING and not running:
            self._task = self._spawn(self._finish(), "wind-down")

    async def _finish(self) -> None:
        while True:
            await self._desk.cancel_resting(_WIND_DOWN, "session stops")
            proven, elapsed_us, detail = await self._kill.rehearse(self._symbols())
            session = self._core.state.sessions.current
            if session is None or session.state is not SessionState.STOPPING:
                return
            if proven and not self._desk.in_flight and not self._core.state.orders.unsettled():
                lost = len(self._core.state.orders.lost())
                left = f"; {lost} lost by the venue, for both people to answer" if lost else ""
                await self._session.stopped(f"{detail} after {elapsed_us // _US_PER_MS} ms{left}")
                return
            _log.warning("stop not proven yet", detail=detail)
            await asyncio.sleep(_RETRY_SECONDS)

    async def close(self) -> None:
        """The engine ends; a stop that is not proven goes on after the restart."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
