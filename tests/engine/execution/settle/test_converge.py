"""I2: nothing is invented; what was learned once is not learned again."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from engine.contracts.decision import Check, Verdict, decide_all
from engine.contracts.event import (
    OrderAcknowledged,
    OrderCanceled,
    OrderFilled,
    OrderIntended,
    OrderUnknown,
    Recorded,
)
from engine.contracts.fill import Fill, Liquidity
from engine.contracts.order import Order, OrderIntent, OrderState, OrderType, Side, TimeInForce
from engine.contracts.people import ENGINE
from engine.execution.settle.converge import converge, missing_fills
from engine.orders.ledger import OrderLedger
from engine.venues.port import OrderReport

NAME = "pk-abcdefabcdef-000000"
QUANTITY = Decimal(10)
ALLOWED = decide_all((Check(code="X", verdict=Verdict.ALLOW, text="x"),))


class Ledger:
    """One intended order and whatever is told about it."""

    def __init__(self) -> None:
        self.ledger = OrderLedger()
        self._seq = 0
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
            OrderIntended(
                session_id="abcdefabcdef",
                intent=intent,
                intent_sha256=intent.intent_sha256(),
                owner="alice",
                decision=ALLOWED,
            )
        )

    def tell(self, *events: object) -> None:
        for event in events:
            recorded = Recorded(seq=self._seq, ts_us=1000 + self._seq, actor=ENGINE, event=event)
            self._seq += 1
            assert self.ledger.apply(recorded) is None, event

    @property
    def order(self) -> Order:
        order = self.ledger.get(NAME)
        assert order is not None
        return order


def fill_of(number: int, quantity: int, client_order_id: str = NAME) -> Fill:
    return Fill(
        symbol="BTCUSDT",
        trade_id=str(number),
        client_order_id=client_order_id,
        venue_order_id="7",
        side=Side.BUY,
        price=Decimal(100),
        quantity=Decimal(quantity),
        fee=Decimal(0),
        fee_asset="BTC",
        liquidity=Liquidity.MAKER,
        time_us=number,
    )


def report_of(status: str, filled: int) -> OrderReport:
    return OrderReport(
        symbol="BTCUSDT",
        client_order_id=NAME,
        venue_order_id="7",
        side=Side.BUY,
        status=status,
        price=Decimal(100),
        quantity=QUANTITY,
        filled_quantity=Decimal(filled),
        filled_quote=Decimal(100 * filled),
        time_us=5,
    )


#: Quantities of up to five trades that do not sum to more than the order.
trades = st.lists(st.integers(1, 2), max_size=5)
statuses = st.sampled_from(["NEW", "PARTIALLY_FILLED", "FILLED", "CANCELED", "EXPIRED"])


@st.composite
def scenes(draw: st.DrawFn) -> tuple[Ledger, OrderReport, list[Fill]]:
    ledger = Ledger()
    fills = [fill_of(number, size) for number, size in enumerate(draw(trades))]
    if draw(st.booleans()):
        ack = OrderAcknowledged(client_order_id=NAME, venue_order_id="7", venue_time_us=1)
        ledger.tell(ack)
    known = [fill for fill in fills if draw(st.booleans())]
    ledger.tell(*(OrderFilled(session_id="abcdefabcdef", fill=fill) for fill in known))
    if draw(st.booleans()) and ledger.order.state is not OrderState.FILLED:
        ledger.tell(OrderUnknown(client_order_id=NAME, cause="test"))
    total = int(sum(fill.quantity for fill in fills))
    status = draw(statuses)
    told = draw(st.lists(st.sampled_from(fills), max_size=8)) if fills else []
    return ledger, report_of(status, total), told


@given(scenes())
def test_i2_converging_again_adds_nothing(scene: tuple[Ledger, OrderReport, list[Fill]]) -> None:
    ledger, report, told = scene
    ledger.tell(*converge(ledger.ledger, report, told))
    assert converge(ledger.ledger, report, told) == []


@given(scenes())
def test_i2_only_trades_that_were_told_are_filled(
    scene: tuple[Ledger, OrderReport, list[Fill]],
) -> None:
    ledger, report, told = scene
    before = ledger.order
    events = converge(ledger.ledger, report, told)
    filled = [event.fill for event in events if isinstance(event, OrderFilled)]
    assert all(fill in told for fill in filled)
    assert len({fill.trade_id for fill in filled}) == len(filled)
    assert not {fill.trade_id for fill in filled} & before.trade_ids
    ledger.tell(*events)
    assert ledger.order.filled_quantity == before.filled_quantity + sum(
        (fill.quantity for fill in filled), start=Decimal(0)
    )


@given(scenes())
def test_what_is_missing_is_said_and_not_filled_in(
    scene: tuple[Ledger, OrderReport, list[Fill]],
) -> None:
    ledger, report, _ = scene
    ledger.tell(*converge(ledger.ledger, report, ()))
    short = ledger.order.filled_quantity < report.filled_quantity
    assert missing_fills(ledger.ledger, report) is short


def test_trades_of_other_orders_are_left_alone() -> None:
    ledger = Ledger()
    strange = fill_of(1, 1, "pk-abcdefabcdef-000009")
    events = converge(ledger.ledger, report_of("NEW", 0), (strange,))
    assert [type(event) for event in events] == [OrderAcknowledged]


def test_a_trade_without_our_id_is_matched_by_the_venue_s_id() -> None:
    ledger = Ledger()
    events = converge(ledger.ledger, report_of("PARTIALLY_FILLED", 1), (fill_of(1, 1, ""),))
    filled = [event.fill for event in events if isinstance(event, OrderFilled)]
    assert [fill.client_order_id for fill in filled] == [NAME]


def test_an_order_first_seen_canceled_is_acknowledged_first() -> None:
    ledger = Ledger()
    events = converge(ledger.ledger, report_of("CANCELED", 0), ())
    assert [type(event) for event in events] == [OrderAcknowledged, OrderCanceled]


def test_i3_unknown_ends_by_an_open_report_also_when_it_was_acknowledged_before() -> None:
    ledger = Ledger()
    ledger.tell(
        OrderAcknowledged(client_order_id=NAME, venue_order_id="7", venue_time_us=1),
        OrderUnknown(client_order_id=NAME, cause="cancel without answer"),
    )
    ledger.tell(*converge(ledger.ledger, report_of("NEW", 0), ()))
    assert ledger.order.state is OrderState.ACKNOWLEDGED
