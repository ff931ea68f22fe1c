"""Promotion evidence: gained by sealed sessions alone, each with its whole story; nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.contracts import event as ev
from engine.contracts.people import ENGINE, Role, person
from engine.contracts.session import Environment, Mode
from engine.execution.core import State
from engine.governance.locks import REQUIRED_DRILLS, Promotion
from engine.governance.promotion import promotion_rows
from peakctl.drills.run import DRILLS
from tests.engine.governance.stories import (
    DAY,
    KEYS,
    MONDAY,
    SIGNERS,
    WEEK,
    Told,
    bent,
    by,
    sealed_session,
    without,
)

SHADOW = (Mode.SHADOW, Environment.SHADOW)


def fold(stories: Iterable[Iterable[Told]], state: State | None = None) -> State:
    state = state or State()
    for seq, one in enumerate(one for story in stories for one in story):
        state.apply(ev.Recorded(seq=seq, ts_us=one.at_us, actor=one.actor, event=one.event))
    return state


def proven(state: State) -> Promotion:
    """As if every signature had been verified."""
    everyone = {one.session_id for one in state.evidence.sealed}
    return state.evidence.promotion(frozenset(), 0, everyone)


def story(week: int = 0, **changes: Any) -> list[Told]:
    return sealed_session(f"session{week:05d}", MONDAY + week * WEEK, *SHADOW, **changes)


def test_the_drills_that_live_asks_for_are_the_drills_that_there_are() -> None:
    assert set(REQUIRED_DRILLS) == {one.name for one in DRILLS}


def test_each_week_with_a_sealed_session_counts_once() -> None:
    twice = sealed_session("another", MONDAY + 2 * DAY, *SHADOW)
    state = fold([story(0), twice, story(1), story(5)])
    assert proven(state).shadow_weeks == 3
    assert proven(state).testnet_weeks == 0
    assert [one.session_id for one in state.evidence.sealed] == [
        "session00000",
        "another",
        "session00001",
        "session00005",
    ]


@pytest.mark.parametrize(
    ("mode", "environment", "weeks"),
    [
        (Mode.SHADOW, Environment.SHADOW, (1, 0)),
        (Mode.TESTNET, Environment.TESTNET, (0, 1)),
        (Mode.SHADOW, Environment.DEV, (0, 0)),
        (Mode.PAPER, Environment.DEV, (0, 0)),
    ],
)
def test_a_week_is_of_its_mode_in_its_environment(
    mode: Mode, environment: Environment, weeks: tuple[int, int]
) -> None:
    told = proven(fold([sealed_session("s1", MONDAY, mode, environment)]))
    assert (told.shadow_weeks, told.testnet_weeks) == weeks


def test_a_week_begins_on_monday_utc() -> None:
    sunday = sealed_session("sunday", MONDAY - 1, *SHADOW)
    monday = sealed_session("monday", MONDAY, *SHADOW)
    assert proven(fold([sunday, monday])).shadow_weeks == 2
    late = sealed_session("late", MONDAY + WEEK - 1, *SHADOW)
    assert proven(fold([monday, late])).shadow_weeks == 1


def test_the_week_is_the_venues_and_a_clock_that_was_set_makes_none() -> None:
    told = fold([story(1, venue_us=MONDAY), story(2, venue_us=MONDAY + 2 * WEEK)])
    assert proven(told).shadow_weeks == 1
    nearly = fold([story(0, venue_us=MONDAY - DAY)])
    assert nearly.evidence.sealed[0].week is not None
    assert nearly.evidence.sealed[0].week != fold([story(0)]).evidence.sealed[0].week


def test_a_session_without_an_order_shows_nothing() -> None:
    assert proven(fold([story(orders=0)])).shadow_weeks == 0


STRANGER = person("mallory", "sshsig:" + KEYS[Role.REVIEWER])


@pytest.mark.parametrize(
    "spoil",
    [
        lambda one: without(one, ev.PackSigned),
        lambda one: without(one, ev.PackSealed),
        lambda one: without(one, ev.PackWritten),
        lambda one: without(one, ev.ReconSigned),
        lambda one: without(one, ev.ReconRun),
        lambda one: without(one, ev.GoDecided),
        lambda one: without(one, ev.GoSigned),
        lambda one: without(one, ev.GoRequested),
        lambda one: without(one, ev.SessionMoved),
        lambda one: without(one, ev.OrderAcknowledged),
        lambda one: by(one, ev.PackSigned, ENGINE),
        lambda one: by(one, ev.PackSigned, SIGNERS[Role.OPERATOR]),
        lambda one: by(one, ev.ReconSigned, SIGNERS[Role.REVIEWER]),
        lambda one: by(one, ev.GoDecided, person("bob", "peer-uid:1001")),
        lambda one: by(one, ev.GoDecided, STRANGER),
        lambda one: by(one, ev.GoSigned, STRANGER),
        lambda one: bent(one, _is(ev.PackSigned), role=Role.REVIEWER),
        lambda one: bent(one, _is(ev.PackSigned), tagmanifest_sha256="0" * 64),
        lambda one: bent(one, _is(ev.PackSigned), fingerprint=KEYS[Role.OPERATOR]),
        lambda one: bent(one, _is(ev.ReconSigned), report_sha256="0" * 64),
        lambda one: bent(one, _is(ev.ReconRun), report="{}"),
        lambda one: bent(one, _is(ev.GoRequested), packet="{}"),
        lambda one: bent(one, _is(ev.GoDecided), decision="NO-GO"),
    ],
)
def test_a_seal_without_its_whole_story_counts_nothing(
    spoil: Callable[[list[Told]], list[Told]],
) -> None:
    assert fold([spoil(story())]).evidence.sealed == []
    assert proven(fold([spoil(story())])).shadow_weeks == 0


def test_one_key_for_both_counts_nothing() -> None:
    same_key = person("bob", f"sshsig:{KEYS[Role.OPERATOR]}")
    told = bent(story(), _is(ev.GoDecided), fingerprint=KEYS[Role.OPERATOR])
    assert fold([by(told, ev.GoDecided, same_key)]).evidence.sealed == []


def test_telling_the_seal_again_gains_nothing() -> None:
    told = story()
    again = [one._replace(at_us=one.at_us + WEEK) for one in told]
    assert proven(fold([told, again])).shadow_weeks == 1
    assert len(fold([told, again, told[-3:]]).evidence.sealed) == 1


def test_another_charter_than_the_signed_one_counts_nothing() -> None:
    told = story()
    signed_for = sealed_session("session00000", MONDAY, Mode.PAPER, Environment.DEV)
    mixed = [told[0], *signed_for[1:]]
    assert fold([mixed]).evidence.sealed == []


def test_breaks_without_an_answer_are_open_and_the_session_counts_nothing() -> None:
    state = fold([story(0, classes=("green", "yellow", "red"), answered=False)])
    assert proven(state).open_breaks == 2
    assert state.evidence.sealed == []
    answered = fold([story(0, classes=("green", "yellow", "red"))])
    assert proven(answered).open_breaks == 0
    assert [one.clean for one in answered.evidence.sealed] == [False]
    assert [one.clean for one in fold([story(0, classes=("yellow",))]).evidence.sealed] == [True]


def test_weeks_of_sessions_that_were_not_verified_are_not_known_or_not_there() -> None:
    evidence = fold([story(0), story(1)]).evidence
    assert evidence.promotion(None, 0).shadow_weeks is None
    assert evidence.promotion(None, 0, frozenset()).shadow_weeks == 0
    assert evidence.promotion(None, 0, {"session00001"}).shadow_weeks == 1
    assert State().evidence.promotion(None, 0).shadow_weeks == 0


def test_what_is_not_known_stays_unknown() -> None:
    evidence = fold([story()]).evidence
    assert evidence.promotion(None, 0).drills_passed is None
    assert evidence.promotion(frozenset(), None).open_breaks is None
    assert evidence.promotion(frozenset(), 2).open_breaks == 2
    unreadable = bent(story(), _is(ev.ReconRun), report="not a report")
    assert proven(fold([unreadable])).open_breaks is None


def test_what_live_asks_for_is_shown_row_by_row() -> None:
    rows = {one.code: one for one in promotion_rows(proven(fold([story()])))}
    assert (rows["shadow_weeks"].have, rows["shadow_weeks"].met) == (1, False)
    assert rows["drills"].text.endswith(", ".join(REQUIRED_DRILLS))
    assert rows["open_breaks"].met
    unknown = Promotion(shadow_weeks=None, testnet_weeks=4, drills_passed=None, open_breaks=None)
    assert [one.met for one in promotion_rows(unknown)] == [False, True, False, False]
    every = Promotion(
        shadow_weeks=4, testnet_weeks=4, drills_passed=frozenset(REQUIRED_DRILLS), open_breaks=0
    )
    assert all(one.met for one in promotion_rows(every))


@settings(max_examples=40, deadline=None)
@given(
    weeks=st.lists(st.integers(0, 6), max_size=5),
    dropped=st.lists(st.integers(0, 200), max_size=6),
    cut=st.integers(0, 200),
)
def test_evidence_only_grows_and_a_restart_has_the_same(
    weeks: list[int], dropped: list[int], cut: int
) -> None:
    """Whatever is missing from a journal: a seal adds evidence or nothing does; a fold is one."""
    told = [
        one
        for number, week in enumerate(weeks)
        for one in sealed_session(f"s{number:011d}", MONDAY + week * WEEK, *SHADOW)
    ]
    told = [one for place, one in enumerate(told) if place not in dropped]
    state, before = State(), 0
    for seq, one in enumerate(told):
        state.apply(ev.Recorded(seq=seq, ts_us=one.at_us, actor=one.actor, event=one.event))
        now = proven(state).shadow_weeks or 0
        sealed = isinstance(one.event, ev.SessionMoved) and one.event.after.value == "sealed"
        assert now == before or (sealed and now == before + 1)
        before = now
    again = fold([told[:cut]])
    for seq, one in enumerate(told[cut:], start=len(told[:cut])):
        again.apply(ev.Recorded(seq=seq, ts_us=one.at_us, actor=one.actor, event=one.event))
    assert again.evidence.sealed == state.evidence.sealed
    assert before <= len(set(weeks))


def _is(kind: type[ev.Event]) -> Callable[[ev.AnyEvent], bool]:
    return lambda event: isinstance(event, kind)


@pytest.mark.parametrize(("signed_us", "weeks"), [(MONDAY + DAY, 1), (MONDAY + DAY + 1, 0)])
def test_a_week_in_the_lines_that_is_not_the_signed_packets_makes_none(
    signed_us: int, weeks: int
) -> None:
    """All times of one sealed session told anew, a week on; what both signed says when it was."""
    told = sealed_session("s1", MONDAY, *SHADOW, signed_us=signed_us)
    assert proven(fold([told])).shadow_weeks == weeks
