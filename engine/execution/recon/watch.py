"""Reconciliation while the session runs: at start, every few seconds, after each reconnect.

A run asks the venue, reads both our sides at one moment and compares. What differs is looked at a
second time, only that, after a pause: an order or trade on its way is no break. What still differs
then is told: with its class if it stood still between the looks, as yellow doubt if it moved. Each
run is one event, so a break keeps its age over a restart (`engine.reconcile.watch`).

* A venue that cannot be asked is "unknown", never agreement; the last reading and its age stand.
* A red break that two runs in a row have seen raises RECON_RED and pauses the session: doubt
  blocks. It is not resumed while the break stands. Nothing is repaired here (I2).
* No lock is held while the venue is asked; a run is left out, visibly, when the rate budget is
  short: the venue's weight is for orders first.
* What has ended and agreed is summed up behind a mark (`engine.execution.recon.mark`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence

import msgspec

from engine.contracts.errors import PeakError
from engine.contracts.event import (
    AnyEvent,
    OrderFilled,
    ReconChecked,
    Recorded,
    SessionMoved,
    VenueConnected,
)
from engine.contracts.order import OPEN_STATES
from engine.contracts.people import automaton
from engine.contracts.session import SessionState
from engine.contracts.view import ReconWatchView, WatchBreakView
from engine.diary import Diary
from engine.execution.clock import monotonic_us, wall_us
from engine.execution.core import Core, State
from engine.execution.limits.facts import Readings
from engine.execution.recon.mark import SettledMark
from engine.execution.recon.sides import (
    CLOCK_MARGIN_US,
    SideReader,
    VenueWord,
    named_fills,
    scope,
    strangers,
)
from engine.execution.settle.settler import RaiseAlarm, Settler
from engine.governance.session import Session
from engine.governance.transitions import Cause
from engine.reconcile.causes import CAUSES, RED
from engine.reconcile.compare import reconcile
from engine.reconcile.report import Break
from engine.reconcile.watch import UNKNOWN, verdicts
from engine.store.store import Store, StoreFailed
from engine.venues.port import Venue, VenueQueryFailed

_log = Diary("recon-watch")

RECON_WATCH = automaton("recon-watch")

_WATCHED = frozenset({SessionState.LIVE, SessionState.PAUSED, SessionState.STOPPING})
_US_PER_SECOND = 1_000_000
_US_PER_MS = 1_000
_TICK_SECONDS = 0.25
#: What moved within so long before a look is in motion: its reports may still be on their way.
_MOTION_US = 1_000_000
#: Between the looks: longer than that, so that what stands still can be told from what moves.
_SECOND_LOOK_SECONDS = 1.5
#: After a reconnect the missed reports are asked for first.
_RECONNECT_SECONDS = 0.5
#: Reconciling leaves so much of the venue's weight alone: the rest is for orders and cancels.
_MOST_PERCENT = 60
_PAGE = 1000
#: Orders that the second look asks for one by one; more are asked for as a list.
_BY_NAME = 10
_STALE_RUNS = 3


class ReconWatch:
    """Runs the continuous reconciliation of one engine. `every_seconds` between two runs."""

    def __init__(
        self,
        core: Core,
        settler: Settler,
        venue: Venue,
        store: Store,
        readings: Readings,
        raise_alarm: RaiseAlarm,
        every_seconds: int,
    ) -> None:
        self._core = core
        self._settler = settler
        self._venue = venue
        self._reader = SideReader(core, venue, store)
        self._readings = readings
        self._raise_alarm = raise_alarm
        self._every_us = every_seconds * _US_PER_SECOND
        self._moment = "start"
        self._due_us = 0
        self._mark = SettledMark(core, self._reader)
        self._session_id = ""
        #: why the last run was left out; "" when it was not
        self._left_out = ""
        core.listen(self._hear)

    @property
    def _state(self) -> State:
        return self._core.state

    def _hear(self, recorded: Recorded) -> None:
        """What makes a run due before its time, and what takes the mark back."""
        match recorded.event:
            case VenueConnected() if self._moment != "start":
                self._moment = "reconnect"
                self._due_us = monotonic_us() + int(_RECONNECT_SECONDS * _US_PER_SECOND)
            case OrderFilled() as event:
                self._mark.hear(event)

    async def run(self) -> None:
        """Endless: a run whenever one is due and a session trades."""
        while True:
            await asyncio.sleep(_TICK_SECONDS)
            await self._clear_alarm()
            session = self._state.sessions.current
            if session is None or session.state not in _WATCHED:
                continue
            if session.id != self._session_id:
                self._begin(session)
            if monotonic_us() >= self._due_us:
                self._due_us = monotonic_us() + self._every_us
                moment, self._moment = self._moment, "live"
                await self.check(session, moment)

    def _begin(self, session: Session) -> None:
        self._session_id = session.id
        self._due_us = 0
        self._mark.begin()

    async def check(self, session: Session, moment: str) -> None:
        """Run once and journal what was found."""
        weight, self._left_out = self._weight(session), ""
        short = self._budget_short(weight)
        if short:
            self._left_out = short
            _log.warning("run left out", cause=short)
            return
        try:
            await self._mark.restore(session)
            run = await self._compared(session, moment)
        except (VenueQueryFailed, StoreFailed) as error:
            _log.warning("run knows nothing", cause=error.line())
            await self._unknown(session, moment, error)
            return
        await self._tell(session, run)
        await self._act(session)

    async def _tell(self, session: Session, run: ReconChecked) -> None:
        """Journal a run, unless the session has ended trading meanwhile."""

        def decide(state: State) -> Sequence[AnyEvent]:
            now = state.sessions.current
            still = now is not None and now.id == session.id and now.state in _WATCHED
            return [run] if still else []

        await self._core.decide(RECON_WATCH, decide)

    async def _unknown(self, session: Session, moment: str, error: PeakError) -> None:
        """Say that nothing is known, once as long as it lasts."""
        if self._state.recon_watch.unknown:
            return
        nothing = ReconChecked(
            session_id=session.id, moment=moment, compared={}, breaks=(), unknown=error.line()[:300]
        )
        await self._tell(session, nothing)

    # --- one run --------------------------------------------------------------------------------

    async def _compared(self, session: Session, moment: str) -> ReconChecked:
        began_us = wall_us()
        symbols = session.charter.instruments
        word = await self._reader.ask(symbols, self._since(session))
        for report in strangers(self._state, session, word.reports):
            if (
                self._state.orphans.get(
                    report.symbol, report.client_order_id, report.venue_order_id
                )
                is None
                or not report.open
            ):
                await self._settler.found_orphan(report)
        first = await self._differences(session, word)
        found, moving = first, frozenset[str]()
        suspected = {one.key for one in first.breaks}
        if suspected:
            self._hurry(first.breaks)
            await asyncio.sleep(_SECOND_LOOK_SECONDS)
            again_us = wall_us()
            word = await self._ask_again(session, word, first.breaks)
            found = await self._differences(session, word)
            moving = self._moving(session, word, again_us - _MOTION_US)
        watch = self._state.recon_watch
        breaks = verdicts(
            ((one.code, one.key, one.klass) for one in found.breaks),
            suspected,
            moving,
            self._sums(session, word),
            watch.first_seen_us if watch.session_id == session.id else {},
            wall_us(),
        )
        if not breaks and not found.breaks:
            await self._mark.advance(session, word, began_us)
        return ReconChecked(
            session_id=session.id,
            moment=moment,
            compared=found.compared,
            breaks=breaks,
            settled_us=self._mark.before.since_us,
            settled_positions=dict(self._mark.before.positions),
        )

    async def _differences(self, session: Session, word: VenueWord) -> _Found:
        sides = await self._reader.recent(session, word, self._mark.before)
        report = reconcile("watch", session.id, wall_us(), sides)
        return _Found(report.breaks, report.compared)

    def _since(self, session: Session) -> int:
        return (self._mark.before.since_us or session.created_us) - CLOCK_MARGIN_US

    def _hurry(self, breaks: Iterable[Break]) -> None:
        """Let the settler ask about our orders that differ: news that a stream lost is taken in."""
        for one in breaks:
            order = self._state.orders.get(one.key)
            if order is not None and order.state in OPEN_STATES and not order.lost:
                self._settler.settle_later(one.key)

    async def _ask_again(
        self, session: Session, word: VenueWord, breaks: Sequence[Break]
    ) -> VenueWord:
        """Ask the venue for what differs, and only for that."""
        subjects = {one.subject for one in breaks}
        symbols = session.charter.instruments
        names = [one.key for one in breaks if one.subject == "orders"]
        known = [order for name in names if (order := self._state.orders.get(name)) is not None]
        reports = {(one.symbol, one.client_order_id): one for one in word.reports}
        if len(known) == len(names) <= _BY_NAME and len(word.reports) == len(reports):
            for order in known:
                key = order.intent.symbol, order.intent.client_order_id
                report = await self._venue.order(*key)
                reports.pop(key, None)
                if report is not None:
                    reports[key] = report
            word = msgspec.structs.replace(word, reports=tuple(reports.values()))
        elif names:
            return await self._reader.ask(symbols, self._since(session))
        if subjects & {"fills", "fees", "positions", "balances"}:
            since_us = self._since(session)
            fills = [one for name in symbols for one in await self._venue.fills(name, since_us)]
            word = msgspec.structs.replace(word, fills=named_fills(fills, word.reports))
        if "balances" in subjects:
            word = msgspec.structs.replace(word, balances=await self._venue.balances())
        return word

    def _moving(self, session: Session, word: VenueWord, since_us: int) -> frozenset[str]:
        """Keys of what moved since a time, or may be moving: no verdict on these."""
        offset_us = (self._readings.clock_offset_ms or 0) * _US_PER_MS
        names = {*self._settler.in_flight, *self._settler.unsettled}
        orders = scope(self._state, session, self._mark.before.since_us)
        names |= {one.intent.client_order_id for one in orders if one.updated_us >= since_us}
        names |= {
            one.client_order_id for one in word.reports if one.time_us - offset_us >= since_us
        }
        names -= {one.intent.client_order_id for one in self._state.orders.lost()}
        keys = set(names)
        trades = (*self._state.orders.fills[self._mark.before.fills_from :], *word.fills)
        keys |= {f"{one.symbol}:{one.trade_id}" for one in trades if one.client_order_id in names}
        if names:
            keys |= self._sums(session, word)
        return frozenset(keys)

    def _sums(self, session: Session, word: VenueWord) -> frozenset[str]:
        """Keys of positions and balances: any trade on its way moves some of them."""
        cash = self._state.positions.cash()
        return frozenset((*session.charter.instruments, *word.balances, *cash))

    # --- the rate budget ------------------------------------------------------------------------

    def _weight(self, session: Session) -> int:
        """What a run costs at most: open orders 6, pages of orders 20 and of trades 40, account 20.

        A page of trades may bring a page of orders along, for their names (`Venue.fills`).
        """
        orders = len(scope(self._state, session, self._mark.before.since_us))
        fills = len(self._state.orders.fills) - self._mark.before.fills_from
        pages = 20 * (1 + orders // _PAGE) + 40 * (1 + fills // _PAGE)
        return 20 + len(session.charter.instruments) * (6 + pages)

    def _budget_short(self, weight: int) -> str:
        use = self._venue.rate_use()
        if use is None:
            return ""
        most = use.limit * _MOST_PERCENT // 100
        if use.used + weight <= most:
            return ""
        return f"left out: needs weight {weight}, {use.used} of {use.limit} is used, {most} ours"

    # --- what follows ---------------------------------------------------------------------------

    async def _act(self, session: Session) -> None:
        """Alarm and pause on what is confirmed red."""
        confirmed = self._state.recon_watch.confirmed
        if not confirmed:
            return
        named = ", ".join(f"{one.code} {one.key}" for one in confirmed[:3])
        text = f"{len(confirmed)} red: {named}"

        def decide(state: State) -> Sequence[AnyEvent]:
            now = state.sessions.current
            if now is None or now.id != session.id or now.state is not SessionState.LIVE:
                return []
            return [
                SessionMoved(
                    session_id=session.id,
                    before=SessionState.LIVE,
                    after=SessionState.PAUSED,
                    cause=Cause.RECON_RED,
                    reason=text,
                )
            ]

        await self._core.decide(RECON_WATCH, decide)
        if self._state.alarms.find("RECON_RED", session.id) is None:
            await self._raise_alarm("RECON_RED", text)

    async def _clear_alarm(self) -> None:
        """Clear the alarm once its breaks are gone and a person has taken it."""
        session = self._state.sessions.current
        alarm = self._state.alarms.find("RECON_RED")
        if alarm is None or not alarm.acknowledged_by or session is None:
            return
        watch = self._state.recon_watch
        red = any(one.told.klass == RED for one in watch.open.values())
        if session.state in _WATCHED and not red and not watch.unknown:
            await self._core.decide(
                RECON_WATCH, lambda state: state.alarms.clear_events("RECON_RED")
            )

    def view(self) -> ReconWatchView:
        """The reading for the screens: what is known, since when, and what is open."""
        watch, now_us = self._state.recon_watch, wall_us()
        at_us = watch.compared_us
        return ReconWatchView(
            state=watch.state,
            moment=watch.moment,
            at_us=at_us,
            age_ms=None if at_us is None else max(0, now_us - at_us) // _US_PER_MS,
            limit_ms=_STALE_RUNS * self._every_us // _US_PER_MS,
            reason=watch.unknown if watch.state == UNKNOWN else self._left_out,
            compared=dict(watch.compared),
            breaks=tuple(
                WatchBreakView(
                    code=one.told.code,
                    key=one.told.key,
                    klass=one.told.klass,
                    subject=CAUSES[one.told.code].subject,
                    first_seen_us=one.told.first_seen_us,
                    age_ms=max(0, now_us - one.told.first_seen_us) // _US_PER_MS,
                    runs=one.runs,
                    cause=CAUSES[one.told.code].text,
                    likely=CAUSES[one.told.code].likely,
                    owner=CAUSES[one.told.code].owner,
                )
                for one in watch.open.values()
            ),
        )


class _Found(msgspec.Struct, frozen=True):
    """What one look found."""

    breaks: tuple[Break, ...]
    compared: dict[str, int]
