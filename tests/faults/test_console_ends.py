"""However the operator's console ends, the session ends up safe by rule: no new order, none open.

A real console in a real terminal attends; it is ended by each signal and by closing its terminal.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from typing import TYPE_CHECKING

import pexpect
import pytest

from engine.contracts.errors import PeakError
from tests.faults.conftest import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.faults.conftest import Field, Start

Console = pexpect.spawn


def by(number: signal.Signals) -> Callable[[Console], None]:
    return lambda console: os.kill(console.pid, number)


ENDS: dict[str, Callable[[Console], None]] = {
    "SIGHUP": by(signal.SIGHUP),
    "SIGTERM": by(signal.SIGTERM),
    "SIGKILL": by(signal.SIGKILL),
    "terminal closed": lambda console: console.ptyproc.fileobj.close(),
}


def open_console(desk: Field) -> Console:
    """A console of the operator's own in a terminal of its own."""
    return pexpect.spawn(
        sys.executable,
        ["-P", "-m", "peakctl", f"--workspace={desk.workspace.root}", "--person=alice"],
        dimensions=(24, 80),
        cwd=str(desk.workspace.root),
        env={**os.environ, "TERM": "xterm-256color", "PYTHONPATH": str(ROOT)},
        timeout=30,
    )


async def test_every_end_of_the_console_pauses_and_cancels(start: Start) -> None:
    desk = await start()
    await desk.go_live(attendance_seconds=1)
    for name, end in ENDS.items():
        console = await asyncio.to_thread(open_console, desk)
        reading = asyncio.create_task(asyncio.to_thread(console.expect, [pexpect.EOF, "never so"]))
        try:
            await desk.operator.leave()
            await desk.until(lambda view: view.engine.attended, f"attended by the console: {name}")
            order_id = await desk.rest_one()
            assert await desk.venue_open() == [order_id], name
            end(console)

            async def none_open() -> bool:
                return await desk.venue_open() == []

            await desk.eventually(none_open, f"canceled after {name}", 15)
            await desk.until_session("paused")
            await desk.until_order(order_id, "CANCELED")
            with pytest.raises(PeakError):
                await desk.submit(price=await desk.away_price_now())
        finally:
            console.close(force=True)
            await asyncio.gather(reading, return_exceptions=True)
        await desk.return_operator()
        await desk.until(lambda view: view.engine.attended, "attended again")
        await desk.client.resume("the console was ended by the test")
        await desk.until_session("live")
