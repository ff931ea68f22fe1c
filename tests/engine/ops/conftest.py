"""Records made by hand, as the journal would hold them."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count

import pytest

from engine.contracts.event import AnyEvent, Recorded
from engine.contracts.people import ENGINE, Actor


@pytest.fixture
def record() -> Callable[..., Recorded]:
    numbers = count()

    def make(event: AnyEvent, actor: Actor = ENGINE) -> Recorded:
        seq = next(numbers)
        return Recorded(
            seq=seq, ts_us=1_700_000_000_000_000 + seq * 1_500, actor=actor, event=event
        )

    return make
