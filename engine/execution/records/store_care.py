"""The store of a running engine: compared with the journal, and made anew from it after a fault."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from engine.contracts import event as ev
from engine.contracts.errors import PeakError
from engine.contracts.people import ENGINE
from engine.diary import Diary
from engine.execution.core import Core
from engine.store.store import Store

_log = Diary("store")

_COMPARE_TRIES = 10


class StoreCare:
    """Looks after one store; `raise_alarm(code, text)` tells a person."""

    def __init__(
        self, core: Core, store: Store, raise_alarm: Callable[[str, str], Awaitable[object]]
    ) -> None:
        self._core = core
        self._store = store
        self._raise_alarm = raise_alarm

    async def differs(self) -> str | None:
        """In what the store differs from the journal, None when in nothing.

        Events keep coming meanwhile: a difference counts once the journal stood still.
        """
        journal = self._core.journal
        for _ in range(_COMPARE_TRIES):
            size = journal.size
            await self._store.flushed(size - 1)
            reason = await self._store.compare(journal)
            if reason is None or size == journal.size:
                return reason
        return reason

    async def rebuild(self) -> bool:
        """Make a store that failed again from the journal. False when that failed too."""
        try:
            aligned = await self._store.align(self._core.journal)
        except PeakError as error:
            _log.error("store not rebuilt", cause=error.line())
            return False
        reason = aligned.reason or "it had failed"
        await self._core.record(ENGINE, ev.StoreRebuilt(reason=reason, events=aligned.events))
        await self._raise_alarm("STORE_REBUILT", reason)
        return True
