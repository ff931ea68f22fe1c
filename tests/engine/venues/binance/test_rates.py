"""The weight budget: a fifth is kept for cancels, silence is kept when asked for (I13)."""

import pytest

from engine.venues.binance.rates import KNOCK_S, MINUTE_US, Limit, RateBudget

NOON_US = 1_700_000_040 * 1_000_000 // MINUTE_US * MINUTE_US
WEIGHT_HEADER = "X-MBX-USED-WEIGHT-1M"


def of(weight=100, orders_10s=5, orders_day=50, raw=1000):
    return RateBudget(
        [
            Limit("REQUEST_WEIGHT", "MINUTE", 1, weight),
            Limit("ORDERS", "SECOND", 10, orders_10s),
            Limit("ORDERS", "DAY", 1, orders_day),
            Limit("RAW_REQUESTS", "MINUTE", 5, raw),
        ]
    )


def used(weight):
    return {WEIGHT_HEADER: str(weight)}


def window(budget, kind, name, now_us=NOON_US):
    return next(
        (one.used, one.limit)
        for one in budget.reading(now_us).windows
        if (one.kind, one.window) == (kind, name)
    )


def test_nothing_is_shown_before_the_first_header():
    budget = RateBudget()
    assert budget.reading(NOON_US) is None
    budget.answered(used(21), NOON_US)
    assert (budget.reading(NOON_US).used, budget.reading(NOON_US).limit) == (21, 6000)


def test_a_fifth_of_the_limit_is_reserved():
    budget = of()
    budget.answered(used(75), NOON_US)
    assert budget.refuse(5, NOON_US) is None
    assert "kept for cancels" in budget.refuse(6, NOON_US)
    assert budget.refuse_order(NOON_US) is None


def test_requests_on_their_way_count_until_a_header_corrects_them():
    budget = of()
    budget.sent(80, NOON_US)
    assert budget.refuse(1, NOON_US)
    budget.answered(used(3), NOON_US)
    assert budget.refuse(1, NOON_US) is None


def test_the_count_starts_again_with_the_calendar_minute():
    budget = of()
    budget.answered(used(100), NOON_US + MINUTE_US - 1)
    assert budget.refuse(1, NOON_US + MINUTE_US - 1)
    assert budget.refuse(1, NOON_US + MINUTE_US) is None


def test_silence_lasts_as_long_as_asked():
    budget = RateBudget()
    budget.silence(7, NOON_US)
    assert "silence for 7 s" in budget.refuse(1, NOON_US + 1)
    assert budget.refuse_order(NOON_US + 6_999_999)
    assert budget.refuse(1, NOON_US + 7_000_000) is None


def test_the_order_limit_stops_orders_and_not_queries():
    budget = RateBudget()
    budget.no_orders(3600, NOON_US)
    assert "order limit" in budget.refuse_order(NOON_US)
    assert budget.refuse(20, NOON_US) is None


def test_order_counts_come_from_the_headers_and_stop_orders_in_a_short_window():
    budget = of(orders_10s=3)
    told = {**used(1), "X-MBX-ORDER-COUNT-10S": "2", "X-MBX-ORDER-COUNT-1D": "40"}
    budget.answered(told, NOON_US)
    assert window(budget, "ORDERS", "10S") == (2, 3)
    assert window(budget, "ORDERS", "1D") == (40, 50)
    assert budget.refuse_order(NOON_US) is None
    budget.order_sent(NOON_US)
    assert "3 of 3 orders" in budget.refuse_order(NOON_US)
    assert budget.refuse(20, NOON_US) is None
    assert budget.refuse_order(NOON_US + 10_000_000) is None


def test_a_full_day_is_shown_and_left_to_the_venue_to_refuse():
    """Fills give counts back without a word to us: only the venue knows."""
    budget = of(orders_day=3)
    budget.answered({**used(1), "X-MBX-ORDER-COUNT-1D": "3"}, NOON_US)
    assert window(budget, "ORDERS", "1D") == (3, 3)
    assert budget.refuse_order(NOON_US) is None


def test_a_count_that_nobody_told_is_not_zero():
    budget = of()
    budget.answered(used(7), NOON_US)
    assert window(budget, "ORDERS", "10S") == (None, 5)
    assert window(budget, "REQUEST_WEIGHT", "1M") == (7, 100)


def test_raw_requests_are_counted_here_and_held_to_the_same_share():
    budget = of(raw=10)
    for _ in range(8):
        assert budget.refuse(1, NOON_US) is None
        budget.sent(1, NOON_US)
    assert "requests 8 of 10" in budget.refuse(1, NOON_US)
    assert budget.refuse(1, NOON_US + 5 * MINUTE_US) is None


def test_limits_learned_later_keep_what_was_counted():
    budget = RateBudget()
    budget.answered(used(90), NOON_US)
    budget.learn([Limit("REQUEST_WEIGHT", "MINUTE", 1, 100), Limit("X", "FORTNIGHT", 1, 1)])
    assert budget.refuse(1, NOON_US)
    assert (budget.reading(NOON_US).used, budget.reading(NOON_US).limit) == (90, 100)
    budget.learn([])
    assert budget.reading(NOON_US).limit == 100


@pytest.mark.parametrize("lane", ["cancels", "proofs"])
def test_reserved_traffic_goes_into_a_silence_once_and_then_knocks(lane):
    budget = of()
    budget.silence(60, NOON_US)
    assert budget.knock_in_us(lane, NOON_US) == 0
    budget.silence(60, NOON_US, lane)
    assert budget.knock_in_us(lane, NOON_US) == KNOCK_S * 1_000_000
    assert budget.knock_in_us("another lane", NOON_US) == 0
    assert budget.knock_in_us(lane, NOON_US + int(KNOCK_S * 1_000_000)) == 0


def test_the_end_of_the_silence_ends_the_waiting():
    budget = of()
    budget.silence(3, NOON_US, "cancels")
    assert budget.knock_in_us("cancels", NOON_US) == 3_000_000
    assert budget.knock_in_us("cancels", NOON_US + 3_000_000) == 0
    assert budget.refuse(1, NOON_US + 3_000_000) is None
    budget.answered(used(1), NOON_US)
    assert budget.reading(NOON_US + 1_000_000).silent_ms == 2_000
