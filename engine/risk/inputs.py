"""What the risk report is made of, as plain values: whoever collects them needs no numpy. Pure."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from engine.risk.stress import Exposed, Shock


class PriceHistory(msgspec.Struct, frozen=True, kw_only=True):
    """Closes of one instrument, oldest first, one a bar; `open_times_ms` are the bars' times."""

    symbol: str
    open_times_ms: tuple[int, ...]
    closes: tuple[Decimal, ...]


class RiskInputs(msgspec.Struct, frozen=True, kw_only=True):
    """Everything the report is made of.

    `positions` are valued at the price now; `interval` is the venue's word for one bar (`1d`,
    `5m`) and the horizon of every figure; `window` the bars of each forecast of the backtest.
    `scope` says whose positions these are, `gaps` what could not be put in, each in words.
    """

    session_id: str
    at_us: int
    quote: str
    positions: tuple[Exposed, ...]
    histories: tuple[PriceHistory, ...]
    interval: str
    level: float
    window: int
    shocks: tuple[Shock, ...]
    scope: str = ""
    gaps: tuple[str, ...] = ()
