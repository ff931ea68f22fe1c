"""The comparison sees each kind of difference: only so does a cell that passes prove something."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tests.faults.matrix.sides import (
    CANCELED,
    DOUBT,
    FILLED,
    NONE,
    OPEN,
    Side,
    Trade,
    disagreements,
    joined,
    journal_side,
    venue_side,
)

BUY = Trade("a", Decimal("0.002"), Decimal(61_000), Decimal("0.000002"), "BTC")


def side(state: str, *trades: str) -> Side:
    return Side(orders={"a": state}, trades=dict.fromkeys(trades, BUY))


def line(kind: str, **data: Any) -> dict[str, Any]:
    return {"kind": kind, "data": {"client_order_id": "a", **data}}


INTENDED = line("order.intended", intent={"client_order_id": "a", "quantity": "0.002"})
FILL = line(
    "order.filled",
    fill={
        "client_order_id": "a",
        "trade_id": "7",
        "quantity": "0.002",
        "price": "61000",
        "fee": "0.000002",
        "fee_asset": "BTC",
    },
)
ROW = {"clientOrderId": "a", "orderId": 5, "status": "FILLED"}
TRADE = {
    "id": 7,
    "orderId": 5,
    "qty": "0.00200000",
    "price": "61000.00",
    "commission": "0.00000200",
    "commissionAsset": "BTC",
}


def test_three_equal_sides_agree() -> None:
    for state in (OPEN, FILLED, CANCELED):
        assert disagreements(side(state, "7"), side(state, "7"), side(state, "7")) == []


def test_an_order_that_the_venue_never_had_is_rejected_here() -> None:
    assert disagreements(side(NONE), side(NONE), Side()) == []
    assert disagreements(side(OPEN), side(OPEN), Side()) != []


@pytest.mark.parametrize("other", [OPEN, CANCELED, NONE, DOUBT])
def test_each_side_that_says_otherwise_is_seen(other: str) -> None:
    right, wrong = side(FILLED, "7"), side(other, "7")
    assert disagreements(wrong, right, right) != []
    assert disagreements(right, wrong, right) != []
    assert disagreements(right, right, wrong) != []


def test_doubt_is_no_agreement() -> None:
    assert disagreements(side(DOUBT), side(DOUBT), side(DOUBT)) != []


def test_a_trade_that_a_side_lacks_or_tells_otherwise_is_seen() -> None:
    right = side(FILLED, "7")
    assert disagreements(side(FILLED), right, right) != []
    assert disagreements(right, side(FILLED, "7", "8"), right) != []
    dearer = Side(orders={"a": FILLED}, trades={"7": Trade("a", *_cells(price=Decimal(61_001)))})
    assert disagreements(right, right, dearer) != []


def _cells(price: Decimal) -> tuple[Decimal, Decimal, Decimal, str]:
    return BUY.quantity, price, BUY.fee, BUY.fee_asset


def test_an_order_of_nobody_and_one_that_is_there_twice_are_seen() -> None:
    here = side(FILLED, "7")
    assert (
        disagreements(here, here, Side(orders={"a": FILLED, "b": OPEN}, trades=here.trades)) != []
    )
    twice = venue_side([ROW, {**ROW, "orderId": 6}], [TRADE])
    assert twice.doubled == ["a"]
    assert disagreements(here, here, twice) != []


def test_the_journal_is_folded_to_what_the_venue_says() -> None:
    told = journal_side([INTENDED, FILL])
    assert told.orders == {"a": FILLED}
    assert disagreements(told, told, venue_side([ROW], [TRADE])) == []
    assert told.flow() == {"BTC": Decimal("0.001998"), "USDT": Decimal(-122)}


def test_a_trade_or_an_intent_that_is_journaled_twice_is_doubled() -> None:
    assert journal_side([INTENDED, FILL, FILL]).doubled == ["trade 7"]
    assert journal_side([INTENDED, INTENDED]).doubled == ["intent a"]


def test_doubt_after_an_end_changes_nothing_and_before_it_is_doubt() -> None:
    canceled = line("order.canceled", filled_quantity="0")
    unknown = line("order.unknown", cause="no answer")
    assert journal_side([INTENDED, canceled, unknown]).orders == {"a": CANCELED}
    assert journal_side([INTENDED, unknown]).orders == {"a": DOUBT}


def test_of_what_a_wipe_took_no_end_may_be_told() -> None:
    wiped = frozenset({"a"})
    history = side(OPEN)
    for honest in (DOUBT, OPEN):
        assert disagreements(side(honest), side(honest), history, wiped=wiped) == []
    for invented in (CANCELED, FILLED, NONE):
        assert disagreements(side(invented), side(invented), history, wiped=wiped) != []


def test_an_order_from_before_a_wipe_that_comes_back_is_doubled() -> None:
    assert joined(side(OPEN), side(OPEN)).doubled == ["a"]
    assert joined(side(FILLED, "7"), Side()).trades == {"7": BUY}
