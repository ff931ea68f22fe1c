"""The fifteen pains of other systems' users (trading.md section 3), 10 to 15: stopping and lasting.

Each test does to a whole desk what hurt there, and fails if this house does the same. The number is
that of the list; the docstring names the issue and how the test would see the pain. What pain 15
says of polling into a ban is `test_settler.py` and `test_settle_queue.py`, of one order at a time.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from engine.contracts.errors import PeakError, Refused
from engine.contracts.order import OrderType

if TYPE_CHECKING:
    from tests.faults.conftest import Field, Start

SYMBOL = "BTCUSDT"

#: Runs `peakctl` as it is, but for one rule: the look at the session's loss fails as hummingbot's
#: did, with an AttributeError, as soon as the file `break-the-loss-rule` is there.
_BROKEN_RULE = """
import sys
from pathlib import Path
from engine.execution import conditions
from peakctl.cli import main

look = conditions.Conditions._of_session

def broken(self, session):
    if (Path.cwd() / "break-the-loss-rule").exists():
        return None.profit
    return look(self, session)

conditions.Conditions._of_session = broken
sys.exit(main())
"""


@contextlib.asynccontextmanager
async def trading(desk: Field, price: Decimal) -> AsyncIterator[list[str]]:
    """Three who send orders for as long as this lasts, whatever they are told; gives the ids."""
    sent: list[str] = []

    async def for_ever(step: Decimal) -> None:
        while True:
            try:
                sent.append(await desk.submit(price=price - step))
            except PeakError:
                await asyncio.sleep(0.01)
            step += Decimal("0.03")

    traders = [asyncio.create_task(for_ever(Decimal(n) / 100)) for n in range(3)]
    try:
        yield sent
    finally:
        for trader in traders:
            trader.cancel()
        await asyncio.gather(*traders, return_exceptions=True)


async def fired(desk: Field, fault: str, times: int) -> None:
    """Wait until a fault has happened so often."""

    async def often() -> bool:
        return bool((await desk.fault())["fired"].get(fault, 0) >= times)

    await desk.eventually(often, f"{fault} {times} times", 40)


async def below_best(desk: Field) -> tuple[str, Decimal]:
    """An order that rests ten quotes under the best bid, and its price.

    Far enough that the flow does not fill it by itself, near enough for one sweep.
    """
    market = (await desk.ready()).market
    assert market is not None
    price = market.bids[0][0] - 10

    async def sent() -> str:
        with contextlib.suppress(Refused):  # the balances are not read again yet
            return await desk.submit(price=price)
        return ""

    order_id: str = await desk.eventually(sent, "an order goes out", 40)
    await desk.until_order(order_id, "ACKNOWLEDGED")
    return order_id, price


def intents_after(desk: Field, kind: str, **fields: str) -> list[str]:
    """Orders intended after the first event of this kind: journal order is the order of truth."""
    lines = desk.journal()
    first = next(
        line["seq"]
        for line in lines
        if line["kind"] == kind and all(line["data"][name] == fields[name] for name in fields)
    )
    return [
        line["data"]["intent"]["client_order_id"]
        for line in lines
        if line["kind"] == "order.intended" and line["seq"] > first
    ]


async def test_pain_10_a_rule_that_breaks_stops_the_trading_and_is_not_swallowed(
    start: Start,
) -> None:
    """hummingbot#2534: the kill switch hit an AttributeError, it was swallowed, the bot traded on.

    The loss rule of a real engine raises AttributeError. Fails if an order leaves afterwards, if
    what rests is not canceled, or if nobody is told.
    """
    desk = await start(engine=False)
    desk.supervisor.program = (sys.executable, "-P", "-c", _BROKEN_RULE)
    await desk.start_engine()
    await desk.go_live()
    await desk.rest_one()
    (desk.workspace.root / "break-the-loss-rule").touch()
    await desk.until_kill("PROVEN")
    assert await desk.venue_open() == []
    view = await desk.state()
    assert view.engine.phase == "halted"
    (alarm,) = [one for one in view.alarms if one.code == "ENGINE_FAULT"]
    assert "profit" in alarm.text
    with pytest.raises(PeakError):
        await desk.submit(price=await desk.away_price_now())
    assert intents_after(desk, "kill.latched") == []


async def test_pain_11_no_order_is_made_while_the_session_ends(live: Field) -> None:
    """hummingbot#8075: new orders were created during exit, behind the cancels.

    Three traders go on while the session stops. Fails if the journal has an intent behind the stop,
    or the venue an open order when the stop is called proven, or afterwards.
    """
    async with trading(live, await live.away_price()) as sent:
        await live.eventually(lambda: len(sent) > 3, "trading")
        await live.client.stop("test")
        await live.until_session("stopped")
        assert await live.venue_open() == []
        with pytest.raises(Refused):
            await live.submit(price=await live.away_price_now())
    assert await live.venue_open() == []
    assert intents_after(live, "session.moved", after="stopping") == []
    ends = {one.state.value for one in (await live.state()).orders}
    assert ends <= {"CANCELED", "FILLED", "REJECTED"}


async def test_pain_12_a_failed_fetch_is_shown_stale_and_nothing_stays_frozen(live: Field) -> None:
    """hummingbot#4712: one failed price fetch killed the status loop; the screen froze for hours.

    Every request of the desk meets a web page instead of an answer, the streams are cut, and their
    reconnects meet the same. Fails if the old price is shown as fresh (I9), or if any figure stands
    still afterwards.
    """
    price = await live.away_price()
    await live.fault(rest=[{"on": "any", "answer": "html", "times": 0}], stream_cut="all")
    view = await live.until(
        lambda seen: seen.market is not None and seen.market.stale, "a market shown as stale"
    )
    with pytest.raises(Refused):
        await live.submit(price=price)
    await fired(live, "any.html", 3)
    await live.fault(clear=True)
    await live.ready()
    heard = {one.name: one.messages for one in view.venue.streams} if view.venue else {}
    assert heard

    def moving(seen: object) -> bool:
        streams = seen.venue.streams if seen.venue else ()  # type: ignore[attr-defined]
        return all(
            one.connected and one.messages > heard[one.name]
            for one in streams
            if one.name == "market"
        )

    await live.until(moving, "figures that move")

    async def sent() -> str:
        with contextlib.suppress(Refused):
            return await live.submit(price=price)
        return ""

    order_id = await live.eventually(sent, "an order goes out again", 30)
    await live.until_order(order_id, "ACKNOWLEDGED")


async def test_pain_13_a_trade_whose_row_the_database_lost_is_in_the_record(live: Field) -> None:
    """freqtrade#7184, hummingbot#2201: "database is locked": filled at the venue, row lost.

    The database loses its last committed rows, as DuckDB does without an error when its log is
    gone. Fails if the journal lacks the trade, if the store is used as it is, or if a trade is
    missing in it or twice.
    """
    order_id = await live.submit(OrderType.MARKET)
    await live.until_order(order_id, "FILLED")
    await live.client.query("SELECT count(*) FROM fills")  # the store has caught up
    await live.sigkill()
    (store,) = (live.workspace.root / ".peakctl").glob("*.duckdb")
    for path in (store, store.with_name(f"{store.name}.wal")):
        path.unlink(missing_ok=True)
    await live.start_engine()
    await live.ready()
    assert live.events("store.rebuilt")
    result = await live.client.query("SELECT trade_id FROM fills ORDER BY trade_id")
    there = sorted(str(one["id"]) for one in await live.venue_trades())
    assert [row[0] for row in result.rows] == there
    await live.same_trades_here_and_there()


async def test_pain_14_a_kill_wins_against_new_buys_and_works_when_all_is_stopped(
    live: Field,
) -> None:
    """freqtrade#228, #907: a panic exit raced new buys, and was refused while stopped.

    Fails if an order is intended behind the latch, or rests when the kill is proven; or if the kill
    is refused once the session is over.
    """
    async with trading(live, await live.away_price()) as sent:
        await live.eventually(lambda: len(sent) > 2, "trading")
        await live.press_kill()
        await live.until_kill("PROVEN")
        assert await live.venue_open() == []
    assert intents_after(live, "kill.latched") == []
    assert await live.venue_open() == []
    await live.release()
    await live.stranger(price=await live.away_price_now())
    await live.press_kill()  # the session is killed and over; the account is not empty
    await live.until_kill("PROVEN")
    assert await live.venue_open() == []
    assert len(live.events("kill.latched")) == 2


async def test_pain_15_fills_of_a_disconnect_are_found_and_no_id_is_given_again(
    live: Field,
) -> None:
    """Lean IB#249, #242: fills during a disconnect were lost; after a restart ids were reissued.

    One order is filled while the user stream is cut and REST refuses us for the rate, one while no
    engine runs. Fails if a fill is missing or twice, if an id is used for two orders, blocked ones
    included, or if we go on asking a venue that wants silence.
    """
    first, price = await below_best(live)
    limited = {"on": "query", "answer": "status", "status": 429, "retry_after_s": 1, "times": 4}
    await live.fault(rest=[limited], stream_cut="user")
    await live.sweep(price)
    await fired(live, "query.status", 4)
    await live.until_order(first, "FILLED", seconds=60)
    with pytest.raises(Refused):
        await live.client.submit(SYMBOL, "BUY", OrderType.LIMIT, Decimal(100), price)
    await live.ready()
    second, price = await below_best(live)
    await live.sigkill()
    await live.sweep(price)
    await live.start_engine()
    await live.until_order(second, "FILLED")
    await live.ready()
    third = await live.rest_one()
    await live.same_trades_here_and_there()
    named = [one["intent"]["client_order_id"] for one in live.events("order.intended")]
    blocked = [one["intent"]["client_order_id"] for one in live.events("order.blocked")]
    assert {first, second, third} <= set(named)
    assert blocked
    assert len({*named, *blocked}) == len(named) + len(blocked)
    assert named == sorted(named)
