"""The last risk report of a session: its files for the pack and its part of `report.html`. Pure.

Which is the last one, the journal says; the document's text goes into the pack byte for byte, so
that its hash is the one that was journaled, and everything for people is written from it.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from engine.contracts import event as ev
from engine.contracts.errors import InputError
from engine.contracts.risk import RiskDocument, RiskSheet
from engine.evidence.chart import Bar, bar_chart
from engine.evidence.text import printable, stamp
from engine.risk.report_text import document_markdown, read_document


def last_report(records: Sequence[ev.Recorded]) -> ev.RiskReported | None:
    """The last report that was made within the session."""
    for record in reversed(records):
        if isinstance(record.event, ev.RiskReported) and record.event.session_id:
            return record.event
    return None


def risk_files(records: Sequence[ev.Recorded]) -> dict[str, bytes]:
    """`risk.json` and `risk.md`; nothing when no report was made."""
    told = last_report(records)
    if told is None:
        return {}
    document = _document(told)
    words = (
        "# Risk report\n\nrisk.json cannot be read by this version.\n"
        if document is None
        else document_markdown(document)
    )
    return {"risk.json": told.document.encode("utf-8"), "risk.md": words.encode("utf-8")}


def risk_section(records: Sequence[ev.Recorded]) -> list[str]:
    """The section of the page: figures, backtest, and a plot of the stress results a sheet."""
    told = last_report(records)
    if told is None:
        return []
    document = _document(told)
    parts = ["<h2>Risk report</h2>"]
    if document is None:
        return [*parts, "<p>It cannot be read by this version.</p>"]
    made = f"Made {stamp(document.at_us)}, sha256 {told.sha256}; the last one of the session."
    parts.append(f"<p>{_text(made)}</p>")
    return parts + [part for sheet in document.sheets for part in _sheet(sheet)]


def _document(told: ev.RiskReported) -> RiskDocument | None:
    try:
        return read_document(told.document)
    except InputError:
        return None


def _text(value: str) -> str:
    return escape(printable(value))


def _sheet(sheet: RiskSheet) -> list[str]:
    parts = [f"<h3>What the {_text(sheet.scope)} holds</h3>"]
    parts += [f'<p class="missing">Missing: {_text(gap)}</p>' for gap in sheet.gaps]
    if not sheet.positions:
        return parts if sheet.gaps else [*parts, "<p>No position was open.</p>"]
    held = ", ".join(
        f"{one.quantity:f} {one.symbol} at {one.price:f} {sheet.quote}" for one in sheet.positions
    )
    parts.append(f"<p>{_text(held)}</p>")
    if sheet.figures:
        parts.append(_figures(sheet))
    if sheet.backtest is not None:
        tested = sheet.backtest
        parts.append(
            f"<p>Backtest: {tested.exceptions} exceptions in {tested.observations} forecasts, "
            f"{_text(tested.expected)} expected: {_text(tested.direction)}. "
            f"Basel zone {_text(tested.zone)}.</p>"
        )
    shocks = [
        Bar(
            name=one.shock,
            value=float(one.profit),
            label=f"{one.profit:,.2f}" + (" (NOT all covered)" if one.not_covered else ""),
        )
        for one in sheet.stress
    ]
    return [*parts, bar_chart(f"Stress, what the {sheet.scope} holds", sheet.quote, shocks)]


def _figures(sheet: RiskSheet) -> str:
    rows = "".join(
        f'<tr><td>{_text(one.method)}</td><td class="n">{_text(one.var or "-")}</td>'
        f'<td class="n">{_text(one.cvar or "-")}</td><td>{_text(one.note)}</td></tr>'
        for one in sheet.figures
    )
    level = f"{float(sheet.level) * 100:g} %"
    words = f"{level}, one bar of {sheet.interval}, {sheet.observations} observations"
    head = (
        f"<tr><th>loss, {_text(sheet.quote)} ({_text(words)})</th><th>VaR</th><th>CVaR</th>"
        "<th></th></tr>"
    )
    return f"<table>{head}{rows}</table>"
