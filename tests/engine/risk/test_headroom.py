"""What is left of each limit, and whether a charter's limits stay inside their ceiling."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from engine.contracts.order import Side
from engine.contracts.session import LONGER_IS_TIGHTER, Limits
from engine.risk.limits import headroom, tighter


def rows(world: Any, **facts: Any) -> dict[str, Any]:
    return {row.code: row for row in headroom(world.facts(**facts))}


def test_headroom_counts_what_is_used(world: Any) -> None:
    now = world.NOW
    seen = rows(
        world,
        position=Decimal(-1),
        open_orders=(world.open_order(Side.SELL, "2"), world.open_order(Side.BUY, "1")),
        recent_submits_us=(now - 30_000_000, now - 10),
        session_orders=5,
        clock_offset_ms=-50,
    )
    assert (seen["MAX_POSITION"].used, seen["MAX_POSITION"].used_percent) == ("3", 60)
    assert (seen["MAX_OPEN_ORDERS"].used, seen["MAX_OPEN_ORDERS"].limit) == ("2", "4")
    assert (seen["RATE_SECOND"].used, seen["RATE_MINUTE"].used) == ("1", "2")
    assert (seen["RATE_SESSION"].used_percent, seen["CLOCK_OFFSET"].used) == (10, "50")


def test_headroom_counts_exposure_conduct_and_cooldowns(world: Any) -> None:
    now, s = world.NOW, 1_000_000
    eth = world.exposure(symbol="ETHUSDT", base="ETH", longest=Decimal(-2), shortest=Decimal(3))
    seen = rows(
        world,
        exposures=(world.exposure(longest=Decimal(1), mark=Decimal(100)), eth),
        recent_submits_us=(now, now),
        recent_cancels_us=(now - 61 * s, now - 1),
        recent_losses_us=(now - 27 * s + 1,),
        recent_rejects_us=(now - 10 * s,) * 3,
        day_orders=6,
        day_cancels=3,
    )
    used = {code: (row.used, row.limit, row.used_percent) for code, row in seen.items()}
    assert used["MAX_GROSS"] == ("400.3", "1001", 39)
    assert used["MAX_NET"] == ("300.3", "1001", 30)
    assert used["MAX_ASSET"] == ("100", "1001", 9)
    assert used["RATE_DAY"] == ("6", "60", 10)
    assert used["RATE_MESSAGES"] == ("3", "8", 37)
    assert used["CANCEL_RATIO"] == ("3", "9", 33)
    assert used["COOLDOWN_LOSS"] == ("4", "30", 13)
    assert used["COOLDOWN_REJECTS"] == ("10", "20", 50)


def test_exposure_that_is_not_known_reads_as_full_i12(world: Any) -> None:
    seen = rows(world, exposures=(world.exposure(longest=Decimal(1), mark=None),))
    for code in ("MAX_GROSS", "MAX_NET", "MAX_ASSET"):
        assert (seen[code].used, seen[code].used_percent) == ("", 100)


def test_exposure_both_ways_below_nothing_is_nothing(world: Any) -> None:
    hedged = world.exposure(longest=Decimal(-1), shortest=Decimal(-1))
    assert rows(world, exposures=(hedged,))["MAX_NET"].used == "0"


def test_cooldown_of_no_length_says_nothing(world: Any) -> None:
    seen = rows(world, limits=world.limits(cooldown_loss_seconds=0))
    assert "COOLDOWN_LOSS" not in seen
    assert seen["COOLDOWN_REJECTS"].used == "0"


def test_what_is_not_known_reads_as_full_i12(world: Any) -> None:
    seen = rows(world, position=None, book_age_ms=None, clock_offset_ms=None)
    for code in ("MAX_POSITION", "DATA_AGE", "CLOCK_OFFSET"):
        assert (seen[code].used, seen[code].used_percent) == ("", 100)
    assert rows(world, instrument=None)["MAX_POSITION"].used_percent == 100


def test_limit_of_zero_is_full(world: Any) -> None:
    seen = rows(world, limits=world.limits(max_open_orders=0))
    assert seen["MAX_OPEN_ORDERS"].used_percent == 100


FIELDS = [
    field.name for field in msgspec.structs.fields(Limits) if field.name not in LONGER_IS_TIGHTER
]


@pytest.mark.parametrize("field", FIELDS)
def test_each_limit_may_equal_its_ceiling_and_not_exceed_it(world: Any, field: str) -> None:
    ceiling = getattr(world.LIMITS, field)
    assert tighter(world.limits(**{field: ceiling}), world.LIMITS) == ()
    assert tighter(world.limits(**{field: ceiling - 1}), world.LIMITS) == ()
    assert tighter(world.limits(**{field: ceiling + 1}), world.LIMITS) == (field,)
    assert tighter(world.limits(**{field: type(ceiling)(-1)}), world.LIMITS) == (field,)


@pytest.mark.parametrize("field", sorted(LONGER_IS_TIGHTER))
def test_cooldown_may_be_longer_than_its_floor_and_not_shorter(world: Any, field: str) -> None:
    floor = getattr(world.LIMITS, field)
    assert tighter(world.limits(**{field: floor}), world.LIMITS) == ()
    assert tighter(world.limits(**{field: floor + 1}), world.LIMITS) == ()
    assert tighter(world.limits(**{field: floor - 1}), world.LIMITS) == (field,)


@pytest.mark.parametrize("field", FIELDS)
def test_limit_of_zero_is_as_tight_as_can_be(world: Any, field: str) -> None:
    zero = type(getattr(world.LIMITS, field))(0)
    assert tighter(world.limits(**{field: zero}), world.LIMITS) == ()


@pytest.mark.parametrize("value", ["NaN", "sNaN", "Infinity"])
def test_limit_that_is_not_a_number_is_looser(world: Any, value: str) -> None:
    loose = world.limits(max_position=Decimal(value))
    assert tighter(loose, world.LIMITS) == ("max_position",)
    assert tighter(world.LIMITS, loose) == ("max_position",)
