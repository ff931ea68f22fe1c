"""Joining in SQL and comparing what differs is comparing all, to the last byte of the report."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.contracts.order import Side
from engine.reconcile.compare import FillRow, OrderRow, Sides, reconcile
from engine.store import joins
from engine.store.joins import Differing, FillTable, differing

D = Decimal
SESSION = "abcdefabcdef"


def fill(number: int = 1, **changes: Any) -> FillRow:
    base = FillRow(
        trade_id=str(number),
        client_order_id="a",
        side=Side.BUY,
        price=D(100),
        quantity=D(1),
        fee=D("0.001"),
        fee_asset="BTC",
        symbol="BTCUSDT",
    )
    return msgspec.structs.replace(base, **changes)


ORDERS = [
    OrderRow(
        client_order_id="a",
        venue_order_id="1",
        state_class="FILLED",
        quantity=D(1),
        filled_quantity=D(1),
        price=D(1),
    )
]


def sides(engine: Any, journal: Any, venue: Any, agreed: int = 0) -> Sides:
    return Sides(
        engine_orders=ORDERS,
        journal_orders=ORDERS,
        venue_orders=ORDERS,
        engine_fills=engine,
        journal_fills=journal,
        venue_fills=venue,
        engine_balances={},
        journal_balances={},
        venue_balances={},
        engine_positions={},
        journal_positions={},
        venue_positions={},
        agreed_fills=agreed,
    )


def documents(engine: Any, journal: Any, venue: Any) -> tuple[bytes, bytes, Differing]:
    """The report of the pure comparison alone, of the join and the comparison, and the rest."""
    alone = reconcile("r1", SESSION, 7, sides(engine, journal, venue))
    left = differing(FillTable(engine), FillTable(journal), FillTable(venue))
    both = reconcile("r1", SESSION, 7, sides(left.engine, left.journal, left.venue, left.agreed))
    return alone.to_document(), both.to_document(), left


FILLS = st.lists(
    st.builds(
        fill,
        st.integers(1, 5),
        price=st.sampled_from([D(100), D("100.0"), D(101), D("1E+2")]),
        fee=st.sampled_from([D("0.001"), D("0.00100001"), D("-0.002")]),
        fee_asset=st.sampled_from(["BTC", "BNB"]),
        side=st.sampled_from(Side),
        symbol=st.sampled_from(["BTCUSDT", "ETHUSDT"]),
        client_order_id=st.sampled_from(["a", "x", ""]),
    ),
    max_size=6,
)
#: Mostly the same on all sides, as in life.
THREE = st.one_of(
    st.tuples(FILLS, FILLS, FILLS),
    st.tuples(FILLS, FILLS).map(lambda two: (two[0], two[0], two[0] + two[1])),
    st.tuples(FILLS, FILLS).map(lambda two: (two[0], two[0][1:], two[0] + two[1])),
)


@given(three=THREE, slice_rows=st.sampled_from([1, 3, 1000]))
@settings(deadline=None, max_examples=60)
def test_join_and_comparison_say_what_the_comparison_alone_says(
    three: Any, slice_rows: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(joins, "_SLICE_ROWS", slice_rows)
        alone, both, left = documents(*three)
    assert both == alone
    assert left.agreed >= 0


def test_what_agrees_is_counted_and_not_handed_on() -> None:
    rows = [fill(number) for number in range(50)]
    spoiled = [*rows[:-1], fill(49, price=D(101))]
    _, _, left = documents(rows, rows, spoiled)
    assert left.agreed == 49
    assert [len(left.engine), len(left.journal), len(left.venue)] == [1, 1, 1]


@pytest.mark.parametrize(
    "odd", [fill(9, symbol=""), fill(9, price=D("1E+25")), fill(9, fee=D("1E-19"))]
)
def test_a_side_that_cannot_be_joined_exactly_is_compared_row_by_row(
    odd: FillRow,
) -> None:
    rows = [fill(1), fill(2)]
    alone, both, left = documents([*rows, odd], rows, [*rows, odd])
    assert both == alone
    assert left.agreed == 0


def test_rows_that_are_added_later_are_in_the_table_once() -> None:
    table = FillTable([fill(1)])
    table.extend([fill(2), fill(3)])
    table.extend([])
    assert len(table) == 3
    assert sorted(one.trade_id for one in table.rows()) == ["1", "2", "3"]


async def test_a_trade_that_the_journal_tells_again_counts_as_first_told(
    pair: Any, story: Any
) -> None:
    store = await pair.open()
    told = [
        story.filled("o1", "t0", "1"),
        story.filled("o1", "t1", "2"),
        story.filled("o1", "t0", "3"),
        story.filled("z1", "t0", "4", session="zzzzzzzzzzzz"),
        story.filled("o1", "t1", "5"),
    ]
    await store.flushed(await pair.append(told))
    rows = (await store.fill_table(SESSION, 9)).rows()
    assert [(one.trade_id, one.quantity) for one in rows] == [("t0", D(1)), ("t1", D(2))]
    assert [one[:1] + one[4:5] for one in await store.journal_fills(SESSION)] == [
        ("t0", D(1)),
        ("t1", D(2)),
    ]


async def test_the_store_joins_its_own_trades_up_to_the_given_end(pair: Any, story: Any) -> None:
    store = await pair.open()
    await store.flushed(await pair.append([story.filled("o1", f"t{n}", "1") for n in range(3)]))
    engine = FillTable([fill_of(story, f"t{n}") for n in range(2)])
    found = differing(engine, await store.fill_table(SESSION, 2), engine)
    assert (found.agreed, list(found.journal)) == (2, [])
    found = differing(engine, await store.fill_table(SESSION, 3), engine)
    assert (found.agreed, [one.trade_id for one in found.journal]) == (2, ["t2"])
    assert (await store.fill_table("nobody", 3)).rows() == []


def fill_of(story: Any, trade: str) -> FillRow:
    told = story.filled("o1", trade, "1").fill
    return fill(
        trade_id=trade,
        client_order_id="o1",
        price=told.price,
        fee=told.fee,
        fee_asset=told.fee_asset,
    )
