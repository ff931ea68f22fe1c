"""A key that worked and is refused again and again: a sign; a key that never worked is not."""

from __future__ import annotations

from engine.venues.binance.key_standing import IN_A_ROW, KeyStanding


def refused(standing: KeyStanding, times: int, code: str = "-2015") -> None:
    for number in range(times):
        standing.heard(code, 100 + number)


def test_several_refusals_in_a_row_of_a_key_that_worked_count_from_the_first() -> None:
    standing = KeyStanding()
    standing.taken()
    refused(standing, IN_A_ROW - 1)
    assert standing.refused_since_us is None
    refused(standing, 1)
    assert standing.refused_since_us == 100


def test_a_key_that_never_worked_is_a_mistake_and_no_sign() -> None:
    standing = KeyStanding()
    refused(standing, 10)
    assert standing.refused_since_us is None


def test_one_success_ends_it_and_other_refusals_do_not_count() -> None:
    standing = KeyStanding()
    standing.taken()
    refused(standing, IN_A_ROW)
    standing.taken()
    assert standing.refused_since_us is None
    refused(standing, 10, "-1021")
    assert standing.refused_since_us is None
