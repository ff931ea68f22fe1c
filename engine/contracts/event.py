"""Every event the journal can hold, and the envelope around them; the kinds are in `events/`.

The journal line is `{"actor","data","kind","prev","seq","ts"}` (canonical JSON). State anywhere in
the house is a fold over these events, so an event says what *happened*, with all that a fold
needs, and nothing that could be computed from earlier events. Rules:

* past tense facts only; an intent is a fact too ("we are about to send this", I1);
* ids and times as integers (µs UTC) or strings, money as Decimal, never a float (I11);
* no secret in any field (I10);
* fields are only ever added, with a default; a kind never changes its meaning.
"""

from __future__ import annotations

from typing import Any

import msgspec

from engine.contracts.errors import IntegrityError
from engine.contracts.events.base import Event
from engine.contracts.events.changes import (
    ConfigChanged,
    ConfigLoaded,
    ConfigNoticed,
    PeopleChanged,
    PeopleLoaded,
    PeopleNoticed,
)
from engine.contracts.events.dual import (
    DualGranted,
    DualRefused,
    DualRequested,
    DualSigned,
    DualWithdrawn,
)
from engine.contracts.events.engine import (
    EngineRecovered,
    EngineStarted,
    EngineStopped,
    JournalRepaired,
    MarketRecorded,
    SegmentOpened,
    SnapshotTaken,
    StateCheckpointed,
    StoreRebuilt,
    VenueConnected,
    VenueDisconnected,
)
from engine.contracts.events.kill import (
    KillLatched,
    KillStage,
    KillVerdict,
    LatchReleased,
    WatchdogActed,
    WatchdogEnded,
)
from engine.contracts.events.limits import LadderStepped, LimitLoosened, LimitTightened
from engine.contracts.events.ops import (
    AlarmAcknowledged,
    AlarmCleared,
    AlarmRaised,
    DrillFinished,
    IncidentClosed,
    IncidentNoted,
    IncidentOpened,
    RiskReported,
)
from engine.contracts.events.order import (
    BalancesRead,
    CancelRefused,
    CancelRequested,
    OrderAcknowledged,
    OrderBlocked,
    OrderCanceled,
    OrderClosed,
    OrderExpired,
    OrderFilled,
    OrderIntended,
    OrderLost,
    OrderRejected,
    OrderUnknown,
    OrphanAdopted,
    OrphanCancelRequested,
    OrphanEnded,
    OrphanFound,
)
from engine.contracts.events.pack import (
    PackPrepared,
    PackRevised,
    PackRevisionSigned,
    PackRevisionWritten,
)
from engine.contracts.events.recon import (
    BreakAnswered,
    LessonsWritten,
    PackSealed,
    PackSigned,
    PackWritten,
    ReconChecked,
    ReconRun,
    ReconSigned,
)
from engine.contracts.events.session import (
    ApprovalRefused,
    AttendanceLost,
    AttendanceRegained,
    BreakerTripped,
    ChecklistStarted,
    EquityPeaked,
    GoDecided,
    GoRequested,
    GoSigned,
    GoVoided,
    ItemAnswered,
    NoteAdded,
    ReviewerJoined,
    SessionChartered,
    SessionMoved,
)
from engine.contracts.people import Actor

__all__ = [
    "AlarmAcknowledged",
    "AlarmCleared",
    "AlarmRaised",
    "AnyEvent",
    "ApprovalRefused",
    "AttendanceLost",
    "AttendanceRegained",
    "BalancesRead",
    "BreakAnswered",
    "BreakerTripped",
    "CancelRefused",
    "CancelRequested",
    "ChecklistStarted",
    "ConfigChanged",
    "ConfigLoaded",
    "ConfigNoticed",
    "DrillFinished",
    "DualGranted",
    "DualRefused",
    "DualRequested",
    "DualSigned",
    "DualWithdrawn",
    "EngineRecovered",
    "EngineStarted",
    "EngineStopped",
    "EquityPeaked",
    "Event",
    "GoDecided",
    "GoRequested",
    "GoSigned",
    "GoVoided",
    "IncidentClosed",
    "IncidentNoted",
    "IncidentOpened",
    "ItemAnswered",
    "JournalRepaired",
    "KillLatched",
    "KillStage",
    "KillVerdict",
    "LadderStepped",
    "LatchReleased",
    "LessonsWritten",
    "LimitLoosened",
    "LimitTightened",
    "MarketRecorded",
    "NoteAdded",
    "OrderAcknowledged",
    "OrderBlocked",
    "OrderCanceled",
    "OrderClosed",
    "OrderExpired",
    "OrderFilled",
    "OrderIntended",
    "OrderLost",
    "OrderRejected",
    "OrderUnknown",
    "OrphanAdopted",
    "OrphanCancelRequested",
    "OrphanEnded",
    "OrphanFound",
    "PackPrepared",
    "PackRevised",
    "PackRevisionSigned",
    "PackRevisionWritten",
    "PackSealed",
    "PackSigned",
    "PackWritten",
    "PeopleChanged",
    "PeopleLoaded",
    "PeopleNoticed",
    "ReconChecked",
    "ReconRun",
    "ReconSigned",
    "Recorded",
    "ReviewerJoined",
    "RiskReported",
    "SegmentOpened",
    "SessionChartered",
    "SessionMoved",
    "SnapshotTaken",
    "StateCheckpointed",
    "StoreRebuilt",
    "VenueConnected",
    "VenueDisconnected",
    "WatchdogActed",
    "WatchdogEnded",
    "event_from_data",
    "event_to_data",
    "kind_of",
]

AnyEvent = (
    EngineStarted
    | EngineStopped
    | EngineRecovered
    | JournalRepaired
    | SegmentOpened
    | StateCheckpointed
    | StoreRebuilt
    | VenueConnected
    | VenueDisconnected
    | MarketRecorded
    | SnapshotTaken
    | ConfigLoaded
    | ConfigChanged
    | ConfigNoticed
    | PeopleLoaded
    | PeopleChanged
    | PeopleNoticed
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
    | EquityPeaked
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
    | WatchdogEnded
    | DualRequested
    | DualSigned
    | DualGranted
    | DualRefused
    | DualWithdrawn
    | ReconRun
    | ReconChecked
    | BreakAnswered
    | ReconSigned
    | LessonsWritten
    | PackWritten
    | PackSigned
    | PackSealed
    | PackPrepared
    | PackRevisionWritten
    | PackRevisionSigned
    | PackRevised
    | AlarmRaised
    | AlarmAcknowledged
    | AlarmCleared
    | IncidentOpened
    | IncidentNoted
    | IncidentClosed
    | DrillFinished
    | RiskReported
    | LimitTightened
    | LimitLoosened
    | LadderStepped
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
