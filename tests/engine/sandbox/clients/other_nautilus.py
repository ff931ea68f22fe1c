"""NautilusTrader on the sandbox: a live node that listens, back-fills, trades and reconciles.

Run by other_clients.py in an environment of its own: `python other_nautilus.py READY.json`. Nothing
of the client is changed but its URLs. Two nodes run one after the other: the first takes, posts,
cancels, is refused, and leaves one order on the book; the second finds that order by its start-up
reconciliation and cancels it.
"""

from __future__ import annotations

import asyncio
import json
import sys
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from nautilus_trader.adapters.binance import BINANCE
from nautilus_trader.adapters.binance.common.enums import BinanceAccountType, BinanceEnvironment
from nautilus_trader.adapters.binance.config import (
    BinanceDataClientConfig,
    BinanceExecClientConfig,
    BinanceInstrumentProviderConfig,
)
from nautilus_trader.adapters.binance.factories import (
    BinanceLiveDataClientFactory,
    BinanceLiveExecClientFactory,
)
from nautilus_trader.config import LiveExecEngineConfig, LoggingConfig, TradingNodeConfig
from nautilus_trader.live.node import TradingNode
from nautilus_trader.model.data import BarType
from nautilus_trader.model.enums import OrderSide, TimeInForce
from nautilus_trader.model.identifiers import InstrumentId, TraderId
from nautilus_trader.trading.strategy import Strategy

INSTRUMENT = InstrumentId.from_str("BTCUSDT.BINANCE")
DEADLINE_S = 60


class Script(Strategy):
    """Notes what happens; the script outside says what to do."""

    def __init__(self) -> None:
        super().__init__()
        self.happened: list[str] = []
        self.bars: list[Any] = []
        self.trades = 0
        self.books = 0

    def on_start(self) -> None:
        self.subscribe_trade_ticks(INSTRUMENT)
        self.subscribe_order_book_deltas(INSTRUMENT)
        self.request_bars(
            BarType.from_str(f"{INSTRUMENT}-1-MINUTE-LAST-EXTERNAL"),
            start=self.clock.utc_now() - timedelta(minutes=30),
        )

    def on_historical_data(self, data: Any) -> None:
        self.bars.append(data)

    def on_trade_tick(self, tick: Any) -> None:
        self.trades += 1

    def on_order_book_deltas(self, deltas: Any) -> None:
        self.books += 1

    def on_order_event(self, event: Any) -> None:
        self.happened.append(type(event).__name__)

    def limit(self, price: Decimal, *, post_only: bool = False, side: Any = OrderSide.BUY) -> Any:
        """Send a limit order of 0.001."""
        instrument = self.cache.instrument(INSTRUMENT)
        order = self.order_factory.limit(
            INSTRUMENT,
            side,
            instrument.make_qty(Decimal("0.001")),
            instrument.make_price(price),
            time_in_force=TimeInForce.GTC,
            post_only=post_only,
        )
        self.submit_order(order)
        return order

    def market(self, quantity: Decimal) -> Any:
        """Send a market order."""
        instrument = self.cache.instrument(INSTRUMENT)
        order = self.order_factory.market(INSTRUMENT, OrderSide.BUY, instrument.make_qty(quantity))
        self.submit_order(order)
        return order


def node(ready: dict[str, Any], loop: asyncio.AbstractEventLoop) -> tuple[TradingNode, Script]:
    """A node with a data client and an execution client for the sandbox."""
    account = ready["accounts"][0]
    keys = {
        "api_key": account["ed25519"]["key"],
        "api_secret": Path(account["ed25519"]["private_key_file"]).read_text(),
        "account_type": BinanceAccountType.SPOT,
        "environment": BinanceEnvironment.TESTNET,
        "base_url_http": ready["rest"],
        "instrument_provider": BinanceInstrumentProviderConfig(load_ids=frozenset({INSTRUMENT})),
    }
    config = TradingNodeConfig(
        trader_id=TraderId("TESTER-001"),
        logging=LoggingConfig(log_level="WARNING"),
        exec_engine=LiveExecEngineConfig(reconciliation=True),
        data_clients={BINANCE: BinanceDataClientConfig(base_url_ws=ready["ws"], **keys)},
        exec_clients={BINANCE: BinanceExecClientConfig(base_url_ws=ready["ws_api"], **keys)},
        timeout_connection=30.0,
        timeout_reconciliation=30.0,
        timeout_disconnection=5.0,
        timeout_post_stop=1.0,
    )
    made, script = TradingNode(config=config, loop=loop), Script()
    made.trader.add_strategy(script)
    made.add_data_client_factory(BINANCE, BinanceLiveDataClientFactory)
    made.add_exec_client_factory(BINANCE, BinanceLiveExecClientFactory)
    made.build()
    return made, script


async def until(holds: Any, what: str) -> None:
    """Wait until something holds."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + DEADLINE_S
    while not holds():
        assert loop.time() < deadline, f"{what}: not within {DEADLINE_S} s"
        await asyncio.sleep(0.05)


async def trade(script: Script) -> None:
    """What the first node does."""
    await until(lambda: script.trades > 0 and script.books > 2, "market data")
    await until(lambda: script.bars, "bars of the past")
    book = script.cache.order_book(INSTRUMENT)
    best = Decimal(str(book.best_bid_price())) if book and book.best_bid_price() else None
    last = best or Decimal(str(script.cache.trade_tick(INSTRUMENT).price))
    low = (last * Decimal("0.9")).quantize(Decimal("0.01"))

    taken = script.market(Decimal("0.002"))
    await until(lambda: taken.is_closed, "market order")
    assert taken.status_string() == "FILLED", taken
    assert taken.commissions(), taken
    resting = script.limit(low)
    await until(lambda: resting.is_open, "limit order")
    script.cancel_order(resting)
    await until(lambda: resting.is_closed, "cancel")
    assert resting.status_string() == "CANCELED", resting
    refused = script.limit(last * Decimal("1.01") // 1, post_only=True)
    await until(lambda: refused.is_closed, "post-only order")
    assert refused.status_string() == "REJECTED", refused
    left = script.limit(low)
    await until(lambda: left.is_open, "order that is left")


async def tidy(script: Script) -> None:
    """What the second node does: find the order of the first one and cancel it."""
    await until(script.cache.orders_open, "reconciliation")
    (found,) = script.cache.orders_open()
    script.cancel_all_orders(INSTRUMENT)
    script.cancel_order(found)
    await until(lambda: found.is_closed, "cancel of the found order")
    assert found.status_string() == "CANCELED", found


async def work_on(made: TradingNode, script: Script, work: Any) -> None:
    """Run a node for as long as its work takes."""
    running = asyncio.create_task(made.run_async())
    try:
        await until(lambda: script.is_running, "start")
        await work(script)
    finally:
        await made.stop_async()
        await asyncio.wait([running], timeout=10)


def session(ready: dict[str, Any], work: Any) -> Script:
    """One node on a loop of its own, which it ends with itself."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    made, script = node(ready, loop)
    try:
        loop.run_until_complete(work_on(made, script, work))
    finally:
        made.dispose()
    return script


def run(path: Path) -> str:
    """Both nodes, one after the other."""
    ready = json.loads(path.read_text())
    first = session(ready, trade)
    session(ready, tidy)
    return f"{first.trades} trades and {first.books} books heard, order found after a restart"


if __name__ == "__main__":
    sys.stdout.write(run(Path(sys.argv[1])) + "\n")
