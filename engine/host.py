"""The engine: builds the parts, runs them, takes them down. The only file that knows everybody.

Start, in this order (I7): lock and verify the journal, fold it, compare the store with it (and
rebuild the store when they differ), set the latch if either the journal or its file says so; then
the API may answer. After that, in the background: connect to the venue, start the watchdog, ask the
venue about every order that may still be open, and only then become `ready`, which is what lets an
order through. A kill works in every phase.
"""

from __future__ import annotations

import asyncio
import os
import platform
import socket
from collections.abc import Coroutine
from typing import Any

import structlog
from msgspec import structs

from engine.contracts import event as ev
from engine.contracts import requests as rq
from engine.contracts.decision import Decision
from engine.contracts.errors import Refused
from engine.contracts.people import ENGINE, Actor, Role, automaton
from engine.contracts.session import SessionState
from engine.contracts.view import EngineView, KillView, StateView
from engine.execution.approval_desk import ApprovalDesk
from engine.execution.clock import wall_us
from engine.execution.conditions import Conditions
from engine.execution.core import Core, State
from engine.execution.facts import FactsBuilder, Readings
from engine.execution.guard import Attendance, Guard, GuardActs
from engine.execution.heads_writer import HeadsWriter
from engine.execution.kill import KillSwitch
from engine.execution.latch_keeper import LatchKeeper
from engine.execution.market import Market
from engine.execution.ops_desk import OpsDesk
from engine.execution.pack_desk import PackDesk
from engine.execution.pipeline import OrderDesk
from engine.execution.probe_table import ProbeTable
from engine.execution.probes import Probes
from engine.execution.recon_desk import ReconDesk
from engine.execution.session_desk import SessionDesk, current_session
from engine.execution.venue_link import VenueLink
from engine.execution.view import ViewBuilder
from engine.execution.watchdog_link import WatchdogLink
from engine.execution.watchdog_reports import WatchdogReports
from engine.execution.wind_down import WindDown
from engine.governance.transitions import Cause
from engine.journal.writer import Journal, JournalFailed
from engine.ops.metrics import Metrics
from engine.orders.machine import Illegal
from engine.setup import Setup
from engine.store.store import Store
from engine.venues.binance.venue import BinanceVenue
from engine.venues.port import VenueQueryFailed

_log = structlog.get_logger("host")

_RECONNECT_SECONDS = 1.0
_TEXT_LIMIT = 500
_NAME_LIMIT = 64
_DAY_US = 86_400_000_000
_SETTLE_SECONDS = 10.0
_COMPARE_TRIES = 10


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
        self._tasks: list[asyncio.Task[None]] = []
        self._journal: Journal | None = None
        self._rebuilt = ""

    # --- start ----------------------------------------------------------------------------------

    async def start(self) -> None:
        """Open the records and build the parts. Raises WorkspaceError, IntegrityError."""
        setup = self.setup
        opened = Journal.open(
            setup.paths.journal,
            commit_interval_ms=setup.settings.journal.commit_interval_ms,
            segment_lines=setup.settings.journal.segment_lines,
            clock_us=wall_us,
        )
        journal = self._journal = opened.journal
        state = State()
        for recorded in journal.read():
            state.apply(recorded)
        self.core = Core(journal, state)
        await self._open_store(journal)
        if opened.repaired is not None:
            await self.core.record(ENGINE, opened.repaired)
        self._build(state, journal)
        await self.latch.hold()
        await self._record_start(state)
        if opened.repaired is not None:
            await self.ops.raise_alarm("JOURNAL_REPAIRED", opened.repaired.saved_as)
        self.heads_writer.write()

    async def _open_store(self, journal: Journal) -> None:
        paths = self.setup.paths
        missing = not await asyncio.to_thread(paths.store.exists)
        self.store = await Store.open(paths.store, export_folder=paths.exports)
        aligned = await self.store.align(journal)
        journal.subscribe(self.store.project)
        if (aligned.rebuilt or missing) and aligned.events:
            reason = "the store was missing" if missing else aligned.reason
            await self.core.record(ENGINE, ev.StoreRebuilt(reason=reason, events=aligned.events))
            self._rebuilt = reason

    def _build(self, state: State, journal: Journal) -> None:
        setup, settings = self.setup, self.setup.settings
        self.ops = OpsDesk(self.core, setup.paths.snapshots)
        self.core.report(self._on_illegal, self._on_journal_failed)
        self.venue = BinanceVenue(setup.venue_options)
        self.kill_venue = BinanceVenue(setup.venue_options)
        self.facts = FactsBuilder(
            state,
            self.markets,
            self.readings,
            setup.fact_settings,
            lambda session: self.approval.changed_since_signed(session),  # noqa: PLW0108  (made below)
            setup.paths.latch,
        )
        self.desk = OrderDesk(
            self.core, self.venue, self.facts, settings.venue.recv_window_ms, self.ops.raise_alarm
        )
        self.link = VenueLink(
            self.core, self.venue, self.desk, self.markets, self.readings, setup.user_limit_ms
        )
        self.link.on_change(self._wake)
        self.kill = KillSwitch(
            self.core,
            self.desk,
            self.kill_venue,
            self.readings,
            setup.paths.latch,
            self._kill_symbols,
            self.ops.raise_alarm,
            self._spawn,
        )
        self.watchdog = WatchdogLink(
            setup.watchdog_orders,
            settings.watchdog.heartbeat_ms,
            setup.paths.watchdog_pid,
            setup.paths.watchdog_errors,
            self.ops.raise_alarm,
        )
        self.heads_writer = HeadsWriter(
            journal,
            setup.paths.heads,
            setup.paths.log_key,
            setup.origin,
            settings.journal.head_every_events,
            settings.journal.head_every_seconds,
        )
        table = ProbeTable(
            self.core,
            self.venue,
            self.kill,
            self.markets,
            self.readings,
            self.facts,
            self._store_differs,
            lambda: self.watchdog.status,
        )
        probes = Probes(
            table.probes(
                folder=setup.paths.journal,
                min_free_mb=settings.disk.min_free_mb,
                clock_limit_ms=settings.clock.limit_ms,
            ),
            table.sensed(),
        )
        self.session = SessionDesk(
            self.core, setup.roster, setup.charter_rules, setup.runbooks, probes
        )
        self.latch = LatchKeeper(self.core, self.readings, setup.paths.latch, self.kill)
        self.wind_down = WindDown(
            self.core, self.session, self.desk, self.kill, self._kill_symbols, self._spawn
        )
        self.approval = ApprovalDesk(
            self.core,
            self.session,
            setup.roster,
            setup.checker,
            setup,
            setup.approval_terms(socket.gethostname()),
            self.venue,
            self.latch.released,
        )
        self.recon = ReconDesk(
            self.core,
            self.session,
            self.desk,
            self.venue,
            self.store,
            setup.roster,
            setup.checker,
            self.ops.raise_alarm,
        )
        self.pack = PackDesk(
            self.core,
            self.session,
            setup.roster,
            setup.checker,
            self.heads_writer,
            setup.pack_places(),
            setup.config_files,
            setup.roster_bytes,
        )
        self.attendance = Attendance(self.readings)
        self.reports = WatchdogReports(self.core, setup.paths.watchdog_log, self.ops.raise_alarm)
        self.conditions = Conditions(
            self.core,
            self.markets,
            self.readings,
            self.facts,
            lambda: self.link.connected,
            clock_limit_ms=settings.clock.limit_ms,
            disk=setup.paths.journal,
            min_free_mb=settings.disk.min_free_mb,
        )
        self.guard = Guard(
            self.core,
            self.desk,
            self.attendance,
            self.readings,
            GuardActs(
                changed_since_signed=self.approval.changed_since_signed,
                wind_down=self.wind_down.begin,
                expire_request=self.approval.expire_request,
                hold_latch=self.latch.hold,
                take_reports=self.reports.take,
                check_conditions=self.conditions.check,
                raise_alarm=self.ops.raise_alarm,
            ),
        )
        self._views = ViewBuilder(state, self.markets, self.readings, self.facts, self.link.user)
        self.core.listen(self._on_event)

    async def _record_start(self, state: State) -> None:
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
            ev.EngineRecovered(events=self.core.journal.size, unknown_orders=unknown),
        )
        if before and before != now:
            noticed = ev.ConfigNoticed(before_sha256=before, after_sha256=now, changed=())
            await self.core.record(ENGINE, noticed)
            await self.ops.raise_alarm("CONFIG_CHANGED", f"{before[:12]} to {now[:12]}")
        if self._rebuilt:
            await self.ops.raise_alarm("STORE_REBUILT", self._rebuilt)
        await self.desk.doubt_unanswered()
        await self.reports.take()

    # --- run ------------------------------------------------------------------------------------

    def run_in_background(self) -> None:
        """Start everything that runs until `stop`."""
        self.phase = "recovering"
        self._spawn(self._connect(), "connect")
        self._spawn(self.desk.run_settler(), "settler")
        self._spawn(self.guard.run(), "guard")
        self._spawn(self.heads_writer.run(), "heads")
        if self.core.state.latch.is_set and self.core.state.latch.state != "PROVEN":
            self._spawn(self.kill.resume(self.core.state.latch.kill_id), "kill-resume")

    def _spawn(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        task = asyncio.create_task(work, name=name)
        task.add_done_callback(self._on_task_done)
        self._tasks.append(task)
        return task

    def _on_illegal(self, recorded: ev.Recorded, illegal: Illegal) -> None:
        """The venue's word and our ledger do not fit together: a person must look (I2)."""
        text = f"{ev.kind_of(recorded.event)}: {illegal.code} {illegal.reason}"
        _log.error("illegal event", seq=recorded.seq, cause=text)
        self._spawn(self.ops.raise_alarm("LEDGER_REFUSED", text[:300]), "alarm-ledger")

    def _on_journal_failed(self, error: JournalFailed) -> None:
        """What cannot be written down is not done: halt, latch, and cancel what rests (I13)."""
        _log.error("journal failed", cause=error.line())
        if self.stopping.is_set():
            return
        self.phase = "halted"
        self._wake()
        press = self.press_kill("the journal cannot be written", "engine", wall_us(), ENGINE)
        self._spawn(_forget(press), "kill-journal-failed")

    def _on_task_done(self, task: asyncio.Task[None]) -> None:
        """A part that died is a fault of ours: say so, halt, and let nothing trade on (I12)."""
        if task.cancelled() or task.exception() is None:
            return
        error = task.exception()
        _log.error("part failed", part=task.get_name(), error=repr(error), exc_info=error)
        if isinstance(error, JournalFailed):
            return  # told and acted upon by `_on_journal_failed`
        if self.phase != "halted" and not self.stopping.is_set():
            self.phase = "halted"
            self._wake()
            self._tasks.append(asyncio.create_task(self._halt(task.get_name(), str(error))))

    async def _halt(self, part: str, cause: str) -> None:
        await self.ops.raise_alarm("ENGINE_FAULT", f"{part}: {cause}"[:300])
        await self.press_kill(f"engine fault in {part}", "engine", wall_us(), ENGINE)

    async def _connect(self) -> None:
        """Reach the venue, take over from an old watchdog, settle what may be open; then ready."""
        while True:
            try:
                await self.venue.open()
                await self.kill_venue.open()
                for symbol in self.setup.settings.venue.symbols:
                    instrument = await self.venue.instrument(symbol)
                    self.markets[symbol] = Market(instrument, self.setup.settings.market.stale_ms)
                await self.link.measure_clock()
                await self.link.read_balances()
                break
            except VenueQueryFailed as error:
                _log.warning("venue not reached", cause=error.line())
                await asyncio.sleep(_RECONNECT_SECONDS)
        await self.watchdog.start()
        self._spawn(self.watchdog.run(), "watchdog")
        await self._settle_open_orders()
        self.link.tap(self.pack.record_market)
        for symbol in self.markets:
            self._spawn(self.link.run_market(symbol), f"market-{symbol}")
        self._spawn(self.link.run_user(), "user-stream")
        self._spawn(self.link.run_polling(), "polling")
        if self.phase == "recovering":
            self.phase = "ready"
        self._wake()
        self.wind_down.resume()

    async def _settle_open_orders(self) -> None:
        """Ask about every order that may be open until the venue has told its state (I3, I7)."""
        while True:
            try:
                for symbol in self.markets:
                    await self.desk.sync(symbol)
            except VenueQueryFailed as error:
                _log.warning("recovery query failed", cause=error.line())
                await asyncio.sleep(_RECONNECT_SECONDS)
                continue
            break
        waited = 0.0
        while self.desk.unsettled and waited < _SETTLE_SECONDS:
            await asyncio.sleep(0.02)
            waited += 0.02

    async def stop(self) -> None:
        """Take everything down in order; what rests stays with the watchdog's rule if trading."""
        self.stopping.set()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.kill.close()
        await self.wind_down.close()
        await self.pack.close()
        for venue in (self.venue, self.kill_venue):
            await venue.close()
        if self._journal is not None and self._journal.failed is None:
            await self.core.record(ENGINE, ev.EngineStopped(reason="asked to stop"))
            self.heads_writer.write()
        if not self.core.state.orders.open_orders():
            await self.watchdog.bye()
        await self.store.close()
        self._journal_close()

    def _journal_close(self) -> None:
        if self._journal is not None:
            self._journal.close()

    # --- commands that span several parts ---------------------------------------------------------

    async def submit(self, request: rq.OrderRequest, actor: Actor) -> tuple[str, Decision]:
        """Send one order, if this is the session's operator and the engine is ready."""
        self.session.require(actor, Role.OPERATOR)
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
        return await self.desk.submit(request, actor)

    async def cancel(self, request: rq.CancelRequest, actor: Actor) -> None:
        """Cancel one order. Anyone of the roster may (I13)."""
        self.session.require(actor, Role.OPERATOR, Role.REVIEWER)
        await self.desk.cancel(request.client_order_id, actor, f"asked by {actor.name}")

    async def press_kill(self, reason: str, source: str, pressed_us: int, actor: Actor) -> KillView:
        """Latch and hunt; answers as soon as the latch is durable. Anyone may (I13).

        A kill is never refused for its words: what is too long is cut, a time that cannot be is
        taken as now.
        """
        now = wall_us()
        await self.kill.press(
            actor=structs.replace(actor, name=actor.name[:_NAME_LIMIT]),
            reason=" ".join(reason.split())[:_TEXT_LIMIT],
            source=source[:_NAME_LIMIT],
            pressed_us=pressed_us if abs(now - pressed_us) < _DAY_US else now,
        )
        return self._views.kill()

    def kill_by_signal(self) -> None:
        """SIGUSR1: whoever may signal this process may stop everything."""
        press = self.press_kill("SIGUSR1", "signal", wall_us(), automaton("signal"))
        self._tasks.append(asyncio.create_task(_forget(press), name="kill-by-signal"))

    async def resume(self, reason: str, actor: Actor) -> None:
        """Take orders again after a pause, if the approval still stands."""
        session = current_session(self.core.state)
        if session.go.stage != "go" or self.approval.changed_since_signed(session):
            raise Refused(
                what="the approval no longer stands",
                where="resume",
                todo="stop the session",
                code="APPROVAL",
            )
        await self.session.resume(reason, actor)

    async def stop_session(self, reason: str, actor: Actor) -> None:
        """Wind the session down because a person asked."""
        self.session.require(actor, Role.OPERATOR, Role.REVIEWER)
        await self.wind_down.begin(Cause.STOP, reason, actor)

    async def query(self, sql: str) -> dict[str, Any]:
        """One read-only statement on the store, after it has caught up."""
        await self.store.flushed(self.core.journal.size - 1)
        result = await self.store.query(sql)
        return {"columns": result.columns, "rows": result.rows}

    async def ask_to_stop(self, reason: str, actor: Actor) -> None:
        """End the engine in an orderly way; refused while a session trades."""
        self.session.require(actor, Role.OPERATOR)
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
            watchdog=self.watchdog.status,
            review_command=setup.review_command,
        )
        return self._views.build(
            engine, self.venue.name, self.venue.rate_use(), self.pack.tagmanifest(), role
        )

    def heads(self) -> list[dict[str, str]]:
        """The latest signed head, for the witness."""
        latest = self.heads_writer.latest
        return [{"text": latest.text, "signature": latest.signature}] if latest else []

    def journal_lines(self, start: int) -> bytes:
        """Raw journal lines from a sequence number on, at most ten thousand."""
        journal = self.core.journal
        return b"".join(journal.lines(start, min(journal.size, start + 10_000)))

    def metrics(self) -> bytes:
        """The metrics in Prometheus text form."""
        return self.meter.render()

    async def _store_differs(self) -> str | None:
        """Compare while events keep coming: a difference counts once the journal stood still."""
        for _ in range(_COMPARE_TRIES):
            size = self.core.journal.size
            await self.store.flushed(size - 1)
            reason = await self.store.compare(self.core.journal)
            if reason is None or size == self.core.journal.size:
                return reason
        return reason

    def _kill_symbols(self) -> tuple[str, ...]:
        known = {order.intent.symbol for order in self.core.state.orders.open_orders()}
        return tuple(sorted({*self.setup.settings.venue.symbols, *known}))

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
            self.attendance.heard(console, person)

    def console_gone(self, console: object) -> None:
        """A console's connection ended."""
        self.attendance.gone(console)

    def _on_event(self, recorded: ev.Recorded) -> None:
        self.meter.observe(recorded)
        self._wake()

    def _wake(self) -> None:
        for event in self._watchers:
            event.set()


async def _forget(press: Coroutine[Any, Any, KillView]) -> None:
    """Await the press; its outcome is in the journal."""
    await press
