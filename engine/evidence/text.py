"""Text that is safe to show and times that read the same everywhere. Pure."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache

_LONGEST = 500

#: What would be read as markup in a Markdown table.
_MARKS = str.maketrans({mark: f"\\{mark}" for mark in "|<`["})


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


def plain_line(text: str) -> str:
    """One line for a Markdown table: `printable`, with pipes and markup escaped."""
    return printable(text).translate(_MARKS)
