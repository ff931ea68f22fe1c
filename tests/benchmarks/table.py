"""Rows of a benchmark and the one table they are printed as.

A row is `(name, ours, bare, ratio, owed)`, all text. `owed` begins with what must hold, such as
`<= 1.5 x` (judged by the ratio), `< 20 ms` or `>= 100,000 events/s` (judged by our figure); any
other text is a figure that is only reported. So the judgement is read off what the table says.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

Row = tuple[str, str, str, str, str]

_OWED = re.compile(r"(<=|>=|<|>)\s*([0-9][0-9,.]*)( x\b)?")
_NUMBER = re.compile(r"-?[0-9][0-9,]*(\.[0-9]+)?")
_HEADINGS = ("what", "ours", "bare", "ratio", "owed", "met")


def percentile(values: Sequence[float], share: float) -> float:
    """The value that `share` (0 to 1) of the sorted values do not exceed (nearest rank)."""
    ranked = sorted(values)
    return ranked[min(len(ranked) - 1, int(len(ranked) * share))]


def median(values: Sequence[float]) -> float:
    """The middle value."""
    return percentile(values, 0.5)


def compared(name: str, ours: float, bare: float, owed: str, digits: int = 2) -> Row:
    """A row of two figures of the same unit."""
    ratio = f"{ours / bare:.2f}" if bare else "-"
    return name, f"{ours:,.{digits}f}", f"{bare:,.{digits}f}", ratio, owed


def alone(name: str, ours: float, owed: str, digits: int = 2) -> Row:
    """A row that has nothing beside it."""
    return name, f"{ours:,.{digits}f}", "-", "-", owed


def met(row: Row) -> str:
    """`yes` or `no` where something is owed in figures, else `-`."""
    _name, ours, _bare, ratio, owed = row
    found = _OWED.match(owed)
    shown = _NUMBER.match(ratio if found and found[3] else ours)
    if found is None or shown is None:
        return "-"
    value, limit = (float(text.replace(",", "")) for text in (shown[0], found[2]))
    holds = {"<=": value <= limit, ">=": value >= limit, "<": value < limit, ">": value > limit}
    return "yes" if holds[found[1]] else "no"


def render(rows: Iterable[Row]) -> str:
    """The table, columns aligned, figures to the right."""
    lines = [_HEADINGS, *((*row, met(row)) for row in rows)]
    widths = [max(len(line[at]) for line in lines) for at in range(len(_HEADINGS))]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if 1 <= at <= 3 else cell.ljust(width)
            for at, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def peak_memory_mib(pid: int | str = "self") -> float:
    """The most resident memory the process ever had, MiB."""
    return _memory_mib(pid, "VmHWM")


def forget_peak() -> None:
    """Let the peak of this process begin anew from what it has now."""
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def memory_mib(pid: int | str = "self") -> float:
    """The resident memory of the process now, MiB."""
    return _memory_mib(pid, "VmRSS")


def _memory_mib(pid: int | str, field: str) -> float:
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    found = re.search(rf"{field}:\s+([0-9]+) kB", status)
    return int(found[1]) / 1024 if found else 0.0
