"""A reviewer with a hardware key, in software: a copy of it, an untouched one, a count set back.

One engine, killed once in between: what is remembered of the key is the journal's.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from engine.contracts.canonical import sha256_hex
from engine.contracts.documents import SIGNED_REPORTS, Namespace
from engine.contracts.errors import Refused
from engine.contracts.people import Role
from engine.contracts.view import StateView
from engine.governance.wordlist import short_code
from engine.signatures.sshsig import fingerprint, parse_public_line
from peakctl.ceremony import cosign_document, new_nonce
from peakctl.founding import create_demo
from peakctl.signing import signals
from peakctl.workspace import Workspace
from tests.engine.signatures.software_token import SoftwareToken
from tests.faults.conftest import FAST, Field, merged
from tests.redteam.conftest import Loop


@dataclass
class Seat:
    """The desk and bob's token."""

    field: Field
    token: SoftwareToken

    def decision(self, packet: str, decision: str = "GO", reason: str = "") -> str:
        """Bob's honest document."""
        return cosign_document(
            packet=packet,
            decision=decision,
            reason=reason,
            typed_code=short_code(sha256_hex(packet.encode())),
            typed_limit=json.loads(packet)["limits"]["max_order_notional"],
        )

    async def cosign(self, packet: str, decision: str = "GO", **how: int) -> StateView:
        """Bob decides; `flags` and `counter` as the token is told."""
        document = self.decision(packet, decision, "" if decision == "GO" else "not today")
        signature = self.token.sign(document.encode(), Namespace.COSIGN, **how)
        return await self.field.reviewer.client.cosign(document, signature)

    async def refused(self, packet: str, code: str, **how: int) -> None:
        """It does not count, and an alarm says so."""
        with pytest.raises(Refused) as caught:
            await self.cosign(packet, **how)
        assert caught.value.code == code
        await self.field.until(
            lambda view: code in [one.code for one in view.alarms], f"alarm {code}"
        )

    async def packet(self) -> str:
        """A fresh packet with the operator's signature."""
        await self.field.until_session("checklist")
        await self.field.reviewer.client.join_review(new_nonce(), signals())
        await self.field.client.probe()
        return await self.field.request_and_sign()


def with_token(workspace: Workspace) -> SoftwareToken:
    """Bob's key in roster and list becomes one of a token."""
    token = SoftwareToken()
    old = workspace.key_of("reviewer").with_suffix(".pub").read_text()
    old_line = " ".join(old.split()[:2])
    new_line = " ".join(token.public_line.split()[:2])
    for path, before, after in (
        (
            workspace.people_file,
            fingerprint(parse_public_line(old)),
            fingerprint(parse_public_line(token.public_line)),
        ),
        (workspace.allowed_signers, old_line, new_line),
    ):
        text = path.read_text()
        assert before in text
        path.write_text(text.replace(before, after))
    return token


@pytest.fixture
def seat(tmp_path: Path, loop: Loop) -> Iterator[Seat]:
    workspace = create_demo(tmp_path / "w", merged(FAST, {}))
    made = Seat(loop.run(_field(workspace)), with_token(workspace))
    try:
        loop.run(_start(made.field))
        yield made
    finally:
        loop.run(made.field.close())


async def _field(workspace: Workspace) -> Field:
    return Field(workspace, {})


async def _start(field: Field) -> None:
    await field.start_sandbox()
    await field.start_engine()
    await field.sit_down()


def test_the_count_of_a_hardware_key_only_rises(seat: Seat, loop: Loop) -> None:
    loop.run(_story(seat))


async def _story(seat: Seat) -> None:
    field = seat.field
    await field.to_checklist()
    packet = await field.request_and_sign()
    await seat.refused(packet, "VERIFIERS_DISAGREE", flags=0, counter=6)
    await seat.cosign(packet, "ABSTAIN", counter=7)
    assert [one["counter"] for one in field.events("go.decided")] == [7]
    packet = await seat.packet()
    await seat.refused(packet, "KEY_CLONED", counter=7)
    await seat.refused(packet, "KEY_CLONED", counter=3)
    await field.sigkill()
    await field.start_engine()
    await field.ready()
    packet = await seat.packet()
    await seat.refused(packet, "KEY_CLONED", counter=7)
    await seat.cosign(packet, counter=8)
    await field.until_session("live")
    await field.client.stop("done")
    await field.until_session("stopped")
    await _recon(seat)
    await _pack(seat)


async def _recon(seat: Seat) -> None:
    """The same key signs the reconciliation: its count goes on from the decision's."""
    field = seat.field
    report = (await field.client.run_recon()).report
    digest = sha256_hex(report.encode())
    for counter in (8, 9):
        signature = seat.token.sign(report.encode(), Namespace.RECON_REVIEW, counter=counter)
        if counter == 8:
            with pytest.raises(Refused) as caught:
                await field.reviewer.client.sign_recon(digest, signature)
            assert caught.value.code == "KEY_CLONED"
        else:
            await field.reviewer.client.sign_recon(digest, signature)
    await field.client.sign_recon(digest, await field.operator.sign(report, Namespace.RECON))
    await field.until_session("reconciled")


async def _pack(seat: Seat) -> None:
    """And the pack: three signatures in one ceremony, each a touch of its own."""
    field = seat.field
    client = field.reviewer.client
    await field.client.write_lessons(("Counts only rise.",))
    manifest = (await field.client.write_pack()).tagmanifest.encode()
    digest = sha256_hex(manifest)
    reports = {name: await client.pack_document(name) for name in SIGNED_REPORTS}
    for counts, good in (((9, 10, 11), False), ((10, 10, 11), False), ((10, 11, 12), True)):
        first, *others = counts
        signature = seat.token.sign(manifest, Namespace.PACK_REVIEW, counter=first)
        documents = {
            name: seat.token.sign(content, SIGNED_REPORTS[name][Role.REVIEWER], counter=count)
            for (name, content), count in zip(reports.items(), others, strict=True)
        }
        if good:
            await client.sign_pack(digest, signature, documents)
        else:
            with pytest.raises(Refused) as caught:
                await client.sign_pack(digest, signature, documents)
            assert caught.value.code == "KEY_CLONED"
    assert [one["counter"] for one in field.events("recon.signed", role="reviewer")] == [9]
    assert [one["counter"] for one in field.events("pack.signed", role="reviewer")] == [12]
