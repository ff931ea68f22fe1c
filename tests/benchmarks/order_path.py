"""The way of one order: from the confirmed ticket to the venue's acknowledgement, and back.

One live session on the real engine; each sample is followed or preceded by a bare signed POST of
the same kind of order to the same sandbox from another account, in turn. The venue's
acknowledgement is timed by the journal (the moment its event was made, µs, same machine's clock);
`submit returns` is what the console's person waits for: acknowledgement durable, state in hand.
"""

from __future__ import annotations

import asyncio
import time
from decimal import Decimal

import uvloop

from engine.contracts.event import OrderAcknowledged, OrderIntended
from engine.contracts.money import round_down_to, to_text
from engine.contracts.order import OrderType, Side
from peakctl.demo_seats import Seat
from tests.benchmarks.bare_disk import write_durably
from tests.benchmarks.bare_venue import BareVenue
from tests.benchmarks.desk import Desk, desk, live, recorded
from tests.benchmarks.table import Row, compared, percentile

_BELOW = Decimal("0.995")
_QUANTITY = Decimal("0.001")
_WARM_UP = 10
#: Under the widest limit of 50 a second; a person is slower by far.
_PACE_SECONDS = 0.022


def order_rows(samples: int = 300) -> list[Row]:
    """Every figure of the order's way, p50 and p95."""
    with desk() as place:
        place.start_engine()
        sent, returned, bare, disk = uvloop.run(_measure(place, samples + _WARM_UP))
        moments = _moments(place)
    kept = list(sent)[_WARM_UP:]
    ticket = [(moments[name][1] - sent[name]) / 1000 for name in kept]
    inside = [(moments[name][1] - moments[name][0]) / 1000 for name in kept]
    returned, bare, disk = returned[_WARM_UP:], bare[_WARM_UP:], disk[_WARM_UP:]
    durable = [post + write for post, write in zip(bare, disk, strict=True)]
    rows: list[Row] = []
    for what, ours, plain, owed in (
        ("ticket confirmed to venue ack", ticket, bare, "<= 1.5 x"),
        ("the same beside bare fdatasync + POST", ticket, durable, "reported"),
        ("intent journaled to venue ack (engine)", inside, bare, "part of it"),
        ("client.submit returns, ack durable", returned, bare, "reported"),
    ):
        rows += [
            compared(
                f"order: {what}, {word}, ms", percentile(ours, at), percentile(plain, at), owed
            )
            for word, at in (("p50", 0.5), ("p95", 0.95))
        ]
    return rows


async def _measure(
    place: Desk, samples: int
) -> tuple[dict[str, int], list[float], list[float], list[float]]:
    """Send `samples` orders each way, in turn.

    Returns our send times (µs) by id; ours until it returned, bare POSTs, bare writes (all ms).
    """
    sent: dict[str, int] = {}
    returned: list[float] = []
    bare: list[float] = []
    disk: list[float] = []
    async with (
        live(place) as (operator, _state),
        BareVenue(place.rest, *place.account("bare")) as venue,
    ):
        first, tick = await _price(operator)
        for number in range(samples):
            # Another price each time: equal orders in a row are refused.
            price = first - number * tick
            ours_first = number % 2 == 0
            if not ours_first:
                bare.append(await _bare_order(venue, price, number))
            at_us, begin = time.time_ns() // 1000, time.perf_counter()
            submitted = await operator.client.submit(
                "BTCUSDT", Side.BUY, OrderType.LIMIT, _QUANTITY, price
            )
            returned.append((time.perf_counter() - begin) * 1000)
            sent[submitted.client_order_id] = at_us
            if ours_first:
                bare.append(await _bare_order(venue, price, number))
            await operator.client.cancel(submitted.client_order_id)
            await venue.signed("DELETE", "openOrders", symbol="BTCUSDT")
            disk.append(await asyncio.to_thread(write_durably, place.workspace.root / "bare"))
            await asyncio.sleep(_PACE_SECONDS)
    return sent, returned, bare, disk


async def _price(operator: Seat) -> tuple[Decimal, Decimal]:
    """A price below the market, and the tick."""
    view = await operator.client.state()
    assert view.market is not None, "the market was alive when the session went live"
    tick = view.market.tick_size
    return round_down_to(view.market.bids[0][0] * _BELOW, tick), tick


async def _bare_order(venue: BareVenue, price: Decimal, number: int) -> float:
    begin = time.perf_counter()
    await venue.limit_order(to_text(price), to_text(_QUANTITY), f"bare-{number}")
    return (time.perf_counter() - begin) * 1000


def _moments(place: Desk) -> dict[str, tuple[int, int]]:
    """Journal times of intent and acknowledgement by client order id, µs."""
    intended: dict[str, int] = {}
    moments: dict[str, tuple[int, int]] = {}
    for one in recorded(place, (OrderIntended, OrderAcknowledged)):
        match one.event:
            case OrderIntended(intent=intent):
                intended[intent.client_order_id] = one.ts_us
            case OrderAcknowledged(client_order_id=name):
                moments[name] = (intended[name], one.ts_us)
    return moments
