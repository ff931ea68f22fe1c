"""Where the latch is held besides memory and journal: its file, and two more places in need (I4).

The journal and the file each suffice. When neither disk takes it, a full one above all, the latch
would end with the process. Then it is also put into the user's runtime folder, which is most often
in memory and not on that disk, and told to the watchdog, which outlives the engine, keeps trying to
write the file, and does not end before it has. `where` says which of them hold, so that a latch
that stands on one leg is seen to.
"""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import Awaitable, Callable
from pathlib import Path

from engine.diary import Diary
from engine.execution.kill.latch_file import LatchMark, clear_latch, latch_present, write_latch

_log = Diary("latch")

#: Tells the watchdog to hold a latch; whether it heard.
TellWatchdog = Callable[[LatchMark], Awaitable[bool]]


class LatchHolds:
    """The places outside the journal. `path` is the latch file, `aside` the one in need."""

    def __init__(self, path: Path, aside: Path, tell_watchdog: TellWatchdog) -> None:
        self.path = path
        self.aside = aside
        self._tell_watchdog = tell_watchdog
        self._watchdog_holds = False
        #: a latch that is on no disk of the workspace yet
        self.homeless: LatchMark | None = None

    async def keep(self, mark: LatchMark, *, anew: bool = False) -> None:
        """Write the file; when that fails, every other place. Never raises.

        `anew`: also over a file that is there, because nothing else will name this kill (I8).
        """
        try:
            # A file that is there already latches, and may be of a kill that is not journaled yet.
            if anew or not latch_present(self.path):
                await asyncio.to_thread(write_latch, self.path, mark)
        except OSError as error:
            # The journal is the truth; a full disk must not stop the cancels either (I13).
            _log.error("latch file not written", cause=error.strerror)
            self.homeless = mark
            await self._keep_aside(mark)
            self._watchdog_holds = await self._tell_watchdog(mark)
        else:
            self.homeless = None

    async def _keep_aside(self, mark: LatchMark) -> None:
        try:
            await asyncio.to_thread(_write_aside, self.aside, mark)
        except OSError as error:
            _log.error("latch not written aside", cause=error.strerror)

    async def retry(self) -> None:
        """Write the file of a latch that is on no disk yet, if it can be written now."""
        if self.homeless is not None:
            mark = self.homeless
            await asyncio.to_thread(write_latch, self.path, mark)
            self.homeless = None

    def where(self) -> tuple[str, ...]:
        """Which of the places hold a latch now."""
        places = (
            ("file", latch_present(self.path)),
            ("aside", aside_present(self.aside)),
            ("watchdog", self._watchdog_holds),
        )
        return tuple(name for name, holds in places if holds)

    def clear(self) -> None:
        """Let go after a release that the journal already holds."""
        clear_latch(self.path)
        clear_latch(self.aside)
        self.homeless = None
        self._watchdog_holds = False


def aside_present(path: Path) -> bool:
    """Tell whether a latch is kept aside, by us: what a stranger puts there is not looked at."""
    try:
        folder, facts = path.parent.lstat(), path.lstat()
    except OSError:
        return False
    mine = folder.st_uid == facts.st_uid == os.getuid()
    return mine and stat.S_ISDIR(folder.st_mode) and stat.S_ISREG(facts.st_mode)


def _write_aside(path: Path, mark: LatchMark) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if path.parent.lstat().st_uid != os.getuid():
        raise PermissionError(1, "the folder is not ours")
    write_latch(path, mark)
