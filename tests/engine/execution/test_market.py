"""I9: every reading has an age; past its limit it counts as missing."""

from __future__ import annotations

from decimal import Decimal

import pytest

from engine.contracts.instrument import Instrument
from engine.contracts.order import Side
from engine.execution.market import Market
from engine.venues.port import BookTop, MarketEvent, StreamDown, StreamGap, StreamUp, TradeTick

BID, ASK = Decimal("100.0"), Decimal("100.2")


class Clock:
    def __init__(self) -> None:
        self.us = 5_000_000

    def __call__(self) -> int:
        return self.us


def instrument() -> Instrument:
    fields = {name: Decimal(1) for name in Instrument.__struct_fields__}
    words = {"symbol": "BTCUSDT", "base": "BTC", "quote": "USDT"}
    return Instrument(**{**fields, **words})  # type: ignore[arg-type]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def market(clock: Clock) -> Market:
    return Market(instrument(), 3000, clock)


def book(bids: int = 1, asks: int = 1) -> BookTop:
    return BookTop(
        symbol="BTCUSDT",
        update_id=1,
        bids=((BID, Decimal(1)),) * bids,
        asks=((ASK, Decimal(1)),) * asks,
        venue_time_us=1,
    )


def test_i9_before_the_first_book_nothing_is_known(market: Market) -> None:
    assert market.stale
    assert market.best() == (None, None)
    assert market.mid() is None
    assert market.view().book_age_ms is None


def test_i9_a_book_past_its_limit_is_missing_and_its_age_is_shown(
    market: Market, clock: Clock
) -> None:
    market.hear(book())
    clock.us += 3_000_000
    assert market.best() == (BID, ASK)
    assert market.mid() == Decimal("100.1")
    clock.us += 1_000
    assert market.stale
    assert market.best() == (None, None)
    assert market.mid() is None
    view = market.view()
    assert (view.stale, view.book_age_ms) == (True, 3001)
    assert view.bids == ((BID, Decimal(1)),)


@pytest.mark.parametrize(
    "lost",
    [StreamDown(stream="market", reason="x"), StreamGap(stream="market", detail="x")],
    ids=["down", "gap"],
)
def test_i9_a_lost_stream_or_a_gap_takes_the_book_away_at_once(
    market: Market, lost: MarketEvent
) -> None:
    market.hear(StreamUp(stream="market"))
    market.hear(book())
    market.hear(lost)
    assert market.stale
    assert market.view().bids == ()
    market.hear(book())
    assert not market.stale


@pytest.mark.parametrize(("bids", "asks"), [(0, 1), (1, 0), (0, 0)])
def test_an_empty_side_gives_no_middle(market: Market, bids: int, asks: int) -> None:
    market.hear(book(bids, asks))
    assert market.mid() is None


def test_trades_do_not_make_an_old_book_young(market: Market, clock: Clock) -> None:
    market.hear(book())
    clock.us += 4_000_000
    market.hear(
        TradeTick(
            symbol="BTCUSDT",
            trade_id=1,
            price=BID,
            quantity=Decimal(1),
            taker_side=Side.SELL,
            venue_time_us=1,
        )
    )
    assert market.stale
    assert market.view().trade_age_ms == 0
    assert market.stream.age_ms() == 0


def test_reconnects_and_gaps_are_counted(market: Market) -> None:
    for event in (
        StreamUp(stream="market"),
        StreamDown(stream="market", reason="x"),
        StreamUp(stream="market"),
        StreamGap(stream="market", detail="x"),
    ):
        market.hear(event)
    stream = market.stream.view()
    assert (stream.connected, stream.reconnects, stream.gaps) == (True, 1, 1)
