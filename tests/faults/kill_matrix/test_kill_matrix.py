"""The kill under every condition: never a false PROVEN, and the book is empty in the end.

The suite plays a drawn share that always has the order which is hidden from queries and cancels
(for 4 s here). `python -m tests.faults.kill_matrix` plays a set with every pair of conditions, the
hidden one for 30 s, and prints verdicts and times; `--all` plays every combination.
"""

from __future__ import annotations

from collections import Counter
from itertools import product
from pathlib import Path

import pytest

from tests.faults.kill_matrix.ground import Played, play
from tests.faults.kill_matrix.report import Outcome, lines, totals
from tests.faults.kill_matrix.table import (
    ALWAYS,
    ARMS,
    CAUSES,
    CELLS,
    ENGINES,
    UNPROVABLE,
    VENUES,
    Cell,
    impossible,
    pairs,
    share,
)

IN_SUITE = 6
HIDE_S = 4.0
SHARE = share(IN_SUITE)


def test_every_combination_is_a_cell_or_has_a_reason_why_it_cannot_be() -> None:
    every = [Cell(*names) for names in product(CAUSES, ENGINES, VENUES)]
    assert Counter(CELLS) == Counter(cell for cell in every if not impossible(cell))
    assert {cell.cause for cell in CELLS} == set(CAUSES)
    assert {cell.engine for cell in CELLS} == set(ENGINES)
    assert {cell.venue for cell in CELLS} == set(VENUES)
    assert set(ARMS) | {"fine", "hides", "late"} == set(VENUES)
    assert set(VENUES) >= UNPROVABLE


def test_the_pairs_have_every_two_conditions_that_can_meet() -> None:
    def meetings(cells: tuple[Cell, ...]) -> set[tuple[str, str]]:
        found: set[tuple[str, str]] = set()
        for cell in cells:
            found |= {(cell.cause, cell.engine), (cell.cause, cell.venue)}
            found.add((cell.engine, cell.venue))
        return found

    assert meetings(pairs()) == meetings(CELLS)
    assert len(pairs()) < len(CELLS) // 2


def test_the_share_is_drawn_from_a_seed_and_always_hides_an_order() -> None:
    assert SHARE[0] == ALWAYS
    assert len(set(SHARE)) == IN_SUITE
    assert share(IN_SUITE, 1) == share(IN_SUITE, 1)
    assert share(IN_SUITE, 1) != share(IN_SUITE, 2)
    assert len({cell.engine for cell in SHARE}) == IN_SUITE
    assert len({cell.venue for cell in SHARE}) == IN_SUITE


def test_the_printed_matrix_shows_verdicts_times_and_failures() -> None:
    good = Played(ALWAYS, "PROVEN", empty_s=4.1, proven_s=4.25, loud=True, hidden_s=4.0)
    other = Cell("command", "dead", "fine")
    told = lines([Outcome(other, None, "an order was open"), Outcome(ALWAYS, good)])
    first, second = told.splitlines()[1:]
    assert first.split() == [
        *("key", "healthy", "hides", "PROVEN", "4.10", "4.25", "UNCONFIRMED", "true"),
    ]
    assert second.endswith("FAILED: an order was open")
    assert totals([Outcome(ALWAYS, good)], 9.0).startswith("1 of 1 cells hold, 0 failed")


@pytest.mark.parametrize("cell", SHARE, ids=lambda cell: cell.name)
async def test_the_verdict_is_true(cell: Cell, tmp_path: Path) -> None:
    played = await play(cell, tmp_path / "w", HIDE_S)
    if cell == ALWAYS:
        assert played.loud, "nobody was told that it is UNCONFIRMED"
        assert played.proven_s is not None
        assert played.proven_s >= HIDE_S - 1.0
