"""One run of the script: with the engine killed at one append, or unkilled.

A run has a desk of its own (workspace, exchange, engine, watchdog). The engine's first process is
started through the launcher, by the supervisor's own way; whoever starts it again starts the
product.
"""

from __future__ import annotations

import asyncio
import random
import sys
import time
from pathlib import Path

import msgspec

from peakctl.founding import create_demo
from tests.faults.appends.launcher import POINTS
from tests.faults.appends.ledgers import Found, Ledgers, look
from tests.faults.appends.script import Script
from tests.faults.conftest import FAST, Field, merged

SEED = 20261121

#: A dead engine is found by whoever uses it next: long before the watchdog would act.
_SETTINGS = merged(FAST, {"market": {"stale_ms": 3000}})
_EXCHANGE = {"flow": False}


class Run(msgspec.Struct, frozen=True):
    """What came of one run; `appends` are the kinds in each append of the first process.

    `left` lines were on the disk when the engine was found dead.
    """

    number: int
    point: str
    killed: bool
    restarts: int
    left: int
    appends: tuple[str, ...]
    seconds: float
    found: Found

    @property
    def at(self) -> str:
        """What the append was that the engine was killed at."""
        return self.appends[self.number - 1] if self.killed else "never"


def point_of(number: int, seed: int = SEED) -> str:
    """Where in append `number` the kill comes, drawn from the seed."""
    return random.Random(f"{seed}/{number}").choice(POINTS)


def tenth(appends: int, count: int, seed: int = SEED) -> list[int]:
    """`count` different appends of 1..`appends`, drawn from the seed, ascending."""
    return sorted(random.Random(seed).sample(range(1, appends + 1), count))


async def one_run(folder: Path, number: int, point: str = POINTS[0]) -> Run:
    """Run the script with a kill at append `number`; 0 is the unkilled run."""
    began = time.monotonic()
    workspace = await asyncio.to_thread(create_demo, folder, _SETTINGS)
    trace = folder.with_name(f"{folder.name}.trace")
    desk = Field(workspace, {}, _EXCHANGE)
    desk.supervisor.program = (
        *(sys.executable, "-P", "-m", "tests.faults.appends.launcher"),
        *(str(trace), f"{point}:{number}"),
    )
    try:
        await desk.start_sandbox()
        await desk.sit_down()
        script = Script(desk, lambda: _killed(trace))
        await script.run()
        found = await look(script)
    finally:
        await desk.close()
    lines = trace.read_text().splitlines()
    return Run(
        number=number,
        point=point,
        killed=_killed(trace),
        restarts=script.restarts,
        left=script.left,
        appends=tuple(line.partition(" ")[2] for line in lines if line != "killed"),
        seconds=time.monotonic() - began,
        found=found,
    )


def _killed(trace: Path) -> bool:
    return trace.exists() and trace.read_text().endswith("killed\n")


def differences(run: Run, unkilled: Ledgers) -> list[str]:
    """Everything that is wrong with a run, or other than in the unkilled one."""
    wrong = list(run.found.wrong)
    if run.number and not run.killed:
        wrong.append(f"append {run.number} never came: there were {len(run.appends)}")
    if run.killed and not _left_as_said(run):
        wrong.append(f"{run.left} lines on the disk do not fit a kill {run.point}")
    if run.restarts != int(run.killed):
        wrong.append(f"{run.restarts} restarts")
    if run.found.never_sent > int(run.killed):
        wrong.append(f"{run.found.never_sent} intents never reached the venue")
    if run.found.rebuilt > int(run.killed):
        wrong.append(f"the store was rebuilt {run.found.rebuilt} times")
    for name in Ledgers.__struct_fields__:
        here, there = getattr(run.found.ledgers, name), getattr(unkilled, name)
        if here != there:
            wrong.append(f"{name}: {here} instead of {there}")
    return wrong


def _left_as_said(run: Run) -> bool:
    """Whether the disk held what the point says: all lines before append N, and N's or not."""
    before, with_it = (
        sum(len(kinds.split()) for kinds in run.appends[:count])
        for count in (run.number - 1, run.number)
    )
    return run.left == before if run.point == "before" else run.left >= with_it
