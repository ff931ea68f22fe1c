"""The session from charter to stop: the commands of the operator, decided on the folds.

Each command is one decision: the transition must be in governance's table, the person must have
the role, and what is refused changes nothing and says why. Signatures live in `approval_desk`, the
closing steps in `closing_desk`.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence

import msgspec

from engine.contracts.errors import InputError, Refused
from engine.contracts.event import (
    AnyEvent,
    ChecklistStarted,
    ItemAnswered,
    NoteAdded,
    SessionChartered,
    SessionMoved,
)
from engine.contracts.people import ENGINE, Actor, Role
from engine.contracts.session import (
    END_STATES,
    Charter,
    Checklist,
    ChecklistItem,
    ItemKind,
    ItemResult,
    Limits,
    SessionState,
)
from engine.execution.blind_answers import BlindAnswers
from engine.execution.clock import wall_us
from engine.execution.core import Core, State
from engine.execution.limits.in_force import LimitsInForce
from engine.execution.probes import Probes
from engine.governance.checklist import is_shared
from engine.governance.people import Roster
from engine.governance.saying import in_words
from engine.governance.session import Session
from engine.governance.transitions import Cause, legal
from engine.orders.positions import QUOTE_ASSETS, split_symbol
from engine.risk.limits import tighter

_NOTE_LIMIT = 500
_ANSWER_LIMIT = 200
_ID_ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyz"
_ID_LENGTH = 12
_US_PER_MINUTE = 60_000_000


class CharterRules(msgspec.Struct, frozen=True, kw_only=True):
    """What the config allows a charter to say, and its people to be. `window_max_us` in µs."""

    modes_allowed: tuple[str, ...]
    venue: str
    account: str
    symbols: tuple[str, ...]
    ceiling: Limits
    window_max_us: int
    attendance_max_seconds: int
    allow_same_uid: bool = False


def new_session_id() -> str:
    """Twelve random characters of [0-9a-z]: 62 bits, and short enough for client order ids."""
    return "".join(secrets.choice(_ID_ALPHABET) for _ in range(_ID_LENGTH))


def current_session(state: State) -> Session:
    """The session that is not ended. Raises Refused when there is none."""
    session = state.sessions.current
    if session is None or session.ended:
        raise Refused(
            what="there is no open session",
            where="session",
            todo="write a charter first",
            code="NO_SESSION",
        )
    return session


def moved(session: Session, after: SessionState, cause: Cause, reason: str = "") -> SessionMoved:
    """The transition event, when governance's table has it. Raises Refused."""
    if not legal(session.state, after, cause):
        raise Refused(
            what=f"a session in state {session.state.value} cannot become {after.value} by {cause}",
            where=f"session {session.id}",
            todo="see peakctl session states",
            code="ILLEGAL_TRANSITION",
        )
    return SessionMoved(
        session_id=session.id, before=session.state, after=after, cause=cause, reason=reason
    )


def lost_keys(session: Session, roster: Roster) -> tuple[str, ...]:
    """Who signed the approval with a key that is not that person's in the roster any more."""
    if session.go.decision != "GO":
        return ()
    signed = (
        (session.charter.operator, session.go.operator_fingerprint),
        (session.charter.reviewer, session.go.reviewer_fingerprint),
    )
    return tuple(
        name
        for name, key in signed
        if key and ((someone := roster.by_id(name)) is None or someone.fingerprint != key)
    )


class SessionDesk:
    """Charter, checklist, notes, pause, resume, stop, abort."""

    def __init__(
        self,
        core: Core,
        roster: Roster,
        rules: CharterRules,
        runbooks: Callable[[], Mapping[str, Checklist]],
        probes: Probes,
        limits: LimitsInForce | None = None,
    ) -> None:
        """`limits`: whose ladder step caps a charter beside the config; None: the config alone."""
        self._limits = limits
        self._core = core
        self._roster = roster
        self._rules = rules
        self._runbooks = runbooks
        self._probes = probes
        self._blind = BlindAnswers(probes, lambda: rules.allow_same_uid)

    def require(self, actor: Actor, *roles: Role) -> None:
        """Refuse an actor whose person has none of the roles, or works as another Unix user.

        The name is the asker's claim; the uid is the kernel's word. Where the roster ties the one
        to the other, both must fit, or anybody on the socket could speak in anybody's name (I8).
        """
        person = self._roster.by_id(actor.name)
        if person is None or person.role not in roles:
            wanted = " or ".join(role.value for role in roles)
            raise Refused(
                what=f"{actor.name!r} is not {wanted} in the roster",
                where="people.toml",
                todo=f"ask the {wanted}",
                code="ROLE",
            )
        if person.uid is not None and actor.proof != f"peer-uid:{person.uid}":
            raise Refused(
                what=f"{person.id} works as Unix user {person.uid}, this is {actor.proof}",
                where="people.toml",
                todo="speak in your own name",
                code="UID_MISMATCH",
            )

    async def charter(self, charter: Charter, actor: Actor) -> str:
        """Open a session with this charter. Returns the session id."""
        self.require(actor, Role.OPERATOR)
        checklist = self._checked(charter, actor)
        session_id = new_session_id()

        def decide(state: State) -> Sequence[AnyEvent]:
            current = state.sessions.current
            if current is not None and current.state not in END_STATES:
                raise Refused(
                    what=f"session {current.id} is {current.state.value}",
                    where="charter",
                    todo="end it first: seal it, or abort it before go",
                    code="SESSION_OPEN",
                )
            return [
                SessionChartered(session_id=session_id, charter=charter),
                ChecklistStarted(session_id=session_id, checklist=checklist),
            ]

        await self._core.decide(actor, decide)
        return session_id

    def _checked(self, charter: Charter, actor: Actor) -> Checklist:
        """Check a charter against config and roster; all that is wrong comes in one line."""
        checklists = self._runbooks()
        checklist = checklists.get(charter.runbook)
        wrong = [
            *_place_problems(charter, self._rules),
            *_limit_problems(charter, self._rules),
            *self._step_problems(charter),
            *self._people_problems(charter, actor),
        ]
        if checklist is None:
            wrong.append(f"runbook: {charter.runbook!r}; allowed: {', '.join(sorted(checklists))}")
        if wrong or checklist is None:
            raise InputError(what=" · ".join(wrong), where="charter", todo="correct and send again")
        return checklist

    def _step_problems(self, charter: Charter) -> Iterator[str]:
        """Limits that the config allows and the ladder's step does not."""
        if self._limits is None:
            return
        step, ceiling = self._limits.step, self._limits.ceiling
        for name in set(tighter(charter.limits, ceiling)) - set(
            tighter(charter.limits, self._rules.ceiling)
        ):
            yield f"limits.{name}: looser than {getattr(ceiling, name)} of ladder step {step.name}"

    def _people_problems(self, charter: Charter, actor: Actor) -> Iterator[str]:
        reviewer = self._roster.by_id(charter.reviewer)
        if reviewer is None or reviewer.role is not Role.REVIEWER:
            yield f"reviewer: {charter.reviewer!r} is not a reviewer in the roster"
        if charter.operator != actor.name:
            yield f"operator: {charter.operator!r} is not you ({actor.name})"

    # --- checklist ------------------------------------------------------------------------------

    async def begin_checklist(self, actor: Actor) -> None:
        """Move from charter to checklist."""
        self.require(actor, Role.OPERATOR)
        await self._core.decide(
            actor,
            lambda state: [
                moved(current_session(state), SessionState.CHECKLIST, Cause.CHECKLIST_STARTED)
            ],
        )

    async def probe(self, item_id: str, actor: Actor) -> None:
        """Run one automatic item, or all of them, and journal the readings."""
        self.require(actor, Role.OPERATOR, Role.REVIEWER)
        session = current_session(self._core.state)
        self._in_checklist(session)
        items = [
            item
            for item in self._items(session)
            if item.kind is ItemKind.AUTO and item_id in {"", item.id}
        ]
        if not items:
            raise InputError(what="no such automatic item", where=item_id[:40], todo="see the list")
        for item in items:
            reading = await self._probes.run(item.probe, session.charter)
            await self._core.record(
                ENGINE,
                ItemAnswered(
                    session_id=session.id,
                    item_id=item.id,
                    role="engine",
                    value=reading.value,
                    result=ItemResult.PASS if reading.passed else ItemResult.FAIL,
                    detail=reading.detail,
                ),
            )

    async def answer(self, item_id: str, role: str, answer: str, actor: Actor) -> None:
        """Answer a manual item. Automatic items cannot be ticked by hand."""
        self.require(actor, Role(role) if role in set(Role) else Role.OPERATOR)

        def decide(state: State) -> Sequence[AnyEvent]:
            session = current_session(state)
            self._in_checklist(session)
            item = next((one for one in self._items(session) if one.id == item_id), None)
            if item is None or role not in item.roles:
                raise InputError(
                    what=f"no item {item_id[:40]!r} for the {role[:20]}",
                    where="checklist",
                    todo="see the list",
                )
            if item.kind is ItemKind.AUTO:
                raise Refused(
                    what=f"item {item_id} is measured, not answered",
                    where="checklist",
                    todo="run its probe",
                    code="AUTO_ITEM",
                )
            words = answer.strip()
            if not words or len(words) > _ANSWER_LIMIT:
                raise InputError(
                    what=f"an answer has 1 to {_ANSWER_LIMIT} characters", where=item_id
                )
            if is_shared(item):
                return self._blind.events(session, item, role, words, actor)
            result, detail = self._probes.judge(item, words, session.charter)
            return [
                ItemAnswered(
                    session_id=session.id,
                    item_id=item_id,
                    role=role,
                    value=words,
                    result=result,
                    detail=detail,
                )
            ]

        await self._core.decide(actor, decide)

    def _in_checklist(self, session: Session) -> None:
        if session.state not in {SessionState.CHECKLIST, SessionState.GO_NOGO}:
            raise Refused(
                what=f"the session is {session.state.value}",
                where="checklist",
                todo="the checklist is answered between charter and go",
                code="NOT_IN_CHECKLIST",
            )

    @staticmethod
    def _items(session: Session) -> tuple[ChecklistItem, ...]:
        return session.checklist.items if session.checklist else ()

    # --- the rest -------------------------------------------------------------------------------

    async def note(self, text: str, actor: Actor) -> None:
        """Add a line to the runlog."""
        self.require(actor, Role.OPERATOR, Role.REVIEWER)
        words = " ".join(text.split())
        if not words or len(words) > _NOTE_LIMIT:
            raise InputError(what=f"a note has 1 to {_NOTE_LIMIT} characters", where="note")
        await self._core.decide(
            actor,
            lambda state: [NoteAdded(session_id=current_session(state).id, text=words)],
        )

    async def pause(self, reason: str, actor: Actor) -> None:
        """Refuse new orders until resumed; what rests stays. One person may always tighten."""
        self.require(actor, Role.OPERATOR, Role.REVIEWER)
        await self._move(SessionState.PAUSED, Cause.PAUSE, reason, actor)

    async def resume(self, reason: str, actor: Actor) -> None:
        """Take orders again within the same approval."""
        self.require(actor, Role.OPERATOR)
        await self._move(SessionState.LIVE, Cause.RESUME, reason, actor)

    async def abort(self, reason: str, actor: Actor) -> None:
        """Give up a session before it was live, or when its pack can never be sealed.

        A pack rests on the keys of the approval. Once one of them has left the roster, no list of
        signers vouches for it any more, and the reconciled session would stay open for ever.
        """
        self.require(actor, Role.OPERATOR, Role.REVIEWER)
        if not in_words(reason):
            raise InputError(what="an abort needs a reason", where="abort", todo="say why")

        def decide(state: State) -> Sequence[AnyEvent]:
            session = current_session(state)
            if session.state is SessionState.RECONCILED and not lost_keys(session, self._roster):
                raise Refused(
                    what="the keys of its approval are the roster's: its pack can be sealed",
                    where=f"session {session.id}",
                    todo="write the pack and sign it",
                    code="SEAL_IT",
                )
            return [moved(session, SessionState.ABORTED, Cause.ABORT, reason)]

        await self._core.decide(actor, decide)

    async def begin_stop(self, cause: Cause, reason: str, actor: Actor) -> None:
        """Refuse new orders; the host then cancels, proves and calls `stopped`."""
        await self._move(SessionState.STOPPING, cause, reason, actor)

    async def stopped(self, detail: str) -> None:
        """The venue has proven that nothing is open."""
        await self._move(SessionState.STOPPED, Cause.PROVEN_FLAT, detail, ENGINE)

    async def _move(self, after: SessionState, cause: Cause, reason: str, actor: Actor) -> None:
        await self._core.decide(
            actor, lambda state: [moved(current_session(state), after, cause, reason)]
        )


def _place_problems(charter: Charter, rules: CharterRules) -> Iterator[str]:
    if charter.mode.value not in rules.modes_allowed:
        yield f"mode: {charter.mode.value}; allowed: {', '.join(rules.modes_allowed)}"
    if charter.venue != rules.venue:
        yield f"venue: {charter.venue}; allowed: {rules.venue}"
    if charter.account != rules.account:
        yield f"account: {charter.account}; allowed: {rules.account}"
    strangers = sorted(set(charter.instruments) - set(rules.symbols))
    if strangers or not charter.instruments:
        named = ", ".join(strangers) or "none"
        yield f"instruments: {named}; allowed: {', '.join(rules.symbols)}"
    elif len(set(charter.instruments)) != len(charter.instruments):
        yield "instruments: one is named twice"
    else:
        # Equity, and so the drawdown, is measured in one currency or not at all.
        quotes = {split_symbol(symbol)[1] for symbol in charter.instruments}
        if len(quotes) != 1 or not quotes <= set(QUOTE_ASSETS):
            named = ", ".join(sorted(quotes & set(QUOTE_ASSETS))) or "an asset not known here"
            yield f"instruments: quoted in {named}; allowed: one known quote asset a session"
    if len(charter.purpose) > _NOTE_LIMIT:
        yield f"purpose: at most {_NOTE_LIMIT} characters"


def _limit_problems(charter: Charter, rules: CharterRules) -> Iterator[str]:
    for name in tighter(charter.limits, rules.ceiling):
        yield f"limits.{name}: looser than the config's {getattr(rules.ceiling, name)}"
    length = charter.window_until_us - charter.window_from_us
    if not 0 < length <= rules.window_max_us or charter.window_until_us <= wall_us():
        minutes = rules.window_max_us // _US_PER_MINUTE
        yield f"window: must end in the future and be at most {minutes} minutes long"
    if not 1 <= charter.attendance_seconds <= rules.attendance_max_seconds:
        yield f"attendance_seconds: 1 to {rules.attendance_max_seconds}"
