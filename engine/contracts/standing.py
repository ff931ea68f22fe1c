"""What the control API tells of limits in force, the scaling ladder, drills and promotion evidence.

Readings, not records: computed anew from the journal's folds at each question. `None` is "not
known", never zero (I12). Limits are text in their own unit, so that no reader sees a float (I11).
"""

from __future__ import annotations

import msgspec


class EvidenceRow(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is asked for and what there is of it. `have` None: not known, not met.

    `bound`: `at least` or `at most` `need`.
    """

    code: str
    text: str
    have: int | None
    need: int
    bound: str
    met: bool


class LimitRow(msgspec.Struct, frozen=True, kw_only=True):
    """One limit: what is in force and which source makes it so, beside what the sources say.

    `charter` "" without an open session, `step` "" where the ladder's step does not cap it;
    `tightened` "" when nobody has. `used` and `used_percent` are of the present session, "" and
    None where a limit is of one order or nothing is known.
    """

    name: str
    value: str
    origin: str
    config: str
    charter: str = ""
    step: str = ""
    tightened: str = ""
    by: str = ""
    at_us: int | None = None
    reason: str = ""
    used: str = ""
    used_percent: int | None = None
    #: of value, config, charter, step, tightened and used
    unit: str = ""


class LimitsAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """Answer of GET /v1/limits."""

    environment: str
    session_id: str
    step: str
    rows: tuple[LimitRow, ...]


class StepView(msgspec.Struct, frozen=True, kw_only=True):
    """One step of the ladder; `limits` are those it caps."""

    name: str
    text: str
    limits: dict[str, str]


class LadderView(msgspec.Struct, frozen=True, kw_only=True):
    """Where an environment stands. `step` counts from 0; `next` "" on the highest step.

    `asks` are what the way up asks for and what there is. `since_us`, `cause`, `by` and `reason`
    tell of the last move, "" and None before the first.
    """

    environment: str
    step: int
    steps: tuple[StepView, ...]
    next: str
    asks: tuple[EvidenceRow, ...]
    since_us: int | None = None
    cause: str = ""
    by: str = ""
    reason: str = ""

    @property
    def name(self) -> str:
        """The step's name."""
        return self.steps[self.step].name


class DrillView(msgspec.Struct, frozen=True, kw_only=True):
    """The last result of a drill. `passed` None: never run. `why_not` "" when it counts."""

    name: str
    passed: bool | None
    counts: bool
    why_not: str
    drill_id: str = ""
    ended_us: int | None = None
    age_seconds: int | None = None
    by: str = ""
    version: str = ""
    code_sha256: str = ""
    journal_head: str = ""
    measured: dict[str, str] = {}
    criteria: dict[str, str] = {}
    fault: str = ""


class EvidenceAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """Answer of GET /v1/evidence: what live asks for, the ladder, and the drills behind both."""

    promotion: tuple[EvidenceRow, ...]
    ladder: LadderView
    drills: tuple[DrillView, ...]
