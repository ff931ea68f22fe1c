"""Messages as the venue's documents print them, read into the port's words."""

from decimal import Decimal
from urllib.parse import parse_qsl

import msgspec
import pytest

from engine.contracts.fill import Liquidity
from engine.contracts.order import OrderIntent, OrderType, Side, TimeInForce
from engine.venues.binance import translate, wire
from engine.venues.binance.trading import order_query
from engine.venues.port import BalanceUpdate

EXECUTION = {
    "e": "executionReport",
    "E": 1499405658658,
    "s": "ETHBTC",
    "c": "mUvoqJxFIILMdfAW5iGSOW",
    "S": "BUY",
    "o": "LIMIT",
    "f": "GTC",
    "q": "1.00000000",
    "p": "0.10264410",
    "P": "0.00000000",
    "F": "0.00000000",
    "g": -1,
    "C": "",
    "x": "NEW",
    "X": "NEW",
    "r": "NONE",
    "i": 4293153,
    "l": "0.00000000",
    "z": "0.00000000",
    "L": "0.00000000",
    "n": "0",
    "N": None,
    "T": 1499405658657,
    "t": -1,
    "I": 8641984,
    "w": True,
    "m": False,
    "M": False,
    "O": 1499405658657,
    "Z": "0.00000000",
    "Y": "0.00000000",
    "Q": "0.00000000",
    "W": 1499405658657,
    "V": "NONE",
}
FULL_ORDER = {
    "symbol": "BTCUSDT",
    "orderId": 28,
    "orderListId": -1,
    "clientOrderId": "s1-1",
    "transactTime": 1507725176595,
    "price": "0.00000000",
    "origQty": "10.00000000",
    "executedQty": "10.00000000",
    "origQuoteOrderQty": "0.000000",
    "cummulativeQuoteQty": "40000.00000000",
    "status": "FILLED",
    "timeInForce": "GTC",
    "type": "MARKET",
    "side": "SELL",
    "workingTime": 1507725176595,
    "selfTradePreventionMode": "NONE",
    "fills": [
        {
            "price": "4000.00000000",
            "qty": "10.00000000",
            "commission": "4.00000000",
            "commissionAsset": "USDT",
            "tradeId": 56,
        }
    ],
}


def wrapped(event):
    return msgspec.json.encode({"subscriptionId": 0, "event": event}).decode()


def user_event(**changes):
    return translate.order_update(wire.decode_user(wrapped({**EXECUTION, **changes})))


def order(**changes):
    return wire.decode(wire.DECODE_ORDER, msgspec.json.encode({**FULL_ORDER, **changes}))


def test_new_order_event():
    update = user_event()
    assert (update.execution, update.fill) == ("NEW", None)
    report = update.report
    assert (report.client_order_id, report.venue_order_id) == ("mUvoqJxFIILMdfAW5iGSOW", "4293153")
    assert (report.price, report.quantity, report.reason) == (Decimal("0.1026441"), 1, "")
    assert str(report.quantity) == "1"
    assert report.time_us == 1499405658657000
    assert report.open


def test_canceled_event_names_the_order_and_not_the_cancel():
    update = user_event(x="CANCELED", X="CANCELED", c="cancel-7", C="s1-1")
    assert (update.execution, update.report.client_order_id) == ("CANCELED", "s1-1")
    assert not update.report.open


def test_trade_event_carries_the_fill():
    update = user_event(
        x="TRADE", X="PARTIALLY_FILLED", l="0.4", L="0.1026", z="0.4", Z="0.04104", n="0.0004",
        N="ETH", t=77, m=True,
    )  # fmt: skip
    fill = update.fill
    assert (fill.trade_id, fill.quantity, fill.price) == ("77", Decimal("0.4"), Decimal("0.1026"))
    assert (fill.fee, fill.fee_asset, fill.liquidity) == (
        Decimal("0.0004"),
        "ETH",
        Liquidity.MAKER,
    )
    assert update.report.filled_quantity == Decimal("0.4")


def test_expired_event_says_why():
    update = user_event(x="EXPIRED", X="EXPIRED", eR="UNFILLED_IOC_QUANTITY_EXPIRED")
    assert update.report.reason == "UNFILLED_IOC_QUANTITY_EXPIRED"


def test_self_trade_prevention_ends_an_order_as_expired():
    update = user_event(x="TRADE_PREVENTION", X="EXPIRED_IN_MATCH")
    assert (update.execution, update.report.status) == ("EXPIRED", "EXPIRED_IN_MATCH")


@pytest.mark.parametrize(
    "broken",
    [
        {"x": "TRADE", "t": -1},
        {"x": "TRADE", "t": 5, "n": "0.1", "N": None},
        {"q": "NaN"},
        {"q": "1E+999999"},
        {"S": "HOLD"},
        {"i": "no number"},
        {"z": None},
    ],
)
def test_broken_event_is_refused_and_nothing_is_filled_in(broken):
    with pytest.raises(wire.WireError):
        user_event(**broken)


def test_balances():
    event = {
        "e": "outboundAccountPosition",
        "E": 1,
        "u": 1,
        "B": [{"a": "BTC", "f": "1.50", "l": "0.00"}],
    }
    assert translate.balance_update(wire.decode_user(wrapped(event))) == BalanceUpdate(
        balances={"BTC": (Decimal("1.5"), Decimal(0))}
    )


@pytest.mark.parametrize(
    ("text", "frame"),
    [
        (
            '{"subscriptionId":0,"event":{"e":"externalLockUpdate","x":1}}',
            {"e": "externalLockUpdate"},
        ),
        ('{"e":"serverShutdown","E":1}', {"e": "serverShutdown"}),
        ('{"event":{"e":"eventStreamTerminated","E":1}}', {"e": "eventStreamTerminated"}),
        ('{"id":3,"status":200,"result":{},"rateLimits":[]}', {"id": 3, "status": 200}),
        (
            '{"id":"a","status":400,"error":{"code":-2035,"msg":"m"}}',
            {"id": "a", "status": 400, "error": wire.WsError(-2035, "m")},
        ),
    ],
)
def test_answers_and_foreign_events_are_frames(text, frame):
    assert wire.decode_user(text) == wire.WsFrame(**frame)


@pytest.mark.parametrize("text", ["", "no JSON", "[]", '{"event":{"e":"executionReport"}}'])
def test_broken_user_messages_are_refused(text):
    with pytest.raises(wire.WireError):
        wire.decode_user(text)


def test_full_answer_carries_report_and_fills():
    answer = order()
    report, (fill,) = translate.order_report(answer), translate.fills_of_order(answer)
    assert (report.status, report.filled_quote, report.time_us) == (
        "FILLED",
        Decimal(40000),
        1507725176595000,
    )
    assert (fill.trade_id, fill.fee, fill.fee_asset) == ("56", Decimal(4), "USDT")
    assert (fill.client_order_id, fill.side, fill.liquidity) == (
        "s1-1",
        Side.SELL,
        Liquidity.TAKER,
    )


def test_cancel_answer_names_the_order_and_not_the_cancel():
    report = translate.order_report(order(origClientOrderId="s1-1", clientOrderId="cancel-7"))
    assert report.client_order_id == "s1-1"


def test_acknowledgement_without_a_status_is_not_guessed():
    with pytest.raises(wire.WireError):
        wire.decode(
            wire.DECODE_ORDER,
            b'{"symbol":"X","orderId":1,"orderListId":-1,"clientOrderId":"a","transactTime":1}',
        )


def test_market_messages():
    trade = wire.decode_market(
        '{"stream":"btcusdt@trade","data":{"e":"trade","E":5,"s":"BTCUSDT","t":9,"p":"1.10",'
        '"q":"2","T":4,"m":true,"M":true}}'
    )
    assert (trade.trade_id, trade.price, trade.buyer_is_maker) == (9, Decimal("1.1"), True)
    depth = wire.decode_market(
        '{"stream":"x","data":{"e":"depthUpdate","E":5,"s":"BTCUSDT","U":1,"u":2,'
        '"b":[["1.0","0.00000000"]],"a":[]}}'
    )
    assert (depth.first_id, depth.last_id, depth.bids) == (1, 2, ((Decimal("1.0"), 0),))


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ('{"result":null,"id":1}', ""),
        ('{"e":"serverShutdown","E":1}', "serverShutdown"),
        ('{"stream":"","data":{"e":"serverShutdown","E":1}}', "serverShutdown"),
        ('{"stream":"x@kline_1m","data":{"e":"kline","E":1}}', "kline"),
    ],
)
def test_foreign_market_messages_are_named(text, name):
    assert wire.decode_market(text) == name


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no JSON",
        '{"stream":"x","data":{"e":"trade","E":1,"s":"X","t":1}}',
        '{"data":{"e":"depthUpdate","E":1,"s":"X","U":1,"u":1,"b":[["NaN","1"]],"a":[]}}',
        '{"data":{"e":"depthUpdate","E":1,"s":"X","U":1,"u":1,"b":[],"a":[["1","-1"]]}}',
    ],
)
def test_broken_market_messages_are_refused(text):
    with pytest.raises(wire.WireError):
        wire.decode_market(text)


def symbol(*filters):
    return wire.WireSymbol(
        symbol="BTCUSDT",
        status="TRADING",
        base_asset="BTC",
        quote_asset="USDT",
        filters=msgspec.convert(filters, tuple[wire.WireFilter, ...]),
    )


PRICE = {"filterType": "PRICE_FILTER", "tickSize": "0.01000000"}
LOT = {"filterType": "LOT_SIZE", "stepSize": "0.00001", "minQty": "0.00001", "maxQty": "9000.0"}
NOTIONAL = {"filterType": "NOTIONAL", "minNotional": "5.00000000"}


def test_instrument_from_filters_ignores_filters_it_does_not_know():
    rules = translate.instrument(symbol(PRICE, LOT, {"filterType": "LATER", "x": 1}, NOTIONAL))
    assert (str(rules.tick_size), str(rules.max_quantity), str(rules.min_notional)) == (
        "0.01",
        "9000",
        "5",
    )
    assert rules.trading


@pytest.mark.parametrize("filters", [(LOT, NOTIONAL), (PRICE, NOTIONAL), (PRICE, LOT)])
def test_instrument_without_a_filter_we_must_obey_is_refused(filters):
    with pytest.raises(wire.WireError):
        translate.instrument(symbol(*filters))


def test_order_parameters_are_plain_numbers_and_ask_for_the_fills():
    intent = OrderIntent(
        client_order_id="s1-1",
        symbol="BTCUSDT",
        side=Side.BUY,
        type=OrderType.LIMIT,
        quantity=Decimal("1E-5"),
        price=Decimal("6E+4"),
        time_in_force=TimeInForce.GTC,
    )
    assert dict(parse_qsl(order_query(intent), strict_parsing=True)) == {
        "symbol": "BTCUSDT",
        "side": "BUY",
        "type": "LIMIT",
        "quantity": "0.00001",
        "newClientOrderId": "s1-1",
        "newOrderRespType": "FULL",
        "price": "60000",
        "timeInForce": "GTC",
    }
