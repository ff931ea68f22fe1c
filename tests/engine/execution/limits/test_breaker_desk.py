"""The breakers' desk over a real journal: a peak between fills is recorded, a trip tells its state.

What trips, and where, is in `tests/engine/risk/test_breakers`; a whole desk in `tests/faults`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from engine.contracts.event import EquityPeaked
from engine.contracts.order import Side
from engine.contracts.people import ENGINE
from engine.contracts.session import BreakerTerms
from engine.execution.core import Core, State
from engine.execution.limits.breaker_desk import BreakerDesk
from engine.journal.chain import decode_line
from engine.journal.segments import lines_in, open_segment, segment_paths
from engine.journal.writer import Journal
from engine.risk.breakers import SessionLoss, readings
from tests.engine.risk.conftest import World
from tests.engine.risk.test_breakers import Story

TERMS = BreakerTerms(max_drawdown_bps=1000)


class Desk:
    """A desk whose market a test moves; the kill is noted and not carried out."""

    def __init__(self, core: Core) -> None:
        self.core = core
        self.mark = Decimal(100)
        self.pressed: list[str] = []
        self.alarms: list[str] = []
        facts: Any = SimpleNamespace(
            mids=lambda: {"BTCUSDT": self.mark},
            breakers=self.readings,
            latched=False,
        )
        kill: Any = SimpleNamespace(press=self.press)
        self.desk = BreakerDesk(core, facts, kill, self.alarm)

    def readings(self) -> Any:
        session = SessionLoss(limit=Decimal(10**6), realised=Decimal(0), marked=Decimal(0))
        marks = {"BTCUSDT": self.mark}
        return readings(self.core.state.losses, TERMS, "USDT", marks, 10**15, session)

    async def press(self, *, reason: str, **_: Any) -> str:
        self.pressed.append(reason)
        return "k"

    async def alarm(self, code: str, words: str) -> None:
        self.alarms.append(f"{code} {words}")

    async def at(self, mark: str) -> None:
        self.mark = Decimal(mark)
        await self.desk.check()


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    opened = Journal.open(
        tmp_path / "journal", commit_interval_ms=0, segment_lines=1000, clock_us=lambda: 10**15
    )
    made = Desk(Core(opened.journal, State()))
    story = Story(World)
    story.charter()
    story.balance("1000")
    story.fill(Side.BUY, "5", "100")
    for recorded in story.told:
        await made.core.record(ENGINE, recorded.event)
    yield made
    opened.journal.close()


async def test_a_rise_without_a_fill_is_a_peak_and_the_fall_from_it_kills(
    desk: Desk, tmp_path: Path
) -> None:
    for mark in ("100", "100.05", "140", "140.05", "120"):
        await desk.at(mark)
    # 5 coins bought at 100 and worth 140: 1200. What is less than five basis points more is none.
    assert desk.core.state.losses.peak == 1200
    assert desk.pressed == []  # 120: 1100 of 1200 is 8.4 % less
    state, peaks = State(), []
    for path in segment_paths(tmp_path / "journal"):
        with open_segment(path) as file:
            for line in lines_in(file):
                recorded, _ = decode_line(line, path.name)
                state.apply(recorded)
                if isinstance(recorded.event, EquityPeaked):
                    peaks.append(recorded)
    (told,) = peaks
    assert (told.event.equity, told.event.marks) == (1200, {"BTCUSDT": Decimal(140)})
    assert told.actor.name == "breaker"
    assert state.losses.peak == 1200  # a restart measures from the same peak
    await desk.at("115.99")
    (reason,) = desk.pressed
    assert reason == "DRAWDOWN: 1000.42 bps is over 1000 bps"
    assert desk.alarms == [f"BREAKER {reason}"]
    assert "DRAWDOWN" in desk.core.state.losses.tripped
