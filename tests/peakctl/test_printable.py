"""Text from outside cannot move the cursor, hide itself or turn its direction."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from peakctl.client.printable import printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("BTCUSDT", "BTCUSDT"),
        ("Zoë Łukasz 東京", "Zoë Łukasz 東京"),
        ("a\x1b[2Jb", "a\\x1b[2Jb"),
        ("abc\u202edcba", "abc\\u202edcba"),
        ("two\nlines", "two\\x0alines"),
        ("zero\u200bwidth", "zero\\u200bwidth"),
        ("tag\U000e0041", "tag\\U000e0041"),
    ],
)
def test_what_a_terminal_could_act_on_is_escaped(text: str, shown: str) -> None:
    assert printable(text) == shown


@given(st.text())
def test_the_result_is_always_printable(text: str) -> None:
    assert printable(text).isprintable()


def test_a_kept_newline_stays() -> None:
    assert printable("a\nb\x1b", keep="\n") == "a\nb\\x1b"
