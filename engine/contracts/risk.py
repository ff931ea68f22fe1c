"""The risk report as a document: what the engine writes, and everybody else reads.

Estimates are text with two places, probabilities and statistics with six, because canonical JSON
has no floats; prices, quantities and stress results are exact (I11). One report has a sheet for
each scope of positions, so that one question answers both: what the session holds, and what the
account holds of the same assets. Fields are only ever added, with a default.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec

#: The positions that the session's fills made; and all the account holds of the same base assets.
SESSION, ACCOUNT = "session", "account"

SHEET_TYPE = "peakctl-risk-1"
DOCUMENT_TYPE = "peakctl-risk-report-1"


class RiskPosition(msgspec.Struct, frozen=True, kw_only=True):
    """What is valued: base quantity (long positive) at the price now, quote."""

    symbol: str
    quantity: Decimal
    price: Decimal


class RiskFigure(msgspec.Struct, frozen=True, kw_only=True):
    """One method's answer, quote; None where it does not hold, and `note` says why."""

    method: str
    level: str
    var: str | None
    cvar: str | None
    tail: int = 0
    note: str = ""


class RiskContribution(msgspec.Struct, frozen=True, kw_only=True):
    """One instrument's share of the figures, quote; the columns add up to them."""

    symbol: str
    exposure: str
    var_historical: str
    cvar_historical: str
    var_gaussian: str


class RiskTest(msgspec.Struct, frozen=True, kw_only=True):
    """One test of the backtest."""

    statistic: str
    p_value: str


class RiskBacktest(msgspec.Struct, frozen=True, kw_only=True):
    """What the exceptions of the historical VaR tell; a test is None where it cannot be made."""

    observations: int
    exceptions: int
    expected: str
    rate: str
    direction: str
    coverage: RiskTest
    independence: RiskTest | None
    conditional: RiskTest | None
    zone: str
    zone_probability: str
    warnings: tuple[str, ...] = ()


class RiskStress(msgspec.Struct, frozen=True, kw_only=True):
    """One shock: profit in quote, negative is a loss; `not_covered` it says nothing of."""

    shock: str
    kind: str
    text: str
    source: str
    profit: Decimal
    parts: dict[str, Decimal]
    not_covered: tuple[str, ...] = ()


class RiskSheet(msgspec.Struct, frozen=True, kw_only=True):
    """One scope's report. Losses are positive; the horizon is one bar of `interval`."""

    type: str
    session_id: str
    at_us: int
    quote: str
    interval: str
    level: str
    window: int
    observations: int
    inputs_sha256: str
    positions: tuple[RiskPosition, ...]
    figures: tuple[RiskFigure, ...]
    contributions: tuple[RiskContribution, ...]
    backtest: RiskBacktest | None
    stress: tuple[RiskStress, ...]
    gaps: tuple[str, ...]
    scope: str = ""


class RiskDocument(msgspec.Struct, frozen=True, kw_only=True):
    """One report: a sheet a scope, the session's first."""

    type: str
    session_id: str
    at_us: int
    sheets: tuple[RiskSheet, ...]

    @property
    def whole(self) -> bool:
        """Whether nothing is missing from any sheet."""
        return not any(one.gaps for one in self.sheets)
