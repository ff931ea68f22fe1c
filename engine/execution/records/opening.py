"""Opening the records at start: journal, state and store, in this order of trust (I7).

The journal is locked and verified, and must extend its own signed heads. Then two things at once,
each on a thread: the state is folded (from a checkpoint that the journal vouches for, or from the
first event), and the store is compared with the journal byte by byte and made equal. Nothing is
journaled here: what was found is handed to the host, which tells it.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import gc
from dataclasses import dataclass
from pathlib import Path

from engine.contracts.event import JournalRepaired
from engine.execution.clock import wall_us
from engine.execution.records.checkpoint import Restored, restore
from engine.journal.heads import refuse_rewritten
from engine.journal.writer import Journal, OpenResult
from engine.store.store import Alignment, Store


@dataclass(frozen=True)
class RecordPlaces:
    """Where the records lie, and how the journal is kept."""

    journal: Path
    heads: Path
    checkpoints: Path
    store: Path
    exports: Path
    commit_interval_ms: int
    segment_lines: int


@dataclass(frozen=True)
class Records:
    """The open records; `missing` when there was no store's file."""

    journal: Journal
    repaired: JournalRepaired | None
    restored: Restored
    store: Store
    aligned: Alignment
    missing: bool

    @property
    def rebuilt(self) -> str:
        """Why the store was made again; "" when it was not, or when it is the first one."""
        started = bool(self.restored.state.config_sha256)
        if not self.aligned.events or not (self.aligned.rebuilt or (self.missing and started)):
            return ""
        return "the store was missing" if self.missing else self.aligned.reason


def open_journal(places: RecordPlaces) -> OpenResult:
    """Lock, verify and open the journal. Raises WorkspaceError, IntegrityError."""
    opened = Journal.open(
        places.journal,
        commit_interval_ms=places.commit_interval_ms,
        segment_lines=places.segment_lines,
        clock_us=wall_us,
    )
    refuse_rewritten(opened.journal, places.heads)
    return opened


async def open_records(opened: OpenResult, places: RecordPlaces, code_sha256: str) -> Records:
    """Fold the state and align the store. Raises WorkspaceError, IntegrityError, StoreFailed."""
    journal = opened.journal
    # A fold makes millions of objects that stay: to look through them time and again finds nothing.
    gc.disable()
    try:
        folding = asyncio.create_task(
            asyncio.to_thread(_fold, journal, places.checkpoints, code_sha256)
        )
        opening = asyncio.create_task(_open_store(journal, places))
        await asyncio.wait((folding, opening))
        if folding.exception() is not None and opening.exception() is None:
            await opening.result()[0].close()
        restored = folding.result()
        store, aligned, missing = opening.result()
    finally:
        gc.enable()
        _give_back()
    return Records(journal, opened.repaired, restored, store, aligned, missing)


def _give_back() -> None:
    """Return to the system what reading took: glibc keeps it otherwise (elsewhere a no-op)."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").malloc_trim(0)


def _fold(journal: Journal, checkpoints: Path, code_sha256: str) -> Restored:
    restored = restore(checkpoints, journal, code_sha256)
    for recorded in journal.read(restored.size):
        restored.state.apply(recorded)
    return restored


async def _open_store(journal: Journal, places: RecordPlaces) -> tuple[Store, Alignment, bool]:
    missing = not await asyncio.to_thread(places.store.exists)
    store = await Store.open(places.store, export_folder=places.exports)
    try:
        return store, await store.align(journal), missing
    except BaseException:
        await store.close()
        raise
