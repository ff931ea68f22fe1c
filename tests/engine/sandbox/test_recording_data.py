"""The real recordings must give exactly the numbers that their README states."""

from __future__ import annotations

import csv
import lzma
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import pytest

from engine.sandbox.recording import (
    BestPrices,
    BookBuilder,
    Diff,
    RecordedTrade,
    Snapshot,
    minutes,
    read_recording,
)
from engine.sandbox.rules import parse_amount

pytestmark = pytest.mark.data


class Read(NamedTuple):
    trades: list[RecordedTrade]
    applied: list[Diff]
    tops: dict[int, BestPrices]
    best: list[BestPrices]
    snapshot: Snapshot
    crossed: int


@pytest.fixture(scope="module")
def read(recordings: list[Path]) -> Read:
    builder = BookBuilder()
    out = Read([], [], {}, [], Snapshot(0, (), ()), 0)
    crossed = 0
    for path in recordings:
        for message in read_recording(path):
            match message.payload:
                case RecordedTrade() as trade:
                    out.trades.append(trade)
                case BestPrices() as best:
                    out.best.append(best)
                case Snapshot() as snapshot:
                    out = out._replace(snapshot=snapshot)
                    out.applied.extend(builder.snapshot(snapshot))
                case Diff() as diff:
                    if not builder.diff(diff):
                        continue
                    out.applied.append(diff)
                    top = builder.best()
                    assert top is not None
                    out.tops[diff.last_id] = top
                    crossed += top.bid[0] >= top.ask[0]
    return out._replace(crossed=crossed)


def test_trades_are_contiguous(read: Read) -> None:
    assert len(read.trades) == 19_904
    first = read.trades[0].trade_id
    assert [t.trade_id for t in read.trades] == list(range(first, first + 19_904))


def test_book_follows_the_documented_rule(read: Read) -> None:
    assert read.snapshot.last_id == 50_093_239_218
    assert (read.applied[0].first_id, read.applied[0].last_id) == (50093239208, 50093239224)
    assert len(read.applied) == 6_493
    for before, after in pairwise(read.applied):
        assert after.first_id == before.last_id + 1
    assert read.crossed == 0


def test_best_prices_equal_the_book_at_the_same_update(read: Read) -> None:
    seen = {best.update_id: best for best in read.best}
    same = [(top, seen[update]) for update, top in read.tops.items() if update in seen]
    assert len(same) == 1_072
    assert all(top == best for top, best in same)


def test_ten_complete_minutes_equal_the_official_klines(read: Read, klines: Path) -> None:
    bars = {bar.open_ms: bar for bar in minutes(read.trades).bars[1:-1]}
    compared = 0
    with lzma.open(klines, "rt") as file:
        for row in csv.DictReader(file):
            bar = bars.get(int(row["open_time"]))
            if bar is None:
                continue
            compared += 1
            official = {name: parse_amount(row[name], name) for name in NAMES}
            assert official == {
                "open": bar.open,
                "high": bar.high,
                "low": bar.low,
                "close": bar.close,
                "volume": bar.volume,
                "quote_volume": bar.value // 10**8,
                "taker_buy_base": bar.taker_volume,
            }
            assert bar.value % 10**8 == 0
            assert int(row["trades"]) == bar.trades
    assert compared == 10


NAMES = ("open", "high", "low", "close", "volume", "quote_volume", "taker_buy_base")
