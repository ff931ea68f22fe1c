"""From the venue's messages to the port's words: reports, fills, balances, rules. Pure.

Times become µs and money becomes plain Decimals; NaN and infinities are refused. Where the venue
uses one field for two things (a cancel's id and the order's), the choice is made here, once.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal, InvalidOperation

from engine.contracts.fill import Fill, Liquidity
from engine.contracts.instrument import Instrument
from engine.contracts.money import plain
from engine.contracts.order import Side
from engine.venues.binance.wire import (
    AccountPosition,
    ExecutionReport,
    StreamBalance,
    WireBalance,
    WireBar,
    WireError,
    WireOrder,
    WireSymbol,
    WireTrade,
)
from engine.venues.port import BalanceUpdate, OrderReport, OrderUpdate, PriceBar


def money(value: Decimal) -> Decimal:
    """Return the plain form of a number of at most 28 whole digits; NaN is no money."""
    # Equal numbers have one plain form, and a cancel-all repeats few numbers hundreds of times.
    known = _PLAIN.get(value) if value.is_finite() else None
    if known is None:
        known = _checked(value)
        if len(_PLAIN) >= _REMEMBERED:
            _PLAIN.clear()
        _PLAIN[value] = known
    return known


def amount(text: str) -> Decimal:
    """As `money`, of the wire's text."""
    known = _READ.get(text)
    if known is None:
        try:
            known = _checked(Decimal(text))
        except InvalidOperation as error:
            raise WireError(f"{text[:40]!r} is not an amount of money") from error
        if len(_READ) >= _REMEMBERED:
            _READ.clear()
        _READ[text] = known
    return known


def _checked(value: Decimal) -> Decimal:
    if not value.is_finite() or value.adjusted() >= 28:
        raise WireError(f"{value} is not an amount of money")
    return plain(value)


#: Plain forms of numbers that were seen, by value.
_PLAIN: dict[Decimal, Decimal] = {}
#: The same, by the text on the wire.
_READ: dict[str, Decimal] = {}
_REMEMBERED = 2048


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
        price=amount(order.price),
        quantity=amount(order.orig_qty),
        filled_quantity=amount(order.executed_qty),
        filled_quote=amount(order.cummulative_quote_qty),
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


def balance_update(event: AccountPosition) -> BalanceUpdate:
    """Translate an outboundAccountPosition."""
    return BalanceUpdate(balances=balances(event.balances))


def price_bar(row: WireBar) -> PriceBar:
    """Translate a bar; raises WireError when a price in it is none.

    Thousands of prices that are read once do not go through the memory of `money`.
    """
    prices = [_checked(one) for one in (row.open, row.high, row.low, row.close)]
    if min(prices) <= 0 or row.close_time < row.open_time:
        raise WireError(f"the bar of {row.open_time} has no price above zero or ends too soon")
    return PriceBar(
        open_time_ms=row.open_time,
        close_time_ms=row.close_time,
        open=prices[0],
        high=prices[1],
        low=prices[2],
        close=prices[3],
        volume=_checked(row.volume),
    )


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
