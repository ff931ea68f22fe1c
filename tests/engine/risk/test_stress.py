"""Stress: exact figures, worst first, and nothing left out in silence."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from engine.risk.stress import EVERY, Exposed, Shock, stress


def shock(name: str, **moves: str) -> Shock:
    table = {key.replace("every", EVERY): Decimal(value) for key, value in moves.items()}
    return Shock(name=name, kind="hypothetical", text=name, moves=table)


LONG = Exposed(symbol="BTCUSDT", quantity=Decimal("0.5"), price=Decimal("60000"))
SHORT = Exposed(symbol="ETHUSDT", quantity=Decimal(-2), price=Decimal("2500"))


def test_a_long_loses_what_the_price_falls() -> None:
    (result,) = stress([LONG], [shock("fall", BTCUSDT="-0.157511")])
    assert result.profit == Decimal("-4725.33")
    assert result.parts == {"BTCUSDT": Decimal("-4725.33")}


def test_worst_first_and_a_short_gains() -> None:
    results = stress([SHORT], [shock("fall", every="-0.1"), shock("rise", every="0.1")])
    assert [(one.shock, one.profit) for one in results] == [("rise", -500), ("fall", 500)]


def test_a_position_that_the_shock_does_not_name_is_not_called_unmoved() -> None:
    (result,) = stress([LONG, SHORT], [shock("half", BTCUSDT="-0.5")])
    assert result.not_covered == ("ETHUSDT",)
    assert set(result.parts) == {"BTCUSDT"}


def test_a_price_does_not_fall_below_zero() -> None:
    (result,) = stress([LONG], [shock("absurd", every="-3")])
    assert result.profit == -30_000


def test_no_position_no_loss_and_nothing_uncovered() -> None:
    flat = Exposed(symbol="BTCUSDT", quantity=Decimal(0), price=Decimal(60000))
    (result,) = stress([flat], [shock("fall", ETHUSDT="-0.5")])
    assert (result.profit, result.not_covered) == (0, ())


@given(
    quantity=st.decimals(-1000, 1000, places=5),
    price=st.decimals("0.01", 100_000, places=2),
    move=st.decimals(-1, 3, places=6),
)
def test_the_parts_add_up_to_the_last_digit(
    quantity: Decimal, price: Decimal, move: Decimal
) -> None:
    positions = [Exposed(symbol=name, quantity=quantity, price=price) for name in ("A", "B")]
    (result,) = stress(positions, [shock("any", every=str(move))])
    assert result.profit == sum(result.parts.values(), Decimal(0))
    assert result.profit == 2 * quantity * price * move or abs(quantity) < Decimal("1E-9")
