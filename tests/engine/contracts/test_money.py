"""Money in and out as plain decimal text, digits kept."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.contracts.errors import InputError
from engine.contracts.money import is_multiple, parse_decimal, plain, round_down_to, to_text

MONEY = st.decimals(
    "-9999999999999999999999", "9999999999999999999999", places=18, allow_nan=False
) | st.integers(-(10**27), 10**27).map(Decimal)


@given(value=MONEY)
def test_money_survives_writing_and_reading(value: Decimal) -> None:
    assert parse_decimal(to_text(value), "x") == value


@given(value=MONEY, shift=st.integers(-6, 6))
def test_written_money_has_no_exponent_and_no_spare_zero(value: Decimal, shift: int) -> None:
    value = value.scaleb(shift)
    for text in (to_text(value), str(plain(value)) if plain(value).adjusted() > -7 else "0"):
        assert "E" not in text.upper()
        assert not ("." in text and text.endswith("0"))
    assert plain(value) == value or len(value.as_tuple().digits) > 40


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("1E+3", "1000"),
        ("0E-18", "0"),
        ("-0", "0"),
        ("1E-18", "0.000000000000000001"),
        ("100.00", "100"),
        ("-12.50", "-12.5"),
    ],
)
def test_money_is_written_plainly(value: str, text: str) -> None:
    assert to_text(Decimal(value)) == text


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "1e3", "1E-3", "+1", "--1", "01", ".5", "5.", "1,5", "NaN", "Infinity", "1_000",
        " 1", "1 ", "1\n", "\u0661", "0." + "1" * 19, "1" * 29,
    ],
)  # fmt: skip
def test_anything_but_plain_digits_is_refused_by_its_place(text: str) -> None:
    with pytest.raises(InputError) as refused:
        parse_decimal(text, "order.price")
    assert refused.value.where == "order.price"


@given(units=st.integers(0, 10**12), step=st.sampled_from(["0.01", "0.00001", "5", "0.25"]))
def test_multiples_of_a_step_are_known_and_rounding_down_finds_them(units: int, step: str) -> None:
    size = Decimal(step)
    value = units * size
    assert is_multiple(value, size)
    assert not is_multiple(value + size / 5, size)
    assert round_down_to(value + size / 5, size) == value
