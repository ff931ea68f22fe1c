"""Reads of the account and of the rules. Every failure is VenueQueryFailed: unknown, never "none".

Lists by time are read in two moves, because the venue cannot combine a time with an id: find the
first row at or after the time (in windows of 24 h, the most that the venue takes), then follow the
ids to the end. A list is complete or an error.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Protocol, TypeVar

from engine.contracts.fill import Fill
from engine.contracts.instrument import Instrument
from engine.venues.binance import translate, wire
from engine.venues.binance.errors import classify_code
from engine.venues.binance.rest import RestClient
from engine.venues.port import OrderReport, PriceBar, VenueQueryFailed

PAGE = 1000
DAY_MS = 24 * 3600 * 1000
#: Windows of a day that are tried one by one; what is older is read from the first id on.
WINDOWS = 7
UNKNOWN_ORDER = "-2013"
TRADES_WEIGHT = 20


class _Row(Protocol):
    """A row of a list by time."""

    @property
    def time(self) -> int:
        """Time in ms."""


Row = TypeVar("Row", bound=_Row)
Ask = Callable[[dict[str, str | int]], Awaitable[tuple[Row, ...]]]


async def instrument(rest: RestClient, symbol: str) -> Instrument:
    """Read the rules of one symbol and the weight limit that comes with them."""
    path = "exchangeInfo"
    body = await rest.query(path, {"symbol": symbol}, weight=20, signed=False)
    info = rest.read(wire.DECODE_INFO, body, path)
    rest.budget.learn(info.rate_limits)
    for row in info.symbols:
        if row.symbol == symbol:
            try:
                return translate.instrument(row)
            except wire.WireError as error:
                raise rest.unreadable(path, error) from error
    raise rest.failed(path, classify_code(400, -1121, f"{symbol} is not in the answer"))


async def depth(rest: RestClient, symbol: str, limit: int) -> wire.DepthSnapshot:
    """Read a snapshot of the book with so many levels of each side."""
    weights = ((100, 5), (500, 25), (1000, 50), (5000, 250))
    weight = next(weight for most, weight in weights if limit <= most)
    params: dict[str, str | int] = {"symbol": symbol, "limit": limit}
    body = await rest.query("depth", params, weight=weight, signed=False)
    try:
        return wire.decode_depth(body)
    except wire.WireError as error:
        raise rest.unreadable("depth", error) from error


async def bars(rest: RestClient, symbol: str, interval: str, limit: int) -> tuple[PriceBar, ...]:
    """Read the last closed bars: one more is asked for, because the last one is open."""
    params: dict[str, str | int] = {
        "symbol": symbol,
        "interval": interval,
        "limit": min(limit + 1, PAGE),
    }
    body = await rest.query("klines", params, weight=2, signed=False)
    rows = rest.read(wire.DECODE_BARS, body, "klines")
    now_ms = rest.venue_now_us() // 1000
    try:
        closed = [translate.price_bar(row) for row in rows if row.close_time < now_ms]
    except wire.WireError as error:
        raise rest.unreadable("klines", error) from error
    return tuple(closed[-limit:])


async def order(rest: RestClient, symbol: str, client_order_id: str) -> OrderReport | None:
    """Ask for one order by its client order id; None when the venue says that it has none."""
    params: dict[str, str | int] = {"symbol": symbol, "origClientOrderId": client_order_id}
    try:
        body = await rest.query("order", params, weight=4, reserved=True)
    except VenueQueryFailed as error:
        if error.code == UNKNOWN_ORDER:
            return None
        raise
    return _reports(rest, "order", (rest.read(wire.DECODE_ORDER, body, "order"),))[0]


async def open_orders(rest: RestClient, symbol: str) -> tuple[OrderReport, ...]:
    """Read all open orders: the proof of a kill, therefore reserved traffic."""
    body = await rest.query("openOrders", {"symbol": symbol}, weight=6, reserved=True)
    return _reports(rest, "openOrders", rest.read(wire.DECODE_ORDERS, body, "openOrders"))


async def orders(rest: RestClient, symbol: str, since_us: int) -> tuple[OrderReport, ...]:
    """Read all orders made since a time, oldest first."""

    async def ask(params: dict[str, str | int]) -> tuple[wire.WireOrder, ...]:
        return await _all_orders(rest, symbol, params)

    rows = await _since(rest, ask, since_us, "orderId", lambda row: row.order_id)
    return _reports(rest, "allOrders", rows)


async def fills(rest: RestClient, symbol: str, since_us: int) -> tuple[Fill, ...]:
    """Read own trades since a time, oldest first, with the client order ids of their orders."""

    async def ask(params: dict[str, str | int]) -> tuple[wire.WireTrade, ...]:
        asked = {"symbol": symbol, "limit": PAGE, **params}
        body = await rest.query("myTrades", asked, weight=TRADES_WEIGHT)
        return rest.read(wire.DECODE_TRADES, body, "myTrades")

    trades = await _since(rest, ask, since_us, "fromId", lambda row: row.id)
    if not trades:
        return ()
    names = await _client_ids(rest, symbol, {trade.order_id for trade in trades})
    try:
        return tuple(translate.fill_of_trade(row, names.get(row.order_id, "")) for row in trades)
    except wire.WireError as error:
        raise rest.unreadable("myTrades", error) from error


async def balances(rest: RestClient) -> dict[str, tuple[Decimal, Decimal]]:
    """Read the account: asset -> (free, locked), zeros left out."""
    body = await rest.query("account", {"omitZeroBalances": "true"}, weight=20)
    account = rest.read(wire.DECODE_ACCOUNT, body, "account")
    try:
        rows = translate.balances(account.balances)
    except wire.WireError as error:
        raise rest.unreadable("account", error) from error
    return {asset: amounts for asset, amounts in rows.items() if any(amounts)}


async def _all_orders(
    rest: RestClient, symbol: str, params: dict[str, str | int]
) -> tuple[wire.WireOrder, ...]:
    asked = {"symbol": symbol, "limit": PAGE, **params}
    body = await rest.query("allOrders", asked, weight=20)
    return rest.read(wire.DECODE_ORDERS, body, "allOrders")


async def _client_ids(rest: RestClient, symbol: str, order_ids: set[int]) -> dict[int, str]:
    """Find the client order ids of venue order ids by reading the orders from the oldest on."""
    names: dict[int, str] = {}
    start, last = min(order_ids), max(order_ids)
    while start <= last:
        page = await _all_orders(rest, symbol, {"orderId": start})
        names.update((row.order_id, row.client_order_id) for row in page)
        if len(page) < PAGE:
            break
        start = page[-1].order_id + 1
    return names


async def _since(
    rest: RestClient, ask: Ask[Row], since_us: int, parameter: str, row_id: Callable[[Row], int]
) -> list[Row]:
    """Read every row at or after the time (of the venue's clock), oldest first."""
    since_ms = max(since_us // 1000, 0)
    now_ms = rest.venue_now_us() // 1000
    if now_ms - since_ms > WINDOWS * DAY_MS:
        rows = list(await ask({parameter: 0}))
    else:
        rows = list(await _first_page(ask, since_ms, now_ms))
    page = tuple(rows)
    while page:
        page = await ask({parameter: row_id(page[-1]) + 1})
        rows.extend(page)
    return [row for row in rows if row.time >= since_ms]


async def _first_page(ask: Ask[Row], since_ms: int, now_ms: int) -> tuple[Row, ...]:
    """Return the first page with rows at or after the time; empty when there are none."""
    start_ms = since_ms
    while now_ms - start_ms >= DAY_MS:
        page = await ask({"startTime": start_ms, "endTime": start_ms + DAY_MS - 1})
        if page:
            return page
        start_ms += DAY_MS
    return await ask({"startTime": start_ms})


def _reports(
    rest: RestClient, path: str, rows: tuple[wire.WireOrder, ...] | list[wire.WireOrder]
) -> tuple[OrderReport, ...]:
    try:
        return tuple(translate.order_report(row) for row in rows)
    except wire.WireError as error:
        raise rest.unreadable(path, error) from error
