"""binance-sdk-spot on the sandbox: REST, WebSocket API with both kinds of keys, market streams.

Run by other_clients.py in an environment of its own: `python other_sdk.py READY.json`. Nothing of
the client is changed but its URLs.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from binance_common.configuration import (
    ConfigurationRestAPI,
    ConfigurationWebSocketAPI,
    ConfigurationWebSocketStreams,
)
from binance_common.errors import BadRequestError
from binance_sdk_spot.spot import Spot

SYMBOL = "BTCUSDT"


def rest(ready: dict[str, Any], **keys: str) -> str:
    """Back-fill, rest, cancel, take and be refused by REST. Returns a summary."""
    api = Spot(config_rest_api=ConfigurationRestAPI(base_path=ready["rest"], **keys)).rest_api
    info = api.exchange_info(symbol=SYMBOL).data()
    assert info.symbols[0].symbol == SYMBOL
    bars = api.klines(symbol=SYMBOL, interval="1m", limit=1000).data()
    assert len(bars) == 1000
    best = api.ticker_book_ticker(symbol=SYMBOL).data().actual_instance
    low = round(float(best.bid_price) * 0.9, 2)
    resting = api.new_order(
        symbol=SYMBOL, side="BUY", type="LIMIT", time_in_force="GTC", quantity=0.001, price=low
    ).data()
    assert resting.status == "NEW"
    opened = api.get_open_orders(symbol=SYMBOL).data()
    assert [order.order_id for order in opened] == [resting.order_id]
    gone = api.delete_order(symbol=SYMBOL, order_id=resting.order_id).data()
    assert gone.status == "CANCELED"
    taken = api.new_order(symbol=SYMBOL, side="BUY", type="MARKET", quantity=0.002).data()
    assert taken.status == "FILLED"
    fills = api.my_trades(symbol=SYMBOL, order_id=taken.order_id).data()
    assert sum(float(fill.qty) for fill in fills) == 0.002
    for number in range(2):
        api.new_order(
            symbol=SYMBOL,
            side="BUY",
            type="LIMIT_MAKER",
            quantity=0.001,
            price=round(low - number, 2),
        )
    assert len(api.delete_open_orders(symbol=SYMBOL).data()) == 2
    for refused in (
        {"type": "LIMIT_MAKER", "quantity": 0.001, "price": round(low * 1.2, 2)},
        {"type": "MARKET", "quantity": 50.0},
    ):
        said = ""
        try:
            api.new_order(symbol=SYMBOL, side="BUY", **refused)
        except BadRequestError as error:
            said = str(error)
        assert "immediately match" in said or "insufficient balance" in said, (refused, said)
    return f"filled {taken.executed_qty}"


async def ws_api(ready: dict[str, Any], *, logon: bool, **keys: str) -> str:
    """Subscribe to the user stream, place and cancel by WebSocket, hear of both."""
    url = ready["ws_api"]
    api = Spot(config_ws_api=ConfigurationWebSocketAPI(stream_url=url, **keys)).websocket_api
    await api.create_connection()
    heard: asyncio.Queue[Any] = asyncio.Queue()
    if logon:
        await api.session_logon()
        subscribed = await api.user_data_stream_subscribe()
    else:
        subscribed = await api.user_data_stream_subscribe_signature()
    subscribed.stream.on("message", heard.put_nowait)
    placed = await api.order_place(
        symbol=SYMBOL,
        side="BUY",
        type="LIMIT",
        time_in_force="GTC",
        quantity=0.001,
        price=50000.0,
    )
    order_id = placed.data().result.order_id
    gone = await api.order_cancel(symbol=SYMBOL, order_id=order_id)
    assert gone.data().result.status == "CANCELED"
    states: list[str] = []
    async with asyncio.timeout(20):
        while "CANCELED" not in states:
            event = (await heard.get()).actual_instance
            if type(event).__name__ == "ExecutionReport":
                states.append(event.X)
    assert states == ["NEW", "CANCELED"], states
    depth = await api.depth(symbol=SYMBOL, limit=5)
    assert len(depth.data().result.bids) == 5
    await api.close_connection()
    return "logon" if logon else "signature"


async def streams(ready: dict[str, Any]) -> int:
    """Listen to the trades and the book."""
    config = ConfigurationWebSocketStreams(stream_url=ready["ws"])
    listening = Spot(config_ws_streams=config).websocket_streams
    connection = await listening.create_connection()
    heard: asyncio.Queue[Any] = asyncio.Queue()
    for stream in (
        await connection.trade(symbol=SYMBOL.lower()),
        await connection.diff_book_depth(symbol=SYMBOL.lower(), update_speed="100ms"),
    ):
        stream.on("message", heard.put_nowait)
    kinds: set[str] = set()
    async with asyncio.timeout(30):
        while len(kinds) < 2:
            kinds.add(type(await heard.get()).__name__)
    await connection.close_connection()
    return len(kinds)


async def run(ready: dict[str, Any], pem: str) -> str:
    """All of it, with an HMAC key and with an Ed25519 key."""
    account = ready["accounts"][0]
    hmac = {"api_key": account["hmac"]["key"], "api_secret": account["hmac"]["secret"]}
    ed25519 = {"api_key": account["ed25519"]["key"], "private_key": pem}
    said = [await asyncio.to_thread(rest, ready, **keys) for keys in (hmac, ed25519)]
    said.append(await ws_api(ready, logon=False, **hmac))
    said.append(await ws_api(ready, logon=True, **ed25519))
    said.append(f"{await streams(ready)} streams")
    return ", ".join(said)


def main() -> None:
    """Read the ready line, trade, say what was done."""
    ready = json.loads(Path(sys.argv[1]).read_text())
    pem = Path(ready["accounts"][0]["ed25519"]["private_key_file"]).read_text()
    sys.stdout.write(asyncio.run(run(ready, pem)) + "\n")


if __name__ == "__main__":
    main()
