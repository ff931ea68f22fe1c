"""I4: the latch is opened by two signatures and a reason, after a proof and a new checklist."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from engine.contracts.documents import Namespace, Purpose
from engine.contracts.errors import PeakError, Refused
from engine.contracts.people import Role
from engine.execution.consent.release_act import RELEASE_PROBES

if TYPE_CHECKING:
    from tests.faults.conftest import Field


async def test_i4_both_signatures_open_it_and_only_a_new_approval_trades(field: Field) -> None:
    await field.ready()
    await field.press_kill()
    await field.until_kill("PROVEN")
    await field.release()
    assert (await field.state()).kill.state == "READY"
    assert not (field.workspace.state / "latch").exists()
    assert field.events("latch.released")[0]["reason"] == "the test is over"
    granted = field.events("dual.granted")[0]
    # There has been no charter yet, so there are no limits to load.
    assert set(granted["measured"]) == set(RELEASE_PROBES) - {"limits_loaded"}
    assert "zero open twice in a row" in granted["measured"]["kill_path"]
    # Release is not restart: what trades next has a charter, a whole checklist and a go of its own.
    price = await field.away_price()
    with pytest.raises(Refused, match="no open session"):
        await field.submit(price=price)
    await field.client.charter(field.charter())
    with pytest.raises(Refused):
        await field.submit(price=price)
    await field.client.abort("the next one is whole")
    await field.go_live()
    await field.rest_one()


async def test_i4_one_person_twice_does_not_open_it(field: Field) -> None:
    await field.ready()
    await field.press_kill()
    await field.until_kill("PROVEN")
    asked = await field.dual_ask(Purpose.RELEASE, {})
    await field.dual_sign(asked, Role.OPERATOR)
    alice = await field.operator.sign(asked.document, Namespace.RELEASE)
    both = await field.operator.sign(asked.document, Namespace.RELEASE_REVIEW)
    for signature in (alice, both, ""):
        for seat in (field.operator, field.reviewer):
            with pytest.raises(PeakError):
                await seat.client.dual_sign(asked.id, asked.sha256, signature, signer="bob")
    await field.dual_sign(asked, Role.OPERATOR)
    with pytest.raises(Refused, match="another document"):
        await field.reviewer.client.dual_sign(asked.id, "0" * 64, both)
    assert (await field.state()).kill.state == "PROVEN"
    assert (field.workspace.state / "latch").exists()
    assert not field.events("latch.released")


async def test_i4_a_release_wants_a_reason_and_is_used_once(field: Field) -> None:
    await field.ready()
    with pytest.raises(Refused, match="not set"):
        await field.dual_ask(Purpose.RELEASE, {})
    await field.press_kill()
    await field.until_kill("PROVEN")
    with pytest.raises(PeakError, match="reason"):
        await field.dual_ask(Purpose.RELEASE, {}, " ")
    old = await field.dual_ask(Purpose.RELEASE, {})
    await field.dual_sign(old, Role.OPERATOR)
    await field.press_kill()
    await field.until_kill("PROVEN")
    with pytest.raises(Refused):  # it is about the kill before
        await field.dual_sign(old, Role.REVIEWER)
    used = await field.dual_ask(Purpose.RELEASE, {})
    await field.dual_sign(used, Role.OPERATOR)
    await field.dual_sign(used, Role.REVIEWER)
    assert (await field.state()).kill.state == "READY"
    await field.press_kill()
    await field.until_kill("PROVEN")
    for view in (old, used):
        for role in Role:
            with pytest.raises(Refused):
                await field.dual_sign(view, role)
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


async def test_i4_without_proof_or_a_green_checklist_there_is_no_release(field: Field) -> None:
    """The hunt goes on until the venue has answered; then the probes are asked once more."""
    await field.ready()
    port = int(field.venue["rest"].rpartition(":")[2])
    await field.stop_sandbox()
    await field.press_kill()
    await field.until_kill("UNCONFIRMED")
    with pytest.raises(Refused, match="not proven"):
        await field.dual_ask(Purpose.RELEASE, {})
    await field.start_sandbox(port)
    await field.until_kill("PROVEN")
    asked = await field.dual_ask(Purpose.RELEASE, {})
    await field.dual_sign(asked, Role.OPERATOR)
    await field.stop_sandbox()
    with pytest.raises(Refused, match="venue_reachable"):
        await field.dual_sign(asked, Role.REVIEWER)
    refused = field.events("dual.refused")[-1]
    assert (refused["code"], set(refused["measured"])) == ("CHECKLIST", {"venue_reachable"})
    assert (await field.state()).kill.state == "PROVEN"
    await field.start_sandbox(port)
    await field.until(lambda view: view.market is not None and not view.market.stale, "a market")
    await field.dual_sign(asked, Role.REVIEWER)
    assert (await field.state()).kill.state == "READY"


async def test_i7_a_restart_between_the_signatures_voids_the_request(field: Field) -> None:
    await field.ready()
    await field.press_kill()
    await field.until_kill("PROVEN")
    asked = await field.dual_ask(Purpose.RELEASE, {})
    await field.dual_sign(asked, Role.OPERATOR)
    await field.sigkill()
    await field.start_engine()
    await field.ready()
    with pytest.raises(Refused):
        await field.dual_sign(asked, Role.REVIEWER)
    view = await field.until(lambda view: view.dual[0].stage == "withdrawn", "void")
    assert view.dual[0].code == "ELAPSED_UNKNOWN"
    assert view.kill.state == "PROVEN"
    assert not field.events("latch.released")
    await field.release()
    assert (await field.state()).kill.state == "READY"
