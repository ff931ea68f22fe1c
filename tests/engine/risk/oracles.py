"""What statsmodels and arch say to the same questions: `python -m tests.engine.risk.oracles`.

Neither has a backtest of a value at risk in its released version, but both have what one is made
of: statsmodels the likelihoods of a logit (Kupiec is the test of its constant against ln(p / 1-p),
Christoffersen's independence that of the exception before), skewness and kurtosis; arch the partial
moments of the normal, of which the tail means are made. The suite has neither library: it compares
with `PINNED`, which this prints anew and holds ours and theirs against (exit code 1 when they
differ). They agree on everything here; on quantiles libraries differ by convention, and ours is
pinned in `test_tail`.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.risk import tail
from engine.risk.backtest import christoffersen, kupiec

#: exceptions of 500 forecasts at 99 %, two of them in a row
HITS = frozenset({3, 100, 101, 250, 300, 301, 302, 420, 499})
SERIES = [place in HITS for place in range(500)]
RATE = 0.01
LOSSES: NDArray[np.float64] = np.array(
    [((place * 7919) % 1009) / 100 + ((place * place) % 97) ** 2 / 900 for place in range(400)]
)
SKEW, KURTOSIS = 0.4, 1.2

#: By statsmodels 0.15.0 and arch 8.0.0.
PINNED: dict[str, float] = {
    "kupiec": 2.612570620003,
    "kupiec p": 0.106019778628,
    "independence": 14.745950421128,
    "independence p": 0.000123011446,
    "skewness": 0.340505918916,
    "kurtosis": -0.488205638998,
    "gaussian cvar": 20.463148391446,
    "expansion tail mean": 2.905971513173,
}

#: How far two ways to the same number may be apart.
CLOSE = 1e-7


def ours() -> dict[str, float]:
    """Every figure as this engine computes it."""
    independence = christoffersen(SERIES)
    assert independence is not None
    skew, kurtosis = tail.moments(LOSSES)
    gaussian = tail.gaussian(LOSSES, 0.99)
    assert gaussian.cvar is not None
    z = NormalDist().inv_cdf(0.975)
    return {
        "kupiec": kupiec(len(SERIES), len(HITS), RATE).statistic,
        "kupiec p": kupiec(len(SERIES), len(HITS), RATE).p_value,
        "independence": independence.statistic,
        "independence p": independence.p_value,
        "skewness": skew,
        "kurtosis": kurtosis,
        "gaussian cvar": gaussian.cvar,
        "expansion tail mean": tail._expansion_tail_mean(z, 0.975, SKEW, KURTOSIS),
    }


def theirs() -> dict[str, float]:
    """The same by the two libraries. Raises ImportError where they are not installed."""
    api: Any = importlib.import_module("statsmodels.api")
    tools: Any = importlib.import_module("statsmodels.stats.stattools")
    arch: Any = importlib.import_module("arch.univariate.distribution")
    hits = np.array(SERIES, dtype=float)
    odds = np.full_like(hits, np.log(RATE / (1 - RATE)))
    family = api.families.Binomial()
    free = api.GLM(hits, np.ones((len(hits), 1)), family=family).fit(tol=1e-13)
    fixed = family.loglike(hits, family.link.inverse(odds))
    coverage = 2 * (free.llf - fixed)
    before, after = hits[:-1], hits[1:]
    runs = api.Logit(after, api.add_constant(before)).fit(disp=0, tol=1e-13, maxiter=200)
    chi2: Any = importlib.import_module("scipy.stats").chi2
    _, _, skew, kurtosis = tools.jarque_bera(LOSSES)
    normal = arch.Normal()

    def beyond(power: int, level: float) -> float:
        """E[Z^n | Z > z] by the lower tail's partial moment."""
        low = float(normal.partial_moment(power, NormalDist().inv_cdf(1 - level)))
        return (-1) ** power * low / (1 - level)

    first, second, third = (beyond(power, 0.975) for power in (1, 2, 3))
    expanded = (
        first
        + (second - 1) * SKEW / 6
        + (third - 3 * first) * KURTOSIS / 24
        - (2 * third - 5 * first) * SKEW**2 / 36
    )
    return {
        "kupiec": float(coverage),
        "kupiec p": float(chi2.sf(coverage, 1)),
        "independence": float(runs.llr),
        "independence p": float(runs.llr_pvalue),
        "skewness": float(skew),
        "kurtosis": float(kurtosis) - 3,
        "gaussian cvar": float(LOSSES.mean() + LOSSES.std(ddof=1) * beyond(1, 0.99)),
        "expansion tail mean": float(expanded),
    }


def main(say: Callable[[str], object] = sys.stdout.write) -> int:
    """Print ours beside theirs and what is pinned."""
    mine, other = ours(), theirs()
    for name, value in other.items():
        say(f"{name:20} ours {mine[name]:.12f}  theirs {value:.12f}  pinned {PINNED.get(name)}\n")
    wrong = [
        name
        for name, value in other.items()
        if max(abs(mine[name] - value), abs(PINNED.get(name, np.inf) - value)) > CLOSE
    ]
    say(f"{len(other) - len(wrong)} of {len(other)} agree{': not ' if wrong else ''}")
    say(f"{', '.join(wrong)}\n")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
