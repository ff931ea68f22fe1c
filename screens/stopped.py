"""The kill: what was done, when, and whether the venue itself says that nothing is open.

Shown by itself when a kill is latched. PROVEN is the venue's word, twice; UNCONFIRMED says what is
not known and what to do. Release of the latch takes both people and a reason, in a shell; which
commands, stands here.
"""

from __future__ import annotations

from collections.abc import Iterable

from textual.containers import VerticalScroll
from textual.content import Content
from textual.widget import Widget

from engine.contracts.money import to_text
from engine.contracts.view import KillView
from screens.base import PeakScreen
from screens.draw import BLANK, cell, clock_ms, join, mark, text, title, wrap
from screens.lines import Lines
from screens.model import Model
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
    """The commands that release the latch, one after the other."""
    charter = model.session.charter if model.session else None
    operator, reviewer = (charter.operator, charter.reviewer) if charter else ("ID", "ID")
    steps = (
        ("either", "peakctl latch document --output release.json"),
        ("", f'  --reason "..." --operator {operator} --reviewer {reviewer}'),
        ("each", "peakctl latch sign release.json --key KEY"),
        ("either", "peakctl latch release release.json"),
    )
    rows = [title("Release by both of you, knowing what is open (runbooks/kill.md)", width)]
    rows += [join(cell(text(who, "quiet"), 8), text(command)) for who, command in steps]
    return rows


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
    if kill.state in {"PROVEN", "UNCONFIRMED"}:
        rows += release_rows(model, width)
    return rows


def _record(kill: KillView, width: int) -> list[Content]:
    latched = clock_ms(kill.latched_us) + "Z" if kill.latched_us is not None else "?"
    rows = [text(f"kill {kill.kill_id} by {kill.by}, latched {latched}: {kill.reason}", "quiet")]
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
    rows += [text(words, "loud") for words in held] or [text("flat or not known", "quiet")]
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
