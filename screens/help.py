"""Help (F1): the keys of the screen below, then everywhere's, made from the action registry."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from textual.containers import VerticalScroll
from textual.content import Content
from textual.widget import Widget

from peakctl.keys import EVERYWHERE, Action, actions_of, keys_of
from screens.base import PeakModal
from screens.draw import BLANK, cell, join, text, title, wrap
from screens.lines import Lines
from screens.model import Model

_SHAPES = (
    "● live, ready   ■ stopped, act now   ▲ act soon, stale   ✔ pass   ✖ fail, refused   "
    "□ open   ◇ waits for you   ‖ paused   ? unknown"
)


def help_rows(screen: str, role: str, width: int) -> Sequence[Content]:
    """Every key of this screen and role, what it does, and which ask before they do it."""
    rows = actions_of(screen, role)
    mine = [row for row in rows if row.screens != EVERYWHERE]
    shared = [row for row in rows if row.screens == EVERYWHERE]
    lines: list[Content] = []
    if mine:
        lines += [title(f"On this screen ({screen})", width), *_keys(mine, width), BLANK]
    if screen == "live" and role == "operator":
        lines.insert(1, _row("C / Del", "cancel the marked order", width))
    lines += [title("Everywhere", width), *_keys(shared, width), BLANK]
    lines += [title("Shapes", width), *wrap(_SHAPES, width)]
    lines += wrap("From any shell: `peakctl kill` stops everything without this console.", width)
    return lines


def _keys(rows: Sequence[Action], width: int) -> list[Content]:
    return [
        _row(keys_of(row), row.description + (" (asks or signs)" if row.dangerous else ""), width)
        for row in rows
    ]


def _row(keys: str, words: str, width: int) -> Content:
    return cell(join(cell(text(keys, "accent"), 12), text(words)), width)


class Help(PeakModal[None]):
    """The dialog; Escape or F1 closes it."""

    BINDINGS = [("f1", "close", "Close")]  # noqa: RUF012

    def __init__(self, screen: str, role: str) -> None:
        super().__init__()
        self._of = screen
        self._role = role

    def body(self) -> Iterable[Widget]:
        """One scroll of rows."""
        with VerticalScroll(id="help-scroll"):
            yield Lines(id="help-rows")

    def on_mount(self) -> None:
        """Arrows scroll."""
        self.query_one("#help-scroll").focus()

    def show_box(self, model: Model) -> None:
        """The rows."""
        del model
        self.lines("help-rows").show(lambda width, _h: help_rows(self._of, self._role, width))
