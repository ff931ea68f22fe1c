"""Public REST endpoints: a table of path -> (weight, function of exchange and parameters)."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from engine.sandbox.candles import INTERVALS
from engine.sandbox.errors import VenueError, illegal, missing
from engine.sandbox.exchange import Exchange
from engine.sandbox.market import best_document, levels
from engine.sandbox.rules import symbol_document
from engine.sandbox.wire import Params, check_symbol


class Endpoint(msgspec.Struct, frozen=True):
    """Weight (a number or by parameters) and the function that answers."""

    weight: int | Callable[[Params], int]
    answer: Callable[[Exchange, Params], object]


def _now_ms(exchange: Exchange) -> int:
    return exchange.clock_us() // 1000


def _ping(_exchange: Exchange, _params: Params) -> object:
    return {}


def _time(exchange: Exchange, _params: Params) -> object:
    return {"serverTime": _now_ms(exchange)}


def _symbols(exchange: Exchange, params: Params) -> bool:
    """Check `symbol` or `symbols`; True when one symbol was named alone."""
    one, many = params.text("symbol"), params.text("symbols")
    if one is not None and many is not None:
        raise VenueError(-1128, "Combination of optional parameters invalid.")
    if one is not None:
        check_symbol(exchange, one)
    if many is not None:
        try:
            names = msgspec.json.decode(many, type=list[str])
        except msgspec.DecodeError:
            raise illegal(
                "symbols", '^\\[("[A-Z0-9-_.]{1,20}"(,"[A-Z0-9-_.]{1,20}"){0,}){0,1}\\]$'
            ) from None
        for name in names:
            check_symbol(exchange, name)
    return one is not None


def _exchange_info(exchange: Exchange, params: Params) -> object:
    _symbols(exchange, params)
    params.text("permissions")
    params.text("showPermissionSets")
    status = params.text("symbolStatus")
    shown = [symbol_document(exchange.rules)] if status in {None, "TRADING"} else []
    return {
        "timezone": "UTC",
        "serverTime": _now_ms(exchange),
        "rateLimits": exchange.limits.document(),
        "exchangeFilters": [],
        "symbols": shown,
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
    return [exchange.market.trade_document(trade) for trade in found]


def _historical_trades(exchange: Exchange, params: Params) -> object:
    check_symbol(exchange, params.required("symbol"))
    found = exchange.market.trades_from(params.integer("fromId"), params.limit(500, 1000))
    return [exchange.market.trade_document(trade) for trade in found]


def _aggregate_trades(exchange: Exchange, params: Params) -> object:
    check_symbol(exchange, params.required("symbol"))
    found = exchange.market.aggregates_from(
        params.integer("fromId"),
        params.integer("startTime"),
        params.integer("endTime"),
        params.limit(500, 1000),
    )
    return [exchange.market.aggregate_document(item) for item in found]


def _klines(exchange: Exchange, params: Params) -> object:
    check_symbol(exchange, params.required("symbol"))
    interval = params.required("interval")
    if interval not in INTERVALS:
        raise VenueError(-1120, "Invalid interval.")
    if params.text("timeZone") not in {None, "0", "0:00", "+0:00", "00:00", "+00:00"}:
        raise missing("timeZone")
    bars = exchange.market.bars(
        interval,
        params.integer("startTime"),
        params.integer("endTime"),
        params.limit(500, 1000),
        _now_ms(exchange),
    )
    return [exchange.market.bar_row(bar, interval) for bar in bars]


def _average_price(exchange: Exchange, params: Params) -> object:
    check_symbol(exchange, params.required("symbol"))
    price, close_ms = exchange.market.average(5, _now_ms(exchange))
    return {"mins": 5, "price": exchange.rules.price_text(price), "closeTime": close_ms}


def _ticker_weight(one: int, every: int) -> Callable[[Params], int]:
    return lambda params: one if params.has("symbol") else every


def _day(exchange: Exchange, params: Params) -> object:
    alone = _symbols(exchange, params)
    params.text("type")
    document = exchange.market.day_document(exchange.matching.book, _now_ms(exchange))
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
    "ticker/24hr": Endpoint(_ticker_weight(2, 80), _day),
    "ticker/price": Endpoint(_ticker_weight(2, 4), _price),
    "ticker/bookTicker": Endpoint(_ticker_weight(2, 4), _best),
}
