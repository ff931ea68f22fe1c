"""The soak: a desk under ten times the recorded market and faults from a seed, for a while.

Afterwards everything is compared: the reconciliations of its sessions, the venue's own lists, the
journal and the store. `Soak.problems` says what is wrong; `Soak.table` prints what was measured.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from pathlib import Path

import msgspec

from engine.journal.heads import read_heads
from engine.journal.verify import verify_journal
from engine.journal.writer import Journal
from engine.store.store import Store
from peakctl.founding import create_demo
from tests.faults.conftest import ROOT
from tests.soak.desk import Schedule, SoakDesk
from tests.soak.exchange import Pace
from tests.soak.measure import (
    Sample,
    Witness,
    percentile,
    resident_mb,
    sample_memory,
    slope_mb_a_minute,
)
from tests.soak.trading import Trading

SEED = 20261121
#: The recording: 650 s, 19,904 trades, 6,495 depth events, 73,174 bookTickers.
RECORDED_A_SECOND = (19_904 + 6_495 + 73_174) / 650
TIMES = 10
_DATA = ROOT.parent / "shared" / "data"
_DRAWN = "schedule."
_RECORDINGS = (
    "binance_spot_BTCUSDT_20240808T2354_raw.txt.gz",
    "binance_spot_BTCUSDT_20240809T0000_raw.txt.gz",
)
_SETTINGS = {
    "venue": {"recv_window_ms": 1000, "request_timeout_ms": 1000},
    "watchdog": {"grace_seconds": 30, "heartbeat_ms": 500},
}
#: Alarms that say that something went wrong in us, not at the venue.
_FAULTS = frozenset({"LEDGER_REFUSED", "ORPHAN", "ENGINE_FAULT", "ORDER_LOST", "STORE_REBUILT"})


class Soak(msgspec.Struct, frozen=True, kw_only=True):
    """What one soak came to. Latencies in seconds, memory in MB."""

    seconds: float
    recorded: bool
    frames: int
    heard: int
    submitted: int
    canceled: int
    fills: int
    sessions: int
    events: int
    refused: dict[str, int]
    fired: dict[str, int]
    alarms: dict[str, int]
    samples: list[Sample]
    sandbox_mb: tuple[float, float]
    latencies: list[float]
    wrong: list[str]

    @property
    def frames_a_second(self) -> float:
        """Messages on the exchange's market streams."""
        return self.frames / self.seconds

    @property
    def drawn(self) -> dict[str, int]:
        """Faults that the schedule drew, by name; what each did is in `fired`."""
        return {
            name.removeprefix(_DRAWN): count
            for name, count in self.fired.items()
            if name.startswith(_DRAWN)
        }

    @property
    def slope(self) -> float:
        """Growth of the engine over the last two thirds, MB a minute."""
        return slope_mb_a_minute(self.samples)

    def table(self) -> str:
        """Everything measured, for people."""
        wanted = TIMES * RECORDED_A_SECOND
        source = "the recording" if self.recorded else "synthetic flow"
        step = max(1, len(self.samples) // 12)
        rss = ", ".join(f"{one.at / 60:.1f}: {one.mb:.0f}" for one in self.samples[::step])
        last = self.samples[-1]
        rows = {
            "time": f"{self.seconds:.0f} s on {source} at {TIMES} times its speed",
            "market messages": f"{self.frames_a_second:.0f}/s on the wire (10 x recorded: "
            f"{wanted:.0f}/s), {self.heard / self.seconds:.0f}/s heard by the engine",
            "orders": f"{self.submitted} sent, {self.fills} fills, {self.canceled} canceled by "
            f"hand, in {self.sessions} sessions; {self.events} journal events",
            "order latency": f"p50 {1e3 * percentile(self.latencies, 0.5):.1f} ms, "
            f"p99 {1e3 * percentile(self.latencies, 0.99):.1f} ms, "
            f"most {1e3 * max(self.latencies, default=0):.0f} ms (faults included)",
            "faults drawn": f"{sum(self.drawn.values())}: {_counts(self.drawn)}",
            "faults fired": _counts(
                {name: n for name, n in self.fired.items() if not name.startswith(_DRAWN)}
            ),
            "refused": _counts(self.refused),
            "alarms": _counts(self.alarms),
            "engine's memory": f"min: MB {rss}, {last.at / 60:.1f}: {last.mb:.0f}",
            "its growth": f"{self.slope:+.2f} MB a minute over the last two thirds",
            "sandbox's memory": "{:.0f} to {:.0f} MB".format(*self.sandbox_mb),
            "breaks and faults": "; ".join(self.wrong) or "none",
        }
        return "\n".join(f"{name:18} {text}" for name, text in rows.items())


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(counts.items())) or "none"


def recordings() -> tuple[str, ...]:
    """The recordings, where the data is there."""
    found = tuple(str(_DATA / name) for name in _RECORDINGS)
    return found if all(Path(path).exists() for path in found) else ()


async def soak(folder: Path, seconds: float, *, session_seconds: float, every_ms: int) -> Soak:
    """Run one. `every_ms` is the mean time between two faults of the schedule."""
    paths = recordings()
    workspace = await asyncio.to_thread(create_demo, folder, _SETTINGS)
    desk = SoakDesk(workspace, Pace(paths, TIMES, SEED), Schedule(SEED, every_ms))
    samples: list[Sample] = []
    beside: list[asyncio.Task[None]] = []
    try:
        await desk.start_sandbox()
        await desk.start_engine()
        await desk.sit_down()
        witness = Witness(desk.venue["ws"])
        trading = Trading(desk, SEED)
        beside += [
            asyncio.create_task(witness.run()),
            asyncio.create_task(sample_memory(desk.pid, samples)),
        ]
        sandbox_before = resident_mb(desk.venue["pid"])
        began = time.monotonic()
        await trading.run(seconds, session_seconds)
        lasted = time.monotonic() - began
        fired = (await desk.faults())["fired"]
        view = await desk.state()
        heard = sum(one.messages for one in view.venue.streams) if view.venue else 0
        sandbox_after = resident_mb(desk.venue["pid"])
        await _quiet(beside)
        await desk.stop_engine()
        wrong = [
            *await _wrong(desk),
            *(f"break: {one}" for one in trading.ceremony.breaks.values()),
        ]
        return Soak(
            seconds=lasted,
            recorded=bool(paths),
            frames=witness.frames,
            heard=heard,
            submitted=trading.submitted,
            canceled=trading.canceled,
            fills=len(desk.events("order.filled")),
            sessions=trading.sessions,
            events=len(desk.journal()),
            refused=dict(trading.refused),
            fired=fired,
            alarms=dict(Counter(one["code"] for one in desk.events("alarm.raised"))),
            samples=samples,
            sandbox_mb=(sandbox_before, sandbox_after),
            latencies=trading.latencies,
            wrong=wrong,
        )
    finally:
        await _quiet(beside)
        await desk.close()


async def _quiet(tasks: list[asyncio.Task[None]]) -> None:
    """End the measuring; a measurement that failed is told."""
    while tasks:
        task = tasks.pop()
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def _wrong(desk: SoakDesk) -> list[str]:
    """The engine has ended: journal, store and venue against each other."""
    place = desk.workspace
    report = verify_journal(place.journal, [one.head for one in read_heads(place.heads)])
    wrong = [f"journal: {one.where}: {one.what}" for one in report.findings]
    differs = await _store_differs(desk)
    wrong += [f"store: {differs}"] if differs else []
    names = Counter(
        str(one["clientOrderId"]) for one in await desk.listed("allOrders", "orderId", "orderId")
    )
    intended = {one["intent"]["client_order_id"] for one in desk.events("order.intended")}
    wrong += [f"{name} is at the venue {count} times" for name, count in names.items() if count > 1]
    wrong += [f"{name} has no intent" for name in names if name not in intended]
    there = sorted(str(one["id"]) for one in await desk.listed("myTrades", "id", "fromId"))
    here = sorted(one["fill"]["trade_id"] for one in desk.events("order.filled"))
    if here != there:
        odd = Counter(here)
        odd.subtract(Counter(there))
        wrong.append(f"trades that differ: { ({one: n for one, n in odd.items() if n}) }")
    wrong += [f"{name} is open at the venue" for name in await desk.venue_open()]
    raised = Counter(one["code"] for one in desk.events("alarm.raised"))
    wrong += [f"alarm {code}, {raised[code]} times" for code in sorted(_FAULTS & set(raised))]
    return wrong


async def _store_differs(desk: SoakDesk) -> str | None:
    """Why the store is not the journal, or None; opened as the engine would."""
    place = desk.workspace
    journal = Journal.open(
        place.journal, commit_interval_ms=0, segment_lines=100_000, clock_us=lambda: 0
    ).journal
    store = await Store.open(place.store, export_folder=place.root / "exports")
    try:
        return await store.compare(journal)
    finally:
        await store.close()
        journal.close()
