"""Tightening a limit is one person's act, at once; letting it be wider again takes two.

`tighten` journals one event, and the next order is judged by it: also in the middle of a session,
whose approval stands, because what was signed only becomes narrower (I6). It holds over restarts
and in later sessions. `LoosenAct` is the way back, through dual control: up to what the config, the
ladder's step and the charter of an open session allow, and not one unit further.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

import msgspec

from engine.contracts.errors import InputError, Refused
from engine.contracts.event import AnyEvent, LimitLoosened, LimitTightened
from engine.contracts.money import to_text
from engine.contracts.people import Actor, Role
from engine.contracts.requests import TightenRequest
from engine.contracts.session import LIMIT_UNITS, Limits
from engine.contracts.standing import LimitRow, LimitsAnswer
from engine.contracts.view import HeadroomView
from engine.execution.consent.dual_act import Act, Grant
from engine.execution.core import Core, State
from engine.execution.limits.facts import FactsBuilder
from engine.execution.limits.in_force import LimitsInForce
from engine.execution.session_desk import SessionDesk
from engine.governance.saying import in_words
from engine.governance.session import Session
from engine.risk.breakers import OF_SESSION
from engine.risk.headroom import LIMIT_CODES, headroom
from engine.risk.standing import NAMES, parse_limit, tighter_than

_REASON_LIMIT = 500
#: The larger of the session's two losses, as the check has it.
_LOST = "SESSION_LOSS"
_CODES = {**LIMIT_CODES, "max_session_loss": _LOST}


class LimitDesk:
    """The limits in force: reading them, and tightening one."""

    def __init__(
        self, core: Core, session: SessionDesk, limits: LimitsInForce, facts: FactsBuilder
    ) -> None:
        self._core = core
        self._session = session
        self._limits = limits
        self._facts = facts

    async def tighten(self, request: TightenRequest, actor: Actor) -> None:
        """Make one limit tighter from the next order on. Raises InputError, Refused."""
        self._session.require(actor, Role.OPERATOR, Role.REVIEWER)
        value = parse_limit(request.name, request.value)
        reason = in_words(request.reason)
        if not 1 <= len(reason) <= _REASON_LIMIT:
            raise InputError(
                what=f"a reason has 1 to {_REASON_LIMIT} characters", where="limits", todo="say why"
            )

        def decide(state: State) -> Sequence[AnyEvent]:
            session = open_session(state)
            now = _amount(self._limits.of(session).limits, request.name)
            if not tighter_than(request.name, value, now):
                raise Refused(
                    what=f"{to_text(value)} is not tighter than {to_text(now)}",
                    where=f"limits.{request.name}",
                    todo="a wider limit takes two people: "
                    f"peakctl limits loosen {request.name} {to_text(value)} --reason ...",
                    code="NOT_TIGHTER",
                )
            return [
                LimitTightened(
                    session_id=session.id if session else "",
                    name=request.name,
                    before=now,
                    after=value,
                    reason=reason,
                )
            ]

        await self._core.decide(actor, decide)

    def answer(self) -> LimitsAnswer:
        """Every limit with what makes it so, and how much of it is used."""
        session = open_session(self._core.state)
        used = self._used(session)
        return limits_answer(self._core.state, self._limits, used)

    def _used(self, session: Session | None) -> Mapping[str, HeadroomView]:
        """How much of each limit the present session uses, by code."""
        if session is None or not session.charter.instruments:
            return {}
        rows = headroom(self._facts.risk(session.charter.instruments[0]))
        lost = [one.row() for one in self._facts.breakers() if one.breaker.name in OF_SESSION]
        worst = max(lost, key=lambda row: row.used_percent)
        return {row.code: row for row in (*rows, msgspec.structs.replace(worst, code=_LOST))}


def limits_answer(
    state: State, limits: LimitsInForce, used: Mapping[str, HeadroomView]
) -> LimitsAnswer:
    """Every limit as these folds have it; `used` by the codes of `_CODES`."""
    session = open_session(state)
    found, rows = limits.of(session), []
    for name in NAMES:
        standing = state.limits.by_name.get(name)
        cap = limits.step.limits.get(name)
        room = used.get(_CODES.get(name, ""))
        rows.append(
            LimitRow(
                name=name,
                value=_text(found.limits, name),
                origin=found.origins[name],
                config=_text(limits.config, name),
                charter=_text(session.charter.limits, name) if session else "",
                step="" if cap is None else to_text(cap),
                tightened=to_text(standing.value) if standing else "",
                by=standing.by if standing else "",
                at_us=standing.at_us if standing else None,
                reason=standing.reason if standing else "",
                used=room.used if room else "",
                used_percent=room.used_percent if room else None,
                unit=LIMIT_UNITS.get(name, ""),
            )
        )
    return LimitsAnswer(
        environment=limits.environment.value,
        session_id=session.id if session else "",
        step=limits.step.name,
        rows=tuple(rows),
    )


class LoosenAct(Act):
    """Purpose `loosen`: a limit that somebody tightened may be wider again."""

    def __init__(self, limits: LimitsInForce) -> None:
        self._limits = limits

    def describe(self, state: State, asked: Mapping[str, str]) -> dict[str, str]:
        """Name and value as asked for, with the value in force and the ceiling beside them."""
        if set(asked) != {"name", "value"}:
            raise InputError(
                what="loosening names a limit and its value",
                where="dual control",
                todo="name=max_position value=0.5",
            )
        name, value = asked["name"], parse_limit(asked["name"], asked["value"])
        return {
            "name": name,
            "value": to_text(value),
            "before": to_text(self._now(state, name)),
            "ceiling": to_text(self._ceiling(state, name)),
        }

    def check(self, state: State, subject: Mapping[str, str]) -> None:
        """Only what somebody tightened, only wider than now, never over the ceiling."""
        name, value = subject["name"], parse_limit(subject["name"], subject["value"])
        now, ceiling = self._now(state, name), self._ceiling(state, name)
        if name not in state.limits.by_name:
            raise _refused(name, "nobody has tightened it; there is nothing to loosen", "STANDING")
        if subject.get("before") != to_text(now) or subject.get("ceiling") != to_text(ceiling):
            raise _refused(name, "what is in force has changed since; ask anew", "FACTS_CHANGED")
        if not tighter_than(name, now, value):
            raise _refused(name, f"{to_text(value)} is not wider than {to_text(now)}", "NOT_WIDER")
        if tighter_than(name, ceiling, value):
            raise _refused(name, f"{to_text(value)} is over {to_text(ceiling)}", "CEILING")

    def events(self, state: State, subject: Mapping[str, str], grant: Grant) -> Sequence[AnyEvent]:
        """The limit as both have signed it."""
        session = open_session(state)
        return [
            LimitLoosened(
                session_id=session.id if session else "",
                name=subject["name"],
                before=self._now(state, subject["name"]),
                after=parse_limit(subject["name"], subject["value"]),
                reason=grant.reason,
                document_sha256=grant.document_sha256,
            )
        ]

    def _now(self, state: State, name: str) -> Decimal:
        return _amount(self._limits.of(open_session(state)).limits, name)

    def _ceiling(self, state: State, name: str) -> Decimal:
        """What config, ladder step and the open session's charter allow."""
        ceiling = _amount(self._limits.ceiling, name)
        session = open_session(state)
        if session is None:
            return ceiling
        charter = _amount(session.charter.limits, name)
        return charter if tighter_than(name, charter, ceiling) else ceiling


def open_session(state: State) -> Session | None:
    """The session that has not ended."""
    session = state.sessions.current
    return None if session is None or session.ended else session


def _amount(limits: Limits, name: str) -> Decimal:
    return Decimal(getattr(limits, name))


def _text(limits: Limits, name: str) -> str:
    return to_text(_amount(limits, name))


def _refused(name: str, what: str, code: str) -> Refused:
    return Refused(what=what, where=f"limits.{name}", todo="see peakctl limits", code=code)
