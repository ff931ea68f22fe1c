"""Alarms: what needs a person, most urgent first, what to do about it, and whose it is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from textual.containers import VerticalScroll
from textual.content import Content
from textual.widget import Widget

from engine.contracts.view import AlarmView
from screens.base import PeakScreen
from screens.draw import cell, clock, join, text, title, wrap
from screens.lines import Lines, Picker
from screens.model import Model
from screens.words import ALARMS, Mark


def alarm_rows(alarms: Sequence[AlarmView], selected: str, width: int) -> list[Content]:
    """One row an alarm: urgency, time, text, who has it."""
    if not alarms:
        return [text("● no alarms", "quiet")]
    rows = []
    for alarm in alarms:
        state = ALARMS.get(alarm.priority, Mark("◆", "LOOK", "accent"))
        here = alarm.id == selected
        name = alarm.acknowledged_by
        holder = text(f"✔ {name}", "quiet") if name else text("□ nobody", "soon")
        parts = [
            cell(text(state.text, "quiet" if name else state.tone), 10),
            cell(text(clock(alarm.raised_us), "quiet"), 8),
            cell(
                text(alarm.text, "loud" if here else "plain"), max(10, width - 2 - 10 - 8 - 12 - 3)
            ),
            cell(holder, 12),
        ]
        rows.append(join(text("▶ " if here else "  ", "accent"), Content(" ").join(parts)))
    return rows


def alarm_detail(alarm: AlarmView | None, width: int) -> list[Content]:
    """The marked alarm in full, with what to do."""
    if alarm is None:
        return []
    return [
        text(alarm.code, "loud"),
        *wrap(alarm.text, width),
        *wrap(f"do: {alarm.response}", width, "accent"),
        text("Enter puts your name to it", "quiet"),
    ]


class AlarmList(Picker):
    """The alarms; Enter acknowledges the marked one."""

    BINDINGS = [("enter", "screen.acknowledge", "Acknowledge")]  # noqa: RUF012


class AlarmsScreen(PeakScreen):
    """F8."""

    NAME = "alarms"

    def body(self) -> Iterable[Widget]:
        """List and detail."""
        yield Lines(id="alarm-title")
        with VerticalScroll(id="alarm-scroll", can_focus=False):
            yield AlarmList(id="alarm-list")
        yield Lines(id="alarm-detail")

    def on_mount(self) -> None:
        """The list has the focus."""
        self.query_one("#alarm-list").focus()

    def show_body(self, model: Model) -> None:
        """List and detail."""
        alarms = (
            sorted(model.state.alarms, key=lambda row: (bool(row.acknowledged_by), row.priority))
            if model.state
            else []
        )
        picker = self.query_one("#alarm-list", AlarmList)
        picker.offer([alarm.id for alarm in alarms])
        selected = picker.selected
        current = next((alarm for alarm in alarms if alarm.id == selected), None)
        self.lines("alarm-title").show(lambda width, _h: [title("Alarms", width)])
        picker.show(lambda width, _h: alarm_rows(alarms, selected, width))
        self.lines("alarm-detail").show(lambda width, _h: alarm_detail(current, width))

    def on_picker_moved(self) -> None:
        """Another alarm is marked."""
        self.show_body(self.model)

    def action_acknowledge(self) -> None:
        """Put this person's name to the marked alarm."""
        alarm_id = self.query_one("#alarm-list", AlarmList).selected
        if alarm_id:
            self.desk.act(self._acknowledge(alarm_id))

    async def _acknowledge(self, alarm_id: str) -> str:
        await self.desk.client.acknowledge(alarm_id)
        return "The alarm is yours."
