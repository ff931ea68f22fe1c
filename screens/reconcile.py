"""Stop and reconciliation: three sides compared, each break classed, answered, and signed.

The report that is signed is hashed here from its own bytes; a yellow or red break needs an answer
before the engine takes a signature.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import ClassVar

from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.types import CSSPathType
from textual.widget import Widget
from textual.widgets import Input, Label

from engine.contracts.documents import Namespace, Purpose
from engine.contracts.errors import IntegrityError, Refused
from engine.contracts.session import SessionState
from engine.contracts.view import BreakView, ReconView, SessionView
from screens.base import BASE_CSS, PeakScreen
from screens.draw import cell, join, mark, text, title, wrap
from screens.dual import ask_and_sign
from screens.lines import Lines, Picker
from screens.model import Model
from screens.words import BREAKS, SESSIONS, mark_of

_BEFORE = {SessionState.LIVE, SessionState.PAUSED}


def summary_rows(session: SessionView | None, width: int) -> list[Content]:
    """What was compared, how many breaks of each class, who signed."""
    recon = session.recon if session else None
    if session is None or recon is None:
        return wrap(_waiting_words(session), width)
    compared = ", ".join(f"{count} {name}" for name, count in recon.compared.items())
    signed = ", ".join(recon.signed_by) or "nobody yet"
    same = hashlib.sha256(recon.report.encode()).hexdigest() == recon.report_sha256
    check = "✔ report hashed here, equal" if same else "✖ HASH DIFFERS: do not sign"
    return [
        cell(text(f"compared {compared}"), width),
        cell(
            join(
                text("signed by ", "quiet"),
                text(signed, "loud"),
                "  ",
                text(check, "quiet" if same else "now"),
            ),
            width,
        ),
    ]


def class_counts(recon: ReconView | None) -> Content:
    """How many breaks of each class, by word and shape."""
    if recon is None:
        return text("not run", "quiet")
    if not recon.breaks:
        return text("✔ no breaks", "loud")
    parts = []
    for klass, state in BREAKS.items():
        count = sum(row.klass == klass for row in recon.breaks)
        if count:
            parts.append(text(f"{state.shape} {count} {state.word}", state.tone))
    return Content("  ").join(parts)


def break_rows(breaks: Sequence[BreakView], selected: str, width: int) -> list[Content]:
    """One row a break: class, subject, key, and whether it has an answer."""
    rows = []
    for row in breaks:
        here = row.id == selected
        pointer = text("▶ ", "accent") if here else text("  ")
        answered = text("✔ answered", "quiet") if row.answer else text("□ no answer", "soon")
        if row.klass == "green":
            answered = text("· needs none", "quiet")
        parts = [
            cell(mark(mark_of(BREAKS, row.klass)), 9),
            cell(text(row.subject), 10),
            cell(text(row.key, "loud" if here else "plain"), max(8, width - 2 - 9 - 10 - 12 - 3)),
            cell(answered, 12),
        ]
        rows.append(join(pointer, Content(" ").join(parts)))
    return rows


def break_detail(row: BreakView | None, width: int) -> list[Content]:
    """The three sides of the marked break, its cause and answer."""
    if row is None:
        return []
    rows = [
        join(cell(text(name, "quiet"), 9), cell(text(value), max(1, width - 9)))
        for name, value in (("engine", row.engine), ("journal", row.journal), ("venue", row.venue))
    ]
    rows += wrap(f"cause: {row.cause}", width, "plain", most=2)
    if row.answer:
        rows += wrap(f"answer: {row.answer}", width, "quiet", most=2)
    return rows


def _waiting_words(session: SessionView | None) -> str:
    if session is None:
        return "No session."
    if session.state in _BEFORE:
        return "The session is still trading. F12 stops it: no new orders, cancel, prove."
    if session.state is SessionState.STOPPING:
        return "Stopping: cancelling and proving with the venue."
    if session.state in {SessionState.STOPPED, SessionState.KILLED}:
        return (
            "Stopped. ^R compares engine, journal and venue on orders, fills, fees, positions and"
            " balances."
        )
    return "Nothing to reconcile yet."


class ReconcileScreen(PeakScreen):
    """F6."""

    NAME = "reconcile"
    CSS_PATH: ClassVar[CSSPathType | None] = [BASE_CSS, "reconcile.tcss"]
    BINDINGS = [("up", "move(-1)", "Up"), ("down", "move(1)", "Down"), ("f12", "stop", "Stop")]  # noqa: RUF012

    def body(self) -> Iterable[Widget]:
        """Summary, breaks, the marked one, its answer."""
        yield Lines(id="recon-title")
        yield Lines(id="recon-summary")
        with VerticalScroll(id="recon-scroll", can_focus=False):
            yield Picker(id="recon-breaks")
        yield Lines(id="recon-detail")
        with Horizontal(id="recon-line"):
            yield Label("answer", markup=False)
            box = Input(
                id="recon-answer",
                compact=True,
                max_length=300,
                placeholder="why it is so, then Enter",
            )
            box.cursor_blink = False
            yield box

    def on_mount(self) -> None:
        """The cursor waits in the answer."""
        self.query_one("#recon-answer").focus()

    @property
    def picker(self) -> Picker:
        """The list."""
        return self.query_one("#recon-breaks", Picker)

    @property
    def recon(self) -> ReconView | None:
        """The last reconciliation."""
        return self.model.session.recon if self.model.session else None

    def current(self) -> BreakView | None:
        """The marked break."""
        breaks = self.recon.breaks if self.recon else ()
        return next((row for row in breaks if row.id == self.picker.selected), None)

    def show_body(self, model: Model) -> None:
        """All parts."""
        session, recon = model.session, self.recon
        breaks = recon.breaks if recon else ()
        self.picker.offer([row.id for row in breaks])
        selected, current = self.picker.selected, self.current()
        state = mark_of(SESSIONS, session.state).text if session else ""
        end = join(text(f"{state}  ", "quiet"), class_counts(recon))
        self.lines("recon-title").show(lambda width, _h: [title("Reconciliation", width, end)])
        self.lines("recon-summary").show(lambda width, _h: summary_rows(session, width))
        self.picker.show(lambda width, _h: break_rows(breaks, selected, width))
        self.lines("recon-detail").show(lambda width, _h: break_detail(current, width))
        self.query_one("#recon-line").display = bool(breaks) and self.role == "operator"

    def action_move(self, step: int) -> None:
        """Mark another break."""
        self.picker.action_move(step)
        self.show_body(self.model)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Answer the marked break."""
        event.stop()
        row, recon, words = self.current(), self.recon, event.value.strip()
        if row is None or recon is None or not words:
            self.desk.say("Mark a break and type why it is so.", "soon")
            return
        event.input.value = ""
        self.desk.act(self._answer(recon, row, words))

    async def _answer(self, recon: ReconView, row: BreakView, words: str) -> str:
        if row.klass == "red":
            subject = {"run_id": recon.run_id, "break_ids": row.id}
            return await ask_and_sign(self.desk, self.role, Purpose.CLOSE_BREAK, subject, words)
        await self.desk.client.answer_break(recon.run_id, row.id, words)
        self.action_move(1)
        return f"Answered {row.subject} {row.key}."

    def action_stop(self) -> None:
        """Wind the session down from here as well."""
        if self.role == "operator":
            self.desk.act(self._stop())

    async def _stop(self) -> str:
        session = self.model.session
        if session is None or session.state not in _BEFORE:
            raise Refused(what="there is nothing to stop")
        await self.desk.client.stop("from the reconciliation screen")
        return "Stopping: cancelling and proving."

    def action_run_recon(self) -> None:
        """Compare the three sides."""
        self.desk.act(self._run())

    async def _run(self) -> str:
        recon = await self.desk.client.run_recon()
        if not recon.breaks:
            return "Compared: no break. Sign with ^S."
        return "Compared. Answer each yellow break, the red ones as two people; then sign with ^S."

    def action_sign_recon(self) -> None:
        """Sign the report's bytes."""
        self.desk.act(self._sign())

    async def _sign(self) -> str:
        recon = self.recon
        if recon is None:
            raise Refused(what="there is no report to sign", todo="run it with ^R")
        report = recon.report.encode()
        sha256 = hashlib.sha256(report).hexdigest()
        if sha256 != recon.report_sha256:
            raise IntegrityError(what="the report's hash differs from the engine's")
        role = Namespace.RECON if self.role == "operator" else Namespace.RECON_REVIEW
        signature = await self.desk.tools.sign(role, report)
        await self.desk.client.sign_recon(sha256, signature)
        return "The report is signed."
