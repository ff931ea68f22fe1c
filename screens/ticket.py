"""The order ticket: every check of the risk decision is shown before anything can be sent.

Send is enabled only while the engine's preview of exactly these fields says ALLOW; the focus is
never on it by itself, Enter in a field only goes on, and keys of the first 300 ms are dropped.
The preview is advice: the engine decides again, with the same checks, when the order arrives. Under
the checks stand the breakers and how close they are: they do not judge the order, its loss may trip
them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import ClassVar, NamedTuple

from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.timer import Timer
from textual.types import CSSPathType
from textual.widget import Widget
from textual.widgets import Button, Input, Label

from engine.contracts.decision import Check, Decision, Verdict
from engine.contracts.errors import InputError, PeakError
from engine.contracts.money import parse_decimal
from engine.contracts.order import OrderType, Side, TimeInForce
from screens.base import BASE_CSS, PeakModal
from screens.draw import BLANK, cell, fixed, join, mark, table, text, title, wrap
from screens.lines import Choice, Lines
from screens.model import Model
from screens.standing import breaker_rows
from screens.words import VERDICTS, mark_of

#: Pause after the last change before the preview is asked for, s.
SETTLE_S = 0.12


def check_rows(decision: Decision | None, problem: str, width: int) -> Sequence[Content]:
    """Every check: verdict, code, value of limit, what is left; those that do not allow first."""
    if problem:
        return [text(f"▲ {problem}", "soon")]
    if decision is None:
        return [text("the checks show here as soon as the fields can be read", "quiet")]
    checks = sorted(decision.checks, key=lambda check: check.verdict is Verdict.ALLOW)
    return [row for check in checks for row in _check(check, width)]


def _check(check: Check, width: int) -> list[Content]:
    state = mark_of(VERDICTS, check.verdict)
    if check.verdict is not Verdict.ALLOW:
        # Why it is blocked is what has to be read: wrapped, never cut.
        rows = wrap(check.text, width - len(state.text) - 1, state.tone) or [BLANK]
        lead = [mark(state), *(cell(BLANK, len(state.text)) for _ in rows[1:])]
        return [join(first, " ", row) for first, row in zip(lead, rows, strict=True)]
    measured = check.limit and check.value != check.limit
    numbers = f"{check.value} of {check.limit} {check.unit}".strip() if measured else check.text
    left = f"left {check.headroom}" if check.headroom else ""
    if left and not check.limit:
        left = f"{left} {check.unit}".rstrip()
    room = width - 8 - 17 - 14 - 3
    return table(
        [
            (
                mark(state, "quiet"),
                text(check.code, "plain"),
                text(numbers, "quiet"),
                text(left, "quiet"),
            )
        ],
        (8, 17, room, 14),
        "lllr",
    )


def verdict_row(decision: Decision | None, width: int) -> Content:
    """The verdict, large enough to be read before the checks."""
    if decision is None:
        return title("Checks", width)
    state = mark_of(VERDICTS, decision.verdict)
    count = f"{len(decision.checks) - len(decision.reasons)} of {len(decision.checks)} allow"
    return title("Checks, PgUp PgDn", width, join(mark(state), text(f"  {count}", "quiet")))


class Typed(NamedTuple):
    """The order as typed, in the order of the client's arguments: base quantity, quote price."""

    symbol: str
    side: Side
    type: OrderType
    quantity: Decimal
    price: Decimal | None
    time_in_force: TimeInForce | None


class Ticket(PeakModal[str]):
    """The dialog; answers with the client order id of the sent order, or None."""

    CSS_PATH: ClassVar[CSSPathType | None] = [BASE_CSS, "ticket.tcss"]
    BINDINGS = [  # noqa: RUF012  (Textual reads a plain list)
        ("pageup", "page_checks(-1)", "Checks above"),
        ("pagedown", "page_checks(1)", "Checks below"),
    ]

    def __init__(self, symbol: str) -> None:
        super().__init__()
        self._symbol = symbol
        self._decision: Decision | None = None
        self._previewed: Typed | None = None
        self._problem = ""
        self._sending = False
        self._settle: Timer | None = None

    def body(self) -> Iterable[Widget]:
        """Fields, checks, two buttons."""
        yield Lines(id="ticket-title")
        yield self._field("side", Choice([side.value for side in Side], id="side"))
        yield self._field("type", Choice([kind.value for kind in OrderType], id="type"))
        yield self._field("time in force", Choice([tif.value for tif in TimeInForce], id="tif"))
        for name in ("quantity", "price"):
            box = Input(id=name, compact=True, max_length=30)
            box.cursor_blink = False
            yield self._field(name, box)
        yield Lines(id="ticket-verdict")
        with VerticalScroll(id="ticket-scroll", can_focus=False):
            yield Lines(id="ticket-checks")
        with Horizontal(id="ticket-buttons"):
            yield Button("Back", id="ticket-back", compact=True)
            yield Button("Send order", id="ticket-send", compact=True, classes="waits")
            yield Lines(id="ticket-why")

    @staticmethod
    def _field(label: str, widget: Widget) -> Widget:
        return Horizontal(Label(label, markup=False), widget, classes="field")

    def on_mount(self) -> None:
        """The cursor is in the quantity; the price starts at the best bid."""
        state = self.desk.model.state
        market = state.market if state else None
        if market is not None and market.bids:
            self.query_one("#price", Input).value = fixed(market.bids[0][0], market.tick_size)
        self.query_one("#quantity").focus()
        self._draw()

    def show_box(self, model: Model) -> None:
        """Best prices in the title."""
        market = model.state.market if model.state else None
        best = BLANK
        if market is not None and market.bids and market.asks:
            bid = fixed(market.bids[0][0], market.tick_size)
            ask = fixed(market.asks[0][0], market.tick_size)
            words = f"bid {bid}  ask {ask} {market.quote}"
            gone = market.stale or model.stale
            best = text(f"▲ STALE {words}" if gone else words, "now" if gone else "plain")
        self.lines("ticket-title").show(
            lambda width, _h: [title(f"Order {self._symbol}", width, best)]
        )

    def request(self) -> Typed:
        """The order as typed. Raises InputError naming the field."""
        kind = OrderType(self.query_one("#type", Choice).value)
        price = self.query_one("#price", Input).value.strip()
        return Typed(
            symbol=self._symbol,
            side=Side(self.query_one("#side", Choice).value),
            type=kind,
            quantity=parse_decimal(self.query_one("#quantity", Input).value.strip(), "quantity"),
            price=None if kind is OrderType.MARKET else parse_decimal(price, "price"),
            time_in_force=TimeInForce(self.query_one("#tif", Choice).value)
            if kind is OrderType.LIMIT
            else None,
        )

    def action_page_checks(self, pages: int) -> None:
        """The checks and the breakers under them scroll from every field; the focus stays."""
        scroll = self.query_one("#ticket-scroll", VerticalScroll)
        scroll.scroll_relative(y=pages * max(1, scroll.size.height - 1), animate=False)

    def on_choice_changed(self) -> None:
        """A field changed: what was previewed is not what is typed."""
        self._changed()

    def on_input_changed(self, event: Input.Changed) -> None:
        """A field changed."""
        event.stop()
        self._changed()

    def _changed(self) -> None:
        if not self._ready:
            return
        self._decision, self._previewed, self._problem = None, None, ""
        self._draw()
        if self._settle is not None:
            self._settle.stop()
        self._settle = self.set_timer(SETTLE_S, self._ask_preview)

    def _ask_preview(self) -> None:
        if not self.query_one("#quantity", Input).value.strip():
            return
        try:
            request = self.request()
        except InputError as error:
            self._problem = error.line()
            self._draw()
            return
        self.run_worker(self._preview(request), exclusive=True, exit_on_error=True)

    async def _preview(self, request: Typed) -> None:
        decision: Decision | None = None
        problem = ""
        try:
            decision = await self.desk.client.preview(*request)
        except PeakError as error:
            problem = error.line()
        if self._still(request):
            self._decision, self._previewed, self._problem = decision, request, problem
            self._draw()

    def _still(self, request: Typed) -> bool:
        try:
            return self.request() == request
        except InputError:
            return False

    @property
    def sendable(self) -> bool:
        """The engine said ALLOW to exactly what is typed."""
        allowed = self._decision is not None and self._decision.verdict is Verdict.ALLOW
        return allowed and self._previewed is not None and self._still(self._previewed)

    def _draw(self) -> None:
        decision, problem = self._decision, self._problem
        state = self.desk.model.state
        limits = state.limits if state and decision else ()
        self.lines("ticket-verdict").show(lambda width, _h: [verdict_row(decision, width)])
        self.lines("ticket-checks").show(
            lambda width, _h: [
                *check_rows(decision, problem, width),
                *breaker_rows(limits, width),
            ]
        )
        # Never disabled: Tab must lead here also while the checks are under way, or the next Enter
        # would go to another field. It does nothing until they allow.
        self.query_one("#ticket-send").set_class(self._sending or not self.sendable, "waits")
        self.lines("ticket-why").show(lambda width, _h: [cell(text(self._why(), "quiet"), width)])

    def _why(self) -> str:
        if self._sending:
            return "sending…"
        if self.sendable:
            return "Tab to Send, then Enter"
        if self._decision is not None:
            return "blocked: " + ", ".join(check.code for check in self._decision.reasons)
        return "Send waits for the checks"

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter in a field goes on to the next, never to Send."""
        event.stop()
        following = "#price" if event.input.id == "quantity" else "#ticket-back"
        self.set_focus(self.query_one(following))

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """Back, or Send when the checks allow."""
        event.stop()
        if event.button.id == "ticket-back":
            self.dismiss(None)
        elif self.sendable and not self._sending and self._previewed is not None:
            self._sending = True
            self._draw()
            self.run_worker(self._send(self._previewed), exclusive=True)

    async def _send(self, request: Typed) -> None:
        try:
            reply = await self.desk.client.submit(*request)
        except PeakError as error:
            self._sending, self._problem, self._decision = False, error.line(), None
            self._draw()
            return
        if reply.decision.verdict is Verdict.ALLOW:
            self.desk.say(f"Order {reply.client_order_id} was sent.")
            self.dismiss(reply.client_order_id)
            return
        self._sending, self._decision = False, reply.decision
        self._draw()
