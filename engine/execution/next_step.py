"""The next step, in one sentence, for each role: always on the screen (promise 3).

A table from session state to sentence; a state without a row would be a fault, which a test walks.
"""

from __future__ import annotations

from collections.abc import Callable

from engine.contracts.session import END_STATES, ItemResult, SessionState
from engine.contracts.view import EngineView, ItemView, KillView, SessionView
from engine.governance.latch import LatchState


def next_step(session: SessionView | None, kill: KillView, engine: EngineView) -> str:
    """What the operator does next."""
    if engine.phase == "halted":
        return "The engine is halted: look at the venue, read its log, restart it."
    if engine.phase != "ready":
        return f"The engine is {engine.phase}: wait."
    if session is None or session.state in END_STATES:
        if kill.state != LatchState.READY:
            return "The kill latch holds: both people release it before a new session."
        return "Write the charter of a new session."
    if session.state is SessionState.CHECKLIST:
        return _checklist_step(session, engine)
    return _OPERATOR[session.state](session, kill)


def next_step_reviewer(session: SessionView | None, kill: KillView) -> str:
    """What the reviewer does next."""
    if session is None:
        return "Wait for the operator's charter."
    return _REVIEWER[session.state](session, kill)


_Sentence = Callable[[SessionView, KillView], str]


def _say(text: str) -> _Sentence:
    return lambda _session, _kill: text


def _unanswered(items: list[ItemView]) -> list[ItemView]:
    return [item for item in items if item.result is not ItemResult.PASS]


def _to_answer(items: list[ItemView]) -> list[ItemView]:
    """What still wants an answer; one given blind stays open until the other one's is in, too."""
    return [item for item in _unanswered(items) if not item.by or item.result is ItemResult.FAIL]


def _checklist_step(session: SessionView, engine: EngineView) -> str:
    mine = [item for item in session.checklist if item.role != "reviewer"]
    still = _to_answer(mine)
    if still:
        return f"Checklist: {len(still)} to go; next: {still[0].title}"
    if not session.reviewer_joined:
        return f"In the second terminal: {engine.review_command}"
    if _unanswered(list(session.checklist)):
        return "Wait for the reviewer's answers."
    return "Ask for go."


def _go_step(session: SessionView, _kill: KillView) -> str:
    if session.go.stage == "requested":
        return "Read the packet and sign it."
    return "Read the short code aloud; the reviewer decides."


def _killed_step(session: SessionView, kill: KillView) -> str:
    return _until_proof(kill) or _recon_step(session, "operator")


def _until_proof(kill: KillView) -> str:
    """What to wait for; "" once zero is proven. A latch that is open again was proven."""
    if kill.state == LatchState.UNCONFIRMED:
        return "KILL UNCONFIRMED: look at the venue yourself; the hunt goes on."
    if kill.state in {LatchState.PROVEN, LatchState.READY}:
        return ""
    return "Killed: waiting for the venue's proof."


def _recon_step(session: SessionView, role: str) -> str:
    recon = session.recon
    if recon is None:
        return "Run the reconciliation." if role == "operator" else "Wait for the reconciliation."
    if any(one.klass != "green" and not one.answer for one in recon.breaks):
        return "Answer every yellow and red break."
    if role not in recon.signed_by:
        return "Read the reconciliation and sign it."
    return "Wait for the other signature under the reconciliation."


def _seal_step(session: SessionView, role: str) -> str:
    pack = session.pack
    if pack is None:
        if role == "operator":
            return "Write down one to three lessons, then write the pack."
        return "Wait for the pack."
    if role not in pack.signed_by:
        return "Sign the pack."
    return "Wait for the other signature under the pack."


_OPERATOR: dict[SessionState, _Sentence] = {
    SessionState.CHARTER: _say("Start the checklist."),
    SessionState.GO_NOGO: _go_step,
    SessionState.LIVE: _say("Live: place orders, or stop the session. F9 stops everything."),
    SessionState.PAUSED: _say("Paused: no new orders. Resume, or stop the session."),
    SessionState.STOPPING: _say("Stopping: waiting for the venue to show no open order."),
    SessionState.KILLED: _killed_step,
    SessionState.STOPPED: lambda session, _kill: _recon_step(session, "operator"),
    SessionState.RECONCILED: lambda session, _kill: _seal_step(session, "operator"),
}


def _decide_step(session: SessionView, _kill: KillView) -> str:
    if session.go.stage == "signed":
        return "Read the packet, type the short code and max_order_notional, decide."
    return "Wait for the operator's signature."


def _answer_step(session: SessionView, _kill: KillView) -> str:
    mine = [item for item in session.checklist if item.role == "reviewer"]
    if _to_answer(mine):
        return "Answer your items from your own readings."
    return "Wait for the operator to ask for go."


def _watch_proof(session: SessionView, kill: KillView) -> str:
    return _until_proof(kill) or _recon_step(session, "reviewer")


_WATCH = _say("Watch. F9 stops everything.")
_ENDED = _say("This session has ended. Wait for a new charter.")

_REVIEWER: dict[SessionState, _Sentence] = {
    SessionState.CHARTER: _say("Read the charter; the checklist comes next."),
    SessionState.CHECKLIST: _answer_step,
    SessionState.GO_NOGO: _decide_step,
    SessionState.LIVE: _WATCH,
    SessionState.PAUSED: _WATCH,
    SessionState.STOPPING: _WATCH,
    SessionState.KILLED: _watch_proof,
    SessionState.STOPPED: lambda session, _kill: _recon_step(session, "reviewer"),
    SessionState.RECONCILED: lambda session, _kill: _seal_step(session, "reviewer"),
    SessionState.SEALED: _say("Sealed. Keep your copy of the heads."),
    SessionState.NO_GO: _ENDED,
    SessionState.ABORTED: _ENDED,
}
