"""Requests that change something: one order, one cancel, all cancels. Outcomes are values (I3).

    2xx and readable                      -> Accepted / Canceled
    certainly without effect (errors.py)  -> Rejected
    anything else                         -> Unknown, ended only by asking the venue

A submit leaves once and is never repeated. A cancel is repeated where the taxonomy allows it, which
does no harm: an id is used once. Cancels pass every budget (I13).
"""

from __future__ import annotations

from urllib.parse import quote

from engine.contracts.money import to_text
from engine.contracts.order import OrderIntent
from engine.venues.binance import translate, wire
from engine.venues.binance.clock import monotonic_us
from engine.venues.binance.errors import Fault, held, undecodable
from engine.venues.binance.rest import RestClient
from engine.venues.port import (
    Accepted,
    Canceled,
    CancelOutcome,
    Rejected,
    SubmitOutcome,
    Unknown,
)

#: "Unknown order sent.": it is not open (filled, canceled, or never there).
NOTHING_OPEN = "-2011"


async def submit(rest: RestClient, intent: OrderIntent) -> SubmitOutcome:
    """Send one order, once."""
    now_us = rest.venue_now_us()
    refusal = rest.budget.refuse_order(now_us)
    if refusal is not None:
        return _refused(held("RATE_RESERVED", f"not sent: {refusal}"))
    rest.budget.order_sent(now_us)
    answer = await rest.order(order_query(intent))
    if isinstance(answer, Fault):
        return _refused(answer)
    try:
        order = wire.decode(wire.DECODE_ORDER, answer)
        report = translate.order_report(order)
        fills = translate.fills_of_order(order)
    except wire.WireError as error:
        return _refused(undecodable(str(error)))
    if report.client_order_id != intent.client_order_id:
        return _refused(undecodable(f"answer is about {report.client_order_id!r}"))
    return Accepted(report=report, fills=fills)


async def cancel(
    rest: RestClient, symbol: str, client_order_id: str, cancel_id: str
) -> CancelOutcome:
    """Cancel one order by its client order id."""
    params: dict[str, str | int] = {
        "symbol": symbol,
        "origClientOrderId": client_order_id,
        "newClientOrderId": cancel_id,
    }
    answer = await rest.cancel("order", params)
    if isinstance(answer, Fault):
        return _refused(answer)
    try:
        report = translate.order_report(wire.decode(wire.DECODE_ORDER, answer))
    except wire.WireError as error:
        return _refused(undecodable(str(error)))
    return Canceled(reports=(report,))


async def cancel_all(rest: RestClient, symbol: str) -> CancelOutcome:
    """Cancel everything that rests in the symbol."""
    answer = await rest.cancel("openOrders", {"symbol": symbol})
    if isinstance(answer, Fault):
        if answer.certain and answer.code == NOTHING_OPEN:
            return Canceled(reports=())
        return _refused(answer)
    try:
        orders = _canceled(answer)
        answered_us = monotonic_us()
        reports = tuple(map(translate.order_report, orders))
    except wire.WireError as error:
        return _refused(undecodable(str(error)))
    return Canceled(reports=reports, answered_us=answered_us if reports else 0)


def order_query(intent: OrderIntent) -> str:
    """Return the encoded parameters of a new order; FULL for every type, so that fills come too.

    Written by hand because it stands on the order's way: enum values and plain decimals hold
    nothing to encode, the rest is quoted.
    """
    query = (
        f"symbol={quote(intent.symbol, safe='')}&side={intent.side.value}&type={intent.type.value}"
        f"&quantity={to_text(intent.quantity)}"
        f"&newClientOrderId={quote(intent.client_order_id, safe='')}&newOrderRespType=FULL"
    )
    if intent.price is not None:
        query += f"&price={to_text(intent.price)}"
    if intent.time_in_force is not None:
        query += f"&timeInForce={intent.time_in_force.value}"
    return query


def _canceled(answer: bytes) -> tuple[wire.WireOrder, ...]:
    """Read the cancel-all answer; someone else's order lists in it count as their orders."""
    if b'"orderReports"' not in answer:
        return wire.decode(wire.DECODE_ORDERS, answer)
    orders: list[wire.WireOrder] = []
    for row in wire.decode(wire.DECODE_ROWS, answer):
        if b'"orderReports"' in bytes(row):
            orders += wire.decode(wire.DECODE_ORDER_LIST, bytes(row)).order_reports
        else:
            orders.append(wire.decode(wire.DECODE_ORDER, bytes(row)))
    return tuple(orders)


def _refused(fault: Fault) -> Rejected | Unknown:
    if fault.certain:
        return Rejected(code=fault.code, reason=fault.reason, advice=fault.advice)
    return Unknown(cause=fault.text, advice=fault.advice)
