"""The query process: answers people's SQL on a copy of the store, apart from the engine.

Run as `python -P -m engine.store.question`. The engine alone may open the live file, and a question
of a person may need more memory or time than trading can spare; DuckDB's own limits do not hold
for every function. So this process takes a copy of the file while the engine's store thread waits,
opens it read-only with everything else locked, and answers over its pipes. It is nice to everybody
else, has an end of memory set by the kernel, no environment but its own, and dies with the engine.

Lines of JSON on standard input, one answer each on standard output: `{"copy": path}` gives
`{"copied": bytes}`; `{"sql", "rows", "bytes"}` gives a header `{"columns", "cut", "length"}` and so
many bytes of JSON rows; either may give `{"error", "refused", "what", "todo"}`.
"""

from __future__ import annotations

import ctypes
import os
import resource
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, BinaryIO

import duckdb
import msgspec

from engine.contracts.errors import InputError, PeakError, Refused
from engine.contracts.money import to_text

#: Address space of the process, bytes; DuckDB alone reserves 700 MB of it.
_ADDRESS_SPACE = 1_600 << 20
_MEMORY_LIMIT = "256MB"
_PR_SET_PDEATHSIG = 1
_FEW_ROWS = 32
#: Where a copy may lie, if it has room for it twice, else beside the store: writing hundreds of
#: megabytes to the journal's own disk would make the journal's next fdatasync wait for them.
_MEMORY_FOLDER = Path("/dev/shm")  # noqa: S108  (a folder of its own is made there)


class Asked(msgspec.Struct, frozen=True):
    """One line from the engine: a file to copy, or a question with its limits."""

    copy: str = ""
    sql: str = ""
    rows: int = 0
    bytes: int = 0


class Told(msgspec.Struct, frozen=True, omit_defaults=True):
    """One line back. `cut` is "rows" or "bytes" when there was more; `error` is a code."""

    copied: int = 0
    columns: tuple[str, ...] = ()
    cut: str = ""
    length: int = 0
    error: str = ""
    refused: bool = False
    what: str = ""
    todo: str = ""


def refuse_writing(sql: str) -> None:
    """Let one reading statement through; the read-only file is the second lock.

    Raises Refused for anything but one SELECT, WITH, DESCRIBE or SHOW, InputError for wrong SQL.
    """
    try:
        statements = duckdb.extract_statements(sql)
    except duckdb.Error as error:
        raise InputError(what=_first_line(error), where="query") from error
    if len(statements) != 1:
        raise Refused(what=f"{len(statements)} statements", where="query", todo="ask one question")
    if statements[0].type is not duckdb.StatementType.SELECT:
        raise Refused(
            what=f"{statements[0].type.name} is not a question",
            where="query",
            todo="use SELECT, WITH, DESCRIBE or SHOW",
        )


class Copy:
    """The store as it was at one moment, open and without a name on the disk."""

    def __init__(self, path: Path) -> None:
        """Copy the file and its log. Raises InputError when there is no room, duckdb.Error."""
        log = path.with_name(path.name + ".wal")
        sources = [one for one in (path, log) if one.exists()]
        self.bytes = sum(one.stat().st_size for one in sources)
        room = _room_for(self.bytes, path)
        folder = Path(tempfile.mkdtemp(prefix=_prefix(os.getpid()), dir=room))
        try:
            for source in sources:
                shutil.copyfile(source, folder / source.name)
            self.connection = duckdb.connect(
                str(folder / path.name),
                read_only=True,
                config={
                    "memory_limit": _MEMORY_LIMIT,
                    "threads": 1,
                    "temp_directory": "",
                    "autoinstall_known_extensions": False,
                    "autoload_known_extensions": False,
                },
            )
            self.connection.execute("SET enable_external_access = false")
            self.connection.execute("SET lock_configuration = true")
        finally:
            shutil.rmtree(folder)


def _prefix(pid: int) -> str:
    return f"peakctl-query-{pid}-"


def remove_copies(pid: int, path: Path) -> None:
    """Remove what a child with this pid left because it was killed while it copied `path`."""
    for room in (_MEMORY_FOLDER, path.parent):
        for folder in room.glob(f"{_prefix(pid)}*"):
            shutil.rmtree(folder, ignore_errors=True)


def _room_for(needed: int, path: Path) -> Path:
    for folder in (_MEMORY_FOLDER, path.parent):
        if folder.is_dir() and shutil.disk_usage(folder).free > 2 * needed + (64 << 20):
            return folder
    raise InputError(what="no room for a copy of the store", where=str(path), todo="free some disk")


def answer(connection: duckdb.DuckDBPyConnection, asked: Asked) -> tuple[Told, bytes]:
    """The answer to one question, within its limits. Raises Refused, InputError."""
    refuse_writing(asked.sql)
    cursor = connection.cursor()
    try:
        cursor.execute(asked.sql)
        columns = tuple(str(column[0]) for column in cursor.description or ())
        rows: list[bytes] = []
        length, cut = 2, ""
        for row in _rows_of(cursor):
            text = _json(row)
            cut = "rows" if len(rows) == asked.rows else ""
            cut = cut or ("bytes" if length + len(text) > asked.bytes else "")
            if cut:
                break
            rows.append(text)
            length += len(text) + 1
    except (duckdb.Error, MemoryError) as error:
        what = _first_line(error) or "the question needs more memory than it may have"
        raise InputError(what=what, where="query") from error
    finally:
        cursor.close()
    body = b"[" + b",".join(rows) + b"]"
    return Told(columns=columns, cut=cut, length=len(body)), body


def _rows_of(cursor: duckdb.DuckDBPyConnection) -> Iterator[tuple[Any, ...]]:
    """Rows with money as the journal writes it: exact, no exponent, no trailing zeros."""
    while rows := cursor.fetchmany(_FEW_ROWS):
        for row in rows:
            yield tuple(to_text(cell) if isinstance(cell, Decimal) else cell for cell in row)


def _json(row: tuple[Any, ...]) -> bytes:
    try:
        return msgspec.json.encode(row)
    except (TypeError, UnicodeEncodeError, ValueError):
        return msgspec.json.encode([ascii(cell) for cell in row])


def _first_line(error: BaseException) -> str:
    return str(error).partition("\n")[0][:500]


def _confine() -> None:
    """Take little, die with the engine, leave no core with other people's data."""
    os.nice(19)
    resource.setrlimit(resource.RLIMIT_AS, (_ADDRESS_SPACE, _ADDRESS_SPACE))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _turn(copy: Copy | None, line: bytes) -> tuple[Copy | None, Told, bytes]:
    """One line in, one answer out."""
    try:
        asked = msgspec.json.decode(line, type=Asked)
        if asked.copy:
            if copy is not None:
                copy.connection.close()
            copy = Copy(Path(asked.copy))
            return copy, Told(copied=copy.bytes), b""
        if copy is None:
            raise InputError(what="there is no copy of the store yet", where="query")
        told, body = answer(copy.connection, asked)
    except PeakError as error:
        refused = isinstance(error, Refused)
        told = Told(error=error.code, refused=refused, what=error.what, todo=error.todo)
        return copy, told, b""
    except (duckdb.Error, OSError, msgspec.DecodeError) as error:
        return copy, Told(error=InputError.default_code, what=_first_line(error)), b""
    return copy, told, body


def serve(incoming: BinaryIO, outgoing: BinaryIO) -> None:
    """Answer until the engine hangs up."""
    copy: Copy | None = None
    while line := incoming.readline():
        copy, told, body = _turn(copy, line)
        outgoing.write(msgspec.json.encode(told) + b"\n" + body)
        outgoing.flush()


if __name__ == "__main__":
    _confine()
    serve(sys.stdin.buffer, sys.stdout.buffer)
