"""The order machine: what each promise of its docstring means, and that any history keeps it."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.contracts import event as ev
from engine.contracts.order import OPEN_STATES, Order, OrderState, Side
from engine.orders.machine import (
    FINAL_STATES,
    REFUSALS,
    TRANSITIONS,
    TRIGGERS,
    Illegal,
    refusal_rows,
    step,
    table_rows,
)

S = OrderState


def run(order: Order, *events: ev.AnyEvent) -> Order:
    for event in events:
        after = step(order, event, 50)
        assert not isinstance(after, Illegal), after
        order = after
    return order


# --- the table ---------------------------------------------------------------------------------


def test_table_speaks_of_every_state_and_prints_every_row() -> None:
    assert {before for before, _ in TRANSITIONS} == set(S)
    assert len(table_rows()) == len(TRANSITIONS)
    assert ("UNKNOWN", "fill", "UNKNOWN") in table_rows()


#: What events can cause: `fill` and `close` have a second form each.
CAUSED = set(TRIGGERS.values()) | {"fill_last", "close_lost"}


def test_table_uses_only_triggers_that_events_can_cause() -> None:
    assert {trigger for _, trigger in TRANSITIONS} == CAUSED


def test_every_pair_is_either_a_transition_or_a_refusal_with_its_reason() -> None:
    refused = [(s, t) for row in REFUSALS for s in row.states for t in row.triggers]
    assert len(set(refused)) == len(refused)
    assert set(refused) & set(TRANSITIONS) == set()
    assert set(refused) | set(TRANSITIONS) == {(s, t) for s in S for t in CAUSED}
    assert len(refusal_rows()) == len(refused)
    assert all(code.isupper() and reason for _, _, code, reason in refusal_rows())


def test_no_row_opens_a_final_order_again() -> None:
    for (before, _), after in TRANSITIONS.items():
        if before in FINAL_STATES:
            assert after in FINAL_STATES


def test_every_open_order_may_be_canceled_i13() -> None:
    for state in OPEN_STATES:
        assert (state, "cancel_request") in TRANSITIONS
        assert (state, "cancel") in TRANSITIONS


def test_unknown_is_left_only_by_a_fact_of_the_venue_i3() -> None:
    leaving = {
        t
        for (before, t), after in TRANSITIONS.items()
        if before is S.UNKNOWN and after is not S.UNKNOWN
    }
    assert leaving == {"acknowledge", "reject", "fill_last", "cancel", "expire", "close_lost"}


def test_unknown_is_closed_by_people_only_when_the_venue_has_lost_it_i3(make: Any) -> None:
    doubt = run(make.order(), make.acknowledged(), make.unknown())
    refused = step(doubt, make.closed(), 99)
    assert isinstance(refused, Illegal)
    assert refused.code == "IN_DOUBT"
    lost = run(doubt, make.lost())
    assert (lost.state, lost.lost) == (S.UNKNOWN, True)
    closed = run(lost, make.closed())
    assert (closed.state, closed.lost, closed.reason) == (S.CLOSED, True, lost.reason)
    late = step(closed, make.acknowledged(), 99)
    assert isinstance(late, Illegal)
    assert late.code == "CLOSED"


@pytest.mark.parametrize(
    ("news", "state"),
    [
        ("acknowledged", S.ACKNOWLEDGED),
        ("filled", S.UNKNOWN),
        ("canceled", S.CANCELED),
        ("expired", S.EXPIRED),
    ],
)
def test_late_news_brings_a_lost_order_back(make: Any, news: str, state: OrderState) -> None:
    lost = run(make.order(), make.acknowledged(), make.unknown(), make.lost())
    back = run(lost, getattr(make, news)())
    assert (back.state, back.lost) == (state, False)


@pytest.mark.parametrize("event", ["unknown", "cancel_requested", "cancel_refused", "lost"])
def test_our_own_doubts_do_not_bring_a_lost_order_back(make: Any, event: str) -> None:
    lost = run(make.order(), make.acknowledged(), make.unknown(), make.lost())
    assert step(lost, getattr(make, event)(), 99) is lost


def test_only_an_order_in_doubt_can_be_lost_i3(make: Any) -> None:
    refused = step(run(make.order(), make.acknowledged()), make.lost(), 99)
    assert isinstance(refused, Illegal)
    assert refused.code == "NOT_IN_DOUBT"


@pytest.mark.parametrize("state", list(S))
def test_what_the_table_does_not_know_is_illegal_and_changes_nothing(
    make: Any, all_events: Callable[[], list[ev.AnyEvent]], state: OrderState
) -> None:
    order = make.order(state)
    before = msgspec.json.encode(order)
    for event in all_events():
        trigger = TRIGGERS[type(event)]
        if isinstance(event, ev.OrderFilled) and event.fill.quantity == order.intent.quantity:
            trigger = "fill_last"
        after = step(order, event, 99)
        assert isinstance(after, Illegal) == ((state, trigger) not in TRANSITIONS)
        if isinstance(after, Illegal) and after.code != "CONTRADICTION":
            assert (str(state), trigger, after.code) in {row[:3] for row in refusal_rows()} or (
                after.code == "OVERFILL"
            )
        assert msgspec.json.encode(order) == before


# --- the story of one order --------------------------------------------------------------------


def test_order_is_acknowledged_filled_in_parts_and_closed(make: Any) -> None:
    order = run(make.order(S.CREATED), make.intended())
    assert order.state is S.SUBMITTED
    order = run(order, make.acknowledged())
    assert (order.state, order.venue_order_id) == (S.ACKNOWLEDGED, "77")
    order = run(order, make.filled("1", "0.4", "100"))
    assert (order.state, order.filled_quote) == (S.PARTIALLY_FILLED, Decimal("40.0"))
    order = run(order, make.filled("2", "0.6", "101"))
    assert (order.state, order.filled_quote, order.remaining) == (S.FILLED, Decimal("100.6"), 0)
    assert run(order, make.closed()).state is S.CLOSED


def test_fill_before_acknowledgement_ends_the_same_as_after_it(make: Any) -> None:
    fill, ack = make.filled(), make.acknowledged()
    early = run(make.order(), fill, ack)
    late = run(make.order(), ack, fill)
    assert early == late
    assert early.state is S.PARTIALLY_FILLED


def test_fill_tells_the_venues_id_of_the_order(make: Any) -> None:
    assert run(make.order(), make.filled()).venue_order_id == "77"


def test_same_fill_twice_returns_the_same_object(make: Any) -> None:
    once = run(make.order(), make.filled())
    assert step(once, make.filled(), 99) is once


def test_same_acknowledgement_twice_returns_the_same_object(make: Any) -> None:
    once = run(make.order(), make.acknowledged())
    assert step(once, make.acknowledged(), 99) is once


@pytest.mark.parametrize("end", ["canceled", "expired"])
def test_late_fill_after_the_end_is_counted_and_reopens_nothing(make: Any, end: str) -> None:
    ended = run(make.order(), make.acknowledged(), getattr(make, end)())
    late = run(ended, make.filled("1", "0.4"))
    assert (late.state, late.filled_quantity) == (ended.state, Decimal("0.4"))
    whole = run(late, make.filled("2", "0.6"))
    assert (whole.state, whole.remaining) == (ended.state, 0)


def test_quantity_that_a_cancel_reports_is_not_booked_i2(make: Any) -> None:
    order = run(make.order(), make.acknowledged(), make.canceled(filled="0.3"))
    assert order.filled_quantity == 0


@pytest.mark.parametrize(
    ("events", "state"),
    [
        ((), S.SUBMITTED),
        (("acknowledged",), S.ACKNOWLEDGED),
        (("acknowledged", "filled"), S.PARTIALLY_FILLED),
    ],
)
def test_refused_cancel_goes_back_to_how_far_the_order_was(
    make: Any, events: tuple[str, ...], state: OrderState
) -> None:
    order = run(make.order(), *(getattr(make, name)() for name in events))
    pending = run(order, make.cancel_requested())
    assert pending.state is S.CANCEL_PENDING
    assert run(pending, make.cancel_refused()).state is state


def test_unknown_survives_partial_fill_cancel_request_and_refusal_i3(make: Any) -> None:
    order = run(make.order(), make.unknown())
    order = run(order, make.filled(), make.cancel_requested(), make.cancel_refused())
    assert (order.state, order.filled_quantity) == (S.UNKNOWN, Decimal("0.4"))
    assert run(order, make.acknowledged()).state is S.PARTIALLY_FILLED


def test_unknown_that_the_venue_never_had_is_rejected(make: Any) -> None:
    order = run(make.order(), make.unknown(), make.rejected())
    assert (order.state, order.reason) == (S.REJECTED, "-2010: no balance")


def test_doubt_about_an_order_that_ended_changes_nothing(make: Any) -> None:
    filled = run(make.order(), make.filled("1", "1.0"))
    assert step(filled, make.unknown(), 99) is filled


# --- contradictions ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("build", "code"),
    [
        (lambda m: m.filled("1", "1.1"), "OVERFILL"),
        (lambda m: m.filled("1", "0"), "BAD_FILL"),
        (lambda m: m.filled("1", "-0.1"), "BAD_FILL"),
        (lambda m: m.filled("1", "NaN"), "BAD_FILL"),
        (lambda m: m.filled("1", "1", "sNaN"), "BAD_FILL"),
        (lambda m: m.filled("1", "1", "Infinity"), "BAD_FILL"),
        (lambda m: m.filled("1", "1", "1E+999999"), "BAD_FILL"),
        (lambda m: m.filled(name="other"), "WRONG_ORDER"),
        (lambda m: m.filled(side=Side.SELL), "WRONG_ORDER"),
        (lambda m: m.filled(symbol="ETHUSDT"), "WRONG_ORDER"),
        (lambda m: m.filled(venue_order_id="78"), "VENUE_ID"),
        (lambda m: m.acknowledged(venue_order_id="78"), "VENUE_ID"),
        (lambda m: m.acknowledged("other"), "WRONG_ORDER"),
        (lambda m: m.rejected(), "CONTRADICTION"),
        (lambda m: ev.EngineStopped(reason="x"), "NOT_AN_ORDER_EVENT"),
    ],
)
def test_contradiction_is_refused_with_its_code(
    make: Any, build: Callable[[Any], ev.AnyEvent], code: str
) -> None:
    order = run(make.order(), make.acknowledged())
    refused = step(order, build(make), 99)
    assert isinstance(refused, Illegal)
    assert refused.code == code


def test_nan_in_the_intent_itself_is_refused_not_raised(make: Any) -> None:
    refused = step(make.order(quantity="NaN"), make.filled(), 99)
    assert isinstance(refused, Illegal)


# --- any history -------------------------------------------------------------------------------

QUANTITIES = st.sampled_from(["0.1", "0.2", "0.4", "0.6", "1.0", "1.2", "-1", "NaN"])
KINDS = [
    "acknowledged", "rejected", "unknown", "filled", "cancel_requested", "cancel_refused",
    "canceled", "expired", "closed", "intended", "lost",
]  # fmt: skip


@st.composite
def histories(draw: st.DrawFn) -> list[tuple[str, tuple[str, str]]]:
    """(kind, (trade id, quantity)) pairs; the pair matters to fills only."""
    trades = st.tuples(st.sampled_from("12345"), QUANTITIES)
    return draw(st.lists(st.tuples(st.sampled_from(KINDS), trades), max_size=14))


def event_of(make: Any, kind: str, trade: tuple[str, str]) -> ev.AnyEvent:
    built: ev.AnyEvent = make.filled(*trade) if kind == "filled" else getattr(make, kind)()
    return built


@given(history=histories())
def test_any_history_keeps_every_promise(make: Any, history: list[Any]) -> None:
    order = make.order()
    quantities = {Decimal(q) for _, (_, q) in history if q != "NaN"}
    booked: dict[str, Decimal] = {}
    for at, (kind, trade) in enumerate(history):
        event = event_of(make, kind, trade)
        after = step(order, event, at)
        if isinstance(after, Illegal):
            continue
        if isinstance(event, ev.OrderFilled) and after is not order:
            assert event.fill.trade_id not in booked
            booked[event.fill.trade_id] = event.fill.quantity
        if order.state in FINAL_STATES:
            assert after.state in FINAL_STATES
        if order.state is S.UNKNOWN and after.state is not S.UNKNOWN:
            ended_by_fill = kind == "filled" and after.state is S.FILLED
            by_people = kind == "closed" and order.lost
            told = kind in {"acknowledged", "rejected", "canceled", "expired"}
            assert ended_by_fill or by_people or told
        order = after
        assert order.filled_quantity == sum(booked.values())
        assert order.filled_quantity <= order.intent.quantity
        assert order.trade_ids == frozenset(booked)
        assert set(booked.values()) <= quantities
        if order.state is S.FILLED:
            assert order.remaining == 0
        if order.remaining == 0:
            assert order.state in {S.FILLED, S.CANCELED, S.EXPIRED, S.CLOSED}
        if order.lost:
            assert order.state in {S.UNKNOWN, S.CLOSED}


@given(history=histories(), again=st.data())
def test_duplicates_of_told_facts_change_nothing(make: Any, history: list[Any], again: Any) -> None:
    """Each fact repeated at once leaves the very same order, whatever the history."""
    order = make.order()
    for kind, trade in history:
        event = event_of(make, kind, trade)
        after = step(order, event, 7)
        if isinstance(after, Illegal):
            assert step(order, event, 7) == after
            continue
        repeated = step(after, event, 7)
        assert repeated is after or isinstance(repeated, Illegal)
        order = after


@given(
    cuts=st.lists(st.integers(1, 9), min_size=1, max_size=5),
    seed=st.randoms(use_true_random=False),
    end=st.sampled_from(["", "canceled", "expired"]),
)
def test_fills_acknowledgement_and_end_in_any_order_book_the_same(
    make: Any, cuts: list[int], seed: Any, end: str
) -> None:
    quantity = str(Decimal(sum(cuts) + bool(end)) / 10)
    events = [make.filled(str(i), str(Decimal(c) / 10)) for i, c in enumerate(cuts)]
    events += [make.acknowledged(), make.acknowledged(), events[0]]
    events += [getattr(make, end)()] if end else []
    shuffled = list(events)
    seed.shuffle(shuffled)
    assert run(make.order(quantity=quantity), *events) == run(
        make.order(quantity=quantity), *shuffled
    )
