"""The checklist, challenge and response: one item is current, always marked.

Automatic items run a probe and cannot be ticked by hand. Manual items want a value. Each role sees
only its own answers, so that the reviewer reads with own eyes (blind); of the other role only
how many are answered.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar

from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.types import CSSPathType
from textual.widget import Widget
from textual.widgets import Input, Label

from engine.contracts.errors import Refused
from engine.contracts.session import ItemKind, ItemResult, SessionState
from engine.contracts.view import ItemView, SessionView
from screens.base import BASE_CSS, PeakScreen
from screens.charter import ask_abort
from screens.draw import cell, clock, join, mark, text, title, wrap
from screens.lines import Lines, Picker
from screens.model import Model
from screens.words import GIVEN, ITEMS, Mark, mark_of


def items_of(session: SessionView | None, role: str) -> tuple[ItemView, ...]:
    """The items of a role, in the runbook's order."""
    return tuple(item for item in session.checklist if item.role == role) if session else ()


def first_open(items: Sequence[ItemView]) -> str:
    """The id of the first item that waits for this person, or of the last one."""
    for item in items:
        if item.result is not ItemResult.PASS and not waits_for_other(item):
            return item.id
    return items[-1].id if items else ""


def waits_for_other(item: ItemView) -> bool:
    """Whether it was answered blind and the other has not answered yet."""
    return item.result is ItemResult.OPEN and bool(item.by)


def mark_of_item(item: ItemView) -> Mark:
    """Shape and word of an item: its result, or that it is given and waits for the other's."""
    return GIVEN if waits_for_other(item) else mark_of(ITEMS, item.result)


def item_rows(items: Sequence[ItemView], selected: str, width: int) -> list[Content]:
    """One row an item: pointer, result, kind, title, value."""
    value_width = max(14, min(40, width // 4))
    room = width - 2 - 7 - 5 - value_width - 3
    rows = []
    for item in items:
        here = item.id == selected
        pointer = text("▶ ", "accent") if here else text("  ")
        kind = "auto" if item.kind is ItemKind.AUTO else "you"
        star = "! " if item.critical else ""
        name = text(star + item.title, "loud" if here else "plain")
        value = text(item.value, "plain" if item.result is ItemResult.PASS else "soon")
        parts = [
            cell(mark(mark_of_item(item)), 7),
            cell(text(kind, "quiet"), 5),
            cell(name, room),
            cell(value, value_width),
        ]
        rows.append(join(pointer, Content(" ").join(parts)))
    return rows


def detail_rows(item: ItemView | None, width: int) -> list[Content]:
    """The current item in full: title, hint, result with its detail, who and when."""
    if item is None:
        return [text("No items for you here.", "quiet")]
    rows = wrap(item.title, width, "loud", most=2)
    if item.hint:
        rows += wrap(item.hint, width, "quiet", most=2)
    result = mark(mark_of_item(item))
    when = f" {item.by} {clock(item.answered_us)}Z" if item.answered_us is not None else ""
    rows.append(join(result, text(f"  {item.value}" if item.value else ""), text(when, "quiet")))
    if item.detail:
        rows += wrap(item.detail, width, "plain", most=2)
    return rows


def tally(session: SessionView | None, role: str) -> Content:
    """How many of mine are passed, how many of the other's are answered (never what)."""
    mine = items_of(session, role)
    other = "reviewer" if role == "operator" else "operator"
    theirs = items_of(session, other)
    passed = sum(item.result is ItemResult.PASS for item in mine)
    answered = sum(item.result is not ItemResult.OPEN or bool(item.by) for item in theirs)
    given = sum(waits_for_other(item) for item in mine)
    words = f"{passed} of {len(mine)} passed" + (f", {given} given" if given else "")
    if theirs:
        words += f" · {other} {answered} of {len(theirs)} answered"
    return text(words, "loud" if mine and passed == len(mine) else "plain")


def void_rows(session: SessionView | None, width: int) -> list[Content]:
    """Why the last packet counts no more, when it was voided."""
    if session is None or session.go.stage != "void":
        return []
    return wrap(f"the packet is void: {session.go.reason}", width, "soon", most=2)


class ChecklistScreen(PeakScreen):
    """F3: the items and the answer line."""

    NAME = "checklist"
    CSS_PATH: ClassVar[CSSPathType | None] = [BASE_CSS, "checklist.tcss"]
    BINDINGS = [("up", "move(-1)", "Up"), ("down", "move(1)", "Down")]  # noqa: RUF012

    def __init__(self, role: str) -> None:
        super().__init__(role)
        self._followed = ""

    def body(self) -> Iterable[Widget]:
        """Items above, the current one and its answer below."""
        yield Lines(id="check-title")
        with VerticalScroll(id="check-scroll", can_focus=False):
            yield Picker(id="check-items")
        yield Lines(id="check-rule")
        yield Lines(id="check-detail")
        with Horizontal(id="check-line"):
            yield Label("answer", markup=False)
            box = Input(id="check-answer", compact=True, max_length=200)
            box.cursor_blink = False
            yield box

    def on_mount(self) -> None:
        """The cursor waits in the answer."""
        self.query_one("#check-answer").focus()

    @property
    def picker(self) -> Picker:
        """The list."""
        return self.query_one("#check-items", Picker)

    def current(self) -> ItemView | None:
        """The marked item."""
        items = items_of(self.model.session, self.role)
        return next((item for item in items if item.id == self.picker.selected), None)

    def show_body(self, model: Model) -> None:
        """Items, tally, current item."""
        items = items_of(model.session, self.role)
        self.picker.offer([item.id for item in items])
        self._follow(items)
        selected = self.picker.selected
        self.picker.show(lambda width, _h: item_rows(items, selected, width))
        self.lines("check-title").show(
            lambda width, _h: [
                title("Checklist", width, tally(model.session, self.role)),
                *void_rows(model.session, width),
            ]
        )
        self.lines("check-rule").show(lambda width, _h: [text("─" * width, "quiet")])
        item = self.current()
        self.lines("check-detail").show(lambda width, _h: detail_rows(item, width))
        self._show_answer_line(item)
        self.query_one("#check-scroll", VerticalScroll).scroll_to(
            y=max(0, self._index() - 3), animate=False
        )

    def _index(self) -> int:
        picker = self.picker
        return picker.keys.index(picker.selected) if picker.selected in picker.keys else 0

    def _follow(self, items: Sequence[ItemView]) -> None:
        """Move on by itself when the current item passed; stay where the person moved."""
        target = first_open(items)
        if target != self._followed:
            self._followed = target
            self.picker.selected = target

    def _show_answer_line(self, item: ItemView | None) -> None:
        box = self.query_one("#check-answer", Input)
        auto = item is not None and item.kind is ItemKind.AUTO
        hint = "Enter runs this check" if auto else "type what you read, then Enter"
        if box.placeholder != hint:
            box.placeholder = hint

    def action_move(self, step: int) -> None:
        """Mark another item."""
        self.picker.action_move(step)
        self.show_body(self.model)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Answer the marked item, or run its probe."""
        event.stop()
        item, words = self.current(), event.value.strip()
        if item is None:
            self.desk.act(self._begin())
        elif item.kind is ItemKind.AUTO:
            self.desk.act(self._probe(item.id))
        elif not words:
            self.desk.say("An answer is a value that you read, not an empty line.", "soon")
        else:
            event.input.value = ""
            self.desk.act(self._answer(item, words))

    async def _begin(self) -> str:
        session = self.model.session
        if session is None or session.state is not SessionState.CHARTER:
            return "There is nothing to answer here now."
        await self.desk.client.start_checklist()
        return "The checklist is open."

    async def _answer(self, item: ItemView, words: str) -> str:
        state = await self.desk.client.answer(item.id, self.role, words)
        now = next((row for row in items_of(state.session, self.role) if row.id == item.id), item)
        if now.result is ItemResult.FAIL:
            raise Refused(what=f"{words!r} is not it: {now.detail}", where=item.title)
        return f"Answered: {item.title}: {words}"

    async def _probe(self, item_id: str) -> str:
        await self.desk.client.probe(item_id)
        return "Automatic items were run." if not item_id else "The check was run."

    def action_probe_all(self) -> None:
        """Run all automatic items."""
        self.desk.act(self._probe(""))

    def action_abort(self) -> None:
        """End the session with a reason."""
        ask_abort(self)
