"""Heads are written after so many events or so much time, and never twice for one size."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace

import pytest

from engine.contracts.documents import Namespace
from engine.contracts.event import GoDecided, GoVoided, KillLatched, Recorded, SessionMoved
from engine.contracts.people import ENGINE
from engine.contracts.session import SessionState
from engine.execution.records import heads_writer
from engine.execution.records.heads_writer import HeadsWriter
from engine.journal.heads import read_heads
from engine.signatures.sshsig import parse_public_line, verify_strict
from peakctl.founding import make_key
from tests.engine.store.conftest import Story


@pytest.fixture
def journal() -> SimpleNamespace:
    return SimpleNamespace(size=3, head="ab" * 32)


@pytest.fixture
def key(tmp_path: Path) -> Path:
    make_key(tmp_path / "log", "test")
    return tmp_path / "log"


def writer(tmp_path: Path, key: Path, journal: SimpleNamespace) -> HeadsWriter:
    (tmp_path / "heads").mkdir(exist_ok=True)
    return HeadsWriter(journal, tmp_path / "heads", key, "peakctl/w", 10, 60, lambda: now[0])  # type: ignore[arg-type]


now = [0]


def test_a_head_is_signed_and_the_same_size_is_not_signed_again(
    tmp_path: Path, key: Path, journal: SimpleNamespace
) -> None:
    heads = writer(tmp_path, key, journal)
    first = heads.write()
    assert heads.write() is first
    blob = parse_public_line(key.with_suffix(".pub").read_text())
    verify_strict(first.signature, first.text.encode(), Namespace.HEAD, blob)
    assert [one.head.size for one in read_heads(tmp_path / "heads")] == [3]


async def test_enough_events_or_enough_time(
    tmp_path: Path, key: Path, journal: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heads_writer, "_TICK_SECONDS", 0.001)
    heads = writer(tmp_path, key, journal)
    heads.write()
    running = asyncio.create_task(heads.run())

    async def size_after() -> int:
        for _ in range(30):
            await asyncio.sleep(0.001)
        assert heads.latest is not None
        return heads.latest.head.size

    journal.size = 12
    assert await size_after() == 3
    journal.size = 13
    assert await size_after() == 13
    journal.size = 14
    assert await size_after() == 13
    now[0] += 60_000_000
    assert await size_after() == 14
    now[0] += 60_000_000
    assert await size_after() == 14
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


@pytest.mark.parametrize("turns", range(5))
async def test_a_cancel_that_comes_with_a_moment_is_not_lost(
    turns: int, tmp_path: Path, key: Path, journal: SimpleNamespace
) -> None:
    """Or the engine would wait for this task for ever when it is asked to stop."""
    heads = writer(tmp_path, key, journal)
    heads.write()
    running = asyncio.create_task(heads.run())
    await asyncio.sleep(0.01)
    heads.heard(Recorded(seq=0, ts_us=0, actor=ENGINE, event=Story.charter()))
    for _ in range(turns):
        await asyncio.sleep(0)
    running.cancel()
    done, _ = await asyncio.wait({running}, timeout=5)
    running.cancel()
    assert done == {running}


async def test_the_moments_of_a_session_are_signed_at_once(
    tmp_path: Path, key: Path, journal: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Charter, go or no-go, moves, what takes away: long before the tick; a note waits for it."""
    monkeypatch.setattr(heads_writer, "_TICK_SECONDS", 3600)
    heads = writer(tmp_path, key, journal)
    heads.write()
    running = asyncio.create_task(heads.run())
    moved = SessionMoved(
        session_id="s", before=SessionState.CHARTER, after=SessionState.ABORTED, cause="abort"
    )
    decided = GoDecided(
        session_id="s",
        decision="NO-GO",
        reason="",
        packet_sha256="",
        cosign="",
        signature="",
        fingerprint="",
        signals={},
    )
    killed = KillLatched(kill_id="k", session_id="", reason="r", source="cli", pressed_us=1)
    voided = GoVoided(session_id="s", packet_sha256="", code="CHANGED", reason="r")
    for event in (Story.charter(), decided, moved, killed, voided):
        journal.size += 1
        heads.heard(Recorded(seq=0, ts_us=0, actor=ENGINE, event=event))
        for _ in range(2000):
            if heads.latest is None or heads.latest.head.size != journal.size:
                await asyncio.sleep(0.001)
        assert heads.latest is not None
        assert heads.latest.head.size == journal.size
    journal.size += 1
    heads.heard(Recorded(seq=0, ts_us=0, actor=ENGINE, event=Story.note("x")))
    await asyncio.sleep(0.02)
    assert heads.latest is not None
    assert heads.latest.head.size == journal.size - 1
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
