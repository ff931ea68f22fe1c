"""`report.html`: the session on one page that opens from the disk, without network or script.

Pure: records in, bytes out, the same for the same records. It shows nothing that is not in the
journal, and is a reading aid: the evidence is the log and the tables beside it. All text that
people or venues wrote is escaped, control and bidi characters too; the page forbids itself to load
or run anything. What is drawn of the orders is gathered while the records go by (`Drawn`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from importlib.resources import files

from engine.contracts import event as ev
from engine.contracts.decision import Decision
from engine.contracts.money import to_text
from engine.contracts.order import Side
from engine.contracts.session import Charter, SessionState
from engine.evidence.chart import Series, chart
from engine.evidence.figures import Profit, spread
from engine.evidence.phrases import phrase
from engine.evidence.risk_part import risk_section
from engine.evidence.text import printable, stamp
from engine.orders.equity import EquityPoint
from engine.orders.positions import PositionLedger

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
    ev.DualWithdrawn,
    ev.OrphanAdopted,
    ev.LimitTightened,
    ev.LimitLoosened,
    ev.LadderStepped,
    ev.BreakAnswered,
    ev.ReconSigned,
    ev.AlarmRaised,
    ev.AlarmAcknowledged,
    ev.IncidentOpened,
    ev.IncidentClosed,
)

#: From this share of a limit on, a use of it is called near.
_NEAR = 0.8
_STYLE = (files("engine.evidence") / "page.css").read_text(encoding="utf-8")


class Drawn:
    """What the page shows of the orders; takes every record of the session, in order.

    `profit` (by quote asset) is the metrics' own, and has taken each trade before this does.
    """

    def __init__(self, profit: Mapping[str, Profit]) -> None:
        self.first_us = 0
        self.last_us = 0
        self.records = 0
        self.orders = 0
        self.fills = 0
        self.blocked = 0
        #: Quote asset -> what the session's trading was worth after each fill: (time in µs UTC,
        #: before fees, after fees or None while one has no price).
        self.equity: dict[str, list[tuple[int, float, float | None]]] = {}
        self.profit = profit
        #: Symbol -> quote asset.
        self.quotes: dict[str, str] = {}
        self.trades: dict[str, list[tuple[int, float, Side]]] = {}
        #: (time of the acknowledgement, time taken), both µs.
        self.latency: list[tuple[int, int]] = []
        #: The market's own price by symbol, from the session's recordings (time in µs UTC).
        self.prices: Mapping[str, Sequence[tuple[int, float]]] = {}
        #: Check code -> the largest share of its limit, the value, the limit, the unit.
        self.nearest: dict[str, tuple[float, str, str, str]] = {}
        self._sent_us: dict[str, int] = {}
        self._live_us = 0

    def take(self, record: ev.Recorded, point: EquityPoint | None, ledger: PositionLedger) -> None:
        """Take one record; `point` is what its trade, if it is a new one, made of the equity.

        A trade that is told again is drawn once, as the tables have it.
        """
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
                self.latency.append((record.ts_us, took_us))
            case ev.SessionMoved(after=SessionState.LIVE):
                self._live_us = self._live_us or record.ts_us
            case ev.OrderFilled(fill=fill) if point is not None:
                self.fills += 1
                self.trades.setdefault(fill.symbol, []).append(
                    (record.ts_us, float(fill.price), fill.side)
                )
                quote = self.quotes[fill.symbol] = ledger.position(fill.symbol).quote
                self._worth(record.ts_us, quote)

    def _worth(self, at_us: int, quote: str) -> None:
        """Add what all symbols of a quote asset are worth now; it began with nothing."""
        profit = self.profit[quote]
        start = [(self._live_us, 0.0, 0.0)] if self._live_us else []
        curve = self.equity.setdefault(quote, [*start])
        net = float(profit.net) if profit.whole else None
        curve.append((at_us, float(profit.before_fees), net))

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
    for quote, profit in sorted(drawn.profit.items()):
        money = {name: f"{to_text(value)} {quote}" for name, value in profit.money().items()}
        unpriced = [f"{to_text(fee)} {asset}" for asset, fee in profit.unpriced().items()]
        without = f", without a price: {', '.join(unpriced)}" if unpriced else ""
        rows += [
            ("profit before fees", money["before_fees"]),
            ("fees", money["fees"] + without),
            ("profit after fees", "not known" if unpriced else money["net"]),
            ("deepest fall", money["drawdown"]),
        ]
    cells = "".join(
        f"<tr><th>{_text(name)}</th><td>{_text(value)}</td></tr>" for name, value in rows
    )
    return f"<table>{cells}</table>"


# --- charts ------------------------------------------------------------------------------------


def _charts(drawn: Drawn) -> list[str]:
    waits = [_series("■ orders", "dot", "latency", ((at, us / 1_000) for at, us in drawn.latency))]
    title = "Latency, intent journaled to acknowledgement journaled"
    latency = [chart(title, "ms", waits), _quantiles(drawn)]
    if not drawn.trades:
        return ["<p>No fill in this session.</p>", *latency]
    curves = [
        chart("Equity: profit after fees, marked at each fill", printable(quote), _worth(points))
        for quote, points in sorted(drawn.equity.items())
    ]
    prices = [
        chart(
            f"Fills on the price, {printable(symbol)}",
            printable(drawn.quotes[symbol]),
            _fills(trades, drawn.prices.get(symbol, ())),
        )
        for symbol, trades in sorted(drawn.trades.items())
    ]
    return ["<p>Times are UTC.</p>", *curves, *prices, *latency]


def _worth(points: Sequence[tuple[int, float, float | None]]) -> list[Series]:
    """The curve after fees, as far as each fee has a price, and before them as a broken line."""
    after = [(at, net) for at, _, net in points if net is not None]
    before = [(at, gross) for at, gross, _ in points]
    return [
        _series("after fees", "step", "equity", after),
        _series("- - before fees", "step", "before", before),
    ]


def _quantiles(drawn: Drawn) -> str:
    """Counts and quantiles of the latency, as `metrics.json` has them."""
    if not drawn.latency:
        return ""
    rows = spread([us for _, us in drawn.latency])
    head = "".join(f"<th>{_text(name)}</th>" for name in rows)
    cells = "".join(f'<td class="n">{_text(str(value))}</td>' for value in rows.values())
    return f"<table><tr>{head}</tr><tr>{cells}</tr></table>"


def _fills(
    trades: Sequence[tuple[int, float, Side]], market: Sequence[tuple[int, float]]
) -> list[Series]:
    """Our fills on the market's trades; on a line through themselves where none were recorded."""
    own = [(at, price) for at, price, _ in trades]
    path, name = (market, "market trades") if market else (own, "fill price")
    sides = (("▲ bought", "buy", Side.BUY), ("▼ sold", "sell", Side.SELL))
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
        near = ' class="near"' if share > _NEAR else ""
        words = "■ over: blocked" if share > 1 else "▲ near" if share > _NEAR else ""
        bar = f'<span class="bar"><i{near} style="width:{width}%"></i></span>'
        rows.append(
            f'<tr><td>{_text(code)}</td><td class="n">{_text(value)}</td>'
            f'<td class="n">{_text(limit)}</td><td>{_text(unit)}</td>'
            f'<td class="n">{share * 100:.0f} %</td><td>{bar} {words}</td></tr>'
        )
    head = "<tr><th>check</th><th>most</th><th>limit</th><th>unit</th><th>share</th><th></th></tr>"
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
