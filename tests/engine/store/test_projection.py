"""The store follows the journal: same rows, same hashes, at most a batch behind."""

import asyncio
import hashlib
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.contracts.errors import InputError
from engine.contracts.event import event_from_data
from engine.contracts.people import Actor
from engine.journal.chain import line_hash
from engine.store.store import StoreFailed


async def test_rows_hold_the_lines_exactly(pair: Any, story: Any) -> None:
    store = await pair.open()
    await store.flushed(await pair.append(story.day()))

    rows = await pair.ask(store, "SELECT kind, data, actor, prev, seq, ts_us, hash FROM events")
    lines = list(pair.journal.lines())
    assert len(rows) == len(lines) == store.size == pair.journal.size
    for (kind, data, actor, prev, seq, ts_us, digest), line in zip(rows, lines, strict=True):
        text = f'{{"actor":{actor},"data":{data},"kind":"{kind}","prev":"{prev}","seq":{seq},'
        assert f'{text}"ts":{ts_us}}}\n'.encode() == line
        assert digest == line_hash(line)
        assert (
            event_from_data(kind, json.loads(data), "row")
            == next(pair.journal.read(seq, seq + 1)).event
        )
    assert await store.compare(pair.journal) is None
    assert store.lag == 0


async def test_many_small_appends_arrive_complete_and_in_order(pair: Any, story: Any) -> None:
    store = await pair.open()
    for number in range(300):
        last = await pair.append([story.note(number)])
    await store.flushed(last)
    assert (store.size, store.lag) == (pair.journal.size, 0)
    assert await store.compare(pair.journal) is None


async def test_text_of_every_sort_survives(pair: Any, story: Any) -> None:
    store = await pair.open()
    texts = ["\x00", "a\x00b", "\x1f\x7f", "\u2028", "😀", '\\"', "{}", "NULL", ""]
    actors = [Actor(kind="person", name=text, proof=text) for text in texts]
    for actor, text in zip(actors, texts, strict=True):
        last = await pair.append([story.note(text)], actor)
    await store.flushed(last)
    assert await store.compare(pair.journal) is None
    assert [row[4] for row in await pair.content(store)] == texts


async def test_waiting_for_an_event_that_does_not_exist_is_refused(pair: Any, story: Any) -> None:
    store = await pair.open()
    last = await pair.append([story.note("a")])
    await store.flushed(last)
    with pytest.raises(InputError):
        await store.flushed(last + 1)


async def test_a_gap_stops_the_store_and_alignment_heals_it(pair: Any, story: Any) -> None:
    store = await pair.open(align=False)
    await pair.append([story.note("not handed over")])
    pair.journal.subscribe(store.project)
    last = await pair.append([story.note("handed over")])
    with pytest.raises(StoreFailed, match="do not follow"):
        await store.flushed(last)
    assert store.lag == 2

    alignment = await store.align(pair.journal)
    assert (alignment.rebuilt, alignment.events, store.failed) == (False, 2, None)
    await store.flushed(await pair.append([story.note("next")]))
    assert await store.compare(pair.journal) is None


def test_any_journal_gives_the_same_rows_live_and_rebuilt(
    tmp_path_factory: pytest.TempPathFactory, make_pair: Any, story: Any
) -> None:
    texts = st.text(max_size=20)
    actors = st.builds(
        Actor, kind=st.sampled_from(["person", "automaton"]), name=texts, proof=texts
    )
    batches = st.lists(st.tuples(actors, st.lists(texts, min_size=1, max_size=4)), max_size=4)

    async def check(drawn: Any, folder: Path) -> None:
        pair = make_pair(folder)
        store = await pair.open()
        for actor, notes in drawn:
            await store.flushed(await pair.append([story.note(text) for text in notes], actor))
        live = await pair.content(store)
        reason = await store.compare(pair.journal)
        rebuilt = await store.rebuild(pair.journal)
        again = await pair.content(store)
        assert (reason, rebuilt, again) == (None, pair.journal.size, live)
        assert await store.compare(pair.journal) is None
        await pair.close()

    @settings(max_examples=8, deadline=None)
    @given(batches)
    def run(drawn: Any) -> None:
        asyncio.run(check(drawn, tmp_path_factory.mktemp("pair")))

    run()


async def test_a_store_made_again_has_the_same_content_hash_as_the_journals_files(
    pair: Any, story: Any, tmp_path: Path
) -> None:
    """Thrown away and made again, whole or in pieces: `cat journal/*.jsonl | sha256sum`."""
    store = await pair.open()
    for number in range(9):
        await store.flushed(await pair.append([story.note(number), *story.day()]))
    files = b"".join(path.read_bytes() for path in sorted((tmp_path / "journal").glob("*.jsonl")))
    live = await store.content_sha256()
    assert live == hashlib.sha256(files).hexdigest()
    await store.rebuild(pair.journal)
    assert await store.content_sha256() == live
    await store.close()
    pair.path.unlink()
    again = await pair.open()
    assert await again.content_sha256() == live


async def test_every_view_tells_its_part_of_the_day(pair: Any, story: Any) -> None:
    store = await pair.open()
    await store.flushed(await pair.append(story.day()))

    async def ask(sql: str) -> list[tuple[Any, ...]]:
        return await pair.ask(store, sql)

    assert await ask("SELECT mode, operator, reviewer, state FROM sessions") == [
        ("paper", "alice", "bob", "checklist")
    ]
    assert await ask("SELECT item_id, role, value, result, answered_by FROM checklists") == [
        ("disk", "operator", "90 GB", "pass", "alice")
    ]
    assert await ask("SELECT kind, person, role, document_sha256 FROM approvals") == [
        ("go.signed", "alice", "operator", "a" * 64)
    ]
    assert await ask("SELECT alarm_id, priority, acknowledged_by, cleared_us FROM alarms") == [
        ("a1", 2, "alice", None)
    ]
    assert await ask("SELECT reason, source, pressed_us, verdict, canceled FROM kills") == [
        ("drill", "F9", 7, "PROVEN", 1)
    ]
    assert await ask("SELECT written_by, text FROM notes") == [
        ("alice", 'a note: "quoted", ünicode, \x7f,"kind":"x","data":{')
    ]
    assert await ask("SELECT quantity, fills FROM positions") == [(Decimal("0.25"), 1)]
    assert await ask("SELECT client_order_id, state, filled_quantity FROM orders") == [
        ("o1", "open", Decimal("0.25"))
    ]
    commented = await ask(
        "SELECT DISTINCT table_name FROM duckdb_columns() WHERE comment IS NOT NULL"
    )
    assert len(commented) == 11


async def test_a_sessions_events_are_counted_by_kind(pair: Any, story: Any) -> None:
    """What a pack's tables are held against."""
    store = await pair.open()
    other = story.intended("z1", session="zzzzzzzzzzzz")
    size = 1 + await pair.append([*story.day(), other])
    counts = await store.counts(story.session, size)
    assert (counts["order.intended"], counts["order.filled"]) == (1, 1)
    assert await store.counts("zzzzzzzzzzzz", size) == {"order.intended": 1}
    assert await store.counts("zzzzzzzzzzzz", size - 1) == {}
