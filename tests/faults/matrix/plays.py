"""What the people and the market do in a cell, whatever the fault is. Names are those of the table.

Each play begins before the fault and ends after its middle, where the engine may be killed and
started again. A play never waits for the product to recover: that is what the stage holds it to.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from decimal import Decimal

from tests.faults.matrix.stage import PATIENCE_S, Stage
from tests.faults.matrix.table import LATE_MS, Cell

#: More than the book holds at a price.
_EVERYTHING = Decimal(50)
_TRIES = 20
#: From the venue's answer to the engine's record of it, at most (nothing depends on it but that a
#: doubling would be seen in its own cell).
_ON_ITS_WAY_S = 0.2


async def rest(desk: Stage) -> None:
    """An order that rests, sent under the fault."""
    price = await desk.field.away_price_now()
    await desk.arm()
    desk.begin(desk.submit(price))
    await desk.until_journaled("order.intended")
    await desk.middle()


async def take(desk: Stage) -> None:
    """An order that is filled at once, sent under the fault."""
    await desk.arm()
    desk.begin(desk.submit(None))
    await desk.until_journaled("order.intended")
    await desk.middle()


async def after(desk: Stage) -> None:
    """An order sent right after the fault, as soon as the checks let it pass."""
    price = await desk.field.away_price_now()
    await desk.arm()
    await desk.until_fired("depth_gap")
    desk.begin(desk.submit(price))
    await desk.middle()
    if not await desk.my_orders():
        await desk.submit(price)


async def cancel(desk: Stage) -> None:
    """A resting order, canceled under the fault."""
    order_id = await desk.rest_away()
    await desk.arm()
    desk.begin(desk.field.client.cancel(order_id))
    await desk.until_journaled("order.cancel_requested", order_id)
    await desk.middle()


async def rest_only(desk: Stage) -> None:
    """A resting order, and nothing but the fault."""
    await desk.rest_away()
    await desk.arm()
    await desk.middle()


async def swept(desk: Stage) -> None:
    """An order at the best price, filled by somebody else under the fault."""
    price, _ = await _at_best(desk)
    await desk.venue.sell(price, _EVERYTHING)
    await desk.middle()


async def swept_twice(desk: Stage) -> None:
    """As `swept`, in two trades: the second after the middle, and after a stall."""
    price, order_id = await _at_best(desk)
    part = Decimal("0.001")
    while not await desk.venue.filled_of(order_id):
        await desk.venue.sell(price, part)
    await desk.middle()
    await desk.hear_again()
    await desk.venue.sell(price, _EVERYTHING)


async def swept_asking(desk: Stage) -> None:
    """An order in doubt, filled while the answer about it is under way."""
    price = await desk.venue.best_bid()
    await desk.arm()
    desk.begin(desk.submit(price))
    await desk.until_fired("order.delay")
    late = time.monotonic() + LATE_MS / 1000 + _ON_ITS_WAY_S
    await desk.venue.sell(price, _EVERYTHING)
    await desk.middle()
    await desk.until_time(late)


async def swept_before(desk: Stage) -> None:
    """An order that was filled and settled long before the fault."""
    price = await desk.venue.best_bid()
    order_id = await desk.submit(price)
    await desk.venue.sell(price, _EVERYTHING)
    await desk.field.until_order(order_id, "FILLED", seconds=PATIENCE_S)
    await desk.arm()
    await desk.middle()


async def _at_best(desk: Stage) -> tuple[Decimal, str]:
    """An order that rests at the best bid, untouched, with the fault armed: its price and id.

    The market may be quicker and trade with the order before the fault is armed: then once more.
    """
    for _ in range(_TRIES):
        price = await desk.venue.best_bid()
        await desk.venue.sell(price, _EVERYTHING)
        order_id = await desk.submit(price)
        await desk.field.until_order(
            order_id, "ACKNOWLEDGED", "PARTIALLY_FILLED", "FILLED", seconds=PATIENCE_S
        )
        await desk.arm()
        if not await desk.venue.filled_of(order_id):
            return price, order_id
        await desk.field.fault(clear=True)
        await desk.venue.sell(price, _EVERYTHING)
    raise AssertionError(f"{desk.cell.name}: the market took {_TRIES} orders before the fault")


PLAYS: dict[str, Callable[[Stage], Awaitable[None]]] = {
    "rest": rest,
    "take": take,
    "after": after,
    "cancel": cancel,
    "rest_only": rest_only,
    "swept": swept,
    "swept_twice": swept_twice,
    "swept_asking": swept_asking,
    "swept_before": swept_before,
}


def play_of(cell: Cell) -> Callable[[Stage], Awaitable[None]]:
    """The play of a row."""
    return PLAYS[cell.play]
