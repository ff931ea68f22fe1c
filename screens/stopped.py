"""The kill: what was done, when, and whether the venue itself says that nothing is open.

Shown by itself when a kill is latched. PROVEN is the venue's word, twice; UNCONFIRMED says what is
not known and what to do. Release of the latch takes both people and a reason: either asks here, the
other one signs (ctrl+t). How it goes in a shell stands here, too.
"""

from __future__ import annotations

from collections.abc import Iterable

from textual.containers import VerticalScroll
from textual.content import Content
from textual.widget import Widget

from engine.contracts.documents import Purpose
from engine.contracts.money import to_text
from engine.contracts.view import KillView
from screens.base import PeakScreen
from screens.draw import BLANK, cell, clock_ms, join, mark, text, title, wrap
from screens.dual import ask_and_sign
from screens.lines import Lines
from screens.model import Model
from screens.prompt import ReasonPrompt
from screens.words import Mark, mark_of

KILLS: dict[str, Mark] = {
    "READY": Mark("●", "READY", "loud"),
    "LATCHED": Mark("■", "LATCHED", "now"),
    "PROVEN": Mark("■", "PROVEN: nothing open at the venue", "loud"),
    "UNCONFIRMED": Mark("▲", "UNCONFIRMED", "now"),
}

_ADVICE = {
    "READY": "Nothing is stopped. F9 or ctrl+x stops everything at once, from every screen.",
    "LATCHED": "No order leaves. Cancelling, then asking the venue twice what is still open.",
    "PROVEN": "No order leaves until both of you release the latch with a reason.",
    "UNCONFIRMED": "The venue has not confirmed. Look at the venue's own page, cancel there, and"
    " run `peakctl kill` again from any shell.",
}


def release_rows(model: Model, width: int) -> list[Content]:
    """How the latch is released: here, or in a shell."""
    asked = [
        one for one in (model.state.dual if model.state else ()) if one.purpose is Purpose.RELEASE
    ]
    waits = any(one.stage == "pending" and one.expires_us > model.now_us for one in asked)
    rows = [title("Release by both of you, knowing what is open (runbooks/kill.md)", width)]
    if waits:
        rows += wrap("◇ A release is asked for: ctrl+t shows it to both of you.", width, "soon")
    steps = (
        ("here", "^R asks with a reason and signs; the other one signs with ctrl+t"),
        ("shell", 'peakctl dual ask release --reason "...", then peakctl dual sign ID'),
    )
    return rows + [join(cell(text(where, "quiet"), 8), text(how)) for where, how in steps]


def kill_rows(model: Model, width: int) -> list[Content]:
    """Verdict, stages with ms, open orders, positions."""
    state = model.state
    if state is None:
        return [text("the engine has not been heard: use `peakctl kill` in any shell", "now")]
    kill = state.kill
    rows = [mark(mark_of(KILLS, kill.state))]
    rows += wrap(_ADVICE.get(kill.state, ""), width)
    if kill.detail:
        rows += wrap(kill.detail, width, "now" if kill.state == "UNCONFIRMED" else "quiet")
    if model.press is not None:
        words = f"pressed here {clock_ms(model.press.pressed_us)}Z, {model.press.stage}"
        rows.append(text(f"{words} {model.press.detail}".rstrip(), "quiet"))
    if kill.kill_id:
        rows += [BLANK, *_record(kill, width)]
    if kill.state == "PROVEN":
        rows += release_rows(model, width)
    elif kill.state == "UNCONFIRMED":
        rows += wrap("No release is asked for before the venue has proved zero.", width, "quiet")
    return rows


def _record(kill: KillView, width: int) -> list[Content]:
    latched = clock_ms(kill.latched_us) + "Z" if kill.latched_us is not None else "?"
    which = f", the last of {kill.kills}, the first" if kill.kills > 1 else ","
    words = f"kill {kill.kill_id} by {kill.by}{which} latched {latched}: {kill.reason}"
    rows = [text(words, "quiet")]
    rows.append(title("Stages", width))
    for stage in kill.stages:
        milliseconds = cell(text(f"{stage.elapsed_us / 1000:.1f} ms", "loud"), 12, "right")
        rows.append(
            join(cell(text(stage.stage), 20), milliseconds, "  ", text(stage.detail, "quiet"))
        )
    rows.append(title("Open orders at the venue", width, text(str(len(kill.open_orders)), "loud")))
    rows += [text(f"■ {order}", "now") for order in kill.open_orders]
    if not kill.open_orders:
        none = "none, proven" if kill.state == "PROVEN" else "none known, not proven"
        rows.append(text(none, "quiet" if kill.state == "PROVEN" else "soon"))
    rows.append(title("Positions left", width))
    held = [
        f"{symbol} {to_text(quantity)}" for symbol, quantity in kill.positions.items() if quantity
    ]
    asked = any(stage.stage == "positions" for stage in kill.stages)
    nothing = text("flat" if asked else "not known yet", "quiet")
    rows += [text(words, "loud") for words in held] or [nothing]
    return rows


class KillScreen(PeakScreen):
    """ctrl+k, and by itself after a kill."""

    NAME = "stopped"

    def body(self) -> Iterable[Widget]:
        """One scroll of rows."""
        yield Lines(id="stopped-title")
        with VerticalScroll(id="stopped-scroll"):
            yield Lines(id="stopped-rows")

    def on_mount(self) -> None:
        """Arrows scroll."""
        self.query_one("#stopped-scroll").focus()

    def show_body(self, model: Model) -> None:
        """The rows."""
        self.lines("stopped-title").show(lambda width, _h: [title("Kill", width)])
        self.lines("stopped-rows").show(lambda width, _h: kill_rows(model, width))

    def action_ask_release(self) -> None:
        """Ask for a reason, then for the release; the other person signs it, too."""
        kill = self.model.state.kill if self.model.state else None
        if kill is None or kill.state != "PROVEN":
            self.desk.say("A release is asked for when a kill is latched and PROVEN.", "soon")
            return

        def done(reason: str | None) -> None:
            if reason:
                self.desk.act(ask_and_sign(self.desk, self.role, Purpose.RELEASE, {}, reason))

        words = (
            "The latch opens when both of you have signed this reason. Nothing trades then:"
            " a new session needs a charter, a checklist and a go of its own."
        )
        self.app.push_screen(ReasonPrompt("Release the kill latch", words, "Ask"), done)
