"""The deepest drawdown of a session at its own fills: it stays when equity recovers."""

from __future__ import annotations

from typing import Any

import pytest

from engine.contracts.order import Side
from tests.engine.risk.test_breakers import Story


@pytest.fixture
def story(world: Any) -> Story:
    made = Story(world)
    made.charter()
    return made


def test_it_is_not_known_before_equity_is(story: Story) -> None:
    assert story.book.deepest_bps is None
    story.balance("0")
    assert story.book.deepest_bps is None
    story.balance("1000")
    assert story.book.deepest_bps == 0


def test_the_deepest_fall_stays_when_equity_recovers(story: Story) -> None:
    story.balance("1000")
    story.trip("100", "90")
    assert story.book.deepest_bps == 100
    story.trip("100", "105")
    story.trip("100", "98")
    assert story.book.deepest_bps == 100
    story.trip("100", "85")
    assert story.book.deepest_bps == 220
    story.trip("100", "150")
    assert story.book.deepest_bps == 220


def test_a_later_fall_of_the_same_money_from_a_higher_peak_is_smaller(story: Story) -> None:
    story.balance("100")
    story.trip("100", "90")
    story.trip("100", "210")
    assert story.book.peak == 200
    story.trip("100", "85")
    assert story.book.deepest_bps == 1000
    story.trip("100", "90")
    assert story.book.deepest_bps == 1250


def test_a_part_of_a_basis_point_is_rounded_up(story: Story) -> None:
    story.balance("300000")
    story.trip("100", "99")
    assert story.book.deepest_bps == 1


def test_a_new_session_begins_without_a_fall(story: Story) -> None:
    story.balance("1000")
    story.trip("100", "90")
    story.charter("b")
    assert story.book.deepest_bps is None
    story.balance("1000")
    assert story.book.deepest_bps == 0
    story.fill(Side.BUY, "1", "100")
    assert story.refolded().deepest_bps == story.book.deepest_bps == 0
