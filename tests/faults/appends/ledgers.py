"""The final ledgers of a scripted session, and what must hold of any run of it.

`Ledgers` is what two runs are compared by: nothing in it depends on time, on the session's random
id or on the venue's running numbers. Orders are in the sequence of their intents. An order that was
intended and provably never reached the venue (REJECTED, nothing filled, unknown to the venue) is
counted beside them: a kill between the intent and the request leaves one, and the person then asks
again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import msgspec

from engine.contracts import event as ev
from engine.contracts.money import plain, to_text
from engine.contracts.order import Order, OrderState
from engine.evidence.verify import verify_pack
from engine.execution.core import State
from engine.journal.chain import decode_line, line_hash
from engine.journal.heads import read_heads
from engine.journal.verify import verify_journal
from tests.faults.appends.script import NOTE, Script
from tests.faults.conftest import SYMBOL, Field

if TYPE_CHECKING:
    from decimal import Decimal

#: Alarms that say that something went wrong in us, not in the world.
_FAULTS = frozenset({"LEDGER_REFUSED", "ORPHAN", "ENGINE_FAULT", "ORDER_LOST"})


class OrderRow(msgspec.Struct, frozen=True):
    """One order that the venue had, by sequence; `state` is the one before it was closed."""

    side: str
    type: str
    quantity: str
    price: str
    state: str
    filled: str
    filled_quote: str
    fills: tuple[tuple[str, str, str, str], ...]
    at_venue: tuple[str, str, str]


class Ledgers(msgspec.Struct, frozen=True):
    """What a session leaves behind."""

    session: str
    orders: tuple[OrderRow, ...]
    position: dict[str, str]
    fees: dict[str, str]
    cash: dict[str, str]
    balances: dict[str, tuple[str, str]]
    notes: int


class Found(msgspec.Struct, frozen=True):
    """The ledgers of one run and what is wrong with it.

    `never_sent` intents never reached the venue; `rebuilt` is how often the store was made again
    from the journal: a kill may tear its write-ahead log, and then that is named and done.
    """

    ledgers: Ledgers
    never_sent: int
    rebuilt: int
    wrong: tuple[str, ...]


async def look(script: Script) -> Found:
    """Read everything from the disk and from the venue; the engine has ended."""
    desk = script.field
    lines = [line for path in _segments(desk) for line in path.read_bytes().splitlines(True)]
    state, ended = State(), dict[str, OrderState]()
    for number, line in enumerate(lines):
        recorded, _prev = decode_line(line, f"line {number}")
        if isinstance(recorded.event, ev.OrderClosed):
            name = recorded.event.client_order_id
            ended[name] = state.orders.orders[name].state
        state.apply(recorded)
    venue_orders = await desk.venue_orders()
    venue_trades = await desk.venue_trades()
    account = await desk.ask("GET", "account")
    there = {one["clientOrderId"]: one for one in venue_orders}
    wrong = [
        *_journal_problems(script, lines),
        *_order_problems(script, state, venue_orders, venue_trades),
    ]
    sent = [one for one in state.orders.orders.values() if one.intent.client_order_id in there]
    unsent = [one for one in state.orders.orders.values() if one not in sent]
    wrong += [
        f"{one.intent.client_order_id} is {one.state} and the venue does not know it"
        for one in unsent
        if ended.get(one.intent.client_order_id) is not OrderState.REJECTED or one.filled_quantity
    ]
    position = state.positions.position(SYMBOL)
    session = state.sessions.current
    return Found(
        ledgers=Ledgers(
            session=session.state.value if session else "none",
            orders=tuple(
                _order_row(
                    one,
                    ended.get(one.intent.client_order_id, one.state),
                    state,
                    there[one.intent.client_order_id],
                )
                for one in sent
            ),
            position={
                "quantity": to_text(plain(position.quantity)),
                "cost": to_text(plain(position.cost)),
                "realized": to_text(plain(position.realized)),
                "realized_fifo": to_text(plain(position.realized_fifo)),
            },
            fees=_texts(position.fees),
            cash=_texts(position.cash),
            balances={one["asset"]: (one["free"], one["locked"]) for one in account["balances"]},
            notes=len(desk.events("note.added", text=NOTE)),
        ),
        never_sent=len(unsent),
        rebuilt=len(desk.events("store.rebuilt")),
        wrong=tuple(wrong),
    )


def _segments(desk: Field) -> list[Any]:
    return sorted(desk.workspace.journal.glob("*.jsonl"))


def _texts(amounts: dict[str, Decimal]) -> dict[str, str]:
    return {asset: to_text(plain(amount)) for asset, amount in sorted(amounts.items())}


def _order_row(order: Order, ended: OrderState, state: State, venue: dict[str, Any]) -> OrderRow:
    intent = order.intent
    fills = sorted(
        (to_text(one.price), to_text(one.quantity), to_text(one.fee), one.fee_asset)
        for one in state.orders.fills
        if one.client_order_id == intent.client_order_id
    )
    return OrderRow(
        side=intent.side.value,
        type=intent.type.value,
        quantity=to_text(intent.quantity),
        price=to_text(intent.price) if intent.price is not None else "",
        state=ended.value,
        filled=to_text(plain(order.filled_quantity)),
        filled_quote=to_text(plain(order.filled_quote)),
        fills=tuple(fills),
        at_venue=(venue["status"], venue["executedQty"], venue["cummulativeQuoteQty"]),
    )


def _journal_problems(script: Script, lines: list[bytes]) -> Iterator[str]:
    """The journal verifies, holds every signed head, and everything that was ever shown."""
    place = script.field.workspace
    report = verify_journal(place.journal, [one.head for one in read_heads(place.heads)])
    yield from (f"journal: {one.where}: {one.what}" for one in report.findings)
    if report.torn_bytes:
        yield f"journal: {report.torn_bytes} torn bytes were left behind"
    for size, head in sorted(script.heads.items()):
        if size > len(lines) or (size and line_hash(lines[size - 1]) != head):
            yield f"the engine showed a journal of {size} events that is not there any more"
    packs = list(place.sessions.glob("*/"))
    if len(packs) != 1:
        yield f"{len(packs)} packs: {[one.name for one in packs]}"
    for pack in packs:
        found = verify_pack(pack, place.allowed_signers)
        yield from (f"pack: {one.file}: {one.what}" for one in found.errors)


def _order_problems(
    script: Script,
    state: State,
    venue_orders: list[dict[str, Any]],
    venue_trades: list[dict[str, Any]],
) -> Iterator[str]:
    """Nothing doubled, nothing invented, nothing acknowledged lost."""
    names = Counter(one["clientOrderId"] for one in venue_orders)
    yield from (
        f"{name} is at the venue {count} times" for name, count in names.items() if count > 1
    )
    yield from (f"{name} has no intent" for name in names if name not in state.orders.orders)
    yield from (
        f"{name} was acknowledged to the client and is not in the journal"
        for name in script.submitted
        if name not in state.orders.orders
    )
    here = sorted(one.trade_id for one in state.orders.fills)
    there = sorted(str(one["id"]) for one in venue_trades)
    if here != there:
        yield f"trades here {here}, at the venue {there}"
    open_ = [one["clientOrderId"] for one in venue_orders if one["status"] in {"NEW"}]
    yield from (f"{name} is still open at the venue" for name in open_)
    yield from (f"break: {one}" for one in script.breaks.values())
    raised = {one["code"] for one in script.field.events("alarm.raised")}
    yield from (f"alarm {code}" for code in sorted(raised & _FAULTS))
