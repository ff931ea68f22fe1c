"""Where a charter may trade: what the drawdown cannot be measured in is refused before the go."""

from __future__ import annotations

import pytest

from engine.execution.session_desk import CharterRules, _place_problems
from tests.engine.risk.conftest import World
from tests.engine.risk.test_breakers import Story

SYMBOLS = ("BTCUSDT", "ETHUSDT", "ETHBTC", "BTCXYZ")


@pytest.mark.parametrize(
    ("instruments", "problem"),
    [
        (("BTCUSDT", "ETHUSDT"), ""),
        (("ETHBTC",), ""),
        (("BTCUSDT", "ETHBTC"), "instruments: quoted in BTC, USDT; allowed: one known quote"),
        (("BTCXYZ",), "instruments: quoted in an asset not known here; allowed: one known quote"),
        (("BTCUSDT", "BTCUSDT"), "instruments: one is named twice"),
        (("SOLUSDT",), "instruments: SOLUSDT; allowed: BTCUSDT"),
        ((), "instruments: none; allowed: BTCUSDT"),
    ],
)
def test_equity_needs_one_currency(instruments: tuple[str, ...], problem: str) -> None:
    story = Story(World)
    story.charter(instruments=instruments)
    charter = story.told[-1].event.charter
    rules = CharterRules(
        modes_allowed=(charter.mode,),
        venue=charter.venue,
        account=charter.account,
        symbols=SYMBOLS,
        ceiling=charter.limits,
        window_max_us=1,
        attendance_max_seconds=15,
    )
    found = list(_place_problems(charter, rules))
    assert len(found) == bool(problem), found
    assert all(one.startswith(problem) for one in found)
