"""Before there is a packet: a reviewer joins, an operator asks for go.

Two judgements beside the approval itself. Missing facts deny (I12).
"""

from __future__ import annotations

import msgspec

from engine.contracts.session import SessionState
from engine.governance.approval import Approved, Denied
from engine.governance.session import is_nonce


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
