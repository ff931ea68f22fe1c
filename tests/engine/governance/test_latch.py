"""The latch fold and the rules of request, join and release (I4)."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from engine.contracts.event import (
    AnyEvent,
    KillLatched,
    KillStage,
    KillVerdict,
    LatchReleased,
    NoteAdded,
    Recorded,
)
from engine.contracts.session import Environment, SessionState
from engine.governance.approval import Approved
from engine.governance.latch import LatchFold, LatchState
from engine.governance.packet import ReleaseContent, build_release
from engine.governance.people import parse_roster
from engine.governance.release import (
    LatchFacts,
    RequestFacts,
    judge_join,
    judge_release,
    judge_request,
)


def fold(*events: AnyEvent, actor: Any) -> LatchFold:
    latch = LatchFold()
    for seq, event in enumerate(events):
        latch.apply(Recorded(seq=seq, ts_us=1000 + seq, actor=actor, event=event))
    return latch


def kill(kill_id: str = "k1") -> KillLatched:
    return KillLatched(kill_id=kill_id, session_id="s", reason="test", source="key", pressed_us=1)


def verdict(kill_id: str, word: str, *orders: str) -> KillVerdict:
    return KillVerdict(
        kill_id=kill_id,
        verdict=word,
        elapsed_us=5,
        canceled=1,
        open_orders=orders,
        positions={"BTCUSDT": Decimal("0.1")},
    )


def released(kill_id: str) -> LatchReleased:
    return LatchReleased(
        kill_id=kill_id,
        document="{}",
        document_sha256="0" * 64,
        operator_signature="s",
        reviewer_signature="s",
        reason="cause found",
    )


def test_a_kill_sets_the_latch_and_tells_its_stages(words) -> None:
    stage = KillStage(kill_id="k1", stage="cancel_sent", elapsed_us=3, detail="")
    latch = fold(kill(), stage, actor=words.alice)
    assert latch.state is LatchState.LATCHED
    assert (latch.by, latch.reason, latch.kill_id, latch.latched_us) == (
        "alice",
        "test",
        "k1",
        1000,
    )
    assert latch.stages == [stage]


def test_the_verdict_is_proven_only_with_nothing_open(words) -> None:
    assert fold(kill(), verdict("k1", "PROVEN"), actor=words.alice).state is LatchState.PROVEN
    for odd in (verdict("k1", "PROVEN", "x1"), verdict("k1", "UNCONFIRMED"), verdict("k1", "ok")):
        assert fold(kill(), odd, actor=words.alice).state is LatchState.UNCONFIRMED


def test_a_second_kill_asks_for_its_own_proof_and_release(words) -> None:
    story = [kill("k1"), verdict("k1", "PROVEN"), kill("k2"), verdict("k1", "PROVEN")]
    latch = fold(*story, released("k1"), actor=words.alice)
    assert latch.state is LatchState.LATCHED
    assert latch.kill_ids == ["k1", "k2"]
    assert latch.latched_us == 1000


def test_only_the_release_of_the_newest_kill_makes_ready(words) -> None:
    assert fold(kill(), released("other"), actor=words.alice).is_set
    latch = fold(kill(), released("k1"), actor=words.alice)
    assert latch.state is LatchState.READY
    assert latch.kill_id == ""


def test_what_does_not_fit_changes_nothing(words) -> None:
    note = NoteAdded(session_id="s", text="x")
    latch = fold(note, verdict("k1", "PROVEN"), released("k1"), released(""), actor=words.alice)
    assert latch.state is LatchState.READY
    assert latch.releases == 0


# --- release -----------------------------------------------------------------------------------


def release_facts(words: Any, *, text: dict[str, Any] | None = None, **changes: Any) -> LatchFacts:
    content = ReleaseContent(
        kill_id="k1",
        session_id=words.sid,
        latched_at_us=words.now,
        kill_reason="test",
        verdict="PROVEN",
        open_orders=(),
        reason="cause found and removed",
        operator="alice",
        reviewer="bob",
        roster_sha256="7" * 64,
        nonce="d" * 64,
        issued_at_us=words.now,
        expires_at_us=words.now + 300 * words.second,
    )
    base = LatchFacts(
        kill_id="k1",
        environment=Environment.DEV,
        roster=parse_roster({"people": words.roster_rows()}),
        roster_sha256="7" * 64,
        document=build_release(msgspec.structs.replace(content, **(text or {}))),
        operator_verdict=words.verdict("operator"),
        reviewer_verdict=words.verdict("reviewer"),
        used_nonces=frozenset(),
        now_us=words.now + words.second,
    )
    return msgspec.structs.replace(base, **changes)


def code(result: Any) -> str:
    return "APPROVED" if isinstance(result, Approved) else result.code


def test_two_people_with_a_reason_release_the_latch(words) -> None:
    assert code(judge_release(release_facts(words))) == "APPROVED"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ({"kill_id": "k0"}, "KILL_MISMATCH"),
        ({"reason": " "}, "REASON_MISSING"),
        ({"roster_sha256": "0" * 64}, "ROSTER_CHANGED"),
        ({"nonce": ""}, "NONCE_REPLAYED"),
        ({"expires_at_us": 0}, "EXPIRY_TOO_LONG"),
        ({"reviewer": "alice"}, "SAME_PERSON"),
        ({"reviewer": "eve"}, "UNKNOWN_PERSON"),
        ({"operator": "bob", "reviewer": "alice"}, "UNKNOWN_PERSON"),
    ],
)
def test_a_release_that_says_something_else_is_denied(words, text, expected) -> None:
    assert code(judge_release(release_facts(words, text=text))) == expected


def test_one_signature_is_not_enough_i4(words) -> None:
    for role in ("operator", "reviewer"):
        facts = release_facts(words, **{f"{role}_verdict": None})
        assert code(judge_release(facts)) == f"{role.upper()}_SIGNATURE"
        bad = words.verdict(role, keygen_ok=False)
        facts = release_facts(words, **{f"{role}_verdict": bad})
        assert code(judge_release(facts)) == f"{role.upper()}_SIGNATURE"


def test_one_person_signing_twice_is_denied_i4(words) -> None:
    facts = release_facts(words, reviewer_verdict=words.verdict("operator"))
    assert code(judge_release(facts)) == "SIGNER_MISMATCH"


def test_late_replayed_or_missing_releases_are_denied(words) -> None:
    late = words.now + 300 * words.second
    for wrong, expected in (
        ({"now_us": late}, "EXPIRED"),
        ({"used_nonces": frozenset({"d" * 64})}, "NONCE_REPLAYED"),
        ({"document": None}, "MISSING_FACT"),
        ({"roster": None}, "MISSING_FACT"),
        ({"used_nonces": None}, "MISSING_FACT"),
        ({"kill_id": ""}, "LATCH_NOT_SET"),
        ({"document": b"{}\n"}, "RELEASE_UNREADABLE"),
    ):
        assert code(judge_release(release_facts(words, **wrong))) == expected


# --- request and join --------------------------------------------------------------------------


def request_facts(words: Any, **changes: Any) -> RequestFacts:
    base = RequestFacts(
        state=SessionState.CHECKLIST,
        stage="none",
        latch_set=False,
        blockers=(),
        joined_nonce=words.rev_nonce,
        operator_nonce=words.op_nonce,
        seen_nonces=frozenset({words.rev_nonce}),
        used_nonces=frozenset(),
        now_us=1,
        window_until_us=2,
    )
    return msgspec.structs.replace(base, **changes)


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        ({}, "APPROVED"),
        ({"stage": "void"}, "APPROVED"),
        ({"state": SessionState.CHARTER}, "STATE"),
        ({"stage": "requested"}, "STAGE"),
        ({"latch_set": True}, "LATCH"),
        ({"latch_set": None}, "LATCH"),
        ({"blockers": ("clock: open",)}, "BLOCKERS"),
        ({"blockers": None}, "BLOCKERS_UNKNOWN"),
        ({"joined_nonce": ""}, "REVIEWER_MISSING"),
        ({"used_nonces": frozenset({"b" * 64})}, "NONCE_REPLAYED"),
        ({"operator_nonce": "x"}, "NONCE_MISSING"),
        ({"operator_nonce": "b" * 64}, "NONCE_REPLAYED"),
        ({"operator_nonce": "b" * 64, "seen_nonces": frozenset()}, "NONCE_REPLAYED"),
        ({"seen_nonces": frozenset({"a" * 64})}, "NONCE_REPLAYED"),
        ({"now_us": 2}, "WINDOW"),
    ],
)
def test_a_packet_is_built_only_when_everything_is_ready(words, wrong, expected) -> None:
    assert code(judge_request(request_facts(words, **wrong))) == expected


def test_a_reviewer_joins_with_a_fresh_nonce(words) -> None:
    assert code(judge_join("a" * 64, frozenset())) == "APPROVED"
    assert code(judge_join("a" * 64, frozenset({"a" * 64}))) == "NONCE_REPLAYED"
    assert code(judge_join("A" * 64, frozenset())) == "NONCE_MISSING"


def test_a_release_with_one_key_for_both_is_denied_i4(words) -> None:
    roster = parse_roster({"people": words.roster_rows()})
    bob = msgspec.structs.replace(roster.people[1], fingerprint=words.op_key)
    shared = msgspec.structs.replace(roster, people=(roster.people[0], bob))
    twice = words.verdict("reviewer", fingerprint=words.op_key)
    facts = release_facts(words, roster=shared, reviewer_verdict=twice)
    assert code(judge_release(facts)) == "SAME_FINGERPRINT"
