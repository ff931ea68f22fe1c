"""The test's own hand on the exchange: its faults, its people's orders, its word on the account.

Nothing here goes through the product. The queries are signed by the test with the same keys.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from tests.faults.conftest import SYMBOL, Field
from tests.faults.matrix.sides import Side, venue_side


class Exchange:
    """The sandbox of one desk."""

    def __init__(self, field: Field) -> None:
        self._field = field

    # --- faults ---------------------------------------------------------------------------------

    async def faults(self) -> dict[str, Any]:
        """What is armed, and what has fired since the start."""
        async with self._field._http.post(self._url("sandbox/faults"), json={}) as response:
            assert response.status == 200, await response.text()
            document: dict[str, Any] = await response.json()
            return document

    async def fired(self) -> Counter[str]:
        """How often each fault has happened so far."""
        return Counter((await self.faults())["fired"])

    # --- the market -----------------------------------------------------------------------------

    async def best_bid(self) -> Decimal:
        """The best bid."""
        url = self._url(f"api/v3/ticker/bookTicker?symbol={SYMBOL}")
        async with self._field._http.get(url) as response:
            return Decimal((await response.json())["bidPrice"])

    async def sell(self, price: Decimal, quantity: Decimal) -> None:
        """Somebody else sells so much down to the price, at once or not at all."""
        sold = await self._field.ask(
            "POST",
            "order",
            account=1,
            symbol=SYMBOL,
            side="SELL",
            type="LIMIT",
            timeInForce="IOC",
            quantity=str(quantity),
            price=str(price),
        )
        assert "orderId" in sold, sold

    # --- its word on our account ----------------------------------------------------------------

    async def filled_of(self, order_id: str) -> Decimal:
        """How much of an order of ours is filled, base."""
        row = await self._field.ask("GET", "order", symbol=SYMBOL, origClientOrderId=order_id)
        return Decimal(row["executedQty"])

    async def side(self) -> Side:
        """All orders and trades of our account."""
        return venue_side(await self._field.venue_orders(), await self._field.venue_trades())

    async def balances(self) -> dict[str, Decimal]:
        """What our account holds, free and locked."""
        account = await self._field.ask("GET", "account")
        return {
            one["asset"]: Decimal(one["free"]) + Decimal(one["locked"])
            for one in account["balances"]
        }

    def _url(self, path: str) -> str:
        return f"{self._field.venue['rest']}/{path}"


def fault_names(arm: Mapping[str, Any]) -> tuple[str, ...]:
    """The counters of the exchange that the faults of an arm raise when they happen."""
    names = [f"{one['on']}.{one['answer']}" for one in arm.get("rest", ())]
    names += [f"report.{one['how']}" for one in arm.get("reports", ())]
    names += [name.format(arm[field]) for field, name in _COUNTERS.items() if field in arm]
    for field in ("stream_cut", "stream_stall"):
        if field in arm:
            kinds = ("market", "user") if arm[field] == "all" else (arm[field],)
            names += [f"{field}.{kind}" for kind in kinds]
    if "cancel_race" in arm:
        names.append(f"cancel_race.{arm['cancel_race']['fill']}")
    return tuple(names)


_COUNTERS = {
    "depth_gap": "depth_gap",
    "stale_snapshot": "stale_snapshot",
    "symbol_status": "symbol_status.{}",
    "wipe": "wipe",
    "hide_order_ms": "hide_order",
}
