"""A drill is passed when everything was measured and holds; nothing else is a pass."""

from __future__ import annotations

import pytest

from engine.ops.drills import Criterion, judge


def criterion(bound: str, value: int, measure: str = "ms") -> Criterion:
    return Criterion(measure=measure, bound=bound, value=value)


@pytest.mark.parametrize(
    ("bound", "inside", "outside"),
    [("at_most", (4, 5), (6,)), ("at_least", (5, 6), (4,)), ("exactly", (5,), (4, 6))],
)
def test_bounds_are_inclusive(
    bound: str, inside: tuple[int, ...], outside: tuple[int, ...]
) -> None:
    assert all(criterion(bound, 5).holds(value) for value in inside)
    assert not any(criterion(bound, 5).holds(value) for value in outside)


def test_an_unknown_bound_holds_nothing() -> None:
    assert not criterion("around", 5).holds(5)


def test_all_measured_and_held_is_a_pass() -> None:
    result = judge("d", [criterion("at_most", 5), criterion("exactly", 0, "n")], {"ms": 5, "n": 0})
    assert result.passed
    assert [row.passed for row in result.rows] == [True, True]


def test_what_was_not_measured_fails() -> None:
    result = judge("d", [criterion("at_least", 0)], {})
    assert not result.passed
    assert result.rows[0].measured is None


def test_a_fault_is_no_pass_whatever_was_measured() -> None:
    assert not judge("d", [criterion("at_most", 5)], {"ms": 1}, "the engine did not come up").passed


def test_no_criteria_is_no_pass() -> None:
    assert not judge("d", [], {"ms": 1}).passed


def test_a_free_measure_is_shown_and_decides_nothing() -> None:
    result = judge("d", [criterion("at_most", 5)], {"ms": 1, "orders": 9})
    assert result.passed
    assert result.rows[1].bound == ""
