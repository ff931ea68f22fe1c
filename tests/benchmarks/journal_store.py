"""Journal and store beside the bare thing they are built on, in one run, as ratios.

Each function returns rows `(name, ours, bare, ratio, owed)` as text. The bare thing is the least
that gives the same durability: one write and one fdatasync, or DuckDB's own insert of a ready Arrow
table with the same settings. Nothing here asserts: speed is reported, never tested.
"""

from __future__ import annotations

import asyncio
import gc
import os
import time
from collections.abc import Awaitable, Callable, Iterator
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory

from engine.contracts.event import AnyEvent, OrderAcknowledged, OrderFilled
from engine.contracts.fill import Fill, Liquidity
from engine.contracts.order import Side
from engine.contracts.people import ENGINE
from engine.journal.writer import Journal
from engine.store.batch import End, Line, events_batch
from engine.store.database import Database, Settings
from engine.store.store import Store

Row = tuple[str, str, str, str, str]

_BATCH = 1_000


def _events(count: int) -> list[AnyEvent]:
    """Half fills, half acknowledgements, about as long as a session's own."""
    made: list[AnyEvent] = []
    for number in range(count // 2):
        order = f"abcdefabcdef-{number}"
        fill = Fill(
            symbol="BTCUSDT",
            trade_id=str(number),
            client_order_id=order,
            venue_order_id=str(number),
            side=Side.BUY,
            price=Decimal("65000.01"),
            quantity=Decimal("0.001"),
            fee=Decimal("0.0001"),
            fee_asset="BNB",
            liquidity=Liquidity.TAKER,
            time_us=1_763_000_000_000_000,
        )
        made.append(
            OrderAcknowledged(
                client_order_id=order, venue_order_id=str(number), venue_time_us=1_763_000_000
            )
        )
        made.append(OrderFilled(session_id="abcdefabcdef", fill=fill))
    return made


def _open(folder: Path, interval_ms: int = 1) -> Journal:
    return Journal.open(
        folder,
        commit_interval_ms=interval_ms,
        segment_lines=100_000,
        clock_us=lambda: time.time_ns() // 1000,
    ).journal


async def _fill(journal: Journal, count: int) -> float:
    """Append `count` events in batches, four in flight; return seconds."""
    events = _events(_BATCH)
    flying: list[asyncio.Future[object]] = []
    begin = time.perf_counter()
    for _ in range(count // _BATCH):
        flying.append(asyncio.ensure_future(journal.append(ENGINE, events)))
        if len(flying) >= 4:
            await flying.pop(0)
    await asyncio.gather(*flying)
    return time.perf_counter() - begin


def _bare_write(path: Path, batches: list[bytes]) -> float:
    """Write each batch and wait for the disk, as the journal must."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    begin = time.perf_counter()
    for batch in batches:
        os.write(descriptor, batch)
        os.fdatasync(descriptor)
    seconds = time.perf_counter() - begin
    os.close(descriptor)
    return seconds


def _ratio(ours: float, bare: float) -> str:
    return f"{ours / bare:.2f}"


def bulk_append(count: int = 200_000) -> list[Row]:
    """Events a second into the journal, beside writing the finished lines."""
    with TemporaryDirectory() as name:
        journal = _open(Path(name) / "journal")
        seconds = asyncio.run(_fill(journal, count))
        lines = list(journal.lines())
        journal.close()
        batches = [b"".join(lines[at : at + _BATCH]) for at in range(0, len(lines), _BATCH)]
        bare = _bare_write(Path(name) / "bare", batches)
    ours, plain = count / seconds, count / bare
    return [
        (
            "journal: bulk append, events/s",
            f"{ours:,.0f}",
            f"{plain:,.0f}",
            _ratio(ours, plain),
            ">= 100,000 events/s",
        )
    ]


def durable_latency(seconds: float = 4.0, rate: int = 5_000) -> list[Row]:
    """p99 from `append` to "it is on the disk" while single events arrive at `rate` a second."""
    with TemporaryDirectory() as name:
        journal = _open(Path(name) / "journal")
        took = sorted(asyncio.run(_paced(journal, seconds, rate)))
        lines = list(journal.lines(0, 2_000))
        journal.close()
        single = sorted(_bare_write_each(Path(name) / "bare", lines))
    ours, plain = took[int(len(took) * 0.99)] * 1000, single[int(len(single) * 0.99)] * 1000
    return [
        (
            f"journal: durable p99 at {rate:,} events/s, ms",
            f"{ours:.2f}",
            f"{plain:.2f}",
            _ratio(ours, plain),
            "< 20 ms",
        )
    ]


async def _paced(journal: Journal, seconds: float, rate: int) -> list[float]:
    events = _events(2)
    took: list[float] = []
    flying: set[asyncio.Task[None]] = set()

    async def one(event: AnyEvent) -> None:
        begin = time.perf_counter()
        await journal.append(ENGINE, [event])
        took.append(time.perf_counter() - begin)

    start, sent = time.perf_counter(), 0
    while (elapsed := time.perf_counter() - start) < seconds:
        for _ in range(int(elapsed * rate) - sent):
            task = asyncio.ensure_future(one(events[sent % 2]))
            flying.add(task)
            task.add_done_callback(flying.discard)
            sent += 1
        await asyncio.sleep(0.001)
    await asyncio.gather(*flying)
    return took


def _bare_write_each(path: Path, lines: list[bytes]) -> Iterator[float]:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for line in lines:
        begin = time.perf_counter()
        os.write(descriptor, line)
        os.fdatasync(descriptor)
        yield time.perf_counter() - begin
    os.close(descriptor)


def store_ingest(count: int = 200_000, rows: int = 10_000) -> list[Row]:
    """Events a second from the journal's lines into DuckDB, beside the insert of ready tables."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        journal = _open(folder / "journal")
        asyncio.run(_fill(journal, count))
        lines = list(zip(journal.read(), journal.lines(), strict=True))
        journal.close()
        parts = [lines[at : at + rows] for at in range(0, len(lines), rows)]
        plain = len(lines) / _bare_insert(folder, parts)
        ours = len(lines) / asyncio.run(_project(folder, parts))
    return [
        (
            "store: ingest, events/s",
            f"{ours:,.0f}",
            f"{plain:,.0f}",
            _ratio(ours, plain),
            ">= 0.5 x bare Arrow insert",
        )
    ]


async def _project(folder: Path, parts: list[list[Line]]) -> float:
    store = await Store.open(folder / "ours.duckdb", export_folder=folder / "export")
    begin = time.perf_counter()
    for part in parts:
        store.project(part)
        await store.flushed(part[-1][0].seq)
    seconds = time.perf_counter() - begin
    await store.close()
    return seconds


def _bare_insert(folder: Path, parts: list[list[Line]]) -> float:
    """Insert ready Arrow tables through a cursor of a file with the same schema and settings."""
    settings = Settings("96MB", 2, folder / "export")
    (folder / "export").mkdir()
    database = Database(folder / "bare.duckdb", settings)
    tables, end = [], End(0, "0" * 64)
    for part in parts:
        table, end = events_batch(part, end)
        tables.append(table)
    cursor = database.cursor()
    begin = time.perf_counter()
    for table in tables:
        cursor.register("ready", table)
        cursor.execute("INSERT INTO events SELECT * FROM ready")
        cursor.unregister("ready")
    seconds = time.perf_counter() - begin
    cursor.close()
    database.close()
    return seconds


def reopening(count: int = 1_000_000) -> list[Row]:
    """Seconds to open, verify and decode a journal, and to compare the store with it."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        journal = _open(folder / "journal")
        asyncio.run(_fill(journal, count))
        paths = journal.segments
        journal.close()
        gc.collect()
        bare = _timed(lambda: [path.read_bytes().count(b"\n") for path in paths])
        begin = time.perf_counter()
        journal = _open(folder / "journal")
        opened = time.perf_counter() - begin
        decoded = _timed(lambda: sum(1 for _ in journal.read()))
        aligned, compared = asyncio.run(_align_twice(folder, journal))
        journal.close()
    rows = [
        ("open and verify the chain", opened, "part of 5 s"),
        ("decode all events", decoded, "part of 5 s"),
        ("store: full scan and compare", compared, "part of 5 s"),
        ("store: rebuild", aligned, "only after damage"),
    ]
    return [
        (f"{count:,} events: {what}, s", f"{ours:.2f}", f"{bare:.2f}", _ratio(ours, bare), owed)
        for what, ours, owed in rows
    ]


def _timed(call: Callable[[], object]) -> float:
    begin = time.perf_counter()
    call()
    return time.perf_counter() - begin


async def _align_twice(folder: Path, journal: Journal) -> tuple[float, float]:
    """Seconds to rebuild the store from the journal, then to open it again and compare."""

    async def timed(call: Callable[[], Awaitable[object]]) -> float:
        begin = time.perf_counter()
        await call()
        return time.perf_counter() - begin

    store = await Store.open(folder / "e.duckdb", export_folder=folder / "export")
    rebuilt = await timed(lambda: store.rebuild(journal))
    await store.close()

    async def reopen() -> None:
        again = await Store.open(folder / "e.duckdb", export_folder=folder / "export")
        await again.compare(journal)
        await again.close()

    return rebuilt, await timed(reopen)


def all_rows() -> list[Row]:
    """Every measurement of this file."""
    return [*bulk_append(), *durable_latency(), *store_ingest(), *reopening()]
