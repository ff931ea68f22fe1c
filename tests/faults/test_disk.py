"""A full disk: nothing acknowledged is lost, no order leaves, and a kill still cancels (I13)."""

from __future__ import annotations

import resource
from typing import TYPE_CHECKING

import pytest

from engine.contracts.errors import PeakError
from engine.journal.verify import verify_journal

if TYPE_CHECKING:
    from tests.faults.conftest import Field


def fill_the_disk(field: Field) -> None:
    """From now on no file of the engine can grow: every write past this size fails."""
    size = max(path.stat().st_size for path in field.workspace.journal.glob("*.jsonl"))
    resource.prlimit(field.pid, resource.RLIMIT_FSIZE, (size, size))


async def test_a_full_disk_halts_the_engine_and_loses_nothing(live: Field) -> None:
    order_id = await live.rest_one()
    fill_the_disk(live)
    known = live.journal()
    price = await live.away_price_now()
    with pytest.raises(PeakError) as failed:
        await live.submit(price=price)
    assert "\n" not in failed.value.line()
    await live.until(lambda view: view.engine.phase == "halted", "halted")
    with pytest.raises(PeakError):
        await live.submit(price=price)
    assert [one["clientOrderId"] for one in await live.venue_orders()] == [order_id]
    await live.sigkill()
    assert live.journal()[: len(known)] == known
    await live.start_engine()
    await live.ready()
    assert verify_journal(live.workspace.journal).ok
    assert len(live.events("order.intended")) == 1


async def test_i13_a_kill_on_a_full_disk_still_cancels(live: Field) -> None:
    await live.rest_one()
    fill_the_disk(live)
    await live.press_kill()

    async def none_open() -> bool:
        return await live.venue_open() == []

    await live.eventually(none_open, "canceled")
    await live.until(lambda view: view.kill.state != "READY", "latched in memory")
    with pytest.raises(PeakError):
        await live.submit(price=await live.away_price_now())


async def test_i13_orders_that_rest_are_canceled_when_the_journal_fails(live: Field) -> None:
    await live.rest_one()
    fill_the_disk(live)
    with pytest.raises(PeakError):
        await live.client.note("cannot be written")

    async def none_open() -> bool:
        return await live.venue_open() == []

    await live.eventually(none_open, "canceled")
