"""The session fold: a story told by events, and no story that makes it raise."""

from __future__ import annotations

import dataclasses
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.contracts.canonical import sha256_hex
from engine.contracts.event import (
    AnyEvent,
    BreakAnswered,
    ChecklistStarted,
    EngineStarted,
    GoDecided,
    GoRequested,
    GoSigned,
    GoVoided,
    ItemAnswered,
    KillLatched,
    LessonsWritten,
    MarketRecorded,
    NoteAdded,
    PackSealed,
    PackSigned,
    PackWritten,
    ReconRun,
    ReconSigned,
    Recorded,
    ReviewerJoined,
    SessionChartered,
    SessionMoved,
    SnapshotTaken,
)
from engine.contracts.people import ENGINE, Actor, Role
from engine.contracts.session import ItemResult, SessionState
from engine.governance.blockers import checklist_blockers, visible_items
from engine.governance.checklist import commitment_of, parse_runbook
from engine.governance.latch import LatchFold
from engine.governance.packet import build_packet
from engine.governance.session import checklist_document
from engine.governance.session_fold import SessionFold


def test_a_whole_session_from_charter_to_sealed(pen, words) -> None:
    pen.live()
    pen.write(NoteAdded(session_id=words.sid, text="calm market"), words.alice)
    pen.move("live", "stopping", "stop")
    pen.move("stopping", "stopped", "proven_flat")
    pen.write(
        ReconRun(
            session_id=words.sid,
            run_id="r1",
            compared={"orders": 1},
            breaks={"red": 1},
            report="{}",
            report_sha256="e" * 64,
        )
    )
    pen.write(BreakAnswered(session_id=words.sid, run_id="r1", break_id="b1", answer="late fee"))
    for role in Role:
        pen.write(
            ReconSigned(
                session_id=words.sid,
                run_id="r1",
                role=role,
                report_sha256="e" * 64,
                signature="s",
                fingerprint="f",
            )
        )
    pen.move("stopped", "reconciled", "recon_signed")
    pen.write(LessonsWritten(session_id=words.sid, points=("breathe",)))
    pen.write(SnapshotTaken(session_id=words.sid, file="s.json", sha256="1" * 64))
    pen.write(MarketRecorded(session_id=words.sid, file="m.parquet", rows=9, sha256="2" * 64))
    pen.write(PackWritten(session_id=words.sid, folder="x.partial", tagmanifest_sha256="3" * 64))
    for role in Role:
        pen.write(
            PackSigned(
                session_id=words.sid, role=role, tagmanifest_sha256="3" * 64, fingerprint="f"
            )
        )
    pen.write(PackSealed(session_id=words.sid, folder="x", tagmanifest_sha256="3" * 64))
    pen.move("reconciled", "sealed", "pack_sealed")
    session = pen.fold.current
    assert session.state is SessionState.SEALED
    assert session.ended
    assert session.recon.signed_by == ("operator", "reviewer")
    assert session.recon.answers == {"b1": "late fee"}
    assert (session.pack.stage, session.pack.folder) == ("sealed", "x")
    assert set(session.pack.signed_by) == {"operator", "reviewer"}
    assert session.lessons == ("breathe",)
    assert session.market_files == [("m.parquet", 9, "2" * 64)]
    assert session.snapshots == [("s.json", "1" * 64)]
    assert "calm market" in [text for _, _, text in session.runlog]


def test_a_new_charter_waits_for_the_end_of_the_session(pen, words) -> None:
    pen.charter()
    pen.charter("other0000000")
    assert [session.id for session in pen.fold.history] == [words.sid]
    pen.move("charter", "aborted", "abort")
    pen.charter("other0000000")
    assert pen.fold.current.id == "other0000000"
    assert len(pen.fold.history) == 2
    assert pen.fold.by_id(words.sid).state is SessionState.ABORTED


def test_live_without_an_approval_is_ignored_i5(pen) -> None:
    pen.signed()
    pen.move("go_nogo", "live", "go")
    assert pen.fold.current.state is SessionState.GO_NOGO


def test_an_approval_makes_live_and_its_nonces_used(pen, words) -> None:
    pen.live()
    assert pen.fold.current.state is SessionState.LIVE
    assert pen.fold.used_nonces == {words.op_nonce, words.rev_nonce}
    assert pen.fold.current.go.signals == {"uid": "different"}


def test_a_void_approval_cannot_resume_i6(pen, words) -> None:
    digest = pen.live()
    pen.move("live", "paused", "pause")
    pen.write(
        GoVoided(session_id=words.sid, packet_sha256=digest, code="FACTS_CHANGED", reason="config")
    )
    pen.move("paused", "live", "resume")
    assert pen.fold.current.state is SessionState.PAUSED
    assert pen.fold.current.go.code == "FACTS_CHANGED"


def test_no_go_ends_the_session(pen) -> None:
    pen.decided("NO-GO")
    pen.move("go_nogo", "live", "go")
    assert pen.fold.current.state is SessionState.GO_NOGO
    pen.move("go_nogo", "no_go", "no_go")
    assert pen.fold.current.ended


def test_after_a_void_request_a_new_one_counts(pen) -> None:
    pen.signed()
    pen.move("go_nogo", "checklist", "go_void")
    assert pen.fold.current.go.stage == "void"
    pen.requested(operator_nonce="c" * 64)
    assert pen.fold.current.go.stage == "requested"
    assert pen.fold.current.go.operator_signature == ""


def test_a_packet_whose_text_has_another_hash_is_ignored_i6(pen, words) -> None:
    pen.answered()
    pen.write(GoRequested(session_id=words.sid, packet="{}", packet_sha256="0" * 64, expires_us=1))
    assert pen.fold.current.go.stage == "none"


def test_a_packet_with_used_nonces_is_ignored_in_the_next_session(pen, words) -> None:
    pen.decided("NO-GO")
    pen.move("go_nogo", "no_go", "no_go")
    pen.charter("other0000000")
    packet = pen.fold.by_id(words.sid).go.packet
    pen.fold.current.state = SessionState.CHECKLIST
    pen.write(
        GoRequested(
            session_id="other0000000",
            packet=packet,
            packet_sha256=sha256_hex(packet.encode()),
            expires_us=1,
        )
    )
    assert pen.fold.current.go.stage == "none"


def test_signature_or_decision_about_another_packet_is_ignored(pen, words) -> None:
    pen.answered()
    pen.join()
    pen.requested()
    pen.write(
        GoSigned(session_id=words.sid, packet_sha256="0" * 64, signature="s", fingerprint="f")
    )
    assert pen.fold.current.go.stage == "requested"


def test_a_decision_before_the_operators_signature_is_ignored(pen, words) -> None:
    pen.answered()
    pen.join()
    digest = pen.requested()
    pen.write(
        GoDecided(
            session_id=words.sid,
            decision="GO",
            reason="",
            packet_sha256=digest,
            cosign="{}",
            signature="s",
            fingerprint="f",
            signals={},
        )
    )
    assert pen.fold.current.go.stage == "requested"


def test_only_the_charters_reviewer_joins_with_a_fresh_nonce(pen, words) -> None:
    pen.charter()
    pen.write(ReviewerJoined(session_id=words.sid, reviewer="eve", nonce="e" * 64, signals={}))
    pen.write(ReviewerJoined(session_id=words.sid, reviewer="bob", nonce="short", signals={}))
    assert pen.fold.current.reviewer_nonce == ""
    pen.join("b" * 64)
    pen.join("c" * 64)
    pen.join("b" * 64)
    assert pen.fold.current.reviewer_nonce == "c" * 64


# --- checklist ---------------------------------------------------------------------------------


def test_an_automatic_item_cannot_be_ticked_by_hand(pen, words) -> None:
    pen.checklist()
    pen.answer("clock", "operator", "3 ms", words.alice)
    assert pen.fold.current.answers == {}
    pen.answer("clock", "engine", "3 ms", ENGINE)
    assert ("clock", "operator") in pen.fold.current.answers


def test_a_manual_item_is_answered_by_the_person_of_the_role(pen, words) -> None:
    pen.checklist()
    pen.answer("balance", "reviewer", "100 USDT", words.alice)
    pen.answer("balance", "operator", "100 USDT", words.bob)
    pen.answer("balance", "operator", "100 USDT", ENGINE)
    pen.answer("plan", "reviewer", "mine", words.bob)
    pen.answer("nonsense", "operator", "x", words.alice)
    assert pen.fold.current.answers == {}


def test_answers_that_agree_leave_no_blocker(pen) -> None:
    pen.answered()
    assert checklist_blockers(pen.fold.current, pen.now) == ()


def test_open_items_block(pen) -> None:
    pen.charter()
    assert checklist_blockers(pen.fold.current, pen.now)
    pen.fold = SessionFold()
    pen.checklist()
    assert len(checklist_blockers(pen.fold.current, pen.now)) == 4


def test_a_failed_item_blocks(pen, words) -> None:
    pen.answered()
    answers = pen.fold.current.answers
    key = ("plan", "operator")
    answers[key] = dataclasses.replace(answers[key], result=ItemResult.FAIL)
    assert "failed" in checklist_blockers(pen.fold.current, pen.now)[0]


def test_a_critical_reading_gets_old(pen, words) -> None:
    pen.answered()
    read_us = pen.fold.current.answers["clock", "operator"].at_us
    assert checklist_blockers(pen.fold.current, read_us + 120 * words.second) == ()
    assert "old" in checklist_blockers(pen.fold.current, read_us + 120 * words.second + 1)[0]
    assert "old" in checklist_blockers(pen.fold.current, read_us - 1)[0]


def test_a_pending_request_keeps_the_age_of_readings_at_the_request(pen, words) -> None:
    pen.signed()
    assert checklist_blockers(pen.fold.current, pen.now + 250 * words.second) == ()
    pen.move("go_nogo", "checklist", "go_void")
    assert "old" in checklist_blockers(pen.fold.current, pen.now + 250 * words.second)[0]


def test_different_answers_block_and_start_a_new_blind_round(pen, words) -> None:
    pen.checklist()
    pen.answer("clock", "operator", "3 ms", ENGINE)
    pen.answer("plan", "operator", "x", words.alice)
    pen.answer("balance", "operator", "100 USDT", words.alice)
    pen.answer("balance", "reviewer", "99 USDT", words.bob)
    (line,) = checklist_blockers(pen.fold.current, pen.now)
    assert "differ" in line
    pen.answer("balance", "operator", "99 USDT", words.alice)
    assert ("balance", "reviewer") not in pen.fold.current.answers
    pen.answer("balance", "reviewer", "99 usdt", words.bob)
    assert checklist_blockers(pen.fold.current, pen.now) == ()


def test_shared_answers_stay_hidden_until_both_have_answered(pen, words) -> None:
    pen.checklist()
    pen.answer("balance", "operator", "100 USDT", words.alice)

    def row(viewer: str, whose: str) -> Any:
        rows = visible_items(pen.fold.current, viewer)
        return next(r for r in rows if (r.id, r.role) == ("balance", whose))

    assert row("operator", "operator").value == "100 USDT"
    for viewer in ("reviewer", "", "auditor"):
        hidden = row(viewer, "operator")
        assert "100" not in msgspec.json.encode(hidden).decode()
        assert hidden.result == "open"
    pen.answer("balance", "reviewer", "99 USDT", words.bob)
    assert row("reviewer", "operator").value == "100 USDT"
    assert "differs" in row("operator", "reviewer").detail


def test_the_checklist_document_changes_with_every_answer(pen, words) -> None:
    pen.checklist()
    before = checklist_document(pen.fold.current)
    pen.answer("plan", "operator", "x", words.alice)
    after = checklist_document(pen.fold.current)
    assert before != after
    assert after.endswith(b"\n")
    assert after.isascii()
    assert checklist_document(pen.fold.current) == after


# --- totality ----------------------------------------------------------------------------------

_SIDS = st.sampled_from(["0123456789ab", "other0000000", ""])
_ACTORS = st.sampled_from(
    [
        ENGINE,
        Actor(kind="person", name="alice", proof="x"),
        Actor(kind="person", name="bob", proof="x"),
        Actor(kind="", name="", proof=""),
    ]
)
_KINDS: tuple[Any, ...] = (
    ChecklistStarted,
    ItemAnswered,
    ReviewerJoined,
    GoRequested,
    GoSigned,
    GoDecided,
    GoVoided,
    SessionMoved,
    NoteAdded,
    ReconRun,
    BreakAnswered,
    ReconSigned,
    LessonsWritten,
    PackWritten,
    PackSigned,
    PackSealed,
    SnapshotTaken,
    MarketRecorded,
    KillLatched,
)


_ODD_PACKETS = ["", "{}", "[1]", '{"operator_nonce":["x"]}', "[" * 5000, "1.5", "é"]


_TEXT = st.sampled_from(["", "r1", "clock", "balance", "operator", "reviewer", "bob", "é"])
_CAUSES = ["checklist_started", "go_requested", "go", "kill", "stop", "resume", "x"]


@st.composite
def events(draw: st.DrawFn, words: Any, packet: str) -> AnyEvent:
    """Any event a session fold reads, with values that fit now and then."""
    packets = [packet, *_ODD_PACKETS]
    hashes = [*(sha256_hex(text.encode()) for text in packets), ""]
    by_name: dict[str, st.SearchStrategy[Any]] = {
        "session_id": _SIDS,
        "charter": st.just(words.charter()),
        "checklist": st.just(parse_runbook(words.runbook, "session.md")),
        "packet": st.sampled_from(packets),
        "packet_sha256": st.sampled_from(hashes),
        "nonce": st.sampled_from(["a" * 64, "b" * 64, ""]),
        "before": st.sampled_from(SessionState),
        "after": st.sampled_from(SessionState),
        "cause": st.sampled_from(_CAUSES),
        "decision": st.sampled_from(["GO", "NO-GO", "MAYBE"]),
        "result": st.sampled_from(ItemResult),
        "signals": st.just({}),
        "compared": st.just({}),
        "breaks": st.just({}),
        "points": st.just(()),
        "expires_us": st.integers(-1, 10),
        "pressed_us": st.integers(-1, 10),
        "rows": st.integers(-1, 10),
    }
    kind = draw(st.sampled_from((SessionChartered, *_KINDS)))
    return kind(**{name: draw(by_name.get(name, _TEXT)) for name in kind.__struct_fields__})


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_no_order_of_events_raises_or_goes_live_unapproved(data, words) -> None:
    packet = build_packet(words.packet_facts()).decode()
    fold, latch = SessionFold(), LatchFold()
    for seq in range(data.draw(st.integers(1, 40))):
        event = data.draw(events(words, packet))
        recorded = Recorded(seq=seq, ts_us=seq, actor=data.draw(_ACTORS), event=event)
        fold.apply(recorded)
        latch.apply(recorded)
        for session in fold.history:
            checklist_document(session)
            checklist_blockers(session, seq)
            visible_items(session, "operator")
            if session.state is SessionState.LIVE:
                assert session.go.decision == "GO"


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_shuffled_real_session_never_raises(data, told) -> None:
    fold = SessionFold()
    for recorded in data.draw(st.permutations(told)):
        fold.apply(recorded)


def test_each_approval_event_is_needed_to_be_live_i5(told) -> None:
    def state_without(kind: type | None) -> SessionState:
        fold = SessionFold()
        for recorded in told:
            if kind is None or not isinstance(recorded.event, kind):
                fold.apply(recorded)
        return fold.current.state

    assert state_without(None) is SessionState.LIVE
    for kind in (GoRequested, GoSigned, GoDecided):
        assert state_without(kind) is not SessionState.LIVE


def test_events_told_twice_change_nothing(told) -> None:
    once, twice = SessionFold(), SessionFold()
    for recorded in told:
        once.apply(recorded)
        twice.apply(recorded)
        twice.apply(recorded)
    assert once.current == twice.current
    assert once.used_nonces == twice.used_nonces


def test_a_checklist_with_answers_is_not_replaced(pen, words) -> None:
    pen.checklist()
    pen.answer("plan", "operator", "x", words.alice)
    other = parse_runbook(words.runbook.replace('"1"', '"2"'), "session.md")
    pen.write(ChecklistStarted(session_id=words.sid, checklist=other))
    assert pen.fold.current.checklist.version == "1"


def test_a_sealed_pack_does_not_change_and_signs_its_own_manifest_only(pen, words) -> None:
    pen.charter()
    written = PackWritten(session_id=words.sid, folder="a", tagmanifest_sha256="3" * 64)
    pen.write(written)
    for wrong in (
        PackSigned(
            session_id=words.sid, role=Role.OPERATOR, tagmanifest_sha256="4" * 64, fingerprint="f"
        ),
        PackSealed(session_id=words.sid, folder="b", tagmanifest_sha256="4" * 64),
    ):
        pen.write(wrong)
        assert (pen.fold.current.pack.stage, pen.fold.current.pack.signed_by) == ("written", {})
    pen.write(PackSealed(session_id=words.sid, folder="b", tagmanifest_sha256="3" * 64))
    pen.write(PackWritten(session_id=words.sid, folder="c", tagmanifest_sha256="5" * 64))
    assert (pen.fold.current.pack.stage, pen.fold.current.pack.folder) == ("sealed", "b")


def test_an_abstention_voids_the_request_and_uses_its_nonces_up(pen, words) -> None:
    pen.decided("ABSTAIN")
    session = pen.fold.current
    assert (session.go.stage, session.go.decision, session.go.code) == ("void", *["ABSTAIN"] * 2)
    assert {words.op_nonce, words.rev_nonce} <= pen.fold.used_nonces
    pen.move("go_nogo", "live", "go")
    assert session.state == "go_nogo", "nothing is live without a GO"
    pen.move("go_nogo", "checklist", "go_void")
    assert session.state == "checklist"


def test_a_blind_answer_is_a_commitment_until_both_are_in(pen, words) -> None:
    salt = "5" * 64
    told = {"by": "alice", "value": "100 USDT", "salt": salt}
    made = commitment_of(words.sid, "balance", "operator", **told)

    def write(actor: Any, **fields: Any) -> None:
        base = {"session_id": words.sid, "item_id": "balance", "role": "operator", "value": ""}
        pen.write(ItemAnswered(**{**base, "result": ItemResult.OPEN, **fields}), actor)

    pen.checklist()
    write(words.bob, commitment=made)
    assert not pen.fold.current.blind, "sealed by nobody who may answer it"
    write(words.alice, commitment=made)
    view = next(v for v in visible_items(pen.fold.current, "operator") if v.id == "balance")
    assert (view.value, view.result, view.by) == ("", "open", "alice")
    assert any("blind" in line for line in checklist_blockers(pen.fold.current, pen.now))
    for wrong in ({"value": "99 USDT"}, {"by": "bob"}, {"salt": "6" * 64}, {"role": "reviewer"}):
        write(words.bob, result=ItemResult.PASS, **{**told, **wrong})
        assert pen.fold.current.answers == {}, wrong
    write(words.bob, result=ItemResult.PASS, **told)
    pen.answer("balance", "reviewer", "100 usdt", words.bob)
    assert {key[1] for key in pen.fold.current.answers} == {"operator", "reviewer"}
    assert pen.fold.current.answers["balance", "operator"].by == "alice"
    write(words.alice, commitment=made)
    assert pen.fold.current.answers == {}, "reading again is a new round for both"
    pen.write(
        EngineStarted(
            version="1",
            pid=1,
            hostname="h",
            boot_id="b",
            environment="dev",
            config_sha256="",
            code_sha256="",
            python="3",
        )
    )
    assert not pen.fold.current.blind, "what it was made of died with the engine"
