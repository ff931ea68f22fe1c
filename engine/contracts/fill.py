"""A fill: one trade of ours as the venue reported it. Never invented, never assumed (I2)."""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum

import msgspec

from engine.contracts.order import Side


class Liquidity(StrEnum):
    """Whether our order rested (maker) or crossed (taker)."""

    MAKER = "MAKER"
    TAKER = "TAKER"


class Fill(msgspec.Struct, frozen=True, kw_only=True):
    """One trade. `quantity` in base, `price` in quote, `fee` in `fee_asset`, time in µs UTC.

    `(symbol, trade_id)` is unique at the venue and is what duplicates are dropped by.
    """

    symbol: str
    trade_id: str
    client_order_id: str
    venue_order_id: str
    side: Side
    price: Decimal
    quantity: Decimal
    fee: Decimal
    fee_asset: str
    liquidity: Liquidity
    time_us: int
