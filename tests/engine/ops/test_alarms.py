from __future__ import annotations

from collections.abc import Callable

import pytest

from engine.contracts.event import AlarmAcknowledged, AlarmCleared, Recorded
from engine.contracts.people import person
from engine.ops.alarms import ALARMS, AlarmFold, alarm_rows

Record = Callable[..., Recorded]


def test_every_row_is_usable() -> None:
    for code, row in ALARMS.items():
        assert code == row.code
        assert row.priority in {1, 2, 3}
        assert row.text
        assert row.response.endswith(".")
    assert len(alarm_rows()) == len(ALARMS)


def test_an_active_alarm_is_not_raised_again_and_a_cleared_one_is(record: Record) -> None:
    fold = AlarmFold()
    first = fold.raise_event("MARKET_STALE", "s1", "BTCUSDT 4000 ms")
    assert first is not None
    fold.apply(record(first))
    assert fold.raise_event("MARKET_STALE", "s1", "BTCUSDT 4000 ms") is None
    fold.apply(record(AlarmAcknowledged(alarm_id=first.alarm_id), person("alice", "x")))
    assert fold.raise_event("MARKET_STALE", "s1", "BTCUSDT 4000 ms") is None
    for event in fold.clear_events("MARKET_STALE"):
        fold.apply(record(event))
    again = fold.raise_event("MARKET_STALE", "s1", "BTCUSDT 4000 ms")
    assert again is not None
    assert again.alarm_id != first.alarm_id
    assert fold.active == ()


def test_two_orphans_are_two_alarms(record: Record) -> None:
    fold = AlarmFold()
    for detail in ("order 1", "order 2"):
        event = fold.raise_event("ORPHAN", "s1", detail)
        assert event is not None
        fold.apply(record(event))
    assert [one.raised.alarm_id for one in fold.active] == ["A00001", "A00002"]
    assert fold.find("ORPHAN", "s1") is not None
    assert fold.find("ORPHAN", "s2") is None


def test_most_urgent_first_and_who_took_it(record: Record) -> None:
    fold = AlarmFold()
    for code in ("WINDOW_END", "KILL_UNCONFIRMED", "DISK_LOW"):
        event = fold.raise_event(code)
        assert event is not None
        fold.apply(record(event))
    fold.apply(record(AlarmAcknowledged(alarm_id="A00003", note="on it"), person("bob", "x")))
    assert [view.code for view in fold.active_views()] == [
        "KILL_UNCONFIRMED",
        "DISK_LOW",
        "WINDOW_END",
    ]
    assert fold.active_views()[1].acknowledged_by == "bob"
    assert [one.raised.code for one in fold.open] == ["KILL_UNCONFIRMED", "WINDOW_END"]


def test_the_same_records_give_the_same_state_after_a_restart(record: Record) -> None:
    fold, records = AlarmFold(), []
    for code in ("ORPHAN", "DISK_LOW"):
        event = fold.raise_event(code)
        assert event is not None
        records.append(record(event))
        fold.apply(records[-1])
    again = AlarmFold()
    for one in records:
        again.apply(one)
    assert again.active == fold.active
    assert again.raise_event("WINDOW_END") == fold.raise_event("WINDOW_END")


def test_events_about_unknown_alarms_change_nothing(record: Record) -> None:
    fold = AlarmFold()
    fold.apply(record(AlarmAcknowledged(alarm_id="A00009")))
    fold.apply(record(AlarmCleared(alarm_id="A00009")))
    assert fold.active == ()


def test_a_code_without_a_row_cannot_be_raised() -> None:
    with pytest.raises(KeyError):
        AlarmFold().raise_event("NO_SUCH_CODE")
