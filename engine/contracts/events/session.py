"""The way of a session: charter, checklist, go/no-go, pauses, notes, attendance."""

from __future__ import annotations

from decimal import Decimal

from engine.contracts.events.base import Event
from engine.contracts.session import Charter, Checklist, ItemResult, SessionState


class SessionChartered(Event, frozen=True, kw_only=True, tag="session.chartered"):
    """A charter was written: the session exists, in state `charter`."""

    session_id: str
    charter: Charter


class ChecklistStarted(Event, frozen=True, kw_only=True, tag="checklist.started"):
    """The checklist with all its items, as read from the runbook."""

    session_id: str
    checklist: Checklist


class ItemAnswered(Event, frozen=True, kw_only=True, tag="checklist.answered"):
    """One item was probed or answered. `value` is the reading or the person's words.

    The first answer to an item that both give is blind: at first only its `commitment` is told
    (`value` empty, `result` open), and with the other's answer it is opened: `salt` and `by` are
    what the commitment was made of beside the value.
    """

    session_id: str
    item_id: str
    role: str
    value: str
    result: ItemResult
    detail: str = ""
    commitment: str = ""
    salt: str = ""
    by: str = ""


class ReviewerJoined(Event, frozen=True, kw_only=True, tag="review.joined"):
    """The reviewer's process joined and gave its nonce (64 hex digits)."""

    session_id: str
    reviewer: str
    nonce: str
    signals: dict[str, str]


class GoRequested(Event, frozen=True, kw_only=True, tag="go.requested"):
    """The packet was built: `packet` is the exact text of go.json (ASCII)."""

    session_id: str
    packet: str
    packet_sha256: str
    expires_us: int


class GoSigned(Event, frozen=True, kw_only=True, tag="go.signed"):
    """The operator's signature over the packet, verified twice. `signature` is armoured SSHSIG.

    `counter` is the hardware key's signature counter, None for any other key.
    """

    session_id: str
    packet_sha256: str
    signature: str
    fingerprint: str
    counter: int | None = None


class GoDecided(Event, frozen=True, kw_only=True, tag="go.decided"):
    """The reviewer's decision, verified: GO arms, NO-GO ends the session, ABSTAIN decides nothing.

    `cosign` is the exact text of cosign.json. `signals` lists the same-person signals. `counter` is
    the hardware key's signature counter, None for any other key.
    """

    session_id: str
    decision: str
    reason: str
    packet_sha256: str
    cosign: str
    signature: str
    fingerprint: str
    signals: dict[str, str]
    counter: int | None = None


class GoVoided(Event, frozen=True, kw_only=True, tag="go.voided"):
    """A request or approval no longer counts: expired, or something signed has changed (I6)."""

    session_id: str
    packet_sha256: str
    code: str
    reason: str


class ApprovalRefused(Event, frozen=True, kw_only=True, tag="approval.refused"):
    """A signature or decision was not accepted; `code` is stable."""

    session_id: str
    role: str
    code: str
    reason: str


class SessionMoved(Event, frozen=True, kw_only=True, tag="session.moved"):
    """A legal transition of the session state machine."""

    session_id: str
    before: SessionState
    after: SessionState
    cause: str
    reason: str = ""


class BreakerTripped(Event, frozen=True, kw_only=True, tag="breaker.tripped"):
    """A loss breaker went over its limit: `action` PAUSE or KILL follows by itself."""

    session_id: str
    name: str
    action: str
    value: Decimal
    limit: Decimal
    unit: str
    lifted_by: str


class EquityPeaked(Event, frozen=True, kw_only=True, tag="equity.peaked"):
    """Between two fills the session's equity rose to a new peak: what is held, at these marks.

    Quote; a drawdown is measured from it, before and after a restart.
    """

    session_id: str
    equity: Decimal
    marks: dict[str, Decimal]


class NoteAdded(Event, frozen=True, kw_only=True, tag="note.added"):
    """A line for the runlog."""

    session_id: str
    text: str


class AttendanceLost(Event, frozen=True, kw_only=True, tag="attendance.lost"):
    """No operator console was heard from for the charter's attendance time (seconds)."""

    session_id: str
    silent_seconds: int


class AttendanceRegained(Event, frozen=True, kw_only=True, tag="attendance.regained"):
    """An operator console is back."""

    session_id: str
