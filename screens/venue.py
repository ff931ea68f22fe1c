"""The venue as the engine sees it: streams and their quality, the running reconciliation, orphans.

What is not known is called UNKNOWN and keeps the age of what was known last; agreement that is too
old is drawn as stale (I9). An orphan, an order of the account that we did not make, is cancelled
with one key (I13) and adopted only with a reason and two signatures.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar

from textual.containers import VerticalScroll
from textual.content import Content
from textual.types import CSSPathType
from textual.widget import Widget

from engine.contracts.documents import Purpose
from engine.contracts.errors import Refused
from engine.contracts.money import to_text
from engine.contracts.view import (
    OrphanView,
    ReconWatchView,
    StreamView,
    VenueView,
    WatchBreakView,
)
from screens.base import BASE_CSS, PeakScreen
from screens.draw import age, cell, clock, join, mark, table, text, title, wrap
from screens.dual import ask_and_sign
from screens.lines import Lines, Picker
from screens.live_draw import freshness
from screens.model import Model
from screens.prompt import ReasonPrompt
from screens.words import BREAKS, WATCH, mark_of

#: stream, state, gaps, reconnects, latency p50, p95, p99
_STREAM_WIDTHS = (8, 20, 6, 6, 8, 8, 8)
_WINDOWS = {"REQUEST_WEIGHT": "weight", "ORDERS": "orders", "RAW_REQUESTS": "requests"}
_OPEN = frozenset({"open", "cancel_requested"})


def stream_rows(model: Model, width: int) -> list[Content]:
    """One row a stream: age or fault, gaps, reconnects, latency; then clock and rate budget."""
    venue = model.state.venue if model.state else None
    if venue is None:
        return [title("Streams", width), text("venue: not connected", "soon")]
    head = ("stream", "state", "gaps", "again", "p50 ms", "p95 ms", "p99 ms")
    rows = [tuple(text(one, "quiet") for one in head)]
    rows += [_stream(one, model) for one in venue.streams]
    offset = "?" if venue.clock_offset_ms is None else f"{venue.clock_offset_ms} ms"
    return [
        title(f"Streams of {venue.name}", width, text(f"clock {offset}", "quiet")),
        *table(rows, _STREAM_WIDTHS, "llrrrrr"),
        cell(_budget(venue, width), width),
    ]


def _budget(venue: VenueView, width: int) -> Content:
    """How much of each of the venue's limits is used, as many as fit; or that it wants silence."""
    if venue.silent_ms:
        words = f"■ the venue wants silence for {age(venue.silent_ms)}: only cancels go out"
        return text(words, "now")
    if not venue.windows:
        used = "?" if venue.used_weight is None else str(venue.used_weight)
        return text(f"weight {used} of {venue.weight_limit}", "quiet")
    parts = []
    for one in venue.windows:
        near = one.used is not None and one.used * 4 >= one.limit * 3
        name = _WINDOWS.get(one.kind, one.kind.lower())
        used = "?" if one.used is None else str(one.used)
        parts.append(text(f"{name} {one.window} {used}/{one.limit}", "soon" if near else "quiet"))
    while len(parts) > 1 and sum(part.cell_length + 3 for part in parts) - 3 > width:
        parts.pop()
    return Content("   ").join(parts)


def _stream(stream: StreamView, model: Model) -> tuple[Content, ...]:
    late = stream.age_ms is None or stream.age_ms > stream.limit_ms
    figures = (stream.latency_p50_ms, stream.latency_p95_ms, stream.latency_p99_ms)
    return (
        text(stream.name),
        freshness(late or model.stale, model.aged(stream.age_ms), stream.connected),
        text(stream.gaps, "soon" if stream.gaps else "plain"),
        text(stream.reconnects, "soon" if stream.reconnects else "plain"),
        *(text("?" if one is None else one) for one in figures),
    )


def watch_line(watch: ReconWatchView, model: Model) -> Content:
    """Whether the three sides agree, and how long ago they were asked."""
    state = mark_of(WATCH, watch.state)
    if watch.state == "never":
        return mark(state)
    since = model.aged(watch.age_ms)
    old = since is None or (watch.limit_ms > 0 and since > watch.limit_ms)
    if old or model.stale:
        return join(mark(state, "soon"), text(f" ▲ STALE {age(since)}", "now"))
    return join(mark(state), text(f" {age(since)} ago", "quiet"))


def watch_rows(model: Model, width: int) -> list[Content]:
    """The running reconciliation: verdict, what was compared, and each open break."""
    if model.state is None:
        return [title("Reconciliation, running", width)]
    watch = model.state.recon_watch
    rows = [title("Reconciliation, running", width, watch_line(watch, model))]
    compared = ", ".join(f"{count} {name}" for name, count in watch.compared.items())
    if compared:
        rows.append(cell(text(f"compared {compared} ({watch.moment})", "quiet"), width))
    if watch.reason:
        rows += wrap(watch.reason, width, "soon")
    for one in watch.breaks:
        rows += _break(one, width)
    return rows


def _break(one: WatchBreakView, width: int) -> list[Content]:
    state = mark_of(BREAKS, one.klass)
    words = f"{one.code} {one.key}, since {age(one.age_ms)}, {one.runs} runs"
    owner = f" Owner: {one.owner}." if one.owner else ""
    likely = f" Likely: {one.likely}." if one.likely else ""
    return [
        cell(join(mark(state), "  ", text(words, "loud")), width),
        *wrap(f"   {one.cause}.{likely}{owner}", width, "quiet"),
    ]


def orphan_rows(orphans: Sequence[OrphanView], selected: str, width: int) -> list[Content]:
    """One row an orphan: state, side, quantity, price, id."""
    if not orphans:
        return [text("● no order of the account that is not ours", "quiet")]
    rows = []
    for one in orphans:
        here = one.venue_order_id == selected
        tone = "now" if one.state == "open" else "soon" if one.state in _OPEN else "quiet"
        quantity = f"{to_text(one.filled_quantity)}/{to_text(one.quantity)}"
        parts = (
            text(one.state.replace("_", " "), tone),
            text(one.side),
            text(quantity),
            text(to_text(one.price)),
            text(one.client_order_id, "loud" if here else "plain"),
        )
        widths = (16, 4, 14, 12, max(8, width - 2 - 16 - 4 - 14 - 12 - 4))
        pointer = text("▶ " if here else "  ", "accent")
        rows.append(join(pointer, table([parts], widths, "llrrl")[0]))
    return rows


def orphan_detail(one: OrphanView | None, role: str, width: int) -> list[Content]:
    """The marked orphan in full, with what may be done."""
    if one is None:
        return []
    found = f"{one.symbol} {one.client_order_id}, at the venue {one.venue_order_id} {one.status}"
    rows = wrap(f"{found}, found {clock(one.found_us)}", width)
    if one.by:
        rows += wrap(f"{one.state.replace('_', ' ')} by {one.by}: {one.reason}", width, "quiet")
    if one.state in _OPEN and role == "operator":
        rows.append(text("c cancels it; Enter adopts it, with a reason", "accent"))
    return rows


class VenueScreen(PeakScreen):
    """ctrl+o."""

    NAME = "venue"
    CSS_PATH: ClassVar[CSSPathType | None] = [BASE_CSS, "venue.tcss"]

    def body(self) -> Iterable[Widget]:
        """Streams, reconciliation, orphans."""
        yield Lines(id="venue-streams")
        with VerticalScroll(id="watch-scroll", can_focus=False):
            yield Lines(id="venue-watch")
        yield Lines(id="orphan-title")
        with VerticalScroll(id="orphan-scroll", can_focus=False):
            yield Picker(id="orphan-list")
        yield Lines(id="orphan-detail")

    def on_mount(self) -> None:
        """The list has the focus."""
        self._list.focus()

    @property
    def _list(self) -> Picker:
        return self.query_one("#orphan-list", Picker)

    def show_body(self, model: Model) -> None:
        """All three parts."""
        orphans = model.state.orphans if model.state else ()
        picker = self._list
        picker.offer([one.venue_order_id for one in orphans])
        selected = picker.selected
        current = self._marked()
        waiting = sum(one.state in _OPEN for one in orphans)
        end = text(f"{waiting} open", "now") if waiting else text("none open", "quiet")
        self.lines("venue-streams").show(lambda width, _h: stream_rows(model, width))
        self.lines("venue-watch").show(lambda width, _h: watch_rows(model, width))
        self.lines("orphan-title").show(lambda width, _h: [title("Orphans", width, end)])
        picker.show(lambda width, _h: orphan_rows(orphans, selected, width))
        self.lines("orphan-detail").show(lambda width, _h: orphan_detail(current, self.role, width))

    def _marked(self) -> OrphanView | None:
        orphans = self.model.state.orphans if self.model.state else ()
        return next((one for one in orphans if one.venue_order_id == self._list.selected), None)

    def on_picker_moved(self) -> None:
        """Another orphan is marked."""
        self.show_body(self.model)

    def action_cancel_orphan(self) -> None:
        """Cancel the marked orphan, without a question (I13)."""
        if self.role == "operator":
            self.desk.act(self._cancel(self._marked()))

    async def _cancel(self, one: OrphanView | None) -> str:
        if one is None or one.state not in _OPEN:
            raise Refused(what="the marked orphan is not open", todo="mark an open one")
        await self.desk.client.cancel_orphan(one.symbol, one.client_order_id, "by key")
        return f"Cancel asked for {one.client_order_id}."

    def action_adopt_orphan(self) -> None:
        """Ask for a reason, then for both signatures on making it an order of this session."""
        one = self._marked()
        if self.role != "operator" or one is None:
            return

        def done(reason: str | None) -> None:
            if reason:
                self.desk.act(self._adopt(one, reason))

        words = (
            f"Adopt {one.client_order_id}: it becomes an order of this session, under your name, "
            "with all it has filled and may still fill. You sign this; the reviewer signs it too."
        )
        self.app.push_screen(ReasonPrompt("Adopt an orphan", words, "Adopt"), done)

    async def _adopt(self, one: OrphanView, reason: str) -> str:
        subject = {"symbol": one.symbol, "client_order_id": one.client_order_id}
        return await ask_and_sign(self.desk, self.role, Purpose.ADOPT, subject, reason)
