"""The reviewer's first screen: what this terminal waits for, and joining the session.

Joining gives the engine a fresh nonce of this process, so that no packet can have been made before
the reviewer was there.
"""

from __future__ import annotations

from collections.abc import Iterable

from textual.content import Content
from textual.widget import Widget

from engine.contracts.session import END_STATES, Limits
from screens.base import PeakScreen
from screens.charter import LIMIT_FIELDS
from screens.checklist import tally
from screens.draw import (
    BLANK,
    clock,
    countdown,
    either,
    join,
    mark,
    table,
    text,
    title,
    wrap,
)
from screens.lines import Lines
from screens.model import Model
from screens.words import SESSIONS, mark_of


def waiting_rows(model: Model, width: int) -> list[Content]:
    """Session, charter in short, whether joined."""
    session = model.session
    if session is None:
        return wrap(
            "No session yet. The operator writes the charter; this terminal joins by itself.", width
        )
    charter = session.charter
    left = charter.window_until_us - model.now_us
    window = f"{clock(charter.window_from_us)}Z to {clock(charter.window_until_us)}Z"
    joined = "✔ you have joined" if session.reviewer_joined else "□ joining"
    rows = [
        join(mark(mark_of(SESSIONS, session.state)), text(f"  {session.id}", "quiet")),
        text(joined, "plain" if session.reviewer_joined else "soon"),
        BLANK,
        _pair("mode", charter.mode.value),
        _pair("venue, account", f"{charter.venue}, {charter.account}"),
        _pair("instruments", ", ".join(charter.instruments)),
        _pair("operator", charter.operator),
        _pair("window", f"{window}, {countdown(left)} left"),
        _pair("runbook", charter.runbook),
        _pair("purpose", charter.purpose),
    ]
    if session.checklist:
        rows.append(join(text("your checklist  ", "quiet"), tally(session, model.role)))
    if session.state in END_STATES:
        rows.append(text("This session has ended.", "loud"))
    return [*rows, *limit_columns(charter.limits, width)]


def limit_columns(limits: Limits, width: int) -> list[Content]:
    """The charter's limits in three columns: what the reviewer's own readings come from."""
    gap = 2
    third = (width - 2 * (gap + 1)) // 3
    cells = [
        either(text(field.label, "quiet"), text(getattr(limits, field.name)), third)
        for field in LIMIT_FIELDS
    ]
    return [
        table([tuple(cells[first : first + 3])], (third + gap, third + gap, third), "lll")[0]
        for first in range(0, len(cells), 3)
    ]


def _pair(label: str, value: str) -> Content:
    return join(text(f"{label:<16}", "quiet"), text(value))


class WaitingScreen(PeakScreen):
    """F2 of the reviewer."""

    NAME = "waiting"

    def body(self) -> Iterable[Widget]:
        """Rows."""
        yield Lines(id="waiting-title")
        yield Lines(id="waiting-rows")

    def show_body(self, model: Model) -> None:
        """The rows."""
        self.lines("waiting-title").show(lambda width, _h: [title("Review", width)])
        self.lines("waiting-rows").show(lambda width, _h: waiting_rows(model, width))
