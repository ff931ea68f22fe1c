"""Drills: what a rehearsal measured against what it must reach. Pure.

A drill is passed when every criterion of its table was measured and holds. What was not measured
fails: a rehearsal that stopped half way proves nothing (I12). A measure without a criterion is
shown and decides nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec


class Criterion(msgspec.Struct, frozen=True, kw_only=True):
    """What one measure must be. Times in ms where the name says so, else counts."""

    measure: str
    bound: str
    value: int

    def holds(self, measured: int) -> bool:
        """Whether the measured value is inside the bound; an unknown bound holds nothing."""
        match self.bound:
            case "at_most":
                return measured <= self.value
            case "at_least":
                return measured >= self.value
            case "exactly":
                return measured == self.value
            case _:
                return False

    @property
    def text(self) -> str:
        """The bound in words."""
        return f"{self.bound.replace('_', ' ')} {self.value}"


class Judged(msgspec.Struct, frozen=True, kw_only=True):
    """One measure with its criterion; `measured` None when it was not taken, `bound` "" if free."""

    measure: str
    measured: int | None
    bound: str
    passed: bool


class DrillResult(msgspec.Struct, frozen=True, kw_only=True):
    """The outcome of one drill. `fault` is why it could not be carried to its end, else ""."""

    name: str
    passed: bool
    rows: tuple[Judged, ...]
    fault: str = ""


def judge(
    name: str, criteria: Sequence[Criterion], measured: Mapping[str, int], fault: str = ""
) -> DrillResult:
    """Hold the measures against the criteria; no criteria at all is no pass."""
    rows = [
        Judged(
            measure=one.measure,
            measured=measured.get(one.measure),
            bound=one.text,
            passed=one.measure in measured and one.holds(measured[one.measure]),
        )
        for one in criteria
    ]
    judged = {one.measure for one in criteria}
    rows += [
        Judged(measure=key, measured=value, bound="", passed=True)
        for key, value in measured.items()
        if key not in judged
    ]
    passed = bool(criteria) and not fault and all(row.passed for row in rows)
    return DrillResult(name=name, passed=passed, rows=tuple(rows), fault=fault)
