"""The full scan: every row of `events` put together again and held against the journal's bytes.

DuckDB reads every column of every row; each block of rows is joined into the lines they came from
and compared byte by byte with the journal's files, which were verified before. So nothing in the
table can differ unseen, and no hash need be computed a second time: a million events take about a
second. What is derived (the actor's parts, the session, the hash) is checked against what it is
derived from.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol, Self

import duckdb
import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from engine.contracts.canonical import sha256_hex
from engine.journal.chain import ZERO_HASH
from engine.store.batch import End

_QUERIES = Path(__file__).parent / "queries"
#: Small enough that a block of rows stays in the processor's cache on its way.
_SCAN_ROWS = 2_048
_EMPTY = End(0, ZERO_HASH)


class Bytes(Protocol):
    """The journal's bytes as one stream."""

    def __enter__(self) -> Self:
        """Begin at the first line."""
        ...

    def __exit__(self, *_: object) -> None:
        """Close what is open."""
        ...

    def read(self, count: int) -> bytes:
        """The next bytes; fewer only at the end."""
        ...


class JournalSource(Protocol):
    """What the store needs of the journal."""

    @property
    def size(self) -> int:
        """Number of durable events."""
        ...

    def head_at(self, size: int) -> str:
        """Hash (hex) of the line that made it `size` events."""
        ...

    def lines(self, from_seq: int = 0, until: int | None = None) -> Iterator[bytes]:
        """Raw lines, newlines included."""
        ...

    def raw(self) -> Bytes:
        """All bytes from the first line on."""
        ...


class Scan(msgspec.Struct, frozen=True):
    """What a full read found: the rows that are good in a row, and what is wrong after them."""

    end: End
    fault: str


def scan(connection: duckdb.DuckDBPyConnection, journal: JournalSource) -> Scan:
    """Read and compare everything."""
    end, fault = _EMPTY, ""
    size = journal.size
    try:
        with journal.raw() as raw:
            rows = connection.sql((_QUERIES / "scan.sql").read_text(encoding="utf-8"))
            for batch in rows.to_arrow_reader(_SCAN_ROWS):
                fault = _fault(batch, end, size) or _differs(batch, raw)
                if fault:
                    break
                end = End(end.size + batch.num_rows, batch.column("hash")[-1].as_py())
        fault = fault or _wrong_actor(connection)
    except (duckdb.Error, pa.ArrowException) as error:
        fault = f"the file cannot be read through ({str(error).partition(chr(10))[0]})"
    if not fault and end.head != journal.head_at(end.size):
        fault = f"the first {end.size} events are not the journal's"
    return Scan(end, fault)


def content_sha256(connection: duckdb.DuckDBPyConnection) -> str:
    """Hash (hex) of the table's content, however it lies in the file.

    Of the rows' lines in their order: so it is what `sha256sum` says of the journal's files one
    after the other, and any two stores of one journal have the same.
    """
    digest = hashlib.sha256()
    rows = connection.sql((_QUERIES / "scan.sql").read_text(encoding="utf-8"))
    for batch in rows.to_arrow_reader(_SCAN_ROWS):
        lines = _joined(batch)
        bounds = memoryview(lines.buffers()[1]).cast("i")
        first, last = bounds[lines.offset], bounds[lines.offset + len(lines)]
        digest.update(lines.buffers()[2].slice(first, last - first))
    return digest.hexdigest()


def _fault(batch: pa.RecordBatch, end: End, size: int) -> str:
    """A gap, a column that is not what it is derived from, a broken link, or too many rows."""
    seq, prev, hashes = (batch.column(name) for name in ("seq", "prev", "hash"))
    expected = pa.array(range(end.size, end.size + batch.num_rows), pa.int64())
    if not seq.equals(expected):
        at = pc.index(pc.equal(seq, expected), value=False).as_py()
        return f"event {seq[at].as_py()} is where {expected[at].as_py()} must be"
    if (at := pc.index(pc.fill_null(batch.column("whole"), False), value=False).as_py()) >= 0:
        return f"event {seq[at].as_py()} was changed"
    if prev[0].as_py() != end.head or not prev.slice(1).equals(hashes.slice(0, len(hashes) - 1)):
        return f"events {seq[0].as_py()} to {seq[-1].as_py()} are not one chain"
    if end.size + batch.num_rows > size:
        return f"the store has more than {size} events, the journal {size}"
    return ""


def _differs(batch: pa.RecordBatch, raw: Bytes) -> str:
    """What differs first between the rows' lines and the journal's next bytes."""
    lines = _joined(batch)
    if lines.null_count:
        return f"event {batch.column('seq')[_first_null(lines)].as_py()} was changed"
    bounds = memoryview(lines.buffers()[1]).cast("i")
    first, last = bounds[lines.offset], bounds[lines.offset + len(lines)]
    ours = lines.buffers()[2].slice(first, last - first)
    theirs = raw.read(last - first)
    if ours.equals(pa.py_buffer(theirs)):
        return ""
    for row, line in enumerate(lines):
        start, end = bounds[lines.offset + row] - first, bounds[lines.offset + row + 1] - first
        text = line.as_py()
        if text.encode() != theirs[start:end]:
            return _which(text.encode(), batch, row)
    return "the store differs from the journal"


def _which(line: bytes, batch: pa.RecordBatch, row: int) -> str:
    """A row that agrees with its own hash is of another history; else it was changed here."""
    if sha256_hex(line) == batch.column("hash")[row].as_py():
        return f"event {batch.column('seq')[row].as_py()} and what follows are not the journal's"
    return f"event {batch.column('seq')[row].as_py()} was changed"


def _joined(batch: pa.RecordBatch) -> pa.StringArray:
    """The journal's lines, put together from the columns."""
    actor, data, kind, prev, seq, ts_us = (
        batch.column(name) for name in ("actor", "data", "kind", "prev", "seq", "ts_us")
    )
    parts = (
        *('{"actor":', actor, ',"data":', data, ',"kind":"', kind, '","prev":"', prev),
        *('","seq":', seq.cast(pa.string()), ',"ts":', ts_us.cast(pa.string()), "}\n"),
    )
    return pc.binary_join_element_wise(*parts, "")


def _first_null(lines: pa.StringArray) -> int:
    return int(pc.index(pc.is_null(lines), value=True).as_py())


def _wrong_actor(connection: duckdb.DuckDBPyConnection) -> str:
    """Whether any row names another actor than its line: there are few distinct ones."""
    actors = connection.execute(
        "SELECT actor, actor_kind, actor_name, actor_proof, min(seq) FROM events GROUP BY ALL"
    )
    for actor, *derived, seq in actors.fetchall():
        told = json.loads(actor)
        if derived != [told["kind"], told["name"], told["proof"]]:
            return f"event {seq} was changed"
    return ""
