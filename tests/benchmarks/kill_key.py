"""The kill key while the console's event loop stands still for 3 s, in real pseudo-terminals.

Each press is timed on one clock, the machine's monotonic one: from the moment just before its bytes
are written to the terminal to the moment the engine's answer is in the console's process. The
engine answers once the press is in the journal with fdatasync, so what is shown is an upper bound
of "recorded". In each block the first press sets the latch; each that comes when its proof is there
already is a kill of its own, one that comes during it is journaled as `pressed_again`; two people
release the latch before the next block. In every other block the loop computes instead of sleeping,
which also keeps the interpreter's lock from the input thread.

Beside it the same presses in bare Textual, until its action is called: nothing is sent there.
"""

from __future__ import annotations

import asyncio
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path

import uvloop

from engine.contracts.event import KillLatched, KillStage
from peakctl.demo_seats import Seat
from peakctl.signing import Signer
from tests.benchmarks.desk import Desk, desk, live, recorded
from tests.benchmarks.kill_path import proven, release
from tests.benchmarks.pty_watch import PtyWatch
from tests.benchmarks.table import Row, compared, median, percentile

_F9 = b"\x1b[20~"
_BLOCK_SECONDS = 3.0
_PRESSES = 9
#: The last press is early enough to be answered while the loop is still blocked.
_SPAN_SECONDS = 2.6
_APART_SECONDS = 0.1
_WAIT_SECONDS = 20.0
_HOLDS = ("sleep", "compute")


class _Terminal:
    """One program in its terminal, blocked and pressed on command."""

    def __init__(self, kind: str, folder: Path) -> None:
        self._folder = folder
        program = [sys.executable, "-P", "-m", "tests.benchmarks.blocked_screen"]
        self.watch = PtyWatch([*program, kind, str(folder), str(_BLOCK_SECONDS)])
        self.watch.first_full_paint()

    def block(self, hold: str, offsets: list[float]) -> list[float]:
        """Block it, press at these seconds of the block; milliseconds of each press."""
        begun = len(self._marks())
        (self._folder / hold).touch()
        blocked_ns = int(self._mark(begun, "blocked", 1)[0][1])
        pressed_ns = []
        for offset in offsets:
            time.sleep(max(0.0, blocked_ns / 1e9 + offset - time.monotonic()))
            pressed_ns.append(time.monotonic_ns())
            self.watch.send(_F9)
        self._mark(begun, "free", 1)
        answers = self._mark(begun, "answered", len(offsets))
        assert len(answers) == len(offsets), f"{len(answers)} answers to {len(offsets)} presses"
        # By when the key was read: answers may overtake each other, keys do not.
        answered_ns = [int(at) for _name, _read, at in sorted(answers, key=lambda one: int(one[1]))]
        return [(at - press) / 1e6 for press, at in zip(pressed_ns, answered_ns, strict=True)]

    def _mark(self, begun: int, name: str, count: int) -> list[list[str]]:
        """Wait for so many marks of a name after the first `begun`; the terminal is read."""
        until = time.monotonic() + _WAIT_SECONDS
        while time.monotonic() < until:
            found = [mark for mark in self._marks()[begun:] if mark[0] == name]
            if len(found) >= count:
                return found
            self.watch.quiet_bytes(0.002)
        raise RuntimeError(f"no {name} in time:\n{self.watch.text}")

    def _marks(self) -> list[list[str]]:
        path = self._folder / "marks"
        text = path.read_text(encoding="ascii") if path.exists() else ""
        # The last line may be on its way still: a file is read beside the one who writes it.
        return [line.split() for line in text.split("\n")[:-1]]


def kill_key_rows(blocks: int = 12) -> list[Row]:
    """Press to recorded with the loop blocked, beside bare Textual."""
    offsets = _offsets(blocks)
    with desk() as place:
        place.start_engine()
        ours = uvloop.run(_ours(place, offsets))
        bare_folder = place.workspace.root / "bare"
        bare_folder.mkdir()
        terminal = _Terminal("bare", bare_folder)
        with terminal.watch:
            bare = [terminal.block(_HOLDS[number % 2], one) for number, one in enumerate(offsets)]
        told = recorded(place, (KillLatched, KillStage))
    noted = sum(
        isinstance(one.event, KillLatched)
        or (isinstance(one.event, KillStage) and one.event.stage == "pressed_again")
        for one in told
    )
    presses = blocks * _PRESSES
    assert noted == presses, f"the journal has {noted} of {presses} presses"
    return [*_rows(ours, bare, presses), *_by_hold(ours, bare)]


def _rows(ours: list[list[float]], bare: list[list[float]], presses: int) -> list[Row]:
    name = f"kill key: UI loop blocked {_BLOCK_SECONDS:.0f} s, {presses} presses to recorded"
    mine, theirs = ([one for block in side for one in block] for side in (ours, bare))
    rows: list[tuple[str, Callable[[list[float]], float], str]] = [
        ("p50", median, "reported"),
        ("p99", lambda values: percentile(values, 0.99), "< 50 ms"),
        ("most", max, "reported"),
    ]
    return [compared(f"{name}, {word}, ms", of(mine), of(theirs), owed) for word, of, owed in rows]


def _by_hold(ours: list[list[float]], bare: list[list[float]]) -> list[Row]:
    rows = []
    for at, hold in enumerate(_HOLDS):
        mine, theirs = ([one for block in side[at::2] for one in block] for side in (ours, bare))
        rows.append(
            compared(
                f"kill key: the loop is blocked by a {hold}, p99, ms",
                percentile(mine, 0.99),
                percentile(theirs, 0.99),
                "part of it",
            )
        )
    mine_first, bare_first = (max(block[0] for block in side) for side in (ours, bare))
    name = "kill key: the press that latches, most, ms"
    rows.append(compared(name, mine_first, bare_first, "part of it"))
    return rows


def _offsets(blocks: int) -> list[list[float]]:
    """Seconds of each press in its block, from a seed."""
    draw = random.Random(7)
    slack = _SPAN_SECONDS - _APART_SECONDS * (_PRESSES - 1)
    return [
        [
            start + _APART_SECONDS * number
            for number, start in enumerate(
                sorted(draw.uniform(0.05, slack) for _ in range(_PRESSES))
            )
        ]
        for _ in range(blocks)
    ]


async def _ours(place: Desk, offsets: list[list[float]]) -> list[list[float]]:
    signers = [Signer(place.workspace.key_of(role)) for role in ("operator", "reviewer")]
    async with live(place) as (operator, _state):
        terminal = await asyncio.to_thread(_Terminal, "ours", place.workspace.root)
        with terminal.watch:
            terminal.watch.wait_for("LIVE")
            taken = []
            for number, one in enumerate(offsets):
                taken.append(await asyncio.to_thread(terminal.block, _HOLDS[number % 2], one))
                await _released(place, operator, signers)
    return taken


async def _released(place: Desk, operator: Seat, signers: list[Signer]) -> None:
    await proven(operator)
    await release(operator, signers)
