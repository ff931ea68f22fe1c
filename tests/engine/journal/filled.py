"""A program for test_faults: appends until the disk or a limit says no, then tries once more.

Arguments: folder, limit of a file's size in bytes (0: none). Prints what was acknowledged and the
two errors as JSON.
"""

import asyncio
import json
import resource
import signal
import sys
from pathlib import Path

from engine.contracts.event import NoteAdded
from engine.contracts.people import ENGINE
from engine.journal.writer import Journal, JournalFailed


async def fill(folder: Path) -> None:
    journal = Journal.open(
        folder, commit_interval_ms=0, segment_lines=10_000, clock_us=lambda: 1
    ).journal
    told: dict[str, int] = {}
    errors: list[str] = []

    async def caller(number: int) -> None:
        for turn in range(10_000):
            text = f"{number}/{turn}"
            events = [NoteAdded(session_id="abcdefabcdef", text=text)]
            try:
                records = await journal.append(ENGINE, events)
            except JournalFailed as error:
                errors.append(error.line())
                return
            told[text] = records[0].seq

    await asyncio.gather(*(caller(number) for number in range(5)))
    await caller(6)
    sys.stdout.write(json.dumps({"told": told, "errors": errors, "size": journal.size}))
    journal.close()


def main() -> None:
    limit = int(sys.argv[2])
    if limit:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    asyncio.run(fill(Path(sys.argv[1])))


if __name__ == "__main__":
    main()
