"""The watch's memory: a break has an age, is confirmed by runs in a row, and doubt is yellow."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from engine.contracts.event import AnyEvent, ReconChecked, Recorded
from engine.contracts.events.recon import WatchedBreak
from engine.contracts.people import ENGINE
from engine.reconcile.causes import CAUSES
from engine.reconcile.watch import CONFIRMED_RUNS, ReconWatch, verdicts

SESSION = "abcdefabcdef"
RED = ("BALANCE", "USDT", "red")
YELLOW = ("ORDER_LATE", "a", "yellow")
GREEN = ("FEE_ROUNDING", "BTCUSDT:1", "green")


def run(*breaks: tuple[str, str, str], unknown: str = "", at: int = 5) -> ReconChecked:
    return ReconChecked(
        session_id=SESSION,
        moment="live",
        compared={"orders": 1},
        breaks=tuple(
            WatchedBreak(code=code, key=key, klass=klass, first_seen_us=at)
            for code, key, klass in breaks
        ),
        unknown=unknown,
        settled_us=at,
        settled_positions={"BTCUSDT": Decimal(1)},
    )


def watch(*events: AnyEvent) -> ReconWatch:
    made = ReconWatch()
    made.session_id = SESSION
    for number, event in enumerate(events):
        made.apply(Recorded(seq=number, ts_us=10 + number, actor=ENGINE, event=event))
    return made


def test_a_red_break_is_confirmed_by_runs_in_a_row_and_by_nothing_else() -> None:
    assert watch(run(RED)).confirmed == ()
    assert [one.code for one in watch(run(RED), run(RED)).confirmed] == ["BALANCE"]
    assert watch(run(RED), run(), run(RED)).confirmed == ()
    assert watch(run(YELLOW), run(YELLOW)).confirmed == ()
    assert CONFIRMED_RUNS == 2


def test_a_run_that_knows_nothing_neither_confirms_nor_heals() -> None:
    seen = watch(run(RED), run(unknown="no answer"))
    assert (seen.state, seen.unknown, seen.compared_us) == ("unknown", "no answer", 10)
    assert [one.told.code for one in seen.open.values()] == ["BALANCE"]
    assert watch(run(RED), run(unknown="x"), run(RED)).confirmed
    assert watch(run(unknown="x")).state == "unknown"


def test_states_and_what_is_agreement() -> None:
    assert watch().state == "never"
    assert watch(run()).state == "agree"
    assert watch(run(GREEN)).state == "agree"
    assert watch(run(YELLOW)).state == "breaks"
    assert watch(run()).settled_positions == {"BTCUSDT": Decimal(1)}


def test_a_run_of_another_session_is_not_this_ones() -> None:
    made = watch(run(RED))
    made.session_id = "other"
    made.apply(Recorded(seq=9, ts_us=99, actor=ENGINE, event=run()))
    assert made.open


def test_what_moved_in_both_looks_is_doubt_and_keeps_its_age() -> None:
    (told,) = verdicts([RED], ["USDT"], ["USDT"], [], {("BALANCE", "USDT"): 3}, 9)
    assert (told.code, told.klass, told.first_seen_us) == ("IN_MOTION", "yellow", 3)
    (told,) = verdicts([YELLOW], ["a"], ["a"], [], {}, 9)
    assert (told.code, told.klass, told.first_seen_us) == ("ORDER_LATE", "yellow", 9)


def test_news_of_a_trade_between_the_looks_is_doubt_of_what_it_moves() -> None:
    """The balance was read after a trade that the list of trades did not have yet."""
    news = ("FILL_MISSING_ENGINE", "BTCUSDT:7", "red")
    (told,) = verdicts([RED, news], ["USDT"], [], ["USDT", "BTC", "BTCUSDT"], {}, 9)
    assert (told.code, told.key, told.klass) == ("IN_MOTION", "USDT", "yellow")
    moved = ("POSITION", "BTCUSDT", "red")  # a sum that only the second look saw is no trade
    (told,) = verdicts([RED, moved], ["USDT"], [], ["USDT", "BTC", "BTCUSDT"], {}, 9)
    assert (told.code, told.klass) == ("BALANCE", "red")
    seen = ["USDT", news[1]]
    told_all = verdicts([RED, news], seen, [], ["USDT", "BTC", "BTCUSDT"], {}, 9)
    assert [one.klass for one in told_all] == ["red", "red"]


FOUND = st.lists(
    st.tuples(st.sampled_from(sorted(CAUSES)), st.sampled_from(["a", "b", "c"])), max_size=6
)
KEYS = st.sets(st.sampled_from(["a", "b", "c"]))


@given(found=FOUND, suspected=KEYS, moving=KEYS)
def test_only_what_both_looks_saw_is_told_and_red_only_if_it_stood_still(
    found: list[tuple[str, str]], suspected: set[str], moving: set[str]
) -> None:
    rows = [(code, key, CAUSES[code].klass) for code, key in found]
    told = verdicts(rows, suspected, moving, [], {}, 9)
    assert {one.key for one in told} == {key for _, key in found} & suspected
    assert all(one.key not in moving for one in told if one.klass == "red")
    reds = {(code, key) for code, key, klass in rows if klass == "red"}
    still = {(code, key) for code, key in reds if key in suspected - moving}
    assert {(one.code, one.key) for one in told if one.klass == "red"} == still
    assert len({(one.code, one.key) for one in told}) == len(told)
    assert verdicts(reversed(rows), suspected, moving, [], {}, 9) == told


@given(st.lists(st.lists(st.sampled_from([RED, YELLOW, GREEN]), max_size=3), max_size=6))
def test_runs_in_a_row_are_counted_from_the_last_gap(
    runs_told: list[list[tuple[str, str, str]]],
) -> None:
    seen = watch(*(run(*dict.fromkeys(found)) for found in runs_told))
    for name, one in seen.open.items():
        row = 0
        for found in reversed(runs_told):
            if name not in {(code, key) for code, key, _ in found}:
                break
            row += 1
        assert one.runs == row
