"""What the facts say of the session's profit when a fee was paid in a third asset."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

from engine.contracts.event import OrderFilled
from engine.contracts.fill import Fill, Liquidity
from engine.contracts.order import Side
from engine.contracts.session import Environment
from engine.execution.limits.facts import FactsBuilder, FactSettings, Readings
from tests.engine.risk.test_no_way_round import NoWayRound, in_force


def test_a_fee_in_a_third_asset_is_priced_by_its_market_or_not_known() -> None:
    """One coin bought at 100 and marked at 100, its fee 0.02 ETH: two less; without ETH, doubt."""
    desk = NoWayRound()
    desk.begin()
    fill = Fill(
        symbol="BTCUSDT",
        trade_id="1",
        client_order_id="o",
        venue_order_id="1",
        side=Side.BUY,
        price=Decimal(100),
        quantity=Decimal(1),
        fee=Decimal("0.02"),
        fee_asset="ETH",
        liquidity=Liquidity.TAKER,
        time_us=desk.now,
    )
    desk.tell(OrderFilled(session_id=desk.session, fill=fill))
    settings = FactSettings(
        environment=Environment.DEV,
        stale_ms=10**9,
        clock_limit_ms=1,
        modes_allowed=frozenset(),
        allow_list=frozenset(),
    )

    def built(*symbols: str) -> FactsBuilder:
        return FactsBuilder(
            desk.state,
            {symbol: desk.markets[symbol] for symbol in symbols},
            Readings(),
            settings,
            lambda _: (),
            Path("/nowhere/latch"),
            in_force(desk.state),
            lambda: desk.now,
        )

    assert built("BTCUSDT", "ETHUSDT").session_pnl() == -2
    assert built("BTCUSDT").session_pnl() is None
    standing = {one.breaker.name: one.used for one in built("BTCUSDT", "ETHUSDT").breakers()}
    assert (standing["SESSION_LOSS"], standing["SESSION_LOSS_MARKED"]) == (2, 2)
