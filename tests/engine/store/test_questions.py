"""The third side of reconciliation, and people's questions that may only read."""

from decimal import Decimal
from typing import Any

import pytest

from engine.contracts.errors import InputError, Refused
from engine.contracts.order import Side


async def test_an_orders_state_is_what_its_events_say(pair: Any, story: Any) -> None:
    store = await pair.open()
    s = story
    events = {
        "open": [s.acknowledged],
        "silent": [],
        "part": [s.acknowledged, lambda o: s.filled(o, "p1", "0.4")],
        "full": [lambda o: s.filled(o, "f1", "0.4"), lambda o: s.filled(o, "f2", "0.6")],
        "early": [lambda o: s.filled(o, "e1", "1"), s.acknowledged],
        "canceled": [s.acknowledged, s.canceled],
        "late": [s.canceled, lambda o: s.filled(o, "l1", "1")],
        "over": [lambda o: s.filled(o, "v1", "1"), s.canceled],
        "rejected": [s.rejected],
        "expired": [s.acknowledged, s.expired],
        "unknown": [s.acknowledged, s.unknown],
        "doubt": [s.unknown, lambda o: s.filled(o, "d1", "0.5")],
        "known": [s.unknown, s.acknowledged],
        "gone": [s.unknown, s.rejected],
        "doubled": [s.acknowledged, lambda o: s.filled(o, "x1", "0.6")] * 2,
    }
    await pair.append([s.intended(order) for order in events])
    last = await pair.append([make(order) for order, makers in events.items() for make in makers])
    await store.flushed(last)

    rows = await store.journal_orders(story.session)
    assert [row[0] for row in rows] == list(events)
    assert {row[0]: (row[2], row[4]) for row in rows} == {
        "open": ("open", Decimal(0)),
        "silent": ("open", Decimal(0)),
        "part": ("open", Decimal("0.4")),
        "full": ("filled", Decimal(1)),
        "early": ("filled", Decimal(1)),
        "canceled": ("canceled", Decimal(0)),
        "late": ("canceled", Decimal(1)),
        "over": ("filled", Decimal(1)),
        "rejected": ("rejected", Decimal(0)),
        "expired": ("expired", Decimal(0)),
        "unknown": ("unknown", Decimal(0)),
        "doubt": ("unknown", Decimal("0.5")),
        "known": ("open", Decimal(0)),
        "gone": ("rejected", Decimal(0)),
        "doubled": ("open", Decimal("0.6")),
    }
    by_order = {row[0]: row for row in rows}
    assert by_order["silent"][1] is None
    assert by_order["full"][1] == "v-full"
    assert by_order["open"][1:] == ("v-open", "open", Decimal(1), Decimal(0), Decimal(100))


async def test_i2_a_trade_that_is_reported_twice_counts_once(pair: Any, story: Any) -> None:
    store = await pair.open()
    s = story
    await pair.append([s.intended("o1"), s.intended("o2", price=None)])
    trades = [
        s.filled("o1", "t1", "0.5", "100.01"),
        s.filled("o1", "t1", "0.5", "100.01"),
        s.filled("o1", "t2", "0.25", "100.02"),
        s.filled("o2", "t3", "0.125", "99.99", Side.SELL),
        s.filled("z1", "t4", "9", session="zzzzzzzzzzzz"),
    ]
    await store.flushed(await pair.append(trades))

    fee = (Decimal("0.001"), "BNB", "BTCUSDT")
    assert await store.journal_fills(s.session) == [
        ("t1", "o1", "BUY", Decimal("100.01"), Decimal("0.5"), *fee),
        ("t2", "o1", "BUY", Decimal("100.02"), Decimal("0.25"), *fee),
        ("t3", "o2", "SELL", Decimal("99.99"), Decimal("0.125"), *fee),
    ]
    assert (await store.journal_orders(s.session))[1][5] is None
    [moved] = await store.journal_movements(s.session)
    assert (moved.symbol, moved.base) == ("BTCUSDT", Decimal("0.625"))
    assert moved.quote == -(
        Decimal("50.005") + Decimal("25.005") - Decimal("99.99") * Decimal("0.125")
    )
    assert moved.fees == {"BNB": Decimal("0.003")}
    assert await store.journal_movements("nobody") == []


async def test_i11_eighteen_decimals_come_back_exactly(pair: Any, story: Any) -> None:
    store = await pair.open()
    tiny, big = "0.000000000000000001", "99999999999999999999.999999999999999999"
    await pair.append([story.intended("o1", quantity=big)])
    await store.flushed(await pair.append([story.filled("o1", "t1", tiny, price=big)]))
    [fill] = await store.journal_fills(story.session)
    assert fill[3:5] == (Decimal(big), Decimal(tiny))
    [moved] = await store.journal_movements(story.session)
    assert moved.quote == Decimal("-99.999999999999999999999999999999999999")


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO events SELECT * FROM events",
        "DELETE FROM events",
        "DROP VIEW orders",
        "CREATE TABLE x AS SELECT 1",
        "COPY events TO 'x.csv'",
        "ATTACH ':memory:' AS m",
        "SET memory_limit = '1GB'",
        "PRAGMA database_list",
        "CALL pragma_version()",
        "CHECKPOINT",
        "EXPLAIN ANALYZE DELETE FROM events",
        "INSTALL httpfs",
        "SELECT 1; SELECT 2",
        "",
    ],
)
async def test_what_is_not_a_question_is_refused(pair: Any, story: Any, sql: str) -> None:
    store = await pair.open()
    with pytest.raises(Refused):
        await store.query(sql)


@pytest.mark.parametrize(
    "sql",
    [
        "WITH x AS (INSERT INTO events SELECT * FROM events RETURNING *) SELECT * FROM x",
        "WITH x AS (DELETE FROM events RETURNING *) SELECT * FROM x",
        "SELECT * FROM read_text('/etc/passwd')",
        "SELECT * FROM glob('/*')",
        "SELECT * FROM nowhere",
        "SELEC 1",
    ],
)
async def test_what_looks_like_a_question_still_cannot_write_or_read_files(
    pair: Any, story: Any, sql: str
) -> None:
    store = await pair.open()
    await store.flushed(await pair.append([story.note("a")]))
    with pytest.raises(InputError):
        await store.query(sql)
    assert await store.compare(pair.journal) is None


async def test_questions_have_names_a_limit_and_an_end(pair: Any, story: Any) -> None:
    store = await pair.open()
    await store.flushed(await pair.append([story.note(number) for number in range(20)]))
    some = await store.query("SELECT seq AS n FROM events ORDER BY seq", limit=3)
    assert (some.columns, some.rows, some.truncated) == (("n",), [(0,), (1,), (2,)], True)
    assert not (await store.query("SELECT seq FROM events", limit=20)).truncated
    assert ("seq", "BIGINT") in [row[:2] for row in (await store.query("DESCRIBE events")).rows]
    assert ("orders",) in (await store.query("SHOW TABLES")).rows
    endless = "SELECT count(*) FROM range(100000000000) a, range(100000000000) b"
    with pytest.raises(InputError, match="nterrupt"):
        await store.query(endless, timeout_s=0.2)
    await store.flushed(await pair.append([story.note("still alive")]))
