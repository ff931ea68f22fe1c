"""I7: killed at any journal append, the session ends in the same ledgers as if it had not been.

A fifteenth of the appends, drawn from a seed; `python -m tests.faults.appends` does them all.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
from pathlib import Path

import msgspec
import pytest

from tests.faults.appends.ledgers import Ledgers
from tests.faults.appends.runs import SEED, Run, differences, one_run, point_of, tenth

#: The share is dealt out to so many tests, so that workers share it.
SHARES = 5


class Unkilled(msgspec.Struct, frozen=True):
    """What the unkilled run left behind, and in how many appends."""

    appends: int
    ledgers: Ledgers


@pytest.fixture(scope="session")
def unkilled(tmp_path_factory: pytest.TempPathFactory) -> Unkilled:
    """The unkilled run, made once for all workers."""
    base = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent
    known = base / "unkilled.json"
    with (base / "unkilled.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not known.exists():
            run = asyncio.run(one_run(base / "unkilled", 0))
            assert not run.killed
            assert differences(run, run.found.ledgers) == []
            made = Unkilled(len(run.appends), run.found.ledgers)
            known.write_bytes(msgspec.json.encode(made))
    return msgspec.json.decode(known.read_bytes(), type=Unkilled)


async def killed_at(folder: Path, number: int) -> Run:
    """A run that was killed at this append, or at its own last one: runs differ by one or two."""
    run = await one_run(folder / str(number), number, point_of(number))
    if run.killed:
        return run
    last = len(run.appends)
    return await one_run(folder / f"{number}-{last}", last, point_of(number))


@pytest.mark.parametrize("share", range(SHARES))
async def test_i7_killed_at_an_append_everything_ends_as_if_it_had_not_been(
    tmp_path: Path, unkilled: Unkilled, share: int
) -> None:
    numbers = tenth(unkilled.appends, -(-unkilled.appends // 15))
    for number in numbers[share::SHARES]:
        run = await killed_at(tmp_path, number)
        assert run.killed, f"append {number} never came"
        assert differences(run, unkilled.ledgers) == [], f"append {run.number} ({run.at})"


def test_the_unkilled_session_is_the_script(unkilled: Unkilled) -> None:
    ledgers = unkilled.ledgers
    assert ledgers.session == "sealed"
    assert ledgers.notes == 1
    assert [(one.type, one.state, one.filled) for one in ledgers.orders] == [
        ("LIMIT", "CANCELED", "0"),
        ("LIMIT", "CANCELED", "0"),
        ("LIMIT", "FILLED", "0.01"),
        ("MARKET", "FILLED", "0.003"),
        ("LIMIT", "FILLED", "0.006"),
        ("LIMIT", "CANCELED", "0.002"),
        ("LIMIT", "CANCELED", "0"),
    ]
    assert [len(one.fills) for one in ledgers.orders] == [0, 0, 2, 1, 1, 1, 0]


def test_the_tenth_is_drawn_from_the_seed() -> None:
    assert tenth(60, 6) == tenth(60, 6, SEED) != tenth(60, 6, SEED + 1)
    assert len({point_of(number) for number in range(20)}) == 3
