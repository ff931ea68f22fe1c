"""I2, I3, I7: every operation under every fault, running on and killed; three sides always agree.

The suite plays the column "running" whole (but for the wipes, one of which is drawn) and a drawn
share of the column "killed". `python -m tests.faults.matrix` plays all of it and prints the counts.
"""

from __future__ import annotations

from collections import Counter
from itertools import product
from pathlib import Path

import pytest

from tests.faults.matrix.exchange import fault_names
from tests.faults.matrix.plays import PLAYS
from tests.faults.matrix.report import Outcome, details, grid, totals
from tests.faults.matrix.sides import CANCELED, EXPIRED, FILLED, NONE, OPEN
from tests.faults.matrix.sittings import KILLED_IN_SUITE, Sitting, share, sit, whole
from tests.faults.matrix.stage import Played
from tests.faults.matrix.table import CELLS, FAULTS, OPERATIONS

SHARE = share()


def test_the_table_has_every_operation_under_every_fault_once() -> None:
    rows = [(cell.operation, cell.fault) for cell in CELLS]
    assert Counter(rows) == Counter(product(OPERATIONS, FAULTS))
    assert len(rows) == 5 * 13


def test_every_row_arms_a_fault_that_can_be_seen_to_happen_and_says_how_it_may_end() -> None:
    for cell in CELLS:
        assert fault_names(cell.arm), cell.name
        assert cell.ends, cell.name
        assert cell.ends <= {OPEN, FILLED, CANCELED, EXPIRED, NONE}, cell.name
        assert cell.play in PLAYS, cell.name
        assert cell.how, cell.name


def test_the_whole_has_each_cell_running_and_killed() -> None:
    played = [(one.kill, cell.name) for one in whole() for cell in one.cells]
    assert Counter(played) == Counter(product((False, True), (cell.name for cell in CELLS)))


def test_the_share_has_all_that_runs_on_and_draws_the_rest() -> None:
    played = Counter((one.kill, cell.name) for one in SHARE for cell in one.cells)
    assert max(played.values()) == 1
    assert {(False, cell.name) for cell in CELLS if not cell.wiped} <= set(played)
    assert sum(one.kill for one in SHARE for _ in one.cells) > KILLED_IN_SUITE
    assert share(1) == share(1)
    assert share(1) != share(2)


def test_the_printed_matrix_shows_counts_and_failures() -> None:
    agreed, failed = CELLS[0], CELLS[1]
    played = Played(agreed, killed=True, orders=3, fired=7, fills=2, seconds=1.25, ends=(OPEN,))
    outcomes = [Outcome(failed, killed=False, played=None, failure="an order too many")]
    outcomes.append(Outcome(agreed, killed=True, played=played))
    lines = details(outcomes).splitlines()
    assert lines[1].split()[:9] == [
        "submit",
        "x",
        "timeout",
        "killed",
        "3",
        "7",
        "2",
        "1.2",
        "open",
    ]
    assert "FAILED" in lines[2]
    rows = grid(outcomes).splitlines()
    assert len(rows) == 1 + len(OPERATIONS)
    assert rows[1].split()[:3] == ["submit", "-/ok", "FAILED/-"]
    assert totals(outcomes, 65, 9.0).startswith(
        "1 of 130 cells agree, 1 failed; 3 orders, 7 faults"
    )


@pytest.mark.parametrize("sitting", SHARE, ids=str)
async def test_three_sides_agree(sitting: Sitting, tmp_path: Path) -> None:
    played = await sit(sitting, tmp_path / "w")
    assert [one.cell for one in played] == list(sitting.cells)
    assert all(one.fired and one.orders for one in played), details(
        [Outcome(one.cell, one.killed, one) for one in played]
    )
