"""The way of one order: from the confirmed ticket to the venue's acknowledgement, and back.

Four ways to the same sandbox in turn, in one run, each after the same pause and from an account of
its own: ours (client, socket, checks, intent durable, venue, acknowledgement durable, reply), the
bare one that obeys I1 too (append and fdatasync, then a signed POST with aiohttp), the same from an
account that hears its own reports on a user stream as ours does, and ccxt. Ours is timed where the
person waits: until the client's caller has the acknowledgement, which is durable then ("ack
known"), and at the moment when the venue's answer is in the engine ("ack in engine"). Where our
time goes is told by the reply itself, in the engine's own marks.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from decimal import Decimal

import uvloop

from engine.contracts.money import round_down_to, to_text
from engine.contracts.order import OrderType, Side
from peakctl.client.replies import OrderTimes, Submitted
from peakctl.demo_seats import Seat
from tests.benchmarks.bare_disk import INTENT_LINE, BareFile
from tests.benchmarks.bare_venue import BareVenue
from tests.benchmarks.ccxt_venue import CcxtVenue
from tests.benchmarks.desk import Desk, desk, live
from tests.benchmarks.table import Row, alone, compared, percentile

_BELOW = Decimal("0.995")
_QUANTITY = Decimal("0.001")
_WARM_UP = 15
#: Before each order, ours and the others alike: a person's orders find every cache cold.
_PAUSE_SECONDS = 0.02

_STAGES = {
    "decided_us": "facts, checks, decision",
    "durable_us": "intent encoded, durable",
    "answered_us": "signed, sent, answered by the venue",
    "known_us": "acknowledgement decided, durable",
}


@dataclass
class _Taken:
    """Milliseconds of each order by way.

    `answered` is ours until the venue's acknowledgement is in the engine; `disk` and `post` are the
    halves of the bare one; `heard` is the bare one, whole, from an account that hears its reports.
    """

    ours: list[float] = field(default_factory=list)
    answered: list[float] = field(default_factory=list)
    disk: list[float] = field(default_factory=list)
    post: list[float] = field(default_factory=list)
    heard: list[float] = field(default_factory=list)
    ccxt: list[float] = field(default_factory=list)
    times: list[OrderTimes] = field(default_factory=list)


def order_rows(samples: int = 300) -> list[Row]:
    """Every figure of the order's way, p50 and p95."""
    with desk() as place:
        place.start_engine()
        taken = uvloop.run(_measure(place, samples + _WARM_UP))
    for values in (
        taken.answered,
        taken.ours,
        taken.disk,
        taken.post,
        taken.heard,
        taken.ccxt,
        taken.times,
    ):
        del values[:_WARM_UP]
    both = [disk + post for disk, post in zip(taken.disk, taken.post, strict=True)]
    rows: list[Row] = []
    for what, ours, peer, plain, owed in (
        ("ack known", taken.ours, "bare fdatasync + aiohttp POST", both, "<= 1.3 x"),
        ("ack known", taken.ours, "the same with its reports heard", taken.heard, "<= 1.3 x"),
        ("ack known", taken.ours, "bare aiohttp POST alone", taken.post, "<= 1.5 x"),
        ("ack known", taken.ours, "ccxt create_order", taken.ccxt, "< 1.0 x"),
        ("ack in engine", taken.answered, "bare fdatasync + aiohttp POST", both, "<= 1.3 x"),
        ("ack in engine", taken.answered, "bare aiohttp POST alone", taken.post, "<= 1.5 x"),
        ("ack in engine", taken.answered, "ccxt create_order", taken.ccxt, "< 1.0 x"),
    ):
        rows += [
            compared(
                f"order: ticket to {what}, {word}, ms | {peer}",
                percentile(ours, at),
                percentile(plain, at),
                owed,
            )
            for word, at in (("p50", 0.5), ("p95", 0.95))
        ]
    return rows + _inside(taken)


def _inside(taken: _Taken) -> list[Row]:
    """Where our time goes: the engine from request read to reply, its stages, and the rest."""
    marks = [(0, *(getattr(one, name) for name in _STAGES)) for one in taken.times]
    whole = [mark[-1] / 1000 for mark in marks]
    hop = [ours - engine for ours, engine in zip(taken.ours, whole, strict=True)]
    rows = [
        compared(
            f"order: request read to ack durable (engine), {word}, ms",
            percentile(whole, at),
            percentile(taken.post, at),
            "part of it",
        )
        for word, at in (("p50", 0.5), ("p95", 0.95))
    ]
    for number, words in enumerate(_STAGES.values()):
        spent = [(mark[number + 1] - mark[number]) / 1000 for mark in marks]
        rows.append(
            alone(f"order: of that, {words}, p50, ms", percentile(spent, 0.5), "part of it")
        )
    rows.append(
        alone("order: client, socket and reply, p50, ms", percentile(hop, 0.5), "part of it")
    )
    rows.append(
        alone("order: bare fdatasync, p50, ms", percentile(taken.disk, 0.5), "part of the bare")
    )
    return rows


async def _measure(place: Desk, samples: int) -> _Taken:
    """Send `samples` orders each way, in turn, each time beginning with another."""
    taken = _Taken()
    bare_file = BareFile(place.workspace.root / "bare")
    async with (
        live(place) as (operator, _state),
        BareVenue(place.rest, *place.account("bare")) as venue,
        BareVenue(place.rest, *place.account("heard")) as hearing,
        hearing.listening(str(place.ready["ws_api"])),
        CcxtVenue(place.rest, *place.account("ccxt")) as peer,
    ):
        first, tick = await _price(operator)

        async def ours(price: Decimal) -> None:
            begin, began_us = time.perf_counter(), time.monotonic_ns() // 1000
            submitted = await _submit(operator, price)
            taken.ours.append((time.perf_counter() - begin) * 1000)
            times = submitted.times
            taken.times.append(times)
            taken.answered.append((times.read_us + times.answered_us - began_us) / 1000)
            await operator.client.cancel(submitted.client_order_id)

        async def bare(price: Decimal) -> None:
            begin = time.perf_counter()
            bare_file.append(INTENT_LINE)
            written = time.perf_counter()
            await venue.limit_order(to_text(price), to_text(_QUANTITY), f"bare-{len(taken.post)}")
            taken.post.append((time.perf_counter() - written) * 1000)
            taken.disk.append((written - begin) * 1000)
            await venue.signed("DELETE", "openOrders", symbol="BTCUSDT")

        async def heard(price: Decimal) -> None:
            begin = time.perf_counter()
            bare_file.append(INTENT_LINE)
            await hearing.limit_order(
                to_text(price), to_text(_QUANTITY), f"bare-{len(taken.heard)}"
            )
            taken.heard.append((time.perf_counter() - begin) * 1000)
            await hearing.signed("DELETE", "openOrders", symbol="BTCUSDT")

        async def ccxt(price: Decimal) -> None:
            begin = time.perf_counter()
            await peer.limit_order(price, _QUANTITY)
            taken.ccxt.append((time.perf_counter() - begin) * 1000)
            await peer.cancel_all()

        ways = [ours, bare, heard, ccxt]
        for number in range(samples):
            # Another price each time: equal orders in a row are refused.
            for way in ways:
                await asyncio.sleep(_PAUSE_SECONDS)
                await way(first - number * tick)
            ways.append(ways.pop(0))
    bare_file.close()
    return taken


async def _submit(operator: Seat, price: Decimal) -> Submitted:
    return await operator.client.submit("BTCUSDT", Side.BUY, OrderType.LIMIT, _QUANTITY, price)


async def _price(operator: Seat) -> tuple[Decimal, Decimal]:
    """A price below the market, and the tick."""
    view = await operator.client.state()
    assert view.market is not None, "the market was alive when the session went live"
    tick = view.market.tick_size
    return round_down_to(view.market.bids[0][0] * _BELOW, tick), tick
