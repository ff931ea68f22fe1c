"""The facts that risk and the locks judge by, gathered at the moment of asking.

What is not known stays None and blocks (I12). Nothing here decides anything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from itertools import islice, takewhile
from pathlib import Path

import msgspec

from engine.contracts.decision import Check
from engine.contracts.errors import Refused
from engine.contracts.money import ZERO
from engine.contracts.order import Order
from engine.contracts.session import BreakerTerms, Environment, Limits, Mode
from engine.execution.clock import wall_us
from engine.execution.core import State
from engine.execution.kill.latch_file import latch_present
from engine.execution.limits.in_force import InForce
from engine.execution.market import Market
from engine.governance.latch import LatchState
from engine.governance.locks import LockFacts, Promotion, live_locks
from engine.governance.session import Session
from engine.orders.exact import add
from engine.orders.positions import Position, net_profit, net_realized
from engine.risk.breakers import OF_SESSION, Reading, SessionLoss, readings
from engine.risk.conduct import cooldown_us
from engine.risk.exposure import MINUTE_US, exposures
from engine.risk.facts import DUPLICATE_WINDOW_US, Exposure, Measured, RiskFacts, duplicate_key

#: More intents than this cannot fall into the duplicate window: the rate limits are far below.
_LAST_INTENTS = 200


class Readings(msgspec.Struct, kw_only=True):
    """What the running engine reads outside the journal; the host keeps it up to date.

    `held_in` says where the latch holds now.
    """

    balances: dict[str, tuple[Decimal, Decimal]] | None = None
    clock_offset_ms: int | None = None
    attended: bool = False
    latched: bool = False
    held_in: Callable[[], tuple[str, ...]] = tuple


class FactSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The settings that checks need. Times in ms."""

    environment: Environment
    stale_ms: int
    clock_limit_ms: int
    modes_allowed: frozenset[Mode]
    allow_list: frozenset[tuple[str, str]]
    breakers: BreakerTerms = BreakerTerms()


class LockReadings(msgspec.Struct, frozen=True, kw_only=True):
    """What the locks ask beside session and settings; None where it is not known."""

    changed: tuple[str, ...] | None
    latch: LatchState | None
    attended: bool | None
    promotion: Promotion | None
    now_us: int


def lock_facts(
    mode: Mode,
    session: Session | None,
    place: tuple[str, str],
    settings: FactSettings,
    readings: LockReadings,
) -> LockFacts:
    """Laid together for the locks; `place` is venue and account. Without a session, none of it."""
    return LockFacts(
        mode=mode,
        environment=settings.environment,
        modes_allowed=settings.modes_allowed,
        venue=place[0],
        account=place[1],
        allow_list=settings.allow_list,
        session_state=session.state if session else None,
        go_stage=session.go.stage if session else "",
        decided_us=session.go.decided_us if session else None,
        changed=readings.changed,
        window_from_us=session.charter.window_from_us if session else None,
        window_until_us=session.charter.window_until_us if session else None,
        now_us=readings.now_us,
        latch=readings.latch,
        attended=readings.attended,
        promotion=readings.promotion,
    )


def _usual(settings: FactSettings) -> Mode:
    """The mode to explain where nobody named one; an environment has one, or none that is open."""
    return min(settings.modes_allowed, default=Mode.PAPER)


class FactsBuilder:
    """Builds RiskFacts and LockFacts from the folds, the market and the readings."""

    def __init__(
        self,
        state: State,
        markets: Mapping[str, Market],
        readings: Readings,
        settings: FactSettings,
        changed_since_signed: Callable[[Session], tuple[str, ...]],
        latch_path: Path,
        in_force: InForce,
        now_us: Callable[[], int] = wall_us,
    ) -> None:
        self._state = state
        self._markets = markets
        self._readings = readings
        self._settings = settings
        self._changed = changed_since_signed
        self._latch_path = latch_path
        self.in_force = in_force
        self._now_us = now_us

    @property
    def latched(self) -> bool:
        """The latch as it is this instant: in memory, in the journal, or as a file on the disk."""
        return self._readings.latched or self._state.latch.is_set or latch_present(self._latch_path)

    def limits(self, session: Session) -> Limits:
        """The limits in force for a session, the tightest of all that say one."""
        return self.in_force.limits.of(session).limits

    def session_pnl(self) -> Decimal | None:
        """Net P&L of the session in quote, marked at mid; None while a price is missing."""
        return self._session_earned()[1]

    def _session_earned(self) -> tuple[Decimal | None, Decimal | None]:
        """Net P&L of the session in quote, realised and marked; None while a price is missing."""
        realised: Decimal | None = ZERO
        marked: Decimal | None = ZERO
        for symbol, position in self._state.positions.positions().items():
            market, fees = self._markets.get(symbol), self._fee_marks(position)
            mid = market.mid() if market else None
            realised = _sum(realised, net_realized(position, fees))
            marked = _sum(marked, net_profit(position, mid, fees))
        return realised, marked

    def _fee_marks(self, position: Position) -> dict[str, Decimal]:
        """Prices of fees in a third asset, such as BNB, as far as its market is configured."""
        if not position.fees.keys() - {position.base, position.quote}:
            return {}
        markets = (one for one in self._markets.values() if one.instrument.quote == position.quote)
        mids = ((one.instrument.base, one.mid()) for one in markets)
        return {asset: mid for asset, mid in mids if mid is not None}

    def locks(self) -> tuple[Check, ...]:
        """Every lock of DESIGN section 7 that applies to the session's mode (I5)."""
        session = self._state.sessions.current
        if session is None:
            raise Refused(
                what="there is no session", where="locks", todo="write a charter", code="NO_SESSION"
            )
        return self._locks(session, latched=self.latched, now_us=self._now_us())

    def gate_facts(self, mode: Mode | None, venue: str, account: str) -> LockFacts:
        """What the locks would be asked now, for explaining them; nothing is decided by it.

        For another mode than the session's there is no session: what was signed was signed for its
        own mode. `venue` and `account` are the configured ones.
        """
        session = self._state.sessions.current
        if session is not None and mode not in {None, session.charter.mode}:
            session = None
        asked = mode or (session.charter.mode if session else _usual(self._settings))
        readings = self._lock_readings(session, asked, latched=self.latched, now_us=self._now_us())
        return lock_facts(asked, session, (venue, account), self._settings, readings)

    def _locks(self, session: Session, *, latched: bool, now_us: int) -> tuple[Check, ...]:
        charter = session.charter
        readings = self._lock_readings(session, charter.mode, latched=latched, now_us=now_us)
        place = (charter.venue, charter.account)
        return live_locks(lock_facts(charter.mode, session, place, self._settings, readings))

    def _lock_readings(
        self, session: Session | None, mode: Mode, *, latched: bool, now_us: int
    ) -> LockReadings:
        latch = self._state.latch.state
        if latch is LatchState.READY and latched:
            latch = LatchState.LATCHED
        return LockReadings(
            changed=None if session is None else self._changed(session),
            latch=latch,
            attended=self._readings.attended,
            promotion=self.in_force.evidence.promotion() if mode is Mode.LIVE else None,
            now_us=now_us,
        )

    def risk(self, symbol: str) -> RiskFacts:
        """All that the pre-trade checks judge one order of `symbol` by."""
        state = self._state
        session = state.sessions.current
        if session is None:
            raise Refused(
                what="there is no session", where="order", todo="write a charter", code="NO_SESSION"
            )
        charter = session.charter
        market = self._markets.get(symbol) if symbol in charter.instruments else None
        best_bid, best_ask = market.best() if market else (None, None)
        now, latched = self._now_us(), self.latched
        orders, activity = state.orders, state.activity
        open_orders = orders.open_orders()
        limits = self.limits(session)
        loss_us, rejects_us = cooldown_us(limits)
        realised, marked = self._session_earned()
        # Intents are in the order of their times: what is older than the first too old one is too.
        repeated_since = now - DUPLICATE_WINDOW_US
        just_now = takewhile(
            lambda one: one.created_us > repeated_since,
            islice(orders.latest(session.id), _LAST_INTENTS),
        )
        return RiskFacts(
            now_us=now,
            session_state=session.state,
            window_from_us=charter.window_from_us,
            window_until_us=charter.window_until_us,
            latch_set=latched,
            attended=self._readings.attended,
            limits=limits,
            instrument=market.instrument if market else None,
            best_bid=best_bid,
            best_ask=best_ask,
            last_price=market.last if market else None,
            book_age_ms=market.book_age_ms() if market else None,
            stale_limit_ms=self._settings.stale_ms,
            position=state.positions.position(symbol).quantity,
            exposures=self._exposures(open_orders),
            open_orders=open_orders,
            unknown_orders=len(orders.unknown()),
            recent_submits_us=activity.orders.after(now - MINUTE_US),
            recent_cancels_us=activity.cancels.after(now - MINUTE_US),
            recent_rejects_us=activity.rejects.after(now - MINUTE_US - rejects_us),
            recent_losses_us=activity.losses.after(now - loss_us),
            day_orders=activity.orders_of_day(now),
            day_cancels=activity.cancels_of_day(now),
            session_orders=orders.count(session.id),
            session_pnl=marked,
            session_realised=realised,
            breakers=_measured(self._stand(session, realised, marked)),
            balances=self._readings.balances,
            clock_offset_ms=self._readings.clock_offset_ms,
            clock_limit_ms=self._settings.clock_limit_ms,
            intents_hash_recent=tuple(
                (duplicate_key(order.intent), order.created_us) for order in just_now
            ),
            locks=self._locks(session, latched=latched, now_us=now),
        )

    def breakers(self) -> tuple[Reading, ...]:
        """Where the loss breakers stand, open positions at the mid; none without a session."""
        session = self._state.sessions.current
        return () if session is None else self._stand(session, *self._session_earned())

    def _stand(
        self, session: Session, realised: Decimal | None, marked: Decimal | None
    ) -> tuple[Reading, ...]:
        market = self._markets.get(next(iter(session.charter.instruments), ""))
        return readings(
            self._state.losses,
            self._settings.breakers,
            market.instrument.quote if market else "quote",
            self.mids(),
            self._now_us(),
            SessionLoss(
                limit=self.limits(session).max_session_loss, realised=realised, marked=marked
            ),
        )

    def mids(self) -> dict[str, Decimal]:
        """The middle of each fresh book."""
        mids = {symbol: market.mid() for symbol, market in self._markets.items()}
        return {symbol: mid for symbol, mid in mids.items() if mid is not None}

    def _exposures(self, open_orders: Iterable[Order]) -> tuple[Exposure, ...] | None:
        """Each symbol at its worst, valued at its ask while that is fresh."""
        asks = {symbol: market.best()[1] for symbol, market in self._markets.items()}
        return exposures(
            self._state.positions.positions(),
            open_orders,
            {symbol: market.instrument for symbol, market in self._markets.items()},
            {symbol: ask for symbol, ask in asks.items() if ask is not None},
        )


def _sum(total: Decimal | None, amount: Decimal | None) -> Decimal | None:
    """Both together; None while either is not known."""
    return None if total is None or amount is None else add(total, amount)


def _measured(found: Iterable[Reading]) -> tuple[Measured, ...]:
    """The breakers of account and day; those of the session have a check of their own."""
    return tuple(
        Measured(
            name=one.breaker.name,
            text=one.breaker.text,
            used=one.used,
            limit=one.breaker.limit,
            unit=one.breaker.unit,
        )
        for one in found
        if one.breaker.name not in OF_SESSION
    )
