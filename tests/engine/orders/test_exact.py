"""Arithmetic that loses no digit, against fractions."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.orders.exact import SCALE, add, multiply, share, subtract, tidy, usable

AMOUNTS = st.decimals(allow_nan=False, allow_infinity=False).filter(usable)


@given(left=AMOUNTS, right=AMOUNTS)
def test_sum_difference_and_product_are_exact(left: Decimal, right: Decimal) -> None:
    assert Fraction(add(left, right)) == Fraction(left) + Fraction(right)
    assert Fraction(subtract(left, right)) == Fraction(left) - Fraction(right)
    assert Fraction(multiply(left, right)) == Fraction(left) * Fraction(right)


@given(whole=AMOUNTS, part=AMOUNTS, of=AMOUNTS)
def test_share_is_within_half_a_unit_of_its_scale(
    whole: Decimal, part: Decimal, of: Decimal
) -> None:
    result = share(whole, part, of)
    if part == 0 or of == 0:
        assert result == 0
    else:
        exact = Fraction(whole) * Fraction(part) / Fraction(of)
        assert abs(Fraction(result) - exact) <= Fraction(SCALE) / 2


@given(value=AMOUNTS)
def test_tidy_keeps_the_number_and_drops_spare_zeros(value: Decimal) -> None:
    tidied = tidy(value)
    assert tidied == value
    exponent = tidied.as_tuple().exponent
    assert isinstance(exponent, int)
    assert exponent <= 0
    assert exponent == 0 or tidied.as_tuple().digits[-1] != 0


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0", True), ("0E-30", True), ("1E+40", True), ("1E+41", False), ("1E-40", True),
        ("1E-41", False), ("NaN", False), ("sNaN", False), ("-Infinity", False),
        ("1." + "1" * 88, True), ("1." + "1" * 89, False),
    ],
)  # fmt: skip
def test_amounts_that_would_not_stay_exact_are_not_usable(text: str, expected: bool) -> None:
    assert usable(Decimal(text)) is expected
