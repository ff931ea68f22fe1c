"""Orders, trades and balances as the wire shows them (venue.md 2.3 and 2.8).

Times are kept in µs here and divided by `unit_us` when they are written: 1000 for milliseconds,
1 for a client that asked for `X-MBX-TIME-UNIT: MICROSECOND`.
"""

from __future__ import annotations

from engine.sandbox.accounts import Account
from engine.sandbox.book import BUY
from engine.sandbox.orders import Order, OwnTrade, Position, PreventedMatch, Report
from engine.sandbox.rules import Rules, amount_text

MILLISECOND_US = 1000
#: Event of the user data stream -> its fields that are times.
_TIMES: dict[object, tuple[str, ...]] = {
    "executionReport": ("E", "T", "O", "W"),
    "outboundAccountPosition": ("E", "u"),
}
_NOTHING = amount_text(0)


def side_text(side: int) -> str:
    """The side's word."""
    return "BUY" if side == BUY else "SELL"


def _common(rules: Rules, order: Order, client_id: str) -> dict[str, object]:
    document: dict[str, object] = {
        "symbol": rules.symbol,
        "orderId": order.order_id,
        "orderListId": -1,
        "clientOrderId": client_id,
        "price": rules.price_text(order.price),
        "origQty": rules.quantity_text(order.quantity),
        "executedQty": rules.quantity_text(order.filled),
        "origQuoteOrderQty": amount_text(order.quote_amount),
        "cummulativeQuoteQty": amount_text(order.filled_value),
        "status": order.status,
        "timeInForce": order.time_in_force,
        "type": order.type,
        "side": side_text(order.side),
        "selfTradePreventionMode": order.stp,
    }
    if order.expiry_reason:
        document["expiryReason"] = order.expiry_reason
    if order.prevented:
        document["preventedQuantity"] = rules.quantity_text(order.prevented)
    if order.strategy_id is not None:
        document["strategyId"] = order.strategy_id
    if order.strategy_type is not None:
        document["strategyType"] = order.strategy_type
    return document


def placed(
    rules: Rules, order: Order, form: str, unit_us: int = MILLISECOND_US
) -> dict[str, object]:
    """Answer to a new order; `form` is ACK, RESULT or FULL."""
    if form == "ACK":
        return {
            "symbol": rules.symbol,
            "orderId": order.order_id,
            "orderListId": -1,
            "clientOrderId": order.client_id,
            "transactTime": order.created_us // unit_us,
        }
    document = _common(rules, order, order.client_id)
    document["transactTime"] = order.created_us // unit_us
    document["workingTime"] = order.created_us // unit_us
    if form == "FULL":
        document["fills"] = [
            {
                "price": rules.price_text(fill.price),
                "qty": rules.quantity_text(fill.quantity),
                "commission": amount_text(fill.fee),
                "commissionAsset": fill.fee_asset,
                "tradeId": fill.trade_id,
            }
            for fill in order.fills
        ]
    if order.prevented_matches:
        document["preventedMatches"] = [
            {"preventedMatchId": match.match_id, "makerOrderId": match.maker_order_id}
            | _prevented(rules, match)
            for match in order.prevented_matches
        ]
    return document


def _prevented(rules: Rules, match: PreventedMatch) -> dict[str, object]:
    """Price and quantities of a prevented match; a side that lost nothing is not named."""
    document: dict[str, object] = {"price": rules.price_text(match.price)}
    if match.taker_prevented:
        document["takerPreventedQuantity"] = rules.quantity_text(match.taker_prevented)
    if match.maker_prevented:
        document["makerPreventedQuantity"] = rules.quantity_text(match.maker_prevented)
    return document


def prevented_match(rules: Rules, match: PreventedMatch, unit_us: int) -> dict[str, object]:
    """One row of GET myPreventedMatches; there are no trade groups here."""
    return {
        "symbol": rules.symbol,
        "preventedMatchId": match.match_id,
        "takerOrderId": match.taker_order_id,
        "makerSymbol": rules.symbol,
        "makerOrderId": match.maker_order_id,
        "tradeGroupId": -1,
        "selfTradePreventionMode": match.mode,
        **_prevented(rules, match),
        "transactTime": match.time_us // unit_us,
    }


def queried(rules: Rules, order: Order, unit_us: int = MILLISECOND_US) -> dict[str, object]:
    """An order as GET order shows it."""
    document = {
        **_common(rules, order, order.client_id),
        "stopPrice": _NOTHING,
        "icebergQty": _NOTHING,
        "time": order.created_us // unit_us,
        "updateTime": order.updated_us // unit_us,
        "isWorking": True,
        "workingTime": order.created_us // unit_us,
    }
    if order.prevented:
        document["preventedMatchId"] = order.prevented_matches[-1].match_id
    return document


def canceled(
    rules: Rules, order: Order, cancel_id: str, unit_us: int = MILLISECOND_US
) -> dict[str, object]:
    """Answer to a cancel: `clientOrderId` is the cancel's id."""
    return {
        **_common(rules, order, cancel_id),
        "origClientOrderId": order.client_id,
        "transactTime": order.updated_us // unit_us,
    }


def own_trade(rules: Rules, trade: OwnTrade, unit_us: int = MILLISECOND_US) -> dict[str, object]:
    """One trade of GET myTrades."""
    return {
        "symbol": rules.symbol,
        "id": trade.trade_id,
        "orderId": trade.order_id,
        "orderListId": -1,
        "price": rules.price_text(trade.price),
        "qty": rules.quantity_text(trade.quantity),
        "quoteQty": amount_text(trade.value),
        "commission": amount_text(trade.fee),
        "commissionAsset": trade.fee_asset,
        "time": trade.time_us // unit_us,
        "isBuyer": trade.buyer,
        "isMaker": trade.maker,
        "isBestMatch": True,
    }


def commission_rates(rules: Rules) -> dict[str, str]:
    """The account's fee rates."""
    return {
        "maker": rules.rate_text(maker=True),
        "taker": rules.rate_text(maker=False),
        "buyer": _NOTHING,
        "seller": _NOTHING,
    }


def account_document(
    rules: Rules, account: Account, *, omit_zero: bool, unit_us: int = MILLISECOND_US
) -> dict[str, object]:
    """GET account."""
    return {
        "makerCommission": rules.maker_fee_ppm // 100,
        "takerCommission": rules.taker_fee_ppm // 100,
        "buyerCommission": 0,
        "sellerCommission": 0,
        "commissionRates": commission_rates(rules),
        "canTrade": True,
        "canWithdraw": False,
        "canDeposit": False,
        "brokered": False,
        "requireSelfTradePrevention": False,
        "preventSor": True,
        "updateTime": account.updated_us // unit_us,
        "accountType": "SPOT",
        "balances": [
            {"asset": asset, "free": amount_text(held.free), "locked": amount_text(held.locked)}
            for asset, held in sorted(account.balances.items())
            if held.free or held.locked or not omit_zero
        ],
        "permissions": ["SPOT"],
        "uid": account.uid,
    }


def execution_report(
    rules: Rules, report: Report, unit_us: int = MILLISECOND_US
) -> dict[str, object]:
    """The executionReport event of the user data stream."""
    order, trade = report.order, report.trade
    cancel = report.execution == "CANCELED"
    at = report.time_us // unit_us
    document: dict[str, object] = {
        "e": "executionReport",
        "E": at,
        "s": rules.symbol,
        "c": report.cancel_id if cancel else order.client_id,
        "S": side_text(order.side),
        "o": order.type,
        "f": order.time_in_force,
        "q": rules.quantity_text(order.quantity),
        "p": rules.price_text(order.price),
        "P": _NOTHING,
        "F": _NOTHING,
        "g": -1,
        "C": order.client_id if cancel else "",
        "x": report.execution,
        "X": report.status,
        "r": "NONE",
        "i": order.order_id,
        "l": rules.quantity_text(trade.quantity if trade else 0),
        "z": rules.quantity_text(report.filled),
        "L": rules.price_text(trade.price if trade else 0),
        "n": amount_text(trade.fee) if trade else "0",
        "N": trade.fee_asset if trade else None,
        "T": at,
        "t": trade.trade_id if trade else -1,
        "I": report.time_us,
        "w": report.resting,
        "m": trade.maker if trade else False,
        "M": trade is not None,
        "O": order.created_us // unit_us,
        "Z": amount_text(report.filled_value),
        "Y": amount_text(trade.value if trade else 0),
        "Q": amount_text(order.quote_amount),
        "W": order.created_us // unit_us,
        "V": order.stp,
    }
    if order.strategy_id is not None:
        document["j"] = order.strategy_id
    if order.strategy_type is not None:
        document["J"] = order.strategy_type
    if report.match is not None:
        document.update(_prevention_fields(rules, report, report.match))
    if report.execution == "EXPIRED" and order.expiry_reason:
        document["eR"] = order.expiry_reason
    return document


def _prevention_fields(rules: Rules, report: Report, match: PreventedMatch) -> dict[str, object]:
    """The fields of an executionReport that only a prevented self-trade has."""
    taker = report.order.order_id == match.taker_order_id
    lost = match.taker_prevented if taker else match.maker_prevented
    return {
        "v": match.match_id,
        "A": rules.quantity_text(report.prevented),
        "B": rules.quantity_text(lost),
        "u": -1,
        "U": match.maker_order_id if taker else match.taker_order_id,
        "Cs": rules.symbol,
        "pl": rules.quantity_text(match.quantity),
        "pL": rules.price_text(match.price),
        "pY": amount_text(rules.value(match.price, match.quantity)),
    }


def account_position(position: Position, unit_us: int = MILLISECOND_US) -> dict[str, object]:
    """The outboundAccountPosition event of the user data stream."""
    at = position.time_us // unit_us
    return {
        "e": "outboundAccountPosition",
        "E": at,
        "u": at,
        "B": [
            {"a": asset, "f": amount_text(free), "l": amount_text(locked)}
            for asset, (free, locked) in position.balances.items()
        ],
    }


def in_milliseconds(event: dict[str, object]) -> dict[str, object]:
    """An event of the user data stream whose times are in µs, with its times in ms."""
    coarse = dict(event)
    for name in _TIMES.get(event["e"], ()):
        moment = coarse[name]
        assert isinstance(moment, int), "times are whole numbers"
        coarse[name] = moment // MILLISECOND_US
    return coarse
