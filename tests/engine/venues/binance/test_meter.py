"""Counters of a stream, without a stream."""

from engine.venues.binance.meter import KEPT, StreamMeter
from engine.venues.binance.seen import Seen


def meter():
    now = [1_000_000]
    return StreamMeter("user", lambda: now[0]), now


def test_nothing_is_known_before_anything_came():
    quality = meter()[0].quality()
    assert (quality.connected, quality.age_ms, quality.latency_p50_ms) == (False, None, None)
    assert (quality.messages, quality.reconnects) == (0, 0)


def test_percentiles_are_nearest_ranks_of_the_last_events():
    stream, _ = meter()
    for delay_ms in (*[9_999] * 50, *range(1, KEPT + 1)):
        stream.event(delay_ms * 1000)
    quality = stream.quality()
    assert quality.messages == KEPT + 50
    assert quality.latency_p50_ms == KEPT // 2
    assert quality.latency_p95_ms == -(-KEPT * 95 // 100)
    assert quality.latency_p99_ms == -(-KEPT * 99 // 100)


def test_a_delay_below_zero_is_the_error_of_the_clock():
    stream, _ = meter()
    stream.event(-3_000)
    assert stream.quality().latency_p50_ms == 0


def test_age_counts_from_the_last_message_of_any_kind():
    stream, now = meter()
    stream.up()
    now[0] += 250_000
    assert stream.quality().age_ms == 250
    stream.heard()
    assert stream.quality().age_ms == 0


def test_every_connection_after_the_first_is_a_reconnect():
    stream, _ = meter()
    for _ in range(3):
        stream.up()
        stream.down()
    assert (stream.quality().reconnects, stream.quality().connected) == (2, False)


def test_seen_forgets_the_oldest():
    seen = Seen(2)
    assert [seen.again(key) for key in (1, 1, 2, 3, 1)] == [False, True, False, False, False]
    assert 3 in seen
    seen.clear()
    assert 3 not in seen
