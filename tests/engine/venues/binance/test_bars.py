"""Bars of a real sandbox: closed ones only, in order, as many as asked for, typed."""

from __future__ import annotations

import json
import time
from decimal import Decimal

import pytest

from engine.venues.binance import translate, wire
from engine.venues.port import VenueQueryFailed

MINUTE_MS = 60_000
SYMBOL = "BTCUSDT"
ROW = [
    1_499_040_000_000, "0.01634790", "0.80000000", "0.01575800", "0.01577100", "148976.11427815",
    1_499_644_799_999, "2434.19055334", 308, "1756.87402397", "28.46694368", "0",
]  # fmt: skip


async def test_only_closed_bars_come_oldest_first(market):
    venue = await market.venue()
    bars = await venue.bars(SYMBOL, "1m", 50)
    now_ms = time.time_ns() // 1_000_000
    assert len(bars) == 50
    opens = [one.open_time_ms for one in bars]
    assert opens == [opens[0] + place * MINUTE_MS for place in range(50)]
    assert all(one.close_time_ms == one.open_time_ms + MINUTE_MS - 1 for one in bars)
    assert now_ms - 2 * MINUTE_MS < bars[-1].close_time_ms < now_ms
    assert all(one.low <= min(one.open, one.close) for one in bars)
    assert all(one.high >= max(one.open, one.close) for one in bars)
    assert type(bars[0].close) is Decimal


async def test_a_thousand_is_the_most_and_the_open_one_of_them_is_left_out(market):
    """A minute that just began without a trade has none open: then all thousand are whole."""
    venue = await market.venue()
    bars = await venue.bars(SYMBOL, "1m", 1000)
    assert len(bars) in {999, 1000}
    assert bars[-1].close_time_ms < time.time_ns() // 1_000_000


async def test_bars_cost_a_weight_of_two(market):
    venue = await market.venue()
    await venue.bars(SYMBOL, "1m", 1)
    before = venue.rate_use().used
    await venue.bars(SYMBOL, "1m", 1000)
    assert venue.rate_use().used == before + 2


async def test_an_interval_that_there_is_not_is_the_venues_refusal(market):
    venue = await market.venue()
    with pytest.raises(VenueQueryFailed) as refused:
        await venue.bars(SYMBOL, "7m", 10)
    assert refused.value.code == "-1120"


def test_a_row_of_the_documents_is_read_and_what_follows_is_read_over():
    (row,) = wire.decode(wire.DECODE_BARS, json.dumps([ROW]))
    bar = translate.price_bar(row)
    assert (bar.open, bar.close) == (Decimal("0.0163479"), Decimal("0.015771"))
    assert bar.close_time_ms == 1_499_644_799_999


@pytest.mark.parametrize(
    ("place", "value"), [(4, "0"), (3, "-1"), (1, "NaN"), (6, 1_499_039_999_999)]
)
def test_a_bar_without_a_price_is_no_bar(place, value):
    spoiled = [*ROW[:place], value, *ROW[place + 1 :]]
    with pytest.raises(wire.WireError):
        translate.price_bar(wire.decode(wire.DECODE_BARS, json.dumps([spoiled]))[0])


def test_a_row_that_is_too_short_is_refused():
    with pytest.raises(wire.WireError):
        wire.decode(wire.DECODE_BARS, json.dumps([ROW[:6]]))
