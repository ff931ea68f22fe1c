"""Signed REST endpoints: orders, cancels and what an account may ask about itself."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable

import msgspec

from engine.sandbox import documents
from engine.sandbox.accounts import Account
from engine.sandbox.book import BUY, SELL
from engine.sandbox.errors import (
    VenueError,
    bad_combination,
    illegal,
    missing,
    no_such_order,
    not_required,
    unknown_order,
)
from engine.sandbox.exchange import Exchange
from engine.sandbox.orders import NewOrder, Order
from engine.sandbox.rules import STP_MODES, parse_amount
from engine.sandbox.wire import Params, check_symbol

_CLIENT_ID = r"^[a-zA-Z0-9-_]{1,36}$"
_CLIENT_ID_RE = re.compile(r"[a-zA-Z0-9_-]{1,36}")
_DAY_US = 86_400_000_000
_LEAST_STRATEGY_TYPE = 1_000_000
#: Fields by order type: (mandatory, refused).
_FIELDS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "LIMIT": (("timeInForce", "quantity", "price"), ("quoteOrderQty",)),
    "LIMIT_MAKER": (("quantity", "price"), ("quoteOrderQty", "timeInForce")),
    "MARKET": ((), ("timeInForce", "price")),
}
_NOT_BUILT = ("stopPrice", "trailingDelta", "icebergQty")


class SignedEndpoint(msgspec.Struct, frozen=True):
    """Weight (a number or by parameters) and the function that answers."""

    weight: int | Callable[[Params], int]
    answer: Callable[[Exchange, Account, Params], object]


def _client_id(params: Params, name: str) -> str:
    value = params.text(name)
    if value is None:
        return secrets.token_urlsafe(16)
    if not _CLIENT_ID_RE.fullmatch(value):
        raise illegal(name, _CLIENT_ID)
    return value


def read_order(exchange: Exchange, params: Params) -> tuple[NewOrder, str]:
    """Check the parameters of a new order. Returns it and the form of the answer."""
    check_symbol(exchange, params.required("symbol"))
    side = _one_of(params.required("side"), ("BUY", "SELL"), -1117, "Invalid side.")
    kind = _one_of(params.required("type"), tuple(_FIELDS), -1116, "Invalid orderType.")
    _check_fields(params, kind)
    time_in_force = params.text("timeInForce") or "GTC"
    _one_of(time_in_force, ("GTC", "IOC", "FOK"), -1115, "Invalid timeInForce.")
    stp = params.text("selfTradePreventionMode") or "EXPIRE_MAKER"
    _one_of(
        stp,
        STP_MODES,
        -1013,
        "This symbol does not allow the specified self-trade prevention mode.",
    )
    form = params.text("newOrderRespType") or ("ACK" if kind == "LIMIT_MAKER" else "FULL")
    if form not in {"ACK", "RESULT", "FULL"}:
        raise illegal("newOrderRespType", "^(ACK|RESULT|FULL)$")
    strategy_type = params.integer("strategyType")
    if strategy_type is not None and strategy_type < _LEAST_STRATEGY_TYPE:
        raise VenueError(-1134, "strategyType was less than 1000000.")
    price, quantity, quote = (params.text(n) for n in ("price", "quantity", "quoteOrderQty"))
    rules, market = exchange.rules, kind == "MARKET"
    return NewOrder(
        client_id=_client_id(params, "newClientOrderId"),
        side=BUY if side == "BUY" else SELL,
        type=kind,
        time_in_force=time_in_force,
        price=rules.parse_price(price) if price is not None else 0,
        quantity=rules.parse_quantity(quantity, market=market) if quantity is not None else 0,
        quote_amount=parse_amount(quote, "quoteOrderQty") if quote is not None else 0,
        stp=stp,
        strategy_id=params.integer("strategyId"),
        strategy_type=strategy_type,
    ), form


def _one_of(value: str, allowed: tuple[str, ...], code: int, msg: str) -> str:
    if value not in allowed:
        raise VenueError(code, msg)
    return value


def _check_fields(params: Params, kind: str) -> None:
    """Mandatory and refused fields of an order type; a market order has one of two sizes."""
    mandatory, refused = _FIELDS[kind]
    for name in mandatory:
        params.required(name)
    for name in (*refused, *_NOT_BUILT):
        if params.text(name) is not None:
            raise not_required(name)
    quantity, quote = params.text("quantity"), params.text("quoteOrderQty")
    if kind == "MARKET" and (quantity is None) == (quote is None):
        raise missing("quantity") if quantity is None else not_required("quoteOrderQty")


def place_order(exchange: Exchange, account: Account, params: Params) -> dict[str, object]:
    """POST order."""
    new, form = read_order(exchange, params)
    params.finish()
    now_us = exchange.clock_us()
    exchange.limits.count_order(account.name, now_us)
    try:
        order = exchange.matching.place(account, new, now_us)
    except VenueError:
        exchange.limits.uncount_order(account.name, now_us, 1)
        raise
    exchange.settle()
    return documents.placed(exchange.rules, order, form, params.unit_us)


def _test_order(exchange: Exchange, account: Account, params: Params) -> object:
    rates = params.flag("computeCommissionRates")
    new, _ = read_order(exchange, params)
    params.finish()
    exchange.matching.check(account, new)
    if not rates:
        return {}
    standard = documents.commission_rates(exchange.rules)
    nothing = dict.fromkeys(standard, "0.00000000")
    return {"standardCommissionForOrder": standard, "taxCommissionForOrder": nothing}


def _find(account: Account, params: Params, error: Callable[[], VenueError]) -> Order:
    """The order named by `orderId` and/or `origClientOrderId` (which then must agree)."""
    order_id, client_id = params.integer("orderId"), params.text("origClientOrderId")
    if order_id is None and client_id is None:
        raise missing("orderId")
    if order_id is not None:
        order = account.orders.get(order_id)
    else:
        order = account.latest_by_client_id.get(client_id or "")
    if order is None or (client_id is not None and order.client_id != client_id):
        raise error()
    return order


def _order(exchange: Exchange, account: Account, params: Params) -> object:
    check_symbol(exchange, params.required("symbol"))
    order = _find(account, params, no_such_order)
    params.finish()
    if not exchange.visible(order):
        raise no_such_order()
    return documents.queried(exchange.rules, order, params.unit_us)


def _cancel(exchange: Exchange, account: Account, params: Params) -> object:
    check_symbol(exchange, params.required("symbol"))
    order = _find(account, params, unknown_order)
    cancel_id = _client_id(params, "newClientOrderId")
    only = params.text("cancelRestrictions")
    params.finish()
    if only not in {None, "ONLY_NEW", "ONLY_PARTIALLY_FILLED"}:
        raise VenueError(
            -1145,
            "`cancelRestrictions` has to be either `ONLY_NEW` or `ONLY_PARTIALLY_FILLED`.",
        )
    if only is not None and order.status != only.removeprefix("ONLY_"):
        raise VenueError(-2011, "Order was not canceled due to cancel restrictions.")
    if not exchange.cancelable(order):
        raise unknown_order()
    exchange.matching.cancel(order, cancel_id, exchange.clock_us())
    exchange.settle()
    return documents.canceled(exchange.rules, order, cancel_id, params.unit_us)


def _cancel_all(exchange: Exchange, account: Account, params: Params) -> object:
    check_symbol(exchange, params.required("symbol"))
    params.finish()
    found = filter(exchange.cancelable, account.open_orders.values())
    open_orders = sorted(found, key=lambda order: order.order_id)
    if not open_orders:
        raise unknown_order()
    answer = []
    for order in open_orders:
        cancel_id = secrets.token_urlsafe(16)
        try:
            exchange.matching.cancel(order, cancel_id, exchange.clock_us())
        except VenueError:
            # A fill was faster than this cancel; the others go on.
            continue
        answer.append(documents.canceled(exchange.rules, order, cancel_id, params.unit_us))
    exchange.settle()
    if not answer:
        raise unknown_order()
    return answer


def _open_orders(exchange: Exchange, account: Account, params: Params) -> object:
    symbol = params.text("symbol")
    params.finish()
    if symbol is not None:
        check_symbol(exchange, symbol)
    found = sorted(account.open_orders.values(), key=lambda order: order.order_id)
    return [
        documents.queried(exchange.rules, o, params.unit_us) for o in found if exchange.visible(o)
    ]


def _times(params: Params) -> tuple[int | None, int | None]:
    """The span asked for in µs: 24 hours at most."""
    start, end = params.span()
    if start is not None and end is not None and end - start >= _DAY_US + 1000:
        raise VenueError(-1127, "More than 24 hours between startTime and endTime.")
    return start, end


def _in_time(at_us: int, start: int | None, end: int | None) -> bool:
    return (start is None or at_us >= start) and (end is None or at_us <= end)


def _all_orders(exchange: Exchange, account: Account, params: Params) -> object:
    check_symbol(exchange, params.required("symbol"))
    from_id, (start, end) = params.integer("orderId"), _times(params)
    limit = params.limit(500, 1000)
    params.finish()
    found = [
        order
        for order in account.orders.values()
        if (from_id is None or order.order_id >= from_id)
        and _in_time(order.created_us, start, end)
        and exchange.visible(order)
    ]
    first = from_id is not None or start is not None
    return [
        documents.queried(exchange.rules, order, params.unit_us)
        for order in (found[:limit] if first else found[-limit:])
    ]


def _my_trades(exchange: Exchange, account: Account, params: Params) -> object:
    check_symbol(exchange, params.required("symbol"))
    order_id, from_id = params.integer("orderId"), params.integer("fromId")
    start, end = _times(params)
    timed = start is not None or end is not None
    if timed and (from_id is not None or order_id is not None):
        raise bad_combination()
    limit = params.limit(500, 1000)
    params.finish()
    found = [
        trade
        for trade in account.trades
        if (order_id is None or trade.order_id == order_id)
        and (from_id is None or trade.trade_id >= from_id)
        and _in_time(trade.time_us, start, end)
    ]
    first = from_id is not None or start is not None
    return [
        documents.own_trade(exchange.rules, trade, params.unit_us)
        for trade in (found[:limit] if first else found[-limit:])
    ]


def _account(exchange: Exchange, account: Account, params: Params) -> object:
    omit_zero = params.flag("omitZeroBalances")
    params.finish()
    return documents.account_document(
        exchange.rules, account, omit_zero=omit_zero, unit_us=params.unit_us
    )


def _prevented_matches(exchange: Exchange, account: Account, params: Params) -> object:
    """By `preventedMatchId`, or by `orderId` with an optional `fromPreventedMatchId`."""
    check_symbol(exchange, params.required("symbol"))
    match_id, order_id = params.integer("preventedMatchId"), params.integer("orderId")
    from_id = params.integer("fromPreventedMatchId")
    limit = params.limit(500, 1000)
    params.finish()
    if match_id is None and order_id is None:
        raise VenueError(
            -1102, "Param 'preventedMatchId' or 'orderId' must be sent, but both were empty/null!"
        )
    if match_id is not None and (order_id is not None or from_id is not None):
        raise bad_combination()
    found = [
        match
        for match in account.prevented
        if (match_id is None or match.match_id == match_id)
        and (order_id is None or order_id in {match.taker_order_id, match.maker_order_id})
        and (from_id is None or match.match_id >= from_id)
    ]
    return [
        documents.prevented_match(exchange.rules, match, params.unit_us) for match in found[:limit]
    ]


def _order_limits(exchange: Exchange, account: Account, params: Params) -> object:
    params.finish()
    counts = exchange.limits.order_counts(account.name, exchange.clock_us())
    rows = [row for row in exchange.limits.document() if row["rateLimitType"] == "ORDERS"]
    return [{**row, "count": count} for row, count in zip(rows, counts, strict=True)]


def _commission(exchange: Exchange, _account: Account, params: Params) -> object:
    check_symbol(exchange, params.required("symbol"))
    params.finish()
    standard = documents.commission_rates(exchange.rules)
    nothing = dict.fromkeys(standard, "0.00000000")
    return {
        "symbol": exchange.rules.symbol,
        "standardCommission": standard,
        "specialCommission": nothing,
        "taxCommission": nothing,
        "discount": {
            "enabledForAccount": False,
            "enabledForSymbol": False,
            "discountAsset": "BNB",
            "discount": "0.00000000",
        },
    }


SIGNED: dict[tuple[str, str], SignedEndpoint] = {
    ("POST", "order"): SignedEndpoint(1, place_order),
    ("POST", "order/test"): SignedEndpoint(
        lambda p: 20 if p.has("computeCommissionRates") else 1, _test_order
    ),
    ("GET", "order"): SignedEndpoint(4, _order),
    ("DELETE", "order"): SignedEndpoint(1, _cancel),
    ("DELETE", "openOrders"): SignedEndpoint(1, _cancel_all),
    ("GET", "openOrders"): SignedEndpoint(lambda p: 6 if p.has("symbol") else 80, _open_orders),
    ("GET", "allOrders"): SignedEndpoint(20, _all_orders),
    ("GET", "account"): SignedEndpoint(20, _account),
    ("GET", "myTrades"): SignedEndpoint(lambda p: 5 if p.has("orderId") else 20, _my_trades),
    ("GET", "myPreventedMatches"): SignedEndpoint(
        lambda p: 2 if p.has("preventedMatchId") else 20, _prevented_matches
    ),
    ("GET", "rateLimit/order"): SignedEndpoint(40, _order_limits),
    ("GET", "account/commission"): SignedEndpoint(20, _commission),
}
#: Successful placements and cancels cost nothing since 2026-04-02.
FREE = frozenset({("POST", "order"), ("DELETE", "order"), ("DELETE", "openOrders")})
