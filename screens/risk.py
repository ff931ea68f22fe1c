"""What the positions may lose: the risk report, as asked for from here; and what holds it in.

A report is of one moment: its time and age stand above it, and it says so when the session's
positions have changed since. What could not be computed comes first, because absent is not "no
risk" (I12). The engine keeps each report in the journal; this screen keeps the last one it was
answered, and nothing else. Below it stand the breakers, the scaling ladder and what live asks for,
as the engine tells them now.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar

import msgspec
from textual.containers import VerticalScroll
from textual.content import Content
from textual.types import CSSPathType
from textual.widget import Widget

from engine.contracts.errors import PeakError
from engine.contracts.money import to_text
from engine.contracts.risk import (
    SESSION,
    RiskBacktest,
    RiskDocument,
    RiskFigure,
    RiskSheet,
    RiskTest,
)
from screens.base import BASE_CSS, PeakScreen
from screens.draw import BLANK, age, cell, clock, join, mark, table, text, title, wrap
from screens.lines import Lines
from screens.model import Model
from screens.standing import standing_rows
from screens.words import BREAKS, mark_of

#: method or instrument, then three figures
_WIDTHS = (16, 13, 13, 13)
_SHOCK_WIDTHS = (22, 14)
_OLD_MS = 15 * 60_000
_EMPTY = (
    "No report yet. ctrl+r makes one: value at risk by three methods, who contributes, "
    "a backtest of it, and stress. It goes into the journal under your name."
)


def head_rows(document: RiskDocument, sheet: RiskSheet, model: Model, width: int) -> list[Content]:
    """Whose positions, of when, how they are valued; and whether they have changed since."""
    old_ms = max(0, model.now_us - document.at_us) // 1_000
    when = text(
        f"{clock(document.at_us)} UTC, {age(old_ms)} ago", "soon" if old_ms > _OLD_MS else "quiet"
    )
    others = [one.scope for one in document.sheets if one.scope != sheet.scope]
    rows = [title(f"Risk: what the {sheet.scope} holds", width, when)]
    if _changed(sheet, model):
        rows += wrap("▲ OLD: the session's positions have changed; ctrl+r", width, "now")
    rows += [row for gap in sheet.gaps for row in wrap(f"▲ MISSING: {gap}", width, "now")]
    rows += [
        cell(
            join(
                text(one.symbol, "loud"),
                text(f"  {to_text(one.quantity)} at {to_text(one.price)} {sheet.quote}"),
            ),
            width,
        )
        for one in sheet.positions
    ]
    if not sheet.positions and not sheet.gaps:
        rows.append(text("No position is open: there is nothing to lose in the market.", "quiet"))
    if others:
        rows.append(text(f"◂ ▸ shows what the {others[0]} holds", "accent"))
    return rows


def _changed(sheet: RiskSheet, model: Model) -> bool:
    """Whether the session holds something else now than it did in the report."""
    if sheet.scope != SESSION or model.state is None:
        return False
    session = model.session
    if session is None or session.id != sheet.session_id:
        return True
    told = {one.symbol: one.quantity for one in sheet.positions}
    now = {one.symbol: one.quantity for one in model.state.positions if one.quantity}
    # What had no price is not among the report's positions, and is told as missing there.
    return told != now and not sheet.gaps


def figure_rows(sheet: RiskSheet, width: int) -> list[Content]:
    """Figures by method with their remarks, then each instrument's share."""
    if not sheet.figures:
        return []
    level = f"{float(sheet.level) * 100:g} %"
    words = f"{level}, one bar of {sheet.interval}, {sheet.observations} bars"
    rows = [title(f"Losses, {sheet.quote}", width, text(words, "quiet"))]
    rows.append(_row(("method", "VaR", "CVaR"), "quiet"))
    for one in sheet.figures:
        figures = (one.method, one.var or "-", one.cvar or "-")
        row = _row(figures, "plain" if one.var else "soon")
        room = width - row.cell_length - 2
        note = text(one.note, _tone(one))
        if note.cell_length <= room:
            rows.append(join(row, "  ", note))
        else:
            rows.append(row)
            rows += [join("   ", part) for part in wrap(one.note, width - 3, _tone(one))]
    rows.append(_row(("contribution", "VaR hist.", "CVaR hist.", "VaR gauss."), "quiet"))
    rows += [
        _row((one.symbol, one.var_historical, one.cvar_historical, one.var_gaussian))
        for one in sheet.contributions
    ]
    return [BLANK, *rows]


def _tone(figure: RiskFigure) -> str:
    return "quiet" if figure.var else "soon"


def _row(cells: Sequence[str], tone: str = "plain") -> Content:
    parts = tuple(text(one, tone) for one in cells)
    return table([parts], _WIDTHS[: len(cells)], "lrrr"[: len(cells)])[0]


def backtest_rows(sheet: RiskSheet, width: int) -> list[Content]:
    """Exceptions against what was expected, the zone, the tests with their warnings."""
    tested = sheet.backtest
    if tested is None:
        return []
    zone = mark_of(BREAKS, tested.zone)
    p_values = ", ".join(
        f"{name} p {'-' if test is None else f'{float(test.p_value):.4f}'}"
        for name, test in _tests(tested)
    )
    counted = (
        f"{tested.exceptions} exceptions in {tested.observations} forecasts, "
        f"{tested.expected} expected: "
    )
    verdict = text(tested.direction, "plain" if tested.direction == "as expected" else "soon")
    return [
        BLANK,
        title(f"Backtest, window {sheet.window}", width, join(text("Basel ", "quiet"), mark(zone))),
        cell(join(text(counted), verdict), width),
        *wrap(p_values, width, "quiet"),
        *(row for one in tested.warnings for row in wrap(f"▲ {one}", width, "soon")),
    ]


def _tests(tested: RiskBacktest) -> tuple[tuple[str, RiskTest | None], ...]:
    return (
        ("Kupiec", tested.coverage),
        ("Christoffersen independence", tested.independence),
        ("conditional coverage", tested.conditional),
    )


def stress_rows(sheet: RiskSheet, width: int) -> list[Content]:
    """Every shock, worst first; a position that a shock leaves out is called so."""
    if not sheet.stress or not sheet.positions:
        return []  # zeros of positions that are not there would look like safety
    rows = [BLANK, title(f"Stress, profit in {sheet.quote}", width, text("worst first", "quiet"))]
    for one in sheet.stress:
        profit = text(f"{one.profit:.2f}", "loud" if one.profit < 0 else "plain")
        row = table([(text(one.shock), profit)], _SHOCK_WIDTHS, "lr")[0]
        remark = text(one.text, "quiet")
        if one.not_covered:
            remark = text(f"■ NOT covered: {', '.join(one.not_covered)}", "now")
        rows.append(cell(join(row, "  ", remark), width))
    return rows


class RiskScreen(PeakScreen):
    """ctrl+y."""

    NAME = "risk"
    CSS_PATH: ClassVar[CSSPathType | None] = [BASE_CSS, "risk.tcss"]

    def __init__(self, role: str) -> None:
        super().__init__(role)
        self._document: RiskDocument | None = None
        self._scope = ""
        self._asking = False
        self._fault = ""

    def body(self) -> Iterable[Widget]:
        """One long sheet."""
        with VerticalScroll(id="risk-scroll"):
            yield Lines(id="risk-sheet")

    def on_mount(self) -> None:
        """The sheet has the focus: up, down and the page keys move it."""
        self.query_one("#risk-scroll").focus()

    def show_body(self, model: Model) -> None:
        """The sheet that was chosen."""
        self.lines("risk-sheet").show(lambda width, _h: self._rows(model, width))

    def _rows(self, model: Model, width: int) -> list[Content]:
        rows: list[Content] = []
        if self._asking:
            rows += [text("Being computed; orders and the kill go on meanwhile.", "accent")]
        elif self._fault:
            rows += wrap(f"■ NO REPORT: {self._fault}", width, "now")
        sheet = self._sheet()
        if sheet is None or self._document is None:
            if self._asking or self._fault:
                return [*rows, *standing_rows(model.state, width)]
            empty = [title("Risk", width), *wrap(_EMPTY, width)]
            return [*empty, *standing_rows(model.state, width)]
        return [
            *rows,
            *head_rows(self._document, sheet, model, width),
            *figure_rows(sheet, width),
            *backtest_rows(sheet, width),
            *stress_rows(sheet, width),
            *standing_rows(model.state, width),
        ]

    def _sheet(self) -> RiskSheet | None:
        sheets = self._document.sheets if self._document else ()
        return next((one for one in sheets if one.scope == self._scope), next(iter(sheets), None))

    def action_ask_risk(self) -> None:
        """Ask for a new report, unless one is on its way."""
        if not self._asking:
            self._asking = True
            self.show_body(self.model)
            self.desk.act(self._ask())

    async def _ask(self) -> str:
        try:
            answer = await self.desk.client.risk_report()
            self._document = msgspec.json.decode(answer.document, type=RiskDocument)
            self._fault = ""
        except PeakError as error:
            self._fault = error.line()
            raise
        finally:
            self._asking = False
        missing = "" if self._document.whole else "; something is MISSING in it"
        return f"Risk report {answer.sha256[:12]} is in the journal{missing}."

    def action_other_scope(self) -> None:
        """The other sheet."""
        sheets = self._document.sheets if self._document else ()
        names = [one.scope for one in sheets]
        sheet = self._sheet()
        if sheet is not None:
            self._scope = names[(names.index(sheet.scope) + 1) % len(names)]
            self.show_body(self.model)
