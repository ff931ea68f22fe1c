"""ccxt's asynchronous Binance client on the sandbox: only its addresses are changed."""

from __future__ import annotations

from decimal import Decimal
from importlib import import_module
from types import TracebackType
from typing import Any

_SYMBOL = "BTC/USDT"


class CcxtVenue:
    """One account, traded as ccxt's manual says."""

    def __init__(self, rest: str, key: str, secret: str) -> None:
        ccxt = import_module("ccxt.async_support")  # a second of imports, and untyped
        self._exchange: Any = ccxt.binance(
            {
                "apiKey": key,
                "secret": secret,
                # Its own throttle would be measured, not its work.
                "enableRateLimit": False,
                "options": {
                    "defaultType": "spot",
                    "fetchMarkets": {"types": ["spot"]},
                    "fetchCurrencies": False,
                    "fetchMargins": False,
                },
            }
        )
        api = {"public": f"{rest}/api/v3", "private": f"{rest}/api/v3"}
        self._exchange.urls["api"] = {**self._exchange.urls["api"], **api}

    async def __aenter__(self) -> CcxtVenue:
        await self._exchange.load_markets()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._exchange.close()

    async def limit_order(self, price: Decimal, quantity: Decimal) -> None:
        """A resting buy, acknowledged."""
        placed = await self._exchange.create_order(
            _SYMBOL, "limit", "buy", float(quantity), float(price)
        )
        assert placed["status"] == "open", f"ccxt's order is {placed['status']}"

    async def cancel_all(self) -> None:
        """Take back what rests."""
        await self._exchange.cancel_all_orders(_SYMBOL)
