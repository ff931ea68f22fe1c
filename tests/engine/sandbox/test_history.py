"""The past holds together: bars, trades, aggregates and seconds tell one story."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from typing import Any

import pytest

from engine.sandbox.candles import MINUTE_MS, Candles
from engine.sandbox.history import History
from engine.sandbox.market import MarketData
from engine.sandbox.orders import Trade
from engine.sandbox.rules import rules_for

RULES = rules_for("BTCUSDT")
PRICE = 6_100_000
NOW_US = 1_800_000_000_000_000 + 17_000_000
NOW_MS = NOW_US // 1000
FIRST_ID = 10**9


@pytest.fixture(scope="module")
def past() -> History:
    return History(1, PRICE, FIRST_ID, NOW_US, 300)


def market(past: History) -> MarketData:
    made = MarketData(RULES)
    made.begin(past)
    return made


def test_bars_join_the_start_price_without_holes(past: History) -> None:
    assert len(past.bars) == 300
    assert past.bars[-1].close == PRICE
    assert past.bars[-1].open_ms == NOW_MS // MINUTE_MS * MINUTE_MS - MINUTE_MS
    for before, after in pairwise(past.bars):
        assert after.open_ms == before.open_ms + MINUTE_MS
        assert after.open == before.close
        assert after.low <= min(after.open, after.close)
        assert after.high >= max(after.open, after.close)
        assert after.first_id == before.last_id + 1
    assert past.bars[-1].last_id == FIRST_ID - 1


def test_trades_of_the_past_add_up_to_its_bars(past: History) -> None:
    added = Candles(MINUTE_MS)
    for trade in past.from_id(past.bars[-20].first_id):
        assert trade.quantity > 0
        added.add(
            trade.time_us // 1000,
            trade.price,
            trade.quantity,
            taker_buys=not trade.buyer_is_maker,
            trade_id=trade.trade_id,
        )
    assert added.bars == past.bars[-20:]


def test_the_same_seed_makes_the_same_past_and_another_does_not(past: History) -> None:
    again = History(1, PRICE, FIRST_ID, NOW_US, 300)
    other = History(2, PRICE, FIRST_ID, NOW_US, 300)
    assert again.bars == past.bars != other.bars
    assert again.newest(50) == past.newest(50) == past.newest(50)


def test_live_trades_follow_the_past_without_a_seam(past: History) -> None:
    live = market(past)
    trade = Trade(
        trade_id=FIRST_ID,
        price=PRICE + 5,
        quantity=7,
        time_us=NOW_US,
        buyer_is_maker=False,
        taker_order_id=1,
    )
    live.record([trade])

    for found in (live.trades_from(None, 30), live.trades_from(FIRST_ID - 29, 30)):
        assert [t.trade_id for t in found] == list(range(FIRST_ID - 29, FIRST_ID + 1))
    since_us = NOW_US - 20_000_000
    for aggregates in (
        live.aggregates_from(FIRST_ID - 29, None, None, 30),
        live.aggregates_from(None, None, None, 30),
    ):
        assert [item.last_id for item in aggregates] == list(range(FIRST_ID - 29, FIRST_ID + 1))
    timed = live.aggregates_from(None, since_us, NOW_US, 1000)
    assert timed[-1].first_id == FIRST_ID
    assert all(since_us <= item.time_us <= NOW_US for item in timed)
    assert live.aggregates_from(None, None, since_us, 5)[-1].aggregate_id < FIRST_ID - 1


def test_bars_of_a_second_reach_back_and_add_up_to_minutes(past: History) -> None:
    live = market(past)
    minute = past.bars[-3]
    seconds = live.bars("1s", minute.open_ms, minute.open_ms + 59_999, 1000, NOW_MS)
    assert [bar.open_ms - minute.open_ms for bar in seconds] == [n * 1000 for n in range(60)]
    assert sum(bar.volume for bar in seconds) == minute.volume
    assert sum(bar.trades for bar in seconds) == minute.trades
    assert (seconds[0].open, seconds[-1].close) == (minute.open, minute.close)
    newest = live.bars("1s", None, None, 100, NOW_MS)
    assert [b.open_ms - a.open_ms for a, b in pairwise(newest)] == [1000] * 99
    assert newest[-1].open_ms == NOW_MS // 1000 * 1000


def test_without_room_for_ids_nothing_was_traded_and_the_price_stood_still() -> None:
    past = History(1, PRICE, 1, NOW_US, 10)
    assert {(bar.open, bar.close, bar.trades) for bar in past.bars} == {(PRICE, PRICE, 0)}
    assert past.newest(5) == []
    assert list(past.from_id(0)) == []


async def test_a_running_market_agrees_with_itself_over_the_start(start: Any) -> None:
    venue = await start(flow=True, first_id=None)
    live = venue.exchange.market
    async with asyncio.timeout(60):
        while len(live.trades) < 20:  # noqa: ASYNC110  (the market runs by itself)
            await asyncio.sleep(0.01)
    # One moment: nothing runs in between until the next await.
    now_ms = venue.exchange.clock_us() // 1000
    first_id = live.trades[0].trade_id
    trades = live.trades_from(first_id - 3000, 100_000)
    minutes = live.bars("1m", None, None, 3, now_ms)
    seconds = live.bars("1s", minutes[0].open_ms, None, 1000, now_ms)

    assert [after.trade_id - before.trade_id for before, after in pairwise(trades)] == [1] * (
        len(trades) - 1
    )
    for length_ms, bars in ((60_000, minutes), (1_000, seconds)):
        complete = [bar for bar in bars if bar.open_ms > trades[0].time_us // 1000]
        assert len(complete) >= 2
        for bar in complete:
            inside = [
                trade
                for trade in trades
                if bar.open_ms <= trade.time_us // 1000 < bar.open_ms + length_ms
            ]
            assert bar.trades == len(inside)
            assert bar.volume == sum(trade.quantity for trade in inside)
            assert bar.value == sum(trade.quantity * trade.price for trade in inside)
            if inside:
                prices = [trade.price for trade in inside]
                assert (bar.open, bar.close) == (prices[0], prices[-1])
                assert (bar.high, bar.low) == (max(prices), min(prices))
    aggregates = live.aggregates_from(None, minutes[1].open_ms * 1000, None, 100_000)
    assert aggregates[-1].last_id == trades[-1].trade_id
    assert all(a.last_id + 1 == b.first_id for a, b in pairwise(aggregates))
