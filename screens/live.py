"""The live screen: market at the left, what is ours at the right, one line for notes below.

Draws only; orders go through the ticket, cancels through the selected row. A cancel is never held
back by anything here (I13). The reviewer sees the same screen without ticket and cancel.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.types import CSSPathType
from textual.widget import Widget
from textual.widgets import Input

from engine.contracts.errors import Refused
from engine.contracts.order import OPEN_STATES
from engine.contracts.session import SessionState
from engine.contracts.view import StateView
from screens import live_draw
from screens.base import BASE_CSS, PeakScreen
from screens.lines import Lines, Picker
from screens.model import Model
from screens.prompt import ReasonPrompt
from screens.ticket import Ticket


class OrderList(Picker):
    """The orders; `c` or Delete cancels the marked one."""

    BINDINGS = [  # noqa: RUF012  (Textual reads a plain list)
        ("c,delete", "screen.cancel_order", "Cancel the marked order"),
    ]


class LiveScreen(PeakScreen):
    """F5."""

    NAME = "live"
    CSS_PATH: ClassVar[CSSPathType | None] = [BASE_CSS, "live.tcss"]

    def body(self) -> Iterable[Widget]:
        """Two columns and two lines."""
        yield Lines(id="streams")
        with Horizontal(id="live-columns"):
            with Vertical(id="live-market"):
                yield Lines(id="book")
                yield Lines(id="trades")
            with Vertical(id="live-ours"):
                yield Lines(id="position")
                yield Lines(id="orders-title")
                with VerticalScroll(id="orders-scroll", can_focus=False):
                    yield OrderList(id="orders")
                yield Lines(id="fills")
                yield Lines(id="limits")
        box = Input(
            id="note-line",
            compact=True,
            max_length=300,
            placeholder="note for the runlog (^L), Enter writes it",
        )
        box.cursor_blink = False
        yield box

    def on_mount(self) -> None:
        """The order list has the focus: no letter typed by mistake runs anything but cancel."""
        self.orders.focus()

    @property
    def orders(self) -> OrderList:
        """The list."""
        return self.query_one("#orders", OrderList)

    def show_body(self, model: Model) -> None:
        """All panels."""
        state = model.state
        self._offer(state)
        self.lines("streams").show(lambda width, _h: live_draw.stream_row(model, width))
        self.lines("book").show(lambda width, height: live_draw.book_rows(model, width, height))
        self.lines("trades").show(lambda width, height: live_draw.trade_rows(model, width, height))
        self.lines("position").show(
            lambda width, height: live_draw.position_rows(model, width, height)
        )
        self.lines("orders-title").show(
            lambda width, _h: [live_draw.order_title(model.state, width)]
        )
        self._show_orders()
        self.lines("fills").show(lambda width, height: live_draw.fill_rows(model, width, height))
        self.lines("limits").show(lambda width, height: live_draw.limit_rows(model, width, height))

    def _offer(self, state: StateView | None) -> None:
        """Mark an open order when the marked one is done: cancel is one key away."""
        orders = self.orders
        rows = state.orders if state else ()
        orders.offer([row.intent.client_order_id for row in rows])
        still_open = [row.intent.client_order_id for row in rows if row.state in OPEN_STATES]
        if still_open and orders.selected not in still_open and not orders.has_moved:
            orders.selected = still_open[0]
        orders.has_moved = orders.has_moved and orders.selected not in still_open

    def _show_orders(self) -> None:
        model, orders = self.model, self.orders
        selected, focused = orders.selected, orders.has_focus
        orders.show(lambda width, _h: live_draw.order_rows(model, selected, focused, width))
        if selected in orders.keys:
            scroll = self.query_one("#orders-scroll", VerticalScroll)
            scroll.scroll_to(y=max(0, orders.keys.index(selected) - 2), animate=False)

    def on_picker_moved(self) -> None:
        """Another order is marked."""
        self._show_orders()

    def on_descendant_focus(self) -> None:
        """The pointer's tone follows the focus."""
        self._show_orders()

    def action_ticket(self) -> None:
        """Open the ticket."""
        model = self.model
        if model.session is None or model.session.state is not SessionState.LIVE:
            self.desk.say("Orders need a live session.", "soon")
        elif model.state is None or model.state.market is None:
            self.desk.say("No market data: no order can be priced.", "soon")
        else:
            self.app.push_screen(Ticket(model.session.charter.instruments[0]))

    def action_cancel_order(self) -> None:
        """Cancel the marked order."""
        if self.role == "operator":
            self.desk.act(self._cancel(self.orders.selected))

    async def _cancel(self, client_order_id: str) -> str:
        state = self.model.state
        orders = {order.intent.client_order_id: order for order in state.orders} if state else {}
        order = orders.get(client_order_id)
        if order is None or order.state not in OPEN_STATES:
            raise Refused(what="the marked order is not open", todo="mark an open one")
        await self.desk.client.cancel(client_order_id)
        return f"Cancel asked for order {client_order_id}."

    def action_note(self) -> None:
        """Go to the note line, and back."""
        line = self.query_one("#note-line")
        self.set_focus(self.orders if line.has_focus else line)  # at once: letters may follow

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Write the note."""
        event.stop()
        words = event.value.strip()
        if words:
            event.input.value = ""
            self.desk.act(self._note(words))
        self.set_focus(self.orders)

    async def _note(self, words: str) -> str:
        await self.desk.client.note(words)
        return f"Noted: {words}"

    def action_pause(self) -> None:
        """Pause, or ask to resume."""
        self.desk.act(self._pause())

    async def _pause(self) -> str:
        session = self.model.session
        if session is not None and session.state is SessionState.PAUSED:
            await self.desk.client.resume("by key")
            return "Resumed."
        await self.desk.client.pause("by key")
        return "Paused: no new orders until ^W again."

    def action_stop(self) -> None:
        """Ask for a reason, then end trading."""

        def done(reason: str | None) -> None:
            if reason:
                self.desk.act(self._stop(reason))

        words = "End trading: no new orders, every open order is cancelled and proven gone."
        self.app.push_screen(ReasonPrompt("Stop the session", words, "Stop"), done)

    async def _stop(self, reason: str) -> str:
        await self.desk.client.stop(reason)
        return "Stopping: cancelling and proving."
