"""Asking the venue until nothing is unknown: what is concluded, when, at what cost, and what never.

The venue here is a script: it says what the test tells it to, also what no exchange should say (a
trade too many, an order forgotten), which the sandbox cannot be brought to. Journal and folds are
the real ones; the clock is the test's.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest

from engine.contracts import event as ev
from engine.contracts.decision import Check, Verdict, decide_all
from engine.contracts.fill import Fill, Liquidity
from engine.contracts.order import Order, OrderIntent, OrderState, OrderType, Side, TimeInForce
from engine.contracts.people import ENGINE
from engine.execution.core import Core, State
from engine.execution.limits.facts import FactsBuilder
from engine.execution.pipeline import OrderDesk
from engine.execution.settle import asking
from engine.execution.settle import settler as settler_module
from engine.execution.settle.settler import Settler
from engine.journal.writer import Journal
from engine.orders.ledger import client_order_id
from engine.orders.machine import Illegal
from engine.venues.port import (
    Accepted,
    CancelOutcome,
    OrderReport,
    OrderUpdate,
    RateUse,
    Rejected,
    SubmitOutcome,
    Unknown,
    Venue,
    VenueQueryFailed,
)

SESSION = "abcdefabcdef"
SYMBOL = "BTCUSDT"
SECOND = 1_000_000
ALLOWED = decide_all((Check(code="X", verdict=Verdict.ALLOW, text="x"),))


class Clock:
    """Both clocks of the settler, µs; moved by the test alone."""

    us = 1_000_000 * SECOND

    def __call__(self) -> int:
        return self.us


class Script:
    """The venue's side: its orders, its trades, and how it answers."""

    def __init__(self) -> None:
        self.orders_now: dict[str, OrderReport] = {}
        self.trades: list[Fill] = []
        self.fails = ""
        self.asked: list[str] = []
        self.on_cancel: CancelOutcome = Unknown(cause="not scripted")
        self.during_cancel: Any = None
        self.silent_ms = 0
        self.fails_for: set[str] = set()

    def _answer(self, what: str) -> None:
        self.asked.append(what)
        if self.fails:
            raise VenueQueryFailed(what=what, where="script", todo="", code=self.fails)

    def rate_use(self) -> RateUse:
        return RateUse(used=0, limit=6000, silent_ms=self.silent_ms)

    async def order(self, symbol: str, name: str) -> OrderReport | None:
        self._answer(f"order {name}")
        if symbol in self.fails_for:
            raise VenueQueryFailed(what=symbol, where="script", todo="", code="-1121")
        return self.orders_now.get(name)

    async def orders(self, symbol: str, since_us: int) -> tuple[OrderReport, ...]:
        self._answer("orders")
        return tuple(self.orders_now.values())

    async def open_orders(self, symbol: str) -> tuple[OrderReport, ...]:
        self._answer("open_orders")
        return tuple(one for one in self.orders_now.values() if one.open)

    async def fills(self, symbol: str, since_us: int) -> tuple[Fill, ...]:
        self._answer("fills")
        return tuple(self.trades)

    async def cancel(self, symbol: str, name: str, cancel_id: str) -> CancelOutcome:
        self._answer(f"cancel {name}")
        if self.during_cancel is not None:
            await self.during_cancel()
        return self.on_cancel


class Desk:
    """A settler over a real journal, with orders in any state."""

    def __init__(self, core: Core, clock: Clock) -> None:
        self.core, self.clock, self.venue = core, clock, Script()
        self.alarms: list[tuple[str, str]] = []
        self.illegal: list[str] = []
        core.report(lambda _, why: self._note(why), lambda _: None)
        self.settler = Settler(core, cast("Venue", self.venue), 5000, self._alarm)
        self.desk = OrderDesk(
            core, cast("Venue", self.venue), cast("FactsBuilder", None), self.settler
        )

    def _note(self, why: Illegal) -> None:
        self.illegal.append(why.code)

    async def _alarm(self, code: str, text: str) -> None:
        if (code, text) not in self.alarms:
            self.alarms.append((code, text))

    async def intend(self, number: int = 0, quantity: str = "1.0", symbol: str = SYMBOL) -> str:
        name = client_order_id(SESSION, number)
        intent = OrderIntent(
            client_order_id=name,
            symbol=symbol,
            side=Side.BUY,
            type=OrderType.LIMIT,
            quantity=Decimal(quantity),
            price=Decimal(100),
            time_in_force=TimeInForce.GTC,
        )
        await self.core.record(
            ENGINE,
            ev.OrderIntended(
                session_id=SESSION,
                intent=intent,
                intent_sha256=intent.intent_sha256(),
                owner="alice",
                decision=ALLOWED,
            ),
        )
        self.settler.leaves(name)
        self.settler.answered(name)
        return name

    async def rest(self, number: int = 0) -> str:
        """An order that rests, here and there."""
        name = await self.intend(number)
        await self.settler.learn(self.show(name), ())
        return name

    def show(self, name: str, status: str = "NEW", filled: str = "0") -> OrderReport:
        """The venue has this order now."""
        report = OrderReport(
            symbol=SYMBOL,
            client_order_id=name,
            venue_order_id=f"v{name[-3:]}",
            side=Side.BUY,
            status=status,
            price=Decimal(100),
            quantity=Decimal("1.0"),
            filled_quantity=Decimal(filled),
            filled_quote=Decimal(filled) * 100,
            time_us=5,
        )
        self.venue.orders_now[name] = report
        return report

    def trade(self, name: str, trade_id: str, quantity: str) -> Fill:
        """The venue has this trade now."""
        fill = Fill(
            symbol=SYMBOL,
            trade_id=trade_id,
            client_order_id=name,
            venue_order_id=f"v{name[-3:]}",
            side=Side.BUY,
            price=Decimal(100),
            quantity=Decimal(quantity),
            fee=Decimal(0),
            fee_asset="BTC",
            liquidity=Liquidity.MAKER,
            time_us=len(self.venue.trades),
        )
        self.venue.trades.append(fill)
        return fill

    def order(self, name: str) -> Order:
        order = self.core.state.orders.get(name)
        assert order is not None
        return order

    async def asked_for(self, seconds: float, step: float = 0.1) -> None:
        """Let so many seconds pass, with the settler asking whenever it wants to."""
        until = self.clock.us + int(seconds * SECOND)
        while self.clock.us < until:
            await self.settler._ask_due()
            self.clock.us += int(step * SECOND)

    def told(self, kind: type[ev.Event]) -> list[ev.AnyEvent]:
        return [one.event for one in self.core.journal.read() if isinstance(one.event, kind)]


@pytest.fixture
async def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Desk]:
    clock = Clock()
    monkeypatch.setattr(asking, "monotonic_us", clock)
    for module in (asking, settler_module):
        monkeypatch.setattr(module, "wall_us", clock)
    opened = Journal.open(
        tmp_path / "journal", commit_interval_ms=0, segment_lines=100_000, clock_us=clock
    )
    yield Desk(Core(opened.journal, State()), clock)
    opened.journal.close()


def one_alarm(desk: Desk, code: str) -> str:
    (text,) = [text for raised, text in desk.alarms if raised == code]
    return text


# --- never accepted, lost, contradicted -----------------------------------------------------------


async def test_i3_not_found_is_proof_only_past_the_receive_window(desk: Desk) -> None:
    name = await desk.intend()
    await desk.settler.mark_unknown(name, "timeout")
    await desk.asked_for(6.0)
    assert desk.order(name).state is OrderState.UNKNOWN
    await desk.asked_for(3.0)
    assert desk.order(name).state is OrderState.REJECTED
    assert desk.settler.unsettled == ()


async def test_i3_a_venue_that_does_not_answer_concludes_nothing_ever(desk: Desk) -> None:
    """Pain 4 (nautilus_trader #4152): a timed-out order became REJECTED without proof."""
    resting, doubted = await desk.rest(0), await desk.intend(1)
    await desk.settler.mark_unknown(doubted, "timeout")
    desk.settler.settle_later(resting)
    desk.venue.fails = "TIMEOUT"
    await desk.asked_for(3600, step=1)
    assert desk.order(doubted).state is OrderState.UNKNOWN
    assert desk.order(resting).state is OrderState.ACKNOWLEDGED
    assert not desk.told(ev.OrderLost)
    desk.venue.fails = ""
    desk.show(doubted)
    await desk.asked_for(10)
    assert desk.order(doubted).state is OrderState.ACKNOWLEDGED
    assert desk.settler.unsettled == ()


async def test_an_order_that_the_venue_forgot_is_in_doubt_at_once_and_lost_after_ten_seconds(
    desk: Desk,
) -> None:
    name = await desk.rest()
    desk.venue.orders_now.clear()  # the venue was wiped
    desk.settler.settle_later(name)
    await desk.asked_for(1)
    assert desk.order(name).state is OrderState.UNKNOWN
    await desk.asked_for(8.5)
    assert desk.told(ev.OrderLost) == []
    await desk.asked_for(4)
    assert desk.order(name).lost
    assert len(desk.told(ev.OrderLost)) == 1
    assert len(desk.told(ev.OrderUnknown)) == 1
    assert name in one_alarm(desk, "ORDER_LOST")
    assert desk.settler.unsettled == ()
    assert desk.core.state.orders.unsettled() == ()

    asked = len(desk.venue.asked)
    await desk.settler.sync(SYMBOL)  # a reconnect asks once more, and no more than once
    await desk.asked_for(30)
    assert [one for one in desk.venue.asked[asked:] if one.startswith("order ")] == [
        f"order {name}"
    ]
    assert len(desk.told(ev.OrderLost)) == 1


async def test_late_news_brings_a_lost_order_back(desk: Desk) -> None:
    name = await desk.rest()
    report = desk.venue.orders_now.pop(name)
    desk.settler.settle_later(name)
    await desk.asked_for(15)
    assert desk.order(name).lost
    await desk.settler.on_update(OrderUpdate(execution="NEW", report=report))
    assert (desk.order(name).state, desk.order(name).lost) == (OrderState.ACKNOWLEDGED, False)


async def test_a_lost_order_that_the_venue_shows_open_again_is_found_by_the_look(
    desk: Desk,
) -> None:
    name = await desk.rest()
    report = desk.venue.orders_now.pop(name)
    desk.settler.settle_later(name)
    await desk.asked_for(15)
    desk.venue.orders_now[name] = report
    await desk.settler.look_for_missed(SYMBOL)
    await desk.asked_for(1)
    assert desk.order(name).state is OrderState.ACKNOWLEDGED


async def test_an_order_that_is_shown_open_is_not_lost_though_queries_do_not_find_it(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = await desk.rest()

    async def blind(symbol: str, asked: str) -> None:
        return None

    monkeypatch.setattr(desk.venue, "order", blind)
    desk.settler.settle_later(name)
    await desk.asked_for(60, step=0.5)
    assert not desk.order(name).lost
    assert desk.settler.unsettled == (name,)


async def test_an_overfill_is_recorded_once_however_often_the_venue_is_asked(desk: Desk) -> None:
    name = await desk.rest()
    desk.trade(name, "1", "0.6")
    desk.trade(name, "2", "0.6")
    desk.show(name, "FILLED", "1.2")
    for _ in range(3):
        desk.settler.settle_later(name)
        await desk.asked_for(6)
    assert len(desk.told(ev.OrderFilled)) == 2
    assert desk.illegal == ["OVERFILL"]
    order = desk.order(name)
    assert (order.filled_quantity, order.state, order.lost) == (
        Decimal("0.6"),
        OrderState.UNKNOWN,
        True,
    )
    assert "1.2" in one_alarm(desk, "ORDER_LOST")
    assert desk.settler.unsettled == ()


async def test_a_trade_told_twice_and_differently_is_recorded_once_each(desk: Desk) -> None:
    name = await desk.rest()
    one = desk.trade(name, "1", "0.4")
    report = desk.show(name, "PARTIALLY_FILLED", "0.4")
    await desk.settler.learn(report, (one,))
    other = msgspec.structs.replace(one, quantity=Decimal("0.5"))
    for _ in range(4):
        await desk.settler.learn(report, (one, other))
    assert len(desk.told(ev.OrderFilled)) == 2
    assert desk.illegal == ["FILL_CONFLICT"]
    assert desk.order(name).filled_quantity == Decimal("0.4")


async def test_trades_that_the_venue_does_not_list_are_waited_for_and_then_said(
    desk: Desk,
) -> None:
    """I2: a report of 0.5 filled fills nothing; the trades do."""
    name = await desk.rest()
    desk.show(name, "CANCELED", "0.5")
    desk.settler.settle_later(name)
    await desk.asked_for(5)
    assert (desk.order(name).state, desk.order(name).filled_quantity) == (OrderState.CANCELED, 0)
    assert desk.settler.unsettled == (name,)
    await desk.asked_for(8)
    assert desk.settler.unsettled == ()
    assert "0.5" in one_alarm(desk, "ORDER_LOST")
    fill = desk.trade(name, "1", "0.5")
    await desk.settler.missed_fills(SYMBOL, 0)
    assert desk.order(name).filled_quantity == fill.quantity


# --- cost and fairness ----------------------------------------------------------------------------


async def test_hundreds_of_doubts_cost_a_few_questions(desk: Desk) -> None:
    names = [await desk.intend(number) for number in range(300)]
    for name in names:
        await desk.settler.mark_unknown(name, "reset")
        desk.show(name)
    half = names[::2]
    for number, name in enumerate(half):
        desk.trade(name, str(number), "1.0")
        desk.show(name, "FILLED", "1.0")
    await desk.asked_for(0.2)
    assert desk.venue.asked == ["orders", "fills"]
    assert desk.settler.unsettled == ()
    states = [desk.order(name).state for name in names]
    assert states.count(OrderState.FILLED) == states.count(OrderState.ACKNOWLEDGED) == 150


async def test_of_hundreds_that_the_venue_does_not_know_each_is_asked_for_in_its_turn(
    desk: Desk,
) -> None:
    names = [await desk.rest(number) for number in range(60)]
    desk.venue.orders_now.clear()
    for name in names:
        desk.settler.settle_later(name)
    await desk.settler._ask_due()
    by_name = [one for one in desk.venue.asked if one.startswith("order ")]
    assert len(by_name) == 10
    await desk.asked_for(3)
    assert {f"order {name}" for name in names} <= set(desk.venue.asked)
    before = len(desk.venue.asked)
    await desk.asked_for(60)
    weight = sum(4 if one.startswith("order ") else 20 for one in desk.venue.asked[before:])
    assert weight < 6000 * 0.8
    assert all(desk.order(name).lost for name in names)
    asked = len(desk.venue.asked)
    await desk.asked_for(60)
    assert len(desk.venue.asked) == asked


@pytest.mark.parametrize("code", ["-1003", "HTTP_429", "HTTP_418", "RATE_RESERVED", "RATE_SILENCE"])
async def test_who_is_refused_for_the_rate_asks_seldom(desk: Desk, code: str) -> None:
    """Pain 15 (freqtrade #7187): polling on past a 429 got the address banned."""
    name = await desk.intend()
    await desk.settler.mark_unknown(name, "timeout")
    desk.venue.fails = code
    await desk.asked_for(300, step=0.25)
    assert len(desk.venue.asked) <= 15
    desk.venue.fails = ""
    desk.show(name)
    await desk.asked_for(33)
    assert desk.order(name).state is OrderState.ACKNOWLEDGED


async def test_a_symbol_whose_queries_fail_does_not_hold_up_the_others(desk: Desk) -> None:
    broken = await desk.intend(0, symbol="GONEUSDT")
    sound = await desk.intend(1)
    desk.venue.fails_for = {"GONEUSDT"}
    await desk.settler.mark_unknown(broken, "timeout")
    await desk.settler.mark_unknown(sound, "timeout")
    desk.show(sound)
    await desk.asked_for(5)
    assert desk.order(sound).state is OrderState.ACKNOWLEDGED
    assert desk.settler.unsettled == (broken,)


async def test_the_silence_that_the_venue_asked_for_is_kept(desk: Desk) -> None:
    name = await desk.intend()
    await desk.settler.mark_unknown(name, "timeout")
    desk.venue.fails, desk.venue.silent_ms = "HTTP_418", 120_000
    await desk.asked_for(119, step=0.5)
    assert len(desk.venue.asked) == 1


# --- races ----------------------------------------------------------------------------------------


async def test_cancel_refused_and_then_the_trade(desk: Desk) -> None:
    name = await desk.rest()
    fill = desk.trade(name, "1", "1.0")
    filled = desk.show(name, "FILLED", "1.0")
    desk.venue.on_cancel = Rejected(code="-2011", reason="Unknown order sent.")
    await desk.desk._cancel(desk.order(name), ENGINE, "test")
    assert desk.order(name).state is OrderState.ACKNOWLEDGED  # not open there, not yet known why
    await desk.settler.on_update(OrderUpdate(execution="TRADE", report=filled, fill=fill))
    await desk.asked_for(1)
    assert desk.order(name).state is OrderState.FILLED
    assert len(desk.told(ev.OrderFilled)) == 1


async def test_cancel_refused_and_the_trade_only_by_asking(desk: Desk) -> None:
    name = await desk.rest()
    desk.trade(name, "1", "1.0")
    desk.show(name, "FILLED", "1.0")
    desk.venue.on_cancel = Rejected(code="-2011", reason="Unknown order sent.")
    await desk.desk._cancel(desk.order(name), ENGINE, "test")
    await desk.asked_for(1)
    assert desk.order(name).state is OrderState.FILLED


async def test_a_cancel_under_way_is_not_called_refused(desk: Desk) -> None:
    """I2: that the order is still open while the cancel travels is no refusal of it."""
    name = await desk.rest()

    async def asked_meanwhile() -> None:
        desk.settler.settle_later(name)
        await desk.asked_for(1)
        await desk.settler.look_for_missed(SYMBOL)

    desk.venue.during_cancel = asked_meanwhile
    await desk.desk._cancel(desk.order(name), ENGINE, "test")
    assert desk.told(ev.CancelRefused) == []
    assert desk.order(name).state is OrderState.UNKNOWN  # this script's cancel has no answer


async def test_an_order_that_ended_meanwhile_is_not_canceled_and_nothing_is_refused(
    desk: Desk,
) -> None:
    name = await desk.rest()
    before = desk.order(name)
    fill = desk.trade(name, "1", "1.0")
    await desk.settler.learn(desk.show(name, "FILLED", "1.0"), (fill,))
    await desk.desk._cancel(before, ENGINE, "test")
    assert (desk.told(ev.CancelRequested), desk.illegal) == ([], [])
    assert not [one for one in desk.venue.asked if one.startswith("cancel")]


@pytest.mark.parametrize("first", ["answer", "report"])
async def test_answer_before_and_after_the_report_of_the_stream(desk: Desk, first: str) -> None:
    name = await desk.intend()
    fill = desk.trade(name, "1", "1.0")
    new, filled = desk.show(name), desk.show(name, "FILLED", "1.0")
    stream = [
        OrderUpdate(execution="NEW", report=new),
        OrderUpdate(execution="TRADE", report=filled, fill=fill),
    ]

    async def answer(outcome: SubmitOutcome) -> None:
        assert isinstance(outcome, Accepted)
        await desk.settler.learn(outcome.report, outcome.fills)

    accepted = Accepted(report=filled, fills=(fill,))
    if first == "answer":
        await answer(accepted)
    for update in stream:
        await desk.settler.on_update(update)
    if first == "report":
        await answer(accepted)
    assert desk.order(name).state is OrderState.FILLED
    assert len(desk.told(ev.OrderFilled)) == len(desk.told(ev.OrderAcknowledged)) == 1


async def test_an_order_given_up_that_reports_itself_is_an_alarm_at_once(desk: Desk) -> None:
    name = await desk.intend()
    await desk.settler.mark_unknown(name, "timeout")
    await desk.asked_for(9)
    assert desk.order(name).state is OrderState.REJECTED
    await desk.settler.on_update(OrderUpdate(execution="NEW", report=desk.show(name)))
    assert desk.order(name).state is OrderState.REJECTED  # final stays final
    assert name in one_alarm(desk, "LEDGER_REFUSED")


def _sum(fills: Sequence[Fill]) -> Decimal:
    return sum((one.quantity for one in fills), start=Decimal(0))


async def test_missed_fills_are_recorded_once_and_strangers_are_named(desk: Desk) -> None:
    """Pain 15 (Lean IB #249): fills during a disconnect were never recovered."""
    names = [await desk.rest(number) for number in range(3)]
    for number, name in enumerate(names):
        desk.trade(name, str(number), "0.5")
    stranger = desk.trade("somebody", "99", "7")
    await desk.settler.missed_fills(SYMBOL, 0)
    await desk.settler.missed_fills(SYMBOL, 0)
    assert _sum(desk.core.state.orders.fills) == Decimal("1.5")
    assert len(desk.told(ev.OrderFilled)) == 3
    assert stranger.trade_id in one_alarm(desk, "ORPHAN")
