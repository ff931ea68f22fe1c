"""What is traded: one symbol of one venue with its step sizes."""

from __future__ import annotations

from decimal import Decimal

import msgspec


class Instrument(msgspec.Struct, frozen=True, kw_only=True):
    """One spot symbol as the venue describes it. Prices in quote, quantities in base currency."""

    symbol: str
    base: str
    quote: str
    tick_size: Decimal
    step_size: Decimal
    min_quantity: Decimal
    max_quantity: Decimal
    min_notional: Decimal
    trading: bool = True
