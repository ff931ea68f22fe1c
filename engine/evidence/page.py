"""`report.html`: the session on one page that opens from the disk, without network or script.

Pure: records in, bytes out, the same for the same records. It shows nothing that is not in the
journal, and is a reading aid: the evidence is the log and the tables beside it. All text that
people or venues wrote is escaped, control and bidi characters too; the page forbids itself to load
or run anything. What is drawn of the orders is gathered while the records go by (`Drawn`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from html import escape
from importlib.resources import files

from engine.contracts import event as ev
from engine.contracts.decision import Decision
from engine.contracts.money import CONTEXT, ZERO
from engine.contracts.order import Side
from engine.contracts.session import Charter
from engine.evidence.chart import Series, chart
from engine.evidence.phrases import phrase
from engine.evidence.risk_part import risk_section
from engine.evidence.text import printable, stamp
from engine.orders.equity import EquityPoint
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
    ev.LatchReleased,
    ev.BreakerTripped,
    ev.DualRequested,
    ev.DualSigned,
    ev.DualGranted,
    ev.DualRefused,
    ev.LimitTightened,
    ev.LimitLoosened,
    ev.LadderStepped,
    ev.ReconSigned,
    ev.AlarmRaised,
)

_STYLE = (files("engine.evidence") / "page.css").read_text(encoding="utf-8")


class Drawn:
    """What the page shows of the orders; takes every record of the session, in order."""

    def __init__(self) -> None:
        self.first_us = 0
        self.last_us = 0
        self.records = 0
        self.orders = 0
        self.fills = 0
        self.blocked = 0
        self.profit: list[tuple[int, float]] = []
        self.trades: dict[str, list[tuple[int, float, Side]]] = {}
        self.latency: list[tuple[int, float]] = []
        #: The market's own price by symbol, from the session's recordings (time in µs UTC).
        self.prices: Mapping[str, Sequence[tuple[int, float]]] = {}
        #: Check code -> the largest share of its limit, the value, the limit, the unit.
        self.nearest: dict[str, tuple[float, str, str, str]] = {}
        self._sent_us: dict[str, int] = {}
        self._profits: dict[str, Decimal] = {}

    def take(self, record: ev.Recorded, point: EquityPoint | None, ledger: PositionLedger) -> None:
        """Take one record; `point` is what its trade, if it is a new one, made of the equity."""
        self.records += 1
        self.first_us = self.first_us or record.ts_us
        self.last_us = record.ts_us
        match record.event:
            case ev.OrderIntended(intent=intent, decision=decision):
                self.orders += 1
                self._sent_us[intent.client_order_id] = record.ts_us
                self._judged(decision)
            case ev.OrderBlocked(decision=decision):
                self.blocked += 1
                self._judged(decision)
            case ev.OrderAcknowledged(client_order_id=order_id) if order_id in self._sent_us:
                took_us = record.ts_us - self._sent_us.pop(order_id)
                self.latency.append((record.ts_us, took_us / 1_000))
            case ev.OrderFilled(fill=fill):
                self.fills += 1
                self.trades.setdefault(fill.symbol, []).append(
                    (record.ts_us, float(fill.price), fill.side)
                )
                if point is None:
                    held = ledger.position(fill.symbol)
                    profit = CONTEXT.add(held.realized, unrealized(held, fill.price))
                else:
                    profit = CONTEXT.add(point.realized, point.unrealized)
                self._profits[fill.symbol] = profit
                total = ZERO
                for one in self._profits.values():
                    total = CONTEXT.add(total, one)
                self.profit.append((record.ts_us, float(total)))

    def _judged(self, decision: Decision) -> None:
        for check in decision.checks:
            share = _share(check.value, check.limit)
            if share is not None and share >= self.nearest.get(check.code, (-1.0,))[0]:
                self.nearest[check.code] = (share, check.value, check.limit, check.unit)


def page(records: Sequence[ev.Recorded], drawn: Drawn) -> bytes:
    """The page of one session; `records` are those that are not of an order."""
    charter = next(
        (one.event for one in records if isinstance(one.event, ev.SessionChartered)), None
    )
    title = f"Session {charter.session_id}" if charter else "Session"
    parts = [
        f"<h1>{_text(title)}</h1>",
        _head(drawn, charter.charter if charter else None),
        "<h2>Profit and fills</h2>",
        *_charts(drawn),
        "<h2>Limit use</h2>",
        _limit_use(drawn),
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


def _head(drawn: Drawn, charter: Charter | None) -> str:
    rows = []
    if drawn.records:
        rows = [("from", stamp(drawn.first_us)), ("to", stamp(drawn.last_us))]
    if charter is not None:
        rows = [
            ("mode", charter.mode.value),
            ("venue, account", f"{charter.venue}, {charter.account}"),
            ("instruments", ", ".join(charter.instruments)),
            ("operator, reviewer", f"{charter.operator}, {charter.reviewer}"),
            ("purpose", charter.purpose or "-"),
            *rows,
        ]
    counts = f"{drawn.orders}, {drawn.fills}, {drawn.blocked}"
    rows.append(("orders, fills, blocked", counts))
    cells = "".join(
        f"<tr><th>{_text(name)}</th><td>{_text(value)}</td></tr>" for name, value in rows
    )
    return f"<table>{cells}</table>"


# --- charts ------------------------------------------------------------------------------------


def _charts(drawn: Drawn) -> list[str]:
    latency = [_series("orders", "dot", "latency", drawn.latency)]
    charts = [chart("Latency, intent journaled to acknowledgement journaled", "ms", latency)]
    if not drawn.trades:
        return ["<p>No fill in this session.</p>", *charts]
    prices = [
        chart(
            f"Fills on the price, {printable(symbol)}",
            "quote",
            _fills(trades, drawn.prices.get(symbol, ())),
        )
        for symbol, trades in sorted(drawn.trades.items())
    ]
    profit = [_series("profit", "step", "equity", drawn.profit)]
    equity = chart("Profit before fees, marked at each fill", "quote", profit)
    return [equity, *prices, *charts]


def _fills(
    trades: Sequence[tuple[int, float, Side]], market: Sequence[tuple[int, float]]
) -> list[Series]:
    """Our fills on the market's trades; on a line through themselves where none were recorded."""
    own = [(at, price) for at, price, _ in trades]
    path, name = (market, "market trades") if market else (own, "fill price")
    sides = (("bought", "buy", Side.BUY), ("sold", "sell", Side.SELL))
    return [
        _series(name, "line", "price", path),
        *(
            _series(name, kind, kind, ((at, price) for at, price, one in trades if one is side))
            for name, kind, side in sides
        ),
    ]


def _series(name: str, shape: str, kind: str, points: Iterable[tuple[int, float]]) -> Series:
    return Series(name=name, shape=shape, points=tuple(points), kind=kind)


# --- tables ------------------------------------------------------------------------------------


def _limit_use(drawn: Drawn) -> str:
    """The nearest that any order came to each limit, from the checks journaled with the orders."""
    if not drawn.nearest:
        return "<p>No order was judged.</p>"
    rows = []
    for code, (share, value, limit, unit) in sorted(drawn.nearest.items()):
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
    if not (value and limit):
        return None
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
