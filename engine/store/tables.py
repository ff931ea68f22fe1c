"""The session's tables as Parquet files for its pack: the same rows, so the same bytes, each time.

What a column is called, its type and its unit come from `catalogue`, and stand in the file as well
(`unit` and `meaning` of each field). Rows are ordered by all their columns and written in groups of
one size by one thread, so that a store rebuilt from the same journal writes the same files. A file
appears under its name only when it is complete and on the disk. Memory: a group of rows.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from engine.journal.segments import sync_folder
from engine.store.catalogue import TABLES, Table

#: DuckDB's types, as the catalogue names them.
_TYPES = {
    "VARCHAR": pa.string(),
    "BIGINT": pa.int64(),
    "INTEGER": pa.int32(),
    "BOOLEAN": pa.bool_(),
    "DECIMAL(38,18)": pa.decimal128(38, 18),
}
_GROUP_ROWS = 50_000

#: Answers one of our own queries in blocks of rows, given its text and its parameters.
Blocks = Callable[[str, dict[str, str]], Iterable[pa.RecordBatch]]


class SessionTable(msgspec.Struct, frozen=True, kw_only=True):
    """One written file."""

    path: Path
    rows: int
    sha256: str


def write_tables(blocks: Blocks, session_id: str, folder: Path) -> tuple[SessionTable, ...]:
    """Write `<folder>/<table>.parquet` for each table of the catalogue that packs carry."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    files = tuple(_write(blocks, session_id, folder, one) for one in TABLES if one.packed)
    sync_folder(folder)
    # Arrow's allocator keeps what a file took, in every thread that ever wrote one.
    pa.default_memory_pool().release_unused()
    return files


def arrow_schema(table: Table, session_id: str) -> pa.Schema:
    """The columns of a table as Arrow's, with their units and meanings."""
    return pa.schema(
        [
            pa.field(
                one.name, _TYPES[one.type], metadata={"unit": one.unit, "meaning": one.meaning}
            )
            for one in table.columns
        ],
        metadata={"session_id": session_id, "table": table.name, "meaning": table.meaning},
    )


def _write(blocks: Blocks, session_id: str, folder: Path, table: Table) -> SessionTable:
    schema = arrow_schema(table, session_id)
    columns = ", ".join(one.name for one in table.columns)
    sql = (
        f"SELECT {columns} FROM {table.name}"  # noqa: S608  (names of the catalogue)
        " WHERE session_id = $session_id ORDER BY ALL"
    )
    path = folder / f"{table.name}.parquet"
    draft = path.with_suffix(".partial")
    rows = 0
    with pq.ParquetWriter(draft, schema, compression="zstd") as writer:
        for group in _groups(blocks(sql, {"session_id": session_id}), schema):
            writer.write_table(group, row_group_size=_GROUP_ROWS)
            rows += group.num_rows
    with draft.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        os.fsync(file.fileno())
    draft.replace(path)
    return SessionTable(path=path, rows=rows, sha256=digest)


def _groups(blocks: Iterable[pa.RecordBatch], schema: pa.Schema) -> Iterator[pa.Table]:
    """Rows in groups of one size, whatever blocks they come in; the last may be smaller."""
    waiting: list[pa.RecordBatch] = []
    count = 0
    for block in blocks:
        waiting.append(block)
        count += block.num_rows
        while count >= _GROUP_ROWS:
            whole = pa.Table.from_batches(waiting)
            yield whole.slice(0, _GROUP_ROWS).cast(schema)
            waiting = whole.slice(_GROUP_ROWS).to_batches()
            count -= _GROUP_ROWS
    if count:
        yield pa.Table.from_batches(waiting).cast(schema)
