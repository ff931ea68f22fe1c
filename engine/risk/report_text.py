"""The risk report as bytes: canonical JSON for machines, Markdown for people. Pure.

The same report gives the same bytes. Figures are estimates and written as text with two places
(canonical JSON has no floats), probabilities and statistics with six; the stress part is exact.
"""

from __future__ import annotations

import msgspec

from engine.contracts.canonical import canonical
from engine.contracts.money import to_text
from engine.risk.report import RiskReport

TYPE = "peakctl-risk-1"


def to_document(report: RiskReport) -> bytes:
    """Write the report as canonical JSON, one line with its newline."""
    document = {
        "type": TYPE,
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
        "gaps": list(report.gaps),
    }
    return canonical(document) + b"\n"


def _texts(value: msgspec.Struct) -> dict[str, object]:
    """A struct's fields with floats as text: amounts with two places, probabilities with six."""
    words: dict[str, object] = {}
    for name, one in msgspec.structs.asdict(value).items():
        if isinstance(one, msgspec.Struct):
            words[name] = _texts(one)
        elif isinstance(one, float):
            words[name] = _number(name, one)
        else:
            words[name] = one
    return words


_PROBABILITIES = frozenset({"p_value", "rate", "zone_probability", "level", "statistic"})


def _number(name: str, value: float) -> str:
    return f"{value:.6f}" if name in _PROBABILITIES else _amount(value)


def _amount(value: float) -> str:
    text = f"{value:.2f}"
    return "0.00" if text == "-0.00" else text


def to_markdown(report: RiskReport) -> str:
    """Write the report for people."""
    percent = f"{report.level * 100:g} %"
    lines = [
        "# Risk report",
        "",
        (
            f"Session {report.session_id or 'none'}, horizon one bar of {report.interval}, "
            f"level {percent}, {report.observations} observations. "
            f"Losses are positive, in {report.quote}."
        ),
        "",
        *_positions(report),
        *_figures(report),
        *_backtest(report),
        *_stress(report),
    ]
    if report.gaps:
        lines += ["## What could not be computed", "", *(f"- {gap}" for gap in report.gaps), ""]
    lines.append(f"Inputs sha256 `{report.inputs_sha256}`.")
    return "\n".join(lines) + "\n"


def _positions(report: RiskReport) -> list[str]:
    if not report.positions:
        return ["No position is open: there is nothing to lose in the market.", ""]
    rows = [
        f"| {one.symbol} | {to_text(one.quantity)} | {to_text(one.price)} | "
        f"{_amount(float(one.quantity * one.price))} |"
        for one in report.positions
    ]
    return [
        f"| position | quantity | price | worth, {report.quote} |",
        "|---|--:|--:|--:|",
        *rows,
        "",
    ]


def _figures(report: RiskReport) -> list[str]:
    if not report.figures:
        return []
    lines = ["## Value at risk", "", "| method | VaR | CVaR | remark |", "|---|--:|--:|---|"]
    for one in report.figures:
        var = "-" if one.var is None else _amount(one.var)
        cvar = "-" if one.cvar is None else _amount(one.cvar)
        lines.append(f"| {one.method} | {var} | {cvar} | {one.note} |")
    lines += ["", "| contribution | VaR, historical | CVaR, historical | VaR, gaussian |"]
    lines.append("|---|--:|--:|--:|")
    lines += [
        f"| {one.symbol} | {_amount(one.var_historical)} | {_amount(one.cvar_historical)} | "
        f"{_amount(one.var_gaussian)} |"
        for one in report.contributions
    ]
    return [*lines, ""]


def _backtest(report: RiskReport) -> list[str]:
    tested = report.tested
    if tested is None:
        return []
    lines = [
        f"## Backtest of the historical VaR, window {report.window}",
        "",
        (
            f"{tested.exceptions} exceptions in {tested.observations} forecasts, "
            f"{tested.expected:.1f} expected: {tested.direction}. "
            f"Basel zone {tested.zone} ({tested.zone_probability:.4f})."
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
        else f"| {name} | {test.statistic:.3f} | {test.p_value:.4f} |"
        for name, test in named
    ]
    return [*lines, "", *(f"- {one}" for one in tested.warnings), ""]


def _stress(report: RiskReport) -> list[str]:
    if not report.stressed:
        return []
    lines = ["## Stress", "", f"| shock | kind | P&L, {report.quote} | |", "|---|---|--:|---|"]
    for one in report.stressed:
        remark = one.text
        if one.not_covered:
            remark += f" (NOT covered: {', '.join(one.not_covered)})"
        lines.append(f"| {one.shock} | {one.kind} | {to_text(one.profit)} | {remark} |")
    return [*lines, ""]
