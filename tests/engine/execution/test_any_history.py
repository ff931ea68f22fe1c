"""Any interleaving, loss, repetition and reordering of a valid venue history ends the same.

A venue of a few lines executes one order; its messages reach the ledger in whatever order the test
draws, twice, late or never, between doubts, cancels and queries of ours. At the end the venue is
asked once, and the order must be what it is at the venue.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from engine.contracts import event as ev
from engine.contracts.decision import Check, Verdict, decide_all
from engine.contracts.fill import Fill, Liquidity
from engine.contracts.order import Order, OrderIntent, OrderState, OrderType, Side, TimeInForce
from engine.contracts.people import ENGINE
from engine.execution.settle.converge import converge, missing_fills
from engine.orders.ledger import OrderLedger
from engine.orders.machine import FINAL_STATES
from engine.venues.port import OrderReport

NAME, SESSION, QUANTITY = "pk-abcdefabcdef-000000", "abcdefabcdef", Decimal(10)
ALLOWED = decide_all((Check(code="X", verdict=Verdict.ALLOW, text="x"),))
#: How the venue's end of an order reads here.
ENDS = {
    "FILLED": OrderState.FILLED,
    "CANCELED": OrderState.CANCELED,
    "EXPIRED": OrderState.EXPIRED,
    "NEW": OrderState.ACKNOWLEDGED,
    "PARTIALLY_FILLED": OrderState.PARTIALLY_FILLED,
}


class OneOrder(RuleBasedStateMachine):
    """The venue's side (status, trades) and ours (a ledger fed by converge)."""

    def __init__(self) -> None:
        super().__init__()
        self.status = "NEW"
        self.trades: list[Fill] = []
        self.messages: list[tuple[OrderReport, tuple[Fill, ...]]] = []
        self.ledger = OrderLedger()
        self.seq = 0
        self.was_final = False
        intent = OrderIntent(
            client_order_id=NAME,
            symbol="BTCUSDT",
            side=Side.BUY,
            type=OrderType.LIMIT,
            quantity=QUANTITY,
            price=Decimal(100),
            time_in_force=TimeInForce.GTC,
        )
        self.tell(
            ev.OrderIntended(
                session_id=SESSION,
                intent=intent,
                intent_sha256=intent.intent_sha256(),
                owner="alice",
                decision=ALLOWED,
            )
        )
        self.say()

    # --- the venue ------------------------------------------------------------------------------

    @property
    def over(self) -> bool:
        return self.status in {"FILLED", "CANCELED", "EXPIRED"}

    @property
    def filled(self) -> Decimal:
        return sum((one.quantity for one in self.trades), start=Decimal(0))

    def report(self) -> OrderReport:
        return OrderReport(
            symbol="BTCUSDT",
            client_order_id=NAME,
            venue_order_id="7",
            side=Side.BUY,
            status=self.status,
            price=Decimal(100),
            quantity=QUANTITY,
            filled_quantity=self.filled,
            filled_quote=self.filled * 100,
            time_us=len(self.messages),
        )

    def say(self, *fills: Fill) -> None:
        self.messages.append((self.report(), fills))

    @precondition(lambda self: not self.over)
    @rule(size=st.integers(1, 10), named=st.booleans())
    def venue_trades(self, size: int, named: bool) -> None:
        quantity = min(Decimal(size), QUANTITY - self.filled)
        fill = Fill(
            symbol="BTCUSDT",
            trade_id=str(len(self.trades) + 1),
            client_order_id=NAME if named else "",
            venue_order_id="7",
            side=Side.BUY,
            price=Decimal(100 - len(self.trades)),
            quantity=quantity,
            fee=Decimal("0.001"),
            fee_asset="BTC",
            liquidity=Liquidity.MAKER,
            time_us=10 + len(self.trades),
        )
        self.trades.append(fill)
        self.status = "FILLED" if self.filled == QUANTITY else "PARTIALLY_FILLED"
        self.say(fill)

    @precondition(lambda self: not self.over)
    @rule(end=st.sampled_from(["CANCELED", "EXPIRED"]))
    def venue_ends_it(self, end: str) -> None:
        self.status = end
        self.say()

    # --- our side -------------------------------------------------------------------------------

    @property
    def order(self) -> Order:
        order = self.ledger.get(NAME)
        assert order is not None
        return order

    def tell(self, *events: ev.AnyEvent) -> None:
        for event in events:
            recorded = ev.Recorded(seq=self.seq, ts_us=1000 + self.seq, actor=ENGINE, event=event)
            self.seq += 1
            before = self.ledger.get(NAME)
            refused = self.ledger.apply(recorded)
            assert refused is None, (event, refused)
            if before is not None and before.state is OrderState.UNKNOWN:
                own = isinstance(
                    event, ev.OrderUnknown | ev.CancelRequested | ev.CancelRefused | ev.OrderLost
                )
                assert not (own and self.order.state is not OrderState.UNKNOWN)

    @rule(which=st.integers(0, 50), strip=st.booleans())
    def a_message_arrives(self, which: int, strip: bool) -> None:
        """Any message of the past, once more or for the first time; an answer has no trades."""
        report, fills = self.messages[which % len(self.messages)]
        self.tell(*converge(self.ledger, report, () if strip else fills))

    @precondition(lambda self: self.order.state not in FINAL_STATES)
    @rule()
    def a_request_is_in_doubt(self) -> None:
        self.tell(ev.OrderUnknown(client_order_id=NAME, cause="timeout"))

    @precondition(lambda self: self.order.state is OrderState.UNKNOWN)
    @rule()
    def the_venue_seems_to_have_lost_it(self) -> None:
        self.tell(ev.OrderLost(client_order_id=NAME, cause="not found"))

    @precondition(lambda self: self.order.state not in FINAL_STATES)
    @rule()
    def a_cancel_is_asked_for(self) -> None:
        self.tell(ev.CancelRequested(client_order_id=NAME, cancel_id="c", cause="test"))

    @rule()
    def a_cancel_is_refused(self) -> None:
        self.tell(ev.CancelRefused(client_order_id=NAME, code="-2011", reason="Unknown order"))

    @rule(some=st.integers(0, 3))
    def the_venue_is_asked(self, some: int) -> None:
        """A query: the report of now; the trades' list may lag behind by some."""
        self.ask(self.trades[: len(self.trades) - some] if some else self.trades)

    def ask(self, shown: list[Fill]) -> None:
        report = self.report()
        fills = shown if missing_fills(self.ledger, report) else []
        self.tell(*converge(self.ledger, report, fills))

    # --- what always holds ------------------------------------------------------------------------

    @invariant()
    def nothing_is_invented_and_nothing_counts_twice(self) -> None:
        order = self.order
        told = {one.trade_id: one for one in self.trades}
        assert order.trade_ids <= set(told)
        assert order.filled_quantity == sum(told[one].quantity for one in order.trade_ids)
        assert order.filled_quantity <= order.intent.quantity
        assert len(self.ledger.fills) == len(order.trade_ids)
        assert self.ledger.told_quantity(NAME) == order.filled_quantity

    @invariant()
    def what_is_final_stays_final(self) -> None:
        final = self.order.state in FINAL_STATES
        assert final or not self.was_final
        self.was_final = final

    @invariant()
    def asking_twice_tells_nothing_new(self) -> None:
        for report, fills in self.messages:
            events = converge(self.ledger, report, fills)
            again = OrderLedger()
            again.__dict__.update(_copied(self.ledger))
            for event in events:
                again.apply(ev.Recorded(seq=0, ts_us=0, actor=ENGINE, event=event))
            assert converge(again, report, fills) == []

    def teardown(self) -> None:
        """Whatever happened before: asked once, the order is what it is at the venue."""
        self.ask(self.trades)
        if self.order.state is OrderState.CANCEL_PENDING:
            self.tell(ev.CancelRefused(client_order_id=NAME, code="STILL_OPEN", reason="open"))
        order = self.order
        assert not missing_fills(self.ledger, self.report())
        assert order.state is ENDS[self.status]
        assert order.filled_quantity == self.filled
        assert order.filled_quote == sum(
            (one.price * one.quantity for one in self.trades), start=Decimal(0)
        )
        assert order.venue_order_id == "7"
        assert not order.lost


def _copied(ledger: OrderLedger) -> dict[str, Any]:
    return {name: value.copy() for name, value in vars(ledger).items() if name != "_archive"}


TestAnyHistory = OneOrder.TestCase
TestAnyHistory.settings = settings(max_examples=220, stateful_step_count=25, deadline=None)
