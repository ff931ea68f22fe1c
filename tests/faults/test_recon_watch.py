"""The three sides are compared while the session runs; doubt is said, and what is red blocks."""

from __future__ import annotations

import asyncio
import contextlib
import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from engine.contracts.canonical import sha256_hex
from engine.contracts.documents import Namespace
from engine.contracts.errors import Refused
from engine.contracts.order import OrderType, Side
from engine.contracts.view import ReconWatchView

if TYPE_CHECKING:
    from tests.faults.conftest import Field, Start

SYMBOL = "BTCUSDT"
OFTEN = {"every_seconds": 1}


@pytest.fixture
async def watched(start: Start) -> Field:
    """A live session that is reconciled every second."""
    field = await start(recon=OFTEN)
    await field.go_live()
    return field


async def until_watch(field: Field, holds: Any, what: str, seconds: float = 30) -> ReconWatchView:
    view = await field.until(lambda seen: bool(holds(seen.recon_watch)), what, seconds)
    return view.recon_watch


def runs(field: Field) -> int:
    return len(field.events("recon.checked"))


async def runs_from_now(field: Field, count: int) -> list[dict[str, Any]]:
    """The next runs that were journaled from now on."""
    before = runs(field)
    await field.eventually(lambda: runs(field) >= before + count, f"{count} runs", 30)
    return field.events("recon.checked")[before:]


async def test_a_trading_session_agrees_run_after_run_and_after_a_restart(watched: Field) -> None:
    first = await until_watch(watched, lambda seen: seen.state == "agree", "agreement")
    assert first.age_ms is not None
    assert first.limit_ms == 3000
    await watched.rest_one()
    traded = await watched.submit(OrderType.MARKET)
    await watched.until_order(traded, "FILLED")
    told = await runs_from_now(watched, 3)
    assert all(one["breaks"] == [] for one in told)
    assert told[-1]["compared"]["orders"] == 2
    assert told[-1]["compared"]["fills"] >= 1
    assert told[-1]["compared"]["positions"] == 1
    assert told[-1]["compared"]["balances"] >= 2
    await watched.sigkill()
    await watched.start_engine()
    await watched.ready()
    before = runs(watched)
    again = await runs_from_now(watched, 2)
    assert before == 0 or again
    assert "start" in {one["moment"] for one in watched.events("recon.checked")[-4:]}
    assert all(one["breaks"] == [] for one in again)


async def test_a_reconnect_is_followed_by_a_run(start: Start) -> None:
    field = await start(recon={"every_seconds": 600})
    await field.go_live()
    await until_watch(field, lambda seen: seen.state == "agree", "the first run")
    assert runs(field) == 1
    await field.fault(stream_cut="user")
    await field.eventually(lambda: runs(field) > 1, "a run after the reconnect", 30)
    assert field.events("recon.checked")[-1]["moment"] == "reconnect"


async def test_a_strangers_order_is_red_pauses_and_heals_when_it_ended(watched: Field) -> None:
    price = await watched.away_price()
    await watched.stranger("stranger", price)
    seen = await until_watch(watched, lambda now: now.breaks, "a break")
    (found,) = seen.breaks
    assert (found.code, found.key, found.klass) == ("ORDER_ORPHAN", "stranger", "red")
    assert (found.owner, bool(found.likely)) == ("operator", True)
    view = await watched.until_session("paused")
    (moved,) = watched.events("session.moved", cause="recon_red")
    assert "ORDER_ORPHAN stranger" in moved["reason"]
    view = await watched.until(
        lambda now: {one.code for one in now.alarms} == {"ORPHAN", "RECON_RED"}, "both alarms"
    )
    assert view.recon_watch.breaks[0].runs >= 2
    with pytest.raises(Refused) as refused:
        await watched.client.resume("all is well")
    assert refused.value.code == "RECON_RED"
    code, out, err = await watched.peakctl("recon", "--watch", "--json")
    assert (code, err.count("\n")) == (1, 1)
    assert json.loads(out)["state"] == "breaks"
    since = view.recon_watch.breaks[0].first_seen_us
    await watched.sigkill()
    await watched.start_engine()
    await watched.ready()
    seen = await until_watch(watched, lambda now: now.breaks, "the break again")
    assert seen.breaks[0].first_seen_us == since
    await watched.client.cancel_orphan(SYMBOL, "stranger", "not ours")
    seen = await until_watch(watched, lambda now: all(b.klass != "red" for b in now.breaks), "over")
    assert {one.code for one in seen.breaks} <= {"ORDER_ORPHAN_ENDED"}
    await watched.client.resume("the stranger is gone")
    await watched.until_session("live")
    for alarm in (await watched.state()).alarms:
        await watched.client.acknowledge(alarm.id, "seen")
    await watched.until(lambda now: now.alarms == (), "no alarm left")


async def test_money_that_moved_outside_is_red(watched: Field) -> None:
    await until_watch(watched, lambda seen: seen.state == "agree", "agreement")
    await watched.stranger("took-it")
    await watched.until_session("paused")
    seen = (await watched.state()).recon_watch
    assert {"ORDER_ORPHAN", "FILL_ORPHAN", "BALANCE", "POSITION"} <= {b.code for b in seen.breaks}
    # Once a person has taken it in as the session's own, all three sides agree again.
    await watched.adopt(SYMBOL, "took-it", "a colleague's")
    await until_watch(watched, lambda now: now.state == "agree", "agreement again")
    await watched.client.resume("adopted")
    await watched.client.stop("test")
    await watched.until_session("stopped")
    assert await watched.reconcile() == []


async def test_a_venue_that_does_not_answer_is_unknown_and_never_agreement(watched: Field) -> None:
    seen = await until_watch(watched, lambda now: now.state == "agree", "agreement")
    await watched.fault(rest=[{"on": "query", "answer": "status", "status": 503, "times": 1000}])
    unknown = await until_watch(watched, lambda now: now.state == "unknown", "unknown")
    assert unknown.reason
    assert unknown.at_us is not None
    assert unknown.at_us >= (seen.at_us or 0)
    assert unknown.age_ms is not None
    first = unknown.age_ms
    await until_watch(watched, lambda now: now.age_ms > first, "the age to grow")
    assert len([one for one in watched.events("recon.checked") if one["unknown"]]) == 1
    assert (await watched.state()).session.state.value == "live"  # type: ignore[union-attr]
    await watched.fault(clear=True)
    await until_watch(watched, lambda now: now.state == "agree", "agreement again")


async def test_a_run_that_the_rate_budget_has_no_room_for_is_left_out_visibly(
    start: Start,
) -> None:
    field = await start(recon=OFTEN, exchange={"weight_minute": 1200})
    await field.go_live()
    seen = await until_watch(field, lambda now: "left out" in now.reason, "a run left out", 60)
    assert "of 1200 is used" in seen.reason
    # What was known stands, and grows old; a kill still has its share of the weight.
    assert seen.state in {"agree", "never"}
    await field.press_kill()
    await field.until_kill("PROVEN")


async def test_orders_that_trade_while_it_looks_are_no_break(watched: Field) -> None:
    await until_watch(watched, lambda seen: seen.state == "agree", "agreement")
    until, number = runs(watched) + 3, 0
    while runs(watched) < until:
        number += 1
        side = Side.BUY if number % 2 else Side.SELL
        quantity = Decimal("0.002") + Decimal("0.00001") * number
        with contextlib.suppress(Refused):  # the limits on the rate
            sent = await watched.client.submit(SYMBOL, side, OrderType.MARKET, quantity)
            await watched.until_order(sent.client_order_id, "FILLED")
    assert len(watched.events("order.filled")) > until
    assert {one["klass"] for run in watched.events("recon.checked") for one in run["breaks"]} <= {
        "yellow"
    }
    await until_watch(watched, lambda seen: seen.state == "agree", "agreement")


async def test_a_fill_that_the_stream_lost_is_no_break_once_it_was_asked_for(
    watched: Field,
) -> None:
    order_id, price = await watched.rest_at_best()
    await watched.fault(reports=[{"how": "lose", "execution": "TRADE", "times": 50}])
    await watched.sweep(price)
    await watched.until_order(order_id, "FILLED", seconds=30)
    await until_watch(watched, lambda seen: seen.state == "agree", "agreement")
    reds = [
        one
        for run in watched.events("recon.checked")
        for one in run["breaks"]
        if one["klass"] == "red"
    ]
    assert reds == []
    await watched.same_trades_here_and_there()


async def test_a_wipe_is_red_and_ends_as_a_break_that_both_answered(watched: Field) -> None:
    order_id = await watched.rest_one()
    await until_watch(watched, lambda seen: seen.state == "agree", "agreement")
    await watched.fault(wipe=True)
    await watched.until_session("paused", seconds=40)
    await watched.client.stop("wiped")
    await watched.until_session("stopped", seconds=40)
    found = await watched.client.run_recon()
    missing = [one for one in found.breaks if one.key == order_id]
    assert [one.cause.partition(":")[0] for one in missing] == ["ORDER_MISSING_VENUE"]
    assert missing[0].owner == "operator"
    assert missing[0].likely
    assert missing[0].age_ms > 0
    document = found.report.encode()
    assert b'"likely":' in document
    assert await watched.reconcile()
    assert watched.story(order_id)[-1] == "closed"
    assert not watched.events("order.canceled")
    code, out, _ = await watched.peakctl("recon")
    assert code == 1
    assert "ORDER_MISSING_VENUE" in out
    assert "operator" in out
    assert missing[0].likely in out


async def test_no_session_is_signed_with_an_unanswered_red_break(watched: Field) -> None:
    price = await watched.away_price()
    await watched.stranger("stranger", price)
    await watched.until(lambda view: bool(view.orphans), "the orphan")
    await watched.press_kill()
    await watched.until_kill("PROVEN")
    found = await watched.client.run_recon()
    assert found.breaks
    signature = await watched.operator.sign(found.report, Namespace.RECON)
    with pytest.raises(Refused) as refused:
        await watched.client.sign_recon(sha256_hex(found.report.encode()), signature)
    assert refused.value.code == "UNANSWERED"
    assert await watched.reconcile() == []


async def test_orders_are_as_quick_while_it_looks(watched: Field) -> None:
    """No lock is held while the venue is asked: with queries that hang, orders pass."""
    await until_watch(watched, lambda seen: seen.state == "agree", "agreement")
    await watched.fault(rest=[{"on": "account", "answer": "delay", "delay_ms": 900, "times": 200}])
    loop = asyncio.get_running_loop()
    took: list[float] = []
    price = await watched.away_price()
    for number in range(8):
        began = loop.time()
        await watched.submit(price=price - Decimal(number))
        took.append(loop.time() - began)
    assert sorted(took)[len(took) // 2] < 0.6, took
