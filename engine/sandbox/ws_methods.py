"""REST's endpoints under their WebSocket API names (web-socket-api.md).

One table: method -> the same row that REST answers with, so that both ways say the same. Signed
methods take an `apiKey` and a `signature`, or neither on a connection that is logged on; the time
rules hold for both.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from engine.sandbox.auth import ApiKey, bad_signature, check_timing, find_key, verify, ws_payload
from engine.sandbox.errors import VenueError, illegal, missing
from engine.sandbox.exchange import Exchange
from engine.sandbox.rest_market import PUBLIC
from engine.sandbox.rest_trading import FREE, SIGNED
from engine.sandbox.wire import Params

Value = str | int | bool | None | list[str]

MARKET: dict[str, str] = {
    "ping": "ping",
    "time": "time",
    "exchangeInfo": "exchangeInfo",
    "depth": "depth",
    "trades.recent": "trades",
    "trades.historical": "historicalTrades",
    "trades.aggregate": "aggTrades",
    "klines": "klines",
    "uiKlines": "uiKlines",
    "avgPrice": "avgPrice",
    "ticker.24hr": "ticker/24hr",
    "ticker.price": "ticker/price",
    "ticker.book": "ticker/bookTicker",
}
ACCOUNT: dict[str, tuple[str, str]] = {
    "order.place": ("POST", "order"),
    "order.test": ("POST", "order/test"),
    "order.status": ("GET", "order"),
    "order.cancel": ("DELETE", "order"),
    "openOrders.status": ("GET", "openOrders"),
    "openOrders.cancelAll": ("DELETE", "openOrders"),
    "allOrders": ("GET", "allOrders"),
    "myTrades": ("GET", "myTrades"),
    "myPreventedMatches": ("GET", "myPreventedMatches"),
    "account.status": ("GET", "account"),
    "account.commission": ("GET", "account/commission"),
    "account.rateLimits.orders": ("GET", "rateLimit/order"),
}
#: Parameters that are about the request itself.
_ENVELOPE = ("apiKey", "signature", "returnRateLimits")


def authenticate(
    exchange: Exchange, sent: Mapping[str, Value], logged_on: ApiKey | None = None
) -> ApiKey:
    """The key behind a signed request. Raises VenueError."""
    key_name, stamp, window = (_text(sent, n) for n in ("apiKey", "timestamp", "recvWindow"))
    if key_name is None and logged_on is not None:
        check_timing(stamp, window, exchange.clock_us())
        return logged_on
    key = find_key(exchange.keys, key_name)
    signature = _text(sent, "signature")
    if not signature:
        raise missing("signature")
    check_timing(stamp, window, exchange.clock_us())
    if not verify(key, ws_payload(sent), signature):
        raise bad_signature()
    return key


def call(
    exchange: Exchange,
    method: str,
    sent: Mapping[str, Value],
    *,
    address: str,
    unit_us: int,
    logged_on: ApiKey | None,
) -> tuple[object, str | None] | None:
    """The result of a method and the account that placed an order with it.

    None when the method is not of these. Raises VenueError.
    """
    if method not in MARKET and method not in ACCOUNT:
        return None
    named = {name: _text(sent, name) for name in sent if name not in _ENVELOPE}
    params = Params({name: text for name, text in named.items() if text is not None}, unit_us)
    if method in MARKET:
        endpoint = PUBLIC[MARKET[method]]
        _charge(exchange, address, endpoint.weight, params)
        result = endpoint.answer(exchange, params)
        params.finish()
        return result, None
    route = ACCOUNT[method]
    signed = SIGNED[route]
    weight = _charge(exchange, address, signed.weight, params)
    account = exchange.accounts[authenticate(exchange, sent, logged_on).account]
    for name in ("timestamp", "recvWindow"):
        params.text(name)
    result = signed.answer(exchange, account, params)
    if route in FREE:
        exchange.limits.refund(address, weight, exchange.clock_us())
    return result, account.name if method == "order.place" else None


def _charge(
    exchange: Exchange, address: str, weight: int | Callable[[Params], int], params: Params
) -> int:
    cost = weight if isinstance(weight, int) else weight(params)
    exchange.limits.charge(address, cost, exchange.clock_us())
    return cost


def _text(sent: Mapping[str, Value], name: str) -> str | None:
    """A parameter as REST would have got it."""
    match sent.get(name):
        case bool() as flag:
            return "true" if flag else "false"
        case list() as many:
            return msgspec.json.encode(many).decode()
        case None:
            return None
        case value:
            text = str(value)
    if not text.isprintable():
        raise illegal(name, "printable characters")
    return text


def unknown_method(name: str) -> VenueError:
    """A method that is not offered here."""
    return VenueError(-1104, f"Unknown method '{name[:60]}'.")
