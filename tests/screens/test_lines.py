"""Rows repaint the columns that changed, and no others."""

from __future__ import annotations

import pytest
from textual.content import Content

from screens.lines import changed_columns
from tests.screens import conftest as data

RED = "red"


@pytest.mark.parametrize(
    ("new", "old", "columns"),
    [
        (Content("bid 61,000.10"), Content("bid 61,000.11"), (12, 13)),
        (Content("bid 61,000"), Content("ask 61,000"), (0, 3)),
        (Content("short"), Content("short and more"), (6, 14)),
        (Content.styled("up 1", RED), Content("up 1"), (0, 4)),
        (Content("a ") + Content.styled("b", RED), Content("a ") + Content("b"), (2, 3)),
        (Content("same"), Content("same"), (0, 0)),
        (Content("漢 1"), Content("漢 2"), (0, 20)),
        (Content("x" * 30 + "1"), Content("x" * 30 + "2"), (0, 20)),
        (Content("1         2"), Content("3         4"), (0, 11)),
    ],
    ids=["digit", "word", "shorter", "style", "part", "same", "wide", "cut", "two"],
)
def test_from_the_first_changed_column_to_the_last(
    new: Content, old: Content, columns: tuple[int, int]
) -> None:
    assert changed_columns(new, old, 20) == columns


async def test_no_frame_lacks_the_kill_line(operator) -> None:
    async with data.staged(operator) as stage:
        await stage.show(data.LIVE)
        line = stage.app.screen.query_one("#kill")
        line._rows, line._drawn_size = [], (-1, -1)  # as before the first resize of a new screen
        assert "KILL" in line.render_line(0).text
