"""Requests that change something: one order, one cancel, all cancels. Outcomes are values (I3).

    2xx and readable                      -> Accepted / Canceled
    certainly without effect (errors.py)  -> Rejected
    anything else                         -> Unknown, ended only by asking the venue

A submit leaves once and is never repeated. A cancel may be: it is repeated only after the venue
refused it because of our clock, which is certain. Cancels pass every budget (I13).
"""

from __future__ import annotations

from engine.contracts.money import to_text
from engine.contracts.order import OrderIntent
from engine.venues.binance import translate, wire
from engine.venues.binance.errors import Fault, undecodable
from engine.venues.binance.rest import CLOCK_CODE, RestClient
from engine.venues.port import (
    Accepted,
    Canceled,
    CancelOutcome,
    Rejected,
    SubmitOutcome,
    Unknown,
    VenueQueryFailed,
)

#: "Unknown order sent.": it is not open (filled, canceled, or never there).
NOTHING_OPEN = "-2011"


async def submit(rest: RestClient, intent: OrderIntent) -> SubmitOutcome:
    """Send one order, once."""
    refusal = rest.budget.refuse_order(rest.venue_now_us())
    if refusal is not None:
        return Rejected(code="RATE_RESERVED", reason=f"not sent: {refusal}")
    answer = await rest.once("POST", "order", order_params(intent))
    if isinstance(answer, Fault):
        return _refused(answer)
    try:
        order = wire.decode(wire.DECODE_ORDER, answer)
        report = translate.order_report(order)
        fills = translate.fills_of_order(order)
    except wire.WireError as error:
        return Unknown(cause=undecodable(str(error)).text)
    if report.client_order_id != intent.client_order_id:
        return Unknown(cause=undecodable(f"answer is about {report.client_order_id!r}").text)
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
    answer = await _delete(rest, "order", params)
    if isinstance(answer, Fault):
        return _refused(answer)
    try:
        report = translate.order_report(wire.decode(wire.DECODE_ORDER, answer))
    except wire.WireError as error:
        return Unknown(cause=undecodable(str(error)).text)
    return Canceled(reports=(report,))


async def cancel_all(rest: RestClient, symbol: str) -> CancelOutcome:
    """Cancel everything that rests in the symbol."""
    answer = await _delete(rest, "openOrders", {"symbol": symbol})
    if isinstance(answer, Fault):
        if answer.certain and answer.code == NOTHING_OPEN:
            return Canceled(reports=())
        return _refused(answer)
    try:
        return Canceled(reports=tuple(map(translate.order_report, _canceled(answer))))
    except wire.WireError as error:
        return Unknown(cause=undecodable(str(error)).text)


def order_params(intent: OrderIntent) -> dict[str, str | int]:
    """Return the parameters of a new order; FULL for every type, so that the fills come with it."""
    params: dict[str, str | int] = {
        "symbol": intent.symbol,
        "side": intent.side.value,
        "type": intent.type.value,
        "quantity": to_text(intent.quantity),
        "newClientOrderId": intent.client_order_id,
        "newOrderRespType": "FULL",
    }
    if intent.price is not None:
        params["price"] = to_text(intent.price)
    if intent.time_in_force is not None:
        params["timeInForce"] = intent.time_in_force.value
    return params


async def _delete(rest: RestClient, path: str, params: dict[str, str | int]) -> bytes | Fault:
    """Send a cancel; once more after a new reading of the clock if the clock was why not."""
    answer = await rest.once("DELETE", path, params)
    if not isinstance(answer, Fault) or answer.code != CLOCK_CODE or not answer.certain:
        return answer
    try:
        await rest.measure_clock()
    except VenueQueryFailed:
        return answer
    return await rest.once("DELETE", path, params)


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
        return Rejected(code=fault.code, reason=fault.reason)
    return Unknown(cause=fault.text)
