"""Whom to ask about next: fair, ever more seldom, and silent when the venue asks for silence."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from engine.execution.settle.queue import (
    BACKOFF_SECONDS,
    LIMITED_SECONDS,
    SILENT_ANSWERS,
    SILENT_US,
    SettleQueue,
)

SECOND = 1_000_000


def test_an_order_is_asked_for_at_once_and_then_ever_more_seldom() -> None:
    queue = SettleQueue()
    queue.add("a", 0)
    now, gaps = 0, []
    for _ in range(7):
        assert queue.due(now) == ("a",)
        queue.later("a", now)
        wait = queue.wait_seconds(now)
        assert wait is not None
        assert queue.due(now) == ()
        gaps.append(round(wait, 6))
        now += round(wait * SECOND)
    assert gaps == [*BACKOFF_SECONDS, BACKOFF_SECONDS[-1], BACKOFF_SECONDS[-1]]


def test_asking_for_a_waiting_order_again_does_not_make_it_jump_the_queue() -> None:
    queue = SettleQueue()
    queue.add("a", 0)
    for now in (0, 0, 0, 0, 0):
        queue.later("a", now)
    queue.add("a", 0)
    assert queue.due(SECOND) == ()
    assert queue.hurry("a", SECOND)
    assert queue.due(SECOND) == ("a",)
    assert not queue.hurry("stranger", SECOND)


def test_a_refusal_for_the_rate_silences_everybody_twice_as_long_each_time() -> None:
    """Pain 15 (freqtrade #7187, OctoBot #2108): polling past a 429 ends in a ban."""
    queue = SettleQueue()
    queue.add("a", 0)
    now, pauses = 0, []
    for _ in range(8):
        pauses.append(queue.failed(now, limited=True))
        queue.add(f"b{now}", now)
        assert queue.due(now + int(pauses[-1] * SECOND) - 1) == ()
        now += int(pauses[-1] * SECOND)
        assert queue.due(now) != ()
    assert pauses == [1, 2, 4, 8, 16, 32, 32, 32]
    assert pauses[-1] == LIMITED_SECONDS[1]
    queue.answered()
    assert queue.failed(now, limited=True) == LIMITED_SECONDS[0]
    assert queue.failed(now, limited=True, silent_ms=120_000) == 120
    assert queue.due(now + 119 * SECOND) == ()


def test_given_up_only_after_enough_answers_and_enough_time() -> None:
    queue = SettleQueue()
    queue.add("a", 0)
    assert not any(queue.silent("a", 0) for _ in range(SILENT_ANSWERS + 3))  # no time has passed
    assert queue.silent("a", SILENT_US)
    queue.news("a")
    assert not queue.silent("a", 2 * SILENT_US)  # counts from the start again
    assert not queue.silent("a", 4 * SILENT_US)  # long enough, but two answers only
    assert not queue.silent("stranger", SILENT_US)


def test_nobody_waits_and_nobody_is_due_when_all_is_settled() -> None:
    queue = SettleQueue()
    assert queue.wait_seconds(5) is None
    queue.add("a", 5)
    assert (queue.wait_seconds(5), queue.waiting) == (0, ("a",))
    queue.drop("a")
    queue.later("a", 5)
    queue.news("a")
    assert (queue.wait_seconds(5), queue.waiting, queue.due(9)) == (None, (), ())


@given(
    steps=st.lists(
        st.tuples(st.sampled_from("abcdefgh"), st.integers(0, 3 * SECOND), st.booleans()),
        min_size=1,
        max_size=60,
    )
)
def test_who_waited_longest_is_asked_first_and_nobody_is_forgotten(steps: list) -> None:
    """However the rounds fall, each one who is due is named, and in the order of its turn."""
    queue, now = SettleQueue(), 0
    alive: set[str] = set()
    for name, passed, settled in steps:
        now += passed
        queue.add(name, now)
        alive.add(name)
        due = queue.due(now)
        assert set(due) <= alive
        for asked in due[:2]:  # the caller's budget for a round
            if settled:
                queue.drop(asked)
                alive.discard(asked)
            else:
                queue.later(asked, now)
    assert set(queue.waiting) == alive
    for _ in range(len(alive)):
        wait = queue.wait_seconds(now)
        assert wait is not None
        now += round(wait * SECOND) + 1
        first = queue.due(now)[0]
        queue.drop(first)
    assert queue.waiting == ()
