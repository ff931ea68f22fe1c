"""The fifteen pains of other systems' users (trading.md section 3), 1 to 9: orders and doubt.

Each test does to a whole desk what hurt there, and fails if this house does the same. The number is
that of the list; the docstring names the issue and how the test would see the pain.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections import Counter
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from engine.contracts.errors import PeakError, Refused
from engine.contracts.order import OrderType

if TYPE_CHECKING:
    from tests.faults.conftest import Field

SYMBOL = "BTCUSDT"


async def sent(desk: Field, price: Decimal) -> str:
    """Send one resting order; as soon as the limit of orders a second lets it through."""

    async def once() -> str:
        try:
            return await desk.submit(price=price)
        except Refused as error:
            if error.code != "RATE_SECOND":
                raise
            return ""

    order_id: str = await desk.eventually(once, "an order that the rate limit lets through")
    return order_id


async def ladder(desk: Field, count: int) -> list[str]:
    """So many resting orders, each a tick under the one before."""
    price = await desk.away_price()
    names = [await sent(desk, price - Decimal(step) / 100) for step in range(count)]
    for name in names:
        await desk.until_order(name, "ACKNOWLEDGED")
    return names


def once_each(orders: list[dict[str, Any]], names: list[str]) -> None:
    """Every one of these orders is at the venue exactly once, and no other."""
    assert Counter(one["clientOrderId"] for one in orders) == Counter(names)


async def test_pain_01_a_warm_restart_invents_no_fill_and_hides_no_contradiction(
    live: Field,
) -> None:
    """nautilus_trader#4736: a synthetic fill, equal and opposite, made a held position look flat.

    Fails if a restart journals any fill that the venue's trade list does not have, if the position
    changes by it, or if a stranger's trade that contradicts our position is explained away.
    """
    order_id = await live.submit(OrderType.MARKET)
    await live.until_order(order_id, "FILLED")
    before = (await live.state()).positions
    ours = [one["fill"]["trade_id"] for one in live.events("order.filled")]
    await live.sigkill()
    sold = await live.ask(
        "POST", "order", symbol=SYMBOL, side="SELL", type="MARKET", quantity="0.002"
    )
    assert sold["status"] == "FILLED"
    await live.start_engine()
    await live.ready()
    view = await live.until(lambda seen: "ORPHAN" in [one.code for one in seen.alarms], "alarm")
    assert view.positions == before or [one.quantity for one in view.positions] == [
        one.quantity for one in before
    ]
    assert [one["fill"]["trade_id"] for one in live.events("order.filled")] == ours
    await live.client.stop("test")
    await live.until_session("stopped")
    assert await live.reconcile(), "a position that the venue contradicts is a red break"


async def test_pain_02_all_fourteen_working_orders_are_kept_over_a_sigkill(live: Field) -> None:
    """nautilus_trader#5000: reconciliation after SIGKILL dropped 14 orders that still worked.

    Fails if one of them is not open on both sides after the restart, or is there twice.
    """
    names = await ladder(live, 14)
    await live.sigkill()
    await live.start_engine()
    await live.ready()
    for name in names:
        await live.until_order(name, "ACKNOWLEDGED")
    assert sorted(await live.venue_open()) == sorted(names)
    once_each(await live.venue_orders(), names)
    assert live.events("order.canceled") == live.events("order.rejected") == []


async def test_pain_03_a_timeout_is_not_retried_though_the_order_was_accepted(live: Field) -> None:
    """nautilus_trader#4215: -1007, the acceptance came on the stream, the retry fired still.

    A market order is the trap: once it is filled the venue takes the same id again. Fails if the
    venue has two orders or two trades of it, or the journal two intents.
    """
    await live.fault(rest=[{"on": "submit", "answer": "code", "code": -1007, "times": 1}])
    order_id = await live.submit(OrderType.MARKET)
    await live.until_order(order_id, "FILLED")
    assert (await live.fault())["fired"] == {"submit.code": 1}
    once_each(await live.venue_orders(), [order_id])
    assert len(live.events("order.intended")) == 1
    filled = sum(Decimal(one["qty"]) for one in await live.venue_trades())
    assert filled == Decimal("0.002")
    await live.same_trades_here_and_there()


async def test_pain_04_no_timer_turns_doubt_into_an_answer(live: Field) -> None:
    """nautilus_trader#4152: SUBMITTED, timed out, became REJECTED without proof from the venue.

    The request is cut and then the whole exchange hangs, for longer than the receive window and
    every back-off of ours. Fails if the order is called anything but UNKNOWN while nobody can know.
    """
    await live.fault(rest=[{"on": "submit", "answer": "reset", "accept": True}])
    await live.fault(stream_stall="user", stream_stall_ms=60_000, hide_order_ms=60_000)
    price = await live.away_price()
    order_id = await live.submit(price=price)
    os.kill(live.venue["pid"], signal.SIGSTOP)
    try:
        window_us = 500_000 + 1_500_000  # the desk's receive window and the margin behind it
        began = live.journal()[-1]["ts"]

        async def long_after() -> bool:
            view = await live.state()
            assert [one.state.value for one in view.orders] == ["UNKNOWN"]
            return view.time_us - began > window_us + 1_500_000

        await live.eventually(long_after, "long after the receive window")
        assert live.events("order.rejected") == []
    finally:
        os.kill(live.venue["pid"], signal.SIGCONT)
    await live.fault(hide_order_ms=0)
    await live.until_order(order_id, "ACKNOWLEDGED")
    once_each(await live.venue_orders(), [order_id])


async def test_pain_05_a_kill_ends_orders_of_others_and_says_what_it_does_not_own(
    live: Field,
) -> None:
    """nautilus_trader#4454: "flatten" could not see EXTERNAL orders and positions and left them.

    Fails if PROVEN is said while the account has any order open, ours or not, or if a stranger's
    trade is not a red break at the end.
    """
    ours = await live.rest_one()
    price = await live.away_price()
    stranger = {"symbol": SYMBOL, "side": "BUY", "quantity": "0.002"}
    await live.ask("POST", "order", **stranger, type="MARKET")
    await live.ask("POST", "order", **stranger, type="LIMIT", timeInForce="GTC", price=str(price))
    await live.eventually(lambda: len(live.events("orphan.found")) == 2, "both strangers")
    await live.press_kill()
    await live.until_kill("PROVEN")
    assert await live.venue_open() == []
    assert live.events("kill.verdict")[-1]["canceled"] == 2
    await live.until_order(ours, "CANCELED")
    assert live.events("order.filled") == []  # the stranger's trade was not taken for ours
    assert await live.reconcile(), "what we do not own is a red break, not silence"


async def test_pain_06_what_was_answered_is_on_the_disk_before_a_quiet_hour(live: Field) -> None:
    """nautilus_trader#3426: a buffered cache kept the last orders in memory until the next message.

    Fails if, the moment that the answer reaches the console, the journal file lacks the intent or
    the acknowledgement, or if SIGKILL at that moment loses the order.
    """
    order_id = await live.submit(price=await live.away_price())
    kinds = live.story(order_id)
    assert kinds[:1] == ["intended"]
    assert "acknowledged" in kinds
    await live.sigkill()
    assert live.story(order_id)[: len(kinds)] == kinds
    await live.start_engine()
    assert (await live.until_order(order_id, "ACKNOWLEDGED")).venue_order_id is not None


async def test_pain_07_a_kill_races_orders_in_flight_and_none_survives_it(live: Field) -> None:
    """nautilus_trader#2876: cancel-all then close-all raced orders that were still on their way.

    Half of the orders are held back on their way to the venue and arrive after the cancel-all.
    Fails if the kill is PROVEN and any order is or becomes open, at the venue or here.
    """
    price = await live.away_price()
    late = {"on": "submit", "answer": "delay", "accept": False, "delay_ms": 400}
    await live.fault(rest=[{**late, "times": 3, "after": 3}])
    sending = [
        asyncio.ensure_future(live.submit(price=price - Decimal(step) / 100)) for step in range(6)
    ]
    await live.eventually(lambda: len(live.events("order.intended")) >= 4, "orders on their way")
    await live.press_kill()
    await live.until_kill("PROVEN")
    answers = await asyncio.gather(*sending, return_exceptions=True)
    assert all(isinstance(one, str | PeakError) for one in answers), answers
    assert await live.venue_open() == []
    view = await live.state()
    ends = {"CANCELED", "REJECTED", "EXPIRED"}
    assert {one.state.value for one in view.orders} <= ends
    intended = [one["intent"]["client_order_id"] for one in live.events("order.intended")]
    assert set(Counter(one["clientOrderId"] for one in await live.venue_orders())) <= set(intended)
    assert (await live.fault())["fired"].get("submit.delay")


async def test_pain_08_orders_whose_answers_were_lost_stay_tracked_and_fill_here_too(
    live: Field,
) -> None:
    """hummingbot#3374: network errors lost six orders from tracking; they filled and piled up.

    Fails if one of the six is not known here, or its later fill is not in the journal.
    """
    await live.fault(rest=[{"on": "submit", "answer": "reset", "times": 6}])
    price = await best_bid(live)
    names: list[str] = []
    while len(names) < 6:
        with contextlib.suppress(Refused):  # while one is in doubt no other is sent
            names.append(await live.submit(price=price - Decimal(len(names)) / 100))
        if names:
            await live.until_order(names[-1], "ACKNOWLEDGED", "PARTIALLY_FILLED", "FILLED")
    assert (await live.fault())["fired"] == {"submit.reset": 6}
    once_each(await live.venue_orders(), names)
    await live.sweep(price - Decimal("0.05"))
    for name in names:
        await live.until_order(name, "FILLED")
    await live.same_trades_here_and_there()
    held = (await live.state()).positions[0].quantity
    bought = sum(Decimal(one["qty"]) - fee_in_base(one) for one in await live.venue_trades())
    assert held == bought


async def test_pain_09_a_timeout_is_no_failure_and_nothing_is_ordered_twice(live: Field) -> None:
    """hummingbot#493: timeouts were taken for failures, and the order was placed again.

    The stream is silent too, so nobody can know. Fails if the state is anything but UNKNOWN, if the
    same ticket goes through once more meanwhile, or if the venue has two orders at the end.
    """
    price = await live.away_price()
    await live.fault(rest=[{"on": "submit", "answer": "silent"}], hide_order_ms=60_000)
    await live.fault(stream_stall="user", stream_stall_ms=60_000)
    order_id = await live.submit(price=price)
    assert [one.state.value for one in (await live.state()).orders] == ["UNKNOWN"]
    for _ in range(3):
        with pytest.raises(Refused) as refused:
            await live.submit(price=price)
        assert refused.value.code == "UNKNOWN_ORDERS"
    await live.fault(hide_order_ms=0, stream_cut="user")
    await live.until_order(order_id, "ACKNOWLEDGED")
    once_each(await live.venue_orders(), [order_id])


async def best_bid(desk: Field) -> Decimal:
    """The best bid as this desk sees it now."""
    market = (await desk.ready()).market
    assert market is not None
    return market.bids[0][0]


def fee_in_base(trade: dict[str, Any]) -> Decimal:
    """What of the bought base the venue kept."""
    return Decimal(trade["commission"]) if trade["commissionAsset"] == "BTC" else Decimal(0)
