"""Text that is safe to show and times that read the same everywhere. Pure."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import lru_cache

_LONGEST = 500

#: What would be read as markup inside a line of Markdown; a backslash first of all, which would
#: take away the one that stands before the mark after it.
_MARKS = str.maketrans({mark: f"\\{mark}" for mark in "\\|<`[*~"})
#: An underscore inside a word is no mark, as in names of ours.
_EDGE = re.compile(r"(?<![^\W_])_|_(?![^\W_])")
#: What would begin a heading, a list, a quotation or a rule where a point begins.
_BEGINS = re.compile(r"[0-9]{1,9}(?=[.)])|(?=[#>+=-])")

#: What a spreadsheet reads as a formula when a cell begins with it.
_FORMULAS = tuple("=+-@")


def stamp(ts_us: int) -> str:
    """µs UTC as `2024-08-09T00:00:01.000250Z`."""
    seconds, rest = divmod(ts_us, 1_000_000)
    return f"{_second(seconds)}.{rest:06d}Z"


@lru_cache(maxsize=64)
def _second(seconds: int) -> str:
    """A second, of which a busy session has hundreds of events."""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}"


def printable(text: str) -> str:
    """One line of at most 500 characters, control and bidi characters as escapes."""
    shown = text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
    if shown.isprintable():
        return shown
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode("ascii")
        for char in shown
    )


def plain_cell(text: str) -> str:
    """Text of somebody else's for a cell of a CSV file: no spreadsheet takes it for a formula."""
    shown = printable(text)
    return f"'{shown}" if shown[:1] in _FORMULAS else shown


def plain_line(text: str) -> str:
    """One line for a Markdown table: `printable`, with pipes and markup escaped."""
    line = printable(text).translate(_MARKS)
    return _EDGE.sub(r"\\_", line) if "_" in line else line


def plain_item(text: str) -> str:
    """`plain_line` for where a point of a list begins: nothing of the text makes a block."""
    line = plain_line(text)
    begin = _BEGINS.match(line)
    return line if begin is None else f"{begin[0]}\\{line[begin.end() :]}"
