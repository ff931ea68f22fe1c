"""`peakctl kill` when no engine answers: reads the workspace's setup and kills without it."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable
from pathlib import Path

from engine.contracts.errors import NotProven
from engine.contracts.view import KillView
from engine.execution.kill.direct import CALL_SECONDS, KillPlaces, direct_kill
from engine.execution.kill.latch_file import LatchMark
from engine.execution.kill.latch_holds import LatchHolds
from engine.setup import read_setup
from engine.venues.binance.venue import BinanceVenue

#: After this long without proof the command says so and ends; the latch holds.
_GIVE_UP_US = 20_000_000


async def kill_without_engine(
    workspace: Path, socket: Path, reason: str, by: str, loud: Callable[[str], None]
) -> KillView:
    """Latch, cancel all, prove, on a connection of our own. Raises PeakError.

    Nothing is asked before the cancels leave: they go out by what config and journal know, and a
    clock that the venue does not accept is measured then. `loud` is told while there is no proof.
    """
    setup = await asyncio.to_thread(read_setup, workspace, socket)
    options = dataclasses.replace(
        setup.watchdog_orders.options(), query_timeout_s=CALL_SECONDS, query_deadline_s=CALL_SECONDS
    )
    venue = BinanceVenue(options)
    try:
        return await direct_kill(
            venue,
            setup.settings.venue.symbols,
            places=KillPlaces(
                LatchHolds(setup.paths.latch, setup.paths.latch_aside, _no_watchdog),
                setup.paths.journal,
                setup.paths.watchdog_log,
            ),
            reason=reason,
            by=by,
            give_up_us=_GIVE_UP_US,
            loud=loud,
        )
    except OSError as error:
        raise NotProven(
            what=f"the latch could not be written ({error.strerror}); cancels were sent",
            where=str(setup.paths.latch),
            todo="free the disk and run it again; look at the venue itself",
        ) from error
    finally:
        await venue.close()


async def _no_watchdog(_mark: LatchMark) -> bool:
    """Only an engine has the pipe to its watchdog."""
    return False
