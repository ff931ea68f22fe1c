"""`python -m tests.faults.matrix`: play the whole matrix and print it with its counts.

Every cell is played twice, running on and with SIGKILL and restart, on real processes. The exit
code is 1 when a cell failed. A cell that fails does not keep the others of its desk from being
played: they get another one.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from pathlib import Path

from engine.contracts.errors import PeakError
from tests.faults.matrix.plays import play_of
from tests.faults.matrix.report import Outcome, details, grid, totals
from tests.faults.matrix.sittings import Sitting, whole
from tests.faults.matrix.stage import stage
from tests.faults.matrix.table import CELLS, FAULTS, OPERATIONS


def main() -> int:
    """Read the options, play, print."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.matrix", description=__doc__)
    parser.add_argument("--faults", nargs="+", choices=FAULTS, default=FAULTS)
    parser.add_argument("--operations", nargs="+", choices=OPERATIONS, default=OPERATIONS)
    parser.add_argument("--column", choices=("both", "running", "killed"), default="both")
    parser.add_argument("--desks", type=int, default=3, help="desks that play at the same time")
    options = parser.parse_args()
    sittings = []
    for one in whole():
        cells = tuple(
            cell
            for cell in one.cells
            if cell.fault in options.faults and cell.operation in options.operations
        )
        wanted = options.column in {"both", "killed" if one.kill else "running"}
        if cells and wanted:
            sittings.append(Sitting(one.name, cells, one.kill))
    started = time.monotonic()
    outcomes = asyncio.run(_play(sittings, options.desks))
    sys.stdout.write(f"{details(outcomes)}\n\n{grid(outcomes)}\n\n")
    sys.stdout.write(f"{totals(outcomes, len(CELLS), time.monotonic() - started)}\n")
    return int(any(one.failure for one in outcomes))


async def _play(sittings: list[Sitting], desks: int) -> list[Outcome]:
    places = asyncio.Semaphore(desks)

    async def one(sitting: Sitting) -> list[Outcome]:
        async with places:
            with tempfile.TemporaryDirectory(prefix="pk-matrix-") as folder:
                return await _sit(sitting, Path(folder))

    found = await asyncio.gather(*(one(sitting) for sitting in sittings))
    return [outcome for outcomes in found for outcome in outcomes]


async def _sit(sitting: Sitting, folder: Path) -> list[Outcome]:
    """Play cell by cell; after a failure the rest gets a fresh desk."""
    outcomes: list[Outcome] = []
    left = list(sitting.cells)
    desk_number = 0
    while left:
        desk_number += 1
        cell = left[0]
        try:
            async with stage(folder / str(desk_number)) as desk:
                while left:
                    cell = left[0]
                    played = await desk.play(cell, play_of(cell), kill=sitting.kill)
                    outcomes.append(Outcome(cell, sitting.kill, played))
                    del left[0]
                await desk.finish()
        except (AssertionError, PeakError, OSError) as error:
            if left:
                del left[0]
            outcomes.append(Outcome(cell, sitting.kill, None, " ".join(str(error).split())))
            sys.stderr.write(f"{cell.name} ({sitting}): {outcomes[-1].failure[:2000]}\n")
    return outcomes


if __name__ == "__main__":
    sys.exit(main())
