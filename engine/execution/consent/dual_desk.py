"""Dual control: acts beside go/no-go that two people grant (`engine.governance.dual`).

The way of a request: one of the two asks, with a reason (`request`); the desk builds the exact
document and journals it; both sign the same bytes (`sign`, in any order, from their own process or
from a file); at the second signature everything is judged anew, what the act needs is measured
anew, and `dual.granted` is journaled in one decision with the act's own events. A refusal is
journaled too and ends nothing: the request waits until it expires (300 s at most), is withdrawn,
or something it binds has changed. Its age is kept on the monotonic clock in memory: after a
restart it is not known, so what was pending then is void (I12).

How a purpose is tied in: `engine.execution.consent.dual_act`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from engine.contracts.errors import PeakError, Refused
from engine.contracts.event import (
    AnyEvent,
    DualGranted,
    DualRefused,
    DualRequested,
    DualSigned,
)
from engine.contracts.people import ENGINE, Actor, Role, person
from engine.contracts.requests import DualRequest, DualSignRequest, DualWithdrawRequest
from engine.contracts.session import Environment, Mode
from engine.contracts.view import DualView
from engine.execution.clock import monotonic_us, wall_us
from engine.execution.consent.approval_desk import ApprovalTerms
from engine.execution.consent.dual_act import Act, Grant, Measured
from engine.execution.consent.dual_asking import Asking, open_session, reason_words, withdrawn
from engine.execution.consent.dual_view import dual_view, dual_views
from engine.execution.consent.validity import Bound
from engine.execution.core import Core, State
from engine.execution.session_desk import SessionDesk
from engine.governance.dual import (
    Denied,
    DualFacts,
    Purpose,
    Signed,
    judge_dual,
    judge_request,
    judge_signature,
    namespace_of,
)
from engine.governance.dual_book import PENDING, Request
from engine.governance.people import Roster
from engine.governance.same_person import observed
from engine.governance.session import Session
from engine.governance.verdict import SignatureVerdict
from engine.governance.wordlist import same_code
from engine.signatures.check import Checker

_REASON_LIMIT = 500
_MOST_PENDING = 8
_CODE_LIMIT = 100


class DualDesk:
    """Requests, signatures and grants of one engine."""

    def __init__(
        self,
        core: Core,
        session: SessionDesk,
        roster: Roster,
        checker: Checker,
        bound: Bound,
        terms: ApprovalTerms,
        acts: Mapping[Purpose, Act],
    ) -> None:
        self._core = core
        self._session = session
        self._roster = roster
        self._checker = checker
        self._bound = bound
        self._terms = terms
        self._acts = acts
        self._asking = Asking(core.journal, roster, bound, terms)
        #: signatures are taken one after the other: the second one knows of the first
        self._signing = asyncio.Lock()
        #: when each pending document was asked for, monotonic µs, by its sha256
        self._asked_us: dict[str, int] = {}

    # --- asking ---------------------------------------------------------------------------------

    async def request(self, request: DualRequest, actor: Actor) -> DualView:
        """Build and journal the document for both to sign. Raises InputError, Refused."""
        self._session.require(actor, Role.OPERATOR, Role.REVIEWER)
        act = self._act(request.purpose)
        asked: list[DualRequested] = []

        def decide(state: State) -> Sequence[AnyEvent]:
            events, made = self._asking.events(state, act, request, actor)
            self._asked_us[made.document_sha256] = monotonic_us()
            asked.append(made)
            return [*events, made]

        await self._core.decide(actor, decide)
        return dual_view(self._core.state.dual.requests[asked[0].request_id])

    # --- signing --------------------------------------------------------------------------------

    async def sign(self, request: DualSignRequest, actor: Actor) -> None:
        """Take one signature; with the second one the act is granted, or refused. Raises Refused.

        The signature is checked by both verifiers before anything else is looked at.
        """
        self._session.require(actor, Role.OPERATOR, Role.REVIEWER)
        async with self._signing:
            await self._sign(request, actor)

    async def _sign(self, request: DualSignRequest, actor: Actor) -> None:
        waiting = self._waiting(request.request_id, request.sha256)
        signer = request.signer or actor.name
        role = waiting.said.role_of(signer)
        if role is None:
            raise Refused(
                what=f"{signer[:40]} is none of the two who sign this",
                where="dual control",
                todo=f"it is for {waiting.said.operator.person} and {waiting.said.reviewer.person}",
                code="PEOPLE",
            )
        own = signer == actor.name
        signals = {
            **(observed(request.signals) if own else {}),
            "uid": actor.proof.removeprefix("peer-uid:") if own else "",
        }
        signatures = await self._verified(waiting, role, request.signature, signals)
        act, complete = self._act(waiting.purpose), len(signatures) == len(Role)
        measured = Measured()
        if complete and not isinstance(
            self._judge(self._core.state, waiting, act, role, signatures), Denied
        ):
            measured = await act.measure(waiting.said.subject)
        mine = signatures[role]
        grants: list[Grant] = []

        def decide(state: State) -> Sequence[AnyEvent]:
            now = state.dual.requests.get(waiting.id, waiting)
            judged = _mistyped(request.typed_code, waiting.sha256) or self._judge(
                state, now, act, role, signatures
            )
            if not isinstance(judged, Denied) and measured.denied is not None:
                judged = measured.denied
            if isinstance(judged, Denied):
                return [_refused(now, signer, judged, measured)]
            signed = DualSigned(
                request_id=now.id,
                purpose=now.purpose.value,
                session_id=now.said.session,
                role=role.value,
                person=signer,
                document_sha256=now.sha256,
                signature=request.signature,
                fingerprint=mine.verdict.fingerprint,
                signals=signals,
                typed_code=request.typed_code[:_CODE_LIMIT],
                counter=mine.verdict.sk_counter,
            )
            if not complete:
                return [signed]
            grant = _grant(now, {**now.signatures, role: signed})
            grants.append(grant)
            granted = DualGranted(
                request_id=now.id,
                purpose=now.purpose.value,
                session_id=now.said.session,
                document_sha256=now.sha256,
                reason=grant.reason,
                operator=grant.operator,
                reviewer=grant.reviewer,
                signals=judged,
                measured=measured.values,
            )
            return [signed, granted, *act.events(state, now.said.subject, grant)]

        proven = own and mine.verdict.ok
        who = person(actor.name, f"sshsig:{mine.verdict.fingerprint}") if proven else actor
        for recorded in await self._core.decide(who, decide):
            if isinstance(recorded.event, DualRefused):
                raise Refused(
                    what=recorded.event.reason, where="dual control", code=recorded.event.code
                )
        for grant in grants:
            self._asked_us.pop(waiting.sha256, None)
            await act.done(waiting.said.subject, grant)

    async def _verified(
        self, waiting: Request, role: Role, signature: str, signals: Mapping[str, str]
    ) -> dict[Role, Signed]:
        """All signatures there are, each looked at anew by both verifiers (I6)."""
        handed = {one: (kept.signature, kept.signals) for one, kept in waiting.signatures.items()}
        handed[role] = (signature, dict(signals))
        return {
            one: Signed(
                verdict=await self._verdict(waiting, one, armored),
                uid=int(seen["uid"]) if seen.get("uid", "").isdigit() else None,
                signals={name: text for name, text in seen.items() if name != "uid"},
            )
            for one, (armored, seen) in handed.items()
        }

    async def _verdict(self, waiting: Request, role: Role, armored: str) -> SignatureVerdict:
        return await self._checker.check_async(
            waiting.said.signer(role).principal,
            namespace_of(waiting.purpose, role),
            waiting.document.encode("ascii"),
            armored,
        )

    def _judge(
        self,
        state: State,
        waiting: Request,
        act: Act,
        role: Role,
        signatures: Mapping[Role, Signed],
    ) -> dict[str, str] | Denied:
        """The same-person signals when all holds; or why not: the rules, then the act's own."""
        facts = self._facts(state, waiting, signatures)
        complete = len(signatures) == len(Role)
        judged = judge_dual(facts, role) if complete else judge_signature(facts, role)
        if isinstance(judged, Denied):
            return judged
        return self._act_denies(state, waiting, act) or judged.signals

    @staticmethod
    def _act_denies(state: State, waiting: Request, act: Act) -> Denied | None:
        try:
            act.check(state, waiting.said.subject)
        except PeakError as error:
            return Denied(error.code, f"{error.what}; {error.todo}" if error.todo else error.what)
        return None

    def _facts(
        self, state: State, waiting: Request, signatures: Mapping[Role, Signed]
    ) -> DualFacts:
        asked = self._asked_us.get(waiting.sha256)
        session = open_session(state)
        return DualFacts(
            purpose=waiting.purpose,
            stage=waiting.stage,
            environment=self._terms.environment,
            session_id=session.id if session else "",
            session_people=(session.charter.operator, session.charter.reviewer)
            if session
            else None,
            roster=self._roster,
            document=waiting.document.encode("ascii"),
            document_sha256=waiting.sha256,
            signatures=signatures,
            used_nonces=frozenset(state.dual.used_nonces),
            current=self._asking.bound_now(),
            now_us=wall_us(),
            elapsed_us=None if asked is None else monotonic_us() - asked,
            ttl_us=self._terms.ttl_us,
            allow_same_uid=self._terms.allow_same_uid,
            mode=_mode(session, self._terms.environment),
            counters=dict(state.counters.last),
        )

    # --- ending ---------------------------------------------------------------------------------

    async def withdraw(self, request: DualWithdrawRequest, actor: Actor) -> None:
        """Take back one's own request, or decline the other's; with a reason. Raises Refused."""
        self._session.require(actor, Role.OPERATOR, Role.REVIEWER)
        reason = reason_words(request.reason)

        def decide(_state: State) -> Sequence[AnyEvent]:
            waiting = self._waiting(request.request_id)
            if waiting.said.role_of(actor.name) is None:
                raise Refused(
                    what=f"{actor.name} is none of the two who sign this",
                    where="dual control",
                    todo="leave it to them",
                    code="PEOPLE",
                )
            mine = waiting.said.requested_by == actor.name
            return [withdrawn(waiting, "WITHDRAWN" if mine else "DECLINED", reason)]

        await self._core.decide(actor, decide)

    async def expire(self) -> None:
        """Withdraw what nobody can grant any more: too old, of before a restart, overtaken."""
        if not self._core.state.dual.pending:
            return

        def decide(state: State) -> Sequence[AnyEvent]:
            events: list[AnyEvent] = []
            for one in state.dual.pending:
                denied = self._void(state, one)
                if denied is not None:
                    events.append(withdrawn(one, denied.code, denied.reason))
            return events

        if any(self._void(self._core.state, one) for one in self._core.state.dual.pending):
            await self._core.decide(ENGINE, decide)
        for one in self._core.state.dual.requests.values():
            if one.stage != PENDING:
                self._asked_us.pop(one.sha256, None)

    def _void(self, state: State, waiting: Request) -> Denied | None:
        denied = judge_request(self._facts(state, waiting, {}))
        return denied or self._act_denies(state, waiting, self._act(waiting.purpose))

    # --- readings -------------------------------------------------------------------------------

    def views(self) -> tuple[DualView, ...]:
        """Those that wait, oldest first, then the last decided ones, newest first."""
        return dual_views(self._core.state.dual)

    def _act(self, purpose: Purpose) -> Act:
        act = self._acts.get(purpose)
        if act is None:
            raise Refused(
                what=f"nothing grants {purpose.value} here",
                where="dual control",
                todo="see peakctl dual list",
                code="NO_ACT",
            )
        return act

    def _waiting(self, request_id: str, digest: str | None = None) -> Request:
        found = self._core.state.dual.requests.get(request_id)
        if found is None or found.stage != PENDING:
            stage = f"{found.stage} {found.code}".rstrip() if found else "not known"
            raise Refused(
                what=f"request {request_id[:20]!r} is {stage}",
                where="dual control",
                todo="see peakctl dual list; ask anew",
                code="NOT_PENDING",
            )
        if digest is not None and digest != found.sha256:
            raise Refused(
                what="the signature is over another document than the one that waits",
                where="dual control",
                todo="read the document again and sign that",
                code="SHA_MISMATCH",
            )
        return found


def _mode(session: Session | None, environment: Environment) -> str:
    """The session's mode; outside one, what `prod` touches counts as live."""
    if session is not None:
        return session.charter.mode.value
    return Mode.LIVE.value if environment is Environment.PROD else ""


def _mistyped(typed: str, digest: str) -> Denied | None:
    if not typed or same_code(typed, digest):
        return None
    return Denied("SHORT_CODE", "the four words differ; have them read out again")


def _grant(waiting: Request, signed: Mapping[Role, DualSigned]) -> Grant:
    said = waiting.said
    return Grant(
        request_id=waiting.id,
        document=waiting.document,
        document_sha256=waiting.sha256,
        reason=said.reason,
        operator=said.operator.person,
        reviewer=said.reviewer.person,
        operator_signature=signed[Role.OPERATOR].signature,
        reviewer_signature=signed[Role.REVIEWER].signature,
        requested_by=said.requested_by,
    )


def _refused(waiting: Request, signer: str, denied: Denied, measured: Measured) -> DualRefused:
    return DualRefused(
        request_id=waiting.id,
        purpose=waiting.purpose.value,
        session_id=waiting.said.session,
        person=signer,
        code=denied.code,
        reason=denied.reason,
        measured=measured.values,
    )
