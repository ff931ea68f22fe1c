"""The risk report: every part or the reason why not, and the same bytes each time."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import msgspec
import numpy as np
import pytest

from engine.contracts.errors import InputError
from engine.contracts.risk import DOCUMENT_TYPE
from engine.risk import report as risk
from engine.risk.report_text import (
    _amount,
    read_document,
    sheet_markdown,
    to_document,
    to_markdown,
    to_sheet,
    write_document,
)
from engine.risk.stress import EVERY, Exposed, Shock

MINUTE_MS = 60_000
FALL = Shock(
    name="fall", kind="hypothetical", text="everything by a tenth", moves={EVERY: Decimal("-0.1")}
)


def history(symbol: str, bars: int, seed: int, skip: tuple[int, ...] = ()) -> risk.PriceHistory:
    draw = np.random.default_rng(seed)
    closes = 60_000 * np.cumprod(1 + draw.normal(0, 0.01, bars))
    kept = [place for place in range(bars) if place not in skip]
    return risk.PriceHistory(
        symbol=symbol,
        open_times_ms=tuple(place * MINUTE_MS for place in kept),
        closes=tuple(Decimal(f"{closes[place]:.2f}") for place in kept),
    )


def inputs(**changes: Any) -> risk.RiskInputs:
    base = risk.RiskInputs(
        session_id="s1",
        at_us=1,
        quote="USDT",
        positions=(
            Exposed(symbol="BTCUSDT", quantity=Decimal("0.5"), price=Decimal(60_000)),
            Exposed(symbol="ETHUSDT", quantity=Decimal(-1), price=Decimal(3_000)),
        ),
        histories=(history("BTCUSDT", 600, 1), history("ETHUSDT", 600, 2)),
        interval="5m",
        level=0.99,
        window=250,
        shocks=(FALL,),
    )
    return msgspec.structs.replace(base, **changes)


def test_all_parts_are_there() -> None:
    report = risk.risk_report(inputs())
    assert [one.method for one in report.figures] == ["historical", "gaussian", "cornish-fisher"]
    assert [one.symbol for one in report.contributions] == ["BTCUSDT", "ETHUSDT"]
    assert report.observations == 599
    assert report.tested is not None
    assert report.tested.observations == 349
    assert report.stressed[0].profit == Decimal(-2_700)
    assert report.gaps == ()


def test_the_same_inputs_give_the_same_bytes_and_another_input_another_hash() -> None:
    first, second = risk.risk_report(inputs()), risk.risk_report(inputs())
    assert to_document(first) == to_document(second)
    assert to_markdown(first) == to_markdown(second)
    other = risk.risk_report(inputs(histories=(history("BTCUSDT", 600, 1),) * 2))
    assert other.inputs_sha256 != first.inputs_sha256


def test_the_document_has_no_floats_and_reads_back() -> None:
    def refuse(text: str) -> None:
        raise AssertionError(text)

    document = json.loads(to_document(risk.risk_report(inputs())), parse_float=refuse)
    assert document["type"] == "peakctl-risk-1"
    assert document["figures"][0]["var"].count(".") == 1
    assert document["backtest"]["coverage"]["p_value"].startswith(("0.", "1."))


def test_without_a_position_there_is_nothing_to_lose_and_it_is_said() -> None:
    report = risk.risk_report(inputs(positions=()))
    assert report.figures == ()
    assert report.stressed[0].profit == 0
    assert "nothing to lose" in to_markdown(report)


def test_a_missing_history_is_a_gap_not_a_calm_market() -> None:
    report = risk.risk_report(inputs(histories=(history("BTCUSDT", 600, 1),)))
    assert report.figures == ()
    assert report.gaps == ("value at risk: no price history of ETHUSDT",)
    assert "What could not be computed" in to_markdown(report)
    assert report.stressed[0].profit == Decimal(-2_700)


@pytest.mark.parametrize(("bars", "window", "whole"), [(281, 250, True), (280, 250, False)])
def test_the_backtest_needs_its_window_and_thirty_more(bars: int, window: int, whole: bool) -> None:
    histories = (history("BTCUSDT", bars, 1), history("ETHUSDT", bars, 2))
    report = risk.risk_report(inputs(histories=histories, window=window))
    assert (report.tested is not None) is whole
    assert bool(report.gaps) is not whole


def test_a_window_that_is_too_short_is_a_gap() -> None:
    assert risk.risk_report(inputs(window=30)).tested is not None
    assert risk.risk_report(inputs(window=29)).tested is None


def test_bars_are_aligned_by_their_time() -> None:
    whole = (history("BTCUSDT", 100, 1), history("ETHUSDT", 100, 2, skip=(40, 41)))
    returns = risk.aligned_returns(whole, ("BTCUSDT", "ETHUSDT"))
    closes = [float(one) for one in whole[0].closes]
    assert len(returns) == 97
    assert returns[39, 0] == pytest.approx(closes[42] / closes[39] - 1)


@pytest.mark.parametrize(
    ("closes", "words"), [(("1", "0"), "not above zero"), (("1",), "no two bars")]
)
def test_a_history_that_cannot_be_used_is_refused(closes: tuple[str, ...], words: str) -> None:
    bad = risk.PriceHistory(
        symbol="BTCUSDT",
        open_times_ms=tuple(range(len(closes))),
        closes=tuple(Decimal(one) for one in closes),
    )
    with pytest.raises(InputError, match=words):
        risk.aligned_returns((bad,), ("BTCUSDT",))


def test_two_bars_are_one_return() -> None:
    two = history("BTCUSDT", 2, 1)
    assert risk.aligned_returns((two,), ("BTCUSDT",)).shape == (1, 1)


def test_a_forecast_sees_only_the_past() -> None:
    losses = np.array([1.0, 2.0, 3.0, 4.0, 3.9, 10.0])
    assert risk.rolling_exceptions(losses, 0.99, 3) == [True, False, True]


def test_at_the_forecast_is_no_exception() -> None:
    assert risk.rolling_exceptions(np.array([5.0, 5.0, 5.0, 5.0]), 0.99, 3) == [False]


def test_a_shock_that_leaves_a_position_out_says_so_in_capitals() -> None:
    half = msgspec.structs.replace(FALL, moves={"BTCUSDT": Decimal("-0.5")})
    assert "NOT covered: ETHUSDT" in to_markdown(risk.risk_report(inputs(shocks=(half,))))


def test_where_cornish_fisher_does_not_hold_a_dash_stands() -> None:
    jump = history("BTCUSDT", 600, 1)
    closes = (*jump.closes[:-1], jump.closes[-2] * 3)
    report = risk.risk_report(
        inputs(
            positions=inputs().positions[:1],
            histories=(msgspec.structs.replace(jump, closes=closes),),
        )
    )
    assert "| cornish-fisher | - | - | not valid here" in to_markdown(report)


def test_a_document_of_another_type_is_refused_and_its_own_is_read() -> None:
    text = write_document("s1", 1, [to_sheet(risk.risk_report(inputs()))])
    assert read_document(text).session_id == "s1"
    with pytest.raises(InputError, match="of type 'other'"):
        read_document(text.replace(f'"{DOCUMENT_TYPE}"'.encode(), b'"other"'))


def test_probabilities_have_six_places_and_amounts_two() -> None:
    sheet = to_sheet(risk.risk_report(inputs()))
    assert sheet.backtest is not None
    assert len(sheet.backtest.zone_probability.partition(".")[2]) == 6
    assert len((sheet.figures[0].var or "").partition(".")[2]) == 2


@pytest.mark.parametrize(("value", "text"), [(-0.001, "0.00"), (-0.01, "-0.01"), (0.5, "0.50")])
def test_nothing_lost_has_no_sign(value: float, text: str) -> None:
    assert _amount(value) == text


def test_a_test_that_could_not_be_made_is_a_dash() -> None:
    sheet = to_sheet(risk.risk_report(inputs()))
    assert sheet.backtest is not None
    without = msgspec.structs.replace(sheet.backtest, independence=None, conditional=None)
    text = sheet_markdown(msgspec.structs.replace(sheet, backtest=without))
    assert "| Christoffersen, independence | - | - |" in text
    assert "| Kupiec, coverage | - | - |" not in text
