"""A red break that somebody has answered at the venue is not "taken by nobody"."""

from __future__ import annotations

from decimal import Decimal

import pytest

from engine.contracts.events.recon import WatchedBreak
from engine.contracts.order import Side
from engine.execution.limits.red_flag_desk import in_hand
from engine.orders.orphans import ADOPTED, CANCEL_REQUESTED, OPEN, Orphan


def orphan(name: str, state: str, by: str) -> Orphan:
    return Orphan(
        session_id="s",
        symbol="BTCUSDT",
        client_order_id=name,
        venue_order_id="1",
        side=Side.BUY,
        price=Decimal(1),
        quantity=Decimal(1),
        found_us=1,
        state=state,
        by=by,
    )


def red(code: str, key: str) -> WatchedBreak:
    return WatchedBreak(code=code, key=key, klass="red", first_seen_us=1)


THEIRS = red("ORDER_ORPHAN", "theirs")


@pytest.mark.parametrize(
    ("breaks", "orphans", "answered"),
    [
        ((THEIRS,), (orphan("theirs", ADOPTED, "alice"),), True),
        ((THEIRS,), (orphan("theirs", CANCEL_REQUESTED, "bob"),), True),
        ((THEIRS,), (orphan("theirs", OPEN, ""),), False),
        ((THEIRS,), (orphan("another", ADOPTED, "alice"),), False),
        ((THEIRS, red("FILL_MISSING", "7")), (orphan("theirs", ADOPTED, "alice"),), False),
        ((red("FILL_MISSING", "theirs"),), (orphan("theirs", ADOPTED, "alice"),), False),
    ],
)
def test_only_a_strangers_order_that_somebody_answered(
    breaks: tuple[WatchedBreak, ...], orphans: tuple[Orphan, ...], answered: bool
) -> None:
    assert in_hand(breaks, orphans) is answered
