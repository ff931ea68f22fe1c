"""A desk on which cells are played: arm, act, kill and restart, wait until three sides agree.

One desk is good for many cells, one after the other: a cell begins and ends in quiet, with nothing
armed, nothing in doubt and nothing resting. A wiped desk is not used again. What a cell asks of the
product is at the end of `play`; nothing here knows what the product should do in between.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from engine.contracts.errors import PeakError, Refused
from engine.contracts.order import OrderType
from engine.contracts.order import Side as Way
from peakctl.founding import create_demo
from tests.faults.conftest import FAST, SYMBOL, Field
from tests.faults.matrix.exchange import Exchange, fault_names
from tests.faults.matrix.sides import (
    NONE,
    OPEN,
    Side,
    disagreements,
    engine_side,
    joined,
    journal_side,
)
from tests.faults.matrix.table import Cell

#: Long: a machine under load is slow, and a wait ends when its condition holds.
PATIENCE_S = 40.0
_LOOK_S = 0.015
_QUANTITY = Decimal("0.002")
#: Quantities differ from order to order: an equal order within a second is refused as a slip.
_QUANTITY_STEP = Decimal("0.00002")
_WIDE = 50
#: The state view shows at least so many orders and fills.
_SHOWN = 30
#: Alarms that would mean that something was invented, refused, lost or met by surprise.
BAD_ALARMS = frozenset({"LEDGER_REFUSED", "ORPHAN", "ENGINE_FAULT", "ORDER_LOST"})


@dataclass(frozen=True)
class Played:
    """What one cell came to: counts for the printed matrix."""

    cell: Cell
    killed: bool
    orders: int
    fired: int
    fills: int
    seconds: float
    ends: tuple[str, ...]


class Stage:
    """One desk with a live session, and the cell that is being played on it."""

    def __init__(self, field: Field) -> None:
        self.field = field
        self.venue = Exchange(field)
        self.killing = False
        self.cell: Cell
        self.history = Side()
        self._orders_made = 0
        self._running: list[asyncio.Task[Any]] = []
        self._fired_before: Counter[str] = Counter()
        self._known: frozenset[str] = frozenset()
        self._opening: dict[str, Decimal] = {}
        self._hushed_until = 0.0
        self._wiped = False

    # --- one cell -------------------------------------------------------------------------------

    async def play(
        self, cell: Cell, act: Callable[[Stage], Awaitable[None]], *, kill: bool
    ) -> Played:
        """Play one cell and hold the product to it. Raises AssertionError with what differs."""
        self.cell, self.killing = cell, kill
        started = time.monotonic()
        await self._ready()
        before = await self._journal()
        self._known = frozenset(before.orders)
        self._fired_before = await self.venue.fired()
        gaps = await self._gaps()
        await act(self)
        await self._until(self._all_fired, "every fault of the row happened")
        if cell.fault == "gap" and not kill:
            await self._until(lambda: self._gap_since(gaps), "the engine saw the gap")
        ended = await self._settle()
        fired = self.rose(await self.venue.fired())
        after = await self._journal()
        if cell.wiped:
            await self._until(self._said_lost, "the lost orders are called lost")
        else:
            await self._tidy()
            await self._alive()
        return Played(
            cell=cell,
            killed=kill,
            orders=len(set(after.orders) - set(before.orders)),
            fired=sum(fired.values()),
            fills=len(after.trades) - len(before.trades),
            seconds=time.monotonic() - started,
            ends=ended,
        )

    async def open(self) -> None:
        """Go live and note what the account holds."""
        await self.field.go_live()
        self._opening = await self.venue.balances()

    async def finish(self) -> None:
        """Stop, reconcile by the product's own hand: nothing open, no red break, no bad alarm."""
        if self._wiped:
            await self._finish_wiped()
            return
        await self._ready()
        await self.field.client.stop("the cells were played")
        await self.field.until_session("stopped", PATIENCE_S)
        assert await self.field.venue_open() == []
        red = await self.field.reconcile()
        assert red == [], f"red breaks: {red}"
        alarms = {(one.code, one.text) for one in (await self.field.state()).alarms}
        assert not {code for code, _ in alarms} & BAD_ALARMS, alarms
        journal = await self._journal()
        differ = disagreements(journal, journal, await self.venue.side())
        assert differ == [], differ

    async def _finish_wiped(self) -> None:
        """End a wiped session: what the venue forgot is red, and nobody says how it ended."""
        await self.field.client.stop("the venue was wiped")
        await self.field.until_session("stopped", PATIENCE_S)
        red = await self.field.reconcile()
        missing = set(self.history.orders) - set(red)
        assert not missing, f"no red break for {missing}: {red}"
        journal = await self._journal()
        differ = disagreements(journal, journal, self.history, wiped=self._lost())
        assert differ == [], differ

    # --- what plays use -------------------------------------------------------------------------

    async def arm(self, arm: Mapping[str, Any] | None = None) -> None:
        """Arm the row's fault. Just before a wipe, what the venue did is noted."""
        wanted = self.cell.arm if arm is None else arm
        if wanted.get("wipe"):
            self.history = await self.venue.side()
            self._wiped = True
        await self.field.fault(**wanted)

    def begin(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Let the operator do something; a refusal or a dead engine is an answer too."""
        task = asyncio.create_task(_tolerant(work))
        self._running.append(task)
        return task

    async def middle(self, happened: str = "") -> None:
        """The fault has happened. Either nothing else does, or the engine is killed and started."""
        name = happened or fault_names(self.cell.arm)[0]
        await self.until_fired(name)
        if self.cell.then is not None:
            await self.arm(self.cell.then)
        if self.killing:
            await self.field.sigkill()
        for task in self._running:
            if self.killing:
                task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        self._running.clear()
        if self.killing:
            await self.field.start_engine()

    async def until_fired(self, name: str) -> None:
        """Wait until a fault has happened in this cell."""

        async def risen() -> bool:
            return self.rose(await self.venue.fired())[name] > 0

        await self._until(risen, f"{name} happened")

    async def until_journaled(self, kind: str, order_id: str = "") -> None:
        """Wait until the operation itself is in the journal: of this order, or of a new one."""

        async def there() -> bool:
            lines = await asyncio.to_thread(self.field.events, kind)
            if order_id:
                return any(line["client_order_id"] == order_id for line in lines)
            return any(line["intent"]["client_order_id"] not in self._known for line in lines)

        await self._until(there, f"{kind} is in the journal")

    async def until_time(self, monotonic_s: float) -> None:
        """Wait until something that was held up must have arrived."""
        await self._until(lambda: time.monotonic() > monotonic_s, "a late answer came")

    async def hear_again(self) -> None:
        """End a stall; what it swallowed stays lost."""
        await self.field.fault(stream_stall="all", stream_stall_ms=0)

    def rose(self, fired: Counter[str]) -> Counter[str]:
        """What happened in this cell, by fault."""
        return fired - self._fired_before

    def quantity(self) -> Decimal:
        """A quantity of its own for the next order, base."""
        self._orders_made += 1
        return _QUANTITY + _QUANTITY_STEP * (self._orders_made % _WIDE)

    async def submit(self, price: Decimal | None) -> str:
        """The operator sends an order, at the market without a price. Raises PeakError.

        What the checks refuse was never sent, so it is tried again: desks are quicker than the rate
        limits, and right after a fault the market is not known for a while.
        """
        kind = OrderType.MARKET if price is None else OrderType.LIMIT
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                sent = await self.field.client.submit(SYMBOL, Way.BUY, kind, self.quantity(), price)
            except Refused as refused:
                if time.monotonic() > deadline:
                    raise AssertionError(f"no order passed the checks: {refused.line()}") from None
                await asyncio.sleep(_LOOK_S)
            else:
                return sent.client_order_id

    async def rest_away(self) -> str:
        """An order of the operator that rests where nothing trades."""
        order_id = await self.submit(await self.field.away_price_now())
        await self.field.until_order(order_id, "ACKNOWLEDGED", seconds=PATIENCE_S)
        return order_id

    def new_orders(self, journal: Side) -> frozenset[str]:
        """Orders that were intended in this cell."""
        return frozenset(journal.orders) - self._known

    async def my_orders(self) -> frozenset[str]:
        """Orders that were intended in this cell, from the disk."""
        return self.new_orders(await self._journal())

    # --- settling -------------------------------------------------------------------------------

    async def _settle(self) -> tuple[str, ...]:
        """Clear the fault, wait until three sides agree and say how the orders stand."""
        await self.field.fault(clear=True)
        if self.cell.fault in {"429", "418"}:
            # The venue asked for a second of silence, and the adapter keeps to it.
            self._hushed_until = time.monotonic() + 1.2
        if not self._wiped:
            await self._ready()
        differ = ["never compared"]
        ended: tuple[str, ...] = ()

        async def agree() -> bool:
            nonlocal differ, ended
            differ, ended = await self._compare()
            return not differ

        try:
            await self._until(agree, "three sides agree")
        except AssertionError as error:
            raise AssertionError(f"{error}: {'; '.join(differ)}") from error
        return ended

    async def _compare(self) -> tuple[list[str], tuple[str, ...]]:
        engine, journal, venue = await self._sides()
        real = joined(self.history, venue) if self._wiped else venue
        said = disagreements(engine, journal, real, wiped=self._lost())
        if not self._wiped:
            said += await self._cash(journal)
        mine = self.new_orders(journal)
        ended = tuple(sorted(real.orders.get(one, NONE) for one in mine))
        allowed = self.cell.ends_killed if self.killing else self.cell.ends
        said += [f"an order ended {one}" for one in ended if one not in allowed]
        said += [] if ended else ["no order was sent"]
        return said, ended

    async def _cash(self, journal: Side) -> list[str]:
        """Balances at the venue against the flow of the journal's trades, to the last digit."""
        now = await self.venue.balances()
        moved = {
            asset: now.get(asset, Decimal(0)) - self._opening.get(asset, Decimal(0))
            for asset in {*now, *self._opening}
        }
        moved = {asset: amount for asset, amount in moved.items() if amount}
        flow = journal.flow()
        return [] if moved == flow else [f"balances moved by {moved}, the trades say {flow}"]

    async def _tidy(self) -> None:
        """Cancel through the product what still rests, and see three sides agree again."""
        await self._until(self._none_open, "what rests is canceled")

        async def agree() -> bool:
            return not disagreements(*await self._sides())

        await self._until(agree, "three sides agree after the cancel")

    async def _alive(self) -> None:
        """The desk trades on: one more order rests and is canceled, behind whatever came late."""
        await self._until(lambda: time.monotonic() > self._hushed_until, "the silence is over")
        await self.rest_away()
        await self._until(self._none_open, "an order after the cell is canceled")

    def _lost(self) -> frozenset[str]:
        """Orders that were open when the venue forgot them."""
        return frozenset(one for one, state in self.history.orders.items() if state == OPEN)

    async def _said_lost(self) -> bool:
        lines = await asyncio.to_thread(self.field.events, "order.lost")
        return self._lost() <= {line["client_order_id"] for line in lines}

    async def _gaps(self) -> int:
        view = await self.field.state()
        return sum(one.gaps for one in view.venue.streams) if view.venue else 0

    async def _gap_since(self, before: int) -> bool:
        return await self._gaps() > before

    async def _none_open(self) -> bool:
        """Ask the engine to cancel whatever the venue shows open."""
        left = await self.field.venue_open()
        for order_id in left:
            with contextlib.suppress(PeakError):
                await self.field.client.cancel(order_id)
        return not left

    async def _ready(self) -> None:
        """Wait until the engine is up, both streams are heard and the operator attends."""
        await self.field.until(
            lambda view: (
                view.engine.phase == "ready"
                and view.engine.attended
                and view.venue is not None
                and view.venue.connected
                and view.market is not None
                and not view.market.stale
            ),
            "ready, attended and fresh",
            PATIENCE_S,
        )

    async def _all_fired(self) -> bool:
        rose = self.rose(await self.venue.fired())
        names = fault_names(self.cell.arm) + fault_names(self.cell.then or {})
        return all(rose[name] for name in names)

    # --- the sides ------------------------------------------------------------------------------

    async def _sides(self) -> tuple[Side, Side, Side]:
        venue = await self.venue.side()
        view = await self.field.state()
        assert len(view.orders) < _SHOWN, "the view shows only the newest orders"
        assert len(view.fills) < _SHOWN, "the view shows only the newest fills"
        return engine_side(view), await self._journal(), venue

    async def _journal(self) -> Side:
        return journal_side(await asyncio.to_thread(self.field.journal))

    async def _until(self, holds: Callable[[], Any | Awaitable[Any]], what: str) -> None:
        await self.field.eventually(holds, f"{self.cell.name}: {what}", PATIENCE_S)


async def _tolerant(work: Coroutine[Any, Any, Any]) -> Any:
    try:
        return await work
    except PeakError as error:
        return error


@contextlib.asynccontextmanager
async def stage(folder: Path) -> AsyncIterator[Stage]:
    """A desk in a folder, with a live session; every process of it is ended afterwards."""
    workspace = await asyncio.to_thread(create_demo, folder, FAST)
    field = Field(workspace, {})
    try:
        await field.start_sandbox()
        await field.start_engine()
        await field.sit_down()
        made = Stage(field)
        await made.open()
        yield made
    finally:
        await field.close()
