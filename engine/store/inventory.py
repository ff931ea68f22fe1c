"""What a file of ours holds beside its rows: one table, the views, a few macros, and nothing else.

DuckDB looks for a function in the file before it looks among its own: a macro named `sum`, left in
the file by another session of DuckDB, answers in the place of the built-in one, and every row of
the table would still be true. So what a file holds is compared with what a fresh one holds. The
listing itself names DuckDB's own functions in full, which a file cannot take the place of.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import duckdb

_HERE = Path(__file__).parent

#: What can be made in a file: the sort, its schema, its name, and the text that it is made of.
_EVERYTHING = """
SELECT 'table', schema_name, table_name, sql FROM system.main.duckdb_tables() WHERE NOT internal
UNION ALL
SELECT 'view', schema_name, view_name, '' FROM system.main.duckdb_views() WHERE NOT internal
UNION ALL
SELECT 'function', schema_name, function_name, '' FROM system.main.duckdb_functions()
WHERE NOT internal
UNION ALL
SELECT 'type', schema_name, type_name, '' FROM system.main.duckdb_types() WHERE NOT internal
UNION ALL
SELECT 'schema', '', schema_name, '' FROM system.main.duckdb_schemas() WHERE NOT internal
UNION ALL
SELECT 'index', schema_name, index_name, '' FROM system.main.duckdb_indexes()
UNION ALL
SELECT 'sequence', schema_name, sequence_name, '' FROM system.main.duckdb_sequences()
"""


def make_all(run: Callable[[str], object]) -> None:
    """Make the table unless it is there, and everything else anew. Raises duckdb.Error."""
    run((_HERE / "schema.sql").read_text(encoding="utf-8"))
    for view in sorted((_HERE / "views").glob("*.sql")):
        run(view.read_text(encoding="utf-8"))


def not_ours(connection: duckdb.DuckDBPyConnection) -> str:
    """The first thing in the file that is not as in a fresh one; "" when it is all ours."""
    found = _inventory(connection)
    for sort, schema, name, _ in sorted(found ^ _fresh()):
        return f"the {sort} {schema + '.' if schema else ''}{name} is not as we make it"
    return ""


@lru_cache(maxsize=1)
def _fresh() -> frozenset[tuple[str, ...]]:
    connection = duckdb.connect(":memory:", config={"threads": 1})
    try:
        make_all(connection.execute)
        return _inventory(connection)
    finally:
        connection.close()


def _inventory(connection: duckdb.DuckDBPyConnection) -> frozenset[tuple[str, ...]]:
    rows = connection.execute(_EVERYTHING).fetchall()
    return frozenset(tuple(str(cell) for cell in row) for row in rows)
