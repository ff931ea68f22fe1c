"""Every part of one engine, built and tied together; nothing runs here.

The order is that of need: what a part is given exists before it. The one knot, that checks ask what
has changed since it was signed and the approval needs the checks' venue, is tied by a late look-up.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import dataclass

from engine.background import Spawn
from engine.contracts.documents import Purpose
from engine.contracts.events.kill import WatchdogEnded
from engine.contracts.people import ENGINE
from engine.execution.change_desk import ChangeDesk
from engine.execution.conditions import Conditions
from engine.execution.consent.adopt_act import AdoptAct
from engine.execution.consent.approval_desk import ApprovalDesk
from engine.execution.consent.close_act import CloseBreakAct
from engine.execution.consent.dual_desk import DualDesk
from engine.execution.consent.release_act import ReleaseAct
from engine.execution.consent.signature_watch import FirstUse, RefusalAlarms
from engine.execution.consent.upheld import Upheld
from engine.execution.core import Core
from engine.execution.drill_audit import DrillAudit
from engine.execution.drill_desk import DrillDesk
from engine.execution.guard import Attendance, Guard, GuardActs
from engine.execution.kill.latch_holds import LatchHolds
from engine.execution.kill.latch_keeper import LatchKeeper
from engine.execution.kill.switch import KillSwitch
from engine.execution.limits.breaker_desk import BreakerDesk
from engine.execution.limits.facts import FactsBuilder, Readings
from engine.execution.limits.in_force import EvidenceInForce, InForce, LimitsInForce
from engine.execution.limits.ladder_desk import LadderDesk, StepUpAct
from engine.execution.limits.limit_desk import LimitDesk, LoosenAct
from engine.execution.limits.red_flag_desk import RedFlagDesk, Signs
from engine.execution.limits.risk_desk import RiskDesk
from engine.execution.market import Market
from engine.execution.ops_desk import OpsDesk
from engine.execution.pipeline import OrderDesk
from engine.execution.probe_table import ProbeTable
from engine.execution.probes import Probes
from engine.execution.recon.desk import ReconDesk
from engine.execution.recon.watch import ReconWatch
from engine.execution.records.evidence_audit import EvidenceAudit
from engine.execution.records.heads_writer import HeadsWriter
from engine.execution.records.market_recording import MarketRecording
from engine.execution.records.pack_desk import PackDesk, PackSources
from engine.execution.records.revision_desk import RevisionDesk
from engine.execution.records.store_care import StoreCare
from engine.execution.session_desk import SessionDesk
from engine.execution.settle.given_up import GivenUp
from engine.execution.settle.orphan_desk import OrphanDesk
from engine.execution.settle.settler import Settler
from engine.execution.venue_link import VenueLink
from engine.execution.view import ViewBuilder
from engine.execution.watchdog.link import WatchdogLink
from engine.execution.watchdog.reports import WatchdogReports
from engine.execution.wind_down import WindDown
from engine.setup import Setup
from engine.store.store import Store
from engine.venues.binance.venue import BinanceVenue


@dataclass(frozen=True)
class HostActs:
    """What the parts ask of the host that runs them."""

    spawn: Spawn
    wake: Callable[[], None]
    recovering: Callable[[], bool]


class Parts:
    """The desks, links and keepers of one engine."""

    def __init__(
        self,
        setup: Setup,
        core: Core,
        store: Store,
        readings: Readings,
        markets: dict[str, Market],
        acts: HostActs,
    ) -> None:
        self._setup = setup
        self._core = core
        settings = setup.settings
        self.ops = OpsDesk(core, setup.paths.snapshots)
        self.store_care = StoreCare(core, store, self.ops.raise_alarm)
        self.venue = BinanceVenue(setup.venue_options)
        self.kill_venue = BinanceVenue(setup.venue_options)
        self.refusals = RefusalAlarms(self.ops.raise_alarm, acts.spawn)
        first_use = FirstUse(setup.checker, core, self.ops.raise_alarm)
        environment = settings.environment
        self.limits_in_force = LimitsInForce(
            core.state, environment, settings.limits.to_limits(), setup.ladder
        )
        self.audit = EvidenceAudit(core, setup.roster, setup.checker)
        self.drill_audit = DrillAudit(core, setup.paths.drills, setup.drill_terms)
        self.upheld = Upheld(
            core, setup.roster, setup.checker, setup.paths.latch, self.ops.raise_alarm
        )
        self.evidence = EvidenceInForce(
            core.state,
            self.limits_in_force,
            environment,
            setup.drill_terms,
            self.audit.sound,
            held=self.drill_audit.why_not,
        )
        self.facts = FactsBuilder(
            core.state,
            markets,
            readings,
            setup.fact_settings,
            lambda session: self.approval.changed_since_signed(session),  # noqa: PLW0108  (made below)
            setup.paths.latch,
            InForce(self.limits_in_force, self.evidence),
        )
        self.settler = Settler(
            core, self.venue, settings.venue.recv_window_ms, self.ops.raise_alarm
        )
        self.desk = OrderDesk(core, self.venue, self.facts, self.settler)
        self.link = VenueLink(
            core, self.venue, self.settler, markets, readings, setup.user_limit_ms
        )
        self.link.on_change(acts.wake)
        holds = LatchHolds(
            setup.paths.latch,
            setup.paths.latch_aside,
            lambda mark: self.watchdog.hold(mark),  # noqa: PLW0108  (made below)
        )
        self.kill = KillSwitch(
            core,
            self.settler,
            self.kill_venue,
            readings,
            holds,
            self.kill_symbols,
            self.ops.raise_alarm,
            acts.spawn,
        )
        self.watchdog = WatchdogLink(
            setup.watchdog_orders,
            settings.watchdog.heartbeat_ms,
            setup.paths.watchdog_pid,
            setup.paths.watchdog_errors,
            self.ops.raise_alarm,
            self._watchdog_ended,
        )
        self.heads_writer = HeadsWriter(
            core.journal,
            setup.paths.heads,
            setup.paths.log_key,
            setup.origin,
            settings.journal.head_every_events,
            settings.journal.head_every_seconds,
        )
        table = ProbeTable(
            core,
            self.venue,
            self.kill,
            markets,
            readings,
            self.facts,
            self.store_care.differs,
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
            core,
            setup.roster,
            setup.charter_rules,
            setup.runbooks,
            probes,
            self.limits_in_force,
        )
        self.limits = LimitDesk(core, self.session, self.limits_in_force, self.facts)
        self.ladder = LadderDesk(
            core, self.session, self.limits_in_force, environment, self.ops.raise_alarm
        )
        self.drills = DrillDesk(
            core, self.session, setup.paths.drills, setup.drill_terms, self.drill_audit.looked
        )
        self.latch = LatchKeeper(core, readings, holds, self.kill)
        self.changes = ChangeDesk(
            core, self.session, setup.roster, setup.plans, self.ops.raise_alarm
        )
        self.wind_down = WindDown(
            core, self.session, self.desk, self.kill, self.kill_symbols, acts.spawn
        )
        self.approval = ApprovalDesk(
            core,
            self.session,
            setup.roster,
            setup.checker,
            setup,
            setup.approval_terms(socket.gethostname()),
            self.venue,
        )
        self.dual = DualDesk(
            core,
            self.session,
            setup.roster,
            setup.checker,
            setup,
            setup.approval_terms(socket.gethostname()),
            {
                Purpose.RELEASE: ReleaseAct(
                    core, probes, setup.charter_rules, self.kill_symbols, self.latch.released
                ),
                Purpose.ADOPT: AdoptAct(core, self.settler, self.venue),
                Purpose.CLOSE_BREAK: CloseBreakAct(),
                Purpose.LOOSEN: LoosenAct(self.limits_in_force),
                Purpose.STEP_UP: StepUpAct(self.limits_in_force, self.evidence, environment),
            },
        )
        self.recon = ReconDesk(
            core,
            self.session,
            self.settler,
            self.venue,
            store,
            setup.roster,
            first_use,
            self.ops.raise_alarm,
        )
        self.recon_watch = ReconWatch(
            core,
            self.settler,
            self.venue,
            store,
            readings,
            self.ops.raise_alarm,
            settings.recon.every_seconds,
        )
        self.orphans = OrphanDesk(core, self.session, self.settler, self.venue)
        self.risk = RiskDesk(core, self.session, self.venue, markets, setup.risk_terms)
        self.recording = MarketRecording(core, setup.pack_places().market)
        self.pack = PackDesk(
            core,
            self.session,
            setup.roster,
            first_use,
            self.heads_writer,
            setup.pack_places(),
            PackSources(store, self.recording, setup.config_files, setup.roster_bytes),
        )
        self.revisions = RevisionDesk(
            core,
            self.session,
            setup.roster,
            first_use,
            self.heads_writer,
            setup.pack_places(),
        )
        self.attendance = Attendance(readings)
        self.reports = WatchdogReports(core, setup.paths.watchdog_log, self.ops.raise_alarm)
        self.conditions = Conditions(
            core,
            markets,
            readings,
            self.facts,
            lambda: self.link.connected,
            clock_limit_ms=settings.clock.limit_ms,
            disk=setup.paths.journal,
            min_free_mb=settings.disk.min_free_mb,
        )
        self.red_flags = RedFlagDesk(
            core,
            self.facts,
            self.kill,
            self.ops.raise_alarm,
            Signs(
                key_refused_since_us=self.venue.key_refused_since_us,
                key_changed=setup.key_changed,
                store_failed=lambda: store.failed is not None,
                rebuild_store=self.store_care.rebuild,
                unsettled=lambda: self.settler.unsettled,
                recovering=acts.recovering,
            ),
        )
        self.guard = Guard(
            core,
            self.desk,
            self.attendance,
            readings,
            GuardActs(
                changed_since_signed=self.approval.changed_since_signed,
                wind_down=self.wind_down.begin,
                expire_request=self.approval.expire_request,
                expire_dual=self.dual.expire,
                hold_latch=self.latch.hold,
                take_reports=self.reports.take,
                check_conditions=self.conditions.check,
                check_breakers=BreakerDesk(core, self.facts, self.kill, self.ops.raise_alarm).check,
                check_red_flags=self.red_flags.check,
                cancel_given_up=GivenUp(core, self.kill_venue).cancel,
                raise_alarm=self.ops.raise_alarm,
            ),
        )
        self.views = ViewBuilder(
            core.state,
            markets,
            readings,
            self.facts,
            self.link.user,
            self.recon_watch.view,
            self.orphans.views,
            self.dual.views,
        )

    async def _watchdog_ended(self, status: int) -> None:
        await self._core.record(ENGINE, WatchdogEnded(status=status))

    def kill_symbols(self) -> tuple[str, ...]:
        """The symbols a kill covers: all that may be traded and all that have open orders."""
        state = self._core.state
        strange = {orphan.symbol for orphan in state.orphans.alive}
        known = state.orders.open_symbols()
        return tuple(sorted({*self._setup.settings.venue.symbols, *known, *strange}))
