"""Asking for go, and releasing the kill latch: the two judgements beside the approval itself.

The latch is released by two signatures and a reason, nothing less (I4): both people sign the same
release document, which names the newest kill. Missing facts deny (I12).
"""

from __future__ import annotations

from typing import Any

import msgspec

from engine.contracts.errors import InputError
from engine.contracts.people import Role
from engine.contracts.session import Environment, SessionState
from engine.governance.approval import MAX_TTL_US, Approved, Denied
from engine.governance.packet import parse_release
from engine.governance.people import Roster, usable_in
from engine.governance.session import is_nonce
from engine.governance.verdict import SignatureVerdict


class RequestFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What must be known before a packet is built. Nonces of `seen_nonces` were offered before."""

    state: SessionState
    stage: str
    latch_set: bool | None
    blockers: tuple[str, ...] | None
    joined_nonce: str
    operator_nonce: str
    seen_nonces: frozenset[str]
    used_nonces: frozenset[str]
    now_us: int
    window_until_us: int


class LatchFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What must be known to release the latch; both verdicts are over the same document."""

    kill_id: str
    environment: Environment
    roster: Roster | None
    roster_sha256: str
    document: bytes | None
    operator_verdict: SignatureVerdict | None
    reviewer_verdict: SignatureVerdict | None
    used_nonces: frozenset[str] | None
    now_us: int


def judge_join(nonce: str, seen_nonces: frozenset[str]) -> Approved | Denied:
    """Judge the nonce of a reviewer's process that joins."""
    if not is_nonce(nonce):
        return Denied("NONCE_MISSING", "the nonce is not 32 bytes in hex; join again")
    if nonce in seen_nonces:
        return Denied("NONCE_REPLAYED", "this nonce was offered before; join again")
    return Approved()


def judge_request(facts: RequestFacts) -> Approved | Denied:
    """Judge whether a packet may be built now."""
    denied = _request_state(facts) or _request_nonces(facts)
    if denied is not None:
        return denied
    if facts.blockers is None:
        return Denied("BLOCKERS_UNKNOWN", "the checklist is not known; run it")
    if facts.blockers:
        return Denied("BLOCKERS", facts.blockers[0])
    if facts.now_us >= facts.window_until_us:
        return Denied("WINDOW", "the change window is over; write a new charter")
    return Approved()


def _request_state(facts: RequestFacts) -> Denied | None:
    if facts.latch_set is not False:
        return Denied("LATCH", "the kill latch is set or not known; release it with two signatures")
    if facts.state is not SessionState.CHECKLIST:
        return Denied("STATE", f"the session is in {facts.state}; go follows the checklist")
    if facts.stage not in {"none", "void"}:
        return Denied("STAGE", f"a request is already {facts.stage}; finish it first")
    return None


def _request_nonces(facts: RequestFacts) -> Denied | None:
    if not is_nonce(facts.joined_nonce):
        return Denied("REVIEWER_MISSING", "no reviewer has joined; start peakctl review")
    if facts.joined_nonce in facts.used_nonces:
        return Denied("NONCE_REPLAYED", "the reviewer's nonce was used; the reviewer joins again")
    if not is_nonce(facts.operator_nonce):
        return Denied("NONCE_MISSING", "the nonce is not 32 bytes in hex; ask again")
    if facts.operator_nonce in {facts.joined_nonce} | facts.seen_nonces | facts.used_nonces:
        return Denied("NONCE_REPLAYED", "this nonce was offered before; ask again")
    return None


def judge_release(facts: LatchFacts) -> Approved | Denied:
    """Judge a latch release: the right kill, fresh, with a reason, signed by two people."""
    if not facts.kill_id:
        return Denied("LATCH_NOT_SET", "the latch is not set; there is nothing to release")
    if facts.document is None or facts.roster is None or facts.used_nonces is None:
        return Denied("MISSING_FACT", "document, roster or nonces are not known; make it again")
    try:
        document = parse_release(facts.document)
    except InputError as error:
        return Denied("RELEASE_UNREADABLE", f"{error.line()}; make the document again")
    return _release_text(facts, document) or _release_people(facts, document) or Approved()


def _release_text(facts: LatchFacts, document: dict[str, Any]) -> Denied | None:
    if document["kill_id"] != facts.kill_id:
        return Denied("KILL_MISMATCH", "the document is about another kill; make it again")
    if document["roster_sha256"] != facts.roster_sha256:
        return Denied("ROSTER_CHANGED", "the roster has changed since; make the document again")
    if not document["reason"].strip():
        return Denied("REASON_MISSING", "a release needs a reason; write one sentence")
    return _release_fresh(facts, document)


def _release_fresh(facts: LatchFacts, document: dict[str, Any]) -> Denied | None:
    nonce = document["nonce"]
    if not is_nonce(nonce) or nonce in (facts.used_nonces or ()):
        return Denied("NONCE_REPLAYED", "the nonce is not fresh; make the document again")
    issued, expires = document["issued_at"], document["expires_at"]
    if not 0 < expires - issued <= MAX_TTL_US:
        return Denied("EXPIRY_TOO_LONG", "the document lives too long; make it again")
    if not issued - 1_000_000 <= facts.now_us < expires:
        return Denied("EXPIRED", "the document has expired; make it again")
    return None


def _release_people(facts: LatchFacts, document: dict[str, Any]) -> Denied | None:
    if facts.roster is None or document["operator"] == document["reviewer"]:
        return Denied("SAME_PERSON", "operator and reviewer are one person; find a second one")
    fingerprints: set[str] = set()
    for role, verdict in (
        (Role.OPERATOR, facts.operator_verdict),
        (Role.REVIEWER, facts.reviewer_verdict),
    ):
        who = facts.roster.by_id(document[role])
        if who is None or who.role is not role or not usable_in(who, facts.environment):
            return Denied("UNKNOWN_PERSON", f"{document[role]!r} is no {role} of the roster")
        if verdict is None or not (verdict.ok and verdict.strict_ok and verdict.keygen_ok):
            reason = verdict.reason if verdict else "there is none"
            return Denied(f"{role.upper()}_SIGNATURE", f"signature of {who.id}: {reason}")
        if (verdict.principal, verdict.fingerprint) != (who.principal, who.fingerprint):
            return Denied("SIGNER_MISMATCH", f"not signed by {who.id}; sign again")
        fingerprints.add(verdict.fingerprint)
    if len(fingerprints) != 2:
        return Denied("SAME_FINGERPRINT", "both use one key; give each person their own")
    return None
