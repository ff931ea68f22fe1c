"""Market data of a session, to Parquet: too much for the chain event by event, so its hash goes in.

Rows gather in memory and leave as whole files (`book-000001.parquet`, `trades-000001.parquet`),
because a Parquet file has its index at the end: one long file would be lost with the process, here
a crash costs at most the last batch. A file appears under its name only when it is complete and on
the disk. Writing runs in a thread of its own and never holds up the feed.

What waits for its file waits in Arrow's form, a chunk at a time: 5,000 books of forty levels are
6 MB there and ten times that as Decimals.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from decimal import Decimal
from itertools import accumulate
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from engine.journal.segments import sync_folder
from engine.store.database import StoreFailed

Levels = Sequence[tuple[Decimal, Decimal]]

_MONEY = pa.decimal128(38, 18)
_LEVELS = pa.list_(pa.struct([("price", _MONEY), ("quantity", _MONEY)]))


def _field(name: str, kind: pa.DataType, unit: str) -> pa.Field:
    return pa.field(name, kind, nullable=False, metadata={"unit": unit})


_TIMES = [
    _field("venue_time_us", pa.int64(), "µs UTC, the venue's clock"),
    _field("received_us", pa.int64(), "µs UTC, our clock"),
]
#: So many rows wait as Python objects before they become Arrow's.
_CHUNK_ROWS = 250
_SCHEMAS = {
    "book": pa.schema(
        [
            _field("symbol", pa.string(), ""),
            _field("update_id", pa.int64(), "the venue's number of the book"),
            _field("bids", _LEVELS, "best first; price in quote, quantity in base"),
            _field("asks", _LEVELS, "best first; price in quote, quantity in base"),
            *_TIMES,
        ]
    ),
    "trades": pa.schema(
        [
            _field("symbol", pa.string(), ""),
            _field("trade_id", pa.int64(), "the venue's number of the trade"),
            _field("price", _MONEY, "quote currency for one unit of base"),
            _field("quantity", _MONEY, "base currency"),
            _field("taker_side", pa.string(), "BUY or SELL, the aggressor's side"),
            *_TIMES,
        ]
    ),
}


class MarketFile(NamedTuple):
    """One complete file: its name in the session's folder, its rows, the sha256 of its bytes."""

    file: str
    rows: int
    sha256: str


class MarketRecorder:
    """Records one session's market data into `folder`, at most `rows_per_file` rows a file."""

    def __init__(self, folder: Path, session_id: str, *, rows_per_file: int = 5_000) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder = folder
        self._session_id = session_id
        self._rows_per_file = rows_per_file
        self._chunk_rows = min(_CHUNK_ROWS, rows_per_file)
        self._rows: dict[str, list[tuple[Any, ...]]] = {kind: [] for kind in _SCHEMAS}
        #: the writer thread's own: chunks that wait for their file
        self._chunks: dict[str, list[pa.Table]] = {kind: [] for kind in _SCHEMAS}
        self._number = {kind: _last_number(folder, kind) for kind in _SCHEMAS}
        self._writer = ThreadPoolExecutor(max_workers=1, thread_name_prefix="market")
        self._writes: list[Future[None]] = []
        self._closed = False

    def book(
        self,
        symbol: str,
        update_id: int,
        bids: Levels,
        asks: Levels,
        venue_time_us: int,
        received_us: int,
    ) -> None:
        """Record the best levels after an update, best first, (price, quantity)."""
        self._add("book", (symbol, update_id, bids, asks, venue_time_us, received_us))

    def trade(
        self,
        symbol: str,
        trade_id: int,
        price: Decimal,
        quantity: Decimal,
        taker_side: str,
        venue_time_us: int,
        received_us: int,
    ) -> None:
        """Record one public trade; `taker_side` is BUY or SELL."""
        row = (symbol, trade_id, price, quantity, taker_side, venue_time_us, received_us)
        self._add("trades", row)

    def flush(self) -> None:
        """Send what has gathered to the disk, without waiting for it."""
        for kind in _SCHEMAS:
            self._send(kind, end=True)

    def close(self) -> list[MarketFile]:
        """Write the rest and return all files of the session, with those from before a crash.

        Waits for the disk: call it off the event loop. Raises StoreFailed when rows were lost.
        """
        if not self._closed:
            self._closed = True
            self.flush()
            self._writer.shutdown()
        for write in self._writes:
            if error := write.exception():
                raise StoreFailed(
                    what=f"market data was not written ({error})", where=str(self._folder)
                ) from error
        return [_described(path) for path in sorted(self._folder.glob("*.parquet"))]

    def _add(self, kind: str, row: tuple[Any, ...]) -> None:
        self._rows[kind].append(row)
        if len(self._rows[kind]) >= self._chunk_rows:
            self._send(kind, end=False)

    def _send(self, kind: str, *, end: bool) -> None:
        """Hand the gathered rows to the writer; `end` makes a file of all it has."""
        rows, self._rows[kind] = self._rows[kind], []
        self._writes = [one for one in self._writes if not one.done() or one.exception()]
        self._writes.append(self._writer.submit(self._take, kind, rows, end))

    def _take(self, kind: str, rows: list[tuple[Any, ...]], end: bool) -> None:  # noqa: FBT001  (submitted)
        chunks = self._chunks[kind]
        if rows:
            chunks.append(_table(kind, rows, self._session_id))
        if chunks and (end or sum(one.num_rows for one in chunks) >= self._rows_per_file):
            self._chunks[kind] = []
            self._number[kind] += 1
            self._write(pa.concat_tables(chunks), f"{kind}-{self._number[kind]:06d}.parquet")
            # Arrow's allocator keeps what a file took, in every thread that ever wrote one.
            chunks.clear()
            pa.default_memory_pool().release_unused()

    def _write(self, table: pa.Table, name: str) -> None:
        path = self._folder / name
        draft = path.with_suffix(".partial")
        pq.write_table(table, draft, compression="zstd")
        with draft.open("rb") as file:
            os.fsync(file.fileno())
        draft.replace(path)
        sync_folder(self._folder)


def _table(kind: str, rows: list[tuple[Any, ...]], session_id: str) -> pa.Table:
    schema = _SCHEMAS[kind].with_metadata({"session_id": session_id})
    columns = zip(zip(*rows, strict=True), schema, strict=True)
    return pa.Table.from_arrays(
        [
            _levels(values) if field.type == _LEVELS else pa.array(values, field.type)
            for values, field in columns
        ],
        schema=schema,
    )


def _levels(books: Sequence[Levels]) -> pa.Array:
    """One side of so many books as Arrow's lists of (price, quantity)."""
    offsets = [0, *accumulate(len(levels) for levels in books)]
    flat = [level for levels in books for level in levels]
    values = [pa.array([level[place] for level in flat], _MONEY) for place in (0, 1)]
    level = pa.StructArray.from_arrays(values, fields=list(_LEVELS.value_type))
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), level)


def _last_number(folder: Path, kind: str) -> int:
    return max((int(path.stem[-6:]) for path in folder.glob(f"{kind}-*.parquet")), default=0)


def _described(path: Path) -> MarketFile:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return MarketFile(path.name, pq.read_metadata(path).num_rows, digest)
