"""The watchdog: its own process, its own venue connection; it survives the engine.

The engine starts it with a pipe on standard input, writes the connection settings as the first
line and then one line per heartbeat. When the pipe ends without `bye`, or is silent for longer than
the grace time, the watchdog cancels everything and asks the venue until it shows zero open orders
twice in a row. What it did goes to its own log, one JSON line, fsynced; the engine journals that
line when it is back. The settings come through the pipe, never as arguments, so no key is in a
process list (I10). A new engine ends an old watchdog with SIGTERM once it has taken over.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from pathlib import Path

import msgspec

from engine.contracts.canonical import canonical
from engine.contracts.errors import PeakError
from engine.venues.binance.options import BinanceOptions
from engine.venues.binance.venue import BinanceVenue
from engine.venues.port import Canceled, VenueQueryFailed

_PROOF_GAP_SECONDS = 0.05
_RETRY_SECONDS = 0.5


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


async def _watch(reader: asyncio.StreamReader, grace_ms: int) -> str | None:
    """Wait for the engine to fall silent. Returns the reason to act, or None after `bye`."""
    while True:
        try:
            line = await asyncio.wait_for(reader.readline(), grace_ms / 1_000)
        except TimeoutError:
            return f"engine silent for {grace_ms} ms"
        if not line:
            return "engine gone"
        if line.strip() == b"bye":
            return None


async def _cancel_and_prove(venue: BinanceVenue, symbols: tuple[str, ...]) -> int:
    """Cancel everything until the venue shows nothing open twice in a row. Returns how many."""
    canceled = 0
    empty_rounds = 0
    while empty_rounds < 2:
        if empty_rounds == 0:
            for symbol in symbols:
                outcome = await venue.cancel_all(symbol)
                if isinstance(outcome, Canceled):
                    canceled += len(outcome.reports)
        try:
            answers = [await venue.open_orders(symbol) for symbol in symbols]
        except VenueQueryFailed:
            empty_rounds = 0
            await asyncio.sleep(_RETRY_SECONDS)
            continue
        empty_rounds = 0 if any(answers) else empty_rounds + 1
        await asyncio.sleep(_PROOF_GAP_SECONDS if not any(answers) else _RETRY_SECONDS)
    return canceled


def append_report(path: Path, report: WatchdogReport) -> None:
    """Append one line to the watchdog's log and fsync it."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        os.write(handle, canonical(report) + b"\n")
        os.fsync(handle)
    finally:
        os.close(handle)


def read_reports(path: Path) -> list[WatchdogReport]:
    """Read the log; a torn last line is left out. Missing file: none."""
    try:
        lines = path.read_bytes().split(b"\n")
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
    venue = BinanceVenue(orders.options())
    await venue.open()
    sys.stdout.write("watching\n")
    sys.stdout.flush()
    try:
        reason = await _watch(reader, orders.grace_ms)
        if reason is None:
            return 0
        if reason == "engine gone":
            # A restarted engine has the grace time to take over and end us with SIGTERM.
            await asyncio.sleep(orders.grace_ms / 1_000)
        started = time.monotonic_ns()
        canceled = await _cancel_and_prove(venue, orders.symbols)
        append_report(
            Path(orders.log_path),
            WatchdogReport(
                reason=reason,
                verdict="PROVEN",
                canceled=canceled,
                elapsed_us=(time.monotonic_ns() - started) // 1_000,
                at_us=time.time_ns() // 1_000,
            ),
        )
        return 0
    finally:
        await venue.close()


def main() -> int:
    """Run until the engine says bye or falls silent."""
    try:
        return asyncio.run(_run())
    except PeakError as error:
        sys.stderr.write(f"watchdog: {error.line()}\n")
        return error.exit_code


if __name__ == "__main__":
    sys.exit(main())
