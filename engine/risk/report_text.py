"""The risk report as bytes: canonical JSON for machines, Markdown for people. Pure.

The same report gives the same bytes. Figures are estimates and written as text with two places
(canonical JSON has no floats), probabilities and statistics with six; the stress part is exact. The
Markdown is written from the document alone, so that whoever has the one can make the other, and
nothing here needs numpy.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from engine.contracts.canonical import canonical
from engine.contracts.errors import InputError
from engine.contracts.money import to_text
from engine.contracts.risk import DOCUMENT_TYPE, SHEET_TYPE, RiskDocument, RiskSheet
from engine.orders.exact import multiply

if TYPE_CHECKING:
    from engine.risk.report import RiskReport

_PROBABILITIES = frozenset({"p_value", "rate", "zone_probability", "level", "statistic"})


def to_sheet(report: RiskReport) -> RiskSheet:
    """Write one report in the words of the document."""
    return msgspec.convert(
        {
            "type": SHEET_TYPE,
            "session_id": report.session_id,
            "at_us": report.at_us,
            "quote": report.quote,
            "interval": report.interval,
            "level": repr(report.level),
            "window": report.window,
            "observations": report.observations,
            "inputs_sha256": report.inputs_sha256,
            "positions": [msgspec.structs.asdict(one) for one in report.positions],
            "figures": [_texts(one) for one in report.figures],
            "contributions": [_texts(one) for one in report.contributions],
            "backtest": None if report.tested is None else _texts(report.tested),
            "stress": [msgspec.structs.asdict(one) for one in report.stressed],
            "gaps": report.gaps,
            "scope": report.scope,
        },
        RiskSheet,
    )


def to_document(report: RiskReport) -> bytes:
    """Write one report as canonical JSON, one line with its newline."""
    return canonical(to_sheet(report)) + b"\n"


def write_document(session_id: str, at_us: int, sheets: Sequence[RiskSheet]) -> bytes:
    """Write the sheets of one moment as canonical JSON, one line with its newline."""
    document = RiskDocument(
        type=DOCUMENT_TYPE, session_id=session_id, at_us=at_us, sheets=tuple(sheets)
    )
    return canonical(document) + b"\n"


def read_document(text: str | bytes) -> RiskDocument:
    """Read what `write_document` wrote. Raises InputError."""
    try:
        document = msgspec.json.decode(text, type=RiskDocument)
    except msgspec.DecodeError as error:
        raise InputError(what=f"no risk report ({error})", where="risk.json") from error
    if document.type != DOCUMENT_TYPE:
        raise InputError(what=f"a document of type {document.type[:40]!r}", where="risk.json")
    return document


def _texts(value: msgspec.Struct) -> dict[str, object]:
    """A struct's fields with floats as text: amounts with two places, probabilities with six."""
    words: dict[str, object] = {}
    for name, one in msgspec.structs.asdict(value).items():
        if isinstance(one, msgspec.Struct):
            words[name] = _texts(one)
        elif isinstance(one, float):
            words[name] = f"{one:.6f}" if name in _PROBABILITIES else _amount(one)
        else:
            words[name] = one
    return words


def _amount(value: float) -> str:
    text = f"{value:.2f}"
    return "0.00" if text == "-0.00" else text


# --- for people --------------------------------------------------------------------------------


def to_markdown(report: RiskReport) -> str:
    """Write one report for people."""
    return sheet_markdown(to_sheet(report))


def document_markdown(document: RiskDocument) -> str:
    """Write all sheets for people, one after the other."""
    return "\n".join(sheet_markdown(one) for one in document.sheets)


def sheet_markdown(sheet: RiskSheet) -> str:
    """Write one sheet for people."""
    percent = f"{float(sheet.level) * 100:g} %"
    lines = [
        f"# Risk report: what the {sheet.scope} holds" if sheet.scope else "# Risk report",
        "",
        (
            f"Session {sheet.session_id or 'none'}, horizon one bar of {sheet.interval}, "
            f"level {percent}, {sheet.observations} observations. "
            f"Losses are positive, in {sheet.quote}."
        ),
        "",
        *_positions(sheet),
        *_figures(sheet),
        *_backtest(sheet),
        *_stress(sheet),
    ]
    if sheet.gaps:
        gaps = (f"- {_cell(one)}" for one in sheet.gaps)
        lines += ["## What could not be computed", "", *gaps, ""]
    lines.append(f"Inputs sha256 `{sheet.inputs_sha256}`.")
    return "\n".join(lines) + "\n"


def _cell(words: str) -> str:
    """Words from a file on one line, without what would end a cell of a table."""
    shown = "".join(
        one if one.isprintable() else one.encode("unicode_escape").decode() for one in words
    )
    return shown.replace("|", "\\|")


def _positions(sheet: RiskSheet) -> list[str]:
    if not sheet.positions:
        if sheet.gaps:
            return ["No position is in this report; see below what is missing.", ""]
        return ["No position is open: there is nothing to lose in the market.", ""]
    rows = [
        f"| {one.symbol} | {to_text(one.quantity)} | {to_text(one.price)} | "
        f"{_amount(float(multiply(one.quantity, one.price)))} |"
        for one in sheet.positions
    ]
    return [
        f"| position | quantity | price | worth, {sheet.quote} |",
        "|---|--:|--:|--:|",
        *rows,
        "",
    ]


def _figures(sheet: RiskSheet) -> list[str]:
    if not sheet.figures:
        return []
    lines = ["## Value at risk", "", "| method | VaR | CVaR | remark |", "|---|--:|--:|---|"]
    lines += [
        f"| {one.method} | {one.var or '-'} | {one.cvar or '-'} | {_cell(one.note)} |"
        for one in sheet.figures
    ]
    lines += ["", "| contribution | VaR, historical | CVaR, historical | VaR, gaussian |"]
    lines.append("|---|--:|--:|--:|")
    lines += [
        f"| {one.symbol} | {one.var_historical} | {one.cvar_historical} | {one.var_gaussian} |"
        for one in sheet.contributions
    ]
    return [*lines, ""]


def _backtest(sheet: RiskSheet) -> list[str]:
    tested = sheet.backtest
    if tested is None:
        return []
    lines = [
        f"## Backtest of the historical VaR, window {sheet.window}",
        "",
        (
            f"{tested.exceptions} exceptions in {tested.observations} forecasts, "
            f"{tested.expected} expected: {tested.direction}. "
            f"Basel zone {tested.zone}: so many or fewer have probability "
            f"{float(tested.zone_probability):.4f}."
        ),
        "",
        "| test | statistic | p |",
        "|---|--:|--:|",
    ]
    named = (
        ("Kupiec, coverage", tested.coverage),
        ("Christoffersen, independence", tested.independence),
        ("Christoffersen, conditional coverage", tested.conditional),
    )
    lines += [
        f"| {name} | - | - |"
        if test is None
        else f"| {name} | {float(test.statistic):.3f} | {float(test.p_value):.4f} |"
        for name, test in named
    ]
    return [*lines, "", *(f"- {_cell(one)}" for one in tested.warnings), ""]


def _stress(sheet: RiskSheet) -> list[str]:
    if not sheet.stress or not sheet.positions:
        return []  # zeros of positions that are not there would look like safety
    lines = ["## Stress", "", f"| shock | kind | P&L, {sheet.quote} | |", "|---|---|--:|---|"]
    for one in sheet.stress:
        remark = _cell(one.text)
        if one.not_covered:
            remark += f" (NOT covered: {', '.join(one.not_covered)})"
        lines.append(f"| {one.shock} | {one.kind} | {to_text(one.profit)} | {remark} |")
    return [*lines, ""]
