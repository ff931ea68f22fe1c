"""Every event the journal can hold, one struct a kind, and the envelope around them.

The journal line is `{"actor","data","kind","prev","seq","ts"}` (canonical JSON). State anywhere in
the house is a fold over these events, so an event says what *happened*, with all that a fold
needs, and nothing that could be computed from earlier events. Rules:

* past tense facts only; an intent is a fact too ("we are about to send this", I1);
* ids and times as integers (µs UTC) or strings, money as Decimal, never a float (I11);
* no secret in any field (I10);
* fields are only ever added, with a default; a kind never changes its meaning.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec

from engine.contracts.decision import Decision
from engine.contracts.errors import IntegrityError
from engine.contracts.fill import Fill
from engine.contracts.order import OrderIntent, Side
from engine.contracts.people import Actor, Role
from engine.contracts.session import Charter, Checklist, ItemResult, SessionState


class Event(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind"):
    """Base of all events; `kind` is the tag."""


# --- the engine itself -------------------------------------------------------------------------


class EngineStarted(Event, frozen=True, kw_only=True, tag="engine.started"):
    """The engine process began to serve. Hashes are sha256 hex."""

    version: str
    pid: int
    hostname: str
    boot_id: str
    environment: str
    config_sha256: str
    code_sha256: str
    python: str


class EngineStopped(Event, frozen=True, kw_only=True, tag="engine.stopped"):
    """The engine ended in an orderly way."""

    reason: str


class EngineRecovered(Event, frozen=True, kw_only=True, tag="engine.recovered"):
    """After a restart: what was folded and which orders had to be asked for."""

    events: int
    unknown_orders: tuple[str, ...]


class JournalRepaired(Event, frozen=True, kw_only=True, tag="journal.repaired"):
    """A torn last line (never acknowledged) was moved aside; `saved_as` keeps its bytes."""

    file: str
    bytes_removed: int
    removed_sha256: str
    saved_as: str


class SegmentOpened(Event, frozen=True, kw_only=True, tag="journal.segment"):
    """First event of a new journal file: names the file before it and its sha256."""

    file: str
    previous_file: str
    previous_sha256: str


class StoreRebuilt(Event, frozen=True, kw_only=True, tag="store.rebuilt"):
    """The DuckDB store differed from the journal and was made again from it."""

    reason: str
    events: int


class VenueConnected(Event, frozen=True, kw_only=True, tag="venue.connected"):
    """A connection to the venue is up; the clock offset is venue minus ours, µs."""

    venue: str
    stream: str
    clock_offset_us: int


class VenueDisconnected(Event, frozen=True, kw_only=True, tag="venue.disconnected"):
    """A connection to the venue is gone."""

    venue: str
    stream: str
    reason: str


class MarketRecorded(Event, frozen=True, kw_only=True, tag="market.recorded"):
    """A Parquet file of market data was closed; its hash ties it to the chain."""

    session_id: str
    file: str
    rows: int
    sha256: str


class SnapshotTaken(Event, frozen=True, kw_only=True, tag="snapshot.taken"):
    """One moment of the whole state was written as JSON."""

    session_id: str
    file: str
    sha256: str


class ConfigNoticed(Event, frozen=True, kw_only=True, tag="config.noticed"):
    """The effective config differs from the one the last engine start recorded."""

    before_sha256: str
    after_sha256: str
    changed: tuple[str, ...]


# --- session -----------------------------------------------------------------------------------


class SessionChartered(Event, frozen=True, kw_only=True, tag="session.chartered"):
    """A charter was written: the session exists, in state `charter`."""

    session_id: str
    charter: Charter


class ChecklistStarted(Event, frozen=True, kw_only=True, tag="checklist.started"):
    """The checklist with all its items, as read from the runbook."""

    session_id: str
    checklist: Checklist


class ItemAnswered(Event, frozen=True, kw_only=True, tag="checklist.answered"):
    """One item was probed or answered. `value` is the reading or the person's words."""

    session_id: str
    item_id: str
    role: str
    value: str
    result: ItemResult
    detail: str = ""


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
    """The operator's signature over the packet, verified twice. `signature` is armoured SSHSIG."""

    session_id: str
    packet_sha256: str
    signature: str
    fingerprint: str


class GoDecided(Event, frozen=True, kw_only=True, tag="go.decided"):
    """The reviewer's decision, verified: GO arms, NO-GO ends the session.

    `cosign` is the exact text of cosign.json. `signals` lists the same-person signals.
    """

    session_id: str
    decision: str
    reason: str
    packet_sha256: str
    cosign: str
    signature: str
    fingerprint: str
    signals: dict[str, str]


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


# --- orders ------------------------------------------------------------------------------------


class OrderIntended(Event, frozen=True, kw_only=True, tag="order.intended"):
    """Intent first (I1): written and fsynced before the request leaves."""

    session_id: str
    intent: OrderIntent
    intent_sha256: str
    owner: str
    decision: Decision


class OrderBlocked(Event, frozen=True, kw_only=True, tag="order.blocked"):
    """An order was asked for and refused by a check; nothing was sent."""

    session_id: str
    intent: OrderIntent
    owner: str
    decision: Decision


class OrderAcknowledged(Event, frozen=True, kw_only=True, tag="order.acknowledged"):
    """The venue has the order."""

    client_order_id: str
    venue_order_id: str
    venue_time_us: int


class OrderRejected(Event, frozen=True, kw_only=True, tag="order.rejected"):
    """The venue said no, with certainty (or proved that it never had the order)."""

    client_order_id: str
    code: str
    reason: str


class OrderUnknown(Event, frozen=True, kw_only=True, tag="order.unknown"):
    """The outcome of a request is not known (I3)."""

    client_order_id: str
    cause: str


class OrderLost(Event, frozen=True, kw_only=True, tag="order.lost"):
    """An order in doubt of which the venue, asked for long enough, could say nothing more.

    It stays UNKNOWN (I3); what is lost is the hope that asking again helps. People answer for it.
    """

    client_order_id: str
    cause: str


class OrderFilled(Event, frozen=True, kw_only=True, tag="order.filled"):
    """One trade of ours."""

    session_id: str
    fill: Fill


class CancelRequested(Event, frozen=True, kw_only=True, tag="order.cancel_requested"):
    """A cancel is about to be sent."""

    client_order_id: str
    cancel_id: str
    cause: str


class CancelRefused(Event, frozen=True, kw_only=True, tag="order.cancel_refused"):
    """The venue did not cancel (too late, or it does not know the order)."""

    client_order_id: str
    code: str
    reason: str


class OrderCanceled(Event, frozen=True, kw_only=True, tag="order.canceled"):
    """The venue canceled what was left."""

    client_order_id: str
    filled_quantity: Decimal
    venue_time_us: int


class OrderExpired(Event, frozen=True, kw_only=True, tag="order.expired"):
    """The venue expired what was left (IOC, FOK, market without depth)."""

    client_order_id: str
    filled_quantity: Decimal
    reason: str
    venue_time_us: int


class OrderClosed(Event, frozen=True, kw_only=True, tag="order.closed"):
    """A final order agreed on all three sides of a reconciliation."""

    client_order_id: str
    run_id: str


class OrphanFound(Event, frozen=True, kw_only=True, tag="orphan.found"):
    """The venue shows an order or trade of this account that we did not make (I2)."""

    session_id: str
    symbol: str
    client_order_id: str
    venue_order_id: str
    side: Side
    price: Decimal
    quantity: Decimal


class OrphanAdopted(Event, frozen=True, kw_only=True, tag="orphan.adopted"):
    """A person took a stranger's order into the session, under the id that the venue knows it by.

    `intent` is what the venue showed of it; from here on it is an order like any other.
    """

    session_id: str
    intent: OrderIntent
    venue_order_id: str
    owner: str
    reason: str


class OrphanCancelRequested(Event, frozen=True, kw_only=True, tag="orphan.cancel_requested"):
    """A person asked for the cancel of a stranger's order; it is about to be sent."""

    session_id: str
    symbol: str
    client_order_id: str
    venue_order_id: str
    cancel_id: str
    reason: str


class OrphanEnded(Event, frozen=True, kw_only=True, tag="orphan.ended"):
    """A stranger's order can no longer execute. `status` is the venue's word, or GONE.

    GONE: the venue showed it once and, asked for it and for its open orders, knows it no more.
    """

    session_id: str
    symbol: str
    client_order_id: str
    venue_order_id: str
    status: str
    filled_quantity: Decimal


class BalancesRead(Event, frozen=True, kw_only=True, tag="balances.read"):
    """The venue's balances at a moment (`opening`, `reconcile`): asset -> (free, locked)."""

    session_id: str
    moment: str
    balances: dict[str, tuple[Decimal, Decimal]]


# --- kill --------------------------------------------------------------------------------------


class KillLatched(Event, frozen=True, kw_only=True, tag="kill.latched"):
    """The latch is set: no order leaves until two people release it (I4)."""

    kill_id: str
    session_id: str
    reason: str
    source: str
    pressed_us: int


class KillStage(Event, frozen=True, kw_only=True, tag="kill.stage"):
    """One stage of the kill, µs after the latch was asked for."""

    kill_id: str
    stage: str
    elapsed_us: int
    detail: str


class KillVerdict(Event, frozen=True, kw_only=True, tag="kill.verdict"):
    """PROVEN or UNCONFIRMED, with what is left."""

    kill_id: str
    verdict: str
    elapsed_us: int
    canceled: int
    open_orders: tuple[str, ...]
    positions: dict[str, Decimal]
    detail: str = ""


class LatchReleased(Event, frozen=True, kw_only=True, tag="latch.released"):
    """Two people signed the release document. `document` is its exact text."""

    kill_id: str
    document: str
    document_sha256: str
    operator_signature: str
    reviewer_signature: str
    reason: str


class WatchdogActed(Event, frozen=True, kw_only=True, tag="watchdog.acted"):
    """What the watchdog did while no engine answered, as read from its own log."""

    reason: str
    verdict: str
    canceled: int
    elapsed_us: int
    at_us: int


# --- reconciliation ----------------------------------------------------------------------------


class ReconRun(Event, frozen=True, kw_only=True, tag="recon.run"):
    """One three-way comparison. `report` is the exact text of recon.json."""

    session_id: str
    run_id: str
    compared: dict[str, int]
    breaks: dict[str, int]
    report: str
    report_sha256: str


class WatchedBreak(msgspec.Struct, frozen=True, kw_only=True):
    """One open break of the continuous reconciliation; `first_seen_us` is kept while it is open.

    `code` is a row of the table of causes, `klass` green, yellow or red.
    """

    code: str
    key: str
    klass: str
    first_seen_us: int


class ReconChecked(Event, frozen=True, kw_only=True, tag="recon.checked"):
    """One run of the continuous reconciliation. `moment`: start, live or reconnect.

    `unknown` is why the venue could not be asked: then nothing was compared and nothing is known.
    `settled_us`: all orders intended before it have ended and agreed on three sides;
    `settled_positions` is what the venue's own trades of those add up to, base by symbol.
    """

    session_id: str
    moment: str
    compared: dict[str, int]
    breaks: tuple[WatchedBreak, ...]
    unknown: str = ""
    settled_us: int = 0
    settled_positions: dict[str, Decimal] = {}


class BreakAnswered(Event, frozen=True, kw_only=True, tag="recon.answered"):
    """A person answered a break."""

    session_id: str
    run_id: str
    break_id: str
    answer: str


class ReconSigned(Event, frozen=True, kw_only=True, tag="recon.signed"):
    """One person signed the reconciliation report."""

    session_id: str
    run_id: str
    role: Role
    report_sha256: str
    signature: str
    fingerprint: str


class LessonsWritten(Event, frozen=True, kw_only=True, tag="lessons.written"):
    """Lessons learned, one to three points, asked for even on a green day."""

    session_id: str
    points: tuple[str, ...]


class PackWritten(Event, frozen=True, kw_only=True, tag="pack.written"):
    """The pack's files are written; both people sign the tag manifest next."""

    session_id: str
    folder: str
    tagmanifest_sha256: str


class PackSigned(Event, frozen=True, kw_only=True, tag="pack.signed"):
    """One person signed the pack's tag manifest."""

    session_id: str
    role: Role
    tagmanifest_sha256: str
    fingerprint: str


class PackSealed(Event, frozen=True, kw_only=True, tag="pack.sealed"):
    """The pack has both signatures, was verified and has its final name."""

    session_id: str
    folder: str
    tagmanifest_sha256: str


# --- operations --------------------------------------------------------------------------------


class AlarmRaised(Event, frozen=True, kw_only=True, tag="alarm.raised"):
    """Something needs a person. Priority 1 (act now) to 3."""

    alarm_id: str
    session_id: str
    code: str
    priority: int
    text: str
    response: str


class AlarmAcknowledged(Event, frozen=True, kw_only=True, tag="alarm.acknowledged"):
    """A person took an alarm."""

    alarm_id: str
    note: str = ""


class AlarmCleared(Event, frozen=True, kw_only=True, tag="alarm.cleared"):
    """The alarm's cause is gone."""

    alarm_id: str


class IncidentOpened(Event, frozen=True, kw_only=True, tag="incident.opened"):
    """A person opened an incident."""

    incident_id: str
    session_id: str
    title: str


class IncidentNoted(Event, frozen=True, kw_only=True, tag="incident.noted"):
    """A line in an incident's timeline."""

    incident_id: str
    text: str


class IncidentClosed(Event, frozen=True, kw_only=True, tag="incident.closed"):
    """An incident was closed."""

    incident_id: str
    text: str


class RiskReported(Event, frozen=True, kw_only=True, tag="risk.reported"):
    """A person asked what may be lost. `document` is the report's exact text (canonical JSON).

    `session_id` is "" outside a session.
    """

    session_id: str
    document: str
    sha256: str


class DrillFinished(Event, frozen=True, kw_only=True, tag="drill.finished"):
    """A rehearsed failure with its measured result."""

    drill_id: str
    name: str
    passed: bool
    measured: dict[str, str]


AnyEvent = (
    EngineStarted
    | EngineStopped
    | EngineRecovered
    | JournalRepaired
    | SegmentOpened
    | StoreRebuilt
    | VenueConnected
    | VenueDisconnected
    | MarketRecorded
    | SnapshotTaken
    | ConfigNoticed
    | SessionChartered
    | ChecklistStarted
    | ItemAnswered
    | ReviewerJoined
    | GoRequested
    | GoSigned
    | GoDecided
    | GoVoided
    | ApprovalRefused
    | SessionMoved
    | BreakerTripped
    | NoteAdded
    | AttendanceLost
    | AttendanceRegained
    | OrderIntended
    | OrderBlocked
    | OrderAcknowledged
    | OrderRejected
    | OrderUnknown
    | OrderLost
    | OrderFilled
    | CancelRequested
    | CancelRefused
    | OrderCanceled
    | OrderExpired
    | OrderClosed
    | OrphanFound
    | OrphanAdopted
    | OrphanCancelRequested
    | OrphanEnded
    | BalancesRead
    | KillLatched
    | KillStage
    | KillVerdict
    | LatchReleased
    | WatchdogActed
    | ReconRun
    | ReconChecked
    | BreakAnswered
    | ReconSigned
    | LessonsWritten
    | PackWritten
    | PackSigned
    | PackSealed
    | AlarmRaised
    | AlarmAcknowledged
    | AlarmCleared
    | IncidentOpened
    | IncidentNoted
    | IncidentClosed
    | DrillFinished
    | RiskReported
)


class Recorded(msgspec.Struct, frozen=True, kw_only=True):
    """An event as the journal holds it. `ts_us` is the wall clock, µs UTC; `seq` counts from 0."""

    seq: int
    ts_us: int
    actor: Actor
    event: AnyEvent


def kind_of(event: Event) -> str:
    """The journal's name of an event, such as `order.intended`."""
    tag = event.__struct_config__.tag
    if not isinstance(tag, str):
        raise TypeError(f"{type(event).__name__} has no kind")
    return tag


def event_to_data(event: Event) -> dict[str, Any]:
    """The event's fields as JSON-like builtins (Decimals as strings), without `kind`."""
    data: dict[str, Any] = msgspec.to_builtins(event)
    del data["kind"]
    return data


def event_from_data(kind: str, data: dict[str, Any], where: str) -> AnyEvent:
    """Rebuild the event of a journal line. Raises IntegrityError for what does not fit."""
    try:
        return msgspec.convert({**data, "kind": kind}, type=AnyEvent)  # type: ignore[no-any-return]
    except msgspec.ValidationError as error:
        raise IntegrityError(
            what=f"event of kind {kind!r} does not fit this version ({error})",
            where=where,
            todo="use the version that wrote this journal",
        ) from error
