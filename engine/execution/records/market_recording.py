"""The market while a session traded: recorded as it comes, tied to the chain at the end.

Market data is not chained event by event: it goes to Parquet, one folder a session, and each file's
hash goes into the journal when the recording is closed.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from engine.contracts.event import MarketRecorded
from engine.contracts.people import ENGINE
from engine.contracts.session import SessionState
from engine.execution.clock import wall_us
from engine.execution.core import Core
from engine.governance.session import Session
from engine.store.market import MarketRecorder
from engine.venues.port import BookTop, MarketEvent, TradeTick

_RECORDED_STATES = frozenset(
    {SessionState.LIVE, SessionState.PAUSED, SessionState.STOPPING, SessionState.KILLED}
)


class MarketRecording:
    """Records what the venue streams while a session trades. `root` has a folder a session."""

    def __init__(self, core: Core, root: Path) -> None:
        self._core = core
        self._root = root
        self._recorder: tuple[str, MarketRecorder] | None = None

    def record(self, event: MarketEvent) -> None:
        """Record one book or trade while the session trades."""
        session = self._core.state.sessions.current
        if session is None or session.state not in _RECORDED_STATES:
            return
        if self._recorder is None or self._recorder[0] != session.id:
            self._recorder = (session.id, MarketRecorder(self._root / session.id, session.id))
        recorder = self._recorder[1]
        match event:
            case BookTop():
                recorder.book(
                    event.symbol,
                    event.update_id,
                    event.bids,
                    event.asks,
                    event.venue_time_us,
                    wall_us(),
                )
            case TradeTick():
                recorder.trade(
                    event.symbol,
                    event.trade_id,
                    event.price,
                    event.quantity,
                    event.taker_side.value,
                    event.venue_time_us,
                    wall_us(),
                )

    async def finish(self, session: Session) -> None:
        """Close the session's recording and tie each file to the chain by its hash."""
        if self._recorder is None or self._recorder[0] != session.id:
            return
        recorder = self._recorder[1]
        self._recorder = None
        files = await asyncio.to_thread(recorder.close)
        known = {name for name, _rows, _digest in session.market_files}
        await self._core.record(
            ENGINE,
            *(
                MarketRecorded(
                    session_id=session.id, file=one.file, rows=one.rows, sha256=one.sha256
                )
                for one in files
                if one.file not in known
            ),
        )

    async def close(self) -> None:
        """Put what was recorded on the disk because the engine ends."""
        if self._recorder is not None:
            await asyncio.to_thread(self._recorder[1].close)
