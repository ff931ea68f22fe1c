"""A pack's writing is killed anywhere: no half pack under a final name, nothing lost, same bytes.

A sample in the suite, the same one each time; all of them with PEAKCTL_EVERY_WRITE=1.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path

#: More calls than a pack has: where the writing comes to its end before it is killed.
CALLS = 260
SAMPLE = 9


def test_a_pack_that_is_killed_at_any_call_is_written_again_and_the_rest_moves_aside(
    tmp_path: Path,
) -> None:
    every = [*range(1, CALLS + 1)]
    points = (
        every if os.environ.get("PEAKCTL_EVERY_WRITE") else random.Random(4).sample(every, SAMPLE)
    )
    points = [1, *points, CALLS]
    done = subprocess.run(
        [sys.executable, "-m", "tests.faults.pack_writes", str(tmp_path), *map(str, points)],
        capture_output=True,
        text=True,
        check=True,
        timeout=570,
        cwd=Path(__file__).parents[2],
    )
    *rows, last = [json.loads(line) for line in done.stdout.splitlines()]
    assert [row["at"] for row in rows] == points
    for row in rows:
        assert not row["half_under_its_name"], row
        assert row["same"], row
        assert ".interrupted-" in row["set_aside"], row
    assert any(row["killed"] for row in rows)
    assert not rows[-1]["killed"], "the list of calls is too short to reach the end"
    assert len({row["set_aside"] for row in rows}) == len(rows), "nothing is written over"
    assert last["asides"] > len(rows), "what was interrupted is still there"
    assert last["verified"]
