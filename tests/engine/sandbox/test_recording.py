from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from engine.contracts.errors import InputError
from engine.sandbox.recording import BookBuilder, Diff, RecordedTrade, Snapshot, read_recording

TRADE = (
    b'1723161600225263 {"stream":"btcusdt@trade","data":{"e":"trade","E":1,"s":"BTCUSDT",'
    b'"t":7,"p":"61686.01000000","q":"0.00016000","T":1723161601498,"m":false,"M":true}}\n'
)


@pytest.mark.parametrize(
    "line",
    [
        b"garbage\n",
        b"123\n",
        b"123 {\n",
        b"123 []\n",
        b'123 {"stream":"btcusdt@kline_1m","data":{}}\n',
        b'123 {"stream":"btcusdt@trade","data":{"t":1}}\n',
        TRADE.replace(b'"61686.01000000"', b"61686.01"),
        TRADE.replace(b"61686.01000000", b"6e4"),
        TRADE[:100] + b"\n",
        b"\n",
        b'123 {"lastUpdateId":1,"bids":[["\xff","1"]],"asks":[]}\n',
    ],
)
def test_malformed_line_is_named_by_file_and_number(tmp_path: Path, line: bytes) -> None:
    path = tmp_path / "rec.txt"
    path.write_bytes(TRADE * 2 + line + TRADE)
    messages = read_recording(path)
    next(messages)
    next(messages)
    with pytest.raises(InputError, match=r"rec\.txt:3"):
        next(messages)


def test_plain_and_gzipped_read_the_same(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(TRADE)
    (tmp_path / "b").write_bytes(gzip.compress(TRADE))
    one, two = (list(read_recording(tmp_path / name)) for name in "ab")
    assert one == two
    assert one[0].payload == RecordedTrade(7, 6168601000000, 16000, 1723161601498, False)


def test_cut_or_absent_file_is_named(tmp_path: Path) -> None:
    whole = gzip.compress(TRADE * 50)
    (tmp_path / "cut.gz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=r"cut\.gz"):
        list(read_recording(tmp_path / "cut.gz"))
    with pytest.raises(InputError, match="absent"):
        list(read_recording(tmp_path / "absent"))


def diff(first: int, last: int, price: int, quantity: int) -> Diff:
    return Diff(first, last, ((price, quantity),), (), 0)


def test_events_before_the_snapshot_wait_and_old_ones_are_dropped() -> None:
    builder = BookBuilder()
    assert not builder.diff(diff(1, 5, 100, 1))
    assert not builder.diff(diff(6, 9, 101, 2))

    applied = builder.snapshot(Snapshot(7, ((99, 5), (100, 3)), ((110, 1),)))

    assert applied == [diff(6, 9, 101, 2)]
    assert builder.bids == {99: 5, 100: 3, 101: 2}
    assert not builder.diff(diff(8, 9, 99, 0))
    assert builder.diff(diff(10, 10, 99, 0))
    assert 99 not in builder.bids


def test_gap_in_the_ids_is_refused() -> None:
    builder = BookBuilder()
    builder.snapshot(Snapshot(7, (), ()))
    with pytest.raises(InputError, match="U=9 after u=7"):
        builder.diff(diff(9, 9, 99, 1))


def test_without_a_snapshot_the_book_starts_from_what_is_named() -> None:
    builder = BookBuilder()
    builder.diff(diff(5, 6, 100, 1))
    builder.seed()
    builder.diff(diff(7, 7, 101, 2))
    assert builder.bids == {100: 1, 101: 2}
    assert not builder.complete
