"""Value at risk and expected shortfall (CVaR) of the present positions, and who contributes.

Estimates, not money: here, and nowhere else in the pure rooms, numbers are float64 (I11 is about
prices, quantities, fees and balances; none of those leaves this room). Never used on the order
path. Conventions, pinned in tests because libraries disagree on every one of them:

* losses are positive: a figure of 120 is a loss of 120 quote units, a negative one a gain;
* historical VaR is the type-7 quantile of the losses (linear between order statistics), CVaR the
  mean of the losses at or beyond it;
* Gaussian figures use the sample mean and the deviation with n - 1;
* Cornish-Fisher is the fourth-order expansion with sample skewness g1 and excess kurtosis g2 (both
  with n), its CVaR the exact tail mean of the expanded variable. It holds only where the expansion
  is increasing (Maillard 2012, "A User's Guide to the Cornish Fisher Expansion"); outside, the
  figures are not given;
* contributions add up to the figure they explain (Euler).

Shapes: `returns` is (observations, instruments), simple returns of one period, oldest first;
`exposures` is (instruments,), quote currency, positive long. P&L of a period is their product: the
positions of now under the past's returns.
"""

from __future__ import annotations

import math
from statistics import NormalDist

import msgspec
import numpy as np
from numpy.typing import NDArray

from engine.contracts.errors import InputError

Array = NDArray[np.float64]

#: Below this a 1 % tail has less than one observation; figures are refused, not guessed.
FEWEST_OBSERVATIONS = 30

_ROUNDING = 1e-12

_NORMAL = NormalDist()


class TailFigure(msgspec.Struct, frozen=True, kw_only=True):
    """One method's answer. `var` and `cvar` in quote currency, losses positive.

    None where the method does not hold here; `note` then says why. `tail` is the number of
    observations at or beyond the VaR that a historical figure rests on, 0 for the others.
    """

    method: str
    level: float
    var: float | None
    cvar: float | None
    tail: int = 0
    note: str = ""


class Contribution(msgspec.Struct, frozen=True, kw_only=True):
    """What one instrument adds, quote currency. The columns add up to the portfolio's figures."""

    symbol: str
    exposure: float
    var_historical: float
    cvar_historical: float
    var_gaussian: float


def portfolio_losses(returns: Array, exposures: Array) -> Array:
    """Losses of the positions under each period's returns, (observations,). Raises InputError."""
    if returns.ndim != 2 or exposures.shape != (returns.shape[1],):
        raise InputError(
            what=f"returns {returns.shape} do not fit exposures {exposures.shape}", where="returns"
        )
    if len(returns) < FEWEST_OBSERVATIONS:
        raise InputError(
            what=f"{len(returns)} observations, {FEWEST_OBSERVATIONS} are needed",
            where="returns",
            todo="take a longer history or a shorter period",
        )
    losses = -(returns @ exposures)
    # A missing return must not pass for a calm day; one sum finds it.
    if not math.isfinite(float(losses.sum())):
        raise InputError(what="a return is missing or not a number", where="returns")
    return losses


def check_level(level: float) -> None:
    """Refuse what is no confidence level. Raises InputError."""
    if not 0.5 < level < 1:
        raise InputError(
            what=f"got {level}; allowed: above 0.5, below 1", where="level", todo="use 0.99"
        )


def historical(losses: Array, level: float) -> TailFigure:
    """Empirical quantile and the mean at or beyond it."""
    var = _quantile(losses, level)
    beyond = losses[losses >= var]
    return TailFigure(
        method="historical",
        level=level,
        var=var,
        cvar=float(beyond.mean()),
        tail=len(beyond),
        note="" if len(beyond) >= 10 else f"rests on {len(beyond)} observations",
    )


def gaussian(losses: Array, level: float) -> TailFigure:
    """Figures of a normal distribution with the sample's mean and deviation."""
    mean, deviation = float(losses.mean()), float(losses.std(ddof=1))
    quantile = _NORMAL.inv_cdf(level)
    return TailFigure(
        method="gaussian",
        level=level,
        var=mean + quantile * deviation,
        cvar=mean + deviation * _NORMAL.pdf(quantile) / (1 - level),
        note="thin tails: understates rare losses",
    )


def cornish_fisher(losses: Array, level: float) -> TailFigure:
    """Gaussian figures corrected for skewness and kurtosis, where the correction holds.

    Written for losses: the quantile is the upper one and the skewness that of the losses, which is
    the lower quantile of the P&L with its own skewness.
    """
    mean, deviation = float(losses.mean()), float(losses.std(ddof=1))
    skew, kurtosis = moments(losses)
    words = f"skewness {skew:.2f}, excess kurtosis {kurtosis:.2f}"
    if not expansion_increases(skew, kurtosis):
        return TailFigure(
            method="cornish-fisher",
            level=level,
            var=None,
            cvar=None,
            note=f"not valid here: the expansion is not increasing ({words})",
        )
    quantile = _NORMAL.inv_cdf(level)
    return TailFigure(
        method="cornish-fisher",
        level=level,
        var=mean + deviation * expansion(quantile, skew, kurtosis),
        cvar=mean + deviation * _expansion_tail_mean(quantile, level, skew, kurtosis),
        note=f"valid here ({words})",
    )


def moments(losses: Array) -> tuple[float, float]:
    """Skewness g1 and excess kurtosis g2, both with n. A constant series has (0, 0)."""
    centred = losses - losses.mean()
    variance = float((centred**2).mean())
    if variance <= 0:
        return 0.0, 0.0
    return (
        float((centred**3).mean()) / variance**1.5,
        float((centred**4).mean()) / variance**2 - 3.0,
    )


def expansion(z: float, skew: float, kurtosis: float) -> float:
    """Cornish-Fisher: z + (z²-1)S/6 + (z³-3z)K/24 - (2z³-5z)S²/36."""
    return (
        z
        + (z**2 - 1) * skew / 6
        + (z**3 - 3 * z) * kurtosis / 24
        - (2 * z**3 - 5 * z) * skew**2 / 36
    )


def expansion_increases(skew: float, kurtosis: float) -> bool:
    """Tell whether the expansion increases everywhere: its derivative a z² + b z + c is positive.

    Without that, a rarer loss would be called smaller.
    """
    a = kurtosis / 8 - skew**2 / 6
    b = skew / 3
    c = 1 - kurtosis / 8 + 5 * skew**2 / 36
    if a == 0:
        return b == 0 and c > 0
    return a > 0 and b**2 < 4 * a * c


def _expansion_tail_mean(z: float, level: float, skew: float, kurtosis: float) -> float:
    """Mean of the expanded variable beyond z: the polynomial's terms against the normal density.

    With d the density at z and q = 1 - level: E[Z] = d/q, E[Z²] = 1 + z d/q, E[Z³] = (z²+2) d/q.
    """
    hazard = _NORMAL.pdf(z) / (1 - level)
    first, second, third = hazard, 1 + z * hazard, (z**2 + 2) * hazard
    return (
        first
        + (second - 1) * skew / 6
        + (third - 3 * first) * kurtosis / 24
        - (2 * third - 5 * first) * skew**2 / 36
    )


def contributions(
    symbols: tuple[str, ...], returns: Array, exposures: Array, losses: Array, level: float
) -> tuple[Contribution, ...]:
    """Share of each instrument in VaR and CVaR, in the order of `symbols`."""
    position = level * (len(losses) - 1)
    below, weight = int(position), position - int(position)
    var = _quantile(losses, level)
    beyond = np.flatnonzero(losses >= var)
    low, high = _around(losses, below, beyond)
    of_var = -((1 - weight) * returns[low] + weight * returns[high]) * exposures
    of_cvar = -returns[beyond].mean(axis=0) * exposures
    of_gaussian = _gaussian_parts(returns, exposures, losses, level)
    return tuple(
        Contribution(
            symbol=symbol,
            exposure=float(exposures[place]),
            var_historical=float(of_var[place]),
            cvar_historical=float(of_cvar[place]),
            var_gaussian=float(of_gaussian[place]),
        )
        for place, symbol in enumerate(symbols)
    )


def _around(losses: Array, below: int, beyond: NDArray[np.intp]) -> tuple[int, int]:
    """Rows of the order statistics `below` and `below + 1`, between which the VaR lies."""
    ranked = beyond[np.argsort(losses[beyond], kind="stable")]
    first = len(losses) - len(beyond)
    if first <= below:
        # The VaR is an order statistic itself, so both are among the rows at or beyond it.
        return int(ranked[below - first]), int(ranked[min(below + 1 - first, len(ranked) - 1)])
    under = np.where(losses < losses[ranked[0]], losses, -np.inf)
    return int(np.argmax(under)), int(ranked[0])


def _gaussian_parts(returns: Array, exposures: Array, losses: Array, level: float) -> Array:
    """Euler parts: -mean_i x_i + z x_i cov(-r_i, loss) / deviation."""
    count = len(losses)
    deviation = float(losses.std(ddof=1))
    # Losses that differ by rounding alone have no covariance, only noise.
    varies = deviation > _ROUNDING * float(np.abs(losses).max())
    slope = _NORMAL.inv_cdf(level) / deviation if varies else 0.0
    # Mean and covariance are both sums over the rows: one product with their joint weights.
    weights = 1 / count + slope * (losses - losses.mean()) / (count - 1)
    parts: Array = -(weights @ returns) * exposures
    return parts


def _quantile(values: Array, level: float) -> float:
    """Type 7 by partition: linear in time where a sort is not."""
    position = level * (len(values) - 1)
    below = int(position)
    above = min(below + 1, len(values) - 1)
    parted = np.partition(values, (below, above))
    low, high = float(parted[below]), float(parted[above])
    return low + (position - below) * (high - low)
