"""Orders that we did not make: a person adopts or cancels them, and their end is recorded."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from engine.contracts.errors import InputError, Refused
from engine.contracts.view import OrphanView, StateView

if TYPE_CHECKING:
    from tests.faults.conftest import Field

SYMBOL = "BTCUSDT"


async def stranger(live: Field, name: str, price: Decimal, quantity: str = "0.002") -> OrphanView:
    """An order of this account from elsewhere, once the engine has found it."""
    await live.stranger(name, price, quantity)
    return await until_orphan(live, name, "open")


async def until_orphan(live: Field, name: str, *states: str) -> OrphanView:
    """Wait until an orphan has one of the states."""

    def holds(view: StateView) -> bool:
        return any(one.client_order_id == name and one.state in states for one in view.orphans)

    view = await live.until(holds, f"orphan {name} {states}")
    return next(one for one in view.orphans if one.client_order_id == name)


async def taken(live: Field) -> None:
    """Somebody takes every alarm; what is over goes away."""
    for alarm in (await live.state()).alarms:
        await live.client.acknowledge(alarm.id, "seen")
    await live.until(lambda view: view.alarms == (), "no alarm left")


async def reconciled_without_red(live: Field) -> None:
    await live.client.stop("test")
    await live.until_session("stopped")
    assert await live.reconcile() == []


async def test_an_adopted_orphan_is_an_order_of_the_session_with_its_trades(live: Field) -> None:
    await live.ready()
    price = (await live.away_price()) + Decimal(1)
    orphan = await stranger(live, "from-elsewhere", price)
    asked = await live.peakctl(
        *("orphan", "adopt", "from-elsewhere", "--reason", "placed by hand, now ours"),
        *("--person", "alice"),
    )
    assert (asked[0], asked[2]) == (0, ""), asked
    assert live.events("orphan.adopted") == []
    command, _, code = asked[1].rpartition("` and types: ")
    request = command.rpartition(" ")[2]
    signed = await live.peakctl("dual", "sign", request, "--person", "bob", "--code", code.strip())
    assert (signed[0], signed[2]) == (0, ""), signed
    assert f"adopt {request}: granted" in signed[1]
    view = await live.state()
    (order,) = view.orders
    assert (order.intent.client_order_id, order.owner) == ("from-elsewhere", "alice")
    assert (order.venue_order_id, order.reason) == (
        orphan.venue_order_id,
        "placed by hand, now ours",
    )
    with pytest.raises(Refused):
        await live.adopt(SYMBOL, "from-elsewhere", "twice")
    await taken(live)
    await live.client.cancel("from-elsewhere")
    await live.until_order("from-elsewhere", "CANCELED")
    assert live.story("from-elsewhere")[-2:] == ["cancel_requested", "canceled"]
    await reconciled_without_red(live)


async def test_what_an_orphan_traded_before_it_was_adopted_is_asked_for(live: Field) -> None:
    await live.ready()
    market = (await live.state()).market
    assert market is not None
    await stranger_bought(live, "took-it", market.asks[0][0] * 2)
    await live.adopt(SYMBOL, "took-it", "a colleague's, agreed by phone")
    await live.until_order("took-it", "FILLED")
    await live.same_trades_here_and_there()
    view = await live.state()
    assert view.positions
    assert view.positions[0].quantity > 0
    await live.sigkill()
    await live.start_engine()
    again = await live.ready()
    assert [(one.intent.client_order_id, one.owner) for one in again.orders] == [
        ("took-it", "alice")
    ]
    await reconciled_without_red(live)


async def stranger_bought(live: Field, name: str, limit: Decimal) -> None:
    """Somebody buys for this account at the market; the end comes with the news."""
    sent = await live.stranger(name)
    assert sent.get("status") == "FILLED", (sent, limit)
    orphan = await until_orphan(live, name, "ended")
    assert (orphan.status, orphan.filled_quantity) == ("FILLED", Decimal("0.002"))


async def test_a_person_cancels_an_orphan_and_the_venue_says_it_ended(live: Field) -> None:
    price = await live.away_price()
    await stranger(live, "web-1", price)
    listed = await live.peakctl("orphan", "list", "--json")
    assert [one["state"] for one in json.loads(listed[1])] == ["open"]
    code, out, err = await live.peakctl(
        "orphan", "cancel", "web-1", "--reason", "not ours", "--person", "bob"
    )
    assert (code, err) == (0, ""), out
    assert "CANCELED" in out
    assert await live.venue_open() == []
    (asked,) = live.events("orphan.cancel_requested")
    assert asked["reason"] == "not ours"
    (ended,) = live.events("orphan.ended")
    assert (ended["status"], ended["client_order_id"]) == ("CANCELED", "web-1")
    assert (await until_orphan(live, "web-1", "ended")).by == "bob"
    assert "ORPHAN" in [one.code for one in (await live.state()).alarms]
    await taken(live)
    code, _, err = await live.peakctl(
        "orphan", "cancel", "web-1", "--reason", "again", "--person", "bob"
    )
    assert (code, err.count("\n")) == (4, 1)
    code, _, err = await live.peakctl(
        "orphan", "adopt", "nobody", "--reason", "x", "--person", "bob"
    )
    assert (code, err.count("\n")) == (2, 1)


async def test_a_cancel_without_an_answer_is_asked_for_until_the_venue_tells(live: Field) -> None:
    await stranger(live, "web-2", await live.away_price())
    await live.fault(rest=[{"on": "cancel", "answer": "reset", "accept": True, "times": 1}])
    await live.fault(reports=[{"how": "lose", "execution": "CANCELED", "times": 1}])
    await live.client.cancel_orphan(SYMBOL, "web-2", "not ours")
    orphan = await until_orphan(live, "web-2", "ended")
    assert orphan.status == "CANCELED"
    assert len(live.events("orphan.cancel_requested")) == 1


async def test_a_kill_ends_orphans_too_and_their_end_is_recorded(live: Field) -> None:
    await stranger(live, "web-3", await live.away_price())
    await live.press_kill()
    await live.until_kill("PROVEN")
    assert await live.venue_open() == []
    orphan = await until_orphan(live, "web-3", "ended")
    assert orphan.status == "CANCELED"
    assert await live.reconcile() == []


async def test_a_name_like_ours_that_the_journal_does_not_know_is_an_orphan(live: Field) -> None:
    view = await live.ready()
    assert view.session is not None
    name = f"pk-{view.session.id}-000000"
    await stranger(live, name, await live.away_price())
    assert (await live.state()).orders == ()
    # Our own next order takes another name: the venue would take this one again once it is free.
    assert await live.rest_one() == f"pk-{view.session.id}-000001"
    await live.adopt(SYMBOL, name, "lost with the old disk")
    await live.until_order(name, "ACKNOWLEDGED")
    assert len({one.intent.client_order_id for one in (await live.state()).orders}) == 2


@pytest.mark.parametrize(
    ("name", "symbol", "reason", "error"),
    [
        ("nobody", SYMBOL, "why not", InputError),
        ("web-4", "ETHUSDT", "why not", InputError),
        ("web-4", SYMBOL, "  ", InputError),
    ],
)
async def test_nothing_is_adopted_without_an_order_and_a_reason(
    field: Field, name: str, symbol: str, reason: str, error: Any
) -> None:
    await field.go_live()
    await stranger(field, "web-4", await field.away_price())
    with pytest.raises(error):
        await field.adopt(symbol, name, reason)
    assert field.events("orphan.adopted") == []
