"""The store: everything in the journal, queryable; always second, never the truth.

Usage by the host: `store = await Store.open(...)`, `await store.align(journal)`, then
`journal.subscribe(store.project)`. Rows follow the journal by at most a batch (`lag`); whoever must
see them waits for `flushed`. One thread owns the connection; questions from people run in a process
of their own, on a copy (`asking`), so that they can neither write nor take the engine's memory.

`journal_orders`, `journal_fills` and `journal_movements` are the third side of reconciliation: SQL
over the events alone, sharing no code with the engine's ledgers.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from operator import itemgetter
from pathlib import Path
from typing import Any, TypeVar

import duckdb
import msgspec

from engine.contracts.errors import InputError, IntegrityError
from engine.contracts.money import plain
from engine.store.asking import QueryLimits, QueryProcess, QueryResult
from engine.store.batch import Line
from engine.store.compare import JournalSource
from engine.store.database import (
    Database,
    Settings,
    StoreFailed,
    build,
    discard,
    open_or_damage,
    put_in_place,
    statement,
)
from engine.store.joins import FillTable
from engine.store.question import refuse_writing
from engine.store.stretch import WHOLE, Movements, Stretch, movements

__all__ = [
    "WHOLE",
    "Alignment",
    "JournalSource",
    "Movements",
    "QueryResult",
    "Store",
    "StoreFailed",
    "Stretch",
    "refuse_writing",
]

_T = TypeVar("_T")
_INSERT_ROWS = 20_000
#: Rows whose scan fills DuckDB's memory.
_LONG_SCAN = 100_000
#: How long rows gather before they are inserted, seconds.
_GATHER_SECONDS = 0.05
_MOVED = "the file was moved away or replaced while it was open"


class Alignment(msgspec.Struct, frozen=True):
    """What `align` found and did: "" is equal; `rebuilt` means a new file, else rows were added."""

    reason: str
    rebuilt: bool
    events: int


class Store:
    """The open store of one workspace. Made by `Store.open`; its methods belong to one loop."""

    @classmethod
    async def open(
        cls,
        path: Path,
        *,
        export_folder: Path,
        memory_limit: str = "96MB",
        threads: int = 2,
    ) -> Store:
        """Open or make the file; `export_folder` is the one place where COPY may write.

        A damaged file is not an error here: `compare` names it and `rebuild` replaces it. Raises
        WorkspaceError when another process has the file open.
        """
        settings = Settings(memory_limit, threads, export_folder)
        store = cls(path, settings)
        try:
            store._database, store._damage = await store._on_thread(
                lambda: open_or_damage(path, settings)
            )
        except BaseException:
            store._executor.shutdown()
            store._readers.shutdown()
            raise
        return store

    def __init__(self, path: Path, settings: Settings) -> None:
        self._path = path
        self._settings = settings
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="store")
        self._readers = ThreadPoolExecutor(max_workers=1, thread_name_prefix="store-query")
        self._database: Database | None = None
        self._damage = ""
        self._failed: StoreFailed | None = None
        self._waiting: list[Line] = []
        self._waiting_lock = threading.Lock()
        self._gathering = False
        self._questions = QueryProcess(path, self._hold)
        self._rebuilds = 0
        #: events are kept again although it has failed: it is being brought up to the journal
        self._mending = False
        self._seen = 0
        self._closed = False

    # --- following the journal -------------------------------------------------------------------

    @property
    def size(self) -> int:
        """Number of events in the store."""
        return self._database.end.size if self._database else 0

    @property
    def lag(self) -> int:
        """Number of events that the journal has handed over and the store has not yet written."""
        return max(0, self._seen - self.size)

    @property
    def failed(self) -> StoreFailed | None:
        """Why rows are no longer added, or None. `align` repairs it from the journal."""
        if self._failed is None and self._database is not None and self._database.moved:
            self._failed = self._moved()
        return self._failed

    def project(self, batch: list[Line]) -> None:
        """Hand over a durable group of the journal: returns at once (a journal subscriber)."""
        if not batch:
            return
        self._seen = max(self._seen, batch[-1][0].seq + 1)
        if self._closed or (self._failed is not None and not self._mending):
            return
        with self._waiting_lock:
            self._waiting.extend(batch)
            many = len(self._waiting) >= _INSERT_ROWS
        if many:
            self._executor.submit(self._drain)
        elif not self._gathering:
            # Alone, an insert costs more than the event did: it would compete with the order that
            # the event is about. Whoever must see the rows sooner waits for `flushed`.
            self._gathering = True
            asyncio.get_running_loop().call_later(_GATHER_SECONDS, self._drain_gathered)

    def _drain_gathered(self) -> None:
        self._gathering = False
        if not self._closed:
            self._executor.submit(self._drain)

    async def flushed(self, seq: int) -> None:
        """Return once event `seq` is committed in the store. Raises StoreFailed if it cannot be."""
        await self._on_thread(lambda: None)
        if self._failed is not None:
            raise self._failed
        if seq >= self.size:
            raise InputError(what=f"event {seq} was never handed to the store", where="store")

    async def compare(self, journal: JournalSource) -> str | None:
        """Read everything and compare with the journal: the reason when they differ, or None."""
        return (await self._on_thread(lambda: self._compare(journal)))[0]

    async def align(self, journal: JournalSource) -> Alignment:
        """Make the store equal the journal: add what it is short of, or rebuild it."""
        reason, short = await self._on_thread(lambda: self._compare(journal))
        if reason is None:
            await self._on_thread(self._give_back)
            return Alignment("", rebuilt=False, events=self.size)
        if not short:
            return Alignment(reason, rebuilt=True, events=await self.rebuild(journal))
        await self._on_thread(lambda: self._catch_up(journal))
        return Alignment(reason, rebuilt=False, events=self.size)

    async def rebuild(self, journal: JournalSource) -> int:
        """Make a new file from the journal, put it in place and return its number of events."""
        return await self._on_thread(lambda: self._rebuild(journal))

    async def content_sha256(self) -> str:
        """Hash (hex) of all rows: the same of any store of this journal (`compare`)."""
        return await self._on_thread(lambda: self._open_database().content_sha256())

    async def checkpoint(self) -> None:
        """Make the file complete without its log: after go/no-go, halt and session end."""
        await self._on_thread(lambda: self._open_database().checkpoint())

    async def close(self) -> None:
        """Write what waits, checkpoint and close. Harmless when repeated."""
        if self._closed:
            return
        self._closed = True
        await asyncio.get_running_loop().run_in_executor(self._readers, self._questions.close)
        await self._on_thread(lambda: discard(self._database))
        self._executor.shutdown()
        self._readers.shutdown()

    # --- reading ---------------------------------------------------------------------------------

    async def query(self, sql: str, *, limit: int = 10_000, timeout_s: float = 10) -> QueryResult:
        """Answer one SELECT, WITH, DESCRIBE or SHOW in the query process, on a copy of the store.

        At most `limit` rows and some megabytes; `cut` says when there was more. Raises Refused for
        anything else, InputError for wrong SQL or when it takes longer than `timeout_s` seconds.
        """
        limits = QueryLimits(rows=limit, seconds=timeout_s)
        state = (self._rebuilds, self.size)
        return await asyncio.get_running_loop().run_in_executor(
            self._readers, lambda: self._questions.ask(sql, state, limits)
        )

    async def journal_orders(
        self, session_id: str, stretch: Stretch = WHOLE
    ) -> list[tuple[str, str | None, str, Decimal, Decimal, Decimal | None]]:
        """Orders of a session that the stretch intends, in that order, as the stretch tells them.

        (client_order_id, venue_order_id, state, quantity, filled_quantity, price); state is open,
        filled, canceled, rejected, expired or unknown; quantities in base, price in quote.
        """
        found = await self._session_rows("journal_orders", session_id, stretch)
        return [(*row[1:4], *map(_plain, row[4:])) for row in sorted(found, key=itemgetter(0))]

    async def journal_fills(
        self, session_id: str, stretch: Stretch = WHOLE
    ) -> list[tuple[str, str, str, Decimal, Decimal, Decimal, str, str]]:
        """Distinct fills of a session in order of arrival.

        (trade_id, client_order_id, side, price, quantity, fee, fee_asset, symbol); price in quote,
        quantity in base, fee in fee_asset.
        """
        found = await self._session_rows("journal_fills", session_id, stretch)
        rows = sorted(found, key=itemgetter(0))
        return [(*row[1:4], *map(_plain, row[4:7]), *row[7:]) for row in rows]

    async def fill_table(self, session_id: str, until_seq: int) -> FillTable:
        """Distinct fills of a session below a sequence number, as columns for `joins.differing`.

        The first report of each counts; the columns are gathered here, outside the store's memory.
        """
        sql = statement("told_fills")
        parameters = Stretch(until_seq=until_seq).parameters(session_id)
        return await self._on_thread(lambda: self._filled(sql, parameters))

    def _filled(self, sql: str, parameters: dict[str, str]) -> FillTable:
        table = FillTable()
        for block in self._open_database().batches(sql, parameters):
            table.add_block(block)
        return table.first_of_each()

    async def journal_movements(self, session_id: str, stretch: Stretch = WHOLE) -> list[Movements]:
        """What the session's trades moved, by symbol: for positions and expected balances.

        The balance of the base asset moves by `base`, of the quote asset by `quote`, and each asset
        of `fees` by minus its fee.
        """
        trades = await self._session_rows("journal_trades", session_id, stretch)
        fees = await self._session_rows("journal_fees", session_id, stretch)
        return movements(trades, fees)

    async def counts(self, session_id: str, until_seq: int) -> dict[str, int]:
        """How many events of each kind name the session below a sequence number."""
        sql = statement("session_counts")
        parameters = Stretch(until_seq=until_seq).parameters(session_id)
        rows = await self._on_thread(lambda: self._open_database().rows(sql, parameters))
        return {str(kind): int(count) for kind, count in rows}

    # --- on the store's thread -------------------------------------------------------------------

    async def _on_thread(self, call: Callable[[], _T]) -> _T:
        """Run on the store's own thread, after everything that waits has been inserted."""

        def after_drain() -> _T:
            self._drain()
            return call()

        try:
            return await asyncio.get_running_loop().run_in_executor(self._executor, after_drain)
        except (duckdb.Error, OSError) as error:
            raise StoreFailed(
                what=str(error).partition("\n")[0],
                where=str(self._path),
                todo="the journal is complete; restart the engine to align the store",
            ) from error

    def _hold(self, call: Callable[[], None]) -> None:
        """Run a call that reads the closed-up file from outside, while nothing is written to it."""

        def alone() -> None:
            self._drain()
            self._open_database().checkpoint()
            call()

        self._executor.submit(alone).result()

    def _open_database(self) -> Database:
        if self._database is None:
            raise StoreFailed(
                what=self._damage, where=str(self._path), todo="rebuild it: peakctl store rebuild"
            )
        return self._database

    def _drain(self) -> None:
        """Insert all that waits, in order; rows that a rebuild has already put in are skipped."""
        with self._waiting_lock:
            waiting, self._waiting = self._waiting, []
        if not waiting:
            return
        try:
            database = self._open_database()
            if database.moved:
                raise self._moved()
            fresh = [line for line in waiting if line[0].seq >= database.end.size]
            for start in range(0, len(fresh), _INSERT_ROWS):
                database.insert(fresh[start : start + _INSERT_ROWS])
        except (duckdb.Error, IntegrityError) as error:
            self._failed = StoreFailed(
                what=f"rows cannot be added ({str(error).partition(chr(10))[0]})",
                where=str(self._path),
                todo="the journal is complete; restart the engine to align the store",
            )
        except StoreFailed as error:
            self._failed = error

    def _give_back(self) -> None:
        """Open the file anew after a long scan: DuckDB keeps the blocks it read until it closes."""
        database = self._open_database()
        if database.end.size < _LONG_SCAN:
            return
        end = database.end
        database.close()
        self._database = Database(self._path, self._settings)
        self._database.end = end

    def _moved(self) -> StoreFailed:
        return StoreFailed(
            what=_MOVED,
            where=str(self._path),
            todo="the journal is complete; the store is made again from it",
        )

    def _compare(self, journal: JournalSource) -> tuple[str | None, bool]:
        """Return the reason, and whether the store is a true beginning of the journal."""
        if self._database is None:
            return self._damage, False
        if self._database.moved:
            return _MOVED, False
        scan = self._database.scan(journal)
        if scan.fault:
            return scan.fault, False
        if scan.end.size < (size := journal.size):
            return f"the store has {scan.end.size} events, the journal {size}", True
        return None, False

    def _catch_up(self, journal: JournalSource) -> None:
        database = self._open_database()
        with self._keeping_up():
            database.insert_all(journal.lines(database.end.size, journal.size))
            database.checkpoint()
            self._recovered(database)

    def _rebuild(self, journal: JournalSource) -> int:
        """Close, build beside, rename: two open files at once would cost their memory twice."""
        new = self._path.with_name(self._path.name + ".rebuild")
        discard(self._database)
        self._database, self._damage = None, "the file was being rebuilt"
        with self._keeping_up():
            end = build(new, journal.lines(0, journal.size), self._settings)
            put_in_place(new, self._path)
            self._database = Database(self._path, self._settings)
            self._database.end = end
            self._rebuilds += 1
            self._recovered(self._database)
        return end.size

    @contextlib.contextmanager
    def _keeping_up(self) -> Iterator[None]:
        """What the journal hands over from here on is not lost on a store that has failed.

        The journal's size is read inside: an event is in it, or is handed over after this began.
        """
        self._mending = True
        try:
            yield
        finally:
            self._mending = False

    def _recovered(self, database: Database) -> None:
        self._failed = None
        self._damage = ""
        self._seen = max(self._seen, database.end.size)

    async def _session_rows(
        self, name: str, session_id: str, stretch: Stretch
    ) -> list[tuple[Any, ...]]:
        sql = statement(name)
        parameters = stretch.parameters(session_id)
        return await self._on_thread(lambda: self._open_database().rows(sql, parameters))


def _plain(value: Decimal | None) -> Decimal | None:
    return None if value is None else plain(value)
