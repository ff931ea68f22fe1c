"""What is left of each limit, and whether a charter's limits stay inside their ceiling."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from engine.contracts.order import Side
from engine.contracts.session import Limits
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
        session_pnl=Decimal("-25"),
        clock_offset_ms=-50,
    )
    assert (seen["MAX_POSITION"].used, seen["MAX_POSITION"].used_percent) == ("3", 60)
    assert (seen["MAX_OPEN_ORDERS"].used, seen["MAX_OPEN_ORDERS"].limit) == ("2", "4")
    assert (seen["RATE_SECOND"].used, seen["RATE_MINUTE"].used) == ("1", "2")
    assert (seen["RATE_SESSION"].used_percent, seen["SESSION_LOSS"].used_percent) == (10, 25)
    assert (seen["CLOCK_OFFSET"].used, seen["SESSION_LOSS"].unit) == ("50", "USDT")


def test_profit_uses_nothing_of_the_loss_limit(world: Any) -> None:
    assert rows(world, session_pnl=Decimal(7))["SESSION_LOSS"].used == "0"


def test_what_is_not_known_reads_as_full_i12(world: Any) -> None:
    seen = rows(world, position=None, session_pnl=None, book_age_ms=None, clock_offset_ms=None)
    for code in ("MAX_POSITION", "SESSION_LOSS", "DATA_AGE", "CLOCK_OFFSET"):
        assert (seen[code].used, seen[code].used_percent) == ("", 100)
    assert rows(world, instrument=None)["MAX_POSITION"].used_percent == 100


def test_limit_of_zero_is_full(world: Any) -> None:
    seen = rows(world, limits=world.limits(max_open_orders=0))
    assert seen["MAX_OPEN_ORDERS"].used_percent == 100


FIELDS = [field.name for field in msgspec.structs.fields(Limits)]


@pytest.mark.parametrize("field", FIELDS)
def test_each_limit_may_equal_its_ceiling_and_not_exceed_it(world: Any, field: str) -> None:
    ceiling = getattr(world.LIMITS, field)
    assert tighter(world.limits(**{field: ceiling}), world.LIMITS) == ()
    assert tighter(world.limits(**{field: ceiling - 1}), world.LIMITS) == ()
    assert tighter(world.limits(**{field: ceiling + 1}), world.LIMITS) == (field,)
    assert tighter(world.limits(**{field: type(ceiling)(-1)}), world.LIMITS) == (field,)


@pytest.mark.parametrize("value", ["NaN", "sNaN", "Infinity"])
def test_limit_that_is_not_a_number_is_looser(world: Any, value: str) -> None:
    loose = world.limits(max_position=Decimal(value))
    assert tighter(loose, world.LIMITS) == ("max_position",)
    assert tighter(world.LIMITS, loose) == ("max_position",)
