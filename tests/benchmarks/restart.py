"""A restart of the engine on a long journal: seconds until it answers, and its memory then.

The journal is written beforehand with the real writer, and a first start has brought the store up
to it. The bare limit is `sha256sum` over the same files: the least that has seen every byte.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from peakctl.tools import draft_charter
from tests.benchmarks.desk import Desk, desk
from tests.benchmarks.long_journal import write_journal
from tests.benchmarks.table import Row, alone, compared, median, memory_mib, peak_memory_mib

_EMPTY_STARTS = 2


def restart_rows(events: int = 1_000_000, restarts: int = 3) -> list[Row]:
    """Start with nothing, then with the long journal, in turn with the bare reading of it."""
    with desk() as place:
        empty = [_start(place)[1] for _ in range(_EMPTY_STARTS)]
    with desk() as place:
        charter = draft_charter(place.workspace, "alice")
        size = write_journal(place.workspace, charter, events)
        paths = sorted(place.workspace.journal.glob("*.jsonl"))
        first = _start(place)[1]
        taken: list[float] = []
        bare: list[float] = []
        memory: list[float] = []
        peak: list[float] = []
        for _ in range(restarts):
            bare.append(_sha256sum(paths))
            pid, seconds = place.start_engine("answers")
            taken.append(seconds)
            memory.append(memory_mib(pid))
            peak.append(peak_memory_mib(pid))
            place.stop_engine()
    name = f"{size:,} events"
    return [
        compared(f"restart: {name}, until it answers, s", median(taken), median(bare), "< 5 s"),
        alone("restart: empty journal, s", median(empty), "part of it"),
        alone(f"restart: {name}, first start with no store, s", first, "only after damage"),
        alone(f"memory: engine with {name}, MiB", median(memory), "< 300 MiB", digits=0),
        alone("memory: its peak while starting, MiB", median(peak), "reported", digits=0),
    ]


def _start(place: Desk) -> tuple[int, float]:
    started = place.start_engine("answers")
    place.stop_engine()
    return started


def _sha256sum(paths: Sequence[Path]) -> float:
    begin = time.perf_counter()
    subprocess.run(["sha256sum", *map(str, paths)], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - begin
