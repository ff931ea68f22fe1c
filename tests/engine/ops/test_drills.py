"""A drill is passed when everything was measured and holds; its last result counts, for a while."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from config.drills import load_criteria
from engine.contracts.event import DrillFinished, Recorded
from engine.contracts.people import person
from engine.governance.locks import REQUIRED_DRILLS
from engine.ops.drills import (
    DAY_US,
    TRACES,
    Criterion,
    DrillBook,
    DrillTerms,
    judge,
    missing_traces,
)


def criterion(bound: str, value: int, measure: str = "ms") -> Criterion:
    return Criterion(measure=measure, bound=bound, value=value)


@pytest.mark.parametrize(
    ("bound", "inside", "outside"),
    [("at_most", (4, 5), (6,)), ("at_least", (5, 6), (4,)), ("exactly", (5,), (4, 6))],
)
def test_bounds_are_inclusive(
    bound: str, inside: tuple[int, ...], outside: tuple[int, ...]
) -> None:
    assert all(criterion(bound, 5).holds(value) for value in inside)
    assert not any(criterion(bound, 5).holds(value) for value in outside)


def test_an_unknown_bound_holds_nothing() -> None:
    assert not criterion("around", 5).holds(5)


def test_all_measured_and_held_is_a_pass() -> None:
    result = judge("d", [criterion("at_most", 5), criterion("exactly", 0, "n")], {"ms": 5, "n": 0})
    assert result.passed
    assert [row.passed for row in result.rows] == [True, True]


def test_what_was_not_measured_fails() -> None:
    result = judge("d", [criterion("at_least", 0)], {})
    assert not result.passed
    assert result.rows[0].measured is None


def test_a_fault_is_no_pass_whatever_was_measured() -> None:
    assert not judge("d", [criterion("at_most", 5)], {"ms": 1}, "the engine did not come up").passed


def test_no_criteria_is_no_pass() -> None:
    assert not judge("d", [], {"ms": 1}).passed


def test_a_free_measure_is_shown_and_decides_nothing() -> None:
    result = judge("d", [criterion("at_most", 5)], {"ms": 1, "orders": 9})
    assert result.passed
    assert result.rows[1].bound == ""


# --- as evidence --------------------------------------------------------------------------------

NOW = 1_790_553_600_000_000
TERMS = DrillTerms(
    criteria={"d": (criterion("at_most", 5),), "e": (criterion("exactly", 1, "n"),)},
    max_age_us=30 * DAY_US,
    code_sha256="c" * 64,
)


def finished(**changes: Any) -> DrillFinished:
    base = DrillFinished(
        drill_id="0123456789ab",
        name="d",
        passed=True,
        measured={"ms": "5"},
        criteria={"ms": "at most 5"},
        version="1",
        code_sha256="c" * 64,
        started_us=NOW - 60_000_000,
        ended_us=NOW,
        journal_size=80,
        journal_head="a" * 64,
    )
    return msgspec.structs.replace(base, **changes)


def book(*events: DrillFinished) -> DrillBook:
    made = DrillBook()
    for seq, event in enumerate(events):
        made.apply(Recorded(seq=seq, ts_us=NOW, actor=person("alice", "p"), event=event))
    return made


def counting(*events: DrillFinished, terms: DrillTerms = TERMS, now_us: int = NOW) -> set[str]:
    return set(book(*events).counting(terms, now_us) or ())


def test_a_passed_drill_counts() -> None:
    assert counting(finished()) == {"d"}
    (first, second) = book(finished()).last(TERMS, NOW)
    assert (first.name, first.by, first.counts) == ("d", "alice", True)
    assert (second.name, second.told, second.why_not) == ("e", None, "never run")


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"passed": False}, "failed"),
        ({"measured": {"ms": "6"}}, "not passed under the criteria of today"),
        ({"measured": {"ms": "6"}, "criteria": {"ms": "at most 9"}}, "not passed under"),
        ({"measured": {}}, "not passed under"),
        ({"measured": {"ms": "5.0"}}, "not passed under"),
        ({"measured": {"ms": "1E0"}}, "not passed under"),
        ({"measured": {"ms": "٣"}}, "not passed under"),
        ({"fault": "it stopped"}, "not passed under"),
        ({"code_sha256": "d" * 64}, "of other code than runs now"),
        ({"code_sha256": ""}, "of other code than runs now"),
        ({"ended_us": NOW + 1_000_001}, "its times cannot be"),
        ({"started_us": NOW + 1}, "its times cannot be"),
        ({"started_us": 0}, "its times cannot be"),
        ({"journal_head": ""}, "it left no journal"),
        ({"journal_size": 0}, "it left no journal"),
    ],
)
def test_a_result_that_does_not_count_says_why(wrong: dict[str, Any], reason: str) -> None:
    (first, _) = book(finished(**wrong)).last(TERMS, NOW)
    assert first.why_not.startswith(reason)
    assert counting(finished(**wrong)) == set()


def test_it_counts_to_the_last_moment_of_its_age_and_not_longer() -> None:
    assert counting(finished(), now_us=NOW + 30 * DAY_US) == {"d"}
    assert counting(finished(), now_us=NOW + 30 * DAY_US + 1) == set()
    (first, _) = book(finished()).last(TERMS, NOW + 31 * DAY_US)
    assert first.why_not == "older than 30 days"


def test_the_last_result_decides_and_an_older_one_told_late_does_not() -> None:
    failed = finished(passed=False, journal_head="b" * 64, ended_us=NOW + 1)
    assert counting(finished(), failed, now_us=NOW + 1) == set()
    assert counting(failed, finished(), now_us=NOW + 1) == set()
    again = finished(journal_head="e" * 64, ended_us=NOW + 2)
    assert counting(finished(), failed, again, now_us=NOW + 2) == {"d"}


def test_a_journal_counts_once_whatever_is_told_of_it_later() -> None:
    told = finished(passed=False)
    assert counting(told, finished()) == set()
    fresher = finished(ended_us=NOW + 29 * DAY_US)
    assert counting(finished(), fresher, now_us=NOW + 40 * DAY_US) == set()


def test_when_our_own_code_is_not_known_nothing_is() -> None:
    unknown = msgspec.structs.replace(TERMS, code_sha256="")
    assert book(finished(code_sha256="")).counting(unknown, NOW) is None


def test_the_journal_of_a_drill_must_tell_of_what_it_is_about() -> None:
    assert set(TRACES) == set(load_criteria(None)) == set(REQUIRED_DRILLS)
    whole = {"order.intended": 20, "kill.verdict": 1, "engine.started": 2, "note.added": 1}
    assert missing_traces("kill_switch", whole) == ()
    assert missing_traces("kill_switch", {**whole, "order.intended": 19}) == (
        "order.intended (19 of 20)",
    )
    assert len(missing_traces("kill_switch", {})) == 3
    assert missing_traces("nothing", whole) == ("such a drill (0 of 1)",)
