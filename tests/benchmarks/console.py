"""The console in a real terminal: first paint, idle cost, live cost, and from key to screen.

The engine runs beside it with the sandbox's market flowing. The bare peer is the least full screen
in Textual (`bare_textual.py`), started and pressed in turn with ours.
"""

from __future__ import annotations

import asyncio
import sys
import time

import uvloop

from peakctl.demo_seats import Seat
from tests.benchmarks.desk import Desk, desk, live
from tests.benchmarks.pty_watch import PtyWatch
from tests.benchmarks.table import Row, alone, compared, median, memory_mib, percentile

_F1 = b"\x1bOP"
_ESCAPE = b"\x1b"
_TAB = b"\t"
#: ctrl+l: a line into the runlog.
_NOTE = b"\x0c"
_BARE = [sys.executable, "-P", "-m", "tests.benchmarks.bare_textual"]
_SETTLE_SECONDS = 3.0
#: A dialog drops the keys of its first 0.3 s.
_GRACE_SECONDS = 0.5


def console_rows(paints: int = 7, seconds: float = 10.0, keys: int = 60) -> list[Row]:
    """Everything about the operator's console."""
    with desk() as place:
        place.start_engine()
        rows = [
            *_first_paint(place, paints),
            *_idle(place, seconds, keys),
            *uvloop.run(_live(place, seconds)),
        ]
    with desk("busy") as place:
        place.start_engine()
        return [*rows, *uvloop.run(_busy(place, keys))]


def _command(place: Desk) -> list[str]:
    root = str(place.workspace.root)
    return [sys.executable, "-P", "-m", "peakctl", "--workspace", root, "--person", "alice"]


def _first_paint(place: Desk, paints: int) -> list[Row]:
    taken: dict[str, list[tuple[float, float]]] = {"ours": [], "bare": []}
    for _ in range(paints):
        for name, command in (("ours", _command(place)), ("bare", _BARE)):
            with PtyWatch(command) as watch:
                taken[name].append(watch.first_full_paint())
    wall, cpu = (
        {name: median([one[at] for one in values]) for name, values in taken.items()}
        for at in (0, 1)
    )
    return [
        compared("console: first full paint, s", wall["ours"], wall["bare"], "<= 0.5 s"),
        compared("console: CPU to first full paint, s", cpu["ours"], cpu["bare"], "<= 0.5 s"),
    ]


def _idle(place: Desk, seconds: float, keys: int) -> list[Row]:
    """No session, the market flowing: what is drawn although nothing on this screen changes."""
    with PtyWatch(_command(place)) as ours, PtyWatch(_BARE) as bare:
        for watch in (ours, bare):
            watch.first_full_paint()
            watch.quiet_bytes(_SETTLE_SECONDS)
        quiet, cpu = ours.quiet_bytes(seconds)
        bare_quiet, bare_cpu = bare.quiet_bytes(seconds)
        memory = memory_mib(ours.pid)
        tabs = [(ours.key(_TAB), bare.key(_TAB)) for _ in range(keys)]
        helps: dict[PtyWatch, list[float]] = {ours: [], bare: []}
        for _ in range(keys // 3):
            for watch, taken in helps.items():
                taken.append(watch.key(_F1)[0])
                watch.quiet_bytes(_GRACE_SECONDS)
                watch.send(_ESCAPE)
                watch.quiet_bytes(_GRACE_SECONDS)
    scale = 10 / seconds
    return [
        compared(
            "console: idle, bytes in 10 s", quiet * scale, bare_quiet * scale, "<= 0 bytes", 0
        ),
        compared("console: idle, CPU s in 10 s", cpu * scale, bare_cpu * scale, "reported"),
        compared(
            "console: Tab to changed screen, p95, ms",
            percentile([mine[0] for mine, _ in tabs], 0.95),
            percentile([other[0] for _, other in tabs], 0.95),
            "<= 20 ms",
        ),
        compared(
            "console: Tab, bytes written",
            median([mine[1] for mine, _ in tabs]),
            median([other[1] for _, other in tabs]),
            "reported",
            0,
        ),
        compared(
            "console: F1 to help on screen, p95, ms | bare dialog",
            percentile(helps[ours], 0.95),
            percentile(helps[bare], 0.95),
            "<= 20 ms",
        ),
        compared(
            "console: F1 to help on screen, p50, ms | bare dialog",
            median(helps[ours]),
            median(helps[bare]),
            "reported",
        ),
        alone("console: memory, MiB", memory, "< 200 MiB", digits=0),
    ]


async def _live(place: Desk, seconds: float) -> list[Row]:
    """A live session with the market moving."""
    async with live(place):
        written, cpu = await asyncio.to_thread(_watch_live, place, seconds)
    return [
        alone("console: live view, CPU s in 10 s", cpu * 10 / seconds, "<= 0.5 s"),
        alone("console: live view, kB/s to the terminal", written / seconds / 1000, "<= 20 kB/s"),
    ]


def _watch_live(place: Desk, seconds: float) -> tuple[int, float]:
    with PtyWatch(_command(place)) as watch:
        watch.first_full_paint()
        watch.wait_for("LIVE")
        watch.quiet_bytes(_SETTLE_SECONDS)
        return watch.quiet_bytes(seconds)


async def _busy(place: Desk, keys: int) -> list[Row]:
    """A live session whose market sends thousands of events a second, and a person who types.

    A letter typed into a note is told from the market's own changes by the words it makes.
    """
    async with live(place) as (operator, _state):
        before, begin = await _heard(operator), time.perf_counter()
        took = await asyncio.to_thread(_type, place, keys)
        rate = (await _heard(operator) - before) / (time.perf_counter() - begin)
    words = f"console: letter to screen, {rate:,.0f} market events/s"
    return [
        alone(f"{words}, p50, ms", median(took), "reported"),
        alone(f"{words}, p95, ms", percentile(took, 0.95), "<= 50 ms"),
    ]


async def _heard(operator: Seat) -> int:
    """Messages of the market that the engine has read."""
    view = await operator.client.state()
    assert view.venue is not None, "the venue is there"
    return sum(one.messages for one in view.venue.streams if one.name == "market")


def _type(place: Desk, keys: int) -> list[float]:
    with PtyWatch(_command(place)) as watch:
        watch.first_full_paint()
        watch.wait_for("LIVE")
        watch.quiet_bytes(_SETTLE_SECONDS)
        watch.send(_NOTE)
        watch.quiet_bytes(_GRACE_SECONDS)
        typed, took = "", []
        for number in range(keys):
            letter = "abcdefghij"[number % 10]
            typed += letter
            took.append(watch.shown(letter.encode("ascii"), typed[-10:]))
    return took
