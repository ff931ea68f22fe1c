"""The last risk report of a session is in its pack, byte for byte, and drawn on its page."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

import pytest

from engine.contracts import event as ev
from engine.contracts.canonical import sha256_hex
from engine.contracts.risk import ACCOUNT, SESSION
from engine.evidence.chart import Bar, bar_chart
from engine.evidence.reports import build_reports
from engine.risk.inputs import PriceHistory, RiskInputs
from engine.risk.report import risk_report
from engine.risk.report_text import to_sheet, write_document
from engine.risk.stress import EVERY, Exposed, Shock
from tests.engine.evidence.conftest import START_US

NASTY = '"><script>alert(1)</script> | \u202e'
SHOCKS = (
    Shock(name="fall", kind="hypothetical", text=NASTY, moves={EVERY: Decimal("-0.2")}),
    Shock(name="rise", kind="hypothetical", text="up", moves={"ETHUSDT": Decimal("0.2")}),
)


def inputs(session_id: str, scope: str, quantity: str, gaps: tuple[str, ...] = ()) -> RiskInputs:
    closes = tuple(Decimal(60_000 + 37 * (place * place % 11) - place) for place in range(300))
    return RiskInputs(
        session_id=session_id,
        at_us=START_US,
        quote="USDT",
        positions=(Exposed(symbol="BTCUSDT", quantity=Decimal(quantity), price=Decimal(60_000)),),
        histories=(
            PriceHistory(
                symbol="BTCUSDT",
                open_times_ms=tuple(300_000 * place for place in range(300)),
                closes=closes,
            ),
        ),
        interval="5m",
        level=0.99,
        window=200,
        shocks=SHOCKS,
        scope=scope,
        gaps=gaps,
    )


def reported(session_id: str, quantity: str = "0.5", gaps: tuple[str, ...] = ()) -> ev.RiskReported:
    sheets = [
        to_sheet(risk_report(inputs(session_id, SESSION, quantity, gaps))),
        to_sheet(risk_report(inputs(session_id, ACCOUNT, "1.5"))),
    ]
    document = write_document(session_id, START_US, sheets)
    return ev.RiskReported(
        session_id=session_id, document=document.decode(), sha256=sha256_hex(document)
    )


@pytest.fixture
def chain(story: Any) -> Any:
    made = story.Chain()
    made.add(ev.SessionChartered(session_id=story.SESSION, charter=story.charter()))
    return made


def test_a_session_without_a_report_has_no_risk_files(story: Any, chain: Any) -> None:
    chain.add(reported(""))
    reports = build_reports(chain.records, story.SESSION)
    assert not {name for name in reports if name.startswith("risk")}
    assert b"Risk report" not in reports["report.html"]


def test_the_last_report_goes_in_with_the_bytes_that_were_journaled(story: Any, chain: Any) -> None:
    chain.add(reported(story.SESSION, "0.1"))
    last = reported(story.SESSION, "0.7")
    chain.add(last)
    chain.add(reported(""))
    reports = build_reports(chain.records, story.SESSION)
    assert sha256_hex(reports["risk.json"]) == last.sha256
    told = reports["risk.md"].decode()
    assert told.count("# Risk report: what the ") == 2
    assert "| BTCUSDT | 0.7 | 60000 | 42000.00 |" in told
    assert "| fall | hypothetical | -8400 |" in told
    assert "NOT covered: BTCUSDT" in told
    assert "\u202e" not in told


def test_the_same_records_give_the_same_bytes(story: Any, chain: Any) -> None:
    chain.add(reported(story.SESSION))
    assert build_reports(chain.records, story.SESSION) == build_reports(
        list(chain.records), story.SESSION
    )


def test_the_page_draws_each_shock_from_zero(story: Any, chain: Any) -> None:
    chain.add(reported(story.SESSION))
    raw = build_reports(chain.records, story.SESSION)["report.html"].decode()
    assert raw.count("<rect ") == 2 * len(SHOCKS)
    fall = re.search(r'<rect fill="#b3261e" x="(\S+)" y="7" width="(\S+)"', raw)
    assert fall is not None
    assert (float(fall[1]), float(fall[2])) == (260.0, 440.0), "the worst fills the plot"
    assert "-6,000.00" in raw
    assert "(NOT all covered)" in raw
    assert "<script" not in raw
    for words in ("historical", "gaussian", "Backtest: ", "one bar of 5m"):
        assert words in raw


def test_what_is_missing_is_on_the_page(story: Any, chain: Any) -> None:
    chain.add(reported(story.SESSION, "0", ("1 ETHUSDT is not in this report: no book",)))
    raw = build_reports(chain.records, story.SESSION)["report.html"].decode()
    assert '<p class="missing">Missing: 1 ETHUSDT is not in this report: no book</p>' in raw
    assert raw.count("<rect ") == len(SHOCKS), "zeros of what is not there are not drawn"


def test_a_document_of_another_version_does_not_stop_the_pack(story: Any, chain: Any) -> None:
    chain.add(ev.RiskReported(session_id=story.SESSION, document="{}\n", sha256="00"))
    reports = build_reports(chain.records, story.SESSION)
    assert reports["risk.json"] == b"{}\n"
    assert b"cannot be read by this version" in reports["risk.md"]
    assert b"cannot be read by this version" in reports["report.html"]


@pytest.mark.parametrize("values", [(), (0.0,), (0.0, 0.0), (5.0,), (-5.0,), (-1e12, 1e-9)])
def test_any_bars_can_be_drawn(values: tuple[float, ...]) -> None:
    bars = [Bar(name="<n>", value=value, label="&") for value in values]
    drawn = bar_chart("x", "u", bars)
    assert drawn.count("<rect") == len(values)
    assert "nan" not in drawn
    assert "inf" not in drawn
    assert 'width="-' not in drawn
    assert "<n>" not in drawn
