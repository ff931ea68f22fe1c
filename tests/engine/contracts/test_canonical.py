"""The one byte form: ASCII, sorted, no floats; and a reader that takes nothing else."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.contracts.canonical import canonical, sha256_hex, strict_loads
from engine.contracts.errors import InputError

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)


@given(value=VALUES)
def test_canonical_is_one_ascii_line_and_reads_back(value: Any) -> None:
    raw = canonical(value)
    assert raw.isascii()
    assert b"\n" not in raw
    assert strict_loads(raw, "x") == value


@given(value=st.dictionaries(TEXT, st.integers(0, 9), max_size=6))
def test_order_of_keys_does_not_matter_and_they_come_out_sorted(value: dict[str, int]) -> None:
    backwards = dict(reversed(list(value.items())))
    assert canonical(value) == canonical(backwards)
    assert list(json.loads(canonical(value))) == sorted(value)


def test_structs_and_decimals_have_one_form() -> None:
    class Pair(msgspec.Struct):
        b: Decimal
        a: str

    assert canonical(Pair(b=Decimal("1.50"), a="\u20ac")) == b'{"a":"\\u20ac","b":"1.50"}'


def test_hash_is_of_the_bytes_as_written() -> None:
    assert sha256_hex(b"") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


@pytest.mark.parametrize(
    "document",
    [
        '{"a":1,"a":1}',
        '{"x":{"a":1,"b":2,"a":3}}',
        '{"a":1.0}',
        '{"a":1e3}',
        '{"a":NaN}',
        "[Infinity]",
        "[-Infinity]",
        "{",
        "",
        "{} {}",
        b"\xff\xfe\x00",
    ],
)
def test_duplicates_floats_and_non_json_are_refused_by_name(document: str | bytes) -> None:
    with pytest.raises(InputError) as refused:
        strict_loads(document, "go.json")
    assert refused.value.where == "go.json"
