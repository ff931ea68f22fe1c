"""Printing: text with everything from outside made harmless, or JSON and nothing else."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from peakctl.client.printable import printable


def say(*lines: str) -> None:
    """Print each as one line on standard output; control and bidi characters are escaped."""
    for line in lines:
        sys.stdout.write(printable(line) + "\n")
    sys.stdout.flush()


def complain(line: str) -> None:
    """Print one error line on standard error."""
    sys.stderr.write(f"peakctl: {printable(line)}\n")
    sys.stderr.flush()


def say_json(value: object) -> None:
    """Print one JSON document on standard output; what a terminal could act on is escaped."""
    import msgspec  # noqa: PLC0415

    sys.stdout.write(_harmless(msgspec.json.encode(value).decode()) + "\n")
    sys.stdout.flush()


def _harmless(document: str) -> str:
    """The same JSON with JSON's own escapes: what is not printable stands inside strings only."""
    if document.isprintable():
        return document
    return "".join(one if one.isprintable() else json.dumps(one)[1:-1] for one in document)


def table(rows: Iterable[Sequence[str]], header: Sequence[str] = ()) -> list[str]:
    """Rows as aligned text; widths are those of the escaped cells."""
    cells = [[printable(str(cell)) for cell in row] for row in rows]
    if header:
        cells.insert(0, list(header))
    if not cells:
        return []
    widths = [max(len(row[column]) for row in cells) for column in range(len(cells[0]))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in cells
    ]


def answer_rows(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    """What SQL answered, as aligned text; no value is NULL, as in the question."""
    cells = (["NULL" if cell is None else str(cell) for cell in row] for row in rows)
    return table(cells, columns)


def named_rows(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> list[dict[str, object]]:
    """Rows as JSON objects; a column whose name was there before gets its number behind it."""
    names: list[str] = []
    for number, name in enumerate(columns, 1):
        names.append(name if name not in names else f"{name}:{number}")
    return [dict(zip(names, row, strict=True)) for row in rows]


def utc(at_us: int | None) -> str:
    """A time as text, UTC to the millisecond; `-` when unknown."""
    if at_us is None:
        return "-"
    moment = datetime.fromtimestamp(at_us / 1_000_000, tz=UTC)
    return moment.strftime("%Y-%m-%d %H:%M:%S.") + f"{at_us // 1000 % 1000:03d}Z"
