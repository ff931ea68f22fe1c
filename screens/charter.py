"""The charter form: what the session may do, prefilled from the last one or the config.

A new form has no limit wider than the scaling ladder's step. The console checks only that numbers
are numbers; whether a limit is too wide is the engine's to say, and its refusal names the field.
With a session open the form shows its charter, locked.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import ClassVar, NamedTuple

from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.types import CSSPathType
from textual.widget import Widget
from textual.widgets import Input, Label

from engine.contracts.errors import InputError
from engine.contracts.money import parse_decimal, to_text
from engine.contracts.session import (
    END_STATES,
    LONGER_IS_TIGHTER,
    Charter,
    Limits,
    Mode,
    SessionState,
)
from peakctl.client.printable import printable
from screens.base import BASE_CSS, PeakScreen
from screens.draw import clock, join, text, title
from screens.lines import Choice, Lines
from screens.model import Model
from screens.prompt import ReasonPrompt


class Field(NamedTuple):
    """One input: charter or limit field, its label with unit, whether it is a whole number."""

    name: str
    label: str
    kind: str


PEOPLE_FIELDS = (
    Field("venue", "venue", "words"),
    Field("account", "account", "words"),
    Field("instruments", "instruments", "words"),
    Field("reviewer", "reviewer", "words"),
    Field("runbook", "runbook", "words"),
    Field("window_minutes", "window, minutes", "whole"),
    Field("attendance_seconds", "attendance, s", "whole"),
    Field("purpose", "purpose", "free"),
)
LIMIT_FIELDS = (
    Field("max_order_quantity", "order qty, base", "money"),
    Field("max_order_notional", "order value, quote", "money"),
    Field("max_position", "position, base", "money"),
    Field("max_session_loss", "loss, quote", "money"),
    Field("price_collar_bps", "price collar, bps", "whole"),
    Field("max_open_orders", "open orders", "whole"),
    Field("max_orders_per_second", "orders a second", "whole"),
    Field("max_orders_per_minute", "orders a minute", "whole"),
    Field("max_orders_per_session", "orders a session", "whole"),
    Field("max_orders_per_day", "orders a day", "whole"),
    Field("max_messages_per_minute", "messages a min", "whole"),
    Field("price_last_bps", "to last trade, bps", "whole"),
    Field("price_book_bps", "through book, bps", "whole"),
    Field("max_gross_exposure", "gross, quote", "money"),
    Field("max_net_exposure", "net, quote", "money"),
    Field("max_asset_exposure", "one asset, quote", "money"),
    Field("max_cancels_per_order", "cancels an order", "money"),
    Field("cancels_before_ratio", "cancels free", "whole"),
    Field("cooldown_loss_seconds", "after a loss, s", "count"),
    Field("max_rejects_per_minute", "rejects a minute", "whole"),
    Field("cooldown_rejects_seconds", "after rejects, s", "count"),
)


#: The least value of the kinds that are whole numbers.
_LEAST = {"whole": 1, "count": 0}


def field_values(charter: Charter) -> dict[str, str]:
    """The form's texts of a charter."""
    minutes = max(1, (charter.window_until_us - charter.window_from_us) // 60_000_000)
    values = {
        "venue": charter.venue,
        "account": charter.account,
        "instruments": ",".join(charter.instruments),
        "reviewer": charter.reviewer,
        "runbook": charter.runbook,
        "window_minutes": str(minutes),
        "attendance_seconds": str(charter.attendance_seconds),
        "purpose": charter.purpose,
    }
    for field in LIMIT_FIELDS:
        value = getattr(charter.limits, field.name)
        values[field.name] = to_text(value) if isinstance(value, Decimal) else str(value)
    return values


def capped(values: dict[str, str], caps: Mapping[str, str]) -> dict[str, str]:
    """The form's texts, with limits no wider than what the ladder's step allows."""
    made = dict(values)
    for name, cap in caps.items():
        wider = Decimal(made[name]) - Decimal(cap)
        if (wider < 0) if name in LONGER_IS_TIGHTER else (wider > 0):
            made[name] = cap
    return made


def charter_of(values: dict[str, str], mode: str, operator: str, now_us: int) -> Charter:
    """The charter of the form's texts. Raises InputError naming the field."""
    read = {field.name: _read(field, values) for field in (*PEOPLE_FIELDS, *LIMIT_FIELDS)}
    limits = Limits(**{field.name: read[field.name] for field in LIMIT_FIELDS})  # type: ignore[arg-type]
    minutes = int(values["window_minutes"])
    return Charter(
        mode=Mode(mode),
        venue=values["venue"].strip(),
        account=values["account"].strip(),
        instruments=tuple(part.strip() for part in values["instruments"].split(",")),
        limits=limits,
        window_from_us=now_us,
        window_until_us=now_us + minutes * 60_000_000,
        operator=operator,
        reviewer=values["reviewer"].strip(),
        runbook=values["runbook"].strip(),
        attendance_seconds=int(values["attendance_seconds"]),
        purpose=values["purpose"].strip(),
    )


def _read(field: Field, values: dict[str, str]) -> Decimal | int | str:
    words = values[field.name].strip()
    if field.kind == "money":
        return parse_decimal(words, field.label)
    if field.kind in _LEAST:
        least = _LEAST[field.kind]
        if not words.isascii() or not words.isdigit() or len(words) > 9 or int(words) < least:
            what = f"{words[:20]!r} is not a whole number from {least}"
            raise InputError(what=what, where=field.label)
        return int(words)
    if not words and field.kind == "words":
        raise InputError(what="is empty", where=field.label, todo="fill it in")
    return words


class CharterScreen(PeakScreen):
    """F2: the form."""

    NAME = "charter"
    CSS_PATH: ClassVar[CSSPathType | None] = [BASE_CSS, "charter.tcss"]

    def __init__(self, role: str) -> None:
        super().__init__(role)
        self._filled_for = ""

    def body(self) -> Iterable[Widget]:
        """Two columns of labelled inputs."""
        yield Lines(id="charter-title")
        with VerticalScroll(id="charter-form", can_focus=False), Horizontal(id="charter-columns"):
            yield self._column("people", PEOPLE_FIELDS)
            yield self._column("limits", LIMIT_FIELDS)
        yield Lines(id="charter-window")

    def _column(self, name: str, fields: Sequence[Field]) -> Widget:
        rows: list[Widget] = []
        if name == "people":
            modes = Choice([mode.value for mode in Mode], id="mode")
            rows.append(Horizontal(Label("mode", markup=False), modes, classes="field"))
        for field in fields:
            box = Input(id=field.name, compact=True, select_on_focus=False)
            box.cursor_blink = False
            rows.append(Horizontal(Label(field.label, markup=False), box, classes="field"))
        return VerticalScroll(*rows, id=f"charter-{name}", can_focus=False)

    def show_body(self, model: Model) -> None:
        """Fill the form once per session, lock it while one is open."""
        session = model.session
        is_open = session is not None and session.state not in END_STATES
        self._fill(model, session.id if is_open and session else "new")
        for box in self.query(Input):
            box.disabled = is_open
        self.query_one("#mode", Choice).disabled = is_open
        words = "Charter of the open session" if is_open else "New charter"
        self.lines("charter-title").show(lambda width, _h: [title(words, width)])
        self.lines("charter-window").show(lambda _w, _h: _window_rows(model, is_open))

    def _fill(self, model: Model, key: str) -> None:
        if model.state is None or self._filled_for == key:
            return
        session = model.session
        charter = session.charter if session is not None else self.desk.tools.charter_draft()
        if charter is None:
            return
        ladder = model.state.ladder
        values = field_values(charter)
        if ladder is not None and key == "new":
            values = capped(values, ladder.steps[ladder.step].limits)
        first = not self._filled_for
        for box in self.query(Input):
            if not (first and box.value):  # typed before the first state came: keep it
                box.value = printable(values[box.id or ""])
        self.query_one("#mode", Choice).choose(charter.mode.value)
        self._filled_for = key
        if first and key == "new":
            # Not scrolled to: mode and the first limits stay in sight at 24 rows.
            self.query_one("#purpose", Input).focus(scroll_visible=False)

    def action_open_charter(self) -> None:
        """Write the charter and begin the checklist."""
        session = self.model.session
        if session is not None and session.state not in END_STATES:
            self.desk.say(
                f"Session {session.id} is open: it must end before a new charter.", "soon"
            )
            return
        values = {box.id or "": box.value for box in self.query(Input)}
        mode = self.query_one("#mode", Choice).value
        try:
            charter = charter_of(values, mode, self.model.person, self.model.now_us)
        except InputError as error:
            self.desk.say(error.line(), "soon")
            self._focus_label(error.where)
            return
        self.desk.act(self._open(charter))

    def _focus_label(self, label: str) -> None:
        for field in (*PEOPLE_FIELDS, *LIMIT_FIELDS):
            if field.label == label:
                self.query_one(f"#{field.name}", Input).focus()

    async def _open(self, charter: Charter) -> str:
        await self.desk.client.charter(charter)
        await self.desk.client.start_checklist()
        return "Charter written. The checklist is open."

    def action_abort(self) -> None:
        """End the session with a reason."""
        ask_abort(self)


def _window_rows(model: Model, is_open: bool) -> list[Content]:  # noqa: FBT001
    if not is_open or model.session is None:
        return [
            join(text("Tab moves, "), text("^S", "accent"), text(" opens the session.", "plain"))
        ]
    charter = model.session.charter
    words = f"{clock(charter.window_from_us)}Z to {clock(charter.window_until_us)}Z"
    return [join(text("change window ", "quiet"), text(words))]


def ask_abort(screen: PeakScreen) -> None:
    """Ask for a reason, then abort: the same from charter, checklist, go and seal."""
    session = screen.model.session
    if session is None or session.state in END_STATES:
        screen.desk.say("No session is open.", "soon")
        return

    def done(reason: str | None) -> None:
        if reason:
            screen.desk.act(_abort(screen, reason))

    words = f"End session {session.id} now, before it is live? It is kept as aborted."
    if session.state is SessionState.RECONCILED:
        words = (
            f"End session {session.id} without a pack? Only where a key of its approval has left"
            " the roster; its evidence is the journal."
        )
    screen.app.push_screen(ReasonPrompt("Abort the session", words, "Abort"), done)


async def _abort(screen: PeakScreen, reason: str) -> str:
    await screen.desk.client.abort(reason)
    return "The session is aborted."
