"""The printed kill matrix: one line a cell with verdict and times, then the totals. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tests.faults.kill_matrix.ground import Played
from tests.faults.kill_matrix.table import CELLS, Cell

_COLUMNS = (
    ("cause", 10),
    ("engine", 11),
    ("venue", 10),
    ("verdict", 11),
    ("empty s", 7),
    ("proven s", 8),
    ("said loud", 9),
    ("result", 0),
)


@dataclass(frozen=True)
class Outcome:
    """One cell: what it came to, or why it failed."""

    cell: Cell
    played: Played | None
    failure: str = ""


def lines(outcomes: Sequence[Outcome]) -> str:
    """One line for each cell, in the order of the table."""
    told = [_line([name for name, _ in _COLUMNS])]
    for one in sorted(outcomes, key=lambda outcome: CELLS.index(outcome.cell)):
        cell, played = one.cell, one.played
        counts = ["-"] * 4
        if played is not None:
            said = "UNCONFIRMED" if played.loud else ""
            counts = [played.verdict, _seconds(played.empty_s), _seconds(played.proven_s), said]
        result = f"FAILED: {one.failure[:160]}" if one.failure else "true"
        told.append(_line([cell.cause, cell.engine, cell.venue, *counts, result]))
    return "\n".join(told)


def totals(outcomes: Sequence[Outcome], seconds: float) -> str:
    """The last line."""
    good = [one.played for one in outcomes if one.played is not None and not one.failure]
    failed = sum(bool(one.failure) for one in outcomes)
    proven = sum(one.verdict == "PROVEN" for one in good)
    slowest = max((one.empty_s or 0.0 for one in good), default=0.0)
    return (
        f"{len(good)} of {len(outcomes)} cells hold, {failed} failed ({len(CELLS)} are possible); "
        f"{proven} PROVEN, none falsely; slowest empty book {slowest:.1f} s; {seconds:.0f} s"
    )


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _line(words: Sequence[str]) -> str:
    shown = [
        word if width == 0 else word.ljust(width)
        for word, (_, width) in zip(words, _COLUMNS, strict=True)
    ]
    return "  ".join(shown).rstrip()
