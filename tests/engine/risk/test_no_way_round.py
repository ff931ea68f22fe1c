"""No sequence of orders, fills, prices, restarts and clock steps gets an order past a limit.

Nor does narrowing and widening the limits on the way, alone, by two, or by a forged record of two.

The real folds and the real `FactsBuilder` stand on one side. On the other stand plain lists of what
was sent and traded, looked through from the beginning for each order, as nobody would do who is in
a hurry. Two things must hold for each order at each moment of each history: the decision is the one
that a fresh fold of the whole journal would give (history itself opens nothing, a restart neither),
and what is allowed is inside every limit by the plain lists.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from engine.contracts import event as ev
from engine.contracts.decision import Check, Decision, Verdict
from engine.contracts.documents import Purpose
from engine.contracts.fill import Fill, Liquidity
from engine.contracts.instrument import Instrument
from engine.contracts.money import to_text
from engine.contracts.order import Order, OrderIntent, OrderState, OrderType, Side, TimeInForce
from engine.contracts.people import ENGINE
from engine.contracts.session import (
    BreakerTerms,
    Charter,
    Environment,
    Limits,
    Mode,
    SessionState,
)
from engine.execution.core import State
from engine.execution.limits.facts import FactsBuilder, FactSettings, Readings
from engine.execution.limits.in_force import EvidenceInForce, InForce, LimitsInForce
from engine.execution.market import Market
from engine.governance.ladder import Asks, Step
from engine.ops.drills import DrillTerms
from engine.orders.ledger import client_order_id
from engine.risk.limits import check_order
from engine.venues.port import BookTop, TradeTick
from tests.engine.governance.stories import granted

S = 1_000_000
DAY = 86_400 * S
SYMBOLS = ("BTCUSDT", "ETHUSDT")
OPEN_LOCK = (Check(code="ENV", verdict=Verdict.ALLOW, text="open"),)

LIMITS = Limits(
    max_order_quantity=Decimal(3),
    max_order_notional=Decimal(350),
    max_position=Decimal(5),
    max_open_orders=4,
    max_orders_per_second=2,
    max_orders_per_minute=5,
    max_orders_per_session=9,
    max_session_loss=Decimal(20),
    price_collar_bps=300,
    price_last_bps=500,
    price_book_bps=100,
    max_gross_exposure=Decimal(700),
    max_net_exposure=Decimal(600),
    max_asset_exposure=Decimal(450),
    max_orders_per_day=12,
    max_messages_per_minute=7,
    max_cancels_per_order=Decimal(1),
    cancels_before_ratio=2,
    cooldown_loss_seconds=30,
    max_rejects_per_minute=1,
    cooldown_rejects_seconds=45,
)


TERMS = BreakerTerms(max_day_loss=Decimal(9), max_week_loss=Decimal(14), max_drawdown_bps=110)
OPENING = 1_000
#: What an average cost loses by being rounded.
_ROUNDED = Fraction(1, 10**9)

#: What people narrow in these histories, the narrowest first.
TIGHTER = {
    "max_order_quantity": (Decimal(1), Decimal(2), Decimal("2.5")),
    "max_order_notional": (Decimal(100), Decimal(200), Decimal(300)),
    "max_position": (Decimal(1), Decimal(2), Decimal(4)),
    "max_open_orders": (Decimal(1), Decimal(2), Decimal(3)),
    "max_orders_per_minute": (Decimal(1), Decimal(2), Decimal(4)),
    "max_session_loss": (Decimal(1), Decimal(5), Decimal(15)),
}

#: Mostly what is allowed, so that histories become long; and of each the first that is not.
_MIDS = st.sampled_from((100, 100, 101, 99, 98, 102, 94, 106))
_WAITS = st.sampled_from((0, 1, 1, 1, 2, 10, 20, 30, 60))
_QUANTITIES = st.sampled_from((1, 2, 5, 10, 15, 20, 25, 30, 31))
_AWAY = st.sampled_from((None, None, -31, -30, -20, -10, -2, -1, 0, 1, 2, 10, 11, 12, 20, 30, 31))
_ANSWERS = st.sampled_from(("ack", "reject", "reject", "unknown", "cancel", "cancel", "cancel"))


class Trade(NamedTuple):
    """One fill as a plain row."""

    ts: int
    session: str
    symbol: str
    signed: Fraction
    price: Fraction


class NoWayRound(RuleBasedStateMachine):
    """A desk of two symbols whose clock, prices and process may do anything."""

    @initialize()
    def begin(self) -> None:
        self.now = 20_000 * DAY + DAY // 2
        self.journal: list[ev.Recorded] = []
        self.sends: list[tuple[int, str]] = []
        self.wanted: list[tuple[int, str, object]] = []
        self.cancels: list[int] = []
        self.rejects: list[int] = []
        self.trades: list[Trade] = []
        self.books: dict[str, tuple[Decimal, Decimal]] = {}
        self.lasts: dict[str, Decimal] = {}
        self.filled_at: dict[str, Fraction] = {}
        self.peak = Fraction(0)
        self.earned_before = Fraction(0)
        self.markets = {symbol: Market(_instrument(symbol), 10**9, lambda: 0) for symbol in SYMBOLS}
        self.sessions = 0
        self.narrowed: dict[str, Decimal] = {}
        self.state = State()
        self.charter()
        for symbol in SYMBOLS:
            self.price(symbol, 100, 100)

    # --- what happens ---------------------------------------------------------------------------

    @rule(name=st.sampled_from(sorted(TIGHTER)), step=st.integers(0, 2))
    def tighten(self, name: str, step: int) -> None:
        """One person's act: it counts when it is tighter, and otherwise changes nothing."""
        value = TIGHTER[name][step]
        self.tell(
            ev.LimitTightened(
                session_id=self.session, name=name, before=value, after=value, reason="narrower"
            )
        )
        before = self.narrowed.get(name)
        self.narrowed[name] = value if before is None else min(before, value)

    @rule(name=st.sampled_from(sorted(TIGHTER)), step=st.integers(0, 3), whole=st.booleans())
    def loosen(self, name: str, step: int, *, whole: bool) -> None:
        """Two people's act: it counts with their grant, and never beyond what was chartered."""
        value = (*TIGHTER[name], Decimal(10**6))[step]
        digest = "0" * 64
        if whole:
            subject = {"name": name, "value": to_text(value)}
            story, digest = granted(Purpose.LOOSEN, subject, len(self.journal))
            for event, _actor in story:
                self.tell(event)
            self.narrowed[name] = value
        self.tell(
            ev.LimitLoosened(
                session_id=self.session,
                name=name,
                before=value,
                after=value,
                reason="wider",
                document_sha256=digest,
            )
        )

    @property
    def limits(self) -> Limits:
        """What may be, by the plain list of what was narrowed."""
        values = msgspec.structs.asdict(LIMITS)
        for name, value in self.narrowed.items():
            values[name] = min(values[name], type(values[name])(value))
        return Limits(**values)

    @rule()
    def charter(self) -> None:
        self.sessions += 1
        self.session = f"s{self.sessions}"
        charter = Charter(
            mode=Mode.PAPER,
            venue="sandbox",
            account="demo",
            instruments=SYMBOLS,
            limits=LIMITS,
            window_from_us=0,
            window_until_us=2**62,
            operator="alice",
            reviewer="bob",
            runbook="session",
            attendance_seconds=15,
        )
        if self.sessions > 1:
            aborted = ev.SessionMoved(
                session_id=f"s{self.sessions - 1}",
                before=SessionState.CHARTER,
                after=SessionState.ABORTED,
                cause="abort",
            )
            self.tell(aborted)
        self.tell(ev.SessionChartered(session_id=self.session, charter=charter))
        assert self.state.sessions.current is not None
        assert self.state.sessions.current.id == self.session
        self.earned_before = sum((earned for _, earned in self.account()), start=Fraction(0))
        opening = {"USDT": (Decimal(OPENING), Decimal(0))}
        self.tell(ev.BalancesRead(session_id=self.session, moment="opening", balances=opening))
        self.peak = self.equity(self.filled_at)

    @rule(symbol=st.sampled_from(SYMBOLS), mid=_MIDS, last=_MIDS)
    def price(self, symbol: str, mid: int, last: int) -> None:
        bid, ask = mid - Decimal("0.1"), mid + Decimal("0.1")
        self.books[symbol], self.lasts[symbol] = (bid, ask), Decimal(last)
        size = Decimal(100)
        top = BookTop(
            symbol=symbol, update_id=1, bids=((bid, size),), asks=((ask, size),), venue_time_us=0
        )
        tick = TradeTick(
            symbol=symbol,
            trade_id=1,
            price=Decimal(last),
            quantity=size,
            taker_side=Side.BUY,
            venue_time_us=0,
        )
        for heard in (top, tick):
            self.markets[symbol].hear(heard)

    @rule(seconds=st.sampled_from((1, 5, 30, 60, 61, 3600, 86_400, -1, -60, -86_400)))
    def clock(self, seconds: int) -> None:
        self.now += seconds * S

    @rule()
    def look(self) -> None:
        """The engine looks at the breakers, and records a peak that no fill has shown."""
        marks = {symbol: sum(book) / 2 for symbol, book in self.books.items()}
        equity = self.equity({symbol: Fraction(mark) for symbol, mark in marks.items()})
        found = self.state.losses.new_peak(marks)
        over = equity - self.peak * Fraction(10_005, 10_000)
        assert abs(over) < _ROUNDED or (found is not None) is (over > 0), equity
        if found is not None:
            self.tell(ev.EquityPeaked(session_id=self.session, equity=found, marks=marks))
            self.peak = equity

    @rule()
    def restart(self) -> None:
        self.state = self.refolded()

    @rule(
        symbol=st.sampled_from(SYMBOLS),
        side=st.sampled_from(list(Side)),
        quantity=_QUANTITIES,
        away=_AWAY,
        wait=_WAITS,
    )
    def order(self, symbol: str, side: Side, quantity: int, away: int | None, wait: int) -> None:
        self.now += wait * S
        bid, ask = self.books[symbol]
        mid = (bid + ask) / 2
        intent = OrderIntent(
            client_order_id=client_order_id(self.session, self.state.orders.sequence(self.session)),
            symbol=symbol,
            side=side,
            type=OrderType.MARKET if away is None else OrderType.LIMIT,
            quantity=Decimal(quantity) / 10,
            price=None if away is None else mid + Decimal(away) / 10,
            time_in_force=None if away is None else TimeInForce.GTC,
        )
        decision = self.decide(intent, self.state)
        assert decision == self.decide(intent, self.refolded())
        if decision.verdict is not Verdict.ALLOW:
            blocked = ev.OrderBlocked(
                session_id=self.session, intent=intent, owner="alice", decision=decision
            )
            self.tell(blocked)
            return
        past = list(self.past(intent))
        assert past == []
        self.sends.append((self.now, self.session))
        self.wanted.append((self.now, self.session, _without_name(intent)))
        self.tell(
            ev.OrderIntended(
                session_id=self.session,
                intent=intent,
                intent_sha256=intent.intent_sha256(),
                owner="alice",
                decision=decision,
            )
        )

    def open(self, pick: int) -> Order:
        orders = self.state.orders.open_orders()
        return orders[pick % len(orders)]

    @precondition(lambda self: self.state.orders.open_orders())
    @rule(pick=st.integers(0, 9), part=st.sampled_from((1, 1, 2)), offset=st.integers(-3, 3))
    def fill(self, pick: int, part: int, offset: int) -> None:
        order = self.open(pick)
        quantity = order.remaining / part
        price = (order.intent.price or self.books[order.intent.symbol][1]) + offset
        fill = Fill(
            symbol=order.intent.symbol,
            trade_id=str(len(self.journal)),
            client_order_id=order.intent.client_order_id,
            venue_order_id="1",
            side=order.intent.side,
            price=price,
            quantity=quantity,
            fee=Decimal(0),
            fee_asset="USDT",
            liquidity=Liquidity.MAKER,
            time_us=self.now,
        )
        signed = Fraction(quantity) * order.intent.side.sign
        session = order.session_id
        self.trades.append(Trade(self.now, session, fill.symbol, signed, Fraction(price)))
        self.tell(ev.OrderFilled(session_id=session, fill=fill))
        self.filled_at[fill.symbol] = Fraction(price)
        self.peak = max(self.peak, self.equity(self.filled_at))

    @precondition(lambda self: self.state.orders.open_orders())
    @rule(pick=st.integers(0, 9), outcome=_ANSWERS)
    def answer(self, pick: int, outcome: str) -> None:
        order = self.open(pick)
        name = order.intent.client_order_id
        if outcome == "cancel":
            self.cancels.append(self.now)
            self.tell(ev.CancelRequested(client_order_id=name, cancel_id="c", cause="person"))
            self.tell(
                ev.OrderCanceled(
                    client_order_id=name, filled_quantity=order.filled_quantity, venue_time_us=0
                )
            )
        elif outcome == "unknown":
            self.tell(ev.OrderUnknown(client_order_id=name, cause="timeout"))
        elif order.state is not OrderState.SUBMITTED or order.filled_quantity:
            return
        elif outcome == "reject":
            self.rejects.append(self.now)
            self.tell(ev.OrderRejected(client_order_id=name, code="-2010", reason="no"))
        else:
            self.tell(
                ev.OrderAcknowledged(client_order_id=name, venue_order_id=name, venue_time_us=0)
            )

    # --- the real side --------------------------------------------------------------------------

    def tell(self, event: ev.AnyEvent) -> None:
        recorded = ev.Recorded(seq=len(self.journal), ts_us=self.now, actor=ENGINE, event=event)
        self.journal.append(recorded)
        self.state.apply(recorded)

    def refolded(self) -> State:
        state = State()
        for recorded in self.journal:
            state.apply(recorded)
        return state

    def decide(self, intent: OrderIntent, state: State) -> Decision:
        rich = (Decimal(10**9), Decimal(0))
        facts = FactsBuilder(
            state,
            self.markets,
            Readings(
                balances={"USDT": rich, "BTC": rich, "ETH": rich}, clock_offset_ms=0, attended=True
            ),
            FactSettings(
                environment=Environment.DEV,
                stale_ms=10**9,
                clock_limit_ms=1,
                modes_allowed=frozenset({Mode.PAPER}),
                allow_list=frozenset(),
                breakers=TERMS,
            ),
            lambda _: (),
            Path("/nowhere/latch"),
            in_force(state),
            lambda: self.now,
        ).risk(intent.symbol)
        # Permission is another story; here a session is always live, so that limits alone decide.
        live = msgspec.structs.replace(facts, locks=OPEN_LOCK, session_state=SessionState.LIVE)
        return check_order(intent, live)

    # --- the plain side -------------------------------------------------------------------------

    def past(self, intent: OrderIntent) -> Iterator[str]:
        """The limits that this order would break if it were sent now, by the plain lists."""
        limits, sent = self.limits, [at for at, _ in self.sends]
        sides = {Side.BUY: 1, Side.SELL: -1}
        sign, quantity = sides[intent.side], Fraction(intent.quantity)
        bid, ask = map(Fraction, self.books[intent.symbol])
        price = Fraction(intent.price) if intent.price is not None else ask if sign > 0 else bid
        today = self.now // DAY
        minute = sum(at > self.now - 60 * S for at in sent)
        cancels = sum(at > self.now - 60 * S for at in self.cancels)
        counts: dict[str, tuple[Any, Any]] = {
            "quantity": (quantity, limits.max_order_quantity),
            "second": (
                sum(at > self.now - S for at in sent) + 1,
                limits.max_orders_per_second,
            ),
            "minute": (minute + 1, limits.max_orders_per_minute),
            "session": (
                sum(one == self.session for _, one in self.sends) + 1,
                limits.max_orders_per_session,
            ),
            "day": (sum(at // DAY == today for at in sent) + 1, limits.max_orders_per_day),
            "messages": (minute + cancels + 1, limits.max_messages_per_minute),
            "cancels": (
                sum(at // DAY == today for at in self.cancels),
                max(
                    limits.cancels_before_ratio,
                    limits.max_cancels_per_order * sum(at // DAY == today for at in sent),
                ),
            ),
            "open": (len(self.still_open()) + 1, limits.max_open_orders),
            "mid": (
                abs(price - (bid + ask) / 2) * 20_000 / (bid + ask),
                limits.price_collar_bps,
            ),
            "last": (
                abs(price - Fraction(self.lasts[intent.symbol]))
                * 10_000
                / Fraction(self.lasts[intent.symbol]),
                limits.price_last_bps,
            ),
            "book": (
                sign * (price - (ask if sign > 0 else bid)) * 10_000 / (ask if sign > 0 else bid),
                limits.price_book_bps,
            ),
            "notional": (quantity * price, limits.max_order_notional),
            "loss": (-self.profit(), limits.max_session_loss),
            "realised loss": (
                -sum(earned for one, earned in self.walk() if one.session == self.session),
                Fraction(limits.max_session_loss) + _ROUNDED,
            ),
            **self.account_losses(),
        }
        yield from self.past_exposure(intent, sign, quantity)
        for name, (value, limit) in counts.items():
            if value > limit:
                yield f"{name}: {value} > {limit}"
        if any(
            at > self.now - S and (session, wanted) == (self.session, _without_name(intent))
            for at, session, wanted in self.wanted
        ):
            yield "an equal order just before"
        if any(at > self.now - 30 * S for at in self.losses()):
            yield "cooldown after a loss"
        if any(
            last > self.now - 45 * S
            for at in range(len(self.rejects))
            for other in range(len(self.rejects))
            if at != other and 0 <= (last := self.rejects[at]) - self.rejects[other] < 60 * S
        ):
            yield "cooldown after rejects"

    def past_exposure(self, intent: OrderIntent, sign: int, quantity: Fraction) -> Iterator[str]:
        limits, worst = self.limits, {}
        for symbol in SYMBOLS:
            held = sum(
                (
                    one.signed
                    for one in self.trades
                    if (one.session, one.symbol) == (self.session, symbol)
                ),
                start=Fraction(0),
            )
            rests = defaultdict(Fraction)
            for order in self.still_open():
                if order.intent.symbol == symbol:
                    rests[order.intent.side.sign] += Fraction(order.remaining)
            worst[symbol] = {1: held + rests[1], -1: -held + rests[-1]}
        asks = {symbol: Fraction(self.books[symbol][1]) for symbol in SYMBOLS}
        gross_before = sum(max(worst[symbol].values()) * asks[symbol] for symbol in SYMBOLS)
        worst[intent.symbol][sign] += quantity
        gross = sum(max(worst[symbol].values()) * asks[symbol] for symbol in SYMBOLS)
        net = sum(worst[symbol][sign] * asks[symbol] for symbol in SYMBOLS)
        asset = worst[intent.symbol][sign] * asks[intent.symbol]
        if worst[intent.symbol][sign] > limits.max_position:
            yield "position"
        if gross > limits.max_gross_exposure and gross > gross_before:
            yield "gross"
        if net > limits.max_net_exposure:
            yield "net"
        if asset > limits.max_asset_exposure:
            yield "asset"

    def account_losses(self) -> dict[str, tuple[Any, Any]]:
        """Losses of a day and a week, realised and marked, and the fall from the peak."""
        marks = {symbol: sum(map(Fraction, book)) / 2 for symbol, book in self.books.items()}
        equity = self.equity(marks)
        held = equity - OPENING + self.earned_before
        held -= sum(earned for _, earned in self.account())
        fall = (self.peak - equity) * 10_000 / self.peak
        found = {"drawdown": (fall, TERMS.max_drawdown_bps + _ROUNDED)}
        for name, span, limit in (
            ("day", DAY, TERMS.max_day_loss),
            ("week", 7 * DAY, TERMS.max_week_loss),
        ):
            earned = sum(earned for one, earned in self.account() if one.ts > self.now - span)
            found[name] = (-earned, Fraction(limit) + _ROUNDED)
            found[f"{name} marked"] = (-earned - held, Fraction(limit) + _ROUNDED)
        return found

    def equity(self, marks: dict[str, Fraction]) -> Fraction:
        """Of the open session: its opening, what was earned since, what is held at its mark."""
        gained = sum(one.signed * (marks[one.symbol] - one.price) for one in self.trades)
        return OPENING + gained - self.earned_before

    def still_open(self) -> list[Order]:
        """By a look at every order that there ever was."""
        ended = {OrderState.FILLED, OrderState.CANCELED, OrderState.REJECTED}
        return [one for one in self.refolded().orders.orders.values() if one.state not in ended]

    def account(self) -> Iterator[tuple[Trade, Fraction]]:
        """Each trade with what it realised, all sessions held together."""
        return self.walk(apart=False)

    def walk(self, *, apart: bool = True) -> Iterator[tuple[Trade, Fraction]]:
        """Each trade with what it realised, by average cost, each session for itself or not."""
        held: dict[tuple[str, str], tuple[Fraction, Fraction]] = {}
        for one in self.trades:
            key = (one.session if apart else "", one.symbol)
            quantity, average = held.get(key, (Fraction(0), Fraction(0)))
            after = quantity + one.signed
            if quantity * one.signed >= 0:
                spent = quantity * average + one.signed * one.price
                held[key] = (after, spent / after if after else Fraction(0))
                yield one, Fraction(0)
                continue
            closed = min(abs(quantity), abs(one.signed)) * (1 if quantity > 0 else -1)
            held[key] = (after, average if after * quantity > 0 else one.price)
            yield one, closed * (one.price - average)

    def losses(self) -> list[int]:
        """When a close lost, in the session that was open at the time of the trade."""
        return [
            one.ts for one, earned in self.walk() if earned < 0 and one in self.current_trades()
        ]

    def current_trades(self) -> set[Trade]:
        """Trades of orders whose session was the open one when they were told."""
        told, current = set(), ""
        trades = iter(self.trades)
        for recorded in self.journal:
            if isinstance(recorded.event, ev.SessionChartered):
                current = recorded.event.session_id
            elif isinstance(recorded.event, ev.OrderFilled):
                one = next(trades)
                if one.session == current:
                    told.add(one)
        return told

    def profit(self) -> Fraction:
        """Of the open session, at the mid."""
        total = Fraction(0)
        for one in self.trades:
            if one.session == self.session:
                mid = sum(map(Fraction, self.books[one.symbol])) / 2
                total += one.signed * (mid - one.price)
        return total


def in_force(state: State) -> InForce:
    """What is in force as an engine has it that was started over this state."""
    step = Step(name="whole", text="", limits={}, asks=Asks())
    limits = LimitsInForce(state, Environment.DEV, LIMITS, (step,))
    terms = DrillTerms(criteria={}, max_age_us=DAY, code_sha256="")
    return InForce(
        limits, EvidenceInForce(state, limits, Environment.DEV, lambda: terms, lambda: None)
    )


def _without_name(intent: OrderIntent) -> OrderIntent:
    return msgspec.structs.replace(intent, client_order_id="")


def _instrument(symbol: str) -> Instrument:
    return Instrument(
        symbol=symbol,
        base=symbol.removesuffix("USDT"),
        quote="USDT",
        tick_size=Decimal("0.01"),
        step_size=Decimal("0.001"),
        min_quantity=Decimal("0.001"),
        max_quantity=Decimal(100),
        min_notional=Decimal(1),
    )


NoWayRound.TestCase.settings = settings(
    max_examples=100,
    stateful_step_count=60,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
TestNoWayRound = NoWayRound.TestCase
