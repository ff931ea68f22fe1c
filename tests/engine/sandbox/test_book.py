from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from engine.sandbox.book import BUY, SELL, Book


@dataclass(eq=False)
class Resting:
    side: int
    price: int
    remaining: int


def test_best_price_first_then_first_come_first_served() -> None:
    book: Book[Resting] = Book()
    first, second, worse = Resting(BUY, 100, 5), Resting(BUY, 100, 7), Resting(BUY, 99, 1)
    for order in (worse, first, second):
        book.add(order)

    assert book.front(BUY) is first
    book.reduce(first, 5)
    assert book.front(BUY) is second
    book.remove(second)
    assert book.front(BUY) is worse


def test_canceled_order_in_the_middle_is_skipped() -> None:
    book: Book[Resting] = Book()
    orders = [Resting(SELL, 100, size) for size in (1, 2, 3)]
    for order in orders:
        book.add(order)

    book.remove(orders[1])
    book.reduce(orders[0], 1)

    assert book.front(SELL) is orders[2]
    assert book.asks.top(5) == [(100, 3)]


def test_each_change_of_a_level_counts_one_update() -> None:
    book: Book[Resting] = Book()
    order = Resting(BUY, 100, 5)
    book.add(order)
    book.reduce(order, 2)
    book.grow(order, 1)
    book.remove(order)

    assert book.update_id == 4
    assert book.drain() == {(BUY, 100)}
    assert book.drain() == set()
    assert book.front(BUY) is None


@given(
    st.lists(
        st.tuples(st.sampled_from((BUY, SELL)), st.integers(1, 9), st.integers(1, 50)), max_size=40
    ),
    st.lists(st.tuples(st.integers(0, 39), st.integers(1, 50)), max_size=60),
)
def test_levels_are_the_sum_of_what_remains(
    adds: list[tuple[int, int, int]], reductions: list[tuple[int, int]]
) -> None:
    book: Book[Resting] = Book()
    orders = [Resting(*add) for add in adds]
    for order in orders:
        book.add(order)
    for index, quantity in reductions:
        if index < len(orders) and orders[index].remaining:
            book.reduce(orders[index], min(quantity, orders[index].remaining))

    for sign in (BUY, SELL):
        expected: dict[int, int] = {}
        for order in orders:
            if order.side == sign and order.remaining:
                expected[order.price] = expected.get(order.price, 0) + order.remaining
        ordered = sorted(expected.items(), reverse=sign == BUY)
        assert book.side(sign).top(100) == ordered
        alive = [o for o in orders if o.side == sign and o.remaining]
        front = book.front(sign)
        if alive:
            assert front is min(alive, key=lambda o: (-o.price * sign, orders.index(o)))
        else:
            assert front is None
