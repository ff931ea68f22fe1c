"""A pack's whole life in a running engine: interrupted, signed, sealed, revised, followed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from engine.contracts.errors import Refused
from engine.evidence.series import verify_series
from engine.evidence.verify import verify_pack

if TYPE_CHECKING:
    from tests.faults.conftest import Field


async def test_a_pack_is_interrupted_sealed_revised_and_followed_by_another(field: Field) -> None:
    place = field.workspace
    await field.go_live()
    order_id = await field.rest_one()
    await field.client.cancel(order_id)
    await field.client.stop("done")
    await field.until_session("stopped")
    await field.reconcile()
    with pytest.raises(Refused, match="no lessons"):
        await field.client.write_pack()
    await field.client.write_lessons(("Seen in the test.",))

    # Somebody pulled the plug while it was written: what is there moves aside, and it is said.
    first = await field.client.write_pack()
    again = await field.client.write_pack()
    assert again.folder == first.folder
    written = field.events("pack.written")
    assert [one["set_aside"] for one in written] == ["", f"{first.folder}.interrupted-1"]
    assert (place.sessions / f"{first.folder}.interrupted-1/data/VERIFY.md").is_file()
    code, _, said = await field.peakctl("pack")
    assert (code, "the pack is written" in said) == (1, True)

    # One signature of three is none; the tag manifest alone is not what both sign.
    with pytest.raises(Refused, match="both sign"):
        await field.client.sign_pack(again.tagmanifest_sha256, "x", {})
    with pytest.raises(Refused, match="has no sealed pack"):
        await field.client.revise_pack((await field.state()).session.id, "too early", ("x",))
    code, said, _ = await field.peakctl("pack", "sign", "--person", "alice")
    assert (code, "3 signatures" in said, "when the other one has signed" in said) == (0, 1, 1)
    for name in ("tagmanifest-sha256.txt", "data/reports/runlog.md", "data/reports/incidents.md"):
        assert f"{name}  sha256 " in said
    code, said, _ = await field.peakctl("pack", "sign", "--person", "bob")
    assert (code, f"peakctl verify {place.sessions / first.folder}" in said) == (0, True), said
    view = await field.until_session("sealed")
    assert view.session is not None
    pack = place.sessions / first.folder
    assert verify_pack(pack, place.allowed_signers).findings == ()
    tables = {path.name for path in (pack / "data/tables").iterdir()}
    assert {"orders.parquet", "fills.parquet", "equity.parquet"} <= tables
    code, said, _ = await field.peakctl(
        "store", "query", "SELECT client_order_id, state FROM orders", "--pack", str(pack), "--json"
    )
    assert (code, json.loads(said)) == (0, [{"client_order_id": order_id, "state": "canceled"}])

    # A revision is written and signed by one, then by the other; the pack is as it was.
    session = view.session.id
    before = {path: path.read_bytes() for path in pack.rglob("*") if path.is_file()}
    revise = ("pack", "revise", session, "--reason", "seen later", "--incident", "it was the clock")
    code, said, _ = await field.peakctl(*revise, "--person", "alice")
    assert (code, "signed by operator" in said) == (0, True)
    code, said, _ = await field.peakctl("pack", "sign", session, "--person", "bob")
    assert (code, "revision 1 sealed, signed by operator, reviewer" in said) == (0, True)
    assert {path: path.read_bytes() for path in pack.rglob("*") if path.is_file()} == before
    (revised,) = field.events("pack.revised")
    assert revised["revises"] == again.tagmanifest_sha256
    with pytest.raises(Refused, match="no revision to sign"):
        await field.client.sign_revision(session, "0" * 64, "x")

    # The next session's pack goes on with the same journal, and names the revision.
    await field.client.charter(field.charter())
    await field.press_kill()
    await field.until_kill("PROVEN")
    assert await field.reconcile() == []
    await field.seal()
    report = verify_series(place.sessions, place.allowed_signers)
    assert [one.level for one in report.breaks] == ["note"], report.breaks
    assert [one.kind for one in report.links] == ["pack", "pack", "revision", "leftover"]
