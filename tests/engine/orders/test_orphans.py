"""What is known of orders that we did not make: found once, over once, adopted by name."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.contracts import event as ev
from engine.contracts.order import OrderIntent, OrderState, OrderType, Side
from engine.contracts.people import ENGINE, person
from engine.orders.ledger import OrderLedger, client_order_id
from engine.orders.machine import Illegal
from engine.orders.orphans import OrphanBook

SESSION = "abcdefabcdef"
BOB = person("bob", "peer-uid:1")
KEY = ("BTCUSDT", "web-1", "7")


def found(name: str = "web-1", number: str = "7") -> ev.OrphanFound:
    return ev.OrphanFound(
        session_id=SESSION,
        symbol="BTCUSDT",
        client_order_id=name,
        venue_order_id=number,
        side=Side.BUY,
        price=Decimal(100),
        quantity=Decimal(1),
    )


def asked(name: str = "web-1", number: str = "7") -> ev.OrphanCancelRequested:
    return ev.OrphanCancelRequested(
        session_id=SESSION,
        symbol="BTCUSDT",
        client_order_id=name,
        venue_order_id=number,
        cancel_id="c",
        reason="not ours",
    )


def ended(name: str = "web-1", number: str = "7") -> ev.OrphanEnded:
    return ev.OrphanEnded(
        session_id=SESSION,
        symbol="BTCUSDT",
        client_order_id=name,
        venue_order_id=number,
        status="CANCELED",
        filled_quantity=Decimal("0.5"),
    )


def adopted(name: str = "web-1", number: str = "7") -> ev.OrphanAdopted:
    return ev.OrphanAdopted(
        session_id=SESSION,
        intent=OrderIntent(
            client_order_id=name,
            symbol="BTCUSDT",
            side=Side.BUY,
            type=OrderType.LIMIT,
            quantity=Decimal(1),
            price=Decimal(100),
        ),
        venue_order_id=number,
        owner="bob",
        reason="placed by phone",
    )


def told(*events: ev.AnyEvent) -> list[ev.Recorded]:
    return [
        ev.Recorded(seq=n, ts_us=100 + n, actor=BOB if n else ENGINE, event=event)
        for n, event in enumerate(events)
    ]


def book(*events: ev.AnyEvent) -> OrphanBook:
    made = OrphanBook()
    for recorded in told(*events):
        made.apply(recorded)
    return made


@pytest.mark.parametrize(
    ("story", "state", "by"),
    [
        ((found(),), "open", ""),
        ((found(), found()), "open", ""),
        ((found(), asked()), "cancel_requested", "bob"),
        ((found(), asked(), ended()), "ended", "bob"),
        ((found(), ended(), asked()), "ended", ""),
        ((found(), adopted()), "adopted", "bob"),
        ((found(), ended(), adopted()), "adopted", "bob"),
    ],
)
def test_each_story_ends_where_it_says(story: tuple[ev.AnyEvent, ...], state: str, by: str) -> None:
    known = book(*story)
    assert (known.all[KEY].state, known.all[KEY].by) == (state, by)
    assert known.all[KEY].found_us == 100
    assert bool(known.alive) == (state in {"open", "cancel_requested"})
    assert known.ended == ({"7"} if state == "ended" else set())


def test_news_of_an_orphan_that_was_never_found_changes_nothing() -> None:
    assert book(asked(), ended(), adopted()).all == {}


def test_a_name_means_the_one_that_is_not_over() -> None:
    known = book(found(), found(number="8"), ended(number="8"))
    assert known.named("BTCUSDT", "web-1") is known.all[KEY]
    assert known.named("ETHUSDT", "web-1") is None


@given(st.lists(st.sampled_from([found(), asked(), ended(), adopted()]), max_size=8))
def test_what_is_adopted_or_ended_is_never_alive_again(story: list[ev.AnyEvent]) -> None:
    made, over = OrphanBook(), False
    for recorded in told(*story):
        made.apply(recorded)
        if KEY in made.all:
            assert not over or made.all[KEY].over
            over = made.all[KEY].over


def test_an_adopted_order_is_acknowledged_and_owned_and_its_name_taken_once() -> None:
    ledger = OrderLedger()
    first, again = told(adopted(), adopted())
    assert ledger.apply(first) is None
    assert isinstance(ledger.apply(again), Illegal)
    order = ledger.orders["web-1"]
    assert (order.state, order.owner, order.venue_order_id, order.session_id) == (
        OrderState.ACKNOWLEDGED,
        "bob",
        "7",
        SESSION,
    )
    assert ledger.open_orders() == (order,)
    assert ledger.session_orders(SESSION) == (order,)
    assert ledger.by_venue_id("BTCUSDT", "7") is order


@pytest.mark.parametrize("adopt", [False, True])
def test_our_next_name_is_never_one_that_a_stranger_used(adopt: bool) -> None:
    ledger = OrderLedger()
    names = [client_order_id(SESSION, number) for number in (0, 1, 3)]
    for recorded in told(*(found(name, str(n)) for n, name in enumerate(names))):
        ledger.apply(recorded)
    if adopt:
        ledger.apply(told(adopted(names[0]))[0])
    assert client_order_id(SESSION, ledger.sequence(SESSION)) not in names
    assert ledger.sequence(SESSION) == 2
    assert ledger.count(SESSION) == int(adopt)
