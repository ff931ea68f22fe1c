"""The three sides' trades joined by SQL, so that only what differs is compared row by row.

A million trades that agree need no Python object each: they are columns here, joined by DuckDB,
and counted. What differs, is one-sided or is told twice comes out as rows for the pure comparison,
whose report is the same byte for byte as if it had seen them all (a property test holds that).

Amounts are DECIMAL(38, 18), exactly; a side with an amount or a missing symbol that does not fit
is not joined, and all rows go to the comparison. Columns are gathered in blocks, so a row costs its
own size (about 100 bytes) and nothing is held twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice
from operator import attrgetter
from pathlib import Path
from typing import Any

import duckdb
import msgspec
import pyarrow as pa

from engine.contracts.money import plain
from engine.contracts.order import Side
from engine.reconcile.rows import FillRow

_HERE = Path(__file__).parent
_BLOCK_ROWS = 20_000
_AMOUNT = pa.decimal128(38, 18)
_SCHEMA = pa.schema(
    [
        ("symbol", pa.string()),
        ("trade_id", pa.string()),
        ("client_order_id", pa.string()),
        ("side", pa.string()),
        ("price", _AMOUNT),
        ("quantity", _AMOUNT),
        ("fee", _AMOUNT),
        ("fee_asset", pa.string()),
    ]
)
_NAMES = tuple(_SCHEMA.names)
_ROW = attrgetter(*_NAMES)
_SIDES = ("engine", "journal", "venue")


class FillTable:
    """One side's trades as columns; rows are only ever added."""

    def __init__(self, rows: Iterable[FillRow] = ()) -> None:
        #: False once a row cannot be joined exactly
        self.exact = True
        self._blocks: list[pa.RecordBatch] = []
        self._loose: list[FillRow] = []
        self.extend(rows)

    def extend(self, rows: Iterable[FillRow]) -> None:
        """Add rows, block by block."""
        stream = iter(rows)
        while part := list(islice(stream, _BLOCK_ROWS)):
            self._add(part)

    def _add(self, part: list[FillRow]) -> None:
        columns = list(zip(*map(_ROW, part), strict=True))
        try:
            arrays = [
                pa.array(column, field.type) for column, field in zip(columns, _SCHEMA, strict=True)
            ]
        except (pa.ArrowException, ValueError):
            self.exact = False
            self._loose += part
            return
        self.exact = self.exact and all(columns[0])
        self._blocks.append(pa.RecordBatch.from_arrays(arrays, schema=_SCHEMA))

    def table(self) -> pa.Table:
        """Every row that could be made columns of."""
        return pa.Table.from_batches(self._blocks, schema=_SCHEMA)

    def rows(self) -> list[FillRow]:
        """Every row, as the comparison takes it. For what cannot be joined."""
        return [*_rows(self.table()), *self._loose]

    def __len__(self) -> int:
        """Return the number of rows."""
        return sum((int(block.num_rows) for block in self._blocks), start=len(self._loose))


class Differing(msgspec.Struct, frozen=True, kw_only=True):
    """What is left to compare on each side, and how many trades agree on all three."""

    engine: Sequence[FillRow]
    journal: Sequence[FillRow]
    venue: Sequence[FillRow]
    agreed: int


def differing(
    connection: duckdb.DuckDBPyConnection, engine: FillTable, journal: str, venue: FillTable
) -> Differing:
    """Join the sides. `journal` is a table, or a query of ours in parentheses, with these columns.

    Leaves nothing behind in the connection. Raises duckdb.Error.
    """
    run = connection.execute
    connection.register("engine_side", engine.table())
    connection.register("venue_side", venue.table())
    run(f"CREATE OR REPLACE TEMP VIEW journal_side AS SELECT * FROM {journal}")  # noqa: S608
    try:
        if not (engine.exact and venue.exact):
            all_of_it = _all_of(connection, "journal")
            return Differing(engine=engine.rows(), journal=all_of_it, venue=venue.rows(), agreed=0)
        sql = (_HERE / "queries" / "differing_fills.sql").read_text(encoding="utf-8")
        ((joined, *matched, keys),) = run(sql).fetchall()
        held = (
            len(engine),
            _count(connection, "journal"),
            len(venue),
        )
        names = set(keys or ())
        agreed = joined - len(keys or ())
        if any(more > rows for more, rows in zip(matched, held, strict=True)):
            names |= _told_twice(connection)
            agreed = _distinct(connection) - len(names)
        left = {side: _of(connection, side, names) for side in _SIDES}
        return Differing(**left, agreed=agreed)
    finally:
        run("DROP VIEW IF EXISTS journal_side")
        connection.unregister("engine_side")
        connection.unregister("venue_side")


def _count(connection: duckdb.DuckDBPyConnection, side: str) -> int:
    ((rows,),) = connection.execute(f"SELECT count(*) FROM {side}_side").fetchall()  # noqa: S608
    return int(rows)


def _told_twice(connection: duckdb.DuckDBPyConnection) -> set[tuple[str, str]]:
    """Keys that a side has more than once."""
    twice: set[tuple[str, str]] = set()
    for side in _SIDES:
        sql = (
            f"SELECT symbol, trade_id FROM {side}_side"  # noqa: S608
            " GROUP BY ALL HAVING count(*) > 1"
        )
        twice.update((symbol, trade_id) for symbol, trade_id in connection.execute(sql).fetchall())
    return twice


def _distinct(connection: duckdb.DuckDBPyConnection) -> int:
    keys = " UNION ".join(f"SELECT symbol, trade_id FROM {side}_side" for side in _SIDES)  # noqa: S608
    ((rows,),) = connection.execute(f"SELECT count(*) FROM ({keys})").fetchall()  # noqa: S608
    return int(rows)


def _of(
    connection: duckdb.DuckDBPyConnection, side: str, keys: set[tuple[str, str]]
) -> list[FillRow]:
    """All rows of one side with these keys."""
    if not keys:
        return []
    wanted = pa.table(
        {
            "symbol": pa.array([symbol for symbol, _ in keys], pa.string()),
            "trade_id": pa.array([trade_id for _, trade_id in keys], pa.string()),
        }
    )
    connection.register("wanted_keys", wanted)
    try:
        columns = ", ".join(_NAMES)
        sql = f"SELECT {columns} FROM {side}_side SEMI JOIN wanted_keys USING (symbol, trade_id)"  # noqa: S608
        return _rows(connection.sql(sql).to_arrow_table())
    finally:
        connection.unregister("wanted_keys")


def _all_of(connection: duckdb.DuckDBPyConnection, side: str) -> list[FillRow]:
    columns = ", ".join(_NAMES)
    return _rows(connection.sql(f"SELECT {columns} FROM {side}_side").to_arrow_table())  # noqa: S608


def _rows(table: pa.Table) -> list[FillRow]:
    return [
        _row(values) for values in zip(*(one.to_pylist() for one in table.columns), strict=True)
    ]


def _row(values: Sequence[Any]) -> FillRow:
    symbol, trade_id, client_order_id, side, price, quantity, fee, fee_asset = values
    return FillRow(
        trade_id=trade_id,
        client_order_id=client_order_id,
        side=Side(side),
        price=plain(price),
        quantity=plain(quantity),
        fee=plain(fee),
        fee_asset=fee_asset,
        symbol=symbol,
    )
