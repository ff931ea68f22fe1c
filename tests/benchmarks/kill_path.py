"""The kill: two hundred resting orders cancelled, and how soon the latch is set and durable.

The press is the console's own raw request. Its bare limit is one DELETE openOrders of a plain
asyncio client with as many orders resting on the same venue, before and after each of ours: once
from an account whose reports go to nobody, once from one that hears its reports on a user stream as
ours does, because making 200 reports is half of the venue's own time.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from decimal import Decimal

import uvloop

from engine.contracts.documents import Namespace, Purpose
from engine.contracts.event import KillLatched, KillStage, KillVerdict, OrderCanceled
from engine.contracts.money import round_down_to, to_text
from engine.contracts.order import OrderType, Side
from peakctl.client.kill import send_kill
from peakctl.demo_seats import Seat
from peakctl.signing import Signer
from tests.benchmarks.bare_disk import write_durably
from tests.benchmarks.bare_venue import BareVenue
from tests.benchmarks.desk import Desk, desk, live, recorded
from tests.benchmarks.table import Row, compared, median, percentile

_RESTING = 200
_QUANTITY = Decimal("0.001")
_BELOW = Decimal("0.995")
#: Under the widest limit of 50 a second.
_PACE_SECONDS = 0.022
_PROOF_SECONDS = 30.0


def kill_rows(rounds: int = 3) -> list[Row]:
    """Press to cancels acknowledged, beside the bare client."""
    answered: list[float] = []
    durable: list[float] = []
    proven: list[float] = []
    bare: list[float] = []
    listening: list[float] = []
    for _ in range(rounds):
        with desk() as place:
            place.start_engine()
            pressed_us, plain_taken, heard_taken = uvloop.run(_round(place))
            bare += plain_taken
            listening += heard_taken
            told = recorded(place, (OrderCanceled, KillStage, KillVerdict))
        at = {type(one.event): (one.ts_us - pressed_us) / 1000 for one in told}
        canceled = sum(isinstance(one.event, OrderCanceled) for one in told)
        assert canceled == _RESTING, f"{canceled} orders were cancelled"
        stages = [one.event for one in told if isinstance(one.event, KillStage)]
        venue_us = next(one.elapsed_us for one in stages if one.stage == "acknowledged")
        # When the engine took the press, wall time: a stage is journaled just after it was timed.
        taken_us = min(
            one.ts_us - one.event.elapsed_us for one in told if isinstance(one.event, KillStage)
        )
        answered.append((taken_us - pressed_us + venue_us) / 1000)
        durable.append(at[OrderCanceled])
        proven.append(at[KillVerdict])
    rows = (
        (
            "last cancel acknowledged | bare cancel-all, reports heard",
            answered,
            listening,
            "<= 1.2 x",
        ),
        ("last cancel acknowledged | bare cancel-all, nothing heard", answered, bare, "<= 1.2 x"),
        ("all cancels on their way to the journal", durable, listening, "reported"),
        ("PROVEN, zero open twice", proven, listening, "reported"),
    )
    return [
        compared(f"kill: {_RESTING} orders, press to {what}, ms", median(ours), median(peer), owed)
        for what, ours, peer, owed in rows
    ]


async def _round(place: Desk) -> tuple[int, list[float], list[float]]:
    async with (
        live(place) as (operator, _state),
        BareVenue(place.rest, *place.account("bare")) as venue,
    ):
        prices = await _prices(operator)
        await _rest_ours(operator, prices)
        bare, heard = await _bare_rounds(place, venue, prices, 0)
        pressed_us, _ = await asyncio.to_thread(_press, place)
        await proven(operator)
        more, more_heard = await _bare_rounds(place, venue, prices, 4)
    return pressed_us, bare + more, heard + more_heard


async def _bare_rounds(
    place: Desk, venue: BareVenue, prices: Sequence[Decimal], first: int
) -> tuple[list[float], list[float]]:
    """Cancel-alls of an account that listens to nothing, and of one that hears its reports."""
    plain: list[float] = []
    heard: list[float] = []
    for number in (first, first + 2):
        plain.append(await _bare_cancel(venue, prices, number))
        async with venue.listening(str(place.ready["ws_api"])):
            heard.append(await _bare_cancel(venue, prices, number + 1))
    return plain, heard


def _press(place: Desk) -> tuple[int, float]:
    """The kill key's own request: when it was pressed (µs UTC), and ms until it was answered."""
    socket = place.workspace.socket
    pressed_us = time.time_ns() // 1000
    answer = send_kill(
        socket,
        person="alice",
        reason="benchmark",
        source="benchmark",
        pressed_us=pressed_us,
        timeout_seconds=10,
    )
    return pressed_us, answer.elapsed_ms


async def proven(operator: Seat) -> None:
    """Wait until the kill is proven."""
    await operator.until(lambda seen: seen.kill.state == "PROVEN", "proof", _PROOF_SECONDS)


async def _prices(operator: Seat) -> list[Decimal]:
    """Where both rest their orders: a little below the market, a tick apart."""
    view = await operator.client.state()
    assert view.market is not None, "the market was alive when the session went live"
    tick = view.market.tick_size
    highest = round_down_to(view.market.bids[0][0] * _BELOW, tick)
    return [highest - number * tick for number in range(_RESTING)]


async def _rest_ours(operator: Seat, prices: Sequence[Decimal]) -> None:
    due = time.monotonic()
    for price in prices:
        await operator.client.submit("BTCUSDT", Side.BUY, OrderType.LIMIT, _QUANTITY, price)
        due = max(due + _PACE_SECONDS, time.monotonic())
        await asyncio.sleep(due - time.monotonic())


async def _bare_cancel(venue: BareVenue, prices: Sequence[Decimal], number: int) -> float:
    """Put as many orders and cancel them all; milliseconds of the cancel."""
    for order, price in enumerate(prices):
        await venue.limit_order(to_text(price), to_text(_QUANTITY), f"kill-{number}-{order}")
    begin = time.perf_counter()
    reports = await venue.signed("DELETE", "openOrders", symbol="BTCUSDT")
    took = (time.perf_counter() - begin) * 1000
    assert len(reports) == _RESTING, "the bare client cancelled all"
    return took


def latch_rows(presses: int = 100) -> list[Row]:
    """Request to latch durable in the engine; each kill is proven and released before the next."""
    with desk() as place:
        place.start_engine()
        answered, bare = uvloop.run(_latches(place, presses))
        told = recorded(place, (KillStage, KillLatched))
    inside = [
        one.event.elapsed_us / 1000
        for one in told
        if isinstance(one.event, KillStage) and one.event.stage == "latched"
    ]
    assert len(inside) == presses, f"{len(inside)} kills of {presses}"
    return [
        compared(f"latch: {what}, {word}, ms", percentile(ours, at), percentile(bare, at), owed)
        for what, ours, word, at, owed in (
            ("request to file and journal durable", inside, "p50", 0.5, "reported"),
            ("request to file and journal durable", inside, "p99", 0.99, "< 5 ms"),
            ("press to answer over the socket", answered, "p99", 0.99, "reported"),
        )
    ]


async def _latches(place: Desk, presses: int) -> tuple[list[float], list[float]]:
    """Press again and again; beside each the bare write and fdatasync of one line."""
    answered: list[float] = []
    bare: list[float] = []
    path = place.workspace.root / "bare"
    signers = [Signer(place.workspace.key_of(role)) for role in ("operator", "reviewer")]
    async with live(place) as (operator, _state):
        for _ in range(presses):
            bare.append(await asyncio.to_thread(write_durably, path))
            answered.append((await asyncio.to_thread(_press, place))[1])
            await proven(operator)
            await release(operator, signers)
    return answered, bare


async def release(operator: Seat, signers: list[Signer]) -> None:
    """Have both people sign the latch open again, so that the next press sets it anew."""
    asked = await operator.client.dual_request(Purpose.RELEASE, {}, "benchmark", "alice", "bob")
    document = asked.document.encode("ascii")
    for signer, name, namespace in zip(
        signers, ("alice", "bob"), (Namespace.RELEASE, Namespace.RELEASE_REVIEW), strict=True
    ):
        signature = await asyncio.to_thread(signer.sign, document, namespace)
        await operator.client.dual_sign(asked.id, asked.sha256, signature, signer=name)
    await operator.until(lambda seen: seen.kill.state == "READY", "release")
