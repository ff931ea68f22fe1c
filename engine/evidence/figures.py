"""The figures of a session as files: counts and latencies, trades, profit after each fill. Pure.

Money is Decimal from the fills to the text of the table (I11); what is computed here is what the
position ledger says of the session's own fills, each trade counted once. Each file is a fold over
the records, which go by once: no list of them is kept.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from decimal import Decimal

from engine.contracts import event as ev
from engine.contracts.canonical import canonical
from engine.contracts.fill import Fill
from engine.contracts.money import CONTEXT, ZERO, to_text
from engine.evidence.text import plain_cell, printable, stamp
from engine.orders.equity import EquityPoint
from engine.orders.exact import add, subtract, tidy
from engine.orders.positions import PositionLedger

TRADE_COLUMNS = (
    "time",
    "symbol",
    "trade_id",
    "client_order_id",
    "venue_order_id",
    "side",
    "price",
    "quantity",
    "notional",
    "fee",
    "fee_asset",
    "liquidity",
)
EQUITY_COLUMNS = (
    "time",
    "symbol",
    "trade_id",
    "position",
    "average_price",
    "mark",
    "realized",
    "unrealized",
    "equity_before_fees",
    "fees",
    "fees_without_price",
    "equity",
)


class Metrics:
    """Profit, fees, drawdown, fill ratio, latencies and counts of the session.

    Every figure stands beside its unit; money is text. Profit is by quote asset, marked at each
    symbol's last fill; the drawdown is the deepest fall of the profit after fees from its own peak
    (which is never under zero, where the session began). A fee without a price is left out of
    `fees` and named.
    """

    def __init__(self) -> None:
        self._counts: dict[type[ev.Event], int] = {}
        self._intended_us: dict[str, int] = {}
        self._acknowledged: list[int] = []
        self._notional: dict[str, Decimal] = {}
        self._traded: set[str] = set()
        #: Quote asset -> what was earned in it so far.
        self.profit: dict[str, Profit] = {}
        self._first_us: int | None = None
        self._last_us = 0

    def take(self, record: ev.Recorded) -> None:
        """Count one record of the session."""
        event = record.event
        kind = type(event)
        self._counts[kind] = self._counts.get(kind, 0) + 1
        self._last_us = record.ts_us
        if self._first_us is None:
            self._first_us = record.ts_us
        match event:
            case ev.OrderIntended(intent=intent):
                self._intended_us[intent.client_order_id] = record.ts_us
            case ev.OrderAcknowledged(client_order_id=order_id) if order_id in self._intended_us:
                self._acknowledged.append(record.ts_us - self._intended_us.pop(order_id))
            case ev.OrderFilled(fill=fill):
                value = CONTEXT.multiply(fill.price, fill.quantity)
                traded = self._notional.get(fill.symbol, ZERO)
                self._notional[fill.symbol] = CONTEXT.add(traded, value)
                self._traded.add(fill.client_order_id)

    def mark(self, point: EquityPoint, quote: str) -> None:
        """Take what a trade made of the equity of its symbol."""
        self.profit.setdefault(quote, Profit()).take(point)

    def counts(self) -> dict[str, int]:
        """Events by kind."""
        return {str(kind.__struct_config__.tag): count for kind, count in self._counts.items()}

    def document(self, ledger: PositionLedger) -> bytes:
        """`metrics.json`; `ledger` has folded the same records."""
        intended = self._counts.get(ev.OrderIntended, 0)
        document = {
            "duration": _figure((self._last_us - (self._first_us or 0)) // 1_000_000, "s"),
            "events": self.counts(),
            "latency": {"acknowledge": spread(self._acknowledged)},
            "orders": {
                "blocked": _figure(self._counts.get(ev.OrderBlocked, 0), "orders"),
                "intended": _figure(intended, "orders"),
                "rejected": _figure(self._counts.get(ev.OrderRejected, 0), "orders"),
                "fill_ratio": _figure(
                    to_text((Decimal(len(self._traded)) / intended).quantize(Decimal("0.0001")))
                    if intended
                    else None,
                    "orders that traded / orders intended",
                ),
            },
            "positions": {
                symbol: {
                    "fees": {asset: to_text(fee) for asset, fee in held.fees.items()},
                    "quantity": to_text(held.quantity),
                    "quote": held.quote,
                    "realized": to_text(held.realized),
                    "traded_quote": to_text(self._notional.get(symbol, ZERO)),
                }
                for symbol, held in ledger.positions().items()
            },
            "profit": {quote: one.figures(quote) for quote, one in sorted(self.profit.items())},
            "type": "peakctl-metrics-2",
        }
        return canonical(document) + b"\n"


class Profit:
    """The profit of all symbols of one quote asset, and how deep it fell."""

    def __init__(self) -> None:
        self._last: dict[str, EquityPoint] = {}
        self._before = self._fees = self._peak = self._drawdown = ZERO
        #: After fees, in quote; `whole` says whether each fee so far had a price.
        self.net = ZERO
        self.whole = True

    def take(self, point: EquityPoint) -> None:
        """Take the newest point of a symbol."""
        last = self._last.get(point.symbol)
        self._last[point.symbol] = point
        self._before = add(self._before, point.before_fees)
        self._fees = add(self._fees, point.fees)
        if last is not None:
            self._before = subtract(self._before, last.before_fees)
            self._fees = subtract(self._fees, last.fees)
        self.net = subtract(self._before, self._fees)
        self.whole = self.whole and not point.unpriced
        self._peak = max(self._peak, self.net)
        self._drawdown = max(self._drawdown, subtract(self._peak, self.net))

    @property
    def before_fees(self) -> Decimal:
        """Realised and not, in quote."""
        return self._before

    def unpriced(self) -> dict[str, Decimal]:
        """Fees that have no price, by asset: what `net` leaves out."""
        found: dict[str, Decimal] = {}
        for point in self._last.values():
            for asset, fee in point.unpriced.items():
                found[asset] = add(found.get(asset, ZERO), fee)
        return found

    def money(self) -> dict[str, Decimal]:
        """The figures so far, in quote."""
        return {
            "before_fees": tidy(self._before),
            "drawdown": tidy(self._drawdown),
            "fees": tidy(self._fees),
            "net": tidy(self.net),
        }

    def figures(self, quote: str) -> dict[str, object]:
        """For `metrics.json`."""
        return {
            **{name: _figure(to_text(value), quote) for name, value in self.money().items()},
            "fees_without_price": {
                asset: to_text(tidy(fee)) for asset, fee in self.unpriced().items()
            },
        }


def _figure(value: int | str | None, unit: str) -> dict[str, int | str | None]:
    return {"unit": unit, "value": value}


def spread(taken: Sequence[int]) -> dict[str, int | str | None]:
    """Count and quantiles (nearest rank) of spans in µs."""
    rows = sorted(taken)
    named = (("p50", 50), ("p95", 95), ("p99", 99), ("max", 100))
    ranks = {
        name: rows[-(-len(rows) * share // 100) - 1] if rows else None for name, share in named
    }
    return {"count": len(rows), "unit": "µs", **ranks}


class Trades:
    """Every fill once, as the venue reported it: rows of `trades.csv`."""

    def __init__(self) -> None:
        self._seen: set[tuple[str, str]] = set()

    def row(self, record: ev.Recorded, fill: Fill) -> bytes:
        """The line of this fill; empty for a trade that was told already."""
        key = (fill.symbol, fill.trade_id)
        if key in self._seen:
            return b""
        self._seen.add(key)
        return csv_line(
            (
                stamp(fill.time_us or record.ts_us),
                plain_cell(fill.symbol),
                plain_cell(fill.trade_id),
                plain_cell(fill.client_order_id),
                plain_cell(fill.venue_order_id),
                fill.side.value,
                to_text(fill.price),
                to_text(fill.quantity),
                to_text(CONTEXT.multiply(fill.price, fill.quantity)),
                to_text(fill.fee),
                plain_cell(fill.fee_asset),
                fill.liquidity.value,
            )
        )


def equity_row(point: EquityPoint) -> bytes:
    """One line of `equity.csv`: profit after a fill, in quote, marked at that fill's own price.

    A fee in a third asset has no price here: it is listed, and the equity after it is left empty.
    """
    net = point.net
    return csv_line(
        (
            stamp(point.time_us),
            plain_cell(point.symbol),
            plain_cell(point.trade_id),
            to_text(point.quantity),
            "" if point.average_price is None else to_text(point.average_price),
            to_text(point.mark),
            to_text(point.realized),
            to_text(point.unrealized),
            to_text(point.before_fees),
            to_text(point.fees),
            " ".join(f"{to_text(fee)} {printable(asset)}" for asset, fee in point.unpriced.items()),
            "" if net is None else to_text(net),
        )
    )


class _Line:
    """What `csv.writer` writes to: hands the line back."""

    def write(self, text: str) -> str:
        return text


_WRITER = csv.writer(_Line(), lineterminator="\n")


def csv_line(cells: Sequence[str]) -> bytes:
    """One line of a CSV file, quoted where it must be."""
    return str(_WRITER.writerow(cells)).encode("utf-8")
