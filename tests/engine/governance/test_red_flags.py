"""The red flags: each row trips at its own bound, not one unit before, and only by itself."""

from __future__ import annotations

from decimal import Decimal

import pytest

from engine.contracts import event as ev
from engine.contracts.people import ENGINE
from engine.contracts.session import BreakerTerms, SessionState
from engine.governance.red_flags import (
    BY_TICK,
    FLAGS,
    FlagBook,
    FlagFacts,
    RedFlag,
    judge,
)
from engine.risk.breakers import Action, breakers

OFTEN = [row for row in FLAGS if row.most is not None]
LASTING = [row for row in FLAGS if row.by == BY_TICK and row.most is None]
NOTHING = FlagFacts(ages_us={}, lasted_us={})


def codes(facts: FlagFacts) -> list[str]:
    return [one.flag.code for one in judge(facts, FLAGS)]


def test_the_owner_s_flags_are_all_rows_and_no_code_is_twice() -> None:
    names = [row.code for row in FLAGS]
    assert len(set(names)) == len(names)
    families = {name.partition("_")[0] for name in names}
    assert families == {"DRAWDOWN", "CRASH", "RECON", "KEY", "JOURNAL", "STORE", "WATCHDOG"}
    assert all(row.text and row.looks_at for row in FLAGS)


def test_the_drawdown_is_the_breaker_that_kills_and_has_no_other_owner() -> None:
    rows = breakers(BreakerTerms(), "USDT", Decimal(1))
    (row,) = [one for one in rows if one.name == "DRAWDOWN"]
    assert (row.action, int(row.limit)) == (Action.KILL, 2000)


def test_nothing_seen_is_no_flag() -> None:
    assert codes(NOTHING) == []


@pytest.mark.parametrize("row", OFTEN, ids=lambda row: row.code)
def test_one_sighting_too_many_within_the_window_trips_and_no_fewer(row: RedFlag) -> None:
    assert row.most is not None
    young = [row.window_us] * (row.most + 1)
    assert codes(FlagFacts(ages_us={row.looks_at: young}, lasted_us={})) == [row.code]
    assert codes(FlagFacts(ages_us={row.looks_at: young[1:]}, lasted_us={})) == []
    old = [*young[1:], row.window_us + 1]
    assert codes(FlagFacts(ages_us={row.looks_at: old}, lasted_us={})) == []


@pytest.mark.parametrize("row", LASTING, ids=lambda row: row.code)
def test_a_condition_trips_when_it_has_lasted_and_not_before(row: RedFlag) -> None:
    def facts(lasted: int) -> FlagFacts:
        return FlagFacts(ages_us={}, lasted_us={row.looks_at: lasted})

    assert codes(facts(row.lasts_us)) == [row.code]
    assert codes(facts(row.lasts_us - 1)) == []
    (raised,) = judge(facts(row.lasts_us), FLAGS)
    assert raised.words.startswith(f"{row.code}: {row.text} (for ")


# --- the fold ---


def started() -> ev.AnyEvent:
    return ev.EngineStarted(
        version="1",
        pid=1,
        hostname="h",
        boot_id="b",
        environment="dev",
        config_sha256="c",
        code_sha256="d",
        python="3",
    )


def moved(after: SessionState) -> ev.AnyEvent:
    return ev.SessionMoved(
        session_id="s", before=SessionState.GO_NOGO, after=after, cause="go", reason=""
    )


def acted(reason: str) -> ev.AnyEvent:
    return ev.WatchdogActed(reason=reason, verdict="PROVEN", canceled=1, elapsed_us=1, at_us=1)


def released() -> ev.AnyEvent:
    return ev.LatchReleased(
        kill_id="k",
        document="",
        document_sha256="",
        operator_signature="",
        reviewer_signature="",
        reason="seen",
    )


def book(*events: ev.AnyEvent) -> FlagBook:
    made = FlagBook()
    for number, event in enumerate(events):
        made.apply(ev.Recorded(seq=number, ts_us=number, actor=ENGINE, event=event))
    return made


def counts(made: FlagBook) -> dict[str, int]:
    return {name: len(ages) for name, ages in made.ages_us(100).items() if ages}


def test_only_restarts_and_acts_in_the_middle_of_trading_count() -> None:
    assert counts(book(started(), acted("engine gone"))) == {}
    live = moved(SessionState.LIVE)
    assert counts(book(live, started(), acted("engine gone"))) == {
        "starts_in_session": 1,
        "watchdog_acted": 1,
    }
    assert counts(book(live, moved(SessionState.KILLED), started())) == {}


def test_a_kill_by_hand_in_the_watchdog_s_log_is_no_sign() -> None:
    assert counts(book(moved(SessionState.LIVE), acted("kill without engine: by hand"))) == {}


def test_a_release_by_two_people_begins_anew() -> None:
    live = moved(SessionState.LIVE)
    assert counts(book(live, started(), ev.WatchdogEnded(status=-9), released())) == {}


def test_a_clock_that_was_set_back_makes_nothing_forgotten() -> None:
    made = book(ev.WatchdogEnded(status=-9))
    assert made.ages_us(-1_000_000)["watchdog_ended"] == [0]
