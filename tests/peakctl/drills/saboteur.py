"""`peakctl` with one mechanism taken out: `saboteur.py NAME <arguments of peakctl>`.

Runs in the engine's own process of a drill, so that the drill meets an engine that looks whole and
is not. Each entry takes out what one drill is there to try.
"""

# ruff: noqa: PLC0415  (each deed loads what it spoils, and nothing else)

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any


def nothing_is_canceled() -> None:
    """The kill cancels nothing, and the venue's list of open orders looks empty to it."""
    from engine.venues.binance.venue import BinanceVenue
    from engine.venues.port import Canceled

    async def cancel_all(self: Any, symbol: str) -> Canceled:
        return Canceled(reports=())

    async def open_orders(self: Any, symbol: str) -> tuple[()]:
        return ()

    BinanceVenue.cancel_all = cancel_all  # type: ignore[method-assign]
    BinanceVenue.open_orders = open_orders  # type: ignore[assignment,method-assign]


def sleeping_watchdog() -> None:
    """The watchdog watches, and would act after an hour."""
    import msgspec

    from engine.execution.watchdog.link import WatchdogLink

    start = WatchdogLink.start

    async def drowsy(self: Any) -> bool:
        self._orders = msgspec.structs.replace(self._orders, grace_ms=3_600_000)
        return await start(self)

    WatchdogLink.start = drowsy  # type: ignore[method-assign]


def nothing_is_stale() -> None:
    """Old market data looks fresh."""
    from engine.execution.market import Market

    Market.stale = property(lambda self: False)  # type: ignore[assignment,method-assign]


def loss_is_not_looked_at() -> None:
    """The session's loss limit is not among the checks, and no breaker trips over it."""
    from engine.risk import breakers, limits

    limits.CHECKS = tuple(row for row in limits.CHECKS if row[0] != "SESSION_LOSS")
    breakers.Reading.over = property(  # type: ignore[assignment,method-assign]
        lambda self: False
    )


def strangers_are_not_told() -> None:
    """An order that is not ours is passed over."""
    from engine.execution.settle.settler import Settler

    async def found_orphan(self: Any, *reports: Any) -> None:
        return None

    Settler.found_orphan = found_orphan  # type: ignore[assignment,method-assign]


def pack_changed_after_sealing() -> None:
    """One byte is added to a report when the pack has its final name."""
    from engine.evidence import pack
    from engine.execution.records import pack_desk

    def finish(folder: Path) -> Path:
        sealed = pack.finish(folder)
        report = sealed / "data" / "reports" / "runlog.md"
        report.chmod(0o600)
        report.write_bytes(report.read_bytes() + b"\n")
        return sealed

    pack_desk.finish = finish


DEEDS: dict[str, Callable[[], None]] = {
    "kill_switch": nothing_is_canceled,
    "engine_crash": sleeping_watchdog,
    "forced_disconnect": nothing_is_stale,
    "flash_volatility": loss_is_not_looked_at,
    "orphan_order": strangers_are_not_told,
    "full_session": pack_changed_after_sealing,
}

if __name__ == "__main__":
    deed = sys.argv.pop(1)
    if sys.argv[1] == "engine":
        DEEDS[deed]()
    from peakctl.cli import main

    sys.exit(main())
