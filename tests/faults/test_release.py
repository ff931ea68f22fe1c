"""I4: the latch is opened by two signatures and a reason, nothing less."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from engine.contracts.documents import Namespace
from engine.contracts.errors import PeakError, Refused

if TYPE_CHECKING:
    from tests.faults.conftest import Field


async def test_i4_both_signatures_open_it_and_the_next_charter_is_possible(field: Field) -> None:
    await field.ready()
    await field.press_kill()
    await field.until_kill("PROVEN")
    await field.release()
    assert (await field.state()).kill.state == "READY"
    assert not (field.workspace.state / "latch").exists()
    assert field.events("latch.released")[0]["reason"] == "the test is over"
    await field.go_live()
    await field.rest_one()


async def test_i4_one_person_twice_does_not_open_it(field: Field) -> None:
    await field.ready()
    await field.press_kill()
    await field.until_kill("PROVEN")
    document = await field.release_document()
    alice = await field.operator.sign(document, Namespace.RELEASE)
    both = await field.operator.sign(document, Namespace.RELEASE_REVIEW)
    for second in (alice, both, ""):
        with pytest.raises(PeakError):
            await field.client.release(document, alice, second)
    twisted = document.replace('"reviewer":"bob"', '"reviewer":"alice"')
    mine = await field.operator.sign(twisted, Namespace.RELEASE)
    with pytest.raises(PeakError):
        await field.client.release(twisted, mine, mine)
    assert (await field.state()).kill.state == "PROVEN"
    assert (field.workspace.state / "latch").exists()
    assert not field.events("latch.released")


async def test_i4_a_release_without_a_reason_or_used_twice_is_refused(field: Field) -> None:
    await field.ready()
    await field.press_kill()
    await field.until_kill("PROVEN")
    empty = await field.release_document(" ")
    document = await field.release_document()
    for text in (empty, document):
        signed = (
            await field.operator.sign(text, Namespace.RELEASE),
            await field.reviewer.sign(text, Namespace.RELEASE_REVIEW),
        )
        if text is empty:
            with pytest.raises(Refused):
                await field.client.release(text, *signed)
    await field.client.release(document, *signed)
    await field.press_kill()
    await field.until_kill("PROVEN")
    with pytest.raises(Refused):
        await field.client.release(document, *signed)
    assert (await field.state()).kill.state == "PROVEN"


async def test_a_kill_before_go_ends_in_a_sealed_session_and_a_new_charter(field: Field) -> None:
    await field.to_checklist()
    await field.press_kill()
    await field.until_kill("PROVEN")
    assert await field.reconcile() == []
    await field.seal()
    await field.release()
    await field.client.charter(field.charter())
    await field.until_session("charter")


async def test_a_release_ends_a_hunt_that_has_no_proof(field: Field) -> None:
    """Two people may release without proof; the hunt must not cancel the next session's orders."""
    await field.ready()
    port = int(field.venue["rest"].rpartition(":")[2])
    await field.stop_sandbox()
    await field.press_kill()
    await field.until_kill("UNCONFIRMED")
    await field.release()
    assert (await field.state()).kill.state == "READY"
    await field.start_sandbox(port)
    await field.go_live()
    order_id = await field.rest_one()
    # The hunt's rounds are a quarter of a second apart, a guard's tick too: many have passed.
    ticks = len(field.events("order.acknowledged"))
    for _ in range(10):
        await field.client.note("still resting?")
    assert ticks == 1
    await field.until_order(order_id, "ACKNOWLEDGED")
    assert await field.venue_open() == [order_id]
    assert not field.events("kill.verdict", verdict="PROVEN")
