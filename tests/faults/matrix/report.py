"""The printed matrix: one line a cell with its counts, then the grid at a glance. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tests.faults.matrix.stage import Played
from tests.faults.matrix.table import FAULTS, OPERATIONS, Cell

_COLUMNS = (
    ("cell", 20),
    ("column", 8),
    ("orders", 6),
    ("faults", 6),
    ("fills", 5),
    ("s", 5),
    ("orders ended", 18),
    ("verdict", 7),
    ("what happens", 0),
)


@dataclass(frozen=True)
class Outcome:
    """One cell in one column: what was counted, or why it failed."""

    cell: Cell
    killed: bool
    played: Played | None
    failure: str = ""


def details(outcomes: Sequence[Outcome]) -> str:
    """One line for each cell and column, in the order of the table."""
    lines = [_line([name for name, _ in _COLUMNS])]
    order = [(operation, fault) for operation in OPERATIONS for fault in FAULTS]
    for one in sorted(
        outcomes, key=lambda o: (order.index((o.cell.operation, o.cell.fault)), o.killed)
    ):
        played = one.played
        counts = (
            [
                str(played.orders),
                str(played.fired),
                str(played.fills),
                f"{played.seconds:.1f}",
                " ".join(sorted(set(played.ends))),
            ]
            if played
            else ["-"] * 5
        )
        verdict = "FAILED" if one.failure else "agree"
        column = "killed" if one.killed else "running"
        lines.append(_line([one.cell.name, column, *counts, verdict, one.cell.how]))
    return "\n".join(lines)


def grid(outcomes: Sequence[Outcome]) -> str:
    """Operations by faults: `running/killed`, each ok, FAILED or a dash for not played."""
    words: dict[tuple[str, str, bool], str] = {}
    for one in outcomes:
        key = (one.cell.operation, one.cell.fault, one.killed)
        words[key] = "FAILED" if one.failure or words.get(key) == "FAILED" else "ok"
    lines = ["".ljust(8) + "".join(fault.rjust(11) for fault in FAULTS)]
    for operation in OPERATIONS:
        cells = [
            "/".join(words.get((operation, fault, killed), "-") for killed in (False, True))
            for fault in FAULTS
        ]
        lines.append(operation.ljust(8) + "".join(cell.rjust(11) for cell in cells))
    return "\n".join(lines)


def totals(outcomes: Sequence[Outcome], rows: int, seconds: float) -> str:
    """The last line."""
    good = [one.played for one in outcomes if one.played is not None and not one.failure]
    failed = sum(bool(one.failure) for one in outcomes)
    return (
        f"{len(good)} of {2 * rows} cells agree, {failed} failed; "
        f"{sum(one.orders for one in good)} orders, {sum(one.fired for one in good)} faults, "
        f"{sum(one.fills for one in good)} fills, "
        f"{sum(one.killed for one in good)} kills; {seconds:.0f} s"
    )


def _line(words: Sequence[str]) -> str:
    """Columns of fixed width; numbers to the right."""
    shown = [
        word if width == 0 else word.rjust(width) if width <= 6 else word.ljust(width)
        for word, (_, width) in zip(words, _COLUMNS, strict=True)
    ]
    return "  ".join(shown).rstrip()
