"""The session's tables for its pack, made from the journal's files by a process of its own.

The views of a long session need more memory than the engine has to give, and the live store may
not be opened twice: so a child reads the first so many lines of the journal into a database of its
own, lays the same views over it and writes the Parquet files. What comes out rests on the journal
alone; the store's own counts are held against it (`Store.counts`).

    python -m engine.store.export < order.json        one JSON line on standard output
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec

from engine.contracts.errors import PeakError
from engine.store.tables import SessionTable, write_tables

_SQL = Path(__file__).parent
_MEMORY = "512MB"
_THREADS = 2
_BLOCK_ROWS = 20_000
_TIMEOUT_SECONDS = 900
#: Bytes of the longest line that is read; DuckDB takes twice that for each thread.
_LONGEST = 1 << 25

_READ = """
INSERT INTO events
SELECT
    seq, ts, kind,
    actor ->> '$.kind', actor ->> '$.name', actor ->> '$.proof',
    data ->> '$.session_id', actor, data, prev, ''
FROM read_json(
    [{paths}], format = 'newline_delimited', maximum_object_size = {longest},
    columns = {{
        actor: 'VARCHAR', data: 'VARCHAR', kind: 'VARCHAR', prev: 'VARCHAR',
        seq: 'BIGINT', ts: 'BIGINT'
    }}
)
WHERE seq < {events}
"""


class ExportFailed(PeakError):  # noqa: N818  (as its siblings in contracts.errors)
    """The tables were not written; nothing else was changed."""

    default_code = "EXPORT_FAILED"


class ExportOrder(msgspec.Struct, frozen=True, kw_only=True):
    """What to write: the session as the first `events` lines of these files tell it, and where."""

    segments: tuple[str, ...]
    events: int
    session_id: str
    folder: str


def export_tables(order: ExportOrder) -> tuple[SessionTable, ...]:
    """Have a child write the tables; blocks until it has. Raises ExportFailed."""
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-m", "engine.store.export"],
            input=msgspec.json.encode(order),
            capture_output=True,
            check=False,
            timeout=_TIMEOUT_SECONDS,
        )
    except subprocess.TimeoutExpired as error:
        raise _failed(f"not done after {_TIMEOUT_SECONDS} s", order) from error
    if done.returncode != 0:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise _failed(said[-1][:300] if said else f"exit code {done.returncode}", order)
    return msgspec.json.decode(done.stdout, type=tuple[SessionTable, ...], dec_hook=_path)


def write(order: ExportOrder) -> tuple[SessionTable, ...]:
    """What the child does: a database beside the tables, removed afterwards."""
    import duckdb  # noqa: PLC0415
    import pyarrow as pa  # noqa: PLC0415

    from engine.store.database import filled_in  # noqa: PLC0415

    folder = Path(order.folder)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    scratch = folder / "tables.duckdb"
    scratch.unlink(missing_ok=True)
    connection = duckdb.connect(
        str(scratch),
        config={
            "memory_limit": _MEMORY,
            "threads": _THREADS,
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
        },
    )

    def blocks(sql: str, parameters: dict[str, str]) -> Iterator[pa.RecordBatch]:
        yield from connection.sql(filled_in(sql, parameters)).to_arrow_reader(_BLOCK_ROWS)

    try:
        connection.execute((_SQL / "schema.sql").read_text(encoding="utf-8"))
        paths = ", ".join(_literal(path) for path in order.segments)
        connection.execute(_READ.format(paths=paths, longest=_LONGEST, events=order.events))
        for view in sorted((_SQL / "views").glob("*.sql")):
            connection.execute(view.read_text(encoding="utf-8"))
        return write_tables(blocks, order.session_id, folder)
    finally:
        connection.close()
        scratch.unlink(missing_ok=True)


def _failed(what: str, order: ExportOrder) -> ExportFailed:
    return ExportFailed(
        what=f"the session's tables could not be written ({what})",
        where=order.folder,
        todo="see that the disk has room, then write the pack again",
    )


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _path(kind: type, value: str) -> object:
    return kind(value)


def _encode(value: object) -> str:
    return str(value)


if __name__ == "__main__":
    made = write(msgspec.json.decode(sys.stdin.buffer.read(), type=ExportOrder))
    sys.stdout.buffer.write(msgspec.json.encode(made, enc_hook=_encode))
