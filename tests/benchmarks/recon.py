"""Reconciliation of fills on three sides, beside DuckDB joining the same three tables.

Both have their input in memory, in their own form, and find the same planted differences. Run in a
process of its own, so that the memory shown is the comparison's.
"""

from __future__ import annotations

import time
from concurrent.futures import ProcessPoolExecutor
from decimal import Decimal
from multiprocessing import get_context

import duckdb
import msgspec
import pyarrow as pa

from engine.contracts.order import Side
from engine.reconcile.compare import FillRow, Sides, reconcile
from tests.benchmarks.table import Row, alone, compared, median, memory_mib, peak_memory_mib

_EVERY = 100_000
_COLUMNS = ("symbol", "trade_id", "client_order_id", "side", "fee_asset")
_AMOUNTS = ("price", "quantity", "fee")
_JOIN = """
SELECT count(*) FROM engine e
FULL JOIN journal j ON e.symbol = j.symbol AND e.trade_id = j.trade_id
FULL JOIN venue v ON v.symbol = coalesce(e.symbol, j.symbol)
    AND v.trade_id = coalesce(e.trade_id, j.trade_id)
WHERE e.trade_id IS NULL OR j.trade_id IS NULL OR v.trade_id IS NULL
    OR (e.client_order_id, e.side, e.price, e.quantity, e.fee, e.fee_asset)
        IS DISTINCT FROM (j.client_order_id, j.side, j.price, j.quantity, j.fee, j.fee_asset)
    OR (e.client_order_id, e.side, e.price, e.quantity, e.fee, e.fee_asset)
        IS DISTINCT FROM (v.client_order_id, v.side, v.price, v.quantity, v.fee, v.fee_asset)
"""


def recon_rows(fills: int = 1_000_000) -> list[Row]:
    """Time and memory of the comparison."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(_measure, fills).result()


def _measure(fills: int) -> list[Row]:
    sides = _sides(fills)
    held = memory_mib()
    ours: list[float] = []
    for _ in range(2):
        begin = time.perf_counter()
        report = reconcile("bench", "0" * 12, 1, sides)
        ours.append(time.perf_counter() - begin)
    peak = peak_memory_mib()
    found = len({one.key for one in report.breaks if one.subject != "balances"})
    bare = _duckdb(sides, found)
    return [
        compared(f"reconcile: {fills:,} fills x 3 sides, s", min(ours), median(bare), "<= 3 x"),
        alone("reconcile: memory over its input, MiB", peak - held, "reported", digits=0),
    ]


def _sides(count: int) -> Sides:
    engine = [_fill(number) for number in range(count)]
    journal = [_fill(number) for number in range(count)]
    venue = [_fill(number) for number in range(count)]
    for number in range(_EVERY // 2, count, _EVERY):
        venue[number] = msgspec.structs.replace(venue[number], price=Decimal(1))
    return Sides(
        engine_orders=(),
        journal_orders=(),
        venue_orders=(),
        engine_fills=engine,
        journal_fills=journal,
        venue_fills=venue,
        engine_balances={},
        journal_balances={},
        venue_balances={},
        engine_positions={},
        journal_positions={},
        venue_positions={},
    )


def _fill(number: int) -> FillRow:
    return FillRow(
        trade_id=str(10_000_000 + number),
        client_order_id=f"abcdefabcdef-{number // 4}",
        side=Side.BUY if number % 2 else Side.SELL,
        price=Decimal(6_000_000 + number % 999) / 100,
        quantity=Decimal("0.001"),
        fee=Decimal("0.06"),
        fee_asset="USDT",
        symbol="BTCUSDT",
    )


def _duckdb(sides: Sides, expected: int) -> list[float]:
    """Seconds of each run of the join; checks that it finds as many differences."""
    connection = duckdb.connect()
    taken: list[float] = []
    for name, rows in (
        ("engine", sides.engine_fills),
        ("journal", sides.journal_fills),
        ("venue", sides.venue_fills),
    ):
        columns: dict[str, pa.Array] = {
            field: pa.array([str(getattr(row, field)) for row in rows]) for field in _COLUMNS
        }
        for field in _AMOUNTS:
            columns[field] = pa.array([getattr(row, field) for row in rows], pa.decimal128(28, 8))
        table = pa.table(columns)
        connection.register("incoming", table)
        connection.execute(f"CREATE TABLE {name} AS SELECT * FROM incoming")
        connection.unregister("incoming")
    for _ in range(3):
        begin = time.perf_counter()
        found = connection.execute(_JOIN).fetchall()[0][0]
        taken.append(time.perf_counter() - begin)
        assert found == expected, f"the join found {found}, we found {expected}"
    connection.close()
    return taken
