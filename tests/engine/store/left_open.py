"""A program for test_faults: fills a store in two steps and waits, holding it, to be killed.

Argument: folder. After the checkpoint it copies nothing itself; it says `half` and `full` and waits
for a line after `half`.
"""

import asyncio
import sys
import time
from pathlib import Path

from engine.contracts.event import NoteAdded
from engine.contracts.people import ENGINE
from engine.journal.writer import Journal
from engine.store.store import Store


async def main(folder: Path) -> None:
    journal = Journal.open(
        folder / "journal",
        commit_interval_ms=0,
        segment_lines=30,
        clock_us=lambda: time.time_ns() // 1000,
    ).journal
    store = await Store.open(folder / "evidence.duckdb", export_folder=folder / "export")
    await store.align(journal)
    journal.subscribe(store.project)
    for half in ("first", "second"):
        for number in range(20):
            event = NoteAdded(session_id="abcdefabcdef", text=f"{half} {number}")
            [recorded] = await journal.append(ENGINE, [event])
            await store.flushed(recorded.seq)
        if half == "first":
            await store.checkpoint()
    sys.stdout.write("full\n")
    sys.stdout.flush()
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)


asyncio.run(main(Path(sys.argv[1])))
