"""Was the value at risk right? Tests of its exceptions: how many, and whether they come in runs.

Pure statistics on a series of booleans (an exception: the loss was above the forecast). Sources:

* Kupiec (1995), proportion of failures: LR = -2 ln of the likelihoods under p and under x/n, chi²
  with one degree of freedom. Sums of logarithms; 0 ln 0 is 0, so long samples do not underflow;
* Christoffersen (1998): independence by the first-order transitions n_ij, chi² with one degree, and
  conditional coverage, the sum of both, with two;
* Basel Committee (1996), "Supervisory framework for the use of backtesting": zones by the
  cumulative binomial probability of at most x exceptions, green below 95 %, yellow below 99.99 %,
  red from there; for 250 days at 99 % that is 0 to 4, 5 to 9, 10 and more.

A p-value says nothing of the direction, and little when few exceptions are expected: both are
said beside it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import msgspec

from engine.contracts.errors import InputError

#: Below this many expected exceptions the chi² approximation is a guess.
FEWEST_EXPECTED = 5.0

#: The regulator's sample; shorter ones have little power.
BASEL_DAYS = 250

GREEN_BELOW, YELLOW_BELOW = 0.95, 0.9999


class LikelihoodRatio(msgspec.Struct, frozen=True, kw_only=True):
    """One test: the statistic and the probability of one at least as large if the VaR is right."""

    statistic: float
    p_value: float


class Backtest(msgspec.Struct, frozen=True, kw_only=True):
    """Everything the exceptions tell.

    `rate` is the tail probability (0.01 at 99 %). `direction` is `too many`, `too few` or
    `as expected`. `independence` is None when no exception has a successor to be judged by.
    """

    observations: int
    exceptions: int
    expected: float
    rate: float
    direction: str
    coverage: LikelihoodRatio
    independence: LikelihoodRatio | None
    conditional: LikelihoodRatio | None
    zone: str
    zone_probability: float
    warnings: tuple[str, ...]


def backtest(exceptions: Sequence[bool], rate: float) -> Backtest:
    """Judge a series of exceptions, oldest first. Raises InputError when there is nothing."""
    if not 0 < rate < 1:
        raise InputError(what=f"got {rate}; allowed: above 0, below 1", where="rate")
    if not exceptions:
        raise InputError(what="there is no forecast to test", where="backtest")
    observations, hits = len(exceptions), sum(map(bool, exceptions))
    expected = observations * rate
    coverage = kupiec(observations, hits, rate)
    independence = christoffersen(exceptions)
    conditional = None
    if independence is not None:
        both = coverage.statistic + independence.statistic
        conditional = LikelihoodRatio(statistic=both, p_value=_chi2_two(both))
    zone, probability = basel_zone(observations, hits, rate)
    return Backtest(
        observations=observations,
        exceptions=hits,
        expected=expected,
        rate=rate,
        direction=_direction(observations, hits, rate, coverage),
        coverage=coverage,
        independence=independence,
        conditional=conditional,
        zone=zone,
        zone_probability=probability,
        warnings=_warnings(observations, expected, independence),
    )


def kupiec(observations: int, exceptions: int, rate: float) -> LikelihoodRatio:
    """Proportion of failures against `rate`."""
    calm = observations - exceptions
    under_rate = _xlogy(calm, 1 - rate) + _xlogy(exceptions, rate)
    seen = exceptions / observations
    under_seen = _xlogy(calm, 1 - seen) + _xlogy(exceptions, seen)
    statistic = max(-2 * (under_rate - under_seen), 0.0)
    return LikelihoodRatio(statistic=statistic, p_value=_chi2_one(statistic))


def christoffersen(exceptions: Sequence[bool]) -> LikelihoodRatio | None:
    """Independence of successive exceptions; None when there is none with a successor."""
    counts = {(before, after): 0 for before in (False, True) for after in (False, True)}
    for before, after in pairwise(exceptions):
        counts[bool(before), bool(after)] += 1
    calm_calm, calm_hit = counts[False, False], counts[False, True]
    hit_calm, hit_hit = counts[True, False], counts[True, True]
    if not hit_calm + hit_hit or not calm_calm + calm_hit:
        return None
    total = calm_calm + calm_hit + hit_calm + hit_hit
    hits = calm_hit + hit_hit
    together = _binomial(total - hits, hits)
    apart = _binomial(calm_calm, calm_hit) + _binomial(hit_calm, hit_hit)
    statistic = max(-2 * (together - apart), 0.0)
    return LikelihoodRatio(statistic=statistic, p_value=_chi2_one(statistic))


def basel_zone(observations: int, exceptions: int, rate: float) -> tuple[str, float]:
    """Zone and the probability of at most so many exceptions if the VaR is right.

    As the Committee counts: the zone begins where the probability of that many *or fewer*
    reaches its limit.
    """
    at_most = _binomial_cdf(observations, exceptions, rate)
    if at_most < GREEN_BELOW:
        return "green", at_most
    return ("yellow" if at_most < YELLOW_BELOW else "red"), at_most


def _direction(observations: int, exceptions: int, rate: float, test: LikelihoodRatio) -> str:
    if test.p_value >= 0.05:
        return "as expected"
    return "too many" if exceptions > observations * rate else "too few"


def _warnings(
    observations: int, expected: float, independence: LikelihoodRatio | None
) -> tuple[str, ...]:
    warnings = []
    if expected < FEWEST_EXPECTED:
        warnings.append(
            f"{expected:.1f} exceptions expected, under {FEWEST_EXPECTED:.0f}: p-values are rough"
        )
    if observations < BASEL_DAYS:
        warnings.append(
            f"{observations} observations, under {BASEL_DAYS}: a wrong VaR may well pass"
        )
    if independence is None:
        warnings.append("too few exceptions to test their independence")
    return tuple(warnings)


def _xlogy(count: float, probability: float) -> float:
    """Give count x ln(probability), with 0 ln 0 = 0."""
    return count * math.log(probability) if count else 0.0


def _binomial(misses: int, hits: int) -> float:
    """Log-likelihood of the sample at its own rate."""
    total = misses + hits
    if not total:
        return 0.0
    return _xlogy(misses, misses / total) + _xlogy(hits, hits / total)


def _chi2_one(statistic: float) -> float:
    """Upper tail of chi² with one degree of freedom."""
    return math.erfc(math.sqrt(statistic / 2))


def _chi2_two(statistic: float) -> float:
    """Upper tail of chi² with two degrees of freedom."""
    return math.exp(-statistic / 2)


def _binomial_cdf(trials: int, successes: int, rate: float) -> float:
    """Probability of at most so many successes, by logarithms so that long samples do not fail."""
    logs = [
        math.lgamma(trials + 1)
        - math.lgamma(count + 1)
        - math.lgamma(trials - count + 1)
        + count * math.log(rate)
        + (trials - count) * math.log1p(-rate)
        for count in range(successes + 1)
    ]
    return min(math.fsum(map(math.exp, logs)), 1.0)
