"""The watchdog: its own process, its own venue connection; it survives the engine.

The engine starts it with a pipe on standard input, writes the connection settings as the first
line and then one line per heartbeat. When the pipe ends without `bye`, or is silent for longer than
the grace time, the watchdog cancels everything and asks the venue, and the journal on the disk,
until nothing is left and nothing is in doubt (`hunt`). What it did goes to its own log, one JSON
line, fsynced, first as UNCONFIRMED when it takes long; the engine journals those lines when it is
back. The settings come through the pipe, never as arguments, so no key is in a process list (I10).
A new engine ends an old watchdog with SIGTERM once it has taken over.

A line `latch {...}` is a kill whose latch no disk took: the watchdog holds it, keeps trying to
write the file, and does not end before it has (I4).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import time
from pathlib import Path

import msgspec

from engine.contracts.canonical import canonical
from engine.contracts.errors import PeakError
from engine.execution.clock import monotonic_us
from engine.execution.kill.hunt import Hunt, Hunted
from engine.execution.kill.latch_file import LatchMark, latch_present, write_latch
from engine.plain_file import read_plain
from engine.unseen import keep_memory
from engine.venues.binance.options import BinanceOptions
from engine.venues.binance.venue import BinanceVenue
from engine.venues.port import VenueQueryFailed

#: One question or cancel that is not answered in this time costs no more than this.
_CALL_SECONDS = 3.0
#: After this long without proof it is told as UNCONFIRMED; the hunt goes on.
_LOUD_SECONDS = 2.0
_LATCH_RETRY_SECONDS = 0.25
_US_PER_MS = 1_000
#: How a line begins that hands a latch over.
_LATCH = b"latch "


class WatchdogOrders(msgspec.Struct, frozen=True, kw_only=True):
    """The first line on the pipe: how to reach the venue and when to act. Paths absolute."""

    name: str
    rest_url: str
    ws_url: str
    ws_api_url: str
    api_key: str
    secret: str
    ed25519_private_key: str
    symbols: tuple[str, ...]
    recv_window_ms: int
    grace_ms: int
    log_path: str
    journal_path: str
    latch_path: str

    def options(self) -> BinanceOptions:
        """The adapter's own form."""
        key = self.ed25519_private_key
        return BinanceOptions(
            name=self.name,
            rest_url=self.rest_url,
            ws_url=self.ws_url,
            ws_api_url=self.ws_api_url,
            api_key=self.api_key,
            secret=self.secret,
            ed25519_private_key=Path(key) if key else None,
            symbols=self.symbols,
            recv_window_ms=self.recv_window_ms,
        )


class WatchdogReport(msgspec.Struct, frozen=True, kw_only=True):
    """One line of its log: `at_us` wall time µs UTC, `elapsed_us` since it began to act."""

    reason: str
    verdict: str
    canceled: int
    elapsed_us: int
    at_us: int


class _Latch:
    """A latch that no disk took yet: written as soon as one does."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._mark: LatchMark | None = None
        self._task: asyncio.Task[None] | None = None

    def hold(self, line: bytes) -> None:
        """Take the latch over from the engine."""
        self._mark = msgspec.json.decode(line, type=LatchMark)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._write())

    async def _write(self) -> None:
        while self._mark is not None:
            try:
                if not latch_present(self._path):
                    await asyncio.to_thread(write_latch, self._path, self._mark)
            except OSError:
                await asyncio.sleep(_LATCH_RETRY_SECONDS)
            else:
                self._mark = None

    async def written(self) -> None:
        """Return once nothing is held in memory alone."""
        if self._task is not None:
            await self._task


async def _watch(reader: asyncio.StreamReader, grace_ms: int, latch: _Latch) -> str | None:
    """Wait for the engine to fall silent. Returns the reason to act, or None after `bye`."""
    grace_us = grace_ms * _US_PER_MS
    slept = False
    while True:
        asked_us = monotonic_us()
        try:
            async with asyncio.timeout(grace_ms / 1_000):
                line = await reader.readline()
        except TimeoutError:
            # We were not running either, as on a machine that was asleep: the engine is listened to
            # once more. Once only: on a machine that is always late it must be acted on.
            slept = not slept and monotonic_us() - asked_us > 2 * grace_us
            if slept:
                continue
            return f"engine silent for {grace_ms} ms"
        slept = False
        if not line:
            return "engine gone"
        if line.strip() == b"bye":
            return None
        if line.startswith(_LATCH):
            latch.hold(line.removeprefix(_LATCH))


async def _act(venue: BinanceVenue, orders: WatchdogOrders, reason: str) -> None:
    """Hunt until it is proven, and say what was done: while it takes long, and at the end."""
    started = monotonic_us()
    hunt = Hunt(
        venue,
        orders.symbols,
        Path(orders.journal_path),
        lambda _stage, _detail: None,
        call_seconds=_CALL_SECONDS,
    )

    def say(found: Hunted, verdict: str) -> None:
        report = WatchdogReport(
            reason=reason if found.proven else f"{reason}; {found.detail}",
            verdict=verdict,
            canceled=found.canceled,
            elapsed_us=monotonic_us() - started,
            at_us=time.time_ns() // 1_000,
        )
        with contextlib.suppress(OSError):  # a full disk must not stop the hunt (I13)
            append_report(Path(orders.log_path), report)

    hunting = asyncio.ensure_future(hunt.run(None))
    done, _ = await asyncio.wait({hunting}, timeout=_LOUD_SECONDS)
    if not done:
        say(hunt.now, "UNCONFIRMED")
    say(await hunting, "PROVEN")


def append_report(path: Path, report: WatchdogReport) -> None:
    """Append one line to the watchdog's log and fsync it."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        os.write(handle, canonical(report) + b"\n")
        os.fsync(handle)
    finally:
        os.close(handle)


def read_reports(path: Path) -> list[WatchdogReport]:
    """Read the log; a torn last line is left out. Missing file: none. Raises OSError."""
    try:
        lines = read_plain(path).split(b"\n")
    except FileNotFoundError:
        return []
    reports = []
    for line in lines[:-1]:
        try:
            reports.append(msgspec.json.decode(line, type=WatchdogReport))
        except msgspec.DecodeError:
            continue
    return reports


async def _run() -> int:
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin.buffer)
    first = await reader.readline()
    orders = msgspec.json.decode(first, type=WatchdogOrders)
    for number in (signal.SIGINT, signal.SIGHUP):
        loop.add_signal_handler(number, lambda: None)
    taken_over = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, taken_over.set)
    latch = _Latch(Path(orders.latch_path))
    venue = BinanceVenue(orders.options())
    # It can cancel without having opened: a venue that is silent now must not leave us without it.
    with contextlib.suppress(VenueQueryFailed):
        await venue.open()
    sys.stdout.write("watching\n")
    sys.stdout.flush()
    guarding = asyncio.ensure_future(_guard(reader, venue, orders, latch))
    leaving = asyncio.ensure_future(taken_over.wait())
    try:
        await asyncio.wait({guarding, leaving}, return_when=asyncio.FIRST_COMPLETED)
        guarding.cancel()
        leaving.cancel()
        await asyncio.gather(guarding, leaving, return_exceptions=True)
        if not guarding.cancelled() and (failed := guarding.exception()) is not None:
            raise failed
        await latch.written()
        return 0
    finally:
        await venue.close()


async def _guard(
    reader: asyncio.StreamReader, venue: BinanceVenue, orders: WatchdogOrders, latch: _Latch
) -> None:
    reason = await _watch(reader, orders.grace_ms, latch)
    if reason is None:
        return
    if reason == "engine gone":
        # A restarted engine has the grace time to take over and end us with SIGTERM.
        await asyncio.sleep(orders.grace_ms / 1_000)
    await _act(venue, orders, reason)


def main() -> int:
    """Run until the engine says bye or falls silent."""
    keep_memory()
    try:
        return asyncio.run(_run())
    except PeakError as error:
        sys.stderr.write(f"watchdog: {error.line()}\n")
        return error.exit_code


if __name__ == "__main__":
    sys.exit(main())
