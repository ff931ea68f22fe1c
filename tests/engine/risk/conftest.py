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
from engine.risk.facts import Exposure, Measured
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
    price_last_bps=200,
    price_book_bps=50,
    max_gross_exposure=Decimal(1001),
    max_net_exposure=Decimal(1001),
    max_asset_exposure=Decimal(1001),
    max_orders_per_day=60,
    max_messages_per_minute=8,
    max_cancels_per_order=Decimal("1.5"),
    cancels_before_ratio=6,
    cooldown_loss_seconds=30,
    max_rejects_per_minute=2,
    cooldown_rejects_seconds=20,
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
    def exposure(**changes: Any) -> Exposure:
        """One symbol, flat, at the ask of 100.10."""
        base = Exposure(
            symbol="BTCUSDT",
            base="BTC",
            quote="USDT",
            longest=Decimal(0),
            shortest=Decimal(0),
            mark=Decimal("100.10"),
        )
        return msgspec.structs.replace(base, **changes)

    @staticmethod
    def breaker(**changes: Any) -> Measured:
        """The loss of a day: 25 of 50 USDT."""
        base = Measured(
            name="DAY_LOSS",
            text="loss of 24 h, realised",
            used=Decimal(25),
            limit=Decimal(50),
            unit="USDT",
        )
        return msgspec.structs.replace(base, **changes)

    @classmethod
    def facts(cls, **changes: Any) -> RiskFacts:
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
            last_price=Decimal(100),
            book_age_ms=10,
            stale_limit_ms=3000,
            position=Decimal(0),
            exposures=(cls.exposure(),),
            open_orders=(),
            unknown_orders=0,
            recent_submits_us=(),
            recent_cancels_us=(),
            recent_rejects_us=(),
            recent_losses_us=(),
            day_orders=0,
            day_cancels=0,
            session_orders=0,
            session_pnl=Decimal(0),
            session_realised=Decimal(0),
            breakers=(cls.breaker(), cls.breaker(name="DRAWDOWN", limit=Decimal(1000))),
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
