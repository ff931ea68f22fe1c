"""The order ledger: names, lookups, orphans, refusals, and one fold live and at restart."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.contracts import event as ev
from engine.contracts.errors import InputError
from engine.contracts.order import OPEN_STATES, OrderState, Side
from engine.orders.ledger import LEGAL_CLIENT_ORDER_ID, OrderLedger, client_order_id


def fold(make: Any, *events: ev.AnyEvent) -> tuple[OrderLedger, list[Any]]:
    ledger = OrderLedger()
    return ledger, [ledger.apply(record) for record in make.recorded(events)]


@given(session=st.text("0123456789abcdefghijklmnopqrstuvwxyz", min_size=12, max_size=12))
def test_client_order_ids_are_legal_at_the_venue_and_distinct(session: str) -> None:
    names = [client_order_id(session, n) for n in (0, 1, 999_999, 1_000_000, 10**10 - 1)]
    assert all(LEGAL_CLIENT_ORDER_ID.fullmatch(name) for name in names)
    assert len(set(names)) == len(names)


@pytest.mark.parametrize(
    ("session", "sequence"), [("AB", 0), ("", 0), ("a b", 1), ("a", -1), ("a", 10**10)]
)
def test_client_order_id_of_nonsense_is_refused(session: str, sequence: int) -> None:
    with pytest.raises(InputError):
        client_order_id(session, sequence)


def test_intent_makes_the_order_and_the_sequence_counts_on(make: Any) -> None:
    ledger, refusals = fold(make, make.intended(), make.intended("pk-b-000001", session="b"))
    assert refusals == [None, None]
    order = ledger.get(make.NAME)
    assert order is not None
    assert (order.state, order.owner, order.created_us) == (OrderState.SUBMITTED, "alice", 1000)
    assert (ledger.sequence(make.SESSION), ledger.sequence("b"), ledger.sequence("c")) == (1, 2, 0)
    assert [o.intent.client_order_id for o in ledger.session_orders("b")] == ["pk-b-000001"]
    assert list(ledger.orders) == [make.NAME, "pk-b-000001"]


def test_second_intent_of_the_same_name_is_refused(make: Any) -> None:
    ledger, refusals = fold(make, make.intended(), make.acknowledged(), make.intended())
    assert refusals[2].code == "DUPLICATE_INTENT"
    assert ledger.sequence(make.SESSION) == 1
    assert ledger.orders[make.NAME].state is OrderState.ACKNOWLEDGED


def test_no_name_is_given_twice_also_after_a_restart_and_after_a_block(make: Any) -> None:
    """Pain 15 (Lean IB #242): after a restart order ids were reissued."""
    ledger = OrderLedger()
    journal: list[ev.AnyEvent] = []
    named = []
    for turn in range(6):
        name = client_order_id(make.SESSION, ledger.sequence(make.SESSION))
        named.append(name)
        event: ev.AnyEvent = make.intended(name)
        if turn % 2:
            event = ev.OrderBlocked(
                session_id=make.SESSION,
                intent=make.intent(name),
                owner="alice",
                decision=make.intended().decision,
            )
        journal.append(event)
        ledger.apply(make.recorded([event])[0])
        if turn in {2, 3}:  # the engine ends: what the journal holds is all that is left
            ledger, _ = fold(make, *journal)
    assert len(set(named)) == len(named)
    assert named == [client_order_id(make.SESSION, n) for n in range(6)]


def test_sequence_goes_on_behind_the_highest_number(make: Any) -> None:
    ledger, _ = fold(make, make.intended(client_order_id(make.SESSION, 41)), make.intended())
    assert ledger.sequence(make.SESSION) == 42
    odd, _ = fold(make, make.intended("pk-b-x", session="b"), make.intended("pk-b-²", session="b"))
    assert odd.sequence("b") == 0


def test_lost_orders_are_open_and_unknown_but_not_unsettled(make: Any) -> None:
    ledger, _ = fold(
        make, make.intended(), make.acknowledged(), make.unknown(), make.lost(),
    )  # fmt: skip
    assert [len(one) for one in (ledger.open_orders(), ledger.unknown(), ledger.lost())] == [1] * 3
    assert ledger.unsettled() == ()
    ledger.apply(make.recorded([make.acknowledged()])[0])
    assert (len(ledger.unsettled()), ledger.lost()) == (1, ())
    ledger.apply(make.recorded([make.unknown()])[0])
    ledger.apply(make.recorded([make.lost()])[0])
    ledger.apply(make.recorded([make.closed()])[0])
    assert (ledger.open_orders(), ledger.lost()) == ((), ())


def test_every_story_of_a_trade_is_told_once_refused_ones_too(make: Any) -> None:
    ledger, _ = fold(make, make.intended())
    stories = [
        make.filled("1", "0.6"),  # taken
        make.filled("2", "0.6"),  # overfill
        make.filled("1", "0.5"),  # conflict
        make.filled("3", "NaN"),  # unusable
    ]
    for event in stories:
        assert not ledger.told(make.SESSION, event.fill)
        ledger.apply(make.recorded([event])[0])
        assert ledger.told(make.SESSION, event.fill)
    assert ledger.told_quantity(make.NAME) == make.fill("9", "1.7").quantity
    for event in stories:  # told again
        ledger.apply(make.recorded([event])[0])
    assert ledger.told_quantity(make.NAME) == make.fill("9", "1.7").quantity
    assert ledger.told(make.SESSION, make.fill("1", "0.6", fee="0.1"))
    assert not ledger.told(make.SESSION, make.fill("1", "0.6", name="other"))


def test_a_venue_that_was_wiped_between_sessions_gives_its_ids_again(make: Any) -> None:
    ledger, refusals = fold(
        make,
        make.intended(),
        make.filled("1", "1.0"),
        make.intended("pk-b-000000", session="b"),
        make.filled("1", "1.0", name="pk-b-000000", session="b"),
    )
    assert refusals == [None] * 4
    assert len(ledger.fills) == 2
    found = ledger.by_venue_id("BTCUSDT", "77")
    assert found is not None
    assert found.intent.client_order_id == "pk-b-000000"


def test_order_is_found_by_the_venues_id(make: Any) -> None:
    ledger, _ = fold(make, make.intended(), make.acknowledged())
    assert ledger.by_venue_id("BTCUSDT", "77") is ledger.get(make.NAME)
    assert ledger.by_venue_id("ETHUSDT", "77") is None


def test_open_and_unknown_follow_the_states(make: Any) -> None:
    ledger, _ = fold(make, make.intended(), make.unknown())
    assert [o.state for o in ledger.unknown()] == [OrderState.UNKNOWN]
    assert len(ledger.open_orders()) == 1
    assert ledger.open_symbols() == {ledger.open_orders()[0].intent.symbol}
    ledger.apply(make.recorded([make.canceled()])[0])
    assert (ledger.unknown(), ledger.open_orders()) == ((), ())
    assert not ledger.open_symbols()


def test_news_of_an_order_we_never_intended_is_refused_not_adopted_i2(make: Any) -> None:
    ledger, refusals = fold(make, make.acknowledged("stranger"), make.filled(name="stranger"))
    assert [r.code for r in refusals] == ["UNKNOWN_ORDER", "UNKNOWN_ORDER"]
    assert ledger.orders == {}
    assert len(ledger.fills) == 1  # money moved: reconciliation must see the trade


def test_trade_is_kept_once_and_a_different_story_of_it_is_refused(make: Any) -> None:
    told_twice = make.filled("1", "0.4")
    other = make.filled("1", "0.5")
    ledger, refusals = fold(make, make.intended(), told_twice, told_twice, other)
    assert [r and r.code for r in refusals] == [None, None, None, "FILL_CONFLICT"]
    assert [f.quantity for f in ledger.fills] == [told_twice.fill.quantity]


def test_overfill_is_refused_by_the_order_and_still_a_trade(make: Any) -> None:
    ledger, refusals = fold(make, make.intended(), make.filled("1", "1.0"), make.filled("2", "0.5"))
    assert refusals[2].code == "OVERFILL"
    assert len(ledger.fills) == 2
    assert ledger.orders[make.NAME].filled_quantity == 1


def test_unusable_trade_is_kept_nowhere(make: Any) -> None:
    ledger, refusals = fold(make, make.intended(), make.filled("1", "sNaN"))
    assert refusals[1].code == "BAD_FILL"
    assert ledger.fills == []


def test_orphan_is_kept_once_and_makes_no_order(make: Any) -> None:
    orphan = ev.OrphanFound(
        session_id=make.SESSION,
        symbol="BTCUSDT",
        client_order_id="web_1",
        venue_order_id="5",
        side=Side.BUY,
        price=make.fill().price,
        quantity=make.fill().quantity,
    )
    ledger, refusals = fold(make, orphan, orphan, ev.EngineStopped(reason="x"))
    assert refusals == [None, None, None]
    assert ledger.orphans == [orphan]
    assert ledger.orders == {}


KINDS = [
    "intended", "acknowledged", "rejected", "unknown", "filled", "cancel_requested",
    "cancel_refused", "canceled", "expired", "closed", "lost",
]  # fmt: skip


@given(
    told=st.lists(
        st.tuples(st.sampled_from(KINDS), st.sampled_from(["a", "b", "c"]), st.sampled_from("123")),
        max_size=30,
    )
)
def test_indexes_equal_a_scan_after_any_journal_i7(make: Any, told: list[Any]) -> None:
    events = []
    for kind, name, number in told:
        fields = {"trade_id": f"{name}{number}", "venue_order_id": name} if kind == "filled" else {}
        if kind == "acknowledged":
            fields = {"venue_order_id": name}
        events.append(getattr(make, kind)(name=name, **fields))
    ledger, refusals = fold(make, *events)
    again, refusals_again = fold(make, *events)
    assert (ledger.orders, ledger.fills, refusals) == (again.orders, again.fills, refusals_again)
    orders = ledger.orders.values()
    names = {o.intent.client_order_id for o in ledger.open_orders()}
    assert names == {o.intent.client_order_id for o in orders if o.state in OPEN_STATES}
    unknown = {o.intent.client_order_id for o in ledger.unknown()}
    assert unknown == {o.intent.client_order_id for o in orders if o.state is OrderState.UNKNOWN}
    lost = {o.intent.client_order_id for o in ledger.lost()}
    assert lost == {o.intent.client_order_id for o in orders if o.lost and o.state in OPEN_STATES}
    assert {o.intent.client_order_id for o in ledger.unsettled()} == names - lost
    assert len({(f.symbol, f.trade_id) for f in ledger.fills}) == len(ledger.fills)
    for order in orders:
        assert ledger.told_quantity(order.intent.client_order_id) >= order.filled_quantity
    for order in orders:
        if order.venue_order_id is not None:
            found = ledger.by_venue_id("BTCUSDT", order.venue_order_id)
            assert found is not None
            assert found.venue_order_id == order.venue_order_id
