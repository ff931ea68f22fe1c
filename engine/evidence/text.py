"""Text that is safe to show and times that read the same everywhere. Pure."""

from __future__ import annotations

from datetime import UTC, datetime

_LONGEST = 500


def stamp(ts_us: int) -> str:
    """µs UTC as `2024-08-09T00:00:01.000250Z`."""
    moment = datetime.fromtimestamp(ts_us // 1_000_000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{ts_us % 1_000_000:06d}Z"


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
    safe = printable(text)
    for mark in "|<`[":
        safe = safe.replace(mark, f"\\{mark}")
    return safe
