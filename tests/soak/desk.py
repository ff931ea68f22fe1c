"""The soak's desk: a workspace with its processes and people, on the soak's exchange."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any, NamedTuple

import msgspec

from peakctl.workspace import Workspace
from tests.faults.conftest import ROOT, SYMBOL, Field
from tests.soak.exchange import Pace

_PAGE = 1000


class Schedule(NamedTuple):
    """Faults drawn from a seed, one in about `every_ms`."""

    seed: int
    every_ms: int


class SoakDesk(Field):
    """A desk whose venue has ten times the market, and bad days when it is told to."""

    def __init__(self, workspace: Workspace, pace: Pace, schedule: Schedule) -> None:
        super().__init__(workspace, {})
        self._pace = pace
        self._schedule = schedule

    def _start_sandbox(self, port: int) -> dict[str, Any]:
        keys = self.workspace.root / "venue-keys"
        pace = msgspec.json.encode(self._pace).decode()
        process = self._sandbox = subprocess.Popen(
            [
                *(sys.executable, "-P", "-m", "tests.soak.exchange"),
                *("sandbox", str(port), str(keys), pace),
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            cwd=self.workspace.root,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        assert process.stdout is not None
        with process.stdout as pipe:
            return {**json.loads(pipe.readline()), "pid": process.pid}

    async def faults(self, **request: Any) -> dict[str, Any]:
        """Ask the fault desk; returns what it says."""
        url = f"{self.venue['rest']}/sandbox/faults"
        async with self._http.post(url, json=request) as response:
            assert response.status == 200, await response.text()
            told: dict[str, Any] = await response.json()
            return told

    async def misbehave(self, number: int) -> None:
        """Begin the schedule of faults, drawn anew for each session."""
        seed = self._schedule.seed + number
        await self.faults(schedule={"seed": seed, "every_ms": self._schedule.every_ms})

    async def behave(self) -> None:
        """End every fault: the venue tells the truth again."""
        await self.faults(clear=True)

    async def listed(self, path: str, key: str, start: str) -> list[dict[str, Any]]:
        """Every row of one of the account's lists, page by page."""
        rows: list[dict[str, Any]] = []
        while True:
            after = {start: int(rows[-1][key]) + 1} if rows else {start: 0}
            page = await self.ask("GET", path, symbol=SYMBOL, limit=_PAGE, **after)
            rows += page
            if len(page) < _PAGE:
                return rows
