"""The one way through: decide on the folds, journal with fsync, apply, tell the listeners.

Functional core, imperative shell (DESIGN section 3). `State` is all the folds together; nothing
changes it but `apply`, and nothing calls `apply` but the journal's subscription, after the event is
durable. So a restart, which applies the same events, ends in the same state (I7).

Commands decide under one lock: what a decision saw is still true when its events are written.
The lock is held for one fdatasync, never while the venue is asked. The kill does not take it (I13).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from decimal import Decimal

from engine.contracts.event import (
    AnyEvent,
    BalancesRead,
    EngineStarted,
    KillLatched,
    OrderLost,
    OrderRejected,
    OrphanAdopted,
    OrphanCancelRequested,
    OrphanEnded,
    OrphanFound,
    ReconChecked,
    Recorded,
    SessionChartered,
    SessionMoved,
    WatchdogActed,
)
from engine.contracts.people import Actor
from engine.governance.changes import ChangeFold
from engine.governance.dual_book import DualBook
from engine.governance.grants import GrantBook
from engine.governance.hardware import CounterFold
from engine.governance.ladder import LadderFold
from engine.governance.latch import LatchFold
from engine.governance.promotion import EVIDENCE, EvidenceBook
from engine.governance.red_flags import FlagBook
from engine.governance.session_fold import SessionFold
from engine.journal.writer import Journal, JournalFailed
from engine.ops.alarms import AlarmFold
from engine.ops.drills import DrillBook
from engine.ops.incidents import IncidentFold
from engine.orders.ledger import OrderLedger
from engine.orders.machine import Illegal
from engine.orders.orphans import OrphanBook
from engine.orders.positions import PositionLedger
from engine.reconcile.watch import ReconWatch
from engine.risk.activity import Activity
from engine.risk.losses import LossBook
from engine.risk.standing import StandingLimits

#: Decides the events of one command from the present state; refuses by raising a PeakError.
Decide = Callable[["State"], Sequence[AnyEvent]]


class State:
    """Every fold of the journal that the engine acts on."""

    def __init__(self) -> None:
        self.orders = OrderLedger()
        self.positions = PositionLedger()
        self.sessions = SessionFold()
        self.latch = LatchFold()
        self.counters = CounterFold()
        self.alarms = AlarmFold()
        self.incidents = IncidentFold()
        self.changes = ChangeFold()
        self.orphans = OrphanBook()
        self.recon_watch = ReconWatch()
        self.activity = Activity()
        self.losses = LossBook()
        self.flags = FlagBook()
        self.dual = DualBook()
        self.grants = GrantBook(self.dual)
        self.limits = StandingLimits()
        self.ladder = LadderFold()
        self.evidence = EvidenceBook()
        self.drills = DrillBook()
        self.opening_balances: dict[str, dict[str, tuple[Decimal, Decimal]]] = {}
        #: every kill the journal knows, released ones included
        self.kill_ids: set[str] = set()
        #: orders of which the venue could tell nothing (any more), with the journal's time, µs UTC
        self.given_up: dict[str, int] = {}
        #: the effective config of the last start
        self.config_sha256 = ""
        #: wall time of the last thing the watchdog did that is journaled, µs UTC
        self.watchdog_seen = 0

    def apply(self, recorded: Recorded) -> Illegal | None:
        """Fold one event into every ledger. Total: an event that does not fit changes nothing.

        Returns why the order ledger did not take it: somebody should look.
        """
        illegal = self.orders.apply(recorded)
        self.positions.apply(recorded)
        self.sessions.apply(recorded)
        self.latch.apply(recorded)
        self.counters.apply(recorded)
        self.alarms.apply(recorded)
        self.incidents.apply(recorded)
        self.changes.apply(recorded)
        self.activity.apply(recorded)
        self.losses.apply(recorded)
        self.flags.apply(recorded)
        self.dual.apply(recorded)
        self.limits.apply(recorded, self.grants)
        self.ladder.apply(recorded, self.grants)
        self.drills.apply(recorded)
        if type(recorded.event) in EVIDENCE:
            moved = isinstance(recorded.event, SessionMoved)
            fall_bps = self.losses.deepest_bps if moved else None
            self.evidence.apply(recorded, self.sessions.current, fall_bps)
        match recorded.event:
            case SessionChartered(session_id=session_id):
                # Positions are the session's own: what the account held before is in the balances.
                self.positions = PositionLedger(session_id=session_id)
                self.recon_watch.apply(recorded)
            case ReconChecked():
                self.recon_watch.apply(recorded)
            case OrphanFound() | OrphanAdopted() | OrphanCancelRequested() | OrphanEnded():
                self.orphans.apply(recorded)
            case BalancesRead(moment="opening") as read:
                self.opening_balances[read.session_id] = read.balances
            case KillLatched(kill_id=kill_id):
                self.kill_ids.add(kill_id)
            case (
                OrderLost(client_order_id=name)
                | OrderRejected(client_order_id=name, code="NEVER_ACCEPTED")
            ):
                self.given_up[name] = recorded.ts_us
            case EngineStarted(config_sha256=config_sha256):
                self.config_sha256 = config_sha256
            case WatchdogActed(at_us=at_us):
                self.watchdog_seen = max(self.watchdog_seen, at_us)
        return illegal


class Core:
    """Journal and state together; every room of the shell writes through here."""

    def __init__(self, journal: Journal, state: State) -> None:
        self.journal = journal
        self.state = state
        self._deciding = asyncio.Lock()
        self._listeners: list[Callable[[Recorded], None]] = []
        self._on_illegal: Callable[[Recorded, Illegal], None] | None = None
        self._on_failed: Callable[[JournalFailed], None] | None = None
        journal.subscribe(self._on_durable)

    def listen(self, listener: Callable[[Recorded], None]) -> None:
        """Call `listener` for every event soon after it was applied; it must not block or raise."""
        self._listeners.append(listener)

    def report(
        self,
        illegal: Callable[[Recorded, Illegal], None],
        failed: Callable[[JournalFailed], None],
    ) -> None:
        """Call `illegal` for an event that the ledger refused, `failed` when the journal fails.

        Neither may block or raise.
        """
        self._on_illegal, self._on_failed = illegal, failed

    async def record(self, actor: Actor, *events: AnyEvent) -> list[Recorded]:
        """Journal events that are facts already. Returns when they are durable and applied.

        Raises JournalFailed when the disk said no; everything after is refused too.
        """
        if not events:
            return []
        try:
            return await self.journal.append(actor, events)
        except JournalFailed as error:
            if self._on_failed is not None and self.journal.failed is not None:
                self._on_failed(error)
                self._on_failed = None
            raise

    async def decide(self, actor: Actor, decide: Decide) -> list[Recorded]:
        """Run one decision alone and journal its events.

        Raises whatever `decide` raises, having changed nothing.
        """
        async with self._deciding:
            events = decide(self.state)
            return await self.record(actor, *events)

    def _on_durable(self, batch: list[tuple[Recorded, bytes]]) -> None:
        for recorded, _line in batch:
            illegal = self.state.apply(recorded)
            if illegal is not None and self._on_illegal is not None:
                self._on_illegal(recorded, illegal)
        # Whoever waits for these events goes on first: an order waits, metrics and consoles can.
        asyncio.get_running_loop().call_soon(self._tell, batch)

    def _tell(self, batch: list[tuple[Recorded, bytes]]) -> None:
        for recorded, _line in batch:
            for listener in self._listeners:
                listener(recorded)
