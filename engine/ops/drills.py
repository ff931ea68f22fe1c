"""Drills: what a rehearsal measured against what it must reach, and which of them count. Pure.

A drill is passed when every criterion of its table was measured and holds. What was not measured
fails: a rehearsal that stopped half way proves nothing (I12). A measure without a criterion is
shown and decides nothing.

As evidence a drill counts while its *last* result does: passed under the criteria of today, of the
code that runs now, and not too old. Its age is that of its own journal's last event; a result of a
journal that was handed in before, or from the future, is none. A later failure takes the earlier
pass away.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

import msgspec

from engine.contracts.event import DrillFinished, Recorded

DAY_US = 86_400_000_000
#: How far a drill's clock may be ahead of ours, µs.
_AHEAD_US = 1_000_000
_INTEGER = re.compile(r"-?(0|[1-9][0-9]{0,17})")

#: What the journal of a drill's own desk must tell, or the drill was not what it says: kinds of
#: events and how many there are at least.
TRACES: dict[str, Mapping[str, int]] = {
    "kill_switch": {"order.intended": 20, "kill.verdict": 1, "engine.started": 2},
    "engine_crash": {"order.intended": 5, "watchdog.acted": 1, "engine.started": 2},
    "forced_disconnect": {"order.filled": 1, "order.blocked": 1, "venue.disconnected": 1},
    "flash_volatility": {"order.filled": 1, "order.blocked": 2, "kill.verdict": 1},
    "orphan_order": {"orphan.found": 1, "alarm.raised": 1, "kill.verdict": 1},
    "full_session": {"order.filled": 1, "recon.signed": 2, "pack.signed": 2, "pack.sealed": 1},
}


#: Why what a drill left does not bear its result out; "" when it does.
Held = Callable[[DrillFinished], str]


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


def missing_traces(name: str, kinds: Mapping[str, int]) -> tuple[str, ...]:
    """What the journal of this drill's desk should tell and does not; `kinds` counts its events."""
    wanted = TRACES.get(name, {"such a drill": 1})
    return tuple(
        f"{kind} ({kinds.get(kind, 0)} of {least})"
        for kind, least in wanted.items()
        if kinds.get(kind, 0) < least
    )


class DrillTerms(msgspec.Struct, frozen=True, kw_only=True):
    """What a result must satisfy today. `code_sha256` "" is not known: then nothing counts."""

    criteria: Mapping[str, tuple[Criterion, ...]]
    max_age_us: int
    code_sha256: str


class LastDrill(msgspec.Struct, frozen=True, kw_only=True):
    """The last result of a drill and who handed it in; `why_not` "" when it counts."""

    name: str
    told: DrillFinished | None
    by: str
    why_not: str

    @property
    def counts(self) -> bool:
        """Whether it is evidence now."""
        return not self.why_not


class DrillBook:
    """The last result of each drill, folded in place. Total."""

    def __init__(self) -> None:
        self._last: dict[str, tuple[DrillFinished, str]] = {}
        self.heads: set[str] = set()

    def apply(self, recorded: Recorded) -> None:
        """Fold one event; a second telling of the same journal changes nothing."""
        event = recorded.event
        if not isinstance(event, DrillFinished) or event.journal_head in self.heads:
            return
        self.heads.add(event.journal_head)
        before = self._last.get(event.name)
        if before is None or event.ended_us >= before[0].ended_us:
            self._last[event.name] = (event, recorded.actor.name)

    @property
    def newest(self) -> tuple[DrillFinished, ...]:
        """The last result of each drill that was ever handed in."""
        return tuple(event for event, _ in self._last.values())

    def last(
        self, terms: DrillTerms, now_us: int, held: Held | None = None
    ) -> tuple[LastDrill, ...]:
        """Every drill that has criteria, with its last result and whether it counts.

        `held` says why what a drill left does not bear its result out, "" when it does.
        """
        rows = []
        for name in terms.criteria:
            event, by = self._last.get(name, (None, ""))
            reason = "never run" if event is None else why_not(event, terms, now_us)
            if event is not None and held is not None and not reason:
                reason = held(event)
            rows.append(LastDrill(name=name, told=event, by=by, why_not=reason))
        return tuple(rows)

    def counting(
        self, terms: DrillTerms, now_us: int, held: Held | None = None
    ) -> frozenset[str] | None:
        """Names of the drills that count; None when our own code is not known."""
        if not terms.code_sha256:
            return None
        return frozenset(one.name for one in self.last(terms, now_us, held) if one.counts)


def why_not(event: DrillFinished, terms: DrillTerms, now_us: int) -> str:
    """Why a result is no evidence now; "" when it is."""
    criteria = terms.criteria.get(event.name, ())
    if not event.passed or not judge(event.name, criteria, _integers(event), event.fault).passed:
        return "failed" if not event.passed else "not passed under the criteria of today"
    if not terms.code_sha256 or event.code_sha256 != terms.code_sha256:
        return "of other code than runs now"
    if not 0 < event.started_us <= event.ended_us <= now_us + _AHEAD_US:
        return "its times cannot be"
    if now_us - event.ended_us > terms.max_age_us:
        return f"older than {terms.max_age_us // DAY_US} days"
    if not event.journal_head or event.journal_size <= 0:
        return "it left no journal"
    return ""


def _integers(event: DrillFinished) -> dict[str, int]:
    """The measures that are whole numbers; what is not was not measured."""
    return {name: int(text) for name, text in event.measured.items() if _INTEGER.fullmatch(text)}
