"""Shared builders of the order tests: one order, its events, and a journal around them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal

import pytest

from engine.contracts import event as ev
from engine.contracts.decision import Check, Decision, Verdict
from engine.contracts.fill import Fill, Liquidity
from engine.contracts.order import Order, OrderIntent, OrderState, OrderType, Side, TimeInForce
from engine.contracts.people import ENGINE

SESSION = "0123456789ab"
NAME = "pk-0123456789ab-000000"
ALLOW = Decision(
    verdict=Verdict.ALLOW, checks=(Check(code="X", verdict=Verdict.ALLOW, text="fine"),)
)


class Make:
    """Builds what the tests talk about; defaults are a buy of 1.0 BTC at 100."""

    NAME = NAME
    SESSION = SESSION

    @staticmethod
    def intent(name: str = NAME, side: Side = Side.BUY, quantity: str = "1.0") -> OrderIntent:
        return OrderIntent(
            client_order_id=name,
            symbol="BTCUSDT",
            side=side,
            type=OrderType.LIMIT,
            quantity=Decimal(quantity),
            price=Decimal(100),
            time_in_force=TimeInForce.GTC,
        )

    @classmethod
    def intended(
        cls, name: str = NAME, side: Side = Side.BUY, quantity: str = "1.0", session: str = SESSION
    ) -> ev.OrderIntended:
        intent = cls.intent(name, side, quantity)
        return ev.OrderIntended(
            session_id=session,
            intent=intent,
            intent_sha256=intent.intent_sha256(),
            owner="alice",
            decision=ALLOW,
        )

    @classmethod
    def order(cls, state: OrderState = OrderState.SUBMITTED, quantity: str = "1.0") -> Order:
        return Order(
            intent=cls.intent(quantity=quantity),
            state=state,
            owner="alice",
            session_id=SESSION,
            created_us=1,
            updated_us=1,
        )

    @staticmethod
    def fill(  # noqa: PLR0917  (a builder: the fields of Fill in their order)
        trade_id: str = "1",
        quantity: str | Decimal = "0.4",
        price: str | Decimal = "100",
        fee: str | Decimal = "0",
        fee_asset: str = "USDT",
        name: str = NAME,
        side: Side = Side.BUY,
        symbol: str = "BTCUSDT",
        venue_order_id: str = "77",
    ) -> Fill:
        return Fill(
            symbol=symbol,
            trade_id=trade_id,
            client_order_id=name,
            venue_order_id=venue_order_id,
            side=side,
            price=Decimal(price),
            quantity=Decimal(quantity),
            fee=Decimal(fee),
            fee_asset=fee_asset,
            liquidity=Liquidity.TAKER,
            time_us=5,
        )

    @classmethod
    def filled(cls, *args: object, session: str = SESSION, **fields: object) -> ev.OrderFilled:
        return ev.OrderFilled(session_id=session, fill=cls.fill(*args, **fields))  # type: ignore[arg-type]

    @staticmethod
    def acknowledged(name: str = NAME, venue_order_id: str = "77") -> ev.OrderAcknowledged:
        return ev.OrderAcknowledged(
            client_order_id=name, venue_order_id=venue_order_id, venue_time_us=3
        )

    @staticmethod
    def unknown(name: str = NAME) -> ev.OrderUnknown:
        return ev.OrderUnknown(client_order_id=name, cause="timeout")

    @staticmethod
    def lost(name: str = NAME) -> ev.OrderLost:
        return ev.OrderLost(client_order_id=name, cause="the venue no longer knows it")

    @staticmethod
    def rejected(name: str = NAME) -> ev.OrderRejected:
        return ev.OrderRejected(client_order_id=name, code="-2010", reason="no balance")

    @staticmethod
    def cancel_requested(name: str = NAME) -> ev.CancelRequested:
        return ev.CancelRequested(client_order_id=name, cancel_id="c1", cause="operator")

    @staticmethod
    def cancel_refused(name: str = NAME) -> ev.CancelRefused:
        return ev.CancelRefused(client_order_id=name, code="-2011", reason="Unknown order sent.")

    @staticmethod
    def canceled(name: str = NAME, filled: str = "0") -> ev.OrderCanceled:
        return ev.OrderCanceled(
            client_order_id=name, filled_quantity=Decimal(filled), venue_time_us=9
        )

    @staticmethod
    def expired(name: str = NAME, filled: str = "0") -> ev.OrderExpired:
        return ev.OrderExpired(
            client_order_id=name, filled_quantity=Decimal(filled), reason="IOC", venue_time_us=9
        )

    @staticmethod
    def closed(name: str = NAME) -> ev.OrderClosed:
        return ev.OrderClosed(client_order_id=name, run_id="r1")

    @staticmethod
    def recorded(events: Sequence[ev.AnyEvent]) -> list[ev.Recorded]:
        return [
            ev.Recorded(seq=seq, ts_us=1000 + seq, actor=ENGINE, event=event)
            for seq, event in enumerate(events)
        ]


@pytest.fixture(scope="session")
def make() -> type[Make]:
    return Make


@pytest.fixture(scope="session")
def all_events(make: type[Make]) -> Callable[[], list[ev.AnyEvent]]:
    """One of each event that the machine listens to, for the order `NAME`."""

    def build() -> list[ev.AnyEvent]:
        return [
            make.intended(),
            make.acknowledged(),
            make.rejected(),
            make.unknown(),
            make.lost(),
            make.filled(),
            make.filled("2", "1.0"),
            make.cancel_requested(),
            make.cancel_refused(),
            make.canceled(),
            make.expired(),
            make.closed(),
        ]

    return build
