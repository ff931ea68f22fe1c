"""The rules of two-person approval: request, operator's signature, reviewer's decision, release.

Every judge is a pure function from facts to `Approved` or `Denied`; each rule is one function in
a table, the first that objects wins, and a fact that is missing is an objection (I12). There is
no exemption for anyone, root included. The rules are asked again at the moment of decision, not
only at the request. Signatures arrive as verdicts of two verifiers that must agree.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from engine.contracts.canonical import sha256_hex
from engine.contracts.errors import InputError
from engine.contracts.people import Person, Role
from engine.contracts.session import Charter, Environment
from engine.governance.freshness import Lifetime, judge_fresh
from engine.governance.hardware import judge_counter, judge_hardware
from engine.governance.packet import (
    Party,
    changed_since,
    charter_sha256,
    limits_sha256,
    parse_cosign,
    parse_packet,
    same_limit,
    same_person_signals,
)
from engine.governance.people import Roster, usable_in
from engine.governance.same_person import judge_same_person
from engine.governance.saying import in_words
from engine.governance.session import is_nonce
from engine.governance.verdict import Approved, Denied, SignatureVerdict
from engine.governance.wordlist import same_code

__all__ = [
    "DECISIONS",
    "MISTYPED",
    "MOST_MISTYPED",
    "Approved",
    "CosignFacts",
    "Denied",
    "GoFacts",
    "judge_cosign",
    "judge_go",
]

#: What a reviewer may sign: yes; no, which ends the session; nothing, which voids the request.
DECISIONS = ("GO", "NO-GO", "ABSTAIN")

_DAY_US = 86_400_000_000
_LONGEST_REASON = 500


class GoFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What the engine knows when it judges an approval; None means not known.

    `elapsed_us` is monotonic time since the request (None after a restart), `now_us` the wall
    clock; `current` holds the hashes of `packet.BOUND` as they are now; `blockers` are those of
    the checklist now; `stage` is the session's go stage; `joined_nonce` the nonce that the
    reviewer's process joined with; `used_nonces` those of all decided packets; `counters` the
    highest accepted count of each hardware key; `min_dwell_us` how long a packet must have been
    there before somebody can have read it.
    """

    session_id: str
    environment: Environment
    stage: str
    charter: Charter | None
    roster: Roster | None
    packet: bytes | None
    packet_sha256: str
    operator_verdict: SignatureVerdict | None
    joined_nonce: str
    used_nonces: frozenset[str] | None
    now_us: int
    elapsed_us: int | None
    ttl_us: int
    current: Mapping[str, str] | None
    blockers: tuple[str, ...] | None
    allow_same_uid: bool = False
    counters: Mapping[str, int] | None = None
    min_dwell_us: int = 0


class CosignFacts(GoFacts, frozen=True, kw_only=True):
    """The same, with the reviewer's document and the verdict on its signature."""

    cosign: bytes | None
    reviewer_verdict: SignatureVerdict | None


class _Case(msgspec.Struct, frozen=True, kw_only=True):
    """Facts with the parsed documents and the roster's two people."""

    facts: GoFacts
    packet: dict[str, Any]
    cosign: dict[str, Any]
    operator: Person
    reviewer: Person


_Rule = Callable[[_Case], Denied | None]


def judge_go(facts: GoFacts) -> Approved | Denied:
    """Judge the operator's signature over a requested packet."""
    if facts.stage != "requested":
        return Denied("STAGE", "no packet is waiting for the operator's signature; ask for go")
    case = _open(facts, None)
    if isinstance(case, Denied):
        return case
    return judge_counter(facts.operator_verdict, facts.counters) or _walk(case, _GO_RULES)


def judge_cosign(facts: CosignFacts) -> Approved | Denied:
    """Judge the reviewer's decision; both signatures and all facts are judged again now."""
    if facts.stage != "signed":
        return Denied("STAGE", "no packet signed by the operator is waiting; ask for go first")
    cosign = _read_cosign(facts.cosign)
    case = cosign if isinstance(cosign, Denied) else _open(facts, cosign)
    if isinstance(case, Denied):
        return case
    denied = (
        _cosign_bound(case)
        or _decision(case)
        or _reviewer_signature(case, facts)
        or judge_counter(facts.reviewer_verdict, facts.counters)
    )
    if denied is not None:
        return denied
    if case.cosign["decision"] != "GO":
        return _walk(case, _ALWAYS)
    return judge_hardware(case.packet["mode"], facts.reviewer_verdict) or _walk(
        case, (*_GO_RULES, _dwelt, _short_code, _typed_limit)
    )


def _read_cosign(document: bytes | None) -> dict[str, Any] | Denied:
    if document is None:
        return Denied("COSIGN_MISSING", "there is no cosign document; decide and sign it")
    try:
        return parse_cosign(document)
    except InputError as error:
        return Denied("COSIGN_UNREADABLE", f"{error.line()}; make the document again")


def _walk(case: _Case, rules: tuple[_Rule, ...]) -> Approved | Denied:
    for rule in rules:
        denied = rule(case)
        if denied is not None:
            return denied
    return Approved(dict(case.packet["same_person"]))


def _open(facts: GoFacts, cosign: dict[str, Any] | None) -> _Case | Denied:
    """Parse the packet and find its two people in the roster; unknown people block."""
    if facts.packet is None:
        return Denied("PACKET_MISSING", "there is no packet; ask for go")
    if sha256_hex(facts.packet) != facts.packet_sha256:
        return Denied("GO_SHA_MISMATCH", "the packet is not the one that was requested; ask again")
    try:
        packet = parse_packet(facts.packet)
    except InputError as error:
        return Denied("PACKET_UNREADABLE", f"{error.line()}; ask for go again")
    if facts.roster is None:
        return Denied("ROSTER_MISSING", "the roster is not known; correct config/people.toml")
    people: list[Person] = []
    for role in (Role.OPERATOR, Role.REVIEWER):
        found = facts.roster.by_id(packet[role]["person"])
        if found is None:
            return Denied(
                "UNKNOWN_PERSON",
                f"{role} {packet[role]['person']!r} is not in the roster; add the person",
            )
        people.append(found)
    return _Case(
        facts=facts, packet=packet, cosign=cosign or {}, operator=people[0], reviewer=people[1]
    )


# --- the rules, in the order in which they are asked -------------------------------------------


def _session_bound(case: _Case) -> Denied | None:
    facts, packet = case.facts, case.packet
    if packet["session"] != facts.session_id:
        return Denied("SESSION_MISMATCH", "the packet is of another session; ask for go here")
    if packet["environment"] != facts.environment:
        return Denied("ENVIRONMENT_MISMATCH", "the packet is of another environment; ask again")
    return _charter_bound(facts.charter, packet)


def _charter_bound(charter: Charter | None, packet: dict[str, Any]) -> Denied | None:
    if charter is None:
        return Denied("CHARTER_MISSING", "the charter is not known; write a charter")
    if packet["charter_sha256"] != charter_sha256(charter):
        return Denied("CHARTER_CHANGED", "the charter is not the one in the packet; ask again")
    if packet["limits_sha256"] != limits_sha256(charter.limits):
        return Denied("LIMITS_CHANGED", "the limits are not those in the packet; ask again")
    people = (packet["operator"]["person"], packet["reviewer"]["person"])
    if people != (charter.operator, charter.reviewer):
        return Denied("PEOPLE_CHANGED", "the people are not those of the charter; ask again")
    return None


def _roles(case: _Case) -> Denied | None:
    for role, who in ((Role.OPERATOR, case.operator), (Role.REVIEWER, case.reviewer)):
        party = case.packet[role]
        if who.role is not role:
            return Denied("ROLE", f"{who.id} is {who.role}, not {role}; name another {role}")
        if not usable_in(who, case.facts.environment):
            return Denied("DEMO_PERSON", f"{who.id} is a demo person; demo people count in dev")
        if party["principal"] != who.principal:
            return Denied("PRINCIPAL_MISMATCH", f"{who.id} signs as {who.principal}; ask again")
        if party["fingerprint"] != who.fingerprint:
            return Denied("FINGERPRINT_MISMATCH", f"the key of {who.id} differs from the roster's")
        if who.uid is not None and party["uid"] != who.uid:
            return Denied("UID_MISMATCH", f"{who.id} must work as Unix user {who.uid}")
    return None


def _two_people(case: _Case) -> Denied | None:
    packet = case.packet
    if packet["operator"]["principal"] == packet["reviewer"]["principal"]:
        return Denied("SAME_PRINCIPAL", "both sign as one principal; give each their own")
    if packet["allow_same_uid"] and case.facts.environment is not Environment.DEV:
        return Denied("WAIVER_NOT_ALLOWED", "the same-uid waiver counts in dev only; remove it")
    if packet["allow_same_uid"] != case.facts.allow_same_uid:
        return Denied("WAIVER_CHANGED", "packet and configuration differ on the same-uid waiver")
    return _signals(case)


def _signals(case: _Case) -> Denied | None:
    """Judged for the reviewer as joined, and again as the process was that decided."""
    packet = case.packet
    operator, reviewer = (msgspec.convert(packet[role], type=Party) for role in Role)
    if packet["same_person"] != same_person_signals(operator, reviewer):
        return Denied("SIGNALS", "the packet's signals are not those of its two people; ask again")
    seen = [reviewer]
    if case.cosign:
        at_decision = {
            name: said for name, said in case.cosign["reviewer"]["signals"].items() if said
        }
        merged = {**reviewer.signals, **at_decision}
        seen.append(msgspec.structs.replace(reviewer, signals=merged))
    for one in seen:
        denied = judge_same_person(
            operator, one, mode=packet["mode"], waived=packet["allow_same_uid"]
        )
        if denied is not None:
            return denied
    return None


def _operator_signature(case: _Case) -> Denied | None:
    return _signature(case.facts.operator_verdict, case.operator, "OPERATOR_SIGNATURE")


def _reviewer_signature(case: _Case, facts: CosignFacts) -> Denied | None:
    return _signature(facts.reviewer_verdict, case.reviewer, "REVIEWER_SIGNATURE")


def _signature(verdict: SignatureVerdict | None, who: Person, code: str) -> Denied | None:
    if verdict is None:
        return Denied(code, f"there is no signature of {who.id}; sign the document")
    if verdict.strict_ok != verdict.keygen_ok:
        return Denied(
            "VERIFIERS_DISAGREE",
            f"one verifier accepts the signature of {who.id}, the other does not; sign again",
        )
    if not (verdict.ok and verdict.strict_ok and verdict.keygen_ok):
        reason = verdict.reason or "it is not good"
        return Denied(code, f"the signature of {who.id} does not count: {reason}; sign again")
    if verdict.principal != who.principal or verdict.fingerprint != who.fingerprint:
        return Denied(
            "SIGNER_MISMATCH", f"signed by {verdict.principal or 'nobody known'}, not by {who.id}"
        )
    return None


def _nonces(case: _Case) -> Denied | None:
    facts, packet = case.facts, case.packet
    mine, theirs = packet["operator_nonce"], packet["reviewer_nonce"]
    if not is_nonce(theirs) or not facts.joined_nonce:
        return Denied("REVIEWER_MISSING", "no reviewer has joined; start peakctl review")
    if theirs != facts.joined_nonce:
        return Denied("NONCE_MISMATCH", "the reviewer has joined anew since; ask for go again")
    if not is_nonce(mine) or mine == theirs:
        return Denied("NONCE_MISSING", "the operator's nonce is not usable; ask for go again")
    if facts.used_nonces is None or {mine, theirs} & facts.used_nonces:
        return Denied("NONCE_REPLAYED", "a nonce was used before; join and ask for go again")
    return None


def _fresh(case: _Case) -> Denied | None:
    facts = case.facts
    life = Lifetime(
        issued_us=case.packet["issued_at"],
        expires_us=case.packet["expires_at"],
        ttl_us=facts.ttl_us,
        now_us=facts.now_us,
        elapsed_us=facts.elapsed_us,
    )
    return judge_fresh(life, "packet", "ask for go again")


def _inside_window(case: _Case) -> Denied | None:
    if case.facts.now_us >= case.packet["window_until"]:
        return Denied("WINDOW", "the change window is over; write a new charter")
    return None


def _unchanged(case: _Case) -> Denied | None:
    if case.facts.current is None:
        return Denied("FACTS_UNKNOWN", "the present config is not known; ask for go again")
    changed = changed_since(case.packet, case.facts.current)
    if changed:
        names = ", ".join(name.removesuffix("_sha256") for name in changed)
        return Denied("FACTS_CHANGED", f"changed since the packet was made: {names}; ask again")
    return None


def _no_blockers(case: _Case) -> Denied | None:
    if case.facts.blockers is None:
        return Denied("BLOCKERS_UNKNOWN", "the checklist is not known; run it")
    if case.facts.blockers:
        return Denied("BLOCKERS", f"{case.facts.blockers[0]}")
    return None


def _cosign_bound(case: _Case) -> Denied | None:
    cosign, packet = case.cosign, case.packet
    if cosign["session"] != case.facts.session_id:
        return Denied("SESSION_MISMATCH", "the decision is for another session; decide again")
    if cosign["go_sha256"] != case.facts.packet_sha256:
        return Denied("GO_SHA_MISMATCH", "the decision is about another packet; decide again")
    if cosign["reviewer_nonce"] != packet["reviewer_nonce"]:
        return Denied("NONCE_MISMATCH", "the decision carries another nonce; join and decide again")
    return _cosigner(cosign, packet)


def _cosigner(cosign: dict[str, Any], packet: dict[str, Any]) -> Denied | None:
    if cosign["reviewer"]["person"] == packet["operator"]["person"]:
        return Denied("SELF_APPROVAL", "the operator cannot approve; the reviewer must decide")
    for name in ("person", "principal", "fingerprint"):
        if cosign["reviewer"][name] != packet["reviewer"][name]:
            return Denied("REVIEWER_MISMATCH", f"another {name} than the packet's; decide again")
    uid = cosign["reviewer"]["uid"]
    if uid is not None and uid != packet["reviewer"]["uid"]:
        return Denied("UID_MISMATCH", "the reviewer's Unix user has changed; join again")
    return None


def _decision(case: _Case) -> Denied | None:
    decision = case.cosign["decision"]
    if decision not in DECISIONS:
        return Denied("DECISION", f"decision {decision[:20]!r} is none of {', '.join(DECISIONS)}")
    if len(case.cosign["reason"]) > _LONGEST_REASON:
        return Denied("REASON_TOO_LONG", f"a reason has at most {_LONGEST_REASON} characters")
    if abs(case.cosign["decided_at"] - case.packet["issued_at"]) > _DAY_US:
        return Denied("DECIDED_AT", "decided on another day than the packet; check the clock there")
    if decision != "GO" and not in_words(case.cosign["reason"]):
        return Denied("REASON_MISSING", f"{decision} needs a reason; write one sentence")
    return None


def _dwelt(case: _Case) -> Denied | None:
    """Asked here too: consoles that wait for the reader are not the only way to the socket."""
    elapsed = case.facts.elapsed_us
    if elapsed is None or elapsed < case.facts.min_dwell_us:
        return Denied("TOO_SOON", "nobody can have read the packet yet; read it, then decide")
    return None


def _short_code(case: _Case) -> Denied | None:
    if not same_code(case.cosign["short_code"], case.facts.packet_sha256):
        return Denied("SHORT_CODE", "the four words differ; have them read out and type them")
    return None


def _typed_limit(case: _Case) -> Denied | None:
    if not same_limit(case.cosign.get("typed_limit", ""), case.packet):
        return Denied(
            "TYPED_LIMIT",
            "the typed limit is not the packet's max_order_notional; read and type it",
        )
    return None


#: Refusals of what was typed; so many of them for one packet and it is void.
MISTYPED = frozenset({"SHORT_CODE", "TYPED_LIMIT"})
MOST_MISTYPED = 10

#: What counts for every signed decision, NO-GO included.
_ALWAYS: tuple[_Rule, ...] = (
    _session_bound,
    _roles,
    _two_people,
    _operator_signature,
    _nonces,
    _fresh,
)

#: What a GO needs on top.
_GO_RULES: tuple[_Rule, ...] = (*_ALWAYS, _inside_window, _unchanged, _no_blockers)
