"""Orders a second that the sandbox takes over one and over sixteen connections, beside pings."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import uvloop

from tests.benchmarks.bare_venue import BareVenue
from tests.benchmarks.desk import Desk, desk
from tests.benchmarks.table import Row, compared, median

_CONNECTIONS = (1, 16)
_TURNS = 4
_PRICE = 40_000


def sandbox_rows(orders: int = 2_000) -> list[Row]:
    """Rates by connections, orders and pings in turn; the client shares the cores."""
    with desk() as place:
        rates = uvloop.run(_measure(place, orders // _TURNS))
    return [
        compared(
            f"sandbox: orders/s over {lanes} connection{'s' if lanes > 1 else ''} (bare: pings/s)",
            median(placed),
            median(pinged),
            "reported",
            digits=0,
        )
        for lanes, (placed, pinged) in rates.items()
    ]


async def _measure(place: Desk, orders: int) -> dict[int, tuple[list[float], list[float]]]:
    rates: dict[int, tuple[list[float], list[float]]] = {one: ([], []) for one in _CONNECTIONS}
    async with BareVenue(place.rest, *place.account("bare")) as venue:
        for turn in range(_TURNS):
            for lanes, (placed, pinged) in rates.items():

                async def order(number: int, name: str = f"{turn}-{lanes}") -> None:
                    await _place(venue, f"rate-{name}-{number}")

                async def ping(_number: int) -> None:
                    await venue.ping()

                placed.append(orders / await _spread(order, orders, lanes))
                pinged.append(orders / await _spread(ping, orders, lanes))
    return rates


async def _place(venue: BareVenue, name: str) -> None:
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
        newClientOrderId=name,
    )


async def _spread(ask: Callable[[int], Awaitable[None]], requests: int, lanes: int) -> float:
    """Seconds for so many requests, each lane with one at a time."""

    async def lane(first: int) -> None:
        for number in range(first, requests, lanes):
            await ask(number)

    begin = time.perf_counter()
    await asyncio.gather(*(lane(first) for first in range(lanes)))
    return time.perf_counter() - begin
