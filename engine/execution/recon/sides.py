"""The three sides of a reconciliation, read at one moment: ledgers, journal by SQL, the venue.

The venue is asked first; then the ledgers are read at one sequence number of the journal, and the
store is asked for exactly the journal up to it. So our two sides are of one moment, and what the
venue did meanwhile can only be newer on ours. Nothing here changes anything, holds a lock or
decides; a failed query raises VenueQueryFailed, and then nothing is known (I2).

Two readings: `whole`, all of a session, joined in SQL; and `recent`, the orders from a mark on,
with sums for all before it, so that a run every ten seconds costs the same at the end of a day.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from itertools import islice

import msgspec

from engine.contracts.fill import Fill
from engine.contracts.money import ZERO, plain
from engine.contracts.order import Order, Side
from engine.execution.core import Core, State
from engine.governance.session import Session
from engine.orders.positions import split_symbol
from engine.reconcile.rows import (
    FillRow,
    OrderRow,
    Sides,
    fill_row,
    order_row,
    venue_state_class,
)
from engine.store.joins import FillTable, differing
from engine.store.store import Movements, Store, Stretch
from engine.venues.port import OrderReport, Venue

#: Venue lists are asked from this long before: clocks differ, ids do not. µs.
CLOCK_MARGIN_US = 60_000_000

Amounts = Mapping[str, Decimal]


class VenueWord(msgspec.Struct, frozen=True, kw_only=True):
    """What the venue answered. `balances` is asset -> (free, locked)."""

    reports: tuple[OrderReport, ...]
    fills: tuple[Fill, ...]
    balances: dict[str, tuple[Decimal, Decimal]]


class Before(msgspec.Struct, frozen=True, kw_only=True):
    """The sums of what lies before the mark `since_us` (µs UTC; 0: nothing does).

    `positions` by the venue's own trades, base by symbol; `moved` by the journal, as SQL adds up.
    The ledger's trades of the orders after the mark all lie at `fills_from` or behind.
    """

    since_us: int = 0
    fills_from: int = 0
    positions: Amounts = {}
    moved: tuple[Movements, ...] = ()


class SideReader:
    """Reads the three sides of a session."""

    def __init__(self, core: Core, venue: Venue, store: Store) -> None:
        self._core = core
        self._venue = venue
        self._store = store

    async def ask(self, symbols: Iterable[str], since_us: int) -> VenueWord:
        """Ask the venue for orders and trades since a time (µs UTC), open orders and balances.

        Open orders besides, because one that is older is not in the list by time.
        """
        reports: list[OrderReport] = []
        fills: list[Fill] = []
        for symbol in symbols:
            reports += await self._venue.open_orders(symbol)
            reports += await self._venue.orders(symbol, since_us)
            fills += await self._venue.fills(symbol, since_us)
        return VenueWord(
            reports=_latest(reports),
            fills=named_fills(fills, reports),
            balances=await self._venue.balances(),
        )

    async def whole(self, session: Session, word: VenueWord) -> Sides:
        """All of the session. Trades that agree are joined in SQL and only counted."""
        state = self._core.state
        until_seq = self._core.journal.size
        orders = state.orders.session_orders(session.id)
        names = {order.intent.client_order_id for order in orders}
        held = list(state.orders.fills)
        positions, cash = _positions(state, session), state.positions.cash()
        await self._store.flushed(until_seq - 1)
        elsewhere = self._of_another_session(session)
        theirs = tuple(
            one
            for one in word.fills
            if not elsewhere(one.client_order_id) and _ours_or_since(one, names, session)
        )
        journal = await self._store.fill_table(session.id, until_seq)
        left = await asyncio.to_thread(
            lambda: differing(
                FillTable(fill_row(one) for one in held if one.client_order_id in names),
                journal,
                FillTable(fill_row(one) for one in theirs),
            )
        )
        stretch = Stretch(until_seq=until_seq)
        moved = await self._store.journal_movements(session.id, stretch)
        opening = _opening(state, session)
        return Sides(
            engine_orders=[order_row(order) for order in orders],
            journal_orders=await self._journal_orders(session.id, stretch),
            venue_orders=[
                _venue_row(one)
                for one in word.reports
                if not elsewhere(one.client_order_id)
                and (one.open or _ours_or_since(one, names, session))
            ],
            engine_fills=left.engine,
            journal_fills=left.journal,
            venue_fills=left.venue,
            agreed_fills=left.agreed,
            engine_balances=_after(opening, [cash]),
            journal_balances=_after(opening, [_flow(one) for one in moved]),
            venue_balances=totals(word.balances),
            engine_positions=positions,
            journal_positions=_net_bases(moved),
            venue_positions=venue_sums(theirs),
            ended_orphans=state.orphans.ended,
        )

    async def recent(self, session: Session, word: VenueWord, before: Before) -> Sides:
        """The orders that were intended from `before.since_us` on, and the sums of all."""
        state = self._core.state
        until_seq = self._core.journal.size
        orders = scope(state, session, before.since_us)
        names = {order.intent.client_order_id for order in orders}
        newest = islice(state.orders.fills, before.fills_from, None)
        engine_fills = [fill_row(one) for one in newest if one.client_order_id in names]
        positions, cash = _positions(state, session), state.positions.cash()
        ended, opening = state.orphans.ended, _opening(state, session)
        await self._store.flushed(until_seq - 1)
        stretch = Stretch(since_us=before.since_us, until_seq=until_seq)
        journal_orders = await self._journal_orders(session.id, stretch)
        told = {row.client_order_id for row in journal_orders} | names
        journal_fills = await self._journal_fills(session.id, stretch)
        moved = (*before.moved, *await self._store.journal_movements(session.id, stretch))

        def outside(name: str) -> bool:
            return name not in names and state.orders.get(name) is not None

        theirs = tuple(
            one
            for one in word.fills
            if not outside(one.client_order_id) and _ours_or_since(one, names, session)
        )
        reports = [
            one
            for one in word.reports
            if not outside(one.client_order_id)
            and (one.open or _ours_or_since(one, names, session))
        ]
        return Sides(
            engine_orders=[order_row(order) for order in orders],
            journal_orders=journal_orders,
            venue_orders=[_venue_row(one) for one in reports],
            engine_fills=engine_fills,
            journal_fills=[row for row in journal_fills if row.client_order_id in told],
            venue_fills=[fill_row(one) for one in theirs],
            engine_balances=_after(opening, [cash]),
            journal_balances=_after(opening, [_flow(one) for one in moved]),
            venue_balances=totals(word.balances),
            engine_positions=positions,
            journal_positions=_net_bases(moved),
            venue_positions=_sum((before.positions, venue_sums(theirs))),
            ended_orphans=ended,
        )

    async def moved_between(
        self, session_id: str, since_us: int, until_us: int
    ) -> tuple[Movements, ...]:
        """What the journal says that trades moved in a stretch of time that is over."""
        stretch = Stretch(since_us=since_us, until_us=until_us)
        return tuple(await self._store.journal_movements(session_id, stretch))

    def _of_another_session(self, session: Session) -> Callable[[str], bool]:
        """Whether an order of that name is ours, but not of this session."""
        orders = self._core.state.orders

        def elsewhere(name: str) -> bool:
            order = orders.get(name)
            return order is not None and order.session_id != session.id

        return elsewhere

    async def _journal_orders(self, session_id: str, stretch: Stretch) -> list[OrderRow]:
        return [
            OrderRow(
                client_order_id=client_order_id,
                venue_order_id=venue_order_id,
                state_class=word.upper(),
                quantity=quantity,
                filled_quantity=filled,
                price=price,
            )
            for client_order_id, venue_order_id, word, quantity, filled, price in (
                await self._store.journal_orders(session_id, stretch)
            )
        ]

    async def _journal_fills(self, session_id: str, stretch: Stretch) -> list[FillRow]:
        return [
            FillRow(
                trade_id=trade_id,
                client_order_id=client_order_id,
                side=Side(side),
                price=price,
                quantity=quantity,
                fee=fee,
                fee_asset=fee_asset,
                symbol=symbol,
            )
            for trade_id, client_order_id, side, price, quantity, fee, fee_asset, symbol in (
                await self._store.journal_fills(session_id, stretch)
            )
        ]


def scope(state: State, session: Session, since_us: int) -> list[Order]:
    """The session's orders that were intended from a time on, in that order."""
    chosen: list[Order] = []
    for order in reversed(state.orders.session_orders(session.id)):
        if order.created_us < since_us:
            break
        chosen.append(order)
    chosen.reverse()
    return chosen


def strangers(
    state: State, session: Session, reports: Iterable[OrderReport]
) -> tuple[OrderReport, ...]:
    """Reports of orders that are not ours: open ones, and those that moved since the session began.

    What ended before is no business of this session.
    """
    return tuple(
        one
        for one in reports
        if state.orders.get(one.client_order_id) is None
        and (one.open or one.time_us >= session.created_us)
    )


def venue_sums(fills: Iterable[Fill]) -> dict[str, Decimal]:
    """What these trades add up to, base by symbol, net of base fees."""
    held: dict[str, Decimal] = {}
    for fill in fills:
        base, _quote = split_symbol(fill.symbol)
        fee = fill.fee if fill.fee_asset == base else ZERO
        held[fill.symbol] = held.get(fill.symbol, ZERO) + fill.side.sign * fill.quantity - fee
    return {symbol: plain(quantity) for symbol, quantity in held.items()}


def named_fills(fills: Iterable[Fill], reports: Iterable[OrderReport]) -> tuple[Fill, ...]:
    """The trades with our order ids, where the venue's order list gives them."""
    names = {(one.symbol, one.venue_order_id): one.client_order_id for one in reports}
    return tuple(
        fill
        if fill.client_order_id
        else msgspec.structs.replace(
            fill, client_order_id=names.get((fill.symbol, fill.venue_order_id), "")
        )
        for fill in fills
    )


def totals(balances: Mapping[str, tuple[Decimal, Decimal]]) -> dict[str, Decimal]:
    """Free plus locked by asset, zeros left out."""
    sums = {asset: plain(free + locked) for asset, (free, locked) in balances.items()}
    return {asset: total for asset, total in sums.items() if total != 0}


def _latest(reports: Iterable[OrderReport]) -> tuple[OrderReport, ...]:
    """Each order once: the list that was asked for last is the newer word."""
    return tuple({(one.symbol, one.venue_order_id): one for one in reports}.values())


def _ours_or_since(one: OrderReport | Fill, names: set[str], session: Session) -> bool:
    """Whether it is of an order in the scope, or a stranger's since the session began."""
    return one.client_order_id in names or one.time_us >= session.created_us


def _positions(state: State, session: Session) -> dict[str, Decimal]:
    return {one: state.positions.position(one).quantity for one in session.charter.instruments}


def _opening(state: State, session: Session) -> Amounts | None:
    """Balances before go. Without go there was no reading, and no order: said as "not read"."""
    opening = state.opening_balances.get(session.id)
    return totals(opening) if opening is not None else None


def _flow(moved: Movements) -> dict[str, Decimal]:
    base, quote = split_symbol(moved.symbol)
    flow = {base: moved.base, quote: moved.quote}
    for asset, fee in moved.fees.items():
        flow[asset] = flow.get(asset, ZERO) - fee
    return flow


def _net_bases(moved: Iterable[Movements]) -> dict[str, Decimal]:
    parts = [
        {one.symbol: one.base - one.fees.get(split_symbol(one.symbol)[0], ZERO)} for one in moved
    ]
    return _sum(parts)


def _sum(parts: Iterable[Amounts]) -> dict[str, Decimal]:
    total: dict[str, Decimal] = {}
    for part in parts:
        for key, amount in part.items():
            total[key] = plain(total.get(key, ZERO) + amount)
    return total


def _venue_row(report: OrderReport) -> OrderRow:
    return OrderRow(
        client_order_id=report.client_order_id,
        venue_order_id=report.venue_order_id,
        state_class=venue_state_class(report.status),
        quantity=report.quantity,
        filled_quantity=report.filled_quantity,
        price=report.price,
    )


def _after(opening: Amounts | None, flows: Sequence[Amounts]) -> dict[str, Decimal] | None:
    """Opening balances plus all flows; assets that end at zero are left out. None: not read."""
    if opening is None:
        return None
    total = _sum((opening, *flows))
    return {asset: amount for asset, amount in total.items() if amount != 0}
