"""Amounts that only grow come back exactly, packed or not."""

from __future__ import annotations

import random
from decimal import Decimal

import pytest

from engine.execution.records.frozen import freeze, thaw
from engine.risk.sums import Amounts


def test_i11_every_amount_comes_back_exactly_wherever_it_lies() -> None:
    rng = random.Random(3)
    given = [
        Decimal(rng.randint(-(10**30), 10**30)).scaleb(-rng.randint(0, 25)) for _ in range(9_001)
    ]
    amounts = Amounts()
    for number, amount in enumerate(given):
        amounts.append(amount)
        assert amounts[-1] is amount
        assert len(amounts) == number + 1
    assert [str(one) for one in amounts] == [str(one) for one in given]
    assert [amounts[place] for place in (0, 4095, 4096, 8191, 8192, -9001)] == [
        given[place] for place in (0, 4095, 4096, 8191, 8192, -9001)
    ]
    again = thaw(freeze(amounts))
    assert list(again) == given
    for beyond in (9_001, -9_002):
        with pytest.raises(IndexError):
            amounts[beyond]
