"""The automatic checklist items, by the names that runbooks use.

Each reads something real at the moment it is asked. Limits come from the settings; none is looser
than the check that every order meets later.
"""

from __future__ import annotations

import shutil
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

from engine.contracts.money import ZERO, to_text
from engine.contracts.session import Charter
from engine.execution.core import Core
from engine.execution.kill.switch import KillSwitch
from engine.execution.limits.facts import FactsBuilder, Readings
from engine.execution.market import Market
from engine.execution.probes import Probe, Reading, Sensed
from engine.venues.port import Venue

_MIB = 1 << 20


class ProbeTable:
    """Builds the table of probes over the running parts."""

    def __init__(
        self,
        core: Core,
        venue: Venue,
        kill: KillSwitch,
        markets: Mapping[str, Market],
        readings: Readings,
        facts: FactsBuilder,
        store_differs: Callable[[], Awaitable[str | None]],
        watchdog_status: Callable[[], str],
    ) -> None:
        self._core = core
        self._venue = venue
        self._kill = kill
        self._markets = markets
        self._readings = readings
        self._facts = facts
        self._store_differs = store_differs
        self._watchdog_status = watchdog_status

    def probes(self, *, folder: Path, min_free_mb: int, clock_limit_ms: int) -> dict[str, Probe]:
        """The table: name -> probe. `folder` is where the journal grows."""

        async def venue_reachable(_charter: Charter) -> Reading:
            clock = await self._venue.clock()
            offset_ms = round(clock.offset_us / 1_000)
            self._readings.clock_offset_ms = offset_ms
            return Reading(
                value=f"offset {offset_ms} ms, round trip {clock.round_trip_us / 1_000:.1f} ms",
                passed=abs(offset_ms) <= clock_limit_ms,
                detail=f"limit {clock_limit_ms} ms",
            )

        async def disk_space(_charter: Charter) -> Reading:
            free_mb = shutil.disk_usage(folder).free // _MIB
            return Reading(
                value=f"{free_mb} MiB free",
                passed=free_mb >= min_free_mb,
                detail=f"at least {min_free_mb} MiB",
            )

        return {
            "venue_reachable": venue_reachable,
            "disk_space": disk_space,
            "market_fresh": self._market_fresh,
            "store_equals_journal": self._store_equals_journal,
            "limits_loaded": self._limits_loaded,
            "kill_path": self._kill_path,
            "no_open_orders": self._no_open_orders,
            "no_latch": self._no_latch,
        }

    def sensed(self) -> dict[str, Sensed]:
        """What manual answers are compared with, by the item's id."""
        return {
            "max_notional_read": lambda charter: to_text(charter.limits.max_order_notional),
            "position_read": self._position,
        }

    def _position(self, charter: Charter) -> str | None:
        ledger = self._core.state.positions
        total = sum((ledger.position(one).quantity for one in charter.instruments), start=ZERO)
        return to_text(total)

    async def _market_fresh(self, charter: Charter) -> Reading:
        ages = []
        for symbol in charter.instruments:
            market = self._markets.get(symbol)
            if market is None or market.stale:
                return Reading(value=f"{symbol}: no fresh book", passed=False)
            ages.append(f"{symbol} {market.book_age_ms()} ms")
        return Reading(value=", ".join(ages), passed=bool(ages), detail="age of the book")

    async def _store_equals_journal(self, _charter: Charter) -> Reading:
        differs = await self._store_differs()
        events = self._core.journal.size
        return Reading(
            value=f"{events} events" if differs is None else "differs",
            passed=differs is None,
            detail=differs or "size, head and full scan agree",
        )

    async def _limits_loaded(self, charter: Charter) -> Reading:
        limits = charter.limits
        return Reading(
            value=f"order {to_text(limits.max_order_notional)}, "
            f"loss {to_text(limits.max_session_loss)}",
            passed=bool(self._facts.locks()),
            detail="the charter's limits are within the config's",
        )

    async def _kill_path(self, charter: Charter) -> Reading:
        if self._watchdog_status() != "watching":
            return Reading(value="watchdog down", passed=False, detail="no second way to cancel")
        proven, elapsed_us, detail = await self._kill.rehearse(charter.instruments)
        return Reading(value=f"{elapsed_us / 1_000:.1f} ms", passed=proven, detail=detail)

    async def _no_open_orders(self, charter: Charter) -> Reading:
        found: list[str] = []
        for symbol in charter.instruments:
            found += [one.client_order_id for one in await self._venue.open_orders(symbol)]
        here = [one.intent.client_order_id for one in self._core.state.orders.open_orders()]
        left = sorted({*found, *here})
        return Reading(value=f"{len(left)} open", passed=not left, detail=", ".join(left[:5]))

    async def _no_latch(self, _charter: Charter) -> Reading:
        latched = self._facts.latched
        return Reading(value="set" if latched else "not set", passed=not latched)
