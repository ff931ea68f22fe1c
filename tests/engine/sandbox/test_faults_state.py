"""The armed state and the report queue are pure: properties over what is armed and what happens."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.sandbox.accounts import Account
from engine.sandbox.fault_reports import ReportQueue
from engine.sandbox.faults import FaultRequest, Faults, ReportFault, RestFault

HOWS = ("duplicate", "reorder", "lose", "delay")
ACTIONS = st.lists(
    st.one_of(
        st.tuples(st.just("arm"), st.sampled_from(HOWS), st.integers(1, 3)),
        st.tuples(st.just("put"), st.sampled_from(("NEW", "TRADE")), st.integers(0, 1)),
        st.tuples(st.just("tick"), st.just(""), st.integers(1, 2_000)),
    ),
    max_size=40,
)


@given(st.integers(1, 5), st.integers(0, 5), st.integers(0, 15))
@settings(max_examples=100, deadline=None)
def test_an_entry_fires_after_so_many_and_so_often(times: int, after: int, asked: int) -> None:
    faults = Faults()
    entry = RestFault(on="order", answer="html", times=times, after=after)
    faults.arm(FaultRequest(rest=(entry,)), 0)
    words = frozenset({"any", "query", "order"})
    fired = [faults.take_rest(words, 0) is not None for _ in range(asked)]
    assert fired == [after <= index < after + times for index in range(asked)]
    assert faults.fired["order.html"] == sum(fired)


def test_first_armed_entry_wins_and_others_keep_their_turn() -> None:
    faults = Faults()
    one, two = RestFault(on="any", answer="html"), RestFault(on="order", answer="reset")
    faults.arm(FaultRequest(rest=(one, two)), 0)
    order, depth = frozenset({"any", "order"}), frozenset({"any", "depth"})
    assert faults.take_rest(order, 0) == one
    assert faults.take_rest(depth, 0) is None
    assert faults.take_rest(order, 0) == two
    assert faults.take_rest(order, 0) is None


@pytest.mark.parametrize(
    ("answer", "more", "executed"),
    [
        ("silent", {}, True),
        ("reset", {}, True),
        ("delay", {}, True),
        ("code", {"code": -1007}, True),
        ("code", {"code": -1003}, False),
        ("code", {"code": -2010}, False),
        ("status", {"status": 502}, True),
        ("status", {"status": 429}, False),
        ("html", {}, False),
        ("skew", {}, False),
    ],
)
def test_request_is_executed_as_a_venue_would_unless_it_is_said(answer, more, executed) -> None:
    assert RestFault(on="submit", answer=answer, **more).accepts() is executed
    assert RestFault(on="submit", answer=answer, accept=not executed, **more).accepts() is (
        not executed
    )


@given(ACTIONS)
@settings(max_examples=150, deadline=None)
def test_every_report_comes_once_but_for_the_lost_and_the_doubled(actions) -> None:
    faults, now_us, number = Faults(), 0, 0
    queue = ReportQueue(faults)
    people = [Account(name="a", uid=1), Account(name="b", uid=2)]
    got: Counter[int] = Counter()

    def deliver(account: Account, event: dict[str, object]) -> None:
        assert event["who"] == account.name
        got[int(str(event["n"]))] += 1

    queue.deliver = deliver
    queue.listened = lambda account: True
    for kind, word, value in actions:
        match kind:
            case "arm":
                fault = ReportFault(how=word, times=value, delay_ms=500)
                faults.arm(FaultRequest(reports=(fault,)), now_us)
            case "put":
                number += 1
                person = people[value]
                queue.put(person, {"n": number, "who": person.name}, word, now_us)
            case _:
                now_us += value * 1000
                queue.tick(now_us)
    queue.flush()
    assert set(got) <= set(range(1, number + 1))
    assert number - len(got) == faults.fired["report.lose"]
    assert sum(count - 1 for count in got.values()) == faults.fired["report.duplicate"]
    assert max(got.values(), default=1) <= 2


def test_report_that_nobody_hears_uses_up_no_fault() -> None:
    faults = Faults()
    queue = ReportQueue(faults)
    faults.arm(FaultRequest(reports=(ReportFault(how="lose"),)), 0)
    queue.put(Account(name="a", uid=1), {}, "NEW", 0)
    assert faults.take_report("NEW", 0) is not None
