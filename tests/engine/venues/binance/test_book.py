"""The local book: however the events are cut or repeated, the same or a gap."""

import gzip
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.venues.binance.book import Gap, LocalBook, Step
from engine.venues.binance.wire import DepthDiff, DepthSnapshot, decode_depth, decode_market

DATA = Path(__file__).parents[5] / "shared" / "data"
RECORDINGS = ("20240808T2354", "20240809T0000")
EVERYTHING = 10_000


def level(price, quantity):
    return Decimal(price), Decimal(quantity)


def diff(first, last, bids=(), asks=()):
    return DepthDiff(
        event_time=0, symbol="X", first_id=first, last_id=last, bids=tuple(bids), asks=tuple(asks)
    )


def snapshot(last, bids=((99, 1),), asks=((101, 1),)):
    return DepthSnapshot(
        last_update_id=last,
        bids=tuple(level(*one) for one in bids),
        asks=tuple(level(*one) for one in asks),
    )


def contents(book):
    return book.last_id, book.bids(EVERYTHING), book.asks(EVERYTHING)


def synced(last=100):
    book = LocalBook()
    assert book.load(snapshot(last)) is Step.APPLIED
    return book


def test_levels_are_best_first_and_zero_removes():
    book = synced()
    book.add(diff(101, 103, [level(98, 2), level("98.5", 3)], [level(101, 0), level(102, 4)]))
    assert book.bids(2) == (level(99, 1), level("98.5", 3))
    assert book.asks(5) == (level(102, 4),)
    assert book.last_id == 103


def test_old_event_changes_nothing():
    book = synced()
    before = contents(book)
    assert book.add(diff(90, 100, [level(99, 7)])) is Step.OLD
    assert contents(book) == before


def test_event_that_overlaps_the_snapshot_is_applied():
    book = synced()
    assert book.add(diff(95, 101, [level(99, 7)])) is Step.APPLIED
    assert book.bids(1) == (level(99, 7),)


def test_gap_empties_the_book_and_a_newer_snapshot_catches_up():
    book = synced()
    assert isinstance(book.add(diff(102, 103, [level(98, 5)])), Gap)
    assert contents(book) == (None, (), ())
    assert book.add(diff(104, 105, [level(97, 6)])) is Step.BUFFERED
    assert book.load(snapshot(102)) is Step.APPLIED
    assert book.last_id == 105
    assert book.bids(3) == (level(99, 1), level(98, 5), level(97, 6))


def test_snapshot_older_than_the_buffer_is_a_gap_and_the_buffer_is_kept():
    book = LocalBook()
    book.add(diff(105, 106, [level(98, 5)]))
    book.add(diff(107, 108, [level(97, 5)]))
    assert isinstance(book.load(snapshot(100)), Gap)
    assert book.load(snapshot(104)) is Step.APPLIED
    assert book.last_id == 108


def test_crossed_book_is_a_gap():
    book = synced()
    assert isinstance(book.add(diff(101, 101, [level(101, 1)])), Gap)
    assert contents(book) == (None, (), ())


def test_crossed_snapshot_is_a_gap_and_the_buffer_is_kept():
    book = LocalBook()
    book.add(diff(105, 106, [level(98, 5)]))
    assert isinstance(book.load(snapshot(105, bids=((102, 1),))), Gap)
    assert contents(book) == (None, (), ())
    assert book.load(snapshot(105)) is Step.APPLIED
    assert book.last_id == 106


# One update a change: (is_bid, offset from the middle, quantity), bids under 1000, asks above.
CHANGES = st.lists(
    st.tuples(st.booleans(), st.integers(1, 6), st.integers(0, 3)), min_size=1, max_size=40
)


def price_of(change):
    is_bid, offset, _ = change
    return Decimal(1000 - offset if is_bid else 1000 + offset)


def merge(changes, first, last):
    """The event that the venue sends for updates first..last: the final quantity of each level."""
    bids, asks = {}, {}
    for change in changes[first - 1 : last]:
        (bids if change[0] else asks)[price_of(change)] = Decimal(change[2])
    return diff(first, last, bids.items(), asks.items())


def truth(changes, upto):
    bids, asks = {}, {}
    for change in changes[:upto]:
        (bids if change[0] else asks)[price_of(change)] = Decimal(change[2])
    live_bids = sorted(((p, q) for p, q in bids.items() if q), reverse=True)
    live_asks = sorted((p, q) for p, q in asks.items() if q)
    return tuple(live_bids), tuple(live_asks)


@given(CHANGES, st.data())
def test_any_cut_and_repetition_gives_the_same_book_or_a_gap(changes, data):
    """I2: after every event the book is exactly what the venue had at that id, or it is empty."""
    total = len(changes)
    stands = data.draw(st.integers(0, total), label="snapshot")
    bids, asks = truth(changes, stands)
    book = LocalBook()
    book.load(DepthSnapshot(last_update_id=stands, bids=bids, asks=asks))
    for _ in range(data.draw(st.integers(1, 12), label="events")):
        first = data.draw(st.integers(1, total), label="U")
        last = data.draw(st.integers(first, total), label="u")
        before = book.last_id
        outcome = book.add(merge(changes, first, last))
        if isinstance(outcome, Gap):
            assert first > before + 1
            assert contents(book) == (None, (), ())
            return
        assert book.last_id == max(before, last)
        assert (book.bids(EVERYTHING), book.asks(EVERYTHING)) == truth(changes, book.last_id)


@given(CHANGES, st.data())
def test_complete_stream_in_any_cut_with_duplicates_ends_at_the_venues_book(changes, data):
    total = len(changes)
    cuts = sorted(data.draw(st.sets(st.integers(1, total)), label="cuts") | {total})
    events = [
        merge(changes, first + 1, last) for first, last in zip([0, *cuts], cuts, strict=False)
    ]
    late = data.draw(st.integers(0, len(events)), label="events before the snapshot")
    stands = data.draw(
        st.integers(events[0].first_id - 1, events[late - 1].last_id if late else 0), label="stands"
    )
    book = LocalBook()
    for event in events[:late]:
        assert book.add(event) is Step.BUFFERED
    bids, asks = truth(changes, stands)
    assert book.load(DepthSnapshot(last_update_id=stands, bids=bids, asks=asks)) is Step.APPLIED
    for event in events[late:]:
        assert not isinstance(book.add(event), Gap)
        assert book.add(event) is Step.OLD
    assert contents(book) == (total, *truth(changes, total))


@pytest.mark.data
def test_real_recording_keeps_in_step_with_the_venues_own_top():
    """6,493 events without a gap, and bookTicker equals the book wherever both have the same id."""
    files = [DATA / f"binance_spot_BTCUSDT_{name}_raw.txt.gz" for name in RECORDINGS]
    if not all(file.exists() for file in files):
        pytest.skip("the recorded market data is not here")
    book, applied, compared, tops = LocalBook(), 0, 0, {}
    for file in files:
        for line in gzip.decompress(file.read_bytes()).decode().splitlines():
            text = line.split(" ", 1)[1]
            if '"lastUpdateId"' in text:
                assert book.load(decode_depth(text.encode())) is Step.APPLIED
            elif "@bookTicker" in text:
                ticker = msgspec.json.decode(text)["data"]
                tops[ticker["u"]] = tuple(Decimal(ticker[key]) for key in "bBaA")
            elif isinstance(event := decode_market(text), DepthDiff):
                outcome = book.add(event)
                assert not isinstance(outcome, Gap)
                applied += outcome is Step.APPLIED
                if outcome is Step.APPLIED and event.last_id in tops:
                    assert (*book.bids(1)[0], *book.asks(1)[0]) == tops[event.last_id]
                    compared += 1
    assert applied >= 6490
    assert compared == 1072
