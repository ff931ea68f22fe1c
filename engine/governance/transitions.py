"""The session state machine as a table: which step is legal, by which cause, and who may cause it.

Promises: a step that is not a row here does not exist; the table is data, so `peakctl session
states` prints it and the tests walk it. `killed` is reachable from every state that is not an end
(I4), and the only way out of it is through a reconciliation.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from engine.contracts.session import END_STATES, SessionState


class Cause(StrEnum):
    """Why a session moves: the `cause` of a SessionMoved event."""

    CHECKLIST_STARTED = "checklist_started"
    GO_REQUESTED = "go_requested"
    GO_VOID = "go_void"
    GO = "go"
    NO_GO = "no_go"
    ABORT = "abort"
    PAUSE = "pause"
    RISK_PAUSE = "risk_pause"
    RECON_RED = "recon_red"
    ATTENDANCE_LOST = "attendance_lost"
    RESUME = "resume"
    STOP = "stop"
    WINDOW_END = "window_end"
    APPROVAL_VOID = "approval_void"
    PROVEN_FLAT = "proven_flat"
    KILL = "kill"
    RECON_SIGNED = "recon_signed"
    PACK_SEALED = "pack_sealed"


class Transition(msgspec.Struct, frozen=True):
    """One legal step. `who` names roles or the engine; `needs` says what must be true first."""

    before: SessionState
    after: SessionState
    cause: Cause
    who: str
    needs: str


_S = SessionState
_C = Cause

_STEPS: tuple[Transition, ...] = (
    Transition(
        _S.CHARTER, _S.CHECKLIST, _C.CHECKLIST_STARTED, "operator", "the charter is complete"
    ),
    Transition(_S.CHARTER, _S.ABORTED, _C.ABORT, "operator or reviewer", "a reason"),
    Transition(
        _S.CHECKLIST, _S.GO_NOGO, _C.GO_REQUESTED, "operator", "no blocker, reviewer joined"
    ),
    Transition(_S.CHECKLIST, _S.ABORTED, _C.ABORT, "operator or reviewer", "a reason"),
    Transition(
        _S.GO_NOGO,
        _S.CHECKLIST,
        _C.GO_VOID,
        "engine",
        "the request expired or changed, or an abstention",
    ),
    Transition(_S.GO_NOGO, _S.LIVE, _C.GO, "reviewer", "both signatures over unchanged facts"),
    Transition(_S.GO_NOGO, _S.NO_GO, _C.NO_GO, "reviewer", "a signed NO-GO with a reason"),
    Transition(_S.GO_NOGO, _S.ABORTED, _C.ABORT, "operator or reviewer", "a reason"),
    Transition(_S.LIVE, _S.PAUSED, _C.PAUSE, "operator or reviewer", "nothing"),
    Transition(_S.LIVE, _S.PAUSED, _C.RISK_PAUSE, "engine", "a check said PAUSE"),
    Transition(
        _S.LIVE, _S.PAUSED, _C.RECON_RED, "engine", "two reconciliations in a row saw a red break"
    ),
    Transition(_S.LIVE, _S.PAUSED, _C.ATTENDANCE_LOST, "engine", "no operator console heard"),
    Transition(_S.PAUSED, _S.LIVE, _C.RESUME, "operator", "the approval still stands"),
    Transition(_S.LIVE, _S.STOPPING, _C.STOP, "operator or reviewer", "nothing"),
    Transition(_S.LIVE, _S.STOPPING, _C.WINDOW_END, "engine", "the change window ended"),
    Transition(_S.LIVE, _S.STOPPING, _C.APPROVAL_VOID, "engine", "something signed has changed"),
    Transition(_S.PAUSED, _S.STOPPING, _C.STOP, "operator or reviewer", "nothing"),
    Transition(_S.PAUSED, _S.STOPPING, _C.WINDOW_END, "engine", "the change window ended"),
    Transition(_S.PAUSED, _S.STOPPING, _C.APPROVAL_VOID, "engine", "something signed has changed"),
    Transition(
        _S.STOPPING, _S.STOPPED, _C.PROVEN_FLAT, "engine", "the venue reports no open order"
    ),
    Transition(
        _S.STOPPED, _S.RECONCILED, _C.RECON_SIGNED, "both", "breaks answered, report signed twice"
    ),
    Transition(
        _S.KILLED, _S.RECONCILED, _C.RECON_SIGNED, "both", "breaks answered, report signed twice"
    ),
    Transition(
        _S.RECONCILED, _S.SEALED, _C.PACK_SEALED, "both", "pack verified and signed by both"
    ),
    Transition(
        _S.RECONCILED,
        _S.ABORTED,
        _C.ABORT,
        "operator or reviewer",
        "a reason; a key of the approval is no longer the roster's",
    ),
)

_KILLS: tuple[Transition, ...] = tuple(
    Transition(state, _S.KILLED, _C.KILL, "anyone, engine or watchdog", "nothing")
    for state in SessionState
    if state not in END_STATES and state is not _S.KILLED
)

#: Every legal step of a session.
TRANSITIONS: tuple[Transition, ...] = _STEPS + _KILLS

_LEGAL = frozenset((row.before, row.after, str(row.cause)) for row in TRANSITIONS)


def legal(before: SessionState, after: SessionState, cause: str) -> bool:
    """Tell whether a session may go from `before` to `after` by this cause."""
    return (before, after, cause) in _LEGAL


def causes_from(state: SessionState) -> tuple[Transition, ...]:
    """Every step that is legal from this state, in the table's order."""
    return tuple(row for row in TRANSITIONS if row.before is state)


def session_rows() -> tuple[tuple[str, str, str, str, str], ...]:
    """The table for printing: before, after, cause, who, needs."""
    return tuple((row.before, row.after, row.cause, row.who, row.needs) for row in TRANSITIONS)
