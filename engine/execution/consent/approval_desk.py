"""Go/no-go between two people: join, request, the operator's signature, the reviewer's decision.

The desk gathers facts, lets two verifiers look at each signature, asks the pure judges of
`governance`, journals what they said, and only then lets the session become live (I6, I8). A
denial is journaled with its code too. The age of a request is kept on the monotonic clock in
memory: after a restart it is not known, so a request that was pending then is void (I12).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from engine.contracts.canonical import sha256_hex
from engine.contracts.documents import Namespace
from engine.contracts.errors import Refused
from engine.contracts.event import (
    AnyEvent,
    ApprovalRefused,
    BalancesRead,
    GoDecided,
    GoRequested,
    GoSigned,
    GoVoided,
    ReviewerJoined,
)
from engine.contracts.people import ENGINE, Actor, Person, Role, person
from engine.contracts.requests import (
    CosignRequest,
    GoRequest,
    JoinRequest,
    SignRequest,
)
from engine.contracts.session import Environment, SessionState
from engine.execution.clock import monotonic_us, wall_us
from engine.execution.consent.validity import Bound, Validity
from engine.execution.core import Core, State
from engine.execution.session_desk import SessionDesk, current_session, moved
from engine.governance.approval import (
    MISTYPED,
    MOST_MISTYPED,
    CosignFacts,
    Denied,
    GoFacts,
    judge_cosign,
    judge_go,
)
from engine.governance.asking import (
    RequestFacts,
    judge_join,
    judge_request,
)
from engine.governance.blockers import checklist_blockers
from engine.governance.packet import (
    InputFile,
    PacketFacts,
    Party,
    build_packet,
    parse_cosign,
)
from engine.governance.people import Roster
from engine.governance.same_person import observed
from engine.governance.session import Session
from engine.governance.transitions import Cause
from engine.governance.verdict import SignatureVerdict
from engine.signatures.check import Checker
from engine.venues.port import Venue

__all__ = ["ApprovalDesk", "ApprovalTerms", "Bound"]


@dataclass(frozen=True)
class ApprovalTerms:
    """What does not change while the engine runs. Times in µs."""

    environment: Environment
    ttl_us: int
    allow_same_uid: bool
    hostname: str
    boot_id: str
    inputs: tuple[InputFile, ...]
    code: Mapping[str, str]
    min_dwell_us: int = 0


class ApprovalDesk:
    """The two-person steps of one engine."""

    def __init__(
        self,
        core: Core,
        session: SessionDesk,
        roster: Roster,
        checker: Checker,
        bound: Bound,
        terms: ApprovalTerms,
        venue: Venue,
    ) -> None:
        self._core = core
        self._session = session
        self._roster = roster
        self._checker = checker
        self._validity = Validity(bound)
        self._terms = terms
        self._venue = venue
        self._requested_us: tuple[str, int] | None = None
        #: how often the code or the limit of a packet was typed wrong, by its sha256
        self._mistyped: Counter[str] = Counter()

    # --- join, request --------------------------------------------------------------------------

    async def join(self, request: JoinRequest, actor: Actor) -> None:
        """The reviewer's process joins with its nonce; a second join replaces the first."""
        self._session.require(actor, Role.REVIEWER)

        def decide(state: State) -> Sequence[AnyEvent]:
            session = current_session(state)
            if actor.name != session.charter.reviewer:
                raise Refused(
                    what=f"the charter names {session.charter.reviewer} as reviewer",
                    where="review",
                    todo="let that person join",
                    code="ROLE",
                )
            _allow(judge_join(request.nonce, frozenset(state.sessions.seen_nonces)))
            return [
                ReviewerJoined(
                    session_id=session.id,
                    reviewer=actor.name,
                    nonce=request.nonce,
                    signals={**observed(request.signals), "uid": _uid_of(actor)},
                )
            ]

        await self._core.decide(actor, decide)

    async def request(self, request: GoRequest, actor: Actor) -> None:
        """Build the packet and move to go/no-go; the opening balances are read for it."""
        self._session.require(actor, Role.OPERATOR)
        balances = await self._venue.balances()

        def decide(state: State) -> Sequence[AnyEvent]:
            session = current_session(state)
            now = wall_us()
            self._validity.refuse_stale(session)
            _allow(judge_request(self._request_facts(state, session, request.nonce, now)))
            packet = build_packet(self._packet_facts(session, request, actor, now))
            digest = sha256_hex(packet)
            self._requested_us = (digest, monotonic_us())
            return [
                BalancesRead(session_id=session.id, moment="opening", balances=balances),
                GoRequested(
                    session_id=session.id,
                    packet=packet.decode("ascii"),
                    packet_sha256=digest,
                    expires_us=now + self._terms.ttl_us,
                ),
                moved(session, SessionState.GO_NOGO, Cause.GO_REQUESTED),
            ]

        await self._core.decide(actor, decide)

    @staticmethod
    def _request_facts(state: State, session: Session, nonce: str, now: int) -> RequestFacts:
        return RequestFacts(
            state=session.state,
            stage=session.go.stage,
            latch_set=state.latch.is_set,
            blockers=checklist_blockers(session, now),
            joined_nonce=session.reviewer_nonce,
            operator_nonce=nonce,
            seen_nonces=frozenset(state.sessions.seen_nonces - {session.reviewer_nonce}),
            used_nonces=frozenset(state.sessions.used_nonces),
            now_us=now,
            window_until_us=session.charter.window_until_us,
        )

    def _packet_facts(
        self, session: Session, request: GoRequest, actor: Actor, now: int
    ) -> PacketFacts:
        terms = self._terms
        current = self._validity.current(session)
        journal = self._core.journal
        operator = self._person(session.charter.operator)
        reviewer = self._person(session.charter.reviewer)
        reviewer_signals = dict(session.reviewer_signals)
        reviewer_uid = reviewer_signals.pop("uid", "")
        return PacketFacts(
            session_id=session.id,
            environment=terms.environment,
            charter=session.charter,
            config_sha256=current["config_sha256"],
            inputs=terms.inputs,
            code_sha256=current["code_sha256"],
            code=dict(terms.code),
            checklist_sha256=current["checklist_sha256"],
            roster_sha256=current["roster_sha256"],
            prev_head_size=journal.size,
            prev_head_sha256=journal.head,
            operator=_party(operator, _uid_of(actor), observed(request.signals)),
            reviewer=_party(reviewer, reviewer_uid, reviewer_signals),
            operator_nonce=request.nonce,
            reviewer_nonce=session.reviewer_nonce,
            allow_same_uid=terms.allow_same_uid,
            issued_at_us=now,
            expires_at_us=now + terms.ttl_us,
            boot_id=terms.boot_id,
            hostname=terms.hostname,
        )

    # --- signatures -----------------------------------------------------------------------------

    async def sign(self, request: SignRequest, actor: Actor) -> None:
        """Take the operator's signature over the packet."""
        self._session.require(actor, Role.OPERATOR)
        session = current_session(self._core.state)
        self._named(session, request.sha256)
        verdict = await self._operator_verdict(session, request.signature)

        def decide(state: State) -> Sequence[AnyEvent]:
            judged = judge_go(self._go_facts(state, session, verdict))
            if isinstance(judged, Denied):
                return [self._refused(session, "operator", judged)]
            return [
                GoSigned(
                    session_id=session.id,
                    packet_sha256=session.go.sha256,
                    signature=request.signature,
                    fingerprint=verdict.fingerprint,
                    counter=verdict.sk_counter,
                )
            ]

        await self._decided(_signed(actor, verdict), decide)

    async def cosign(self, request: CosignRequest, actor: Actor) -> None:
        """Take the reviewer's decision: GO arms, NO-GO ends it, ABSTAIN voids the request."""
        self._session.require(actor, Role.REVIEWER)
        session = current_session(self._core.state)
        document = request.cosign.encode("utf-8")
        reviewer = self._person(session.charter.reviewer)
        operator_verdict = await self._operator_verdict(session, session.go.operator_signature)
        verdict = await self._checker.check_async(
            reviewer.principal, Namespace.COSIGN, document, request.signature
        )

        def decide(state: State) -> Sequence[AnyEvent]:
            facts = CosignFacts(
                **msgspec.structs.asdict(self._go_facts(state, session, operator_verdict)),
                cosign=document,
                reviewer_verdict=verdict,
            )
            judged = judge_cosign(facts)
            if isinstance(judged, Denied):
                return [self._refused(session, "reviewer", judged), *self._guessed(session, judged)]
            said = parse_cosign(document)
            after, cause = _AFTER[said["decision"]]
            if after is SessionState.LIVE and state.latch.is_set:
                return [self._refused(session, "reviewer", _LATCH_SET)]
            return [
                GoDecided(
                    session_id=session.id,
                    decision=said["decision"],
                    reason=said["reason"],
                    packet_sha256=session.go.sha256,
                    cosign=request.cosign,
                    signature=request.signature,
                    fingerprint=verdict.fingerprint,
                    signals=judged.signals,
                    counter=verdict.sk_counter,
                ),
                moved(session, after, cause, said["reason"]),
            ]

        await self._decided(_signed(actor, verdict), decide)

    def _guessed(self, session: Session, denied: Denied) -> Sequence[AnyEvent]:
        """The packet is void once its code or limit was typed wrong too often: that is guessing."""
        if denied.code not in MISTYPED:
            return ()
        self._mistyped[session.go.sha256] += 1
        if self._mistyped[session.go.sha256] < MOST_MISTYPED:
            return ()
        reason = f"typed wrong {MOST_MISTYPED} times"
        void = GoVoided(
            session_id=session.id,
            packet_sha256=session.go.sha256,
            code="TOO_MANY_TRIES",
            reason=reason,
        )
        return void, moved(session, SessionState.CHECKLIST, Cause.GO_VOID, reason)

    async def _operator_verdict(self, session: Session, signature: str) -> SignatureVerdict:
        operator = self._person(session.charter.operator)
        packet = session.go.packet.encode("ascii")
        return await self._checker.check_async(operator.principal, Namespace.GO, packet, signature)

    def _go_facts(self, state: State, session: Session, verdict: SignatureVerdict) -> GoFacts:
        go = session.go
        asked = self._requested_us
        elapsed = monotonic_us() - asked[1] if asked and asked[0] == go.sha256 else None
        now = wall_us()
        return GoFacts(
            session_id=session.id,
            environment=self._terms.environment,
            stage=go.stage,
            charter=session.charter,
            roster=self._roster,
            packet=go.packet.encode("ascii"),
            packet_sha256=go.sha256,
            operator_verdict=verdict,
            joined_nonce=session.reviewer_nonce,
            used_nonces=frozenset(state.sessions.used_nonces),
            now_us=now,
            elapsed_us=elapsed,
            ttl_us=self._terms.ttl_us,
            current=self._validity.current(session),
            blockers=checklist_blockers(session, now),
            allow_same_uid=self._terms.allow_same_uid,
            counters=dict(state.counters.last),
            min_dwell_us=self._terms.min_dwell_us,
        )

    async def _decided(self, actor: Actor, decide: Callable[[State], Sequence[AnyEvent]]) -> None:
        """Journal the judgement; a refusal is journaled too and then raised."""
        for recorded in await self._core.decide(actor, decide):
            if isinstance(recorded.event, ApprovalRefused):
                raise Refused(
                    what=recorded.event.reason, where="approval", code=recorded.event.code
                )

    @staticmethod
    def _refused(session: Session, role: str, denied: Denied) -> ApprovalRefused:
        return ApprovalRefused(
            session_id=session.id, role=role, code=denied.code, reason=denied.reason
        )

    @staticmethod
    def _named(session: Session, digest: str) -> None:
        if session.go.sha256 != digest:
            raise Refused(
                what="the signature is over another packet than the one that waits",
                where="approval",
                todo="read the packet on the screen again",
                code="GO_SHA_MISMATCH",
            )

    def _person(self, name: str) -> Person:
        someone = self._roster.by_id(name)
        if someone is None:
            raise Refused(
                what=f"{name!r} is not in the roster", where="people.toml", code="UNKNOWN_PERSON"
            )
        return someone

    # --- validity -------------------------------------------------------------------------------

    def changed_since_signed(self, session: Session) -> tuple[str, ...]:
        """Which signed hashes no longer hold (I6); everything, when the packet cannot be read."""
        return self._validity.changed_since_signed(session)

    async def expire_request(self) -> None:
        """Void a request that expired or whose facts changed; back to the checklist."""
        session = self._core.state.sessions.current
        if session is None or session.go.stage not in {"requested", "signed"}:
            return
        denied = self._void_reason(session)
        if denied is None:
            return

        def decide(state: State) -> Sequence[AnyEvent]:
            now = state.sessions.current
            if now is not session or session.state is not SessionState.GO_NOGO:
                return []
            return [
                GoVoided(
                    session_id=session.id,
                    packet_sha256=session.go.sha256,
                    code=denied.code,
                    reason=denied.reason,
                ),
                moved(session, SessionState.CHECKLIST, Cause.GO_VOID, denied.reason),
            ]

        await self._core.decide(ENGINE, decide)

    def _void_reason(self, session: Session) -> Denied | None:
        asked = self._requested_us
        if asked is None or asked[0] != session.go.sha256:
            return Denied("ELAPSED_UNKNOWN", "the engine was restarted since; ask for go again")
        expired = (
            wall_us() >= (session.go.expires_us or 0)
            or monotonic_us() - asked[1] >= self._terms.ttl_us
        )
        if expired:
            return Denied("EXPIRED", "the request has expired; ask for go again")
        changed = self.changed_since_signed(session)
        if changed:
            names = ", ".join(name.removesuffix("_sha256") for name in changed)
            return Denied("FACTS_CHANGED", f"changed since the packet was made: {names}")
        return None


#: Where each decision leads, and why.
_AFTER = {
    "GO": (SessionState.LIVE, Cause.GO),
    "NO-GO": (SessionState.NO_GO, Cause.NO_GO),
    "ABSTAIN": (SessionState.CHECKLIST, Cause.GO_VOID),
}

_LATCH_SET = Denied("LATCH", "the kill latch is set; release it with two signatures first")


def _allow(judged: object) -> None:
    """Raise Refused for a denial."""
    if isinstance(judged, Denied):
        raise Refused(what=judged.reason, where="approval", code=judged.code)


def _uid_of(actor: Actor) -> str:
    return actor.proof.removeprefix("peer-uid:")


def _party(who: Person, uid: str, signals: Mapping[str, str]) -> Party:
    return Party(
        person=who.id,
        principal=who.principal,
        fingerprint=who.fingerprint,
        uid=int(uid) if uid.isdigit() else None,
        signals=dict(signals),
    )


def _signed(actor: Actor, verdict: SignatureVerdict) -> Actor:
    """The same person, with the signature as the proof when it is good (I8)."""
    return person(actor.name, f"sshsig:{verdict.fingerprint}") if verdict.ok else actor
