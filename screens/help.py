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
    "□ open   ◇ waits for you   ‖ paused   ? unknown   ! must be fresh at go"
)

#: Keys that belong to no action: they move.
_MOVING = (
    ("Tab", "to the next field or list; shift+Tab back"),
    ("▲ ▼ PgUp PgDn", "through a list or a long text"),
    ("Esc", "closes a dialog without doing anything"),
)
_KEYS = 15


def help_rows(screen: str, role: str, width: int) -> Sequence[Content]:
    """Every key of this screen and role, what it does, and which ask before they do it."""
    rows = actions_of(screen, role)
    mine = [row for row in rows if row.screens != EVERYWHERE]
    shared = [row for row in rows if row.screens == EVERYWHERE]
    lines: list[Content] = []
    if mine:
        lines += [title(f"On this screen ({screen})", width), *_keys(mine, width), BLANK]
    if screen == "live" and role == "operator":
        lines[1:1] = _row("C / Del", "cancel the marked order", width)
    lines += [title("Everywhere", width), *_keys(shared, width)]
    lines += [row for keys, words in _MOVING for row in _row(keys, words, width)]
    lines.append(BLANK)
    lines += [title("Shapes", width), *wrap(_SHAPES, width)]
    lines += wrap("From any shell: `peakctl kill` stops everything without this console.", width)
    return lines


def _keys(rows: Sequence[Action], width: int) -> list[Content]:
    found: list[Content] = []
    for row in rows:
        found += _row(
            keys_of(row), row.description + (" (asks or signs)" if row.dangerous else ""), width
        )
    return found


def _row(keys: str, words: str, width: int) -> list[Content]:
    """The keys once, the words on as many rows as they need."""
    rows = wrap(words, width - _KEYS) or [BLANK]
    lead = [text(keys, "accent"), *(BLANK for _ in rows[1:])]
    return [join(cell(first, _KEYS), row) for first, row in zip(lead, rows, strict=True)]


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
