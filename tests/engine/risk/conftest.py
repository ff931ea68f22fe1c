"""A world in which an order is allowed; each test spoils one fact of it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from engine.contracts.decision import Check, Verdict
from engine.contracts.instrument import Instrument
from engine.contracts.order import Order, OrderIntent, OrderState, OrderType, Side, TimeInForce
from engine.contracts.session import Limits, SessionState
from engine.risk.limits import RiskFacts

NOW = 1_000_000_000

INSTRUMENT = Instrument(
    symbol="BTCUSDT",
    base="BTC",
    quote="USDT",
    tick_size=Decimal("0.01"),
    step_size=Decimal("0.001"),
    min_quantity=Decimal("0.001"),
    max_quantity=Decimal("100"),
    min_notional=Decimal("5"),
)

LIMITS = Limits(
    max_order_quantity=Decimal("2"),
    max_order_notional=Decimal("300"),
    max_position=Decimal("5"),
    max_open_orders=4,
    max_orders_per_second=2,
    max_orders_per_minute=5,
    max_orders_per_session=50,
    max_session_loss=Decimal("100"),
    price_collar_bps=100,
)


class World:
    """Builders: book 99.90 / 100.10 (mid 100), a limit buy of 1 BTC at 100."""

    NOW = NOW
    INSTRUMENT = INSTRUMENT
    LIMITS = LIMITS

    @staticmethod
    def intent(**changes: Any) -> OrderIntent:
        base = OrderIntent(
            client_order_id="pk-a-000001",
            symbol="BTCUSDT",
            side=Side.BUY,
            type=OrderType.LIMIT,
            quantity=Decimal(1),
            price=Decimal(100),
            time_in_force=TimeInForce.GTC,
        )
        return msgspec.structs.replace(base, **changes)

    @classmethod
    def market(cls, side: Side = Side.BUY, quantity: str = "1") -> OrderIntent:
        return cls.intent(
            type=OrderType.MARKET,
            side=side,
            quantity=Decimal(quantity),
            price=None,
            time_in_force=None,
        )

    @staticmethod
    def limits(**changes: Any) -> Limits:
        return msgspec.structs.replace(LIMITS, **changes)

    @staticmethod
    def facts(**changes: Any) -> RiskFacts:
        base = RiskFacts(
            now_us=NOW,
            session_state=SessionState.LIVE,
            window_from_us=NOW - 10,
            window_until_us=NOW + 10_000_000,
            latch_set=False,
            attended=True,
            limits=LIMITS,
            instrument=INSTRUMENT,
            best_bid=Decimal("99.90"),
            best_ask=Decimal("100.10"),
            book_age_ms=10,
            stale_limit_ms=3000,
            position=Decimal(0),
            open_orders=(),
            unknown_orders=0,
            recent_submits_us=(),
            session_orders=0,
            session_pnl=Decimal(0),
            balances={
                "USDT": (Decimal(1000), Decimal(0)),
                "BTC": (Decimal(10), Decimal(0)),
            },
            clock_offset_ms=3,
            clock_limit_ms=250,
            intents_hash_recent=(),
            locks=(Check(code="ENV", verdict=Verdict.ALLOW, text="environment is dev"),),
        )
        return msgspec.structs.replace(base, **changes)

    @classmethod
    def open_order(
        cls,
        side: Side = Side.BUY,
        quantity: str = "1",
        filled: str = "0",
        state: OrderState = OrderState.ACKNOWLEDGED,
        symbol: str = "BTCUSDT",
    ) -> Order:
        return Order(
            intent=cls.intent(side=side, quantity=Decimal(quantity), symbol=symbol),
            state=state,
            owner="alice",
            session_id="a",
            created_us=1,
            updated_us=1,
            filled_quantity=Decimal(filled),
        )


@pytest.fixture(scope="session")
def world() -> type[World]:
    return World
