"""Public REST endpoints: a table of path -> (weight, function of exchange and parameters)."""

from __future__ import annotations

import re
from collections.abc import Callable

import msgspec

from engine.sandbox.candles import INTERVALS, MINUTE_MS
from engine.sandbox.errors import VenueError, bad_combination, illegal, not_valid
from engine.sandbox.exchange import Exchange
from engine.sandbox.market import best_document, levels
from engine.sandbox.rules import symbol_document
from engine.sandbox.wire import Params, check_symbol

_LIST = '^\\[("[A-Z0-9-_.]{1,20}"(,"[A-Z0-9-_.]{1,20}"){0,}){0,1}\\]$'
_ZONE = re.compile(r"([+-]?)([0-9]{1,2})(?::([0-5][0-9]))?")
_STATUSES = ("TRADING", "HALT", "BREAK", "END_OF_DAY", "CANCEL_ONLY")
#: Fields of ticker/24hr that `type=MINI` leaves out.
_FULL_ONLY = frozenset(
    [
        "priceChange",
        "priceChangePercent",
        "weightedAvgPrice",
        "prevClosePrice",
        "lastQty",
        "bidPrice",
        "bidQty",
        "askPrice",
        "askQty",
    ]
)


class Endpoint(msgspec.Struct, frozen=True):
    """Weight (a number or by parameters) and the function that answers."""

    weight: int | Callable[[Params], int]
    answer: Callable[[Exchange, Params], object]


def _now_ms(exchange: Exchange) -> int:
    return exchange.clock_us() // 1000


def _ping(_exchange: Exchange, _params: Params) -> object:
    return {}


def _time(exchange: Exchange, params: Params) -> object:
    return {"serverTime": exchange.clock_us() // params.unit_us}


def _names(name: str, value: str) -> list[str]:
    """A JSON list of symbols or words."""
    try:
        names = msgspec.json.decode(value, type=list[str])
    except msgspec.DecodeError:
        raise illegal(name, _LIST) from None
    if len(set(names)) != len(names):
        raise VenueError(-1151, "Symbol is present multiple times in the list.")
    return names


def _symbols(exchange: Exchange, params: Params) -> bool:
    """Check `symbol` or `symbols`; True when one symbol was named alone."""
    one, many = params.text("symbol"), params.text("symbols")
    if one is not None and many is not None:
        raise bad_combination()
    if one is not None:
        check_symbol(exchange, one)
    if many is not None:
        for name in _names("symbols", many):
            check_symbol(exchange, name)
    return one is not None


def _exchange_info(exchange: Exchange, params: Params) -> object:
    _symbols(exchange, params)
    named = params.has("symbol") or params.has("symbols")
    permissions, status = params.text("permissions"), params.text("symbolStatus")
    params.flag("showPermissionSets")
    if status not in {None, *_STATUSES}:
        raise VenueError(-1122, "Invalid symbolStatus.")
    if named and (permissions is not None or status is not None):
        raise bad_combination()
    document = symbol_document(exchange.rules)
    wanted = ["SPOT"]
    if permissions is not None:
        listed = permissions.startswith("[")
        wanted = _names("permissions", permissions) if listed else [permissions]
    shown = "SPOT" in wanted and status in {None, document["status"]}
    return {
        "timezone": "UTC",
        "serverTime": exchange.clock_us() // params.unit_us,
        "rateLimits": exchange.limits.document(),
        "exchangeFilters": [],
        "symbols": [document] if shown else [],
    }


def _depth_weight(params: Params) -> int:
    limit = params.limit(100, 5000)
    return next(
        weight for most, weight in ((100, 5), (500, 25), (1000, 50), (5000, 250)) if limit <= most
    )


def _depth(exchange: Exchange, params: Params) -> object:
    check_symbol(exchange, params.required("symbol"))
    return depth_document(exchange, params.limit(100, 5000))


def depth_document(exchange: Exchange, limit: int) -> dict[str, object]:
    """The best levels of both sides with the book's update id."""
    book, rules = exchange.matching.book, exchange.rules
    return {
        "lastUpdateId": book.update_id,
        "bids": levels(rules, book.bids.top(limit)),
        "asks": levels(rules, book.asks.top(limit)),
    }


def _trades(exchange: Exchange, params: Params) -> object:
    check_symbol(exchange, params.required("symbol"))
    found = exchange.market.trades_from(None, params.limit(500, 1000))
    return [exchange.market.trade_document(trade, params.unit_us) for trade in found]


def _historical_trades(exchange: Exchange, params: Params) -> object:
    check_symbol(exchange, params.required("symbol"))
    found = exchange.market.trades_from(params.integer("fromId"), params.limit(500, 1000))
    return [exchange.market.trade_document(trade, params.unit_us) for trade in found]


def _aggregate_trades(exchange: Exchange, params: Params) -> object:
    check_symbol(exchange, params.required("symbol"))
    from_id, (start_us, end_us) = params.integer("fromId"), params.span()
    limit = params.limit(500, 1000)
    if from_id is not None and (start_us is not None or end_us is not None):
        raise bad_combination()
    found = exchange.market.aggregates_from(from_id, start_us, end_us, limit)
    return [exchange.market.aggregate_document(item, params.unit_us) for item in found]


def _zone_ms(params: Params) -> int:
    """`timeZone`: hours, or hours and minutes, from -12:00 to +14:00."""
    text = params.text("timeZone")
    if text is None:
        return 0
    match = _ZONE.fullmatch(text)
    minutes = 0
    if match is not None:
        minutes = int(match[2]) * 60 + int(match[3] or 0)
        minutes = -minutes if match[1] == "-" else minutes
    if match is None or not -12 * 60 <= minutes <= 14 * 60:
        raise not_valid("timeZone")
    return minutes * MINUTE_MS


def _klines(exchange: Exchange, params: Params) -> object:
    check_symbol(exchange, params.required("symbol"))
    interval = params.required("interval")
    if interval not in INTERVALS:
        raise VenueError(-1120, "Invalid interval.")
    zone_ms, (start_us, end_us) = _zone_ms(params), params.span()
    bars = exchange.market.bars(
        interval,
        None if start_us is None else -(-start_us // 1000),
        None if end_us is None else end_us // 1000,
        params.limit(500, 1000),
        _now_ms(exchange),
        zone_ms,
    )
    return [exchange.market.bar_row(bar, interval, params.unit_us, zone_ms) for bar in bars]


def _average_price(exchange: Exchange, params: Params) -> object:
    check_symbol(exchange, params.required("symbol"))
    price, close_ms = exchange.market.average(5, _now_ms(exchange))
    return {
        "mins": 5,
        "price": exchange.rules.price_text(price),
        "closeTime": close_ms * 1000 // params.unit_us,
    }


def _day_weight(params: Params) -> int:
    """2 for one symbol and for a list (which cannot be long here), 80 for all."""
    return 2 if params.has("symbol") or params.has("symbols") else 80


def _ticker_weight(params: Params) -> int:
    return 2 if params.has("symbol") else 4


def _day(exchange: Exchange, params: Params) -> object:
    alone = _symbols(exchange, params)
    form = params.text("type")
    if form not in {None, "FULL", "MINI"}:
        raise VenueError(-1139, "Invalid ticker type.")
    document = exchange.market.day_document(
        exchange.matching.book, _now_ms(exchange), params.unit_us
    )
    if form == "MINI":
        document = {name: value for name, value in document.items() if name not in _FULL_ONLY}
    return document if alone else [document]


def _price(exchange: Exchange, params: Params) -> object:
    alone = _symbols(exchange, params)
    price = exchange.rules.price_text(exchange.matching.last_price)
    document = {"symbol": exchange.rules.symbol, "price": price}
    return document if alone else [document]


def _best(exchange: Exchange, params: Params) -> object:
    alone = _symbols(exchange, params)
    best = best_document(exchange.rules, exchange.matching.book)
    document = {"symbol": exchange.rules.symbol, **best}
    return document if alone else [document]


PUBLIC: dict[str, Endpoint] = {
    "ping": Endpoint(1, _ping),
    "time": Endpoint(1, _time),
    "exchangeInfo": Endpoint(20, _exchange_info),
    "depth": Endpoint(_depth_weight, _depth),
    "trades": Endpoint(25, _trades),
    "historicalTrades": Endpoint(25, _historical_trades),
    "aggTrades": Endpoint(4, _aggregate_trades),
    "klines": Endpoint(2, _klines),
    "uiKlines": Endpoint(2, _klines),
    "avgPrice": Endpoint(2, _average_price),
    "ticker/24hr": Endpoint(_day_weight, _day),
    "ticker/price": Endpoint(_ticker_weight, _price),
    "ticker/bookTicker": Endpoint(_ticker_weight, _best),
}
