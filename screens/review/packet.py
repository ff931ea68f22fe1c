"""The reviewer's packet: drawn from the bytes received and hashed here, then GO or NO-GO, signed.

The short code is not shown: the reviewer types what the operator reads aloud, and this process
compares it with the code of its own hash. For a GO the reviewer also types the largest order
notional as the packet has it. Nothing is chosen beforehand, what was typed before the packet came
is dropped, and a decision is taken only after the packet has been on the screen for the minimum
dwell.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.types import CSSPathType
from textual.widget import Widget
from textual.widgets import Input, Label

from engine.contracts.documents import Namespace
from engine.contracts.errors import InputError, IntegrityError, Refused
from engine.contracts.view import GoView
from screens.base import BASE_CSS, GRACE_MS, PeakScreen
from screens.desk import CosignFacts
from screens.draw import BLANK, mark, text, title, wrap
from screens.go import Seen, expiry_row, hash_row, packet_rows, reason_rows, see, waiver_rows
from screens.lines import Choice, Lines
from screens.model import Model
from screens.words import GO_STAGES, mark_of

UNDECIDED = "not decided"
DECISIONS = ("GO", "NO-GO", "ABSTAIN")
#: The packet's line whose number is typed for a GO.
LIMIT_LINE = "limit max_order_notional"


def same_code(typed: str, code: str) -> bool:
    """Words compared without case, hyphens and spaces."""
    return _letters(typed) == _letters(code) != ""


def same_limit(typed: str, seen: Seen) -> bool:
    """The very text that the packet shows; 5e4 for 50000 is another text."""
    return typed.strip(" ") == seen.line(LIMIT_LINE) != ""


def _letters(words: str) -> str:
    return "".join(words.lower().replace("-", " ").split())


def witness_rows(model: Model) -> list[Content]:
    """What the journal was compared with, when this terminal sees it for the first time."""
    return [text(f"▲ journal {model.witness_note}", "soon")] if model.witness_note else []


class PacketScreen(PeakScreen):
    """F4 of the reviewer."""

    NAME = "packet"
    CSS_PATH: ClassVar[CSSPathType | None] = [BASE_CSS, "packet.tcss"]

    def __init__(self, role: str) -> None:
        super().__init__(role)
        self._seen: Seen | None = None
        self._seen_packet = ""
        self._first_seen_ms = 0

    def body(self) -> Iterable[Widget]:
        """Packet above, decision below."""
        yield Lines(id="packet-title")
        yield Lines(id="packet-head")
        with VerticalScroll(id="packet-scroll"):
            yield Lines(id="packet-rows")
        with Horizontal(classes="field"):
            yield Label("short code", markup=False)
            box = Input(id="packet-code", compact=True, max_length=60, placeholder="as read to you")
            box.cursor_blink = False
            yield box
            yield Lines(id="packet-match")
        with Horizontal(classes="field"):
            yield Label("max order", markup=False)
            limit = Input(
                id="packet-limit",
                compact=True,
                max_length=40,
                placeholder="max_order_notional, as above",
            )
            limit.cursor_blink = False
            yield limit
            yield Lines(id="packet-limit-match")
        with Horizontal(classes="field"):
            yield Label("decision", markup=False)
            yield Choice([UNDECIDED, *DECISIONS], id="packet-decision")
        with Horizontal(classes="field"):
            yield Label("reason", markup=False)
            why = Input(
                id="packet-reason",
                compact=True,
                max_length=200,
                placeholder="NO-GO and ABSTAIN need one",
            )
            why.cursor_blink = False
            yield why

    def on_mount(self) -> None:
        """The packet has the focus: it is to be read first."""
        self.query_one("#packet-scroll").focus()

    @property
    def guarded(self) -> bool:
        """In a packet's first 300 ms: what is typed then was typed before it could be read."""
        return self._seen is not None and self.desk.monotonic_ms() - self._first_seen_ms < GRACE_MS

    @property
    def go(self) -> GoView | None:
        """The go/no-go."""
        return self.model.session.go if self.model.session else None

    def seen(self) -> Seen | None:
        """The packet, read once; a new packet empties what was typed."""
        go = self.go
        if go is None or not go.packet:
            self._seen, self._seen_packet = None, ""
        elif self._seen_packet != go.packet:
            self._seen, self._seen_packet = see(go, self.desk.tools), go.packet
            self._first_seen_ms = self.desk.monotonic_ms()
            for name in ("#packet-code", "#packet-limit", "#packet-reason"):
                self.query_one(name, Input).value = ""
            self.query_one("#packet-decision", Choice).choose(UNDECIDED)
        return self._seen

    def show_body(self, model: Model) -> None:
        """Packet and what is missing."""
        go, seen = self.go, self.seen()
        stage = mark_of(GO_STAGES, go.stage if go else "none")
        self.lines("packet-title").show(lambda width, _h: [title("The packet", width, mark(stage))])
        self.lines("packet-head").show(lambda width, _h: self._head(go, seen, model, width))
        rows = seen.lines if seen else ()
        self.lines("packet-rows").show(lambda width, _h: packet_rows(rows, width))
        self._show_match()

    def _head(
        self, go: GoView | None, seen: Seen | None, model: Model, width: int
    ) -> list[Content]:
        if go is None or seen is None:
            words = "Nothing to decide yet. The packet comes when the operator asks for go."
            return [*wrap(words, width, "quiet"), *reason_rows(go, width)]
        return [
            hash_row(seen),
            *waiver_rows(seen),
            *witness_rows(model),
            expiry_row(go, model.now_us),
            *reason_rows(go, width),
        ]

    def _show_match(self) -> None:
        seen = self._seen
        code = self.query_one("#packet-code", Input).value
        limit = self.query_one("#packet-limit", Input).value
        fits = seen is not None and same_code(code, seen.short_code)
        self._mark("packet-match", code, "MATCH" if fits else "", "not this packet's code")
        fits = seen is not None and same_limit(limit, seen)
        self._mark("packet-limit-match", limit, "AS SIGNED" if fits else "", "not its limit")

    def _mark(self, name: str, typed: str, good: str, bad: str) -> None:
        row = text(f" ✔ {good}", "loud") if good else text(f" ✖ {bad}", "soon")
        shown = row if typed.strip() and self._seen is not None else BLANK
        self.lines(name).show(lambda _w, _h: [shown])

    def on_input_changed(self, event: Input.Changed) -> None:
        """Compare as it is typed."""
        event.stop()
        self._show_match()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter goes on; it never signs."""
        event.stop()
        after = {"packet-code": "#packet-limit", "packet-limit": "#packet-decision"}
        self.set_focus(self.query_one(after.get(event.input.id or "", "#packet-scroll")))

    def action_decide(self) -> None:
        """Sign the decision."""
        self.desk.act(self._decide())

    def _facts(self) -> CosignFacts:
        go, seen = self.go, self.seen()
        if go is None or seen is None or go.stage != "signed":
            raise Refused(
                what="there is no signed packet to decide on", todo="wait for the operator"
            )
        if not seen.matches:
            raise IntegrityError(what="the packet's hash differs from the engine's")
        shown_ms = self.desk.monotonic_ms() - self._first_seen_ms
        if shown_ms < self.desk.tools.min_dwell_ms:
            raise Refused(what="the packet has just appeared", todo="read it first")
        decision = self.query_one("#packet-decision", Choice).value
        typed = self.query_one("#packet-code", Input).value
        limit = self.query_one("#packet-limit", Input).value.strip()
        reason = self.query_one("#packet-reason", Input).value.strip()
        if decision == UNDECIDED:
            raise InputError(what="choose GO, NO-GO or ABSTAIN", where="decision")
        if decision != "GO" and not reason:
            raise InputError(what=f"{decision} needs a reason", where="reason")
        if not same_code(typed, seen.short_code):
            raise InputError(
                what="is not this packet's code", where="short code", todo="have it read out again"
            )
        if decision == "GO" and not same_limit(limit, seen):
            raise InputError(
                what="is not the packet's max_order_notional",
                where="max order",
                todo="read it above and type it",
            )
        return CosignFacts(
            packet=go.packet,
            packet_sha256=seen.sha256,
            decision=decision,
            reason=reason,
            short_code=seen.short_code,
            typed_limit=limit,
            nonce=self.desk.nonce,
        )

    async def _decide(self) -> str:
        facts = self._facts()
        document = self.desk.tools.cosign_document(facts)
        signature = await self.desk.tools.sign(Namespace.COSIGN, document.encode())
        await self.desk.client.cosign(document, signature)
        return f"{facts.decision} is signed and sent."
