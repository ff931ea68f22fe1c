"""Dual control: the document of one act that two people grant, and the judgement of it.

For acts beside go/no-go: releasing the kill latch, adopting an orphan, closing a red break,
loosening a limit, a step up the scaling ladder. One person may always tighten; none of that comes
here. Promises: the bytes built here are the bytes that are hashed, shown, signed and journaled
(I6); canonical ASCII JSON on one line; a purpose has its own document type and its own pair of
namespaces, so a signature for one is worth nothing for another; both people are named in the
document before either signs, and both sign the same bytes.

The judge is a table of rules over facts: the first that objects wins, and a fact that is missing
objects (I12). It is asked at each signature and again at the moment of granting. What the act
itself demands is not judged here (`engine.execution.consent.dual_desk.Act.check`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from engine.contracts.canonical import sha256_hex
from engine.contracts.documents import Purpose
from engine.contracts.errors import InputError
from engine.contracts.people import Person, Role
from engine.contracts.session import Environment
from engine.governance.dual_document import (
    BOUND,
    HEADLINES,
    DualContent,
    Signer,
    build_dual,
    document_type,
    dual_lines,
    namespace_of,
    parse_dual,
)
from engine.governance.freshness import Lifetime, judge_fresh
from engine.governance.hardware import judge_counter, judge_hardware
from engine.governance.people import Roster, usable_in
from engine.governance.same_person import judge_same_person, same_person_signals
from engine.governance.saying import in_words
from engine.governance.shapes import Party
from engine.governance.verdict import Approved, Denied, SignatureVerdict

__all__ = [
    "BOUND",
    "HEADLINES",
    "Denied",
    "DualContent",
    "DualFacts",
    "Purpose",
    "Signed",
    "Signer",
    "build_dual",
    "document_type",
    "dual_lines",
    "judge_dual",
    "judge_request",
    "judge_signature",
    "namespace_of",
    "parse_dual",
    "signals_of",
]


class Signed(msgspec.Struct, frozen=True, kw_only=True):
    """One signature as the desk has it: both verifiers' word, and who handed it in from where.

    `uid` is the kernel's word about the signer's own connection, None when not known (another
    person handed the file in); `signals` are the process's own observations.
    """

    verdict: SignatureVerdict
    uid: int | None
    signals: Mapping[str, str] = {}


class DualFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What the engine knows when it judges; None means not known.

    `stage` and `document_sha256` are the journal's word on the request; `session_id` the open
    session ("" for none) and `session_people` its operator and reviewer; `current` the hashes of
    `BOUND` now; `elapsed_us` monotonic time since the request (None after a restart); `mode` that
    of the session ("" outside one); `counters` the highest accepted count of each hardware key.
    """

    purpose: Purpose
    stage: str
    environment: Environment
    session_id: str
    session_people: tuple[str, str] | None
    roster: Roster | None
    document: bytes | None
    document_sha256: str
    signatures: Mapping[Role, Signed]
    used_nonces: frozenset[str] | None
    current: Mapping[str, str] | None
    now_us: int
    elapsed_us: int | None
    ttl_us: int
    allow_same_uid: bool
    mode: str
    counters: Mapping[str, int] | None


class _Case(msgspec.Struct, frozen=True, kw_only=True):
    """Facts with the document that was read from its bytes."""

    facts: DualFacts
    said: DualContent
    people: Mapping[Role, Person]


_Rule = Callable[[_Case], Denied | None]


# --- the judgement -------------------------------------------------------------------------------


def judge_signature(facts: DualFacts, role: Role) -> Approved | Denied:
    """Judge the signature just handed in by a role, while the other's is still missing."""
    case = _open(facts)
    if isinstance(case, Denied):
        return case
    denied = _walk(case, _DOCUMENT_RULES) or _signature(case, role) or _key(case, role)
    return denied or Approved(signals_of(facts, case.said))


def judge_dual(facts: DualFacts, role: Role) -> Approved | Denied:
    """Judge whether the act is granted, now that this role's signature came as the second one."""
    case = _open(facts)
    if isinstance(case, Denied):
        return case
    denied = _walk(case, _GRANT_RULES) or _key(case, role)
    return denied or Approved(signals_of(facts, case.said))


def judge_request(facts: DualFacts) -> Denied | None:
    """Judge whether a request can still be granted, whoever has signed it."""
    case = _open(facts)
    return case if isinstance(case, Denied) else _walk(case, _DOCUMENT_RULES)


def signals_of(facts: DualFacts, said: DualContent) -> dict[str, str]:
    """The same-person signals of the two signatures, as far as they are known."""
    operator, reviewer = (_party(said, facts.signatures.get(role), role) for role in Role)
    return same_person_signals(operator, reviewer)


def _party(said: DualContent, signed: Signed | None, role: Role) -> Party:
    who = said.signer(role)
    return Party(
        person=who.person,
        principal=who.principal,
        fingerprint=signed.verdict.fingerprint if signed else who.fingerprint,
        uid=signed.uid if signed else None,
        signals=dict(signed.signals) if signed else {},
    )


def _open(facts: DualFacts) -> _Case | Denied:
    """Read the document and find its two people in the roster; unknown people block."""
    if facts.document is None or facts.stage != "pending":
        return Denied("STAGE", "no such request is waiting; ask anew")
    if sha256_hex(facts.document) != facts.document_sha256:
        return Denied("SHA_MISMATCH", "the document is not the one that was asked for; ask anew")
    try:
        said = parse_dual(facts.document, facts.purpose)
    except InputError as error:
        return Denied("UNREADABLE", f"{error.line()}; ask anew")
    if facts.roster is None:
        return Denied("ROSTER_MISSING", "the roster is not known; correct config/people.toml")
    people: dict[Role, Person] = {}
    for role in Role:
        name = said.signer(role).person
        found = facts.roster.by_id(name)
        if found is None:
            return Denied("UNKNOWN_PERSON", f"{role} {name!r} is not in the roster; ask anew")
        people[role] = found
    return _Case(facts=facts, said=said, people=people)


def _walk(case: _Case, rules: tuple[_Rule, ...]) -> Denied | None:
    for rule in rules:
        denied = rule(case)
        if denied is not None:
            return denied
    return None


def _bound_to(case: _Case) -> Denied | None:
    facts, said = case.facts, case.said
    if said.environment != facts.environment:
        return Denied("ENVIRONMENT_MISMATCH", "the request is of another environment; ask anew")
    if said.session != facts.session_id:
        return Denied("SESSION_MISMATCH", "the session is another one since; ask anew")
    named = (said.operator.person, said.reviewer.person)
    if said.purpose != Purpose.RELEASE and facts.session_people not in {None, named}:
        return Denied("PEOPLE", "operator and reviewer are not those of the session; ask anew")
    if said.requested_by not in named:
        return Denied("PEOPLE", f"{said.requested_by!r} is none of the two who sign; ask anew")
    if not in_words(said.reason):
        return Denied("REASON_MISSING", "it needs a reason; write one sentence")
    return None


def _roles(case: _Case) -> Denied | None:
    for role, who in case.people.items():
        signer = case.said.signer(role)
        if who.role is not role:
            return Denied("ROLE", f"{who.id} is {who.role}, not {role}; name another {role}")
        if not usable_in(who, case.facts.environment):
            return Denied("DEMO_PERSON", f"{who.id} is a demo person; demo people count in dev")
        if signer.principal != who.principal or signer.fingerprint != who.fingerprint:
            return Denied("SIGNER_CHANGED", f"the roster has another key for {who.id}; ask anew")
    return None


def _two_people(case: _Case) -> Denied | None:
    operator, reviewer = case.said.operator, case.said.reviewer
    if operator.person == reviewer.person:
        return Denied("SAME_PERSON", "operator and reviewer are one person; find a second one")
    if operator.principal == reviewer.principal:
        return Denied("SAME_PRINCIPAL", "both sign as one principal; give each their own")
    if operator.fingerprint == reviewer.fingerprint:
        return Denied("SAME_FINGERPRINT", "both use one key; give each person their own")
    return None


def _waiver(case: _Case) -> Denied | None:
    if case.said.allow_same_uid and case.facts.environment is not Environment.DEV:
        return Denied("WAIVER_NOT_ALLOWED", "the same-uid waiver counts in dev only; remove it")
    if case.said.allow_same_uid != case.facts.allow_same_uid:
        return Denied("WAIVER_CHANGED", "request and configuration differ on the same-uid waiver")
    return None


def _nonce(case: _Case) -> Denied | None:
    if case.facts.used_nonces is None or case.said.nonce in case.facts.used_nonces:
        return Denied("NONCE_REPLAYED", "this request was decided before; ask anew")
    return None


def _fresh(case: _Case) -> Denied | None:
    facts = case.facts
    life = Lifetime(
        issued_us=case.said.issued_at,
        expires_us=case.said.expires_at,
        ttl_us=facts.ttl_us,
        now_us=facts.now_us,
        elapsed_us=facts.elapsed_us,
    )
    return judge_fresh(life, "request", "ask anew")


def _unchanged(case: _Case) -> Denied | None:
    if case.facts.current is None:
        return Denied("FACTS_UNKNOWN", "the present config is not known; ask anew")
    current = case.facts.current
    changed = [name for name in BOUND if getattr(case.said, name) != current.get(name)]
    if changed:
        names = ", ".join(name.removesuffix("_sha256") for name in changed)
        return Denied("FACTS_CHANGED", f"changed since it was asked for: {names}; ask anew")
    return None


def _signature(case: _Case, role: Role) -> Denied | None:
    who, signed = case.people[role], case.facts.signatures.get(role)
    code = f"{role.upper()}_SIGNATURE"
    if signed is None:
        return Denied(code, f"there is no signature of {who.id}; sign the document")
    verdict = signed.verdict
    if verdict.strict_ok != verdict.keygen_ok:
        return Denied(
            "VERIFIERS_DISAGREE",
            f"one verifier accepts the signature of {who.id}, the other does not; sign again",
        )
    if not (verdict.ok and verdict.strict_ok and verdict.keygen_ok):
        reason = verdict.reason or "it is not good"
        return Denied(code, f"the signature of {who.id} does not count: {reason}; sign again")
    if verdict.principal != who.principal or verdict.fingerprint != who.fingerprint:
        return Denied("SIGNER_MISMATCH", f"not signed by {who.id}; sign again")
    return _own_login(case, who, signed)


def _own_login(case: _Case, who: Person, signed: Signed) -> Denied | None:
    """Where people have Unix users of their own, each hands in the own signature from there."""
    if signed.uid is None:
        if case.said.allow_same_uid:
            return None
        return Denied("UID_UNKNOWN", f"{who.id} must hand in the own signature, from an own login")
    if who.uid is not None and signed.uid != who.uid:
        return Denied("UID_MISMATCH", f"{who.id} must work as Unix user {who.uid}")
    return None


def _operator_signature(case: _Case) -> Denied | None:
    return _signature(case, Role.OPERATOR)


def _reviewer_signature(case: _Case) -> Denied | None:
    return _signature(case, Role.REVIEWER)


def _two_logins(case: _Case) -> Denied | None:
    """What was seen of the two who handed in, by the one policy of `same_person`."""
    operator, reviewer = (_party(case.said, case.facts.signatures.get(role), role) for role in Role)
    return judge_same_person(
        operator, reviewer, mode=case.facts.mode, waived=case.said.allow_same_uid
    )


def _key(case: _Case, role: Role) -> Denied | None:
    """A hardware key's count must have risen; a live session's reviewer must have such a key."""
    signed = case.facts.signatures.get(role)
    verdict = signed.verdict if signed else None
    denied = judge_counter(verdict, case.facts.counters)
    if denied is None and role is Role.REVIEWER:
        denied = judge_hardware(case.facts.mode, verdict)
    return denied


#: What must hold of the request itself, whoever signs.
_DOCUMENT_RULES: tuple[_Rule, ...] = (
    _bound_to,
    _roles,
    _two_people,
    _waiver,
    _nonce,
    _fresh,
    _unchanged,
)

#: What a grant needs on top.
_GRANT_RULES: tuple[_Rule, ...] = (
    *_DOCUMENT_RULES,
    _operator_signature,
    _reviewer_signature,
    _two_logins,
)
