"""The three sides' trades joined by SQL, so that only what differs is compared row by row.

A million trades that agree need no Python object each: they are columns here, joined by DuckDB,
and counted. What differs, is one-sided or is told twice comes out as rows for the pure comparison,
whose report is the same byte for byte as if it had seen them all (a property test holds that).

Amounts are DECIMAL(38, 18), exactly; a side with an amount or a missing symbol that does not fit
is not joined, and all rows go to the comparison. Columns are gathered in blocks, so a row costs its
own size (about 100 bytes); the join goes slice by slice of the trade ids, so its memory is bounded.
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
#: Joined at once: with it a join of three sides stays within the memory below.
_SLICE_ROWS = 250_000
_MEMORY = "256MB"

#: Symbol and trade id.
Key = tuple[str, str]


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

    def add_block(self, block: pa.RecordBatch) -> None:
        """Add rows that are columns already, named and typed as here."""
        self._blocks.append(block.select(_NAMES).cast(_SCHEMA))

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

    def first_of_each(self) -> FillTable:
        """The same without repetitions: of each trade the first row. Without any, itself."""
        keys = self.table().group_by(["symbol", "trade_id"]).aggregate([([], "count_all")])
        if keys.num_rows == sum(block.num_rows for block in self._blocks):
            return self
        seen: set[Key] = set()
        first = FillTable()
        for block in self._blocks:
            named = zip(block["symbol"].to_pylist(), block["trade_id"].to_pylist(), strict=True)
            new: list[bool] = []
            for name in named:
                new.append(name not in seen)
                seen.add(name)
            first.add_block(block.filter(pa.array(new, pa.bool_())))
        return first

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


def differing(engine: FillTable, journal: FillTable, venue: FillTable) -> Differing:
    """Join the sides, slice by slice, on a connection of its own. Raises duckdb.Error."""
    sides = dict(zip(_SIDES, (engine, journal, venue), strict=True))
    if not all(side.exact for side in sides.values()):
        return Differing(**{name: side.rows() for name, side in sides.items()}, agreed=0)
    slices = 1 + max(len(side) for side in sides.values()) // _SLICE_ROWS
    left: dict[str, list[FillRow]] = {name: [] for name in _SIDES}
    agreed = 0
    connection = duckdb.connect(
        config={
            "memory_limit": _MEMORY,
            "temp_directory": "",
            "allocator_background_threads": True,
        }
    )
    try:
        for name, side in sides.items():
            connection.register(f"{name}_rows", side.table())
        for number in range(slices):
            for name in _SIDES:
                connection.execute(
                    f"CREATE OR REPLACE TEMP VIEW {name}_side AS SELECT * FROM {name}_rows"  # noqa: S608
                    f" WHERE hash(trade_id) % {slices} = {number}"
                )
            names, same = _keys(connection)
            agreed += same
            for name in _SIDES:
                left[name] += _of(connection, name, names)
    finally:
        connection.close()
    return Differing(**left, agreed=agreed)


def _keys(connection: duckdb.DuckDBPyConnection) -> tuple[set[Key], int]:
    """Keys of one slice that do not agree, and how many do."""
    sql = (_HERE / "queries" / "differing_fills.sql").read_text(encoding="utf-8")
    ((joined, *matched, keys),) = connection.execute(sql).fetchall()
    names = set(keys or ())
    held = (_count(connection, side) for side in _SIDES)
    if any(more > rows for more, rows in zip(matched, held, strict=True)):
        names |= _told_twice(connection)
        return names, _distinct(connection) - len(names)
    return names, joined - len(keys or ())


def _count(connection: duckdb.DuckDBPyConnection, side: str) -> int:
    ((rows,),) = connection.execute(f"SELECT count(*) FROM {side}_side").fetchall()  # noqa: S608
    return int(rows)


def _told_twice(connection: duckdb.DuckDBPyConnection) -> set[Key]:
    """Keys that a side has more than once."""
    twice: set[Key] = set()
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


def _of(connection: duckdb.DuckDBPyConnection, side: str, keys: set[Key]) -> list[FillRow]:
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
