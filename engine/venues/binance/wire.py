"""The venue's messages as typed structs, one a form, and how to decode them.

Prices, quantities and fees are Decimals made from the wire's strings, never floats (I11). A field
that the port needs and the message lacks makes the decode fail: nothing is filled in by guessing
(I2). Fields we have no use for are skipped. Pure: bytes in, structs out; raises WireError.
"""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import TypeVar

import msgspec

from engine.contracts.money import ZERO
from engine.contracts.order import Side
from engine.venues.binance.rates import Limit

Decoded = TypeVar("Decoded")

ENDLESS = Decimal("Infinity")


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

    Amounts are left as the text they are: a cancel-all brings hundreds of orders with few different
    ones, and `translate` reads each once. `cummulativeQuoteQty` is spelled so on the wire.
    """

    symbol: str
    order_id: int
    client_order_id: str
    price: str
    orig_qty: str
    executed_qty: str
    cummulative_quote_qty: str
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


class ExchangeInfo(msgspec.Struct, frozen=True, rename="camel"):
    """GET exchangeInfo, the part we use."""

    symbols: tuple[WireSymbol, ...]
    rate_limits: tuple[Limit, ...] = ()


class DepthSnapshot(msgspec.Struct, frozen=True, rename="camel"):
    """GET depth: absolute quantities, best first."""

    last_update_id: int
    bids: tuple[tuple[Decimal, Decimal], ...]
    asks: tuple[tuple[Decimal, Decimal], ...]


class WireBar(msgspec.Struct, frozen=True, array_like=True):
    """The first seven places of a row of GET klines; times in ms, the close's the last inside."""

    open_time: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    close_time: int


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
        "event_time": "E",
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
        "execution_id": "I",
    },
):
    """One change of one of our orders; E and T in ms, t is -1 and N null without a trade."""

    event_time: int
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
    execution_id: int = 0


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
    rename={"event_time": "E", "balances": "B"},
):
    """Balances that may have changed, absolute; E in ms."""

    event_time: int
    balances: tuple[StreamBalance, ...]


class WsError(msgspec.Struct, frozen=True):
    """The `error` of a WebSocket API answer."""

    code: int
    msg: str = ""


class WsFrame(msgspec.Struct, frozen=True):
    """An answer of the WebSocket API (id, status), or an event we have no struct for (e)."""

    id: int | str | None = None
    status: int | None = None
    error: WsError | None = None
    e: str = ""


class _UserEvent(msgspec.Struct, frozen=True):
    """The wrapper of the events we know."""

    event: ExecutionReport | AccountPosition


class _Kind(msgspec.Struct, frozen=True):
    """Only the event's name, to tell a foreign event from a broken one."""

    e: str = ""


class _Foreign(WsFrame, frozen=True):
    """An answer, or the name inside or outside of the wrapper."""

    event: _Kind = _Kind()


class _Wrapped(msgspec.Struct, frozen=True):
    """The name inside or outside of the wrapper."""

    e: str = ""
    data: _Kind = _Kind()


UserMessage = ExecutionReport | AccountPosition | WsFrame

_MARKET = msgspec.json.Decoder(Combined)
_WRAPPED = msgspec.json.Decoder(_Wrapped)
_USER = msgspec.json.Decoder(_UserEvent)
_FOREIGN = msgspec.json.Decoder(_Foreign)

DECODE_ORDER = msgspec.json.Decoder(WireOrder)
DECODE_ORDERS = msgspec.json.Decoder(tuple[WireOrder, ...])
DECODE_ROWS = msgspec.json.Decoder(tuple[msgspec.Raw, ...])
DECODE_ORDER_LIST = msgspec.json.Decoder(WireOrderList)
DECODE_TRADES = msgspec.json.Decoder(tuple[WireTrade, ...])
DECODE_BARS = msgspec.json.Decoder(tuple[WireBar, ...])
DECODE_ACCOUNT = msgspec.json.Decoder(WireAccount)
DECODE_INFO = msgspec.json.Decoder(ExchangeInfo)
_DEPTH = msgspec.json.Decoder(DepthSnapshot)
DECODE_TIME = msgspec.json.Decoder(ServerTime)


def decode(decoder: msgspec.json.Decoder[Decoded], body: bytes | str) -> Decoded:
    """Decode, with every way to fail as WireError."""
    try:
        return decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise WireError(str(error)) from error


def decode_depth(body: bytes) -> DepthSnapshot:
    """Decode a snapshot of the book."""
    snapshot = decode(_DEPTH, body)
    _check_levels(snapshot.bids)
    _check_levels(snapshot.asks)
    return snapshot


def decode_market(text: str) -> DepthDiff | TradeMessage | str:
    """Decode one message of a combined stream; the event's name when it is none of ours."""
    message = _decode_market(text)
    match message:
        case DepthDiff():
            _check_levels(message.bids)
            _check_levels(message.asks)
        case TradeMessage():
            _check_levels(((message.price, message.quantity),))
    return message


def decode_user(text: str) -> UserMessage:
    """Decode one message of the WebSocket API; a foreign event is a frame with its name."""
    try:
        return _USER.decode(text).event
    except msgspec.DecodeError as error:
        frame = decode(_FOREIGN, text)
        name = frame.event.e or frame.e
        if name in {"executionReport", "outboundAccountPosition"}:
            raise WireError(f"{name}: {error}") from error
        return WsFrame(id=frame.id, status=frame.status, error=frame.error, e=name)


def _check_levels(levels: tuple[tuple[Decimal, Decimal], ...]) -> None:
    """Refuse what no book can hold: msgspec takes NaN and negative numbers for Decimals too."""
    try:
        for price, quantity in levels:
            if not (ZERO < price < ENDLESS and ZERO <= quantity < ENDLESS):
                raise WireError(f"level {price} x {quantity}")
    except InvalidOperation as error:  # a comparison with NaN
        raise WireError("a level that is no number") from error


def _decode_market(text: str) -> DepthDiff | TradeMessage | str:
    try:
        return _MARKET.decode(text).data
    except msgspec.DecodeError as error:
        wrapped = decode(_WRAPPED, text)
        name = wrapped.data.e or wrapped.e
        if name in {"depthUpdate", "trade"}:
            raise WireError(f"{name}: {error}") from error
        return name
