"""The whole state as one document: from folds and readings to `StateView`.

Nothing is decided here and nothing is kept: each call builds the view anew. What is stale or not
known is None, so that every screen draws it as such (I9).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime

import msgspec

from engine.contracts.fill import Fill
from engine.contracts.order import Order
from engine.contracts.view import (
    AlarmView,
    BreakView,
    DualView,
    EngineView,
    GoView,
    HeadroomView,
    KillView,
    MarketView,
    OrphanView,
    PackView,
    PositionView,
    RateWindowView,
    ReconView,
    ReconWatchView,
    SessionView,
    StageView,
    StateView,
    StreamView,
    VenueView,
)
from engine.execution.clock import wall_us
from engine.execution.core import State
from engine.execution.limits.facts import FactsBuilder, Readings
from engine.execution.market import Market, StreamHealth
from engine.execution.next_step import next_step, next_step_reviewer
from engine.governance.blockers import visible_items
from engine.governance.latch import LatchState
from engine.governance.promotion import promotion_rows
from engine.governance.session import ReconState, Session
from engine.orders.positions import unrealized
from engine.reconcile.compare import Report
from engine.risk.limits import headroom
from engine.venues.port import RateUse, StreamQuality

_ORDERS_SHOWN = 40
_FILLS_SHOWN = 30
_RUNLOG_SHOWN = 50
_US_PER_MS = 1_000


class ViewBuilder:
    """Builds the state document for one role at a time."""

    def __init__(
        self,
        state: State,
        markets: Mapping[str, Market],
        readings: Readings,
        facts: FactsBuilder,
        user_stream: StreamHealth,
        recon_watch: Callable[[], ReconWatchView],
        orphans: Callable[[], tuple[OrphanView, ...]],
        dual: Callable[[], tuple[DualView, ...]],
    ) -> None:
        self._state = state
        self._markets = markets
        self._readings = readings
        self._facts = facts
        self._user = user_stream
        self._recon_watch = recon_watch
        self._orphans = orphans
        self._dual = dual

    def build(
        self,
        engine: EngineView,
        venue_name: str,
        rate: RateUse | None,
        tagmanifest: str,
        role: str,
        quality: tuple[StreamQuality, ...] = (),
    ) -> StateView:
        """The whole document as `role` may see it."""
        session = self._state.sessions.current
        market = self._market(session)
        kill = self.kill()
        view = _session_view(session, role, tagmanifest) if session else None
        return StateView(
            time_us=wall_us(),
            engine=engine,
            kill=kill,
            venue=self._venue(venue_name, rate, quality),
            market=market,
            session=view,
            orders=self._orders(session),
            fills=self._fills(session),
            positions=self._positions(),
            balances=dict(self._readings.balances or {}),
            limits=self._limits(session),
            alarms=self._alarms(),
            next_step=next_step(view, kill, engine),
            next_step_reviewer=next_step_reviewer(view, kill),
            recon_watch=self._recon_watch(),
            orphans=self._orphans(),
            ladder=self._facts.in_force.evidence.ladder(),
            promotion=promotion_rows(self._facts.in_force.evidence.promotion()),
            dual=self._dual(),
        )

    def kill(self) -> KillView:
        """The latch and the last kill."""
        latch = self._state.latch
        verdict = latch.verdict
        state = latch.state.value
        if state == LatchState.READY and self._readings.latched:
            state = LatchState.LATCHED.value
        return KillView(
            state=state,
            kill_id=latch.kill_id,
            reason=latch.reason,
            by=latch.by,
            latched_us=latch.latched_us if latch.is_set else None,
            kills=len(latch.kill_ids),
            stages=tuple(
                StageView(
                    stage=one.stage,
                    elapsed_us=one.elapsed_us,
                    detail=one.detail,
                    monotonic_us=one.monotonic_us,
                )
                for one in sorted(latch.stages, key=lambda stage: stage.elapsed_us)
            ),
            open_orders=verdict.open_orders if verdict else (),
            positions=dict(verdict.positions) if verdict else {},
            detail=verdict.detail if verdict else "",
            held_in=self._readings.held_in(),
        )

    def _market(self, session: Session | None) -> MarketView | None:
        symbols = session.charter.instruments if session else tuple(self._markets)
        market = next((self._markets[one] for one in symbols if one in self._markets), None)
        return market.view() if market else None

    def _venue(
        self, name: str, rate: RateUse | None, quality: tuple[StreamQuality, ...]
    ) -> VenueView:
        measured = {stream.stream: stream for stream in quality}
        streams = [
            _with_latency(market.stream.view(), measured.get(f"market:{symbol}"))
            for symbol, market in self._markets.items()
        ]
        streams.append(_with_latency(self._user.view(), measured.get("user")))
        return VenueView(
            name=name,
            connected=all(stream.connected for stream in streams),
            clock_offset_ms=self._readings.clock_offset_ms,
            streams=tuple(streams),
            used_weight=rate.used if rate else None,
            weight_limit=rate.limit if rate else 0,
            windows=tuple(
                RateWindowView(kind=one.kind, window=one.window, used=one.used, limit=one.limit)
                for one in (rate.windows if rate else ())
            ),
            silent_ms=rate.silent_ms if rate else 0,
        )

    def _orders(self, session: Session | None) -> tuple[Order, ...]:
        open_orders = self._state.orders.open_orders()
        recent = self._state.orders.session_orders(session.id) if session else ()
        names = {order.intent.client_order_id for order in open_orders}
        others = [order for order in recent if order.intent.client_order_id not in names]
        others.reverse()
        return (*open_orders, *others)[:_ORDERS_SHOWN]

    def _fills(self, session: Session | None) -> tuple[Fill, ...]:
        if session is None:
            return ()
        names = {
            one.intent.client_order_id for one in self._state.orders.session_orders(session.id)
        }
        latest: list[Fill] = []
        for fill in reversed(self._state.orders.fills):
            if fill.client_order_id in names:
                latest.append(fill)
            if len(latest) == _FILLS_SHOWN:
                break
        return tuple(latest)

    def _positions(self) -> tuple[PositionView, ...]:
        views = []
        for symbol, position in self._state.positions.positions().items():
            market = self._markets.get(symbol)
            mark = market.mid() if market else None
            views.append(
                PositionView(
                    symbol=symbol,
                    quantity=position.quantity,
                    average_price=position.average_price,
                    realized=position.realized,
                    unrealized=None if mark is None else unrealized(position, mark),
                    fees=dict(position.fees),
                    mark=mark,
                )
            )
        return tuple(views)

    def _limits(self, session: Session | None) -> tuple[HeadroomView, ...]:
        if session is None or not session.charter.instruments:
            return ()
        return (
            *headroom(self._facts.risk(session.charter.instruments[0])),
            *(reading.row() for reading in self._facts.breakers()),
        )

    def _alarms(self) -> tuple[AlarmView, ...]:
        return self._state.alarms.active_views()


def _with_latency(view: StreamView, quality: StreamQuality | None) -> StreamView:
    """Add what only the adapter can measure; it counts from the venue's first connection on."""
    if quality is None:
        return view
    return msgspec.structs.replace(
        view,
        messages=quality.messages,
        gaps=quality.gaps,
        reconnects=quality.reconnects,
        latency_p50_ms=quality.latency_p50_ms,
        latency_p95_ms=quality.latency_p95_ms,
        latency_p99_ms=quality.latency_p99_ms,
    )


def _session_view(session: Session, role: str, tagmanifest: str) -> SessionView:
    go = session.go
    return SessionView(
        id=session.id,
        state=session.state,
        charter=session.charter,
        since_us=session.since_us,
        checklist=visible_items(session, role),
        reviewer_joined=bool(session.reviewer_nonce),
        go=GoView(
            stage=go.stage,
            packet=go.packet,
            packet_sha256=go.sha256,
            operator_signature=go.operator_signature,
            expires_us=go.expires_us,
            decision=go.decision,
            reason=go.reason,
        ),
        runlog=tuple(_runlog_line(line) for line in session.runlog[-_RUNLOG_SHOWN:]),
        recon=recon_view(session.recon) if session.recon else None,
        pack=PackView(
            stage=session.pack.stage,
            folder=session.pack.folder,
            tagmanifest=tagmanifest,
            tagmanifest_sha256=session.pack.tagmanifest_sha256,
            signed_by=tuple(sorted(session.pack.signed_by)),
        )
        if session.pack
        else None,
    )


def _runlog_line(line: tuple[int, str, str]) -> str:
    at_us, name, text = line
    at = datetime.fromtimestamp(at_us / 1_000_000, UTC)
    return f"{at:%H:%M:%S} {name}: {text}"


def recon_view(recon: ReconState) -> ReconView:
    """The last reconciliation with its answers, for screens and CLI."""
    report = Report.from_document(recon.report.encode())
    return ReconView(
        run_id=recon.run_id,
        report=recon.report,
        report_sha256=recon.sha256,
        compared=dict(recon.compared),
        breaks=tuple(
            BreakView(
                id=one.id,
                klass=one.klass,
                subject=one.subject,
                key=one.key,
                engine=one.engine,
                journal=one.journal,
                venue=one.venue,
                cause=one.cause,
                answer=recon.answers.get(one.id, ""),
                likely=one.likely,
                owner=one.owner,
                age_ms=report.age_us(one) // _US_PER_MS,
                granted=one.id in recon.granted,
            )
            for one in report.breaks
        ),
        signed_by=recon.signed_by,
    )
