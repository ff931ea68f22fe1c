"""Mutants that mean the same as the original, with the reason; by `Mutant.name`."""

from __future__ import annotations

SAME: dict[str, str] = {
    (
        "losses._mark_peak: multiply(fall, self._deepest[1])"
        " > multiply(self._deepest[0], self.peak)"
        " -> multiply(fall, self._deepest[1])"
        " >= multiply(self._deepest[0], self.peak)"
    ): "an equal share of another peak is the same share",
    "backtest._direction: exceptions > observations * rate -> exceptions >= observations * rate": (
        "at the expected number the statistic is 0 and its p-value 1: the line is not reached"
    ),
    "sums.__getitem__: 0 <= place < len(self) -> 0 <= place <= len(self)": (
        "the place after the last is in no block, and a list says so in the same way"
    ),
    "tail.expansion_increases: c > 0 -> c >= 0": (
        "where a and b are zero, skewness and kurtosis are, and c is 1"
    ),
    "tail.expansion_increases: a > 0 -> a >= 0": "a == 0 returned on the line before",
}
