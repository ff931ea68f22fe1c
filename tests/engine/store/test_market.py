"""Market data: whole Parquet files, exact numbers, a hash each, and a crash costs a batch."""

import hashlib
from decimal import Decimal
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from engine.store.database import StoreFailed
from engine.store.market import MarketRecorder

BIDS = ((Decimal("100.01"), Decimal("0.5")), (Decimal("100.00"), Decimal("1.25")))
ASKS = ((Decimal("100.02"), Decimal("0.000000000000000001")),)


def record(recorder: MarketRecorder, count: int) -> None:
    for number in range(count):
        recorder.book("BTCUSDT", number, BIDS, ASKS, 1000 + number, 1001 + number)
        recorder.trade("BTCUSDT", number, Decimal("100.01"), Decimal("0.3"), "BUY", 1000, 1001)


def test_what_was_recorded_is_read_back_exactly(tmp_path: Path) -> None:
    recorder = MarketRecorder(tmp_path, "abcdefabcdef", rows_per_file=4)
    record(recorder, 10)
    files = recorder.close()

    assert [(one.file, one.rows) for one in files] == [
        ("book-000001.parquet", 4),
        ("book-000002.parquet", 4),
        ("book-000003.parquet", 2),
        ("trades-000001.parquet", 4),
        ("trades-000002.parquet", 4),
        ("trades-000003.parquet", 2),
    ]
    for one in files:
        assert hashlib.sha256((tmp_path / one.file).read_bytes()).hexdigest() == one.sha256
    book = pq.read_table([tmp_path / one.file for one in files[:3]])
    assert book.column("update_id").to_pylist() == list(range(10))
    levels = [(level["price"], level["quantity"]) for level in book.column("bids")[0].as_py()]
    assert levels == list(BIDS)
    assert book.column("asks")[9].as_py()[0]["quantity"] == ASKS[0][1]
    assert book.schema.metadata[b"session_id"] == b"abcdefabcdef"
    trades = pq.read_table(tmp_path / files[3].file)
    assert trades.column("price").to_pylist() == [Decimal("100.01")] * 4
    assert trades.schema.field("price").metadata[b"unit"]
    assert recorder.close() == files


def test_nothing_recorded_is_no_file(tmp_path: Path) -> None:
    assert MarketRecorder(tmp_path / "market", "abcdefabcdef").close() == []


def test_after_a_crash_the_files_before_it_are_kept_and_counted_on(tmp_path: Path) -> None:
    crashed = MarketRecorder(tmp_path, "abcdefabcdef", rows_per_file=4)
    record(crashed, 5)
    crashed._writer.shutdown()  # its last row of each kind is never written

    recorder = MarketRecorder(tmp_path, "abcdefabcdef", rows_per_file=4)
    record(recorder, 2)
    files = recorder.close()
    assert [(one.file, one.rows) for one in files] == [
        ("book-000001.parquet", 4),
        ("book-000002.parquet", 2),
        ("trades-000001.parquet", 4),
        ("trades-000002.parquet", 2),
    ]


def test_rows_that_cannot_be_written_are_not_kept_quiet(tmp_path: Path) -> None:
    recorder = MarketRecorder(tmp_path, "abcdefabcdef")
    record(recorder, 1)
    (tmp_path / "book-000001.partial").mkdir()
    with pytest.raises(StoreFailed, match="market data was not written"):
        recorder.close()
