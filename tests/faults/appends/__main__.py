"""SIGKILL at every journal append of the scripted session: `python -m tests.faults.appends`.

At each append the engine is killed at all three points (`launcher.POINTS`), each in a run of its
own. It goes on until the script ends without having come to the append, so that none is left out,
however many there are. Prints one line a kill and a table at the end; the exit code is 1 when a run
ended otherwise than the unkilled one.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from itertools import count
from pathlib import Path

from tests.faults.appends.launcher import POINTS
from tests.faults.appends.ledgers import Ledgers
from tests.faults.appends.runs import Run, differences, one_run, point_of


class Campaign:
    """All kills, some at a time."""

    def __init__(self, folder: Path, jobs: int, *, drawn: bool) -> None:
        self.folder = folder
        self.jobs = jobs
        self._drawn = drawn
        self.runs: list[Run] = []
        self.bad: list[str] = []
        self._beyond = 0
        self._waiting: Iterator[tuple[int, str]] = iter(())

    async def whole(self, first: int, last: int) -> None:
        """The unkilled run, then every append from `first` on; `last` 0 is the script's end."""
        unkilled = await one_run(self.folder / "unkilled", 0)
        wrong = differences(unkilled, unkilled.found.ledgers)
        say(f"unkilled: {len(unkilled.appends)} appends, {unkilled.seconds:.1f} s", *wrong)
        if wrong:
            self.bad.append("unkilled")
            return
        self._beyond = last + 1 if last else 10**6
        self._waiting = (
            (number, point)
            for number in count(first)
            for point in ([point_of(number)] if self._drawn else POINTS)
        )
        async with asyncio.TaskGroup() as group:
            for _ in range(self.jobs):
                group.create_task(self._work(unkilled.found.ledgers))

    async def _work(self, unkilled: Ledgers) -> None:
        for number, point in self._waiting:
            if number >= self._beyond:
                return
            folder = self.folder / f"{number:04d}-{point}"
            try:
                run = await one_run(folder, number, point)
            except (Exception, BaseExceptionGroup) as error:  # noqa: BLE001  (told; the rest goes on)
                say(f"{number:4d} {point:8} {type(error).__name__}: {error}  (kept: {folder})")
                self.bad.append(f"{number}/{point}")
                continue
            if not run.killed:
                self._beyond = min(self._beyond, number)
                continue
            self.runs.append(run)
            wrong = differences(run, unkilled)
            say(f"{number:4d} {point:8} {run.seconds:5.1f} s  {run.at}", *wrong)
            if wrong:
                self.bad.append(f"{number}/{point}")
            else:
                shutil.rmtree(folder)

    def table(self, seconds: float) -> str:
        """Counts by point, and the sum."""
        points = Counter(run.point for run in self.runs)
        appends = len({run.number for run in self.runs})
        again = sum(run.found.never_sent for run in self.runs)
        rebuilt = sum(run.found.rebuilt for run in self.runs)
        return "\n".join(
            [
                "",
                *(f"{points[name]:5d} kills {name}" for name in POINTS),
                f"{len(self.runs):5d} kills at {appends} of {self._beyond - 1} appends",
                f"{again:5d} intents never reached the venue and were asked for again",
                f"{rebuilt:5d} stores had their write-ahead log torn and were rebuilt",
                f"{len(self.bad):5d} runs ended otherwise than the unkilled one {self.bad or ''}",
                f"{seconds:.0f} s, {self.jobs} at a time",
            ]
        )


def say(*lines: str) -> None:
    """To standard output, at once."""
    sys.stdout.write("\n      ".join(lines) + "\n")
    sys.stdout.flush()


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.appends", description=__doc__)
    parser.add_argument("--jobs", type=int, default=3, help="runs side by side")
    parser.add_argument("--first", type=int, default=1, help="first append to kill at")
    parser.add_argument("--last", type=int, default=0, help="last one; 0 is the script's end")
    parser.add_argument("--drawn", action="store_true", help="one point an append, from a seed")
    asked = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="peakctl-appends-"))
    campaign = Campaign(folder, asked.jobs, drawn=asked.drawn)
    began = time.monotonic()
    asyncio.run(campaign.whole(asked.first, asked.last))
    say(campaign.table(time.monotonic() - began))
    if not campaign.bad:
        shutil.rmtree(folder)
    return 1 if campaign.bad else 0


if __name__ == "__main__":
    sys.exit(main())
