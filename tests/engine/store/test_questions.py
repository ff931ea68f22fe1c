"""The third side of reconciliation, and people's questions that may only read."""

import os
import tempfile
from decimal import Decimal
from pathlib import Path
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
    asked = await store.query("SELECT price, quantity, 2.500::DECIMAL(38,18), 0.0 FROM fills")
    assert asked.rows == [(big, tiny, "2.5", "0")], "as the journal writes money"


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
    assert (some.columns, some.rows, some.cut) == (("n",), [(0,), (1,), (2,)], "rows")
    assert not (await store.query("SELECT seq FROM events", limit=20)).truncated
    assert ("seq", "BIGINT") in [row[:2] for row in (await store.query("DESCRIBE events")).rows]
    assert ("orders",) in (await store.query("SHOW TABLES")).rows
    endless = "SELECT sum(range) FROM range(1000000000000)"
    with pytest.raises(InputError, match="nterrupt"):
        await store.query(endless, timeout_s=0.2)
    await store.flushed(await pair.append([story.note("still alive")]))
    assert (await store.query("SELECT max(seq) FROM events")).rows == [(20,)]


#: What takes memory, time or room without end, and how it is told.
HEAVY = {
    "rows of tens of megabytes": "SELECT repeat('x', 30000000) FROM range(100000)",
    "one value of gigabytes": "SELECT string_agg(repeat('x', 1000000), '') FROM range(10000)",
    "a recursion without end": (
        "WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t) SELECT sum(n) FROM t"
    ),
    "a cross join": "SELECT count(DISTINCT a.range + b.range) FROM range(1000000000) a, range(9) b",
    "a sort of more than fits": "SELECT range FROM range(1000000000) ORDER BY hash(range)",
    "a list of everything": "SELECT list(range) FROM range(10000000000)",
}
#: Where others' expressions go round for years: this one takes its letters once.
REGEX = "SELECT regexp_matches(repeat('a', 100000), '(a*)*(a*)*(a*)*b')"


async def test_a_heavy_question_ends_itself_and_nothing_else(pair: Any, story: Any) -> None:
    """Whatever it takes, it takes from the query process; the engine's memory stays as it was."""
    store = await pair.open()
    await store.flushed(await pair.append([story.note("a")]))
    before = resident_mib()
    for sql in HEAVY.values():
        with pytest.raises((InputError, Refused)) as told:
            await store.query(sql, timeout_s=1.5)
        assert "\n" not in told.value.line()
        assert (await store.query("SELECT count(*) FROM events")).rows == [(1,)]
    assert (await store.query(REGEX)).rows == [(False,)]
    assert resident_mib() - before < 60
    assert await store.compare(pair.journal) is None


def resident_mib() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 >> 20


async def test_an_answer_has_an_end_in_rows_and_in_bytes(pair: Any, story: Any) -> None:
    store = await pair.open()
    await store.flushed(await pair.append([story.note("a")]))
    many = await store.query("SELECT range FROM range(1000000)", limit=10)
    assert (len(many.rows), many.cut) == (10, "rows")
    wide = await store.query("SELECT repeat('x', 1000000) FROM range(60)", limit=60)
    assert wide.cut == "bytes"
    assert 5 <= len(wide.rows) <= 8
    huge = await store.query("SELECT repeat('x', 20000000)")
    assert (huge.rows, huge.cut) == ([], "bytes")
    whole = await store.query(
        "SELECT 1.50::DECIMAL(9, 2), DATE '2026-01-02', NULL, [1, 2], {'a': 1}"
    )
    assert whole.rows == [("1.5", "2026-01-02", None, [1, 2], {"a": 1})]


async def test_the_query_process_has_nothing_of_the_engine(
    pair: Any, story: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """I10: no variable of ours, no descriptor of the journal; killed, it is started again."""
    monkeypatch.setenv("PEAKCTL_CANARY", "planted-in-the-environment")
    store = await pair.open()
    await store.flushed(await pair.append([story.note("a")]))
    await store.query("SELECT 1")
    pid = store._questions.pid
    assert pid is not None
    environ, opened = seen_of(pid)
    assert b"CANARY" not in environ
    assert not any("journal" in name for name in opened)
    half_copied = [
        Path(tempfile.mkdtemp(prefix=f"peakctl-query-{pid}-", dir=room))
        for room in ("/dev/shm", pair.path.parent)
    ]
    kill_and_wait(pid)
    assert (await store.query("SELECT count(*) FROM events")).rows == [(1,)]
    assert not any(folder.exists() for folder in half_copied)
    pid = store._questions.pid
    await pair.close()
    with pytest.raises(ProcessLookupError):
        os.kill(pid or 0, 0)


def kill_and_wait(pid: int) -> None:
    """Until it is dead, but not yet buried: that is its parent's."""
    os.kill(pid, 9)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)


def seen_of(pid: int) -> tuple[bytes, list[str]]:
    """The environment of a process and the files it has open."""
    process = Path(f"/proc/{pid}")
    opened = [str(one.readlink()) for one in (process / "fd").iterdir()]
    return (process / "environ").read_bytes(), opened
