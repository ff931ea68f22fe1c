from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from engine.contracts.errors import InputError
from engine.sandbox.exchange import Exchange
from engine.sandbox.limits import Limits
from engine.sandbox.recording import BestPrices, RecordedTrade, read_recording
from engine.sandbox.replay import Replay
from engine.sandbox.rules import rules_for

WRAP = '{"stream":"btcusdt@%s","data":%s}'


def line(at_ms: int, stream: str, body: str) -> str:
    return f"{1_700_000_000_000_000_000 + at_ms * 1_000_000} " + WRAP % (stream, body) + "\n"


def depth(at_ms: int, first: int, last: int, bids: str, asks: str) -> str:
    body = f'{{"E":1,"U":{first},"u":{last},"b":{bids},"a":{asks}}}'
    return line(at_ms, "depth@100ms", body)


def ticker(at_ms: int, update: int, bid: str, ask: str) -> str:
    body = f'{{"u":{update},"b":"{bid}","B":"1.0","a":"{ask}","A":"2.0"}}'
    return line(at_ms, "bookTicker", body)


def trade(at_ms: int, number: int, price: str) -> str:
    body = f'{{"t":{number},"p":"{price}","q":"0.5","T":1,"m":true}}'
    return line(at_ms, "trade", body)


def exchange() -> Exchange:
    limits = Limits(weight_minute=1, orders_10s=1, orders_day=1)
    return Exchange(rules_for("BTCUSDT"), limits)


def test_recording_without_snapshot_starts_from_its_first_best_prices(tmp_path: Path) -> None:
    path = tmp_path / "rec"
    path.write_text(
        depth(0, 5, 9, '[["99.00","3.0"]]', '[["105.00","1.0"]]')
        + ticker(1, 12, "100.00", "101.00")
        + depth(2, 10, 14, '[["100.00","0.5"]]', '[["101.00","0"],["102.00","4.0"]]')
    )
    venue = exchange()
    replay = Replay(venue, path, speed=1.0)

    replay.seed()

    book = venue.matching.book
    assert book.bids.top(5) == [(10_000, 100_000), (9_900, 300_000)]
    assert book.asks.top(5) == [(10_100, 200_000), (10_500, 100_000)]
    asyncio.run(replay.run())
    assert book.bids.top(1) == [(10_000, 50_000)]
    assert book.asks.top(1) == [(10_200, 400_000)]


@pytest.mark.parametrize("text", ["", trade(0, 1, "100.00")])
def test_recording_without_any_book_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "rec"
    path.write_text(text)
    with pytest.raises(InputError, match="rec"):
        Replay(exchange(), path, speed=1.0).seed()


def test_speed_shortens_the_waits(tmp_path: Path) -> None:
    path = tmp_path / "rec"
    path.write_text(ticker(0, 1, "100.00", "101.00") + trade(0, 1, "100") + trade(4000, 2, "100"))
    venue = exchange()
    replay = Replay(venue, path, speed=100.0)
    replay.seed()

    async def timed() -> float:
        began = asyncio.get_running_loop().time()
        await replay.run()
        return asyncio.get_running_loop().time() - began

    assert 0.035 <= asyncio.run(timed()) < 2
    assert [t.price for t in venue.market.trades] == [10_000, 10_000]


@pytest.mark.data
@pytest.mark.parametrize("which", [0, 1])
def test_each_real_recording_plays_alone_without_crossing(
    recordings: list[Path], which: int
) -> None:
    venue = exchange()
    replay = Replay(venue, recordings[which], speed=1.0)
    replay.seed()
    book = venue.matching.book
    trades = checked = wrong = 0
    for message in replay._messages:
        replay.play(message)
        bid, ask = book.bids.best(), book.asks.best()
        assert bid is not None
        assert ask is not None
        assert bid < ask
        trades += isinstance(message.payload, RecordedTrade)
        if isinstance(message.payload, BestPrices):
            checked += 1
            best, tick = message.payload, venue.rules.tick
            wrong += (bid, ask) != (best.bid[0] // tick, best.ask[0] // tick)
    venue.settle()
    recorded = [
        m.payload for m in read_recording(recordings[which]) if isinstance(m.payload, RecordedTrade)
    ]
    tape = [(t.price * 10**6, t.quantity * 1000) for t in venue.market.trades]
    assert tape[-trades:] == [(t.price, t.quantity) for t in recorded][-trades:]
    assert checked > 25_000
    # A bookTicker that is older than the depth event before it is rightly not applied.
    assert wrong <= checked // 100


async def test_after_the_end_of_the_recording_synthetic_flow_carries_on(start, tmp_path) -> None:
    path = tmp_path / "rec"
    path.write_text(ticker(0, 1, "61000.00", "61000.01") + trade(10, 1, "61000.00"))
    venue = await start(replay=path)
    book = venue.exchange.matching.book

    enough = asyncio.Event()

    def watch(out, aggregates) -> None:
        if len(venue.exchange.market.trades) >= 5:
            enough.set()

    venue.exchange.listeners.append(watch)
    await asyncio.wait_for(enough.wait(), 15)

    assert venue.exchange.market.trades[0].quantity == 50_000
    assert len(book.bids.prices) >= 10
    assert abs(venue.exchange.matching.last_price - 6_100_000) < 100_000
