"""The figures of a session as files: counts and latencies, trades, profit after each fill. Pure.

Money is Decimal from the fills to the text of the table (I11); what is computed here is what the
position ledger says of the session's own fills, each trade counted once.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from decimal import Decimal

from engine.contracts import event as ev
from engine.contracts.canonical import canonical
from engine.contracts.fill import Fill
from engine.contracts.money import CONTEXT, ZERO, to_text
from engine.evidence.text import stamp
from engine.orders.equity import EquityCurve
from engine.orders.positions import PositionLedger

_TRADE_COLUMNS = (
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
_EQUITY_COLUMNS = (
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


def metrics(records: Sequence[ev.Recorded]) -> bytes:
    """Counts, volumes and latencies of the session, all as text; times in µs."""
    counts: dict[str, int] = {}
    intended_us: dict[str, int] = {}
    acknowledged: list[int] = []
    ledger = PositionLedger()
    notional: dict[str, Decimal] = {}
    for record in records:
        counts[ev.kind_of(record.event)] = counts.get(ev.kind_of(record.event), 0) + 1
        ledger.apply(record)
        match record.event:
            case ev.OrderIntended(intent=intent):
                intended_us[intent.client_order_id] = record.ts_us
            case ev.OrderAcknowledged(client_order_id=order_id) if order_id in intended_us:
                acknowledged.append(record.ts_us - intended_us.pop(order_id))
            case ev.OrderFilled(fill=fill):
                value = CONTEXT.multiply(fill.price, fill.quantity)
                notional[fill.symbol] = CONTEXT.add(notional.get(fill.symbol, ZERO), value)
    acknowledged.sort()
    document = {
        "acknowledge_us": {
            "count": len(acknowledged),
            "max": acknowledged[-1] if acknowledged else None,
            "median": acknowledged[len(acknowledged) // 2] if acknowledged else None,
        },
        "events": counts,
        "positions": {
            symbol: {
                "fees": {asset: to_text(fee) for asset, fee in held.fees.items()},
                "quantity": to_text(held.quantity),
                "realized": to_text(held.realized),
                "traded_quote": to_text(notional.get(symbol, ZERO)),
            }
            for symbol, held in ledger.positions().items()
        },
        "seconds": (records[-1].ts_us - records[0].ts_us) // 1_000_000 if records else 0,
        "type": "peakctl-metrics-1",
    }
    return canonical(document) + b"\n"


def trades(records: Sequence[ev.Recorded]) -> bytes:
    """Every fill once, as the venue reported it."""
    rows = []
    for record, fill in _fills(records):
        notional = CONTEXT.multiply(fill.price, fill.quantity)
        rows.append(
            (
                stamp(fill.time_us or record.ts_us),
                fill.symbol,
                fill.trade_id,
                fill.client_order_id,
                fill.venue_order_id,
                fill.side.value,
                to_text(fill.price),
                to_text(fill.quantity),
                to_text(notional),
                to_text(fill.fee),
                fill.fee_asset,
                fill.liquidity.value,
            )
        )
    return _csv(_TRADE_COLUMNS, rows)


def equity(records: Sequence[ev.Recorded]) -> bytes:
    """Profit after each fill, in quote, marked at that fill's own price, before and after fees.

    A fee in a third asset has no price here: it is listed, and the equity after it is left empty.
    """
    curve = EquityCurve()
    for record in records:
        curve.apply(record)
    rows = [
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
            "" if point.net is None else to_text(point.net),
        )
        for point in curve.points
    ]
    return _csv(_EQUITY_COLUMNS, rows)


def _fills(records: Sequence[ev.Recorded]) -> list[tuple[ev.Recorded, Fill]]:
    seen: set[tuple[str, str]] = set()
    fills = []
    for record in records:
        match record.event:
            case ev.OrderFilled(fill=fill) if (fill.symbol, fill.trade_id) not in seen:
                seen.add((fill.symbol, fill.trade_id))
                fills.append((record, fill))
    return fills


def _csv(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> bytes:
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return out.getvalue().encode("utf-8")
