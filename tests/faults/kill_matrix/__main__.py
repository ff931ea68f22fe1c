"""`python -m tests.faults.kill_matrix`: play the kill matrix and print it with verdicts and times.

As it is, a set of cells in which every two conditions meet at least once, and one in which an order
is hidden for 30 s; `--all` plays every combination. Each cell is a desk of real processes. The exit
code is 1 when a cell failed.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from engine.contracts.errors import PeakError
from tests.faults.kill_matrix.ground import play
from tests.faults.kill_matrix.report import Outcome, lines, totals
from tests.faults.kill_matrix.table import ALWAYS, CAUSES, CELLS, ENGINES, VENUES, Cell, pairs

_SHORT_S, _LONG_S = 4.0, 30.0


def main() -> int:
    """Read the options, play, print."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.kill_matrix", description=__doc__)
    parser.add_argument("--causes", nargs="+", choices=CAUSES, default=list(CAUSES))
    parser.add_argument("--engines", nargs="+", choices=ENGINES, default=list(ENGINES))
    parser.add_argument("--venues", nargs="+", choices=VENUES, default=list(VENUES))
    parser.add_argument("--all", action="store_true", help="every combination")
    parser.add_argument("--desks", type=int, default=3, help="desks that play at the same time")
    options = parser.parse_args()
    cells = [
        cell
        for cell in (CELLS if options.all else pairs())
        if cell.cause in options.causes
        and cell.engine in options.engines
        and cell.venue in options.venues
    ]
    chosen = [(cell, _SHORT_S) for cell in cells if cell != ALWAYS]
    if {ALWAYS.cause} <= set(options.causes) and ALWAYS.venue in options.venues:
        chosen.append((ALWAYS, _LONG_S))
    started = time.monotonic()
    outcomes = asyncio.run(_play(chosen, options.desks))
    sys.stdout.write(f"{lines(outcomes)}\n\n{totals(outcomes, time.monotonic() - started)}\n")
    return int(any(one.failure for one in outcomes))


async def _play(cells: Sequence[tuple[Cell, float]], desks: int) -> list[Outcome]:
    places = asyncio.Semaphore(desks)

    async def one(cell: Cell, hide_s: float) -> Outcome:
        async with places:
            with tempfile.TemporaryDirectory(prefix="pk-kill-") as folder:
                try:
                    outcome = Outcome(cell, await play(cell, Path(folder) / "w", hide_s))
                except (AssertionError, PeakError, OSError, ValueError) as error:
                    failure = " ".join(str(error).split()) or repr(error)
                    sys.stderr.write(f"{cell.name}: {failure[:2000]}\n")
                    return Outcome(cell, None, failure)
                sys.stderr.write(f"{cell.name}: held\n")
                return outcome

    return list(await asyncio.gather(*(one(cell, hide_s) for cell, hide_s in cells)))


if __name__ == "__main__":
    sys.exit(main())
