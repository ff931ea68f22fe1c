"""What waits for two signatures beside the go: read from its own bytes, signed or declined.

Both consoles have it. The document is drawn from the bytes that this process received, hashed and
read; the other person's words come from nowhere else. Who did not ask types the short code that
the asking one reads aloud, and signs only after the document has stood for the minimum dwell. What
was typed for one request is gone when another one is marked.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import ClassVar

from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.types import CSSPathType
from textual.widget import Widget
from textual.widgets import Input, Label

from engine.contracts.documents import Purpose
from engine.contracts.errors import InputError, PeakError, Refused
from engine.contracts.view import DualView
from screens.base import BASE_CSS, GRACE_MS, PeakScreen
from screens.desk import Desk, DualSeen
from screens.draw import BLANK, clock, countdown, join, mark, table, text, title, wrap
from screens.go import code_rows, packet_rows
from screens.lines import Lines, Picker
from screens.model import Model
from screens.words import DUAL_PURPOSES, DUAL_STAGES, mark_of

_LAST_MINUTE_US = 60_000_000


async def ask_and_sign(
    desk: Desk, role: str, purpose: Purpose, subject: Mapping[str, str], reason: str
) -> str:
    """Ask for an act and sign it as the asking person; says what to read to the other one."""
    asked = await desk.client.dual_request(purpose, subject, reason)
    seen = desk.tools.read_dual(asked)
    await _hand_in(desk, role, asked, seen, "")
    other = asked.reviewer if role == "operator" else asked.operator
    return f"Asked and signed. Read to {other}, who signs with ctrl+t: {seen.short_code}"


async def _hand_in(desk: Desk, role: str, one: DualView, seen: DualSeen, typed: str) -> None:
    signature = await desk.tools.sign(seen.namespaces[role], one.document.encode("ascii"))
    await desk.client.dual_sign(
        one.id, seen.sha256, signature, typed_code=typed, signals=desk.tools.signals()
    )


def request_rows(
    rows: Sequence[DualView], selected: str, model: Model, width: int
) -> list[Content]:
    """One line a request, those that wait first."""
    if not rows:
        return [text("● nothing waits for two people", "quiet")]
    lines = []
    for one in rows:
        here = one.id == selected
        waits = one.waits_for(model.person)
        stage = mark_of(DUAL_STAGES, one.stage)
        left = countdown(max(0, one.expires_us - model.now_us)) if one.stage == "pending" else ""
        parts = (
            mark(stage),
            text(DUAL_PURPOSES.get(one.purpose, one.purpose), "loud" if here else "plain"),
            text(f"by {one.requested_by}", "quiet"),
            text("you sign" if waits else "", "soon"),
            text(left, "soon" if one.expires_us - model.now_us < _LAST_MINUTE_US else "plain"),
            text(one.reason, "quiet"),
        )
        widths = (11, 22, 12, 8, 7, max(6, width - 2 - 60 - 10))
        pointer = text("▶ " if here else "  ", "accent")
        lines.append(join(pointer, table([parts], widths, "llllrl")[0]))
    return lines


def head_rows(
    one: DualView | None, seen: DualSeen | str | None, model: Model, width: int
) -> list[Content]:
    """Hash, time left, who has signed, and what was refused or decided."""
    if one is None or seen is None:
        words = (
            "A request appears here when one of you asks; the other one signs it, too. It is asked"
            " for on the kill screen (ctrl+k: release), the venue screen (ctrl+o: adopt an orphan),"
            " F6 (a red break), or with `peakctl limits loosen`, `ladder up`, `dual ask`."
        )
        return wrap(words, width, "quiet")
    if isinstance(seen, str):
        return wrap(f"✖ DO NOT SIGN: {seen}", width, "now")
    rows = [text(f"✔ hashed here, equal: {seen.sha256[:32]}…", "quiet"), _signed_row(one, model)]
    waiver = dict(seen.lines).get("same-uid waiver", "")
    if waiver not in {"", "no"}:
        rows.append(text(f"▲ one-uid waiver {waiver}", "soon"))
    if one.refused:
        rows += wrap(f"▲ not accepted: {one.refused}", width, "soon", most=2)
    if one.stage != "pending":
        why = f"{one.code} {one.closed_reason}".strip()
        ended = f"{one.stage} by {one.closed_by} {clock(one.closed_us or 0)} {why}"
        rows += wrap(ended, width, "quiet", most=2)
    elif one.requested_by == model.person:
        rows += code_rows(seen.short_code, width)
    return rows


def _signed_row(one: DualView, model: Model) -> Content:
    people = [
        text(f"✔ {role} {who}", "loud") if who in one.signed_by else text(f"○ {role} {who}", "soon")
        for role, who in (("operator", one.operator), ("reviewer", one.reviewer))
    ]
    left = one.expires_us - model.now_us
    if one.stage != "pending":
        time_left = BLANK
    elif left <= 0:
        time_left = text("⊘ EXPIRED: ask anew", "now")
    else:
        tone = "soon" if left < _LAST_MINUTE_US else "plain"
        time_left = text(f"expires in {countdown(left)}", tone)
    return Content("   ").join([*people, time_left])


class DualScreen(PeakScreen):
    """ctrl+t."""

    NAME = "dual"
    CSS_PATH: ClassVar[CSSPathType | None] = [BASE_CSS, "dual.tcss"]

    def __init__(self, role: str) -> None:
        super().__init__(role)
        self._read_id = ""
        self._seen: DualSeen | str | None = None
        self._first_seen_ms = 0

    def body(self) -> Iterable[Widget]:
        """The list, the marked document, what is typed."""
        yield Lines(id="dual-title")
        with VerticalScroll(id="dual-list-scroll", can_focus=False):
            yield Picker(id="dual-list")
        yield Lines(id="dual-head")
        with VerticalScroll(id="dual-scroll"):
            yield Lines(id="dual-rows")
        with Horizontal(classes="field"):
            yield Label("short code", markup=False)
            code = Input(id="dual-code", compact=True, max_length=60, placeholder="as read to you")
            code.cursor_blink = False
            yield code
            yield Lines(id="dual-match")
        with Horizontal(classes="field"):
            yield Label("reason", markup=False)
            why = Input(
                id="dual-reason", compact=True, max_length=300, placeholder="to decline with F12"
            )
            why.cursor_blink = False
            yield why

    def on_mount(self) -> None:
        """The list has the focus."""
        self._list.focus()

    def on_screen_resume(self) -> None:
        """Opened: mark what waits for this person, not what was decided before."""
        waiting = [one.id for one in self.model.waits_for_me]
        if waiting and self._list.selected not in waiting:
            self._list.selected = waiting[0]
            self.show(self.model)

    @property
    def guarded(self) -> bool:
        """In a document's first 300 ms: what is typed then was typed for something else."""
        shown_ms = self.desk.monotonic_ms() - self._first_seen_ms
        return bool(self._read_id) and shown_ms < GRACE_MS

    @property
    def _list(self) -> Picker:
        return self.query_one("#dual-list", Picker)

    @property
    def _rows(self) -> tuple[DualView, ...]:
        return self.model.state.dual if self.model.state else ()

    def marked(self) -> DualView | None:
        """The marked request."""
        return next((one for one in self._rows if one.id == self._list.selected), None)

    def seen(self) -> DualSeen | str | None:
        """The marked document, read once: or why it must not be signed."""
        one = self.marked()
        if one is None:
            self._read_id, self._seen = "", None
        elif self._read_id != one.id + one.sha256:
            self._read_id = one.id + one.sha256
            self._first_seen_ms = self.desk.monotonic_ms()
            for name in ("#dual-code", "#dual-reason"):
                self.query_one(name, Input).value = ""
            try:
                self._seen = self.desk.tools.read_dual(one)
            except PeakError as error:
                self._seen = error.line()
        return self._seen

    def show_body(self, model: Model) -> None:
        """All parts."""
        rows = self._rows
        self._list.offer([one.id for one in rows])
        selected, one, seen = self._list.selected, self.marked(), self.seen()
        mine = len(model.waits_for_me)
        end = text(f"{mine} for you", "soon") if mine else text("none for you", "quiet")
        self.lines("dual-title").show(lambda width, _h: [title("Two people", width, end)])
        self._list.show(lambda width, _h: request_rows(rows, selected, model, width))
        self.lines("dual-head").show(lambda width, _h: head_rows(one, seen, model, width))
        lines = seen.lines if isinstance(seen, DualSeen) else ()
        self.lines("dual-rows").show(lambda width, _h: packet_rows(lines, width))
        types = one is not None and one.waits_for(model.person)
        asked = one is not None and one.requested_by == model.person
        self.query_one("#dual-code", Input).disabled = not types or asked
        self._show_match()

    def _show_match(self) -> None:
        seen = self._seen
        typed = self.query_one("#dual-code", Input).value
        fits = isinstance(seen, DualSeen) and same_words(typed, seen.short_code)
        row = text(" ✔ MATCH", "loud") if fits else text(" ✖ not this document's code", "soon")
        shown = row if typed.strip() and seen is not None else BLANK
        self.lines("dual-match").show(lambda _w, _h: [shown])

    def on_picker_moved(self) -> None:
        """Another request is marked."""
        self.show_body(self.model)

    def on_input_changed(self, event: Input.Changed) -> None:
        """Compare as it is typed."""
        event.stop()
        self._show_match()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter goes back to the document; it never signs."""
        event.stop()
        self.set_focus(self.query_one("#dual-scroll"))

    def action_sign_dual(self) -> None:
        """Sign the marked request."""
        self.desk.act(self._sign())

    async def _sign(self) -> str:
        one, seen = self.marked(), self.seen()
        if one is None or not one.waits_for(self.model.person):
            raise Refused(what="nothing here waits for your signature", todo="mark one that does")
        if not isinstance(seen, DualSeen):
            raise Refused(what="this document must not be signed", todo="see above")
        shown_ms = self.desk.monotonic_ms() - self._first_seen_ms
        if shown_ms < self.desk.tools.min_dwell_ms:
            raise Refused(what="the document has just appeared", todo="read it first")
        typed = self.query_one("#dual-code", Input).value.strip()
        asked_by_other = one.requested_by != self.model.person
        if asked_by_other and not typed:
            self.query_one("#dual-code").focus()
            raise InputError(
                what=f"type the words that {one.requested_by} reads aloud, then ctrl+s again",
                where="short code",
            )
        if asked_by_other and not same_words(typed, seen.short_code):
            raise InputError(
                what="is not this document's code",
                where="short code",
                todo=f"have {one.requested_by} read it out again",
            )
        await _hand_in(self.desk, self.role, one, seen, typed)
        self.query_one("#dual-code", Input).value = ""
        return f"Your signature is in: {DUAL_PURPOSES.get(one.purpose, one.purpose)}."

    def action_decline_dual(self) -> None:
        """Decline the other's request, or take back one's own."""
        self.desk.act(self._decline())

    async def _decline(self) -> str:
        one = self.marked()
        if one is None or one.stage != "pending":
            raise Refused(what="the marked request does not wait", todo="mark one that does")
        reason = self.query_one("#dual-reason", Input).value.strip()
        if not reason:
            self.query_one("#dual-reason").focus()
            raise InputError(what="say why, then F12 again", where="reason")
        await self.desk.client.dual_withdraw(one.id, reason)
        return "Taken back." if one.requested_by == self.model.person else "Declined."


def same_words(typed: str, code: str) -> bool:
    """Words compared without case, hyphens and spaces."""
    one, other = ("".join(words.lower().replace("-", " ").split()) for words in (typed, code))
    return one == other != ""
