"""The adapter and the sandbox over real connections: orders, queries, the account's stream."""

import asyncio
import time
from decimal import Decimal
from itertools import count
from pathlib import Path

import pytest
from aiohttp import web

from engine.contracts.fill import Liquidity
from engine.contracts.order import OrderIntent, OrderType, Side, TimeInForce
from engine.venues.binance import queries
from engine.venues.port import (
    Accepted,
    BalanceUpdate,
    Canceled,
    OrderUpdate,
    Rejected,
    StreamDown,
    StreamUp,
    Unknown,
    Venue,
    VenueQueryFailed,
)

SYMBOL = "BTCUSDT"
LONG_AGO_US = 0
_numbers = count(1)


def limit(side, quantity, price, **changes):
    fields = {"type": OrderType.LIMIT, "time_in_force": TimeInForce.GTC, **changes}
    return OrderIntent(
        client_order_id=f"t-{next(_numbers)}",
        symbol=SYMBOL,
        side=Side(side),
        quantity=Decimal(quantity),
        price=None if price is None else Decimal(price),
        **fields,
    )


def market_order(side, quantity):
    return limit(side, quantity, None, type=OrderType.MARKET, time_in_force=None)


async def placed(venue, intent):
    outcome = await venue.submit(intent)
    assert isinstance(outcome, Accepted), outcome
    return outcome


def update_of(intent, execution):
    return lambda event: (
        isinstance(event, OrderUpdate)
        and event.execution == execution
        and event.report.client_order_id == intent.client_order_id
    )


async def test_open_knows_clock_rules_and_weight(market):
    venue: Venue = await market.venue()
    rules = await venue.instrument(SYMBOL)
    assert (rules.base, rules.quote, rules.tick_size) == ("BTC", "USDT", Decimal("0.01"))
    assert (rules.step_size, rules.min_notional, rules.trading) == (Decimal("0.00001"), 5, True)
    reading = await venue.clock()
    assert abs(reading.offset_us) < 100_000
    assert venue.rate_use().used > 20
    assert venue.rate_use().limit == 6000
    assert await venue.balances() == {"BTC": (1, 0), "USDT": (100_000, 0)}
    with pytest.raises(VenueQueryFailed) as caught:
        await venue.instrument("NOPE")
    assert caught.value.code == "-1121"


async def test_limit_order_rests_is_seen_everywhere_and_is_canceled(market, watch):
    venue = await market.venue()
    user = watch(venue.user_events())
    await user.kind(StreamUp)
    intent = limit("BUY", "0.01", "60000")

    accepted = await placed(venue, intent)
    assert (accepted.report.status, accepted.fills) == ("NEW", ())
    new = await user.until(update_of(intent, "NEW"))
    assert new.report.venue_order_id == accepted.report.venue_order_id
    locked = await user.kind(BalanceUpdate)
    assert locked.balances["USDT"] == (99_400, 600)
    (resting,) = await venue.open_orders(SYMBOL)
    assert resting.client_order_id == intent.client_order_id
    assert await venue.order(SYMBOL, intent.client_order_id) == resting

    outcome = await venue.cancel(SYMBOL, intent.client_order_id, "c-1")
    assert isinstance(outcome, Canceled)
    assert outcome.reports[0].client_order_id == intent.client_order_id
    assert outcome.reports[0].status == "CANCELED"
    canceled = await user.until(update_of(intent, "CANCELED"))
    assert not canceled.report.open
    assert await venue.open_orders(SYMBOL) == ()
    again = await venue.cancel(SYMBOL, intent.client_order_id, "c-2")
    assert (type(again), again.code) == (Rejected, "-2011")


async def test_partial_fills_of_a_resting_order(market, watch):
    ours, theirs = await market.venue(0), await market.venue(1)
    user = watch(ours.user_events())
    await user.kind(StreamUp)
    intent = limit("SELL", "0.03", "61000")
    await placed(ours, intent)

    await placed(theirs, limit("BUY", "0.01", "61000"))
    first = await user.until(update_of(intent, "TRADE"))
    assert (first.report.status, first.report.filled_quantity) == (
        "PARTIALLY_FILLED",
        Decimal("0.01"),
    )
    assert (first.fill.price, first.fill.quantity) == (61000, Decimal("0.01"))
    assert (first.fill.fee, first.fill.fee_asset) == (Decimal("0.61"), "USDT")
    assert first.fill.liquidity is Liquidity.MAKER

    await placed(theirs, market_order("BUY", "0.02"))
    second = await user.until(update_of(intent, "TRADE"))
    assert second.report.status == "FILLED"
    assert await ours.fills(SYMBOL, LONG_AGO_US) == (first.fill, second.fill)
    report = await ours.order(SYMBOL, intent.client_order_id)
    assert (report.status, report.filled_quote) == ("FILLED", 1830)


async def test_market_order_comes_back_with_its_fills(market):
    ours, theirs = await market.venue(0), await market.venue(1)
    await placed(theirs, limit("SELL", "0.01", "61000"))
    await placed(theirs, limit("SELL", "0.01", "61001"))
    intent = market_order("BUY", "0.015")

    accepted = await placed(ours, intent)
    assert (accepted.report.status, accepted.report.filled_quantity) == ("FILLED", Decimal("0.015"))
    assert [(fill.price, fill.quantity) for fill in accepted.fills] == [
        (61000, Decimal("0.01")),
        (61001, Decimal("0.005")),
    ]
    assert [(fill.fee, fill.fee_asset) for fill in accepted.fills] == [
        (Decimal("0.00001"), "BTC"),
        (Decimal("0.000005"), "BTC"),
    ]
    # The tape by query says the same as the answer did, client order id included.
    assert await ours.fills(SYMBOL, LONG_AGO_US) == accepted.fills
    balances = await ours.balances()
    assert balances["BTC"] == (Decimal("1.014985"), 0)


async def test_cancel_all_cancels_everything_and_nothing_is_fine_too(market):
    venue = await market.venue()
    assert await venue.cancel_all(SYMBOL) == Canceled(reports=())
    intents = [limit("BUY", "0.001", 50_000 + step) for step in range(20)]
    await asyncio.gather(*(placed(venue, intent) for intent in intents))
    outcome = await venue.cancel_all(SYMBOL)
    assert {report.client_order_id for report in outcome.reports} == {
        intent.client_order_id for intent in intents
    }
    assert {report.status for report in outcome.reports} == {"CANCELED"}
    assert await venue.open_orders(SYMBOL) == ()


async def test_orders_since_a_time_in_order(market):
    venue = await market.venue()
    intents = [limit("BUY", "0.001", 50_000 + step) for step in range(4)]
    for intent in intents:
        await placed(venue, intent)
    await venue.cancel_all(SYMBOL)
    expected = [intent.client_order_id for intent in intents]
    for since_us in (LONG_AGO_US, time.time_ns() // 1000 - 60_000_000):
        found = await venue.orders(SYMBOL, since_us)
        assert [report.client_order_id for report in found] == expected
    assert await venue.orders(SYMBOL, time.time_ns() // 1000 + 5_000_000) == ()
    two_days_ago = time.time_ns() // 1000 - 2 * 86_400_000_000
    assert len(await venue.orders(SYMBOL, two_days_ago)) == 4


async def test_lists_are_paged_to_the_end(market, monkeypatch):
    monkeypatch.setattr(queries, "PAGE", 3)
    ours, theirs = await market.venue(0), await market.venue(1)
    await placed(theirs, limit("SELL", "0.1", "61000"))
    intents = [limit("BUY", "0.001", "61000") for _ in range(8)]
    for intent in intents:
        await placed(ours, intent)
    expected = [intent.client_order_id for intent in intents]
    for since_us in (LONG_AGO_US, time.time_ns() // 1000 - 60_000_000):
        orders = await ours.orders(SYMBOL, since_us)
        fills = await ours.fills(SYMBOL, since_us)
        assert [report.client_order_id for report in orders] == expected
        assert [fill.client_order_id for fill in fills] == expected


async def test_refused_orders(market):
    venue = await market.venue()
    too_small = await venue.submit(limit("BUY", "0.00001", "50000"))
    assert (type(too_small), too_small.code) == (Rejected, "-1013")
    assert too_small.reason == "Filter failure: NOTIONAL"
    too_much = await venue.submit(limit("BUY", "5", "60000"))
    assert (type(too_much), too_much.code) == (Rejected, "-2010")
    assert await venue.open_orders(SYMBOL) == ()


async def test_immediate_order_without_a_match_expires_and_says_why(market):
    venue = await market.venue()
    intent = limit("BUY", "0.001", "60000", time_in_force=TimeInForce.IOC)
    accepted = await placed(venue, intent)
    assert accepted.report.status == "EXPIRED"
    assert accepted.report.reason == "UNFILLED_IOC_QUANTITY_EXPIRED"


async def test_an_id_that_is_open_already_is_not_called_rejected(market):
    venue = await market.venue()
    intent = limit("BUY", "0.001", "60000")
    await placed(venue, intent)
    assert isinstance(await venue.submit(intent), Unknown)
    assert len(await venue.open_orders(SYMBOL)) == 1


@pytest.mark.parametrize("mode", ["silent", "code", "reset"])
@pytest.mark.parametrize("accept", [True, False])
async def test_unknown_submit_is_resolved_by_asking(market, mode, accept):
    """I3: whether it was accepted or not, only the query tells."""
    venue = await market.venue(trade_timeout_s=0.3)
    await market.fault(submit_timeout=1, submit_mode=mode, submit_accept=accept)
    intent = limit("BUY", "0.001", "60000")
    assert isinstance(await venue.submit(intent), Unknown)
    report = await venue.order(SYMBOL, intent.client_order_id)
    assert (report is not None) is accept
    assert len(await venue.open_orders(SYMBOL)) == accept


async def test_user_stream_with_an_ed25519_key(market, watch):
    account = market.ready["accounts"][0]["ed25519"]
    venue = await market.venue(
        api_key=account["key"], secret="", ed25519_private_key=Path(account["private_key_file"])
    )
    user = watch(venue.user_events())
    await user.kind(StreamUp)
    intent = limit("BUY", "0.001", "60000")
    await placed(venue, intent)
    await user.until(update_of(intent, "NEW"))


async def test_user_stream_comes_back_after_a_cut(market, watch):
    venue = await market.venue()
    user = watch(venue.user_events())
    await user.kind(StreamUp)
    await market.fault(stream_cut="user")
    assert (await user.kind(StreamDown)).stream == "user"
    await user.kind(StreamUp)
    intent = limit("BUY", "0.001", "60000")
    await placed(venue, intent)
    await user.until(update_of(intent, "NEW"))


async def test_user_stream_that_swallows_reports_is_stalled(market, watch):
    """Open, and every ping answered, but what the venue confirmed by REST does not arrive."""
    venue = await market.venue(report_due_s=0.2)
    user = watch(venue.user_events())
    await user.kind(StreamUp)
    await market.fault(stream_stall="user", stream_stall_ms=60_000)
    intent = limit("BUY", "0.001", "60000")
    await placed(venue, intent)
    down = await user.kind(StreamDown)
    assert down.reason == f"stalled: NEW of {intent.client_order_id} was not reported"
    await user.kind(StreamUp)


async def test_reports_that_arrive_keep_the_stream_up(market, watch):
    venue = await market.venue(report_due_s=0.1)
    user = watch(venue.user_events())
    await user.kind(StreamUp)
    for round_number in range(3):
        intent = limit("BUY", "0.001", 60_000 + round_number)
        await placed(venue, intent)
        await venue.cancel_all(SYMBOL)
        await user.until(update_of(intent, "CANCELED"))
    quiet = asyncio.get_running_loop().time() + 0.3
    with pytest.raises(TimeoutError):
        await user.kind(StreamDown, within_s=quiet - asyncio.get_running_loop().time())


async def test_slow_reader_does_not_take_its_own_delay_for_a_stall(market):
    venue = await market.venue(ping_s=0.1, report_due_s=0.1)
    events = venue.user_events()
    assert await anext(events) == StreamUp(stream="user")
    intents = [limit("BUY", "0.001", 60_000 + step) for step in range(3)]
    for intent in intents:
        await placed(venue, intent)
        with pytest.raises(TimeoutError):  # busy with something else for a while
            async with asyncio.timeout(0.15):
                await asyncio.Event().wait()
    seen = []
    while len(seen) < 3:
        event = await anext(events)
        assert not isinstance(event, StreamDown), event
        if isinstance(event, OrderUpdate):
            seen.append(event.report.client_order_id)
    assert seen == [intent.client_order_id for intent in intents]
    await events.aclose()


async def test_user_stream_that_answers_no_ping_is_stalled(market, watch):
    """A server that subscribes us and then neither reads nor writes."""

    async def subscribe_and_freeze(request):
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        asked = await socket.receive_json()
        await socket.send_json({"id": asked["id"], "status": 200, "result": {}})
        await frozen.wait()
        return socket

    frozen = asyncio.Event()
    app = web.Application()
    app.router.add_get("/ws-api/v3", subscribe_and_freeze)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    venue = await market.venue(ws_api_url=f"ws://127.0.0.1:{port}/ws-api/v3", ping_s=0.2)
    user = watch(venue.user_events())
    await user.kind(StreamUp)
    down = await user.kind(StreamDown)
    assert "stalled" in down.reason or "broken" in down.reason
    frozen.set()
    await venue.close()
    await runner.cleanup()


async def test_wrong_key_is_told_and_tried_again_with_pauses(market, watch):
    venue = await market.venue(secret="wrong")
    user = watch(venue.user_events())
    down = await user.kind(StreamDown)
    assert "-1022" in down.reason
    await user.kind(StreamDown)
    with pytest.raises(VenueQueryFailed) as caught:
        await venue.balances()
    assert caught.value.code == "-1022"


async def test_streams_end_when_the_venue_is_closed(market, watch):
    venue = await market.venue()
    user, book = watch(venue.user_events()), watch(venue.market_events(SYMBOL))
    await user.kind(StreamUp)
    await book.kind(StreamUp)
    await venue.close()
    await user.finished()
    await book.finished()
    assert not isinstance(user.seen[-1], StreamDown)
    outcome = await venue.submit(limit("BUY", "0.001", "60000"))
    assert (type(outcome), outcome.code) == (Rejected, "CLOSED")
