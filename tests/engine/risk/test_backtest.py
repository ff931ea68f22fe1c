"""The tests of a value at risk's exceptions, against tables, scipy and long samples."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from engine.contracts.errors import InputError
from engine.risk import backtest as module
from engine.risk.backtest import LikelihoodRatio, backtest, basel_zone, christoffersen, kupiec


def series(observations: int, *hits: int) -> list[bool]:
    return [place in hits for place in range(observations)]


@pytest.mark.parametrize(
    ("exceptions", "zone"),
    [(0, "green"), (4, "green"), (5, "yellow"), (9, "yellow"), (10, "red"), (25, "red")],
)
def test_basel_zones_of_a_year_at_99_percent(exceptions: int, zone: str) -> None:
    assert basel_zone(250, exceptions, 0.01)[0] == zone


def test_basel_probabilities_are_those_of_the_committees_table() -> None:
    """Cumulative probabilities of table 2 of the 1996 framework, in percent."""
    seen = [round(100 * basel_zone(250, count, 0.01)[1], 2) for count in range(11)]
    assert seen[:5] == [8.11, 28.58, 54.32, 75.81, 89.22]
    assert seen[5:] == [95.88, 98.63, 99.60, 99.89, 99.97, 99.99]


@given(st.integers(1, 2_000), st.data(), st.sampled_from([0.01, 0.025, 0.05]))
def test_the_zones_probability_is_scipys_binomial(
    observations: int, data: st.DataObject, rate: float
) -> None:
    hits = data.draw(st.integers(0, min(observations, 200)))
    expected = stats.binom.cdf(hits, observations, rate)
    assert basel_zone(observations, hits, rate)[1] == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(("name", "hits", "zone"), [("GREEN", 4, "yellow"), ("YELLOW", 9, "red")])
def test_a_zone_ends_below_its_limit(
    monkeypatch: pytest.MonkeyPatch, name: str, hits: int, zone: str
) -> None:
    monkeypatch.setattr(module, f"{name}_BELOW", basel_zone(250, hits, 0.01)[1])
    assert basel_zone(250, hits, 0.01)[0] == zone


def test_a_p_value_of_five_percent_is_as_expected() -> None:
    test = LikelihoodRatio(statistic=3.84, p_value=0.05)
    assert module._direction(250, 9, 0.01, test) == "as expected"


def test_five_expected_exceptions_and_a_year_of_days_are_enough() -> None:
    assert not any("expected" in one for one in backtest(series(500, 1), 0.01).warnings)
    assert not any("observations" in one for one in backtest(series(250, 1), 0.01).warnings)
    assert any("observations" in one for one in backtest(series(249, 1), 0.01).warnings)


def test_kupiec_is_zero_at_the_expected_rate() -> None:
    assert kupiec(1_000, 10, 0.01).statistic == pytest.approx(0.0, abs=1e-9)
    assert kupiec(1_000, 10, 0.01).p_value == pytest.approx(1.0)


@pytest.mark.parametrize("exceptions", [0, 1, 7, 20, 250])
def test_kupiecs_p_value_is_scipys(exceptions: int) -> None:
    test = kupiec(250, exceptions, 0.01)
    assert test.p_value == pytest.approx(stats.chi2.sf(test.statistic, 1), rel=1e-9)


def test_kupiec_by_a_worked_figure() -> None:
    """n = 255, x = 20, p = 5 %: -2 [235 ln .95 + 20 ln .05 - 235 ln(235/255) - 20 ln(20/255)]."""
    expected = -2 * (
        235 * math.log(0.95)
        + 20 * math.log(0.05)
        - 235 * math.log(235 / 255)
        - 20 * math.log(20 / 255)
    )
    assert kupiec(255, 20, 0.05).statistic == pytest.approx(expected)


@pytest.mark.parametrize(
    ("observations", "rate", "fewest", "most"), [(255, 0.05, 6, 21), (510, 0.05, 16, 36)]
)
def test_kupiecs_table_of_what_is_not_refused(
    observations: int, rate: float, fewest: int, most: int
) -> None:
    """Kupiec (1995), table 3: at 95 % confidence only counts strictly between are not refused."""
    kept = [x for x in range(60) if kupiec(observations, x, rate).p_value > 0.05]
    assert (kept[0] - 1, kept[-1] + 1) == (fewest, most)


def test_a_long_sample_does_not_underflow() -> None:
    """The product form is 0/0 here."""
    test = kupiec(1_000_000, 12_000, 0.01)
    assert math.isfinite(test.statistic)
    assert test.statistic > 300


def test_exceptions_in_a_run_are_not_independent() -> None:
    runs = series(500, *range(100, 110))
    spread = series(500, *range(25, 500, 50))
    clustered, even = christoffersen(runs), christoffersen(spread)
    assert clustered is not None
    assert even is not None
    assert clustered.p_value < 1e-6
    assert even.p_value > 0.4


def test_conditional_coverage_is_the_sum_with_two_degrees() -> None:
    result = backtest(series(500, 3, 100, 101, 300), 0.01)
    assert result.independence is not None
    assert result.conditional is not None
    total = result.coverage.statistic + result.independence.statistic
    assert result.conditional.statistic == total
    assert result.conditional.p_value == pytest.approx(stats.chi2.sf(total, 2), rel=1e-9)


@pytest.mark.parametrize(
    ("hits", "direction"), [(range(30), "too many"), ((), "too few"), ((9, 500), "as expected")]
)
def test_the_direction_is_said(hits: range, direction: str) -> None:
    observations = 1_000 if direction != "as expected" else 300
    assert backtest(series(observations, *hits), 0.01).direction == direction


def test_a_short_sample_is_warned_of() -> None:
    result = backtest(series(100), 0.01)
    assert result.independence is None
    assert result.conditional is None
    assert [one.split(",")[0] for one in result.warnings] == [
        "1.0 exceptions expected",
        "100 observations",
        "too few exceptions to test their independence",
    ]


def test_enough_observations_give_no_warning() -> None:
    assert backtest(series(1_000, *range(5, 1_000, 100)), 0.01).warnings == ()


def test_the_tests_hold_their_size_on_a_right_model() -> None:
    """A right VaR is refused about as often as the test says, not more."""
    draw = np.random.default_rng(11)
    refused = sum(
        kupiec(1_000, int(draw.binomial(1_000, 0.05)), 0.05).p_value < 0.05 for _ in range(2_000)
    )
    assert 0.03 < refused / 2_000 < 0.07


@pytest.mark.parametrize("rate", [0.0, 1.0, -1.0])
def test_no_rate_no_judgement(rate: float) -> None:
    with pytest.raises(InputError, match="rate"):
        backtest([True], rate)


def test_nothing_to_test_is_refused_not_passed() -> None:
    with pytest.raises(InputError, match="no forecast"):
        backtest([], 0.01)
