"""The limits in force and the evidence there is: readings of the folds, for whoever asks.

Every order asks, so what was laid together is kept until one of its parts is another. Nothing here
decides: the checks do (`engine.risk.limits`), the locks do (`engine.governance.locks`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from engine.contracts.money import to_text
from engine.contracts.session import Environment, Limits
from engine.contracts.standing import (
    DrillView,
    EvidenceAnswer,
    EvidenceRow,
    LadderView,
    StepView,
)
from engine.execution.clock import wall_us
from engine.execution.core import State
from engine.governance.ladder import Asks, Step, shown, since, standing
from engine.governance.locks import REQUIRED_DRILLS, Promotion
from engine.governance.promotion import promotion_rows
from engine.governance.session import Session
from engine.ops.drills import DrillTerms, Held, LastDrill
from engine.reconcile.watch import UNKNOWN
from engine.risk.standing import Effective, capped, effective

_US_PER_SECOND = 1_000_000


class LimitsInForce:
    """What config, charter, ladder and people allow, at the moment of asking."""

    def __init__(
        self, state: State, environment: Environment, ceiling: Limits, steps: Sequence[Step]
    ) -> None:
        self._state = state
        self.environment = environment
        self.config = ceiling
        self.steps = tuple(steps)
        #: the last answer with all that it was made of
        self._kept: tuple[tuple[object, ...], Effective] | None = None

    @property
    def step(self) -> Step:
        """The ladder's step that this environment stands on."""
        return self.steps[self.place]

    @property
    def place(self) -> int:
        """Its number, from 0."""
        return standing(self._state.ladder.place(self.environment).step, self.steps)

    @property
    def ceiling(self) -> Limits:
        """What a charter may say at most: the config's limits, capped by the ladder's step."""
        return capped(self.config, self.step.limits)

    def of(self, session: Session | None) -> Effective:
        """The limits in force for this session; without one, those of config, step and people."""
        charter = None if session is None else session.charter.limits
        made_of = (charter, self.place, self._state.limits.version)
        if self._kept is None or self._kept[0] != made_of:
            sources = [("config", self.config), (f"ladder step {self.step.name}", self.ceiling)]
            if charter is not None:
                sources.insert(1, ("charter", charter))
            found = effective(sources, self._state.limits.by_name)
            self._kept = made_of, found
        return self._kept[1]


class EvidenceInForce:
    """What the journal proves now: promotion, drills, and what the next step asks for."""

    def __init__(
        self,
        state: State,
        limits: LimitsInForce,
        environment: Environment,
        drills: Callable[[], DrillTerms],
        sound: Callable[[], frozenset[str] | None],
        now_us: Callable[[], int] = wall_us,
        held: Held | None = None,
    ) -> None:
        """`sound`: the sealed sessions whose signatures hold, None while that is not known.

        `held`: whether what a drill left bears its result out; None: the results as they are told.
        """
        self._held = held
        self._state = state
        self._limits = limits
        self._environment = environment
        self._drills = drills
        self._sound = sound
        self._now_us = now_us

    def promotion(self) -> Promotion:
        """The facts of live's evidence locks, computed and never typed in (I5)."""
        return self._state.evidence.promotion(
            self._counting(), self._confirmed_red(), self._sound()
        )

    def next_step(self) -> Step | None:
        """The step above; None on the highest."""
        above = self._limits.place + 1
        steps = self._limits.steps
        return steps[above] if above < len(steps) else None

    def asks(self) -> tuple[EvidenceRow, ...]:
        """What the way up asks for and what there is; nothing on the highest step."""
        above = self.next_step()
        if above is None:
            return ()
        return self._shown(above.asks)

    def answer(self) -> EvidenceAnswer:
        """All of it, for people."""
        return EvidenceAnswer(
            promotion=promotion_rows(self.promotion()), ladder=self.ladder(), drills=self.drills()
        )

    def ladder(self) -> LadderView:
        """Where this environment stands, and what the way up asks for."""
        here = self._state.ladder.place(self._environment)
        above = self.next_step()
        return LadderView(
            environment=self._environment.value,
            step=self._limits.place,
            steps=tuple(
                StepView(name=one.name, text=one.text, limits=_texts(one.limits))
                for one in self._limits.steps
            ),
            next=above.name if above else "",
            asks=self.asks(),
            since_us=here.since_us or None,
            cause=here.cause,
            by=here.by,
            reason=here.reason,
        )

    def drills(self) -> tuple[DrillView, ...]:
        """The last result of every drill, and whether it counts."""
        now_us = self._now_us()
        return tuple(
            drill_view(one, now_us)
            for one in self._state.drills.last(self._drills(), now_us, self._held)
        )

    def _shown(self, asks: Asks) -> tuple[EvidenceRow, ...]:
        state = self._state
        place = state.ladder.place(self._environment)
        counting = self._counting()
        missing = (
            None if counting is None else [one for one in REQUIRED_DRILLS if one not in counting]
        )
        sound, found = self._sound(), None
        if sound is not None:
            since_step = since(state.evidence, self._environment.value, place.since_seq)
            found = [one for one in since_step if one.session_id in sound]
        return shown(asks, found, missing, self.promotion().open_breaks)

    def _counting(self) -> frozenset[str] | None:
        return self._state.drills.counting(self._drills(), self._now_us(), self._held)

    def _confirmed_red(self) -> int | None:
        watch = self._state.recon_watch
        return None if watch.state == UNKNOWN else len(watch.confirmed)


@dataclass(frozen=True)
class InForce:
    """Both together, as the checks ask for them."""

    limits: LimitsInForce
    evidence: EvidenceInForce


def drill_view(one: LastDrill, now_us: int) -> DrillView:
    """One drill's last result for people."""
    told = one.told
    if told is None:
        return DrillView(name=one.name, passed=None, counts=False, why_not=one.why_not)
    return DrillView(
        name=one.name,
        passed=told.passed,
        counts=one.counts,
        why_not=one.why_not,
        drill_id=told.drill_id,
        ended_us=told.ended_us or None,
        age_seconds=max(0, now_us - told.ended_us) // _US_PER_SECOND if told.ended_us else None,
        by=one.by,
        version=told.version,
        code_sha256=told.code_sha256,
        journal_head=told.journal_head,
        measured=told.measured,
        criteria=told.criteria,
        fault=told.fault,
    )


def _texts(limits: Mapping[str, Decimal]) -> dict[str, str]:
    return {name: to_text(value) for name, value in limits.items()}
