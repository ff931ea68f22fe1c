"""The order state machine: one order, one event, the next order or a refusal.

Theory. An order has three sources that race each other: the answer to our request, the user
stream, and queries. So the machine accepts facts in any order and any number of times: a fill may
come before its acknowledgement, twice, or after the cancel. What it promises:

* total: `step` never raises; an illegal event yields `Illegal` and the order stays as it was;
* I2: `filled_quantity` is the sum of the distinct fills and nothing else. The quantity that a
  cancel or expiry reports is not booked; reconciliation shows the difference;
* I3: UNKNOWN ends only by a venue's fact: acknowledged, rejected, canceled, expired or the
  *last* fill. A partial fill proves that the order existed, not what became of the request that is
  in doubt, so UNKNOWN stays until the venue is asked; asking to cancel does not end it either.
  An order in doubt that the venue no longer knows is `lost`: still UNKNOWN, but asking again does
  not help. Any news of it undoes that; without news both people close it (`close_lost`);
* no way back: a final order is never open again. Late fills of a canceled or expired order are
  counted and the state is kept; doubt about an order that already ended is answered already;
* I13: a cancel may be requested for anything that may still execute.

`TRANSITIONS` and `REFUSALS` are the whole machine: every pair of a state and a trigger is in
exactly one of them. `fill` leaves a rest, `fill_last` leaves nothing; `close_lost` closes an order
that is lost, `close` one that has ended. The target ACKNOWLEDGED reads as "working" and is refined
by what is known: SUBMITTED while the venue has not shown the order, PARTIALLY_FILLED when something
is filled.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec

from engine.contracts import event as ev
from engine.contracts.fill import Fill
from engine.contracts.order import Order, OrderState
from engine.orders.exact import add, multiply, usable

CREATED = OrderState.CREATED
SUBMITTED = OrderState.SUBMITTED
ACKNOWLEDGED = OrderState.ACKNOWLEDGED
PARTIALLY_FILLED = OrderState.PARTIALLY_FILLED
FILLED = OrderState.FILLED
CANCEL_PENDING = OrderState.CANCEL_PENDING
CANCELED = OrderState.CANCELED
REJECTED = OrderState.REJECTED
EXPIRED = OrderState.EXPIRED
UNKNOWN = OrderState.UNKNOWN
CLOSED = OrderState.CLOSED

#: States that no event opens again.
FINAL_STATES = frozenset({FILLED, CANCELED, REJECTED, EXPIRED, CLOSED})


class Illegal(msgspec.Struct, frozen=True, kw_only=True):
    """An event that does not fit the order. Nothing was changed; somebody should look.

    Codes: those of `REFUSALS`, NOT_AN_ORDER_EVENT, WRONG_ORDER, BAD_FILL, OVERFILL, CONTRADICTION,
    VENUE_ID; from the ledgers also UNKNOWN_ORDER, DUPLICATE_INTENT and FILL_CONFLICT.
    """

    code: str
    reason: str


TRANSITIONS: dict[tuple[OrderState, str], OrderState] = {
    (CREATED, "submit"): SUBMITTED,
    # sent, nothing heard yet
    (SUBMITTED, "acknowledge"): ACKNOWLEDGED,
    (SUBMITTED, "reject"): REJECTED,
    (SUBMITTED, "unknown"): UNKNOWN,
    (SUBMITTED, "fill"): PARTIALLY_FILLED,
    (SUBMITTED, "fill_last"): FILLED,
    (SUBMITTED, "cancel_request"): CANCEL_PENDING,
    (SUBMITTED, "cancel_refuse"): SUBMITTED,
    (SUBMITTED, "cancel"): CANCELED,
    (SUBMITTED, "expire"): EXPIRED,
    # resting
    (ACKNOWLEDGED, "acknowledge"): ACKNOWLEDGED,
    (ACKNOWLEDGED, "unknown"): UNKNOWN,
    (ACKNOWLEDGED, "fill"): PARTIALLY_FILLED,
    (ACKNOWLEDGED, "fill_last"): FILLED,
    (ACKNOWLEDGED, "cancel_request"): CANCEL_PENDING,
    (ACKNOWLEDGED, "cancel_refuse"): ACKNOWLEDGED,
    (ACKNOWLEDGED, "cancel"): CANCELED,
    (ACKNOWLEDGED, "expire"): EXPIRED,
    # partly executed
    (PARTIALLY_FILLED, "acknowledge"): PARTIALLY_FILLED,
    (PARTIALLY_FILLED, "unknown"): UNKNOWN,
    (PARTIALLY_FILLED, "fill"): PARTIALLY_FILLED,
    (PARTIALLY_FILLED, "fill_last"): FILLED,
    (PARTIALLY_FILLED, "cancel_request"): CANCEL_PENDING,
    (PARTIALLY_FILLED, "cancel_refuse"): PARTIALLY_FILLED,
    (PARTIALLY_FILLED, "cancel"): CANCELED,
    (PARTIALLY_FILLED, "expire"): EXPIRED,
    # a cancel is on its way; the order may still execute
    (CANCEL_PENDING, "acknowledge"): CANCEL_PENDING,
    (CANCEL_PENDING, "reject"): REJECTED,
    (CANCEL_PENDING, "unknown"): UNKNOWN,
    (CANCEL_PENDING, "fill"): CANCEL_PENDING,
    (CANCEL_PENDING, "fill_last"): FILLED,
    (CANCEL_PENDING, "cancel_request"): CANCEL_PENDING,
    (CANCEL_PENDING, "cancel_refuse"): ACKNOWLEDGED,
    (CANCEL_PENDING, "cancel"): CANCELED,
    (CANCEL_PENDING, "expire"): EXPIRED,
    # in doubt (I3)
    (UNKNOWN, "acknowledge"): ACKNOWLEDGED,
    (UNKNOWN, "reject"): REJECTED,
    (UNKNOWN, "unknown"): UNKNOWN,
    (UNKNOWN, "fill"): UNKNOWN,
    (UNKNOWN, "fill_last"): FILLED,
    (UNKNOWN, "cancel_request"): UNKNOWN,
    (UNKNOWN, "cancel_refuse"): UNKNOWN,
    (UNKNOWN, "cancel"): CANCELED,
    (UNKNOWN, "expire"): EXPIRED,
    (UNKNOWN, "lose"): UNKNOWN,
    (UNKNOWN, "close_lost"): CLOSED,
    # ended: late news is taken in, nothing re-opens
    (FILLED, "acknowledge"): FILLED,
    (FILLED, "unknown"): FILLED,
    (FILLED, "cancel_refuse"): FILLED,
    (FILLED, "close"): CLOSED,
    (CANCELED, "acknowledge"): CANCELED,
    (CANCELED, "unknown"): CANCELED,
    (CANCELED, "fill"): CANCELED,
    (CANCELED, "fill_last"): CANCELED,
    (CANCELED, "cancel_refuse"): CANCELED,
    (CANCELED, "cancel"): CANCELED,
    (CANCELED, "close"): CLOSED,
    (EXPIRED, "acknowledge"): EXPIRED,
    (EXPIRED, "unknown"): EXPIRED,
    (EXPIRED, "fill"): EXPIRED,
    (EXPIRED, "fill_last"): EXPIRED,
    (EXPIRED, "cancel_refuse"): EXPIRED,
    (EXPIRED, "expire"): EXPIRED,
    (EXPIRED, "close"): CLOSED,
    (REJECTED, "reject"): REJECTED,
    (REJECTED, "unknown"): REJECTED,
    (REJECTED, "cancel_refuse"): REJECTED,
    (REJECTED, "close"): CLOSED,
    (CLOSED, "close"): CLOSED,
}

_WORKING = (SUBMITTED, ACKNOWLEDGED, PARTIALLY_FILLED, CANCEL_PENDING)
_ENDED = (FILLED, CANCELED, REJECTED, EXPIRED)
_VENUE_SAYS = ("acknowledge", "reject", "fill", "fill_last", "cancel_refuse", "cancel", "expire")


class Refusal(msgspec.Struct, frozen=True):
    """Why these triggers are refused in these states: a stable code and a sentence."""

    code: str
    states: tuple[OrderState, ...]
    triggers: tuple[str, ...]
    reason: str


#: Every pair that is not in `TRANSITIONS`, each once, with the reason that the operator reads.
REFUSALS: tuple[Refusal, ...] = (
    Refusal(
        "NOT_SENT",
        (CREATED,),
        (*_VENUE_SAYS, "unknown", "cancel_request", "lose", "close", "close_lost"),
        "nothing was sent yet, so nothing can be heard, canceled or closed",
    ),
    Refusal(
        "ALREADY_SENT",
        (*_WORKING, UNKNOWN, *_ENDED),
        ("submit",),
        "an intent leaves once; it is never sent again (I3)",
    ),
    Refusal(
        "WAS_THERE",
        (ACKNOWLEDGED, PARTIALLY_FILLED, FILLED, CANCELED, EXPIRED),
        ("reject",),
        "the venue had the order, so it cannot have refused it",
    ),
    Refusal(
        "NEVER_THERE",
        (REJECTED,),
        ("acknowledge", "fill", "fill_last", "cancel", "expire"),
        "the venue never had the order, so nothing can have happened to it there",
    ),
    Refusal(
        "NOTHING_LEFT",
        (FILLED,),
        ("fill", "fill_last", "cancel", "expire"),
        "all of it is filled, so nothing is left to trade, cancel or expire",
    ),
    Refusal(
        "ENDED_OTHERWISE",
        (CANCELED,),
        ("expire",),
        "it was canceled; an order ends once",
    ),
    Refusal(
        "ENDED_OTHERWISE",
        (EXPIRED,),
        ("cancel",),
        "it expired; an order ends once",
    ),
    Refusal("NOTHING_TO_CANCEL", _ENDED, ("cancel_request",), "it has ended already"),
    Refusal(
        "NOT_IN_DOUBT",
        (*_WORKING, *_ENDED),
        ("lose",),
        "only an order in doubt can be lost; ask the venue first (I3)",
    ),
    Refusal("STILL_OPEN", _WORKING, ("close",), "it may still execute"),
    Refusal(
        "IN_DOUBT",
        (UNKNOWN,),
        ("close",),
        "only the venue's word ends doubt; people close it when the venue has lost it (I3)",
    ),
    Refusal("NOT_LOST", (*_WORKING, *_ENDED), ("close_lost",), "the venue knows what became of it"),
    Refusal(
        "CLOSED",
        (CLOSED,),
        (*_VENUE_SAYS, "submit", "unknown", "cancel_request", "lose", "close_lost"),
        "both people have agreed on it; what is told later is a break of its own",
    ),
)

_REFUSED: dict[tuple[OrderState, str], Refusal] = {
    (state, trigger): row for row in REFUSALS for state in row.states for trigger in row.triggers
}

#: What tells nothing new of a lost order: doubts and wishes of ours, a cancel that found nothing.
_KEEPS_LOST = frozenset(
    {"lose", "unknown", "cancel_request", "cancel_refuse", "close", "close_lost"}
)

#: The trigger of each event; `fill` becomes `fill_last` when it leaves nothing, `close` becomes
#: `close_lost` for an order that is lost.
TRIGGERS: dict[type[ev.Event], str] = {
    ev.OrderIntended: "submit",
    ev.OrderAcknowledged: "acknowledge",
    ev.OrderRejected: "reject",
    ev.OrderUnknown: "unknown",
    ev.OrderLost: "lose",
    ev.OrderFilled: "fill",
    ev.CancelRequested: "cancel_request",
    ev.CancelRefused: "cancel_refuse",
    ev.OrderCanceled: "cancel",
    ev.OrderExpired: "expire",
    ev.OrderClosed: "close",
}


def step(order: Order, event: ev.AnyEvent, ts_us: int) -> Order | Illegal:
    """Return the order after the event, or why the event is illegal. Never raises.

    `ts_us` is the journal's time of the event, µs UTC. An event that tells nothing new returns
    the very same object.
    """
    trigger = TRIGGERS.get(type(event))
    if trigger is None:
        return Illegal(code="NOT_AN_ORDER_EVENT", reason=f"{ev.kind_of(event)} is about no order")
    if _order_named_by(event) != order.intent.client_order_id:
        return _illegal(order, "WRONG_ORDER", f"{trigger} names {_order_named_by(event)}")
    match event:
        case ev.OrderFilled(fill=fill):
            return _fill(order, fill, ts_us)
        case ev.OrderAcknowledged(venue_order_id=venue_order_id):
            return _acknowledge(order, venue_order_id, ts_us)
        case ev.OrderRejected() if order.venue_order_id is not None or order.filled_quantity:
            return _illegal(order, "CONTRADICTION", "rejected, but the venue had it")
        case ev.OrderClosed() if order.lost and order.state is UNKNOWN:
            trigger = "close_lost"
    reason = order.reason if trigger == "close_lost" else _reason_in(event)
    return _move(order, trigger, ts_us, reason)


def table_rows() -> tuple[tuple[str, str, str], ...]:
    """(before, trigger, after) of every legal transition, for printing, in table order."""
    return tuple((str(a), trigger, str(b)) for (a, trigger), b in TRANSITIONS.items())


def refusal_rows() -> tuple[tuple[str, str, str, str], ...]:
    """(state, trigger, code, reason) of every refused pair, for printing, by state and trigger."""
    triggers = tuple(dict.fromkeys((*TRIGGERS.values(), "fill_last", "close_lost")))
    return tuple(
        (str(state), trigger, row.code, row.reason)
        for state in OrderState
        for trigger in triggers
        if (row := _REFUSED.get((state, trigger))) is not None
    )


def _order_named_by(event: ev.AnyEvent) -> str:
    match event:
        case ev.OrderIntended(intent=intent):
            return intent.client_order_id
        case ev.OrderFilled(fill=fill):
            return fill.client_order_id
        case _:
            return str(getattr(event, "client_order_id", ""))


def _reason_in(event: ev.AnyEvent) -> str:
    match event:
        case ev.OrderRejected(code=code, reason=reason):
            return f"{code}: {reason}"
        case ev.CancelRefused(code=code, reason=reason):
            return f"cancel refused, {code}: {reason}"
        case ev.OrderUnknown(cause=cause) | ev.OrderLost(cause=cause):
            return cause
        case ev.OrderExpired(reason=reason):
            return reason
        case _:
            return ""


def _illegal(order: Order, code: str, what: str) -> Illegal:
    return Illegal(code=code, reason=f"{order.intent.client_order_id} is {order.state}: {what}")


def _move(order: Order, trigger: str, ts_us: int, reason: str) -> Order | Illegal:
    after = TRANSITIONS.get((order.state, trigger))
    if after is None:
        return _refuse(order, trigger)
    after = _refined(after, order.venue_order_id, order.filled_quantity)
    lost = trigger in _KEEPS_LOST and (order.lost or trigger == "lose")
    if after is order.state and lost is order.lost:
        return order
    return msgspec.structs.replace(order, state=after, updated_us=ts_us, reason=reason, lost=lost)


def _refuse(order: Order, trigger: str) -> Illegal:
    row = _REFUSED[order.state, trigger]
    return _illegal(order, row.code, f"{trigger} refused: {row.reason}")


def _refined(target: OrderState, venue_order_id: str | None, filled: Decimal) -> OrderState:
    """ACKNOWLEDGED means working: say how far, from what is known."""
    if target is not ACKNOWLEDGED:
        return target
    if filled:
        return PARTIALLY_FILLED
    return SUBMITTED if venue_order_id is None else ACKNOWLEDGED


def _acknowledge(order: Order, venue_order_id: str, ts_us: int) -> Order | Illegal:
    target = TRANSITIONS.get((order.state, "acknowledge"))
    if target is None:
        return _refuse(order, "acknowledge")
    if order.venue_order_id not in (None, venue_order_id):
        return _illegal(order, "VENUE_ID", f"acknowledged as {venue_order_id}")
    after = _refined(target, venue_order_id, order.filled_quantity)
    if after is order.state and order.venue_order_id is not None and not order.lost:
        return order
    return msgspec.structs.replace(
        order,
        state=after,
        venue_order_id=venue_order_id,
        updated_us=ts_us,
        reason=order.reason if after is order.state else "",
        lost=False,
    )


def _fill(order: Order, fill: Fill, ts_us: int) -> Order | Illegal:
    if fill.trade_id in order.trade_ids:
        return order
    fault = _fill_fault(order, fill)
    if fault is not None:
        return fault
    filled = add(order.filled_quantity, fill.quantity)
    trigger = "fill_last" if filled == order.intent.quantity else "fill"
    after = TRANSITIONS.get((order.state, trigger))
    if after is None:
        return _refuse(order, trigger)
    return msgspec.structs.replace(
        order,
        state=after,
        venue_order_id=order.venue_order_id or fill.venue_order_id,
        filled_quantity=filled,
        filled_quote=add(order.filled_quote, multiply(fill.price, fill.quantity)),
        trade_ids=order.trade_ids | {fill.trade_id},
        updated_us=ts_us,
        lost=False,
    )


def _fill_fault(order: Order, fill: Fill) -> Illegal | None:
    """What is wrong with the fill itself, if anything."""
    name = f"fill {fill.trade_id}"
    if not fill_is_usable(fill) or not usable(order.intent.quantity):
        return _illegal(order, "BAD_FILL", f"{name} of {fill.quantity} at {fill.price}")
    if (fill.symbol, fill.side) != (order.intent.symbol, order.intent.side):
        return _illegal(order, "WRONG_ORDER", f"{name} is {fill.side} {fill.symbol}")
    if order.venue_order_id not in (None, fill.venue_order_id):
        return _illegal(order, "VENUE_ID", f"{name} names {fill.venue_order_id}")
    if add(order.filled_quantity, fill.quantity) > order.intent.quantity:
        return _illegal(order, "OVERFILL", f"{name} of {fill.quantity} is over the rest")
    return None


def fill_is_usable(fill: Fill) -> bool:
    """Tell whether a fill's numbers can be booked: finite, quantity and price positive."""
    quantity, price = fill.quantity, fill.price
    if not (usable(quantity) and usable(price) and usable(fill.fee)):
        return False
    return quantity > 0 and price > 0
