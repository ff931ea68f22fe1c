"""Who counts as attending, and since when nobody does."""

from __future__ import annotations

import pytest

from engine.execution.guard import Attendance
from engine.execution.limits.facts import Readings


class Clock:
    us = 0

    def __call__(self) -> int:
        return self.us


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def attendance(clock: Clock) -> Attendance:
    return Attendance(Readings(), clock)


def test_silence_counts_from_the_start(attendance: Attendance, clock: Clock) -> None:
    clock.us = 7
    assert attendance.silent_us("alice") == 7


def test_a_connected_console_is_never_silent(attendance: Attendance, clock: Clock) -> None:
    attendance.heard("a", "alice")
    clock.us = 10**9
    assert attendance.silent_us("alice") == 0
    assert attendance.people() == {"alice"}


def test_silence_begins_when_the_last_console_goes(attendance: Attendance, clock: Clock) -> None:
    attendance.heard("a", "alice")
    attendance.heard("b", "alice")
    clock.us = 5
    attendance.gone("a")
    assert attendance.silent_us("alice") == 0
    attendance.gone("b")
    attendance.gone("b")
    clock.us = 9
    assert attendance.silent_us("alice") == 4


def test_another_operator_s_console_does_not_attend(attendance: Attendance, clock: Clock) -> None:
    """The session's own operator left; that somebody else sits there must not hide it."""
    attendance.heard("a", "alice")
    attendance.heard("c", "carol")
    attendance.gone("a")
    clock.us = 60_000_000
    assert attendance.silent_us("alice") == 60_000_000


def test_only_another_operator_was_ever_there(attendance: Attendance, clock: Clock) -> None:
    attendance.heard("c", "carol")
    clock.us = 60_000_000
    assert attendance.silent_us("alice") == 60_000_000
