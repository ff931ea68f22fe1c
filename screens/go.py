"""The operator's go/no-go: the packet as this process read and hashed it, and the signature.

The text is drawn from the packet's own bytes, hashed here; when the engine's sha256 differs from
ours nothing can be signed. The short code is read aloud to the reviewer.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import ClassVar, NamedTuple

from textual.containers import VerticalScroll
from textual.content import Content
from textual.types import CSSPathType
from textual.widget import Widget

from engine.contracts.documents import Namespace
from engine.contracts.errors import IntegrityError, Refused
from engine.contracts.view import GoView
from screens.base import BASE_CSS, PeakScreen
from screens.charter import ask_abort
from screens.desk import Tools
from screens.draw import BLANK, cell, countdown, join, mark, text, title, wrap
from screens.lines import Lines
from screens.model import Model
from screens.words import GO_STAGES, mark_of


class Seen(NamedTuple):
    """The packet as this process sees it: our own hash, the code made of it, its lines."""

    sha256: str
    matches: bool
    short_code: str
    lines: tuple[tuple[str, str], ...]

    def line(self, label: str) -> str:
        """The value of one line; "" where the packet has none."""
        return dict(self.lines).get(label, "")


def see(go: GoView, tools: Tools) -> Seen:
    """Hash the packet's bytes here and read its lines from those bytes."""
    sha256 = hashlib.sha256(go.packet.encode()).hexdigest()
    return Seen(
        sha256=sha256,
        matches=sha256 == go.packet_sha256,
        short_code=tools.short_code(sha256),
        lines=tools.packet_lines(go.packet),
    )


def packet_rows(lines: Sequence[tuple[str, str]], width: int) -> list[Content]:
    """Label and value a row; a long value is wrapped, never cut: all of it is signed."""
    label_width = min(30, max((len(label) for label, _ in lines), default=0))
    rows: list[Content] = []
    for label, value in lines:
        parts = wrap(value, max(10, width - label_width - 2)) or [BLANK]
        for n, part in enumerate(parts):
            rows.append(join(cell(text(label if n == 0 else "", "quiet"), label_width), "  ", part))
    return rows


def code_rows(code: str, width: int) -> list[Content]:
    """The short code, large: its words apart, in a frame."""
    words = "   ".join(code.upper().replace("-", " ").split())
    inner = words.center(min(width - 2, len(words) + 8))
    line = "─" * len(inner)
    return [
        text(f"╭{line}╮", "accent"),
        join(text("│", "accent"), text(inner, "loud"), text("│", "accent")),
        text(f"╰{line}╯", "accent"),
    ]


def hash_row(seen: Seen) -> Content:
    """Whether our hash is the engine's."""
    if seen.matches:
        return join(text("✔ hashed here, equal: ", "quiet"), text(seen.sha256[:32] + "…", "quiet"))
    return text("✖ HASH DIFFERS from the engine's: do not sign", "now")


def waiver_rows(seen: Seen) -> list[Content]:
    """The one-uid waiver, where both decide: it is not to be found by scrolling alone."""
    said = seen.line("same-uid waiver")
    return [text(f"▲ one-uid waiver {said}", "soon")] if said not in {"", "no"} else []


def expiry_row(go: GoView, now_us: int) -> Content:
    """Time left, amber in the last minute."""
    if go.expires_us is None or go.stage in {"go", "no_go", "void"}:
        return BLANK
    left = go.expires_us - now_us
    if left <= 0:
        return text("⊘ EXPIRED: ask for go again", "now")
    return text(f"expires in {countdown(left)}", "soon" if left < 60_000_000 else "plain")


class GoScreen(PeakScreen):
    """F4 of the operator."""

    NAME = "go"
    CSS_PATH: ClassVar[CSSPathType | None] = [BASE_CSS, "go.tcss"]

    def __init__(self, role: str) -> None:
        super().__init__(role)
        self._seen: Seen | None = None
        self._seen_packet = ""

    def body(self) -> Iterable[Widget]:
        """Stage, code, packet."""
        yield Lines(id="go-title")
        yield Lines(id="go-head")
        with VerticalScroll(id="go-scroll"):
            yield Lines(id="go-packet")

    def on_mount(self) -> None:
        """Arrows scroll the packet."""
        self.query_one("#go-scroll").focus()

    def seen(self, go: GoView | None) -> Seen | None:
        """The packet read once per packet, not per frame."""
        if go is None or not go.packet:
            return None
        if self._seen is None or self._seen_packet != go.packet:
            self._seen, self._seen_packet = see(go, self.desk.tools), go.packet
        return self._seen

    def show_body(self, model: Model) -> None:
        """Stage and packet."""
        go = model.session.go if model.session else None
        seen = self.seen(go)
        stage = mark_of(GO_STAGES, go.stage if go else "none")
        self.lines("go-title").show(lambda width, _h: [title("Go / no-go", width, mark(stage))])
        self.lines("go-head").show(lambda width, _h: head_rows(go, seen, model, width))
        rows = seen.lines if seen else ()
        self.lines("go-packet").show(lambda width, _h: packet_rows(rows, width))

    def action_request_go(self) -> None:
        """Freeze the facts into a packet."""
        self.desk.act(self._request())

    async def _request(self) -> str:
        tools = self.desk.tools
        await self.desk.client.request_go(tools.new_nonce(), tools.signals())
        return "The packet is frozen. Read it, then sign with ^S."

    def action_sign_go(self) -> None:
        """Sign the bytes shown."""
        self.desk.act(self._sign())

    async def _sign(self) -> str:
        go = self.model.session.go if self.model.session else None
        seen = self.seen(go)
        if go is None or seen is None or go.stage != "requested":
            raise Refused(what="there is no packet to sign now", todo="ask for go with ^R")
        if not seen.matches:
            raise IntegrityError(what="the packet's hash differs from the engine's")
        signature = await self.desk.tools.sign(Namespace.GO, go.packet.encode())
        await self.desk.client.sign_go(seen.sha256, signature)
        return "Signed. Read the short code aloud; the reviewer types it."

    def action_abort(self) -> None:
        """End the session with a reason."""
        ask_abort(self)


def head_rows(go: GoView | None, seen: Seen | None, model: Model, width: int) -> list[Content]:
    """What to do now, the code, the hash, the time left, the decision."""
    if go is None or seen is None:
        return [
            BLANK,
            *wrap(
                "Nothing is frozen yet. When the checklist has passed for both, ^R freezes"
                " the facts into the packet that both of you sign.",
                width,
            ),
            *reason_rows(go, width),
        ]
    return [
        *code_rows(seen.short_code, width),
        hash_row(seen),
        *waiver_rows(seen),
        join(text(_todo(go)), "  ", expiry_row(go, model.now_us)),
        *reason_rows(go, width),
        text("─" * width, "quiet"),
    ]


def reason_rows(go: GoView | None, width: int) -> list[Content]:
    """The decision's or the void's reason, when there is one."""
    if go is None or not go.reason:
        return []
    state = mark_of(GO_STAGES, go.stage)
    return wrap(f"{state.text}: {go.reason}", width, "soon" if go.stage != "go" else "plain")


def _todo(go: GoView) -> str:
    return {
        "requested": "read every line below, then sign with ^S",
        "signed": "signed; read the code aloud and wait for the reviewer",
        "go": "both signed: GO",
        "no_go": "the reviewer decided NO-GO",
        "void": "void: something changed or time ran out; ask again with ^R",
    }.get(go.stage, "")
