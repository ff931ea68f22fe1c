"""Book and trades from the sandbox: in sync, quiet, cut, stalled."""

import contextlib
from decimal import Decimal
from itertools import count

from engine.contracts.order import OrderIntent, OrderType, Side, TimeInForce
from engine.venues.binance.stream import Backoff
from engine.venues.port import Accepted, BookTop, StreamDown, StreamGap, StreamUp, TradeTick

SYMBOL = "BTCUSDT"
_numbers = count(1)


async def place(venue, side, quantity, price):
    outcome = await venue.submit(
        OrderIntent(
            client_order_id=f"m-{next(_numbers)}",
            symbol=SYMBOL,
            side=Side(side),
            type=OrderType.LIMIT,
            quantity=Decimal(quantity),
            price=Decimal(price),
            time_in_force=TimeInForce.GTC,
        )
    )
    assert isinstance(outcome, Accepted), outcome


def has_bid(price, quantity=None):
    def matches(event):
        return isinstance(event, BookTop) and any(
            level[0] == price and quantity in {None, level[1]} for level in event.bids
        )

    return matches


async def test_book_follows_orders_and_trades(market, watch):
    ours, theirs = await market.venue(0), await market.venue(1)
    await place(ours, "BUY", "0.01", "60000")
    book = watch(ours.market_events(SYMBOL))
    await book.kind(StreamUp)
    first = await book.kind(BookTop)
    assert (first.bids, first.asks) == (((60000, Decimal("0.01")),), ())

    await place(ours, "BUY", "0.02", "60001")
    top = await book.until(has_bid(60001))
    assert [price for price, _ in top.bids] == [60001, 60000]
    await place(theirs, "SELL", "0.005", "60001")
    trade = await book.kind(TradeTick)
    assert (trade.price, trade.quantity, trade.taker_side) == (60001, Decimal("0.005"), Side.SELL)
    await book.until(has_bid(60001, Decimal("0.015")))
    await ours.cancel_all(SYMBOL)
    await book.until(lambda event: isinstance(event, BookTop) and event.bids == ())
    assert not [event for event in book.seen if isinstance(event, StreamGap | StreamDown)]


async def test_quiet_market_is_proved_quiet_and_keeps_its_age(market, watch):
    venue = await market.venue(silence_s=0.15)
    await place(venue, "BUY", "0.01", "60000")
    book = watch(venue.market_events(SYMBOL))
    first = await book.kind(BookTop)
    await book.until(has_bid(60000))
    later = await book.until(lambda event: isinstance(event, BookTop))
    assert (later.bids, later.update_id >= first.update_id) == (first.bids, True)
    assert later.venue_time_us > first.venue_time_us
    assert not [event for event in book.seen if isinstance(event, StreamDown)]


async def test_market_stream_comes_back_after_a_cut(market, watch):
    venue = await market.venue()
    await place(venue, "BUY", "0.01", "60000")
    book = watch(venue.market_events(SYMBOL))
    await book.kind(StreamUp)
    await market.fault(stream_cut="market")
    assert (await book.kind(StreamDown)).stream == "market"
    await book.kind(StreamUp)
    await book.until(has_bid(60000))
    await place(venue, "BUY", "0.01", "60001")
    await book.until(has_bid(60001))


async def test_stalled_stream_is_told_from_a_quiet_market(market, watch):
    venue = await market.venue(silence_s=0.2)
    book = watch(venue.market_events(SYMBOL))
    await book.kind(BookTop)
    await market.fault(stream_stall="market", stream_stall_ms=1500)
    await place(venue, "BUY", "0.01", "60000")
    down = await book.kind(StreamDown)
    assert "stalled" in down.reason
    await book.until(has_bid(60000))


async def test_lost_updates_are_a_gap_and_the_book_is_made_again(market, watch):
    venue = await market.venue(silence_s=60)
    book = watch(venue.market_events(SYMBOL))
    await book.kind(BookTop)
    await market.fault(stream_stall="market", stream_stall_ms=350)
    gap, price = None, 60000
    while gap is None:
        price += 1
        await place(venue, "BUY", "0.0001", str(price))
        with contextlib.suppress(TimeoutError):
            gap = await book.kind(StreamGap, within_s=0.15)
    await book.until(has_bid(price))
    assert not [event for event in book.seen if isinstance(event, StreamDown)]


def test_pauses_double_are_bounded_and_start_again_after_a_good_connection():
    backoff = Backoff(0.1, 1.0)
    assert [backoff.pause_s(1.0) for _ in range(6)] == [0.1, 0.2, 0.4, 0.8, 1.0, 1.0]
    backoff.lasted(1.0)
    assert backoff.pause_s(0.0) == 0.5
    backoff.lasted(60.0)
    assert backoff.pause_s(1.0) == 0.1
