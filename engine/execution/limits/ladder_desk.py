"""Moving on the scaling ladder: down by one person or by itself, up by two and with the evidence.

What takes a session down by itself (`engine.governance.ladder.TROUBLES`) is in force with its
cause; here it is only written down as a step of its own, soon after, and once: also by the engine
that comes after a crash.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from engine.contracts.errors import InputError, Refused
from engine.contracts.event import AnyEvent, LadderStepped, Recorded
from engine.contracts.people import Actor, Role, automaton
from engine.contracts.requests import ReasonRequest
from engine.contracts.session import Environment
from engine.execution.consent.dual_act import Act, Grant
from engine.execution.core import Core, State
from engine.execution.limits.in_force import EvidenceInForce, LimitsInForce
from engine.execution.limits.limit_desk import open_session
from engine.execution.session_desk import SessionDesk
from engine.execution.settle.settler import RaiseAlarm
from engine.governance.ladder import DOWN, TROUBLES, UP, Due
from engine.governance.saying import in_words

LADDER = automaton("ladder")
_REASON_LIMIT = 500


class LadderDesk:
    """Steps down, and tells of those that happened by themselves."""

    def __init__(
        self,
        core: Core,
        session: SessionDesk,
        limits: LimitsInForce,
        environment: Environment,
        raise_alarm: RaiseAlarm,
    ) -> None:
        self._core = core
        self._session = session
        self._limits = limits
        self._environment = environment
        self._raise_alarm = raise_alarm
        self._heard = asyncio.Event()

    async def down(self, request: ReasonRequest, actor: Actor) -> None:
        """One step down, by one person. Raises InputError, Refused on the first step."""
        self._session.require(actor, Role.OPERATOR, Role.REVIEWER)
        reason = in_words(request.reason)
        if not 1 <= len(reason) <= _REASON_LIMIT:
            raise InputError(
                what=f"a reason has 1 to {_REASON_LIMIT} characters", where="ladder", todo="say why"
            )

        def decide(state: State) -> Sequence[AnyEvent]:
            here = self._limits.place
            if here == 0:
                raise Refused(
                    what=f"{self._limits.step.name} is the first step",
                    where="ladder",
                    todo="there is nothing below; stop the session, or tighten a limit",
                    code="FIRST_STEP",
                )
            return [self._stepped(state, here, here - 1, DOWN, reason)]

        await self._core.decide(actor, decide)

    def heard(self, recorded: Recorded) -> None:
        """An event was applied: perhaps it took the session a step down."""
        del recorded
        if self._due() is not None:
            self._heard.set()

    async def run(self) -> None:
        """Endless: write down what happened by itself."""
        while True:
            await self._tell()
            await self._heard.wait()
            self._heard.clear()

    async def _tell(self) -> None:
        def decide(state: State) -> Sequence[AnyEvent]:
            due = self._due()
            if due is None:
                return []
            reason = f"{TROUBLES[due.cause].text}: {due.reason}"
            return [self._stepped(state, due.before, due.after, due.cause, reason)]

        for recorded in await self._core.decide(LADDER, decide):
            event = recorded.event
            if isinstance(event, LadderStepped):
                words = f"{event.environment} stands on {event.step} now: {event.reason}"
                await self._raise_alarm("LADDER_DOWN", words[:300])

    def _due(self) -> Due | None:
        return self._core.state.ladder.place(self._environment.value).due

    def _stepped(
        self, state: State, before: int, after: int, cause: str, reason: str
    ) -> LadderStepped:
        session = open_session(state)
        return LadderStepped(
            session_id=session.id if session else "",
            environment=self._environment.value,
            before=before,
            after=after,
            step=self._limits.steps[after].name,
            cause=cause,
            reason=reason[:_REASON_LIMIT],
        )


class StepUpAct(Act):
    """Purpose `step_up`: one step, with what the step asks for, and two signatures."""

    def __init__(
        self, limits: LimitsInForce, evidence: EvidenceInForce, environment: Environment
    ) -> None:
        self._limits = limits
        self._evidence = evidence
        self._environment = environment

    def describe(self, state: State, asked: Mapping[str, str]) -> dict[str, str]:  # noqa: ARG002
        """Where it goes from and to, and what was shown for it: nothing is to be typed in."""
        if asked:
            raise InputError(
                what="a step up is the next step, with the evidence that the engine computes",
                where="dual control",
                todo="ask for it without a subject",
            )
        above = self._evidence.next_step()
        if above is None:
            raise _refused(f"{self._limits.step.name} is the highest step", "HIGHEST_STEP")
        return {
            "environment": self._environment.value,
            "from": self._limits.step.name,
            "step": above.name,
            **self._shown(),
        }

    def check(self, state: State, subject: Mapping[str, str]) -> None:
        """All that the step asks for is there, now; no session is open; nothing moved since."""
        above = self._evidence.next_step()
        asks = self._evidence.asks()
        if above is None or subject.get("step") != above.name:
            raise _refused("the ladder has moved since; ask anew", "FACTS_CHANGED")
        if subject.get("from") != self._limits.step.name:
            raise _refused("the ladder has moved since; ask anew", "FACTS_CHANGED")
        missing = [f"{row.text}: {_have(row.have)} of {row.need}" for row in asks if not row.met]
        if missing or not asks:
            raise _refused(f"not shown yet: {'; '.join(missing) or 'nothing'}", "EVIDENCE")
        if open_session(state) is not None:
            raise _refused("a session is open; end it first", "SESSION_OPEN")

    def events(self, state: State, subject: Mapping[str, str], grant: Grant) -> Sequence[AnyEvent]:
        """The step as both have signed it."""
        del state
        here = self._limits.place
        return [
            LadderStepped(
                session_id="",
                environment=subject["environment"],
                before=here,
                after=here + 1,
                step=subject["step"],
                cause=UP,
                reason=grant.reason,
                document_sha256=grant.document_sha256,
                evidence=self._shown(),
            )
        ]

    def _shown(self) -> dict[str, str]:
        return {
            f"evidence {row.code}": f"{_have(row.have)}, {row.bound} {row.need}"
            for row in self._evidence.asks()
        }


def _have(value: int | None) -> str:
    return "not known" if value is None else str(value)


def _refused(what: str, code: str) -> Refused:
    return Refused(what=what, where="ladder", todo="see peakctl ladder show", code=code)
