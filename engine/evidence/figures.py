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
from engine.evidence.text import stamp
from engine.orders.equity import EquityPoint
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
    """Counts, volumes and latencies of the session, all as text; times in µs."""

    def __init__(self) -> None:
        self._counts: dict[type[ev.Event], int] = {}
        self._intended_us: dict[str, int] = {}
        self._acknowledged: list[int] = []
        self._notional: dict[str, Decimal] = {}
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

    def document(self, ledger: PositionLedger) -> bytes:
        """`metrics.json`; `ledger` has folded the same records."""
        took = sorted(self._acknowledged)
        document = {
            "acknowledge_us": {
                "count": len(took),
                "max": took[-1] if took else None,
                "median": took[len(took) // 2] if took else None,
            },
            "events": {
                str(kind.__struct_config__.tag): count for kind, count in self._counts.items()
            },
            "positions": {
                symbol: {
                    "fees": {asset: to_text(fee) for asset, fee in held.fees.items()},
                    "quantity": to_text(held.quantity),
                    "realized": to_text(held.realized),
                    "traded_quote": to_text(self._notional.get(symbol, ZERO)),
                }
                for symbol, held in ledger.positions().items()
            },
            "seconds": (self._last_us - (self._first_us or 0)) // 1_000_000,
            "type": "peakctl-metrics-1",
        }
        return canonical(document) + b"\n"


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
                fill.symbol,
                fill.trade_id,
                fill.client_order_id,
                fill.venue_order_id,
                fill.side.value,
                to_text(fill.price),
                to_text(fill.quantity),
                to_text(CONTEXT.multiply(fill.price, fill.quantity)),
                to_text(fill.fee),
                fill.fee_asset,
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
            point.symbol,
            point.trade_id,
            to_text(point.quantity),
            "" if point.average_price is None else to_text(point.average_price),
            to_text(point.mark),
            to_text(point.realized),
            to_text(point.unrealized),
            to_text(point.before_fees),
            to_text(point.fees),
            " ".join(f"{to_text(fee)} {asset}" for asset, fee in point.unpriced.items()),
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
