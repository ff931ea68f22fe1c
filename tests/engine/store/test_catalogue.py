"""The documented views: the table says what DuckDB says, the page what the table says."""

from __future__ import annotations

import random
from decimal import Decimal
from pathlib import Path
from typing import Any

from engine.contracts.order import Side
from engine.orders.equity import EquityCurve
from engine.store.catalogue import PACKED, TABLES, page

PAGE = Path(__file__).parents[3] / "runbooks" / "store_views.md"
ASKED_FOR = {
    *("orders", "fills", "positions", "equity"),
    *("approvals", "alarms", "checklists", "sessions"),
}


def test_the_views_that_people_were_promised_are_documented_and_packed() -> None:
    assert ASKED_FOR <= set(PACKED) < {one.name for one in TABLES}
    for one in TABLES:
        assert one.meaning
        assert all(column.unit and column.meaning for column in one.columns), one.name


def test_the_page_is_the_tables_own() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "write page() into runbooks/store_views.md"


async def test_the_catalogue_is_what_duckdb_says(pair: Any) -> None:
    """Every view with every column, in its order, with its type and its comment."""
    store = await pair.open()
    columns = await pair.ask(
        store,
        "SELECT table_name, column_name, data_type, comment FROM duckdb_columns() "
        "WHERE NOT internal ORDER BY table_name, column_index",
    )
    views = await pair.ask(
        store,
        "SELECT view_name, comment FROM duckdb_views() WHERE NOT internal "
        "UNION SELECT table_name, comment FROM duckdb_tables()",
    )
    assert dict(views) == {one.name: one.meaning for one in TABLES}
    found: dict[str, list[tuple[str, str]]] = {}
    for table, name, kind, comment in columns:
        found.setdefault(table, []).append((name, kind))
        [told] = [c for one in TABLES if one.name == table for c in one.columns if c.name == name]
        assert comment.startswith(told.meaning)
    assert found == {one.name: [(c.name, c.type) for c in one.columns] for one in TABLES}


async def test_i11_equity_is_the_curve_of_the_ledger_to_the_last_digit(
    pair: Any, story: Any
) -> None:
    """SQL and the engine's own curve share no code; fees in base, quote and a third asset."""
    rng = random.Random(7)
    store = await pair.open()
    fills = []
    for number in range(60):
        fill = story.filled(
            f"o{number}",
            f"t{number}",
            f"{rng.randint(1, 10**6)}E-5",
            f"{rng.randint(10**6, 10**7)}E-2",
            rng.choice([Side.BUY, Side.SELL]),
        )
        asset = rng.choice(["BTC", "USDT"] if number < 50 else ["BTC", "USDT", "BNB"])
        fee = Decimal(rng.randint(-50, 1000)).scaleb(-8)
        fills.append(
            type(fill)(
                session_id=fill.session_id,
                fill=type(fill.fill)(
                    **{
                        name: getattr(fill.fill, name)
                        for name in fill.fill.__struct_fields__
                        if name not in {"fee", "fee_asset"}
                    },
                    fee=fee,
                    fee_asset=asset,
                ),
            )
        )
    await store.flushed(await pair.append([*fills, fills[3]]))
    curve = EquityCurve()
    for recorded in pair.journal.read():
        curve.apply(recorded)
    rows = await pair.ask(
        store,
        "SELECT trade_id, position, mark, before_fees, fees, fees_without_price, equity FROM equity"
        " ORDER BY seq",
    )
    assert rows == [
        (
            point.trade_id,
            point.quantity,
            point.mark,
            point.before_fees,
            point.fees,
            bool(point.unpriced),
            point.net,
        )
        for point in curve.points
    ]


async def test_i11_what_does_not_fit_is_null_and_never_rounded(pair: Any, story: Any) -> None:
    store = await pair.open()
    fills = [story.filled("o1", "t1", "0.0000000001"), story.filled("o1", "t2", "1")]
    await store.flushed(await pair.append(fills))
    rows = await pair.ask(store, "SELECT position, before_fees, equity FROM equity ORDER BY seq")
    assert rows == [
        (Decimal("0.0000000001"), None, None),
        (Decimal("1.0000000001"), None, None),
    ]
