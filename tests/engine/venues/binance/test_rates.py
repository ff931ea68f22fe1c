"""The weight budget: a fifth is kept for cancels, silence is kept when asked for (I13)."""

from engine.venues.binance.rates import MINUTE_US, RateBudget

NOON_US = 1_700_000_040 * 1_000_000 // MINUTE_US * MINUTE_US


def test_nothing_is_shown_before_the_first_header():
    budget = RateBudget()
    assert budget.reading(NOON_US) is None
    budget.answered(21, NOON_US)
    assert (budget.reading(NOON_US).used, budget.reading(NOON_US).limit) == (21, 6000)


def test_a_fifth_of_the_limit_is_reserved():
    budget = RateBudget(limit=100)
    budget.answered(75, NOON_US)
    assert budget.refuse(5, NOON_US) is None
    assert "kept for cancels" in budget.refuse(6, NOON_US)
    assert budget.refuse_order(NOON_US) is None


def test_requests_on_their_way_count_until_a_header_corrects_them():
    budget = RateBudget(limit=100)
    budget.sent(80, NOON_US)
    assert budget.refuse(1, NOON_US)
    budget.answered(3, NOON_US)
    assert budget.refuse(1, NOON_US) is None


def test_the_count_starts_again_with_the_calendar_minute():
    budget = RateBudget(limit=100)
    budget.answered(100, NOON_US + MINUTE_US - 1)
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
