"""Value at risk: each convention pinned, the formulas against scipy, contributions that add up."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import integrate, stats

from engine.contracts.errors import InputError
from engine.risk import tail

LEVELS = st.sampled_from([0.9, 0.95, 0.975, 0.99, 0.995])
RETURNS = arrays(
    np.float64,
    st.tuples(st.integers(30, 120), st.integers(1, 5)),
    elements=st.floats(-0.5, 0.5, width=32),
)


def skewed(n: int = 5_000) -> np.ndarray:
    draw = np.random.default_rng(3)
    return stats.skewnorm.rvs(2.0, size=n, random_state=draw) * 100


def test_losses_are_positive_and_historical_var_is_the_type_7_quantile() -> None:
    losses = np.arange(-50.0, 51.0)
    figure = tail.historical(losses, 0.95)
    assert figure.var == pytest.approx(45.0)
    assert figure.var == np.quantile(losses, 0.95, method="linear")
    assert figure.cvar == np.mean([45, 46, 47, 48, 49, 50])
    assert figure.tail == 6
    assert figure.note == "rests on 6 observations"


def test_ten_observations_carry_a_tail() -> None:
    figure = tail.historical(np.arange(-50.0, 51.0), 0.91)
    assert (figure.tail, figure.note) == (10, "")


def test_a_constant_series_has_no_moments() -> None:
    assert tail.moments(np.full(30, 5.0)) == (0.0, 0.0)


def test_an_expansion_that_stands_still_at_one_point_does_not_increase() -> None:
    assert not tail.expansion_increases(0.0, 8.0)  # the derivative is z²


def test_between_two_observations_var_is_interpolated() -> None:
    losses = np.arange(40.0)
    assert tail.historical(losses, 0.99).var == pytest.approx(0.99 * 39)


def test_a_gain_at_the_level_is_a_negative_figure_not_zero() -> None:
    assert tail.historical(np.full(30, -5.0), 0.99).var == -5.0


def test_gaussian_is_scipys_normal_with_n_minus_1() -> None:
    losses = skewed()
    figure = tail.gaussian(losses, 0.99)
    normal = stats.norm(losses.mean(), losses.std(ddof=1))
    assert figure.var == pytest.approx(normal.ppf(0.99), rel=1e-12)
    beyond = normal.expect(lambda x: x, lb=normal.ppf(0.99), conditional=True)
    assert figure.cvar == pytest.approx(beyond, rel=1e-7)


def test_moments_are_scipys_biased_ones() -> None:
    losses = skewed()
    skew, kurtosis = tail.moments(losses)
    assert skew == pytest.approx(stats.skew(losses), rel=1e-10)
    assert kurtosis == pytest.approx(stats.kurtosis(losses), rel=1e-10)


def test_cornish_fisher_without_skew_and_kurtosis_is_the_normal() -> None:
    assert tail.expansion(2.3263, 0, 0) == 2.3263
    assert tail.expansion_increases(0, 0)


def test_cornish_fisher_signs_by_a_worked_figure() -> None:
    """z = 2, S = 0.6, K = 1.2 by hand: 2 + 0.3 + 0.1 - 0.06."""
    assert tail.expansion(2.0, 0.6, 1.2) == pytest.approx(2.34, abs=1e-12)


def test_cornish_fisher_meets_fatter_tails_better_than_the_normal() -> None:
    losses = stats.logistic.rvs(size=200_000, random_state=np.random.default_rng(5))
    true = stats.logistic.ppf(0.99)
    corrected, normal = tail.cornish_fisher(losses, 0.99), tail.gaussian(losses, 0.99)
    assert corrected.var is not None
    assert normal.var is not None
    assert abs(corrected.var - true) < abs(normal.var - true) / 2


def test_cornish_fishers_cvar_is_the_tail_mean_of_the_expanded_variable() -> None:
    losses = stats.logistic.rvs(size=5_000, random_state=np.random.default_rng(6)) ** 2 / 9
    losses = stats.logistic.rvs(size=5_000, random_state=np.random.default_rng(8)) + losses / 9
    skew, kurtosis = tail.moments(losses)
    assert skew != pytest.approx(0, abs=0.05)
    figure = tail.cornish_fisher(losses, 0.975)
    by_quadrature, _ = integrate.quad(
        lambda z: tail.expansion(z, skew, kurtosis) * stats.norm.pdf(z), stats.norm.ppf(0.975), 40
    )
    expected = losses.mean() + losses.std(ddof=1) * by_quadrature / 0.025
    assert figure.cvar == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(("skew", "kurtosis"), [(0.0, 8.5), (3.0, 3.0), (0.0, -1.0), (1.5, 0.0)])
def test_cornish_fisher_gives_no_figure_where_it_does_not_hold(
    skew: float, kurtosis: float
) -> None:
    grid = np.linspace(-6, 6, 4001)
    values = [tail.expansion(float(z), skew, kurtosis) for z in grid]
    assert not tail.expansion_increases(skew, kurtosis)
    assert np.diff(values).min() < 0


def test_fat_tails_are_refused_by_cornish_fisher_and_said() -> None:
    losses = stats.t.rvs(2, size=5_000, random_state=np.random.default_rng(7))
    figure = tail.cornish_fisher(losses, 0.99)
    assert (figure.var, figure.cvar) == (None, None)
    assert "not valid here" in figure.note


@given(skew=st.floats(-2, 2), kurtosis=st.floats(-2, 9))
def test_where_it_is_called_increasing_it_increases(skew: float, kurtosis: float) -> None:
    if tail.expansion_increases(skew, kurtosis):
        values = [tail.expansion(float(z), skew, kurtosis) for z in np.linspace(-8, 8, 801)]
        assert np.diff(values).min() > -1e-9


@given(returns=RETURNS, level=LEVELS, seed=st.integers(0, 99))
def test_contributions_add_up_to_what_they_explain(
    returns: np.ndarray, level: float, seed: int
) -> None:
    exposures = np.random.default_rng(seed).normal(size=returns.shape[1]) * 1_000
    losses = tail.portfolio_losses(returns, exposures)
    names = tuple(f"S{place}" for place in range(returns.shape[1]))
    parts = tail.contributions(names, returns, exposures, losses, level)
    history, normal = tail.historical(losses, level), tail.gaussian(losses, level)
    scale = 1e-9 * (1 + float(np.abs(losses).max()))
    assert math.fsum(one.var_historical for one in parts) == pytest.approx(history.var, abs=scale)
    assert math.fsum(one.cvar_historical for one in parts) == pytest.approx(history.cvar, abs=scale)
    assert math.fsum(one.var_gaussian for one in parts) == pytest.approx(normal.var, abs=scale)
    assert history.cvar is not None
    assert history.var is not None
    assert history.cvar >= history.var - scale


def test_a_hedge_contributes_less_than_nothing() -> None:
    draw = np.random.default_rng(1).normal(0, 0.02, 500)
    returns = np.column_stack((draw, draw))
    exposures = np.array([1_000.0, -400.0])
    losses = tail.portfolio_losses(returns, exposures)
    long, hedge = tail.contributions(("LONG", "HEDGE"), returns, exposures, losses, 0.95)
    assert long.cvar_historical > 0 > hedge.cvar_historical


@pytest.mark.parametrize(
    ("returns", "exposures", "words"),
    [
        (np.zeros((29, 1)), np.ones(1), "29 observations, 30 are needed"),
        (np.zeros((30, 2)), np.ones(1), "do not fit"),
        (np.full((30, 1), np.nan), np.ones(1), "missing"),
        (np.zeros((30, 1)), np.array([np.inf]), "missing"),
    ],
)
def test_what_cannot_be_judged_is_refused(
    returns: np.ndarray, exposures: np.ndarray, words: str
) -> None:
    with np.errstate(invalid="ignore"), pytest.raises(InputError, match=words):
        tail.portfolio_losses(returns, exposures)


@pytest.mark.parametrize("level", [0.5, 1.0, 99.0, -0.1, float("nan")])
def test_a_level_that_is_none_is_refused(level: float) -> None:
    with pytest.raises(InputError, match="level"):
        tail.check_level(level)
