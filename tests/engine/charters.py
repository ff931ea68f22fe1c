"""A charter and its limits for tests that need one and are about something else."""

from __future__ import annotations

from decimal import Decimal

from engine.contracts.session import Charter, Limits, Mode

LIMITS = Limits(
    max_order_quantity=Decimal(1),
    max_order_notional=Decimal(500),
    max_position=Decimal(1),
    max_open_orders=5,
    max_orders_per_second=2,
    max_orders_per_minute=20,
    max_orders_per_session=100,
    max_session_loss=Decimal(50),
    price_collar_bps=100,
)
CHARTER = Charter(
    mode=Mode.PAPER,
    venue="sandbox",
    account="demo",
    instruments=("BTCUSDT",),
    limits=LIMITS,
    window_from_us=0,
    window_until_us=1,
    operator="alice",
    reviewer="bob",
    runbook="session_paper",
    attendance_seconds=15,
    purpose="a test",
)
