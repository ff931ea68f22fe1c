"""The engine: builds the parts, runs them, takes them down. The only file that knows everybody.

Start, in this order (I7): lock and verify the journal, fold it, compare the store with it (and
rebuild the store when they differ), set the latch if either the journal or its file says so; then
the API may answer. After that, in the background: connect to the venue, start the watchdog, ask the
venue about every order that may still be open, and only then become `ready`, which is what lets an
order through. A kill works in every phase.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import platform
import socket
from collections.abc import Coroutine
from typing import Any

from msgspec import structs

from engine.background import Background
from engine.contracts import event as ev
from engine.contracts import requests as rq
from engine.contracts.errors import Refused
from engine.contracts.people import ENGINE, Actor, Role, automaton
from engine.contracts.replies import Submitted
from engine.contracts.session import SessionState
from engine.contracts.view import EngineView, KillView, StateView
from engine.diary import Diary
from engine.execution.clock import wall_us
from engine.execution.core import Core, State
from engine.execution.limits.facts import Readings
from engine.execution.market import Market
from engine.execution.records.checkpoint import WORTH_EVENTS, Restored
from engine.execution.records.checkpoint import write as write_checkpoint
from engine.execution.records.opening import RecordPlaces, open_journal, open_records
from engine.execution.session_desk import current_session
from engine.governance.transitions import Cause
from engine.journal.writer import Journal, JournalFailed
from engine.ops.metrics import Metrics
from engine.orders.machine import Illegal
from engine.parts import HostActs, Parts
from engine.setup import Setup
from engine.venues.port import VenueQueryFailed

_log = Diary("host")

_RECONNECT_SECONDS = 1.0
_TEXT_LIMIT = 500
_NAME_LIMIT = 64
_DAY_US = 86_400_000_000
_SETTLE_SECONDS = 10.0


class Host:
    """The running engine of one workspace."""

    def __init__(self, setup: Setup) -> None:
        self.setup = setup
        self.phase = "starting"
        self.started_us = wall_us()
        self.roster = setup.roster
        self.readings = Readings()
        self.markets: dict[str, Market] = {}
        self.meter = Metrics()
        self.stopping = asyncio.Event()
        self._watchers: set[asyncio.Event] = set()
        self._background = Background(self._on_fault)
        self._spawn = self._background.spawn
        self._journal: Journal | None = None
        self._rebuilt = ""

    # --- start ----------------------------------------------------------------------------------

    async def start(self) -> None:
        """Open the records and build the parts. Raises WorkspaceError, IntegrityError."""
        setup = self.setup
        places = RecordPlaces(
            journal=setup.paths.journal,
            heads=setup.paths.heads,
            checkpoints=setup.paths.checkpoints,
            store=setup.paths.store,
            exports=setup.paths.exports,
            commit_interval_ms=setup.settings.journal.commit_interval_ms,
            segment_lines=setup.settings.journal.segment_lines,
        )
        opened = open_journal(places)
        journal = self._journal = opened.journal
        records = await open_records(opened, places, setup.code_sha256())
        state = records.restored.state
        self.store = records.store
        self.core = Core(journal, state)
        journal.subscribe(self.store.project)
        if records.rebuilt:
            self._rebuilt = records.rebuilt
            events = records.aligned.events
            await self.core.record(ENGINE, ev.StoreRebuilt(reason=records.rebuilt, events=events))
        if opened.repaired is not None:
            await self.core.record(ENGINE, opened.repaired)
        acts = HostActs(
            self._spawn,
            self._wake,
            lambda: self.phase == "recovering",
        )
        self.parts = Parts(setup, self.core, self.store, self.readings, self.markets, acts)
        self.core.report(self._on_illegal, self._on_journal_failed)
        self.core.listen(self._on_event)
        self.core.listen(self.parts.heads_writer.heard)
        self.core.listen(self.parts.refusals.heard)
        self.core.listen(self.parts.ladder.heard)
        self.core.listen(self.parts.audit.heard)
        self.core.listen(self.parts.drill_audit.heard)
        await self.parts.upheld.latch()
        await self.parts.latch.hold()
        await self._record_start(state, records.restored)
        await self.parts.upheld.grants(self.parts.limits_in_force)
        await self.parts.upheld.approval()
        if opened.repaired is not None:
            await self.parts.ops.raise_alarm("JOURNAL_REPAIRED", opened.repaired.saved_as)
        self.parts.heads_writer.write()
        self._checkpointed = records.restored.size
        await self._checkpoint()

    async def _checkpoint(self) -> None:
        """Write the state down where nothing trades, if there is enough that is new (I7)."""
        session = self.core.state.sessions.current
        trades = session is not None and not session.ended and session.state != SessionState.CHARTER
        if trades or self.core.journal.size - self._checkpointed < WORTH_EVENTS:
            return
        setup = self.setup
        self._checkpointed = self.core.journal.size
        await write_checkpoint(self.core, setup.paths.checkpoints, setup.code_sha256())

    async def _record_start(self, state: State, restored: Restored) -> None:
        setup = self.setup
        unknown = tuple(order.intent.client_order_id for order in state.orders.open_orders())
        before, now = state.config_sha256, setup.config_sha256()
        await self.core.record(
            ENGINE,
            ev.EngineStarted(
                version=setup.version,
                pid=os.getpid(),
                hostname=socket.gethostname(),
                boot_id=setup.boot_id,
                environment=setup.settings.environment.value,
                config_sha256=now,
                code_sha256=setup.code_sha256(),
                python=platform.python_version(),
            ),
            ev.EngineRecovered(
                events=self.core.journal.size,
                unknown_orders=unknown,
                from_checkpoint=restored.size,
                checkpoint_refused=restored.refused[:_TEXT_LIMIT],
            ),
        )
        await self.parts.changes.notice(setup.config_loaded(), setup.people_loaded(), before)
        if self._rebuilt:
            await self.parts.ops.raise_alarm("STORE_REBUILT", self._rebuilt)
        await self.parts.settler.doubt_unanswered()
        self.parts.red_flags.began()
        await self.parts.reports.take()

    # --- run ------------------------------------------------------------------------------------

    def run_in_background(self) -> None:
        """Start everything that runs until `stop`."""
        self.phase = "recovering"
        self._spawn(self._connect(), "connect")
        self._spawn(self.parts.settler.run(), "settler")
        self._spawn(self.parts.guard.run(), "guard")
        self._spawn(self.parts.heads_writer.run(), "heads")
        self._spawn(self.parts.ladder.run(), "ladder")
        self._spawn(self.parts.audit.run(), "evidence-audit")
        self._spawn(self.parts.drill_audit.run(), "drill-audit")
        if self.core.state.latch.is_set:
            self._spawn(self.parts.kill.resume(self.core.state.latch.kill_id), "kill-resume")

    def _on_illegal(self, recorded: ev.Recorded, illegal: Illegal) -> None:
        """The venue's word and our ledger do not fit together: a person must look (I2)."""
        text = f"{ev.kind_of(recorded.event)}: {illegal.code} {illegal.reason}"
        _log.error("illegal event", seq=recorded.seq, cause=text)
        self._spawn(self.parts.ops.raise_alarm("LEDGER_REFUSED", text[:300]), "alarm-ledger")

    def _on_journal_failed(self, error: JournalFailed) -> None:
        """What cannot be written down is not done: halt, latch, and cancel what rests (I13)."""
        _log.error("journal failed", cause=error.line())
        if self.stopping.is_set():
            return
        self.phase = "halted"
        self._wake()
        press = self.press_kill("JOURNAL: it cannot be written", "red-flag", wall_us(), ENGINE)
        self._spawn(_forget(press), "kill-journal-failed")

    def _on_fault(self, part: str, error: BaseException) -> None:
        """A part that died is a fault of ours: say so, halt, and let nothing trade on (I12)."""
        _log.error("part failed", part=part, error=repr(error), exc_info=error)
        if isinstance(error, JournalFailed):
            return  # told and acted upon by `_on_journal_failed`
        if self.phase != "halted" and not self.stopping.is_set():
            self.phase = "halted"
            self._wake()
            self._background.spawn_last(self._halt(part, str(error)), "halt")

    async def _halt(self, part: str, cause: str) -> None:
        await self.parts.ops.raise_alarm("ENGINE_FAULT", f"{part}: {cause}"[:300])
        await self.press_kill(f"engine fault in {part}", "engine", wall_us(), ENGINE)

    async def _connect(self) -> None:
        """Reach the venue, take over from an old watchdog, settle what may be open; then ready."""
        while True:
            try:
                await self.parts.venue.open()
                await self.parts.kill_venue.open()
                for symbol in self.setup.settings.venue.symbols:
                    instrument = await self.parts.venue.instrument(symbol)
                    self.markets[symbol] = Market(instrument, self.setup.settings.market.stale_ms)
                await self.parts.link.measure_clock()
                await self.parts.link.read_balances()
                break
            except VenueQueryFailed as error:
                _log.warning("venue not reached", cause=error.line())
                await asyncio.sleep(_RECONNECT_SECONDS)
        with contextlib.suppress(VenueQueryFailed):  # asked again by the polling, or told by trades
            await self.parts.link.read_last_prices()
        await self.parts.watchdog.start()
        self._spawn(self.parts.watchdog.run(), "watchdog")
        await self._settle_open_orders()
        self.parts.link.tap(self.parts.recording.record)
        for symbol in self.markets:
            self._spawn(self.parts.link.run_market(symbol), f"market-{symbol}")
        self._spawn(self.parts.link.run_user(), "user-stream")
        self._spawn(self.parts.link.run_polling(), "polling")
        self._spawn(self.parts.recon_watch.run(), "recon-watch")
        self._spawn(self.parts.orphans.run(), "orphans")
        if self.phase == "recovering":
            self.phase = "ready"
        self._wake()
        self.parts.wind_down.resume()

    async def _settle_open_orders(self) -> None:
        """Ask about every order that may be open until the venue has told its state (I3, I7)."""
        while True:
            try:
                for symbol in self.markets:
                    await self.parts.settler.sync(symbol)
            except VenueQueryFailed as error:
                _log.warning("recovery query failed", cause=error.line())
                await asyncio.sleep(_RECONNECT_SECONDS)
                continue
            break
        waited = 0.0
        while self.parts.settler.unsettled and waited < _SETTLE_SECONDS:
            await asyncio.sleep(0.02)
            waited += 0.02

    async def stop(self) -> None:
        """Take everything down in order; what rests stays with the watchdog's rule if trading."""
        self.stopping.set()
        await self._background.end()
        await self.parts.kill.close()
        await self.parts.wind_down.close()
        await self.parts.recording.close()
        for venue in (self.parts.venue, self.parts.kill_venue):
            await venue.close()
        if self._journal is not None and self._journal.failed is None:
            await self._checkpoint()
            await self.core.record(ENGINE, ev.EngineStopped(reason="asked to stop"))
            self.parts.heads_writer.write()
        if not self.core.state.orders.open_orders():
            await self.parts.watchdog.bye()
        await self.store.close()
        self._journal_close()

    def _journal_close(self) -> None:
        if self._journal is not None:
            self._journal.close()

    # --- commands that span several parts ---------------------------------------------------------

    async def submit(self, request: rq.OrderRequest, actor: Actor) -> Submitted:
        """Send one order, if this is the session's operator and the engine is ready."""
        self.parts.session.require(actor, Role.OPERATOR)
        session = current_session(self.core.state)
        if actor.name != session.charter.operator:
            raise Refused(
                what=f"{actor.name} is not the operator of this session",
                where="order",
                todo=f"ask {session.charter.operator}",
                code="ROLE",
            )
        if self.phase != "ready":
            raise Refused(
                what=f"the engine is {self.phase}",
                where="order",
                todo="wait until it is ready",
                code="NOT_READY",
            )
        return await self.parts.desk.submit(request, actor)

    async def cancel(self, request: rq.CancelRequest, actor: Actor) -> None:
        """Cancel one order. Anyone of the roster may (I13)."""
        self.parts.session.require(actor, Role.OPERATOR, Role.REVIEWER)
        await self.parts.desk.cancel(request.client_order_id, actor, f"asked by {actor.name}")

    async def kill(self, request: rq.KillRequest, actor: Actor) -> KillView:
        """Press the kill, as somebody asks for it."""
        return await self.press_kill(request.reason, request.source, request.pressed_us, actor)

    async def press_kill(self, reason: str, source: str, pressed_us: int, actor: Actor) -> KillView:
        """Latch and hunt; answers as soon as the latch is durable. Anyone may (I13).

        A kill is never refused for its words: what is too long is cut, a time that cannot be is
        taken as now.
        """
        now = wall_us()
        await self.parts.kill.press(
            actor=structs.replace(actor, name=actor.name[:_NAME_LIMIT]),
            reason=" ".join(reason.split())[:_TEXT_LIMIT],
            source=source[:_NAME_LIMIT],
            pressed_us=pressed_us if abs(now - pressed_us) < _DAY_US else now,
        )
        return self.parts.views.kill()

    def kill_by_signal(self) -> None:
        """SIGUSR1: whoever may signal this process may stop everything."""
        press = self.press_kill("SIGUSR1", "signal", wall_us(), automaton("signal"))
        self._background.spawn_last(_forget(press), "kill-by-signal")

    async def resume(self, reason: str, actor: Actor) -> None:
        """Take orders again after a pause, if the approval still stands."""
        session = current_session(self.core.state)
        if session.go.stage != "go" or self.parts.approval.changed_since_signed(session):
            raise Refused(
                what="the approval no longer stands",
                where="resume",
                todo="stop the session",
                code="APPROVAL",
            )
        red = self.core.state.recon_watch.confirmed
        if red:
            raise Refused(
                what=f"a red break stands: {red[0].code} {red[0].key}",
                where="resume",
                todo="find out what happened; it must be gone, or the session stops",
                code="RECON_RED",
            )
        await self.parts.session.resume(reason, actor)

    async def stop_session(self, reason: str, actor: Actor) -> None:
        """Wind the session down because a person asked."""
        self.parts.session.require(actor, Role.OPERATOR, Role.REVIEWER)
        await self.parts.wind_down.begin(Cause.STOP, reason, actor)

    async def query(self, sql: str) -> dict[str, Any]:
        """One read-only statement on a copy of the store, after it has caught up."""
        await self.store.flushed(self.core.journal.size - 1)
        result = await self.store.query(sql)
        return {"columns": result.columns, "rows": result.rows, "cut": result.cut}

    async def ask_to_stop(self, reason: str, actor: Actor) -> None:
        """End the engine in an orderly way; refused while a session trades."""
        self.parts.session.require(actor, Role.OPERATOR)
        session = self.core.state.sessions.current
        if session is not None and session.state in {
            SessionState.LIVE,
            SessionState.PAUSED,
            SessionState.STOPPING,
        }:
            raise Refused(
                what=f"session {session.id} is {session.state.value}",
                where="engine",
                todo="stop the session first, or kill",
                code="SESSION_OPEN",
            )
        _log.info("asked to stop", by=actor.name, reason=reason)
        self.stopping.set()

    # --- readings ---------------------------------------------------------------------------------

    def view(self, role: str) -> StateView:
        """The whole state as this role may see it."""
        setup = self.setup
        engine = EngineView(
            pid=os.getpid(),
            version=setup.version,
            phase=self.phase,
            started_us=self.started_us,
            environment=setup.settings.environment.value,
            workspace=str(setup.paths.workspace),
            demo=setup.demo,
            config_sha256=setup.config_sha256(),
            events=self.core.journal.size,
            head=self.core.journal.head,
            store_lag=self.store.lag,
            attended=self.readings.attended,
            watchdog=self.parts.watchdog.status,
            review_command=setup.review_command,
        )
        return self.parts.views.build(
            engine,
            self.parts.venue.name,
            self.parts.venue.rate_use(),
            self.parts.pack.tagmanifest(),
            role,
            self.parts.venue.quality(),
        )

    def heads(self) -> list[dict[str, str]]:
        """The latest signed head, for the witness."""
        latest = self.parts.heads_writer.latest
        return [{"text": latest.text, "signature": latest.signature}] if latest else []

    def journal_lines(self, start: int) -> bytes:
        """Raw journal lines from a sequence number on, at most ten thousand."""
        journal = self.core.journal
        return b"".join(journal.lines(start, min(journal.size, start + 10_000)))

    def metrics(self) -> bytes:
        """The metrics in Prometheus text form."""
        return self.meter.render()

    # --- who watches ------------------------------------------------------------------------------

    def watch(self) -> asyncio.Event:
        """An event that is set whenever the state changed."""
        event = asyncio.Event()
        self._watchers.add(event)
        return event

    def unwatch(self, event: asyncio.Event) -> None:
        """Stop setting that event."""
        self._watchers.discard(event)

    def console_heard(self, console: object, role: str, person: str, uid: int) -> None:
        """A console said who it is; an operator's attends."""
        someone = self.roster.by_id(person)
        fits = someone is not None and (someone.uid is None or someone.uid == uid)
        if someone is not None and fits and role == Role.OPERATOR == someone.role:
            self.parts.attendance.heard(console, person)

    def console_gone(self, console: object) -> None:
        """A console's connection ended."""
        self.parts.attendance.gone(console)

    def _on_event(self, recorded: ev.Recorded) -> None:
        self.meter.observe(recorded)
        if isinstance(recorded.event, ev.SessionChartered):
            self._spawn(self._checkpoint(), "checkpoint")
        self._wake()

    def _wake(self) -> None:
        for event in self._watchers:
            event.set()


async def _forget(press: Coroutine[Any, Any, KillView]) -> None:
    """Await the press; its outcome is in the journal."""
    await press
