from __future__ import annotations

import asyncio
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest

from engine.contracts.errors import InputError
from engine.sandbox.exchange import Exchange
from engine.sandbox.limits import Limits
from engine.sandbox.orders import NewOrder
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


def eaten_bid(path: Path, trades: int, queue: int) -> None:
    """A best bid of so many BTC is eaten by a trade of 1 BTC each 80 ms; depth events follow."""
    levels = '[["100.00","%d.0"],["99.00","50.0"]]'
    text = depth(0, 1, 2, levels % queue, '[["101.00","60.0"]]')
    text += ticker(1, 2, "100.00", "101.00").replace('"B":"1.0"', f'"B":"{queue}.0"')
    body = '{"t":%d,"p":"100.00","q":"1.0","T":1,"m":true}'
    for number in range(1, trades + 1):
        text += line(number * 80, "trade", body % number)
        left = levels % max(queue - number, 0)
        text += depth(number * 80 + 20, number * 2 + 1, number * 2 + 2, left, "[]")
    path.write_text(text)


@pytest.mark.parametrize(
    ("speed", "trades", "queue"),
    [(1.0, 10, 8), (2.0, 20, 17), (5.0, 50, 40), (10.0, 50, 48), (50.0, 50, 47)],
)
def test_order_is_filled_when_the_trades_reach_it_at_every_speed(
    tmp_path: Path, speed: float, trades: int, queue: int
) -> None:
    path = tmp_path / "rec"
    eaten_bid(path, trades, queue)
    venue = exchange()
    account = venue.open_account("demo", {"USDT": 10**15})
    replay = Replay(venue, path, speed=speed)
    replay.seed()
    assert venue.matching.book.bids.top(1) == [(10_000, queue * 10**5)]
    new = NewOrder(client_id="o", side=1, type="LIMIT", price=10_000, quantity=3 * 10**5)
    order = venue.matching.place(account, new, venue.clock_us())

    async def timed() -> float:
        began = asyncio.get_running_loop().time()
        await replay.run()
        return asyncio.get_running_loop().time() - began

    seconds = asyncio.run(timed())

    reached = min(trades - queue, 3)
    assert [fill.quantity for fill in order.fills] == [10**5] * reached
    assert order.status == ("FILLED" if reached == 3 else "PARTIALLY_FILLED")
    # Waits under a millisecond are not waited for one by one.
    assert seconds >= (trades - 1) * 0.08 / speed - 0.005
    assert sum(trade.quantity for trade in venue.market.trades) == trades * 10**5


def test_recording_stands_still_while_the_symbol_is_halted(tmp_path: Path) -> None:
    path = tmp_path / "rec"
    eaten_bid(path, 5, 5)
    venue = exchange()
    replay = Replay(venue, path, speed=10.0)
    replay.seed()
    trading = venue.rules

    async def halt() -> int:
        venue.change_rules(msgspec.structs.replace(trading, status="HALT"))
        playing = asyncio.create_task(replay.run())
        await asyncio.wait([playing], timeout=0.2)
        halted = len(venue.market.trades)
        venue.change_rules(trading)
        await asyncio.wait_for(playing, 10)
        return halted

    assert asyncio.run(halt()) == 0
    assert len(venue.market.trades) == 5


@pytest.mark.data
async def test_real_recording_at_fifty_times_fills_our_orders_over_the_wire(
    start, recordings: list[Path]
) -> None:
    venue = await start(replay=recordings[0], speed=50.0, weight_minute=10**6)
    url = venue.urls["ws"] + "/ws/btcusdt@depth@100ms"
    async with venue.user_stream() as events, venue.http.ws_connect(url) as market:
        _, top = await venue.demo.public("ticker/bookTicker", symbol="BTCUSDT")
        bid = str(Decimal(top["bidPrice"]).quantize(Decimal("0.01")))
        await venue.demo.limit("BUY", bid, "0.9", newClientOrderId="queued")
        _, taken = await venue.demo.market("BUY", quantity="0.5")
        reports = [await events.report(60) for _ in range(3)]
        seen = []
        async with asyncio.timeout(60):
            while len(seen) < 30:
                seen.append(await market.receive_json())
            while not any(r["c"] == "queued" and r["x"] == "TRADE" for r in reports):
                reports.append(await events.report(60))
    assert taken["status"] == "FILLED"
    assert all(a["u"] + 1 == b["U"] for a, b in pairwise(seen))
    trades = [r for r in reports if r["c"] == "queued" and r["x"] == "TRADE"]
    assert {(r["m"], Decimal(r["L"])) for r in trades} == {(True, Decimal(bid))}


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


def test_recording_that_is_behind_its_time_serves_clients_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.sandbox.replay._BREATH_S", 0.0)
    path = tmp_path / "rec"
    levels = '[["100.00","1.0"]]'
    text = depth(0, 1, 2, levels, '[["101.00","1.0"]]') + ticker(1, 2, "100.00", "101.00")
    for number in range(3, 1_000):
        text += depth(2, number, number, levels.replace("1.0", f"{number}.0"), "[]")
    path.write_text(text)
    replay = Replay(exchange(), path, speed=50.0)
    replay.seed()

    async def served() -> int:
        playing, rounds = asyncio.create_task(replay.run()), 0
        while not playing.done():
            await asyncio.sleep(0)
            rounds += 1
        return rounds

    assert asyncio.run(served()) > 500
