"""`report.html`: the session on one page that opens from the disk, without network or script.

Pure: records in, bytes out, the same for the same records. It shows nothing that is not in the
journal, and is a reading aid: the evidence is the log and the tables beside it. All text that
people or venues wrote is escaped, control and bidi characters too; the page forbids itself to load
or run anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from importlib.resources import files

from engine.contracts import event as ev
from engine.contracts.money import CONTEXT, ZERO
from engine.contracts.order import Side
from engine.contracts.session import Charter
from engine.evidence.chart import Series, chart
from engine.evidence.phrases import phrase
from engine.evidence.risk_part import risk_section
from engine.evidence.text import printable, stamp
from engine.orders.positions import PositionLedger, unrealized

#: What the timeline tells: who allowed what, and what stopped it.
_TIMELINE = (
    ev.SessionChartered,
    ev.ReviewerJoined,
    ev.GoRequested,
    ev.GoSigned,
    ev.GoDecided,
    ev.GoVoided,
    ev.ApprovalRefused,
    ev.SessionMoved,
    ev.AttendanceLost,
    ev.KillLatched,
    ev.KillVerdict,
    ev.ReconSigned,
    ev.AlarmRaised,
)

_STYLE = (files("engine.evidence") / "page.css").read_text(encoding="utf-8")


def page(records: Sequence[ev.Recorded]) -> bytes:
    """The page of one session's records."""
    charter = next(
        (one.event for one in records if isinstance(one.event, ev.SessionChartered)), None
    )
    title = f"Session {charter.session_id}" if charter else "Session"
    parts = [
        f"<h1>{_text(title)}</h1>",
        _head(records, charter.charter if charter else None),
        "<h2>Profit and fills</h2>",
        *_charts(records),
        "<h2>Limit use</h2>",
        _limit_use(records),
        *risk_section(records),
        "<h2>Approvals and interventions</h2>",
        _timeline(records),
    ]
    html = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta http-equiv="Content-Security-Policy" '
        "content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        f"<title>{_text(title)}</title><style>{_STYLE}</style></head><body>"
        + "\n".join(parts)
        + "</body></html>\n"
    )
    return html.encode("utf-8")


def _text(value: str) -> str:
    return escape(printable(value))


def _head(records: Sequence[ev.Recorded], charter: Charter | None) -> str:
    rows = [("from", stamp(records[0].ts_us)), ("to", stamp(records[-1].ts_us))] if records else []
    if charter is not None:
        rows = [
            ("mode", charter.mode.value),
            ("venue, account", f"{charter.venue}, {charter.account}"),
            ("instruments", ", ".join(charter.instruments)),
            ("operator, reviewer", f"{charter.operator}, {charter.reviewer}"),
            ("purpose", charter.purpose or "-"),
            *rows,
        ]
    orders = sum(isinstance(one.event, ev.OrderIntended) for one in records)
    fills = sum(isinstance(one.event, ev.OrderFilled) for one in records)
    blocked = sum(isinstance(one.event, ev.OrderBlocked) for one in records)
    rows.append(("orders, fills, blocked", f"{orders}, {fills}, {blocked}"))
    cells = "".join(
        f"<tr><th>{_text(name)}</th><td>{_text(value)}</td></tr>" for name, value in rows
    )
    return f"<table>{cells}</table>"


# --- charts ------------------------------------------------------------------------------------


def _charts(records: Sequence[ev.Recorded]) -> list[str]:
    symbols = sorted(
        {one.event.fill.symbol for one in records if isinstance(one.event, ev.OrderFilled)}
    )
    drawn = [
        chart("Latency, intent journaled to acknowledgement journaled", "ms", _latency(records))
    ]
    if not symbols:
        return ["<p>No fill in this session.</p>", *drawn]
    prices = [chart(f"Fills, {symbol}", "quote", _fills(records, symbol)) for symbol in symbols]
    equity = chart("Profit before fees, marked at each fill", "quote", _equity(records))
    return [equity, *prices, *drawn]


def _equity(records: Sequence[ev.Recorded]) -> list[Series]:
    ledger = PositionLedger()
    marks = {}
    points = []
    for record in records:
        ledger.apply(record)
        if isinstance(record.event, ev.OrderFilled):
            marks[record.event.fill.symbol] = record.event.fill.price
            total = ZERO
            for symbol, mark in marks.items():
                held = ledger.position(symbol)
                profit = CONTEXT.add(held.realized, unrealized(held, mark))
                total = CONTEXT.add(total, profit)
            points.append((record.ts_us, float(total)))
    return [Series(name="profit", shape="step", points=tuple(points), kind="equity")]


def _fills(records: Sequence[ev.Recorded], symbol: str) -> list[Series]:
    fills = [
        (record.ts_us, record.event.fill)
        for record in records
        if isinstance(record.event, ev.OrderFilled) and record.event.fill.symbol == symbol
    ]
    path = tuple((at, float(fill.price)) for at, fill in fills)
    sides = (("bought", "buy", Side.BUY), ("sold", "sell", Side.SELL))
    return [
        Series(name="fill price", shape="line", points=path, kind="price"),
        *(
            Series(
                name=name,
                shape=kind,
                points=tuple((at, float(fill.price)) for at, fill in fills if fill.side is side),
                kind=kind,
            )
            for name, kind, side in sides
        ),
    ]


def _latency(records: Sequence[ev.Recorded]) -> list[Series]:
    sent: dict[str, int] = {}
    points = []
    for record in records:
        match record.event:
            case ev.OrderIntended(intent=intent):
                sent[intent.client_order_id] = record.ts_us
            case ev.OrderAcknowledged(client_order_id=order_id) if order_id in sent:
                points.append((record.ts_us, (record.ts_us - sent.pop(order_id)) / 1_000))
    return [Series(name="orders", shape="dot", points=tuple(points), kind="latency")]


# --- tables ------------------------------------------------------------------------------------


def _limit_use(records: Sequence[ev.Recorded]) -> str:
    """The nearest that any order came to each limit, from the checks journaled with the orders."""
    nearest: dict[str, tuple[float, str, str, str]] = {}
    for record in records:
        match record.event:
            case ev.OrderIntended(decision=decision) | ev.OrderBlocked(decision=decision):
                for check in decision.checks:
                    share = _share(check.value, check.limit)
                    if share is not None and share >= nearest.get(check.code, (-1.0,))[0]:
                        nearest[check.code] = (share, check.value, check.limit, check.unit)
    if not nearest:
        return "<p>No order was judged.</p>"
    rows = []
    for code, (share, value, limit, unit) in sorted(nearest.items()):
        width = min(round(share * 100), 100)
        near = ' class="near"' if share > 0.8 else ""
        bar = f'<span class="bar"><i{near} style="width:{width}%"></i></span>'
        rows.append(
            f'<tr><td>{_text(code)}</td><td class="n">{_text(value)}</td>'
            f'<td class="n">{_text(limit)}</td><td>{_text(unit)}</td>'
            f'<td class="n">{share * 100:.0f} %</td><td>{bar}</td></tr>'
        )
    head = "<tr><th>check</th><th>most</th><th>limit</th><th></th><th></th><th></th></tr>"
    return f"<table>{head}{''.join(rows)}</table>"


def _share(value: str, limit: str) -> float | None:
    """How much of a limit was used; None for checks that are not numbers."""
    try:
        used, bound = float(value), float(limit)
    except ValueError:
        return None
    return abs(used) / bound if bound > 0 else None


def _timeline(records: Sequence[ev.Recorded]) -> str:
    rows = []
    for record in records:
        text = phrase(record.event) if isinstance(record.event, _TIMELINE) else ""
        if text:
            rows.append(
                f"<tr><td>{stamp(record.ts_us)}</td><td>{_text(record.actor.name)}</td>"
                f"<td>{_text(text)}</td></tr>"
            )
    head = "<tr><th>time (UTC)</th><th>who</th><th>what</th></tr>"
    return f"<table>{head}{''.join(rows)}</table>"
