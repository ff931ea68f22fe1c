"""`peakctl kill` when no engine answers: reads the workspace's setup and kills without it."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

from engine.contracts.errors import NotProven
from engine.contracts.view import KillView
from engine.execution.direct_kill import direct_kill
from engine.setup import read_setup
from engine.venues.binance.venue import BinanceVenue
from engine.venues.port import VenueQueryFailed

#: After this long without proof the command says so and ends; the latch holds.
_GIVE_UP_US = 20_000_000


async def kill_without_engine(workspace: Path, socket: Path, reason: str, by: str) -> KillView:
    """Latch, cancel all, prove, on a connection of our own. Raises PeakError."""
    setup = await asyncio.to_thread(read_setup, workspace, socket)
    venue = BinanceVenue(setup.venue_options)
    # The latch must be set whether the venue can be reached or not; the hunt will tell.
    with contextlib.suppress(VenueQueryFailed):
        await venue.open()
    try:
        return await direct_kill(
            venue,
            setup.settings.venue.symbols,
            latch_path=setup.paths.latch,
            log_path=setup.paths.watchdog_log,
            reason=reason,
            by=by,
            give_up_us=_GIVE_UP_US,
        )
    except OSError as error:
        raise NotProven(
            what=f"the latch could not be written ({error.strerror}); cancels were sent",
            where=str(setup.paths.latch),
            todo="free the disk and run it again; look at the venue itself",
        ) from error
    finally:
        await venue.close()
