"""The scripted operator: orders placed, filled and canceled all the time, session after session.

One person at one console, through the real client. What is done next is drawn from the seed: a
limit order at the touch (the flow fills it), a market order, a limit order far off that rests until
it is canceled. A refusal is counted by its code and trading goes on, as a person would; an order
whose answer did not come is the engine's to settle. A session ends when its order limit comes near
or its time is over: stop, reconcile, seal, and the next charter.

The venue misbehaves from go to stopped. It is compared with when it tells the truth: a venue that
hides an order while it is asked has a break, and should.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from decimal import Decimal

from engine.contracts.errors import Refused
from engine.contracts.money import round_down_to
from engine.contracts.order import Order, OrderState, OrderType, Side
from engine.contracts.session import SessionState
from engine.contracts.view import StateView
from tests.faults.appends.script import (
    Script,
    charter,
    checklist,
    go,
    reconcile,
    seal,
    stop,
)
from tests.faults.conftest import SYMBOL
from tests.soak.desk import SoakDesk

SMALL = Decimal("0.002")
#: Inside the limits of the config in force: 200 a minute, 1,000 a session.
ORDERS_A_SECOND = 2.5
ORDERS_A_SESSION = 900
#: More resting orders than this are canceled, oldest first.
RESTING = 8
#: Beyond this position only the other side is taken.
POSITION = Decimal("0.05")

_RESTS = frozenset({OrderState.ACKNOWLEDGED, OrderState.PARTIALLY_FILLED})


class Trading:
    """What the operator did, and the doing of it."""

    def __init__(self, field: SoakDesk, seed: int) -> None:
        self.field = field
        self.submitted = 0
        self.canceled = 0
        self.sessions = 0
        self.refused: Counter[str] = Counter()
        #: seconds from the submit call to its answer
        self.latencies: list[float] = []
        #: from charter to live and from stop to seal, the venue's faults notwithstanding
        self.ceremony = Script(field, lambda: False)
        self._draw = random.Random(seed)

    async def run(self, seconds: float, session_seconds: float) -> None:
        """Trade for so long, in as many sessions as it takes; the last one is sealed too."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for step in (charter, checklist, go):
                await step(self.ceremony)
            await self.field.misbehave(self.sessions)
            await self._session(min(end, time.monotonic() + session_seconds))
            await stop(self.ceremony)
            await self.field.behave()
            for step in (reconcile, seal):
                await step(self.ceremony)
            self.sessions += 1

    # --- one session ----------------------------------------------------------------------------

    async def _session(self, end: float) -> None:
        first, due = self.submitted, time.monotonic()
        while time.monotonic() < end and self.submitted - first < ORDERS_A_SESSION:
            due = max(due + 1 / ORDERS_A_SECOND, time.monotonic())
            await self._once()
            await asyncio.sleep(max(0.0, due - time.monotonic()))

    async def _once(self) -> None:
        """One look and one act."""
        try:
            view = await self.field.state()
            assert view.kill.state == "READY", f"killed: {view.kill.reason}"
            assert view.session is not None
            if view.session.state is SessionState.PAUSED:
                await self.field.client.resume("the soak goes on")
                return
            resting = [one for one in view.orders if one.state in _RESTS]
            if len(resting) > RESTING:
                await self._cancel(resting[0])
            await self._order(view)
        except Refused as error:
            self.refused[error.code] += 1

    async def _cancel(self, order: Order) -> None:
        try:
            await self.field.client.cancel(order.intent.client_order_id)
            self.canceled += 1
        except Refused as error:
            self.refused[error.code] += 1

    async def _order(self, view: StateView) -> None:
        """Draw an order for this market and send it."""
        market = view.market
        if market is None or market.stale or not (market.bids and market.asks):
            self.refused["no market"] += 1
            return
        side = self._side(view)
        touch, sign = (market.bids[0][0], -1) if side is Side.BUY else (market.asks[0][0], 1)
        match self._draw.choices(("touch", "market", "far"), (5, 2, 3))[0]:
            case "market":
                kind, price = OrderType.MARKET, None
            case "touch":
                kind, price = OrderType.LIMIT, touch
            case _:
                away = touch * Decimal(self._draw.randint(5, 30)) / 10_000
                kind = OrderType.LIMIT
                price = round_down_to(touch + sign * away, market.tick_size)
        began = time.monotonic()
        self.submitted += 1
        await self.field.client.submit(SYMBOL, side, kind, SMALL, price)
        self.latencies.append(time.monotonic() - began)

    def _side(self, view: StateView) -> Side:
        held = next((one.quantity for one in view.positions if one.symbol == SYMBOL), Decimal(0))
        if abs(held) > POSITION:
            return Side.SELL if held > 0 else Side.BUY
        return self._draw.choice((Side.BUY, Side.SELL))
