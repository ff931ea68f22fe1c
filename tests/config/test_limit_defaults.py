"""A charter of an older journal, without the newer limits, is read under the `dev` ceiling."""

from __future__ import annotations

import tomllib
from pathlib import Path

import msgspec
import pytest

from config.model import BreakerSettings
from engine.contracts.session import BreakerTerms, Limits
from engine.risk.breakers import HARD_DRAWDOWN_BPS

BASE = Path(__file__).parents[2] / "config" / "defaults" / "base.toml"


@pytest.mark.parametrize(("section", "words"), [("limits", Limits), ("breakers", BreakerTerms)])
def test_each_default_is_what_the_base_file_says(section: str, words: type) -> None:
    written = tomllib.loads(BASE.read_text(encoding="utf-8"))[section]
    fields = msgspec.structs.fields(words)
    defaults = {one.name: one.default for one in fields if not one.required}
    assert defaults == {name: type(value)(written[name]) for name, value in defaults.items()}
    assert written.keys() == {one.name for one in fields}


def test_no_configuration_goes_over_the_hard_drawdown() -> None:
    written = tomllib.loads(BASE.read_text(encoding="utf-8"))["breakers"]
    assert written["max_drawdown_bps"] == HARD_DRAWDOWN_BPS
    with pytest.raises(ValueError, match="max_drawdown_bps"):
        BreakerSettings(**{**written, "max_drawdown_bps": HARD_DRAWDOWN_BPS + 1})
