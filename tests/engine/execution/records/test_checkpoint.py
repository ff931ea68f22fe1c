"""I7: a restart from a checkpoint is a restart from the first event, or it is one."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.contracts import event as ev
from engine.contracts.people import ENGINE, person
from engine.contracts.session import SessionState
from engine.execution.core import Core, State
from engine.execution.records import checkpoint
from engine.execution.records.checkpoint import Restored, restore
from engine.execution.records.frozen import freeze
from engine.governance.transitions import Cause
from engine.journal.writer import Journal
from tests.benchmarks.long_journal import order_events
from tests.engine.store.conftest import Story

CODE = "c" * 64
ALICE = person("alice", "peer-uid:1000")


def story(seed: int, sessions: int = 3, orders: int = 25) -> Iterator[ev.AnyEvent]:
    """Sessions of orders, some out of place, told twice or open, and what happens beside them."""
    rng = random.Random(seed)
    for number in range(sessions):
        session_id = f"{number:012d}"
        chartered = Story.charter()
        yield ev.SessionChartered(session_id=session_id, charter=chartered.charter)
        for order in range(orders):
            events = list(order_events(session_id, order, number * 1000 + order))
            for event in events:
                if rng.random() < 0.9:
                    yield event
                if rng.random() < 0.1:
                    yield event
        yield from (
            rng.choice(Story.day()[8:]) if rng.random() < 0.5 else Story.note(i) for i in range(6)
        )
        yield ev.BalancesRead(session_id=session_id, moment="opening", balances={})
        yield ev.SessionMoved(
            session_id=session_id,
            before=SessionState.CHARTER,
            after=SessionState.ABORTED,
            cause=Cause.ABORT,
        )


def opened(folder: Path) -> Journal:
    ticks = itertools.count(1_763_000_000_000_000, 1000)
    return Journal.open(
        folder, commit_interval_ms=0, segment_lines=100, clock_us=lambda: next(ticks)
    ).journal


def folded(journal: Journal, begun: Restored) -> bytes:
    for recorded in journal.read(begun.size):
        begun.state.apply(recorded)
    return freeze(begun.state)


async def written(folder: Path, seed: int) -> tuple[Journal, list[int]]:
    """A journal with checkpoints wherever the dice say; returns the sizes they stand for."""
    rng = random.Random(seed)
    journal = opened(folder / "journal")
    core = Core(journal, State())
    sizes = []
    events = list(story(seed))
    while events:
        batch = [events.pop(0) for _ in range(min(len(events), rng.randint(1, 9)))]
        await core.record(rng.choice([ENGINE, ALICE]), *batch)
        if rng.random() < 0.1:
            told = await checkpoint.write(core, folder / "checkpoints", CODE)
            assert told is not None
            sizes.append(told.size)
    return journal, sizes


@pytest.mark.parametrize("seed", range(4))
async def test_i7_every_checkpoint_goes_on_to_the_same_state(
    tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoint, "_KEPT", 1000)
    journal, sizes = await written(tmp_path, seed)
    from_zero = folded(journal, Restored(State(), 0, ""))
    assert len(sizes) > 3
    for size in reversed(sizes):
        begun = restore(tmp_path / "checkpoints", journal, CODE)
        assert (begun.size, begun.refused) == (size, "")
        assert folded(journal, begun) == from_zero
        (tmp_path / "checkpoints" / f"{size:012d}.state").unlink()
    begun = restore(tmp_path / "checkpoints", journal, CODE)
    assert (begun.size, begun.refused) == (0, "")
    journal.close()


async def test_only_the_newest_are_kept(tmp_path: Path) -> None:
    journal, sizes = await written(tmp_path, 1)
    kept = sorted(path.name for path in (tmp_path / "checkpoints").iterdir())
    assert kept == [f"{size:012d}.state" for size in sizes[-2:]]
    journal.close()


def flip(path: Path) -> None:
    whole = bytearray(path.read_bytes())
    whole[len(whole) // 2] ^= 1
    path.write_bytes(whole)


def rename(path: Path) -> None:
    path.rename(path.with_name("000000000003.state"))


def link(path: Path) -> None:
    path.rename(path.with_suffix(".aside"))
    path.symlink_to(path.with_suffix(".aside"))


HURTS: dict[str, Callable[[Path], Any]] = {
    "a bit flipped": flip,
    "cut": lambda path: path.write_bytes(path.read_bytes()[:-1]),
    "emptied": lambda path: path.write_bytes(b""),
    "lengthened": lambda path: path.write_bytes(path.read_bytes() + b"x"),
    "under another size": rename,
    "a link": link,
    "of another state": lambda path: path.write_bytes(b"x\x9c\x03\x00\x00\x00\x00\x01"),
}


@pytest.mark.parametrize("how", HURTS)
async def test_i7_a_file_that_was_touched_does_not_count(
    tmp_path: Path, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoint, "_KEPT", 1)
    journal, _ = await written(tmp_path, 2)
    [path] = (tmp_path / "checkpoints").iterdir()
    HURTS[how](path)
    begun = restore(tmp_path / "checkpoints", journal, CODE)
    assert (begun.size, freeze(begun.state)) == (0, freeze(State()))
    assert begun.refused
    journal.close()


async def test_i7_an_older_one_stands_in_for_one_that_does_not_count(tmp_path: Path) -> None:
    journal, sizes = await written(tmp_path, 2)
    flip(tmp_path / "checkpoints" / f"{sizes[-1]:012d}.state")
    begun = restore(tmp_path / "checkpoints", journal, CODE)
    assert begun.size == sizes[-2]
    assert "not those that were written" in begun.refused
    assert folded(journal, begun) == folded(journal, Restored(State(), 0, ""))
    journal.close()


async def test_i7_other_code_and_another_history_fold_from_the_first_event(tmp_path: Path) -> None:
    journal, sizes = await written(tmp_path / "a", 2)
    begun = restore(tmp_path / "a" / "checkpoints", journal, "d" * 64)
    assert begun.size == 0
    assert "another version" in begun.refused
    other, _ = await written(tmp_path / "b", 3)
    begun = restore(tmp_path / "a" / "checkpoints", other, CODE)
    assert (begun.size, bool(begun.refused)) == (0, True)
    short = opened(tmp_path / "c" / "journal")
    core = Core(short, State())
    for event in itertools.islice(story(2), sizes[0]):
        await core.record(ENGINE, event)
    begun = restore(tmp_path / "a" / "checkpoints", short, CODE)
    assert (begun.size, bool(begun.refused)) == (0, True)
    for one in (journal, other, short):
        one.close()


async def test_what_cannot_be_written_down_makes_no_checkpoint(tmp_path: Path) -> None:
    journal = opened(tmp_path / "journal")
    core = Core(journal, State())
    core.state.watchdog_seen = lambda: 1  # type: ignore[assignment]
    assert await checkpoint.write(core, tmp_path / "checkpoints", CODE) is None
    core.state.watchdog_seen = 0
    (tmp_path / "checkpoints").write_bytes(b"a file where the folder should be")
    assert await checkpoint.write(core, tmp_path / "checkpoints", CODE) is None
    assert journal.size == 0
    journal.close()
