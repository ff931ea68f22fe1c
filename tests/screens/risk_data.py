"""A risk report as the engine writes it: two sheets, a method that does not hold, a yellow zone."""

from __future__ import annotations

from decimal import Decimal

from engine.contracts.canonical import canonical, sha256_hex
from engine.contracts.replies import RiskAnswer
from engine.contracts.risk import (
    ACCOUNT,
    DOCUMENT_TYPE,
    SESSION,
    SHEET_TYPE,
    RiskBacktest,
    RiskContribution,
    RiskDocument,
    RiskFigure,
    RiskPosition,
    RiskSheet,
    RiskStress,
    RiskTest,
)
from tests.screens.conftest import LIVE, NOW
from tests.screens.conftest import SESSION as SESSION_ID

HELD = LIVE.positions[0].quantity
PRICE = Decimal("60000.05")

FIGURES = (
    RiskFigure(
        method="historical",
        level="0.990000",
        var="61.12",
        cvar="74.40",
        tail=9,
        note="rests on 9 observations",
    ),
    RiskFigure(
        method="gaussian",
        level="0.990000",
        var="63.05",
        cvar="72.20",
        note="thin tails: understates rare losses",
    ),
    RiskFigure(
        method="cornish-fisher",
        level="0.990000",
        var=None,
        cvar=None,
        note="not valid here: the expansion is not increasing (skewness 0.02, excess kurtosis"
        " -0.16)",
    ),
)
TESTED = RiskBacktest(
    observations=613,
    exceptions=13,
    expected="6.13",
    rate="0.010000",
    direction="too many",
    coverage=RiskTest(statistic="5.766102", p_value="0.016338"),
    independence=None,
    conditional=None,
    zone="yellow",
    zone_probability="0.995203",
    warnings=("too few exceptions to test their independence",),
)


def stress(name: str, move: str, text: str, held: Decimal, *covered: str) -> RiskStress:
    profit = held * PRICE * Decimal(move)
    return RiskStress(
        shock=name,
        kind="hypothetical",
        text=text,
        source="",
        profit=profit,
        parts={"BTCUSDT": profit},
        not_covered=covered,
    )


def sheet(scope: str, held: Decimal, *gaps: str) -> RiskSheet:
    return RiskSheet(
        type=SHEET_TYPE,
        session_id=SESSION_ID,
        at_us=NOW - 4_000_000,
        quote="USDT",
        interval="5m",
        level="0.99",
        window=250,
        observations=863,
        inputs_sha256="ab" * 32,
        positions=(RiskPosition(symbol="BTCUSDT", quantity=held, price=PRICE),) if held else (),
        figures=FIGURES if held else (),
        contributions=(
            RiskContribution(
                symbol="BTCUSDT",
                exposure=f"{held * PRICE:.2f}",
                var_historical="61.12",
                cvar_historical="74.40",
                var_gaussian="63.05",
            ),
        )
        if held
        else (),
        backtest=TESTED if held else None,
        stress=(
            stress("everything_down_50", "-0.5", "every price halves", held),
            stress("day_2024_08_05", "-0.157511", "5 August 2024, 58,161.00 to 49,000.00", held),
            stress("only_another", "0", "of another instrument", held, "BTCUSDT"),
            stress("everything_up_20", "0.2", "every price rises by a fifth at once", held),
        ),
        gaps=gaps,
        scope=scope,
    )


def answer(*sheets: RiskSheet) -> RiskAnswer:
    document = RiskDocument(
        type=DOCUMENT_TYPE, session_id=SESSION_ID, at_us=NOW - 4_000_000, sheets=sheets
    )
    text = canonical(document).decode() + "\n"
    return RiskAnswer(document=text, sha256=sha256_hex(text.encode()), markdown="# Risk report\n")


WHOLE = answer(sheet(SESSION, HELD), sheet(ACCOUNT, Decimal("1.06995")))
GAPPED = answer(
    sheet(SESSION, Decimal(0), "0.07 BTCUSDT is not in this report: its book is 4200 ms old"),
    sheet(ACCOUNT, Decimal(0), "the account could not be read: openapi: timeout"),
)
FLAT = answer(sheet(SESSION, Decimal(0)), sheet(ACCOUNT, Decimal(1)))
