"""SQL on a sealed pack's Parquet: read only, no engine, nothing but the pack's own files.

DuckDB runs in memory and may open files of the pack's folder alone; its settings are locked before
the question is asked, and the answer has an end of rows, bytes and seconds. The pack is verified
first, and the Parquet files are hashed again after the answer, so what was asked is what both
people signed. `unverified` leaves both out, and whoever shows the answer says so.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from pathlib import Path, PurePosixPath
from typing import Any

import duckdb
import msgspec

from engine.contracts.errors import AnswerNo, InputError, IntegrityError
from engine.evidence import bag, tree
from engine.evidence.verify import verify_pack
from engine.store.question import refuse_writing

_FOLDERS = ("data/tables/", "data/market/")
_ROWS = 10_000
#: An answer ends after so many characters, and a question after so many seconds.
_CHARACTERS = 8 << 20
_SECONDS = 10.0
_FEW_ROWS = 32
_DOCUMENT_LIMIT = 16 << 20


class PackAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The rows, whether there were more, and whether the pack was verified for them."""

    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]]
    truncated: bool
    verified: bool
    tables: tuple[str, ...]


def ask_pack(
    pack: Path,
    sql: str,
    allowed_signers: Path | None,
    revoked: Path | None = None,
    *,
    verify: bool = True,
    limit: int = _ROWS,
) -> PackAnswer:
    """Answer one SELECT, WITH, DESCRIBE or SHOW on the pack's tables and market data.

    Each table has the name of its file, `orders`, `fills` and so on; `book` and `trades` are the
    market's. Raises AnswerNo when the pack does not verify, Refused for what is not a question,
    InputError for wrong SQL, IntegrityError when a file changed meanwhile.
    """
    refuse_writing(sql)
    pack = pack.resolve()
    if verify:
        _verified(pack, allowed_signers, revoked)
    for name, what in tree.scan(pack).faults:  # a link would lead out of the folder
        raise IntegrityError(what=what, where=name, todo="`peakctl verify` names everything")
    files = _parquet_files(pack)
    columns, rows, more = _ask(pack, files, sql, limit)
    if verify:
        _refuse_changed(pack, files)
    tables = tuple(sorted(_tables(files)))
    return PackAnswer(
        columns=columns,
        rows=rows,
        truncated=more,
        verified=verify,
        tables=tables,
    )


def _verified(pack: Path, allowed_signers: Path | None, revoked: Path | None) -> None:
    report = verify_pack(pack, allowed_signers, revoked)
    if not report.ok:
        first = report.errors[0]
        raise AnswerNo(
            what=f"the pack does not verify: {first.file}: {first.what}",
            where=str(pack),
            todo="`peakctl verify` names everything; --unverified asks all the same",
        )


def _parquet_files(pack: Path) -> dict[str, str]:
    """The Parquet files that the manifest lists: name -> hash."""
    raw = tree.read_regular(pack, bag.MANIFEST_NAME, _DOCUMENT_LIMIT)
    listed = bag.parse_manifest(raw, bag.MANIFEST_NAME)
    return {
        name: digest
        for name, digest in listed.items()
        if name.startswith(_FOLDERS) and name.endswith(".parquet")
    }


def _tables(files: dict[str, str]) -> dict[str, list[str]]:
    """Files by table: `book-000001.parquet` and its followers are one."""
    tables: dict[str, list[str]] = defaultdict(list)
    for name in sorted(files):
        tables[PurePosixPath(name).stem.partition("-")[0]].append(name)
    return tables


def _ask(
    pack: Path, files: dict[str, str], sql: str, limit: int
) -> tuple[tuple[str, ...], list[tuple[Any, ...]], bool]:
    """The columns, the rows, and whether there were more."""
    connection = duckdb.connect(
        config={
            "threads": 2,
            "memory_limit": "512MB",
            "temp_directory": "",
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
        }
    )
    end = threading.Timer(_SECONDS, connection.interrupt)
    try:
        connection.execute(f"SET allowed_directories = [{_literal(f'{pack}/')}]")
        connection.execute("SET enable_external_access = false")
        connection.execute("SET lock_configuration = true")
        for table, names in _tables(files).items():
            paths = ", ".join(_literal(str(pack / name)) for name in names)
            connection.execute(f'CREATE VIEW "{table}" AS SELECT * FROM read_parquet([{paths}])')  # noqa: S608
        end.start()
        connection.execute(sql)
        columns = tuple(column[0] for column in connection.description or ())
        rows: list[tuple[Any, ...]] = []
        left = _CHARACTERS
        while left > 0 and len(rows) <= limit and (few := connection.fetchmany(_FEW_ROWS)):
            rows += few
            left -= sum(len(str(cell)) for row in few for cell in row)
        return columns, rows[:limit], len(rows) > limit or left <= 0
    except duckdb.InterruptException as error:
        what = f"no answer within {_SECONDS:.0f} s"
        raise InputError(what=what, where="query", todo="ask for less at once") from error
    except (duckdb.Error, MemoryError) as error:
        what = str(error).partition("\n")[0] or "the question needs more memory than it may have"
        raise InputError(what=what, where="query") from error
    finally:
        end.cancel()
        connection.close()


def _refuse_changed(pack: Path, files: dict[str, str]) -> None:
    for name, digest in files.items():
        if tree.sha256_regular(pack, name) != digest:
            raise IntegrityError(
                what="was changed while it was being asked", where=name, todo="verify the pack"
            )


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
