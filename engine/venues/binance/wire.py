"""The venue's messages as typed structs, and their translation into the port's words.

Prices, quantities and fees are Decimals made from the wire's strings, never floats (I11); times
become µs. A field that the port needs and the message lacks makes the decode fail: nothing is
filled in by guessing (I2). Pure: bytes in, structs out; raises WireError.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import TypeVar

import msgspec

from engine.contracts.fill import Fill, Liquidity
from engine.contracts.instrument import Instrument
from engine.contracts.money import ZERO, plain
from engine.contracts.order import Side
from engine.venues.port import BalanceUpdate, OrderReport, OrderUpdate

Decoded = TypeVar("Decoded")


class WireError(Exception):
    """A message that does not say what the documents say it must."""


# --- REST --------------------------------------------------------------------------------------


class ServerTime(msgspec.Struct, frozen=True, rename="camel"):
    """GET time; ms."""

    server_time: int


class WireFill(msgspec.Struct, frozen=True, rename="camel"):
    """One fill inside a FULL order answer."""

    price: Decimal
    qty: Decimal
    commission: Decimal
    commission_asset: str
    trade_id: int


class WireOrder(msgspec.Struct, frozen=True, rename="camel"):
    """An order in the RESULT, FULL, query and cancel forms; times in ms.

    `cummulativeQuoteQty` is spelled so on the wire.
    """

    symbol: str
    order_id: int
    client_order_id: str
    price: Decimal
    orig_qty: Decimal
    executed_qty: Decimal
    cummulative_quote_qty: Decimal
    status: str
    side: Side
    orig_client_order_id: str = ""
    transact_time: int = 0
    update_time: int = 0
    time: int = 0
    expiry_reason: str = ""
    fills: tuple[WireFill, ...] = ()


class WireOrderList(msgspec.Struct, frozen=True, rename="camel"):
    """A canceled order list in the answer of `DELETE openOrders` (made by someone else)."""

    order_reports: tuple[WireOrder, ...]


class WireTrade(msgspec.Struct, frozen=True, rename="camel"):
    """One row of myTrades; time in ms."""

    symbol: str
    id: int
    order_id: int
    price: Decimal
    qty: Decimal
    commission: Decimal
    commission_asset: str
    time: int
    is_buyer: bool
    is_maker: bool


class WireBalance(msgspec.Struct, frozen=True):
    """One asset of the account."""

    asset: str
    free: Decimal
    locked: Decimal


class WireAccount(msgspec.Struct, frozen=True, rename="camel"):
    """GET account, the part we use."""

    balances: tuple[WireBalance, ...]


class WireFilter(msgspec.Struct, frozen=True, rename="camel"):
    """One filter of a symbol; filters we do not know must not break the decode."""

    filter_type: str
    tick_size: Decimal | None = None
    step_size: Decimal | None = None
    min_qty: Decimal | None = None
    max_qty: Decimal | None = None
    min_notional: Decimal | None = None


class WireSymbol(msgspec.Struct, frozen=True, rename="camel"):
    """One symbol of exchangeInfo."""

    symbol: str
    status: str
    base_asset: str
    quote_asset: str
    filters: tuple[WireFilter, ...]
    is_spot_trading_allowed: bool = True


class WireRateLimit(msgspec.Struct, frozen=True, rename="camel"):
    """One limit of exchangeInfo."""

    rate_limit_type: str
    interval: str
    interval_num: int
    limit: int


class ExchangeInfo(msgspec.Struct, frozen=True, rename="camel"):
    """GET exchangeInfo, the part we use."""

    symbols: tuple[WireSymbol, ...]
    rate_limits: tuple[WireRateLimit, ...] = ()


class DepthSnapshot(msgspec.Struct, frozen=True, rename="camel"):
    """GET depth: absolute quantities, best first."""

    last_update_id: int
    bids: tuple[tuple[Decimal, Decimal], ...]
    asks: tuple[tuple[Decimal, Decimal], ...]


# --- market streams ----------------------------------------------------------------------------


class MarketMessage(
    msgspec.Struct, frozen=True, tag_field="e", rename={"event_time": "E", "symbol": "s"}
):
    """Base of the market events; E in ms."""

    event_time: int
    symbol: str


class DepthDiff(
    MarketMessage,
    frozen=True,
    tag="depthUpdate",
    rename={"first_id": "U", "last_id": "u", "bids": "b", "asks": "a"},
):
    """Levels that changed in the updates `first_id`..`last_id`: absolute, 0 removes."""

    first_id: int
    last_id: int
    bids: tuple[tuple[Decimal, Decimal], ...]
    asks: tuple[tuple[Decimal, Decimal], ...]


class TradeMessage(
    MarketMessage,
    frozen=True,
    tag="trade",
    rename={
        "trade_id": "t",
        "price": "p",
        "quantity": "q",
        "trade_time": "T",
        "buyer_is_maker": "m",
    },
):
    """One public trade; T in ms."""

    trade_id: int
    price: Decimal
    quantity: Decimal
    trade_time: int
    buyer_is_maker: bool


class Combined(msgspec.Struct, frozen=True):
    """The wrapper of a combined stream."""

    data: DepthDiff | TradeMessage


# --- user stream -------------------------------------------------------------------------------


class ExecutionReport(
    msgspec.Struct,
    frozen=True,
    tag_field="e",
    tag="executionReport",
    rename={
        "symbol": "s",
        "client_id": "c",
        "original_client_id": "C",
        "side": "S",
        "quantity": "q",
        "price": "p",
        "execution": "x",
        "status": "X",
        "reject_reason": "r",
        "expiry_reason": "eR",
        "order_id": "i",
        "last_quantity": "l",
        "last_price": "L",
        "filled_quantity": "z",
        "filled_quote": "Z",
        "commission": "n",
        "commission_asset": "N",
        "trade_id": "t",
        "is_maker": "m",
        "time": "T",
    },
):
    """One change of one of our orders; T in ms, t is -1 and N null without a trade."""

    symbol: str
    client_id: str
    side: Side
    quantity: Decimal
    price: Decimal
    execution: str
    status: str
    order_id: int
    last_quantity: Decimal
    last_price: Decimal
    filled_quantity: Decimal
    filled_quote: Decimal
    time: int
    original_client_id: str = ""
    reject_reason: str = "NONE"
    expiry_reason: str = ""
    commission: Decimal = ZERO
    commission_asset: str | None = None
    trade_id: int = -1
    is_maker: bool = False


class StreamBalance(msgspec.Struct, frozen=True, rename={"asset": "a", "free": "f", "locked": "l"}):
    """One asset inside outboundAccountPosition."""

    asset: str
    free: Decimal
    locked: Decimal


class AccountPosition(
    msgspec.Struct,
    frozen=True,
    tag_field="e",
    tag="outboundAccountPosition",
    rename={"balances": "B"},
):
    """Balances that may have changed, absolute."""

    balances: tuple[StreamBalance, ...]


class WsError(msgspec.Struct, frozen=True):
    """The `error` of a WebSocket API answer."""

    code: int
    msg: str = ""


class WsFrame(msgspec.Struct, frozen=True):
    """Any message of the WebSocket API: an answer (id, status) or an event."""

    id: int | str | None = None
    status: int | None = None
    error: WsError | None = None
    e: str = ""
    event: msgspec.Raw = msgspec.Raw()


class _Kind(msgspec.Struct, frozen=True):
    """Only the event's name, to tell a foreign event from a broken one."""

    e: str = ""


class _Wrapped(msgspec.Struct, frozen=True):
    """The name inside or outside of the wrapper."""

    e: str = ""
    data: _Kind = _Kind()


_MARKET = msgspec.json.Decoder(Combined)
_WRAPPED = msgspec.json.Decoder(_Wrapped)
_KIND = msgspec.json.Decoder(_Kind)
_EXECUTION = msgspec.json.Decoder(ExecutionReport)
_POSITION = msgspec.json.Decoder(AccountPosition)

DECODE_ORDER = msgspec.json.Decoder(WireOrder)
DECODE_ORDERS = msgspec.json.Decoder(tuple[WireOrder, ...])
DECODE_CANCELED = msgspec.json.Decoder(tuple[msgspec.Raw, ...])
DECODE_ORDER_LIST = msgspec.json.Decoder(WireOrderList)
DECODE_TRADES = msgspec.json.Decoder(tuple[WireTrade, ...])
DECODE_ACCOUNT = msgspec.json.Decoder(WireAccount)
DECODE_INFO = msgspec.json.Decoder(ExchangeInfo)
DECODE_DEPTH = msgspec.json.Decoder(DepthSnapshot)
DECODE_TIME = msgspec.json.Decoder(ServerTime)
DECODE_FRAME = msgspec.json.Decoder(WsFrame)


def decode(decoder: msgspec.json.Decoder[Decoded], body: bytes | str) -> Decoded:
    """Decode, with every way to fail as WireError."""
    try:
        return decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise WireError(str(error)) from error


def decode_market(text: str) -> DepthDiff | TradeMessage | str:
    """Decode one message of a combined stream; the event's name when it is none of ours."""
    try:
        return _MARKET.decode(text).data
    except msgspec.DecodeError as error:
        wrapped = decode(_WRAPPED, text)
        name = wrapped.data.e or wrapped.e
        if name in {"depthUpdate", "trade"}:
            raise WireError(f"{name}: {error}") from error
        return name


def decode_user(event: msgspec.Raw) -> OrderUpdate | BalanceUpdate | str:
    """Decode one user event; the event's name when it is none of ours."""
    name = decode(_KIND, bytes(event)).e
    if name == "executionReport":
        return order_update(decode(_EXECUTION, bytes(event)))
    if name == "outboundAccountPosition":
        return BalanceUpdate(balances=balances(decode(_POSITION, bytes(event)).balances))
    return name


# --- translation -------------------------------------------------------------------------------


def money(value: Decimal) -> Decimal:
    """Return the plain form of a finite number; NaN and infinities are no money."""
    if not value.is_finite():
        raise WireError(f"{value} is not a number")
    return plain(value)


def us(time_ms: int) -> int:
    """Milliseconds of the wire as microseconds of the house."""
    return time_ms * 1000


def order_report(order: WireOrder) -> OrderReport:
    """Translate any form of an order. In the cancel form `clientOrderId` is the cancel's id."""
    return OrderReport(
        symbol=order.symbol,
        client_order_id=order.orig_client_order_id or order.client_order_id,
        venue_order_id=str(order.order_id),
        side=order.side,
        status=order.status,
        price=money(order.price),
        quantity=money(order.orig_qty),
        filled_quantity=money(order.executed_qty),
        filled_quote=money(order.cummulative_quote_qty),
        time_us=us(order.transact_time or order.update_time or order.time),
        reason=order.expiry_reason,
    )


def fills_of_order(order: WireOrder) -> tuple[Fill, ...]:
    """Translate the fills of a FULL answer: an order that fills at once is the taker."""
    return tuple(
        Fill(
            symbol=order.symbol,
            trade_id=str(fill.trade_id),
            client_order_id=order.client_order_id,
            venue_order_id=str(order.order_id),
            side=order.side,
            price=money(fill.price),
            quantity=money(fill.qty),
            fee=money(fill.commission),
            fee_asset=fill.commission_asset,
            liquidity=Liquidity.TAKER,
            time_us=us(order.transact_time),
        )
        for fill in order.fills
    )


def fill_of_trade(trade: WireTrade, client_order_id: str) -> Fill:
    """Translate one row of myTrades."""
    return Fill(
        symbol=trade.symbol,
        trade_id=str(trade.id),
        client_order_id=client_order_id,
        venue_order_id=str(trade.order_id),
        side=Side.BUY if trade.is_buyer else Side.SELL,
        price=money(trade.price),
        quantity=money(trade.qty),
        fee=money(trade.commission),
        fee_asset=trade.commission_asset,
        liquidity=Liquidity.MAKER if trade.is_maker else Liquidity.TAKER,
        time_us=us(trade.time),
    )


def order_update(event: ExecutionReport) -> OrderUpdate:
    """Translate an executionReport. `C` is the order's id whenever `c` is the cancel's."""
    client_order_id = event.original_client_id or event.client_id
    reason = event.expiry_reason or event.reject_reason
    report = OrderReport(
        symbol=event.symbol,
        client_order_id=client_order_id,
        venue_order_id=str(event.order_id),
        side=event.side,
        status=event.status,
        price=money(event.price),
        quantity=money(event.quantity),
        filled_quantity=money(event.filled_quantity),
        filled_quote=money(event.filled_quote),
        time_us=us(event.time),
        reason="" if reason == "NONE" else reason,
    )
    fill = _fill_of_event(event, client_order_id) if event.execution == "TRADE" else None
    return OrderUpdate(execution=_execution(event), report=report, fill=fill)


def balances(rows: Iterable[WireBalance | StreamBalance]) -> dict[str, tuple[Decimal, Decimal]]:
    """Asset -> (free, locked)."""
    return {row.asset: (money(row.free), money(row.locked)) for row in rows}


def instrument(symbol: WireSymbol) -> Instrument:
    """Translate a symbol; raises WireError when a filter we must obey is missing."""
    filters = {row.filter_type: row for row in symbol.filters}
    price, lot = filters.get("PRICE_FILTER"), filters.get("LOT_SIZE")
    notional = filters.get("NOTIONAL") or filters.get("MIN_NOTIONAL")
    if price is None or lot is None or notional is None:
        raise WireError(f"{symbol.symbol} lacks PRICE_FILTER, LOT_SIZE or NOTIONAL")
    return Instrument(
        symbol=symbol.symbol,
        base=symbol.base_asset,
        quote=symbol.quote_asset,
        tick_size=_positive(price.tick_size, "tickSize"),
        step_size=_positive(lot.step_size, "stepSize"),
        min_quantity=_given(lot.min_qty, "minQty"),
        max_quantity=_given(lot.max_qty, "maxQty"),
        min_notional=_given(notional.min_notional, "minNotional"),
        trading=symbol.status == "TRADING" and symbol.is_spot_trading_allowed,
    )


def _execution(event: ExecutionReport) -> str:
    """Name the execution in the port's words: self-trade prevention ends an order as expired."""
    if event.execution == "TRADE_PREVENTION" and event.status == "EXPIRED_IN_MATCH":
        return "EXPIRED"
    return event.execution


def _fill_of_event(event: ExecutionReport, client_order_id: str) -> Fill:
    if event.trade_id < 0 or (event.commission_asset is None and event.commission != 0):
        raise WireError("executionReport TRADE without trade id or commission asset")
    return Fill(
        symbol=event.symbol,
        trade_id=str(event.trade_id),
        client_order_id=client_order_id,
        venue_order_id=str(event.order_id),
        side=event.side,
        price=money(event.last_price),
        quantity=money(event.last_quantity),
        fee=money(event.commission),
        fee_asset=event.commission_asset or "",
        liquidity=Liquidity.MAKER if event.is_maker else Liquidity.TAKER,
        time_us=us(event.time),
    )


def _given(value: Decimal | None, name: str) -> Decimal:
    if value is None:
        raise WireError(f"filter without {name}")
    return money(value)


def _positive(value: Decimal | None, name: str) -> Decimal:
    given = _given(value, name)
    if given <= 0:
        raise WireError(f"{name} is {given}")
    return given
