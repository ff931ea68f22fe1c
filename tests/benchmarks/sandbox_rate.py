"""Orders a second that the sandbox takes, beside the cheapest request it answers."""

from __future__ import annotations

import asyncio
import time

import uvloop

from tests.benchmarks.bare_venue import BareVenue
from tests.benchmarks.desk import Desk, desk
from tests.benchmarks.table import Row, compared, median

_CONNECTIONS = 8
_PRICE = 40_000


def sandbox_rows(orders: int = 2_000) -> list[Row]:
    """Rates over eight connections, orders and pings in turn; the client shares the cores."""
    with desk() as place:
        placed, pinged = uvloop.run(_measure(place, orders // 4))
    return [compared("sandbox: orders/s (bare: pings/s)", placed, pinged, "reported", digits=0)]


async def _measure(place: Desk, orders: int) -> tuple[float, float]:
    placed: list[float] = []
    pinged: list[float] = []
    async with BareVenue(place.rest, *place.account("bare")) as venue:
        for turn in range(4):
            placed.append(orders / await _orders(venue, turn, orders))
            pinged.append(orders / await _pings(venue, orders))
    return median(placed), median(pinged)


async def _orders(venue: BareVenue, turn: int, orders: int) -> float:
    async def lane(number: int) -> None:
        for order in range(number, orders, _CONNECTIONS):
            # The account rests at most 200 orders: these end by themselves.
            await venue.signed(
                "POST",
                "order",
                symbol="BTCUSDT",
                side="BUY",
                type="LIMIT",
                timeInForce="IOC",
                quantity="0.001",
                price=str(_PRICE),
                newClientOrderId=f"rate-{turn}-{order}",
            )

    begin = time.perf_counter()
    await asyncio.gather(*(lane(number) for number in range(_CONNECTIONS)))
    return time.perf_counter() - begin


async def _pings(venue: BareVenue, requests: int) -> float:
    async def lane(number: int) -> None:
        for _ in range(number, requests, _CONNECTIONS):
            await venue.ping()

    begin = time.perf_counter()
    await asyncio.gather(*(lane(number) for number in range(_CONNECTIONS)))
    return time.perf_counter() - begin
