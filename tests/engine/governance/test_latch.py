"""The latch fold (I4); the rules of its release are those of dual control (test_dual.py)."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from engine.contracts.event import (
    AnyEvent,
    KillLatched,
    KillStage,
    KillVerdict,
    LatchReleased,
    NoteAdded,
    Recorded,
)
from engine.governance.latch import LatchFold, LatchState


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
