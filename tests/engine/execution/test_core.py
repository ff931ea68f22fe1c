"""The one way through: what the ledger or the disk refuses is told, never swallowed."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from engine.contracts.errors import Refused
from engine.contracts.event import AlarmAcknowledged, AnyEvent, NoteAdded, OrderRejected, Recorded
from engine.contracts.people import ENGINE
from engine.execution import conditions
from engine.execution.conditions import Conditions
from engine.execution.core import Core, State
from engine.execution.limits.facts import Readings
from engine.journal.commit import System
from engine.journal.writer import Journal, JournalFailed
from engine.orders.machine import Illegal

NOTE = NoteAdded(session_id="abcdefabcdef", text="x")


class Disk(System):
    full = False

    def write(self, descriptor: int, data: memoryview) -> int:
        if self.full:
            raise OSError(28, os.strerror(28))
        return super().write(descriptor, data)


@pytest.fixture
async def disk() -> Disk:
    return Disk()


@pytest.fixture
async def core(tmp_path: Path, disk: Disk) -> AsyncIterator[Core]:
    opened = Journal.open(
        tmp_path / "journal",
        commit_interval_ms=0,
        segment_lines=1000,
        clock_us=lambda: 5,
        system=disk,
    )
    yield Core(opened.journal, State())
    opened.journal.close()


async def test_an_event_that_the_ledger_refuses_is_told(core: Core) -> None:
    told: list[tuple[Recorded, Illegal]] = []
    core.report(lambda recorded, illegal: told.append((recorded, illegal)), lambda _: None)
    await core.record(ENGINE, NOTE)
    await core.record(ENGINE, OrderRejected(client_order_id="nobody", code="X", reason=""))
    assert [(one.seq, illegal.code) for one, illegal in told] == [(1, "UNKNOWN_ORDER")]


async def test_a_disk_that_fails_is_told_once_and_nothing_is_applied(
    core: Core, disk: Disk
) -> None:
    failures: list[JournalFailed] = []
    core.report(lambda *_: None, failures.append)
    disk.full = True
    for _ in range(3):
        with pytest.raises(JournalFailed):
            await core.record(ENGINE, NOTE)
    assert len(failures) == 1
    assert core.journal.size == 0


async def test_decisions_run_one_after_the_other_and_a_refusal_writes_nothing(core: Core) -> None:
    inside = 0

    def decide(_: State) -> list[AnyEvent]:
        nonlocal inside
        inside += 1
        assert inside == core.journal.size + 1, "an earlier decision is not applied yet"
        return [NOTE]

    await asyncio.gather(*(core.decide(ENGINE, decide) for _ in range(5)))
    assert core.journal.size == 5

    def refuse(_: State) -> list[AnyEvent]:
        raise Refused(what="no")

    with pytest.raises(Refused):
        await core.decide(ENGINE, refuse)
    assert core.journal.size == 5


class Watched:
    """Conditions over a core whose venue connection a test switches."""

    def __init__(self, core: Core, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.core = core
        self.up = True
        self.readings = Readings()
        self.now_us = 1
        monkeypatch.setattr(conditions, "monotonic_us", lambda: self.now_us)
        facts: Any = SimpleNamespace(breakers=lambda: ())
        self.conditions = Conditions(
            core,
            {},
            self.readings,
            facts,
            lambda: self.up,
            clock_limit_ms=250,
            disk=folder,
            min_free_mb=0,
        )

    async def after(self, seconds: int) -> list[str]:
        self.now_us += seconds * 1_000_000
        await self.conditions.check()
        await self.conditions.check()
        return [one.raised.code for one in self.core.state.alarms.active]


@pytest.fixture
async def watched(core: Core, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Watched:
    return Watched(core, tmp_path, monkeypatch)


async def test_a_condition_that_lasts_is_one_alarm(watched: Watched) -> None:
    watched.up = False
    assert await watched.after(0) == []
    assert await watched.after(4) == []
    assert await watched.after(1) == ["VENUE_DOWN"]
    assert await watched.after(60) == ["VENUE_DOWN"]
    assert watched.core.journal.size == 1


async def test_a_condition_that_passes_is_none(watched: Watched) -> None:
    for _ in range(5):
        watched.up = False
        assert await watched.after(3) == []
        watched.up = True
        assert await watched.after(3) == []
    assert watched.core.journal.size == 0


async def test_what_is_over_stays_until_a_person_has_taken_it(watched: Watched) -> None:
    watched.readings.clock_offset_ms = -300
    await watched.after(0)
    assert await watched.after(3) == ["CLOCK_OFFSET"]
    watched.readings.clock_offset_ms = 0
    assert await watched.after(60) == ["CLOCK_OFFSET"]
    alarm = watched.core.state.alarms.active[0].raised.alarm_id
    await watched.core.record(ENGINE, AlarmAcknowledged(alarm_id=alarm))
    assert await watched.after(0) == []


async def test_an_alarm_taken_while_it_lasts_stays(watched: Watched) -> None:
    watched.readings.clock_offset_ms = 300
    await watched.after(0)
    await watched.after(3)
    alarm = watched.core.state.alarms.active[0].raised.alarm_id
    await watched.core.record(ENGINE, AlarmAcknowledged(alarm_id=alarm))
    assert await watched.after(60) == ["CLOCK_OFFSET"]


async def test_two_conditions_at_once_get_two_ids(watched: Watched) -> None:
    watched.up = False
    watched.readings.clock_offset_ms = 300
    await watched.after(0)
    await watched.after(9)
    ids = {one.raised.alarm_id for one in watched.core.state.alarms.active}
    assert len(ids) == 2
