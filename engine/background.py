"""Work that runs beside everything else: started by name, a fault of it told, all of it ended.

An engine asked to stop must stop, whatever its parts do with a cancellation: they are asked again
until the last one is gone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from engine.diary import Diary

_log = Diary("background")

#: Between two times of asking what still runs to end.
_AGAIN_SECONDS = 2.0

#: Starts a task whose failure is a fault of the engine, and says so.
Spawn = Callable[[Coroutine[Any, Any, None], str], asyncio.Task[None]]


class Background:
    """The tasks of one engine. `on_fault(name, error)` is told of each that died."""

    def __init__(self, on_fault: Callable[[str, BaseException], None]) -> None:
        self._on_fault = on_fault
        self._tasks: list[asyncio.Task[None]] = []

    def spawn(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        """Start work whose death is a fault."""
        task = self.spawn_last(work, name)
        task.add_done_callback(self._ended)
        return task

    def spawn_last(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        """Start what answers a fault or a signal: nobody could do more if it died as well."""
        task = asyncio.create_task(work, name=name)
        self._tasks = [*(one for one in self._tasks if not one.done()), task]
        return task

    async def end(self) -> None:
        """Cancel everything and wait until it is gone."""
        while running := [task for task in self._tasks if not task.done()]:
            for task in running:
                task.cancel()
            _, late = await asyncio.wait(running, timeout=_AGAIN_SECONDS)
            if late:
                _log.warning("not ended yet", parts=sorted(task.get_name() for task in late))

    def _ended(self, task: asyncio.Task[None]) -> None:
        if task.cancelled():
            return
        error = task.exception()
        if error is not None:
            self._on_fault(task.get_name(), error)
