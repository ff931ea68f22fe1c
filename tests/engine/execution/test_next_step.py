"""Promise 3: the next step is always on the screen, in every state, for both."""

from __future__ import annotations

import msgspec
import pytest

from engine.contracts.session import ItemKind, ItemResult, SessionState
from engine.contracts.view import (
    BreakView,
    EngineView,
    GoView,
    ItemView,
    KillView,
    PackView,
    ReconView,
    SessionView,
)
from engine.execution.next_step import next_step, next_step_reviewer
from engine.governance.latch import LatchState
from tests.engine.charters import CHARTER

READY = KillView(state="READY")
ENGINE = EngineView(
    pid=1,
    version="0",
    phase="ready",
    started_us=0,
    environment="dev",
    workspace="/w",
    demo=True,
    config_sha256="",
    events=0,
    head="",
    store_lag=0,
    attended=True,
    watchdog="watching",
    review_command="peakctl review --workspace /w",
)


def session(state: SessionState, **more: object) -> SessionView:
    view = SessionView(
        id="abcdefabcdef",
        state=state,
        charter=CHARTER,
        since_us=0,
        checklist=(),
        reviewer_joined=False,
        go=GoView(stage="none"),
        runlog=(),
    )
    return msgspec.structs.replace(view, **more)


def recon(*signed: str, answer: str = "seen") -> ReconView:
    row = BreakView(
        id="B1", klass="red", subject="orders", key="k", engine="", journal="", venue="", cause="",
        answer=answer,
    )  # fmt: skip
    return ReconView(
        run_id="r", report="", report_sha256="", compared={}, breaks=(row,), signed_by=signed
    )


@pytest.mark.parametrize("state", SessionState)
@pytest.mark.parametrize("latch", LatchState)
def test_every_state_has_a_sentence_for_both(state: SessionState, latch: LatchState) -> None:
    kill = KillView(state=latch.value)
    for sentence in (
        next_step(session(state), kill, ENGINE),
        next_step_reviewer(session(state), kill),
    ):
        assert sentence.endswith((".", "/w")), sentence
        assert len(sentence) <= 79, sentence


def test_without_a_session() -> None:
    assert next_step(None, READY, ENGINE) == "Write the charter of a new session."
    assert "charter" in next_step_reviewer(None, READY)
    latched = next_step(None, KillView(state="PROVEN"), ENGINE)
    assert "latch" in latched


@pytest.mark.parametrize("phase", ["starting", "recovering", "halted"])
def test_an_engine_that_is_not_ready_says_so(phase: str) -> None:
    engine = msgspec.structs.replace(ENGINE, phase=phase)
    said = next_step(session(SessionState.LIVE), READY, engine)
    assert phase in said
    assert ("wait" in said) is (phase != "halted"), "a halted engine does not come back by waiting"


def test_the_checklist_names_the_next_item_then_the_second_terminal_then_go() -> None:
    item = ItemView(
        id="a", title="Disk space", kind=ItemKind.AUTO, role="engine", result=ItemResult.OPEN
    )
    theirs = msgspec.structs.replace(item, role="reviewer")
    checklist = SessionState.CHECKLIST
    assert "Disk space" in next_step(session(checklist, checklist=(item,)), READY, ENGINE)
    assert ENGINE.review_command in next_step(session(checklist), READY, ENGINE)
    joined = session(checklist, reviewer_joined=True, checklist=(theirs,))
    assert "reviewer" in next_step(joined, READY, ENGINE)
    assert "your items" in next_step_reviewer(joined, READY)
    given = [msgspec.structs.replace(one, by="x") for one in (item, theirs)]
    blind = session(checklist, reviewer_joined=True, checklist=(given[0], theirs))
    assert next_step(blind, READY, ENGINE) == "Wait for the reviewer's answers."
    blind = session(checklist, reviewer_joined=True, checklist=(item, given[1]))
    assert "your items" not in next_step_reviewer(blind, READY)
    done = session(checklist, reviewer_joined=True)
    assert next_step(done, READY, ENGINE) == "Ask for go."


def test_reconciling_answers_first_then_signs_then_waits() -> None:
    killed, proven = SessionState.KILLED, KillView(state="PROVEN")
    for released in (proven, READY):
        assert next_step(session(killed), released, ENGINE) == "Run the reconciliation."
        assert "reconciliation" in next_step_reviewer(session(killed), released)
    assert "proof" in next_step(session(killed), KillView(state="LATCHED"), ENGINE)
    assert "UNCONFIRMED" in next_step(session(killed), KillView(state="UNCONFIRMED"), ENGINE)
    unconfirmed = next_step_reviewer(session(killed), KillView(state="UNCONFIRMED"))
    assert "UNCONFIRMED" in unconfirmed
    said = [
        next_step(session(killed, recon=one), proven, ENGINE)
        for one in (None, recon(answer=""), recon(), recon("operator"))
    ]
    assert [words.split(" ")[0] for words in said] == ["Run", "Answer", "Read", "Wait"]


def test_sealing_signs_then_waits() -> None:
    reconciled = SessionState.RECONCILED
    written = PackView(stage="written", folder="f")
    signed = PackView(stage="written", folder="f", signed_by=("operator",))
    said = [
        next_step(session(reconciled, pack=pack), READY, ENGINE) for pack in (None, written, signed)
    ]
    assert [words.split(" ")[0] for words in said] == ["Write", "Sign", "Wait"]
    assert next_step_reviewer(session(reconciled, pack=signed), READY) == "Sign the pack."
