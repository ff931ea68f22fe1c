"""Reconciliation of fills on three sides, beside DuckDB joining the same three tables bare.

Both sides of the row have their input as columns and find the same planted differences. Ours joins,
fetches what differs, compares it row by row and writes the report's bytes. What it costs to make
columns of a ledger's rows, and of the journal's JSON, is told beside it: the running
reconciliation pays that once a trade, as trades come. Run in a process of its own, so that the
memory shown is the reconciliation's.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from decimal import Decimal
from multiprocessing import get_context
from pathlib import Path

import duckdb
import msgspec

from engine.contracts.event import OrderFilled
from engine.contracts.fill import Fill, Liquidity
from engine.contracts.order import Side
from engine.contracts.people import ENGINE
from engine.journal.writer import Journal
from engine.reconcile.compare import FillRow, Report, Sides, reconcile
from engine.reconcile.rows import fill_row
from engine.store.joins import Differing, FillTable, differing
from engine.store.store import Store
from tests.benchmarks.table import Row, alone, compared, median, memory_mib, peak_memory_mib

_EVERY = 100_000
_RUNS = 3
_BATCH = 10_000
#: The journal of a part is enough to see what its JSON costs: writing it takes longest here.
_STORE_SHARE = 5
_SESSION = "abcdefabcdef"
_NAMES = ("engine_rows", "journal_rows", "venue_rows")
_JOIN = """
SELECT count(*) FROM engine_rows e
FULL JOIN journal_rows j ON e.symbol = j.symbol AND e.trade_id = j.trade_id
FULL JOIN venue_rows v ON v.symbol = coalesce(e.symbol, j.symbol)
    AND v.trade_id = coalesce(e.trade_id, j.trade_id)
WHERE e.trade_id IS NULL OR j.trade_id IS NULL OR v.trade_id IS NULL
    OR (e.client_order_id, e.side, e.price, e.quantity, e.fee, e.fee_asset)
        IS DISTINCT FROM (j.client_order_id, j.side, j.price, j.quantity, j.fee, j.fee_asset)
    OR (e.client_order_id, e.side, e.price, e.quantity, e.fee, e.fee_asset)
        IS DISTINCT FROM (v.client_order_id, v.side, v.price, v.quantity, v.fee, v.fee_asset)
"""


def recon_rows(fills: int = 1_000_000) -> list[Row]:
    """Time and memory of the reconciliation."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        joined = pool.submit(_measure, fills).result()
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return [*joined, *pool.submit(_whole, fills // _STORE_SHARE).result()]


def _measure(fills: int) -> list[Row]:
    begin = time.perf_counter()
    engine = FillTable(_rows(fills))
    columns = time.perf_counter() - begin
    venue = FillTable(_rows(fills, spoiled=True))
    connection = duckdb.connect()
    for name, table in zip(_NAMES, (engine, engine, venue), strict=True):
        connection.register("incoming", table.table())
        connection.execute(f"CREATE TABLE {name} AS SELECT * FROM incoming")
        connection.unregister("incoming")
    held = memory_mib()
    ours: list[float] = []
    for _ in range(_RUNS):
        begin = time.perf_counter()
        left = differing(engine, engine, venue)
        report = _report(left)
        ours.append(time.perf_counter() - begin)
    peak = peak_memory_mib()
    assert report.compared["fills"] == fills, report.compared
    bare = _bare(connection, len({one.key for one in report.breaks}))
    connection.close()
    return [
        compared(f"reconcile: {fills:,} fills x 3 sides, s", median(ours), median(bare), "<= 3 x"),
        alone("reconcile: memory over its input, MiB", peak - held, "reported", digits=0),
        alone(f"reconcile: {fills:,} ledger rows into columns, s", columns, "reported", digits=2),
    ]


def _bare(connection: duckdb.DuckDBPyConnection, expected: int) -> list[float]:
    """Seconds of each run of the join; checks that it finds as many differences."""
    taken: list[float] = []
    for _ in range(_RUNS):
        begin = time.perf_counter()
        ((found,),) = connection.execute(_JOIN).fetchall()
        taken.append(time.perf_counter() - begin)
        assert found == expected, f"the join found {found}, we found {expected}"
    return taken


def _whole(fills: int) -> list[Row]:
    """The same in the engine's own store, under its memory limit, from the journal's JSON."""
    with tempfile.TemporaryDirectory(prefix="peakctl-bench-") as name:
        return asyncio.run(_in_store(Path(name), fills))


async def _in_store(folder: Path, fills: int) -> list[Row]:
    journal = Journal.open(
        folder / "journal", commit_interval_ms=0, segment_lines=100_000, clock_us=lambda: 1
    ).journal
    store = await Store.open(folder / "store.duckdb", export_folder=folder / "exports")
    try:
        await store.align(journal)
        journal.subscribe(store.project)
        for start in range(0, fills, _BATCH):
            events = [_event(number) for number in range(start, min(fills, start + _BATCH))]
            await journal.append(ENGINE, events)
            await store.flushed(journal.size - 1)
        engine = FillTable(fill_row(_event(number).fill) for number in range(fills))
        held = memory_mib()
        begin = time.perf_counter()
        told = await store.fill_table(_SESSION, journal.size)
        report = _report(await asyncio.to_thread(differing, engine, told, engine))
        taken = time.perf_counter() - begin
        assert (report.breaks, report.compared["fills"]) == ((), fills), report.compared
        peak = peak_memory_mib()
    finally:
        await store.close()
        journal.close()
    return [
        alone(f"reconcile: {fills:,} fills out of the journal's JSON, s", taken, "reported"),
        alone("reconcile: memory of that over its input, MiB", peak - held, "reported", digits=0),
    ]


def _report(left: Differing) -> Report:
    """The comparison of what differs, and the report's bytes, as the desk makes them."""
    report = reconcile(
        "bench",
        _SESSION,
        1,
        Sides(
            engine_orders=(),
            journal_orders=(),
            venue_orders=(),
            engine_fills=left.engine,
            journal_fills=left.journal,
            venue_fills=left.venue,
            agreed_fills=left.agreed,
            engine_balances={},
            journal_balances={},
            venue_balances={},
            engine_positions={},
            journal_positions={},
            venue_positions={},
        ),
    )
    report.to_document()
    return report


def _rows(count: int, *, spoiled: bool = False) -> Iterator[FillRow]:
    for number in range(count):
        row = fill_row(_event(number).fill)
        if spoiled and number % _EVERY == _EVERY // 2:
            row = msgspec.structs.replace(row, price=Decimal(1))
        yield row


def _event(number: int) -> OrderFilled:
    return OrderFilled(
        session_id=_SESSION,
        fill=Fill(
            symbol="BTCUSDT",
            trade_id=str(10_000_000 + number),
            client_order_id=f"pk-{_SESSION}-{number // 4:06d}",
            venue_order_id=str(number // 4),
            side=Side.BUY if number % 2 else Side.SELL,
            price=Decimal(6_000_000 + number % 999) / 100,
            quantity=Decimal("0.001"),
            fee=Decimal("0.06"),
            fee_asset="USDT",
            liquidity=Liquidity.TAKER,
            time_us=number,
        ),
    )
