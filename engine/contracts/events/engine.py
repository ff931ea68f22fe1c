"""What the engine itself did: starts, repairs, the venue link, recordings."""

from __future__ import annotations

from engine.contracts.events.base import Event


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
    #: events that a checkpoint of the state stood for; 0: all were folded
    from_checkpoint: int = 0
    #: why a checkpoint that was there did not count
    checkpoint_refused: str = ""


class StateCheckpointed(Event, frozen=True, kw_only=True, tag="engine.checkpoint"):
    """The fold of the first `size` events (the last with hash `head`) was written to a file.

    A restart may begin with that file if its bytes have `state_sha256` and the code is the same;
    else, and whenever it is missing, everything is folded again.
    """

    size: int
    head: str
    file: str
    state_sha256: str
    code_sha256: str


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
