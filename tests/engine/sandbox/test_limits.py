from __future__ import annotations

import pytest

from engine.sandbox.errors import VenueError
from engine.sandbox.limits import Limits

MINUTE_US = 60_000_000
#: The first µs of a minute.
START_US = 28_000_000 * MINUTE_US


def limits() -> Limits:
    return Limits(weight_minute=10, orders_10s=6, orders_day=100)


def test_over_the_weight_is_429_until_the_minute_ends() -> None:
    counted = limits()
    counted.charge("a", 10, START_US)
    with pytest.raises(VenueError) as caught:
        counted.charge("a", 1, START_US + 20_000_000)
    assert (caught.value.status, caught.value.code, caught.value.retry_after) == (429, -1003, 40)
    assert counted.charge("b", 1, START_US) == 1
    assert counted.charge("a", 1, START_US + MINUTE_US) == 1


def test_going_on_against_429_is_a_ban_that_outlasts_the_minute() -> None:
    counted = limits()
    counted.charge("a", 10, START_US)
    for _ in range(21):
        with pytest.raises(VenueError):
            counted.charge("a", 1, START_US)
    with pytest.raises(VenueError) as caught:
        counted.charge("a", 1, START_US + MINUTE_US)
    assert caught.value.status == 418
    assert caught.value.retry_after is not None
    assert counted.charge("a", 1, START_US + 3 * MINUTE_US) == 1


def test_orders_count_unfilled_ones() -> None:
    counted = limits()
    for _ in range(6):
        counted.count_order("a", START_US)
    with pytest.raises(VenueError) as caught:
        counted.count_order("a", START_US)
    assert (caught.value.status, caught.value.code) == (429, -1015)

    counted.uncount_order("a", START_US, 5)

    assert counted.order_counts("a", START_US) == (1, 1)
    assert counted.order_counts("a", START_US + 10_000_000) == (0, 1)
