"""The DuckDB side of the store: opening, filling, scanning, replacing. One thread, one connection.

DuckDB's own recovery is no witness: a deleted, cut or damaged `.wal` opens without an error and
with rows missing, and damaged blocks are noticed only when they are read. So `scan` reads
everything and recomputes every hash, and what comes out is compared with the journal.

Nothing else in the process may open or hash the live file: closing any descriptor of it drops
DuckDB's lock (POSIX `fcntl` locks belong to the process). The `.wal` is copied aside only before
connecting.
"""

from __future__ import annotations

import contextlib
import itertools
import math
import os
import re
import shutil
import stat
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import duckdb
import msgspec
import pyarrow as pa

from engine.contracts.errors import PeakError, WorkspaceError
from engine.contracts.event import Recorded
from engine.journal.chain import ZERO_HASH, decode_line
from engine.journal.segments import sync_folder
from engine.store.batch import End, Line, events_batch
from engine.store.catalogue import comments
from engine.store.compare import JournalSource, Scan, content_sha256, scan
from engine.store.inventory import make_all, not_ours

_HERE = Path(__file__).parent
_SCAN_ROWS = 20_000
_BUILD_ROWS = 20_000
#: No log grows so large: one of a megabyte is moved into the file, after the commit that filled it.
_MOST_LOG = 1 << 30
_EMPTY = End(0, ZERO_HASH)


class StoreFailed(PeakError):  # noqa: N818  (as its siblings in contracts.errors)
    """The store cannot be used; the journal is complete without it and rebuilds it."""

    default_code = "STORE_FAILED"


class Settings(msgspec.Struct, frozen=True):
    """Fixed at opening: `memory_limit` as DuckDB writes it, the one folder that COPY may use."""

    memory_limit: str
    threads: int
    export_folder: Path


def statement(name: str) -> str:
    """Text of a query of ours: `queries/<name>.sql`."""
    return (_HERE / "queries" / f"{name}.sql").read_text(encoding="utf-8")


def filled_in(sql: str, parameters: dict[str, str]) -> str:
    """Put the parameters into a query of ours as literals."""
    for name, value in parameters.items():
        quoted = value.replace("'", "''")
        sql = sql.replace(f"${name}", f"'{quoted}'")
    return sql


class Database:
    """One open DuckDB file with our schema, its configuration locked."""

    def __init__(self, path: Path, settings: Settings) -> None:
        """Open or make the file. Raises duckdb.Error when it is damaged."""
        self.path = path
        self.end = _EMPTY
        self._connection = duckdb.connect(
            str(path),
            config={
                "debug_abort_on_wal_failure": True,
                "wal_autocheckpoint": "1MB",
                "memory_limit": settings.memory_limit,
                "threads": settings.threads,
                # Without it DuckDB's allocator keeps what a query took until the next one runs.
                "allocator_background_threads": True,
                "autoinstall_known_extensions": False,
                "autoload_known_extensions": False,
            },
        )
        try:
            self._set_up(settings)
        except duckdb.Error:
            self._connection.close()
            raise
        self._file = _identity(path)

    def _set_up(self, settings: Settings) -> None:
        run = self._connection.execute
        make_all(run)
        run(";".join(comments()))
        run("CHECKPOINT")
        folder = str(settings.export_folder.resolve()).replace("'", "''")
        run(f"SET allowed_directories = ['{folder}']")
        run("SET enable_external_access = false")
        run("SET lock_configuration = true")

    def not_ours(self) -> str:
        """What the file holds that we never made; "" when there is nothing."""
        return not_ours(self._connection)

    @property
    def moved(self) -> bool:
        """Whether the file that is open is no longer the one under its name.

        DuckDB would go on writing into a file that nobody finds again. Asked of the name alone: to
        open the file would drop DuckDB's lock.
        """
        return _identity(self.path) != self._file

    def insert(self, lines: Sequence[Line]) -> None:
        """Add lines that continue the table, in one durable transaction."""
        batch, end = events_batch(lines, self.end)
        self._connection.register("batch", batch)
        try:
            self._connection.execute("INSERT INTO events SELECT * FROM batch")
        finally:
            self._connection.unregister("batch")
        self.end = end

    def insert_all(self, lines: Iterator[bytes]) -> None:
        """Add raw journal lines, decoded on the way, in transactions of bounded size."""
        while part := list(islice(lines, _BUILD_ROWS)):
            self.insert(list(_decoded(part, self.end.size)))

    def scan(self, journal: JournalSource) -> Scan:
        """Hold everything against the journal; leaves `end` at the last row that is good."""
        found = scan(self._connection, journal)
        self.end = found.end
        return found

    def content_sha256(self) -> str:
        """Hash (hex) of the table's content."""
        return content_sha256(self._connection)

    def batches(self, sql: str, parameters: dict[str, str]) -> Iterator[pa.RecordBatch]:
        """Answer one of our own queries in blocks of rows, streamed as in `rows`."""
        yield from self._connection.sql(filled_in(sql, parameters)).to_arrow_reader(_SCAN_ROWS)

    def rows(self, sql: str, parameters: dict[str, str]) -> list[tuple[Any, ...]]:
        """Answer one of our own queries, streamed: DuckDB never holds the whole result.

        With bound parameters it would (`sql(..., params=...)` materialises), hence the literals.
        """
        found: list[tuple[Any, ...]] = []
        for batch in self.batches(sql, parameters):
            found.extend(zip(*(column.to_pylist() for column in batch.columns), strict=True))
        return found

    def cursor(self) -> duckdb.DuckDBPyConnection:
        """Return a second connection to the same file, for another thread."""
        return self._connection.cursor()

    def checkpoint(self) -> None:
        """Move the log into the file, so that a lost `.wal` loses nothing of it."""
        self._connection.execute("CHECKPOINT")

    def close(self) -> None:
        """Checkpoint and close."""
        self._connection.close()


def set_wal_aside(path: Path) -> Path | None:
    """Copy a left-over `.wal` beside itself, before DuckDB replays or cuts it. Never while open.

    What is no log of ours (a fifo, a device, a file larger than any commit) is moved there instead:
    DuckDB would wait for it, or read it for ever.
    """
    log = wal_path(path)
    if not os.path.lexists(log):
        return None
    aside = path.with_name(path.name + ".wal.aside")
    make_way(aside)
    if plain_size(log) <= _MOST_LOG:
        shutil.copyfile(log, aside)
    else:
        log.rename(aside)
    return aside


def plain_size(path: Path) -> float:
    """Bytes of a plain file (or of a link to one); without end for anything else."""
    try:
        found = path.stat()
    except OSError:
        return math.inf
    return found.st_size if stat.S_ISREG(found.st_mode) else math.inf


def make_way(path: Path) -> None:
    """Free a name of ours: a file or link goes, a folder of somebody's gets a number."""
    if not path.is_dir() or path.is_symlink():
        path.unlink(missing_ok=True)
        return
    numbered = (path.with_name(f"{path.name}.{number}") for number in itertools.count(1))
    path.rename(next(one for one in numbered if not os.path.lexists(one)))


def wal_path(path: Path) -> Path:
    """Where DuckDB keeps the log of the file."""
    return path.with_name(path.name + ".wal")


def open_or_damage(path: Path, settings: Settings) -> tuple[Database | None, str]:
    """Open the file, or say in one line how it is damaged.

    Raises WorkspaceError naming the pid when another process has it open.
    """
    for folder in (path.parent, settings.export_folder):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    set_wal_aside(path)
    if os.path.lexists(path) and plain_size(path) == math.inf:
        return None, "the file is no plain file"
    try:
        database = Database(path, settings)
        strange = database.not_ours()
    except duckdb.Error as error:
        text = _first_line(error)
        if "Could not set lock" in text:
            holder = re.search(r"\(PID (\d+)\)", text)
            raise WorkspaceError(
                what=f"the store is open in another process (pid {holder[1] if holder else '?'})",
                where=str(path),
                todo="end that process; read the store through the engine instead",
                code="STORE_LOCKED",
            ) from error
        return None, f"the file cannot be opened ({text})"
    if strange:
        database.close()
        return None, f"the file was changed ({strange})"
    return database, ""


def build(path: Path, lines: Iterator[bytes], settings: Settings) -> End:
    """Make a new file at `path` from journal lines, closed and without a log."""
    for stale in (path, wal_path(path)):
        make_way(stale)
    database = Database(path, settings)
    try:
        database.insert_all(lines)
        database.checkpoint()
    finally:
        database.close()
    return database.end


def put_in_place(new: Path, path: Path) -> None:
    """Rename the new file over the old, which is kept as `.replaced`. Both must be closed."""
    replaced = path.with_name(path.name + ".replaced")
    if os.path.lexists(path):
        make_way(replaced)
        path.rename(replaced)
    make_way(wal_path(path))
    new.replace(path)
    sync_folder(path.parent)


def discard(database: Database | None) -> None:
    """Close a file that is about to be replaced; a damaged one may complain, and need not work."""
    if database is not None:
        with contextlib.suppress(duckdb.Error):
            database.close()


def _decoded(lines: Iterable[bytes], first_seq: int) -> Iterator[tuple[Recorded, bytes]]:
    for seq, line in enumerate(lines, start=first_seq):
        yield decode_line(line, f"journal, event {seq}")[0], line


def _identity(path: Path) -> tuple[int, int]:
    """Device and inode under the name; zeros when there is none."""
    try:
        found = path.stat()
    except OSError:
        return (0, 0)
    return (found.st_dev, found.st_ino)


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
