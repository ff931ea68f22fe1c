"""Which cells are played at which desk, and the share of them that the test suite plays.

A desk costs about two seconds, so one fault's operations share it. A wiped desk is of no more use:
those cells have one each. The suite plays the whole column "keep running" and a drawn share of the
column "SIGKILL and restart"; `python -m tests.faults.matrix` plays everything.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path

from tests.faults.matrix.plays import play_of
from tests.faults.matrix.stage import Played, stage
from tests.faults.matrix.table import CELLS, FAULTS, Cell

#: Which kills the suite draws; another seed draws others.
SEED = 20261121
#: Cells with a kill that the suite plays, and how many share a desk.
KILLED_IN_SUITE = 4
_AT_ONE_DESK = 4
#: Killed whatever is drawn: an engine that is started in a halt must trade after it.
_ALWAYS = ("submit", "halt")


@dataclass(frozen=True)
class Sitting:
    """Cells that are played one after the other at one desk."""

    name: str
    cells: tuple[Cell, ...]
    kill: bool

    def __str__(self) -> str:
        """For pytest's ids."""
        return f"{self.name}-{'killed' if self.kill else 'running'}"


def whole() -> tuple[Sitting, ...]:
    """Every cell in both columns."""
    return tuple(one for kill in (False, True) for one in _column(kill=kill))


def share(seed: int = SEED) -> tuple[Sitting, ...]:
    """What the suite plays: all that keeps running, some that is killed, a wipe of each."""
    chance = random.Random(seed)
    alone = [one for one in _column(kill=False) if not one.cells[0].wiped]
    running = [
        Sitting(f"{one.name}+{two.name}", one.cells + two.cells, kill=False)
        for one, two in zip(alone[::2], alone[1::2], strict=True)
    ]
    wiped = [cell for cell in CELLS if cell.wiped]
    rest = [cell for cell in CELLS if not cell.wiped and (cell.operation, cell.fault) != _ALWAYS]
    others = [cell for cell in CELLS if (cell.operation, cell.fault) == _ALWAYS]
    others += chance.sample(rest, KILLED_IN_SUITE - len(others))
    killed = [
        Sitting(f"drawn-{at // _AT_ONE_DESK}", tuple(others[at : at + _AT_ONE_DESK]), kill=True)
        for at in range(0, len(others), _AT_ONE_DESK)
    ]
    return (
        *running,
        *killed,
        *(_alone(cell, kill=bool(at % 2)) for at, cell in enumerate(chance.sample(wiped, 2))),
    )


def _column(*, kill: bool) -> list[Sitting]:
    sittings: list[Sitting] = []
    for fault in FAULTS:
        cells = tuple(cell for cell in CELLS if cell.fault == fault)
        if cells[0].wiped:
            sittings += [_alone(cell, kill=kill) for cell in cells]
        else:
            sittings.append(Sitting(fault, cells, kill))
    return sittings


def _alone(cell: Cell, *, kill: bool) -> Sitting:
    return Sitting(f"{cell.fault}-{cell.operation}", (cell,), kill)


async def sit(sitting: Sitting, folder: Path) -> list[Played]:
    """Play a sitting at a fresh desk. Raises AssertionError at the first cell that fails."""
    async with stage(folder) as desk:
        played = [await desk.play(cell, play_of(cell), kill=sitting.kill) for cell in sitting.cells]
        await desk.finish()
    return played
