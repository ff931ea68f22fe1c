"""Ours against what statsmodels and arch say (`oracles`), pinned: the suite needs neither."""

from __future__ import annotations

import pytest

from tests.engine.risk.oracles import CLOSE, PINNED, ours


@pytest.mark.parametrize("name", sorted(PINNED))
def test_statsmodels_and_arch_agree(name: str) -> None:
    assert ours()[name] == pytest.approx(PINNED[name], abs=CLOSE)


def test_nothing_is_computed_that_nobody_checks() -> None:
    assert set(ours()) == set(PINNED)
