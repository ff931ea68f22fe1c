"""I1, I7: killed at random moments under load, again and again; then everything still agrees."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from typing import TYPE_CHECKING

from engine.contracts.errors import PeakError
from engine.contracts.order import OrderType

if TYPE_CHECKING:
    from tests.faults.conftest import Field

ROUNDS = 4


async def trade_for_ever(desk: Field, chance: random.Random) -> None:
    """Orders of both kinds and cancels, as fast as the engine takes them."""
    while True:
        try:
            if chance.random() < 0.3:
                await desk.submit(OrderType.MARKET)
            else:
                order_id = await desk.submit(price=await desk.away_price_now())
                if chance.random() < 0.5:
                    await desk.client.cancel(order_id)
        except PeakError:
            await asyncio.sleep(0.02)


async def test_i7_killed_at_random_moments_everything_agrees(live: Field) -> None:
    chance = random.Random(20261121)
    for _ in range(ROUNDS):
        intents = len(live.events("order.intended"))
        traders = [asyncio.create_task(trade_for_ever(live, chance)) for _ in range(3)]
        await live.eventually(
            lambda known=intents: len(live.events("order.intended")) > known + 1, "orders"
        )
        await asyncio.sleep(chance.random() * 0.3)
        await live.sigkill()
        for trader in traders:
            trader.cancel()
        await asyncio.gather(*traders, return_exceptions=True)
        await live.start_engine()
        await live.ready()

    intended = [one["intent"]["client_order_id"] for one in live.events("order.intended")]
    there = Counter(one["clientOrderId"] for one in await live.venue_orders())
    assert max(there.values()) == 1, "something was sent twice"
    assert set(there) <= set(intended), "an order without an intent"
    assert len(set(intended)) == len(intended)
    await live.client.stop("test")
    await live.until_session("stopped")
    assert await live.venue_open() == []
    await live.same_trades_here_and_there()
    assert await live.reconcile() == []
    codes = {one.code for one in (await live.state()).alarms}
    assert not codes & {"LEDGER_REFUSED", "ORPHAN", "ENGINE_FAULT", "ORDER_LOST"}, codes
