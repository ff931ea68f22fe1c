"""A journal as a year of sessions leaves it, written by the real writer in bulk.

Sessions of a thousand orders each; an order is an intent with its decision, an acknowledgement, a
fill of one part, a cancel request and the cancel of the rest. Every session ends, so that a restart
finds nothing to ask the venue for.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from decimal import Decimal

from engine.contracts import event as ev
from engine.contracts.decision import Check, Decision, Verdict
from engine.contracts.fill import Fill, Liquidity
from engine.contracts.order import OrderIntent, OrderType, Side, TimeInForce
from engine.contracts.people import ENGINE
from engine.contracts.session import Charter, SessionState
from engine.execution.records.heads_writer import HeadsWriter
from engine.governance.transitions import Cause
from engine.journal.writer import Journal
from engine.orders.ledger import client_order_id
from engine.risk.limits import CHECKS
from peakctl.workspace import Workspace

_ORDERS_A_SESSION = 1_000
_BATCH = 2_000
_ALLOWED = Decision(
    verdict=Verdict.ALLOW,
    checks=tuple(
        Check(code=code, verdict=Verdict.ALLOW, text="within its limit") for code, _ in CHECKS
    ),
)


def write_journal(place: Workspace, charter: Charter, events: int) -> int:
    """Write at least `events` events, whole sessions only, and a head; returns how many."""
    journal = Journal.open(
        place.journal,
        commit_interval_ms=1,
        segment_lines=100_000,
        clock_us=lambda: time.time_ns() // 1000,
    ).journal
    try:
        asyncio.run(_append(journal, charter, events))
        HeadsWriter(journal, place.heads, place.log_key, "peakctl/bench", 1, 1).write()
        return journal.size
    finally:
        journal.close()


async def _append(journal: Journal, charter: Charter, events: int) -> None:
    number = 0
    while journal.size < events:
        batch: list[ev.AnyEvent] = []
        for event in _session(f"{number:012d}", charter, number * _ORDERS_A_SESSION):
            batch.append(event)
            if len(batch) == _BATCH:
                await journal.append(ENGINE, batch)
                batch = []
        await journal.append(ENGINE, batch)
        number += 1


def _session(session_id: str, charter: Charter, first: int) -> Iterator[ev.AnyEvent]:
    yield ev.SessionChartered(session_id=session_id, charter=charter)
    for number in range(_ORDERS_A_SESSION):
        yield from order_events(session_id, number, first + number)
    yield ev.SessionMoved(
        session_id=session_id,
        before=SessionState.CHARTER,
        after=SessionState.ABORTED,
        cause=Cause.ABORT,
        reason="benchmark",
    )


def order_events(session_id: str, number: int, venue_number: int) -> Iterator[ev.AnyEvent]:
    """The five events of one order, the `number`th of its session."""
    now_us = time.time_ns() // 1000
    intent = OrderIntent(
        client_order_id=client_order_id(session_id, number),
        symbol="BTCUSDT",
        side=Side.BUY if number % 2 else Side.SELL,
        type=OrderType.LIMIT,
        quantity=Decimal("0.002"),
        price=Decimal(60_000) + Decimal(number % 500) / 100,
        time_in_force=TimeInForce.GTC,
    )
    name = intent.client_order_id
    yield ev.OrderIntended(
        session_id=session_id,
        intent=intent,
        intent_sha256=intent.intent_sha256(),
        owner="alice",
        decision=_ALLOWED,
    )
    venue_id = str(10_000_000 + venue_number)
    yield ev.OrderAcknowledged(client_order_id=name, venue_order_id=venue_id, venue_time_us=now_us)
    fill = Fill(
        symbol=intent.symbol,
        trade_id=venue_id,
        client_order_id=name,
        venue_order_id=venue_id,
        side=intent.side,
        price=intent.price or Decimal(0),
        quantity=Decimal("0.001"),
        fee=Decimal("0.06"),
        fee_asset="USDT",
        liquidity=Liquidity.MAKER,
        time_us=now_us,
    )
    yield ev.OrderFilled(session_id=session_id, fill=fill)
    yield ev.CancelRequested(client_order_id=name, cancel_id=f"{name}-c", cause="asked by alice")
    yield ev.OrderCanceled(
        client_order_id=name, filled_quantity=Decimal("0.001"), venue_time_us=now_us
    )
