"""Streams on the venue's bad days: every stream switch of the sandbox, against the adapter."""

import asyncio
import contextlib
from decimal import Decimal
from itertools import count

import pytest

from engine.contracts.order import OrderIntent, OrderType, Side, TimeInForce
from engine.venues.port import (
    Accepted,
    BookTop,
    OrderUpdate,
    StreamDown,
    StreamGap,
    StreamUp,
    TradeTick,
)

SYMBOL = "BTCUSDT"
KINDS = ["market", "user"]
_numbers = count(1)


def intent(side, quantity, price):
    return OrderIntent(
        client_order_id=f"f-{next(_numbers)}",
        symbol=SYMBOL,
        side=Side(side),
        type=OrderType.LIMIT,
        quantity=Decimal(quantity),
        price=Decimal(price),
        time_in_force=TimeInForce.GTC,
    )


async def place(venue, side="BUY", quantity="0.001", price="60000"):
    order = intent(side, quantity, price)
    outcome = await venue.submit(order)
    assert isinstance(outcome, Accepted), outcome
    return order.client_order_id


def events_of(venue, kind):
    return venue.market_events(SYMBOL) if kind == "market" else venue.user_events()


def quality_of(venue, kind):
    name = f"market:{SYMBOL}" if kind == "market" else "user"
    (quality,) = [one for one in venue.quality() if one.stream == name]
    return quality


async def brings(stream, venue, kind, price):
    """Place an order and see it come by."""
    name = await place(venue, price=str(price))
    if kind == "market":
        await stream.until(
            lambda event: isinstance(event, BookTop) and price in {level[0] for level in event.bids}
        )
    else:
        await stream.until(
            lambda event: isinstance(event, OrderUpdate) and event.report.client_order_id == name
        )


async def moved(venue, kind, within_s=15.0):
    """Wait until the stream runs on another connection."""
    async with asyncio.timeout(within_s):
        while quality_of(venue, kind).reconnects == 0:  # noqa: ASYNC110  (a reading, no event)
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("kind", KINDS)
async def test_announced_shutdown_is_left_before_it_happens(market, watch, kind):
    venue = await market.venue(overlap_s=0.1)
    stream = watch(events_of(venue, kind))
    await stream.kind(StreamUp)
    await market.fault(server_shutdown=True, server_shutdown_ms=10_000)
    await moved(venue, kind)
    await brings(stream, venue, kind, 60_001)
    assert not [event for event in stream.seen if isinstance(event, StreamDown | StreamGap)]
    assert quality_of(venue, kind).connected


@pytest.mark.parametrize("kind", KINDS)
async def test_old_connection_is_replaced_and_nothing_falls_between(market_with, watch, kind):
    market = await market_with(orders_10s=100_000)
    venue = await market.venue(renew_after_s=0.4, overlap_s=0.2)
    stream = watch(events_of(venue, kind))
    await stream.kind(StreamUp)
    price, sent = 60_000, []
    async with asyncio.timeout(30):
        while quality_of(venue, kind).reconnects < 2:
            price += 1
            sent.append(await place(venue, price=str(price)))
            await venue.cancel_all(SYMBOL)
    await brings(stream, venue, kind, price + 1)
    assert not [event for event in stream.seen if isinstance(event, StreamDown | StreamGap)]
    if kind == "user":
        news = [
            event.report.client_order_id
            for event in stream.seen
            if isinstance(event, OrderUpdate) and event.execution == "NEW"
        ]
        assert news[: len(sent)] == sent


async def test_trades_of_the_overlap_are_told_once(market_with, watch):
    market = await market_with(orders_10s=100_000)
    ours, theirs = await market.venue(0, renew_after_s=0.4, overlap_s=0.3), await market.venue(1)
    stream = watch(ours.market_events(SYMBOL))
    await stream.kind(StreamUp)
    traded = 0
    async with asyncio.timeout(30):
        while quality_of(ours, "market").reconnects < 2:
            await place(ours, "BUY", "0.0001", "60000")
            await place(theirs, "SELL", "0.0001", "60000")
            traded += 1
    await brings(stream, ours, "market", 60_001)
    ids = [event.trade_id for event in stream.seen if isinstance(event, TradeTick)]
    assert len(ids) == len(set(ids)) == traded


@pytest.mark.parametrize("kind", KINDS)
async def test_shutdown_without_a_second_server_is_an_ordinary_loss(market, watch, kind):
    venue = await market.venue(overlap_s=30.0)
    stream = watch(events_of(venue, kind))
    await stream.kind(StreamUp)
    await market.fault(server_shutdown=True, server_shutdown_ms=100)
    assert (await stream.kind(StreamDown)).stream == kind
    await stream.kind(StreamUp)
    await brings(stream, venue, kind, 60_001)


@pytest.mark.parametrize("kind", KINDS)
async def test_cut_at_the_venues_age_limit_reconnects(market, watch, kind):
    venue = await market.venue()
    stream = watch(events_of(venue, kind))
    await stream.kind(StreamUp)
    await market.fault(cut_after_s=0.2)
    await stream.kind(StreamDown, within_s=20)
    await market.fault(clear=True)
    await stream.kind(StreamUp, within_s=20)
    await brings(stream, venue, kind, 60_001)
    assert quality_of(venue, kind).reconnects >= 1


async def test_missing_pong_ends_the_connection(market, watch):
    venue = await market.venue(ping_s=0.3, silence_s=60)
    stream = watch(venue.market_events(SYMBOL))
    await stream.kind(StreamUp)
    await market.fault(no_pong="market")
    down = await stream.kind(StreamDown, within_s=20)
    assert "broken" in down.reason
    assert await market.fired("no_pong.market") >= 1
    await market.fault(clear=True)
    await stream.kind(StreamUp, within_s=20)
    await brings(stream, venue, "market", 60_001)


async def test_account_stream_that_answers_the_api_needs_no_pong(market, watch):
    """Its own pings are requests, and each answer is a sign of life."""
    venue = await market.venue(ping_s=0.15)
    stream = watch(venue.user_events())
    await stream.kind(StreamUp)
    await market.fault(no_pong="user")
    with pytest.raises(TimeoutError):
        await stream.kind(StreamDown, within_s=0.6)
    await brings(stream, venue, "user", 60_001)


async def test_jump_in_the_sequence_is_a_gap_and_the_book_is_made_again(market, watch):
    venue = await market.venue()
    stream = watch(venue.market_events(SYMBOL))
    await stream.kind(StreamUp)
    await brings(stream, venue, "market", 60_001)
    await market.fault(depth_gap=1)
    gap, price = None, 60_001
    while gap is None:
        price += 1
        await place(venue, price=str(price))
        gap = next((one for one in stream.seen if isinstance(one, StreamGap)), None)
        await asyncio.sleep(0.02)
    assert "expected update" in gap.detail
    await stream.until(
        lambda event: isinstance(event, BookTop) and event.bids and event.bids[0][0] == price
    )
    assert await market.fired("depth_gap") >= 1
    assert quality_of(venue, "market").gaps == 1
    assert not [event for event in stream.seen if isinstance(event, StreamDown)]


async def test_stale_snapshot_is_taken_again_and_never_shown(market_with, watch):
    """The replica that answers stands behind the stream: its book must not be called in sync."""
    market = await market_with(orders_10s=100_000)
    venue, theirs = await market.venue(0), await market.venue(1)
    before = watch(theirs.market_events(SYMBOL))
    await before.kind(StreamUp)
    await brings(before, theirs, "market", 60_000)
    await market.fault(stale_snapshot=1)
    # Once this is on the stream, the replica's book lies before anything a new reader gets.
    await brings(before, theirs, "market", 60_001)
    stop = asyncio.Event()
    moving = asyncio.create_task(keep_moving(theirs, stop))
    stream = watch(venue.market_events(SYMBOL))
    await stream.kind(StreamUp, within_s=20)
    await stream.kind(BookTop)
    stop.set()
    await moving
    assert await market.fired("stale_snapshot") == 1
    kinds = [type(event) for event in stream.seen]
    assert kinds.index(StreamGap) < kinds.index(StreamUp)
    tops = [event for event in stream.seen if isinstance(event, BookTop)]
    assert all(top.bids[0][0] == 60_001 for top in tops)


async def keep_moving(venue, stop):
    """Change the book below its top, ten times in each depth event."""
    price = 50_000
    while not stop.is_set():
        price += 1
        name = await place(venue, quantity="0.0002", price=str(price))
        await venue.cancel(SYMBOL, name, f"{name}-c")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.01):
                await stop.wait()


async def test_report_delivered_twice_is_told_once(market, watch):
    ours, theirs = await market.venue(0), await market.venue(1)
    user = watch(ours.user_events())
    await user.kind(StreamUp)
    await market.fault(reports=[{"how": "duplicate", "execution": "any", "times": 3}])
    name = await place(ours, "SELL", "0.002", "61000")
    await place(theirs, "BUY", "0.001", "61000")
    await place(theirs, "BUY", "0.001", "61000")
    last = await place(ours, "BUY", "0.001", "60000")
    await user.until(
        lambda event: isinstance(event, OrderUpdate) and event.report.client_order_id == last
    )
    assert await market.fired("report.duplicate") == 3
    told = [
        (event.execution, event.fill.trade_id if event.fill else "")
        for event in user.seen
        if isinstance(event, OrderUpdate) and event.report.client_order_id == name
    ]
    assert [execution for execution, _ in told] == ["NEW", "TRADE", "TRADE"]
    assert len(set(told)) == 3


async def test_reports_out_of_order_all_arrive(market, watch):
    ours, theirs = await market.venue(0), await market.venue(1)
    user = watch(ours.user_events())
    await user.kind(StreamUp)
    await market.fault(reports=[{"how": "reorder", "execution": "NEW", "times": 1}])
    name = await place(ours, "SELL", "0.001", "61000")
    await place(theirs, "BUY", "0.001", "61000")
    seen = set()
    while seen != {"NEW", "TRADE"}:
        event = await user.kind(OrderUpdate, within_s=10)
        assert event.report.client_order_id == name
        seen.add(event.execution)
    assert await market.fired("report.reorder") == 1


async def test_lost_report_of_what_was_confirmed_brings_a_new_connection(market, watch):
    venue = await market.venue(report_due_s=0.3)
    user = watch(venue.user_events())
    await user.kind(StreamUp)
    await market.fault(reports=[{"how": "lose", "execution": "NEW", "times": 1}])
    name = await place(venue)
    down = await user.kind(StreamDown, within_s=20)
    assert down.reason == f"stalled: NEW of {name} was not reported"
    await user.kind(StreamUp)


async def test_quality_counts_ages_and_delays(market, watch):
    venue = await market.venue()
    assert venue.quality() == ()
    user = watch(venue.user_events())
    await user.kind(StreamUp)
    assert quality_of(venue, "user").latency_p50_ms is None
    await brings(user, venue, "user", 60_001)
    quality = quality_of(venue, "user")
    assert (quality.connected, quality.gaps, quality.reconnects) == (True, 0, 0)
    assert quality.messages >= 1
    assert 0 <= quality.latency_p50_ms <= quality.latency_p95_ms <= quality.latency_p99_ms < 5_000
    assert quality.age_ms < 60_000
    await market.fault(stream_cut="user")
    await user.kind(StreamDown)
    assert not quality_of(venue, "user").connected
    await user.kind(StreamUp)
    assert quality_of(venue, "user").reconnects == 1


async def test_delayed_stream_shows_in_the_percentiles(market, watch):
    venue = await market.venue()
    user = watch(venue.user_events())
    await user.kind(StreamUp)
    held = {"how": "delay", "execution": "NEW", "delay_ms": 300, "times": 1}
    await market.fault(reports=[held])
    await brings(user, venue, "user", 60_001)
    assert quality_of(venue, "user").latency_p99_ms >= 250
