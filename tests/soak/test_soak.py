"""The soak, short: half a minute at ten times the recorded market with faults from a seed.

On a machine that is busy with other tests the market may come slower than it should; the table says
what was reached, and the floors below prove that the desk was not idle.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.soak.soak import soak
from tests.soak.verdict import problems

SECONDS = 30.0
FLOOR_FRAMES_A_SECOND = 150
FLOOR_ORDERS = 15
FLOOR_FILLS = 7
FLOOR_FAULTS = 8
FLOOR_KINDS = 5


@pytest.mark.timeout(600)
async def test_half_a_minute_of_ten_times_the_market_with_faults_leaves_no_break(
    tmp_path: Path,
) -> None:
    done = await soak(tmp_path / "w", SECONDS, session_seconds=SECONDS / 2, every_ms=1000)
    print(done.table())  # noqa: T201  (shown when it fails, and with -s)
    assert problems(done) == []
    assert done.sessions >= 2
    assert done.frames_a_second >= FLOOR_FRAMES_A_SECOND
    assert done.submitted >= FLOOR_ORDERS
    assert done.fills >= FLOOR_FILLS
    assert sum(done.drawn.values()) >= FLOOR_FAULTS
    assert len(done.drawn) >= FLOOR_KINDS
