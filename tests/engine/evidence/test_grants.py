"""Acts of dual control in a pack: exactly the journal's, signed by both in their own namespaces."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from engine.contracts import event as ev
from engine.contracts.canonical import sha256_hex
from engine.contracts.documents import DUAL_NAMESPACES, Namespace, Purpose
from engine.contracts.errors import IntegrityError
from engine.contracts.people import Role, person
from engine.evidence.gather import grants_of
from engine.evidence.grants import GrantFiles
from engine.evidence.verify import verify_pack
from engine.governance.dual import DualContent, Signer, build_dual, document_type
from engine.governance.shapes import Head
from tests.engine.evidence import conftest as evidence

PRINCIPALS = {Role.OPERATOR: evidence.OPERATOR, Role.REVIEWER: evidence.REVIEWER}
NAMES = {Role.OPERATOR: "alice", Role.REVIEWER: "bob"}


def document(keys: Any, **changes: Any) -> bytes:
    purpose = Purpose.CLOSE_BREAK
    signers = {
        role: Signer(
            person=NAMES[role],
            principal=PRINCIPALS[role],
            fingerprint=keys.fingerprint(PRINCIPALS[role]),
        )
        for role in Role
    }
    said = DualContent(
        type=document_type(purpose),
        purpose=purpose.value,
        request_id="0123456789ab",
        session=evidence.SESSION,
        environment="dev",
        subject={"run_id": "r1", "break B0001": 'fills "x"; "operator":{"principal":"op:eve"}'},
        reason="the venue told it late",
        requested_by="alice",
        operator=signers[Role.OPERATOR],
        reviewer=signers[Role.REVIEWER],
        allow_same_uid=True,
        config_sha256="c" * 64,
        code_sha256="d" * 64,
        roster_sha256="e" * 64,
        prev_head=Head(size=1, sha256="f" * 64),
        nonce="a" * 64,
        issued_at=evidence.START_US,
        expires_at=evidence.START_US + 300_000_000,
        boot_id="b",
        hostname="h",
    )
    return build_dual(msgspec.structs.replace(said, **changes))


def granted(chain: Any, keys: Any) -> None:
    """One grant, as the desk journals it."""
    text = document(keys)
    words = {
        "request_id": "0123456789ab",
        "purpose": "close_break",
        "session_id": evidence.SESSION,
        "document_sha256": sha256_hex(text),
    }
    asked = ev.DualRequested(**words, document=text.decode(), expires_us=1)
    chain.add(asked, person("alice", "peer-uid:1000"))
    for role in Role:
        namespace = DUAL_NAMESPACES[Purpose.CLOSE_BREAK, role]
        chain.add(
            ev.DualSigned(
                **words,
                role=role.value,
                person=NAMES[role],
                signature=keys.sign(PRINCIPALS[role], namespace, text),
                fingerprint=keys.fingerprint(PRINCIPALS[role]),
                signals={},
            ),
            person(NAMES[role], "x"),
        )
    chain.add(
        ev.DualGranted(
            **words, reason="r", operator="alice", reviewer="bob", signals={}, measured={}
        )
    )


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> evidence.World:
    return evidence.make_world(tmp_path_factory.mktemp("grants") / "w", more=granted)


def judged(world: evidence.World, folder: Path, *grants: GrantFiles) -> tuple[bool, str, str]:
    """Seal with these grants; what we say, with our findings, and what the stock tools say."""
    folder.mkdir()
    mine = msgspec.structs.replace(world.inputs, grants=grants)
    made = evidence.World(**{**vars(world), "root": folder, "inputs": mine})
    pack = made.seal()
    report = verify_pack(pack, world.allowed_signers)
    told = "; ".join(f"{one.file} {one.what}" for one in report.findings)
    done = evidence.StockTools.of(pack).run(pack, world.allowed_signers)
    assert report.ok == (done.returncode == 0), (told, done.stdout)
    return report.ok, told, done.stdout


def test_a_grant_of_the_journal_is_in_the_pack_and_both_verifiers_agree(
    world: evidence.World, tmp_path: Path
) -> None:
    (grant,) = grants_of(world.chain.records)
    assert judged(world, tmp_path / "good", grant) == (True, "", "PACK OK\n")


def _left_out(_keys: Any, _grant: GrantFiles) -> tuple[GrantFiles, ...]:
    return ()


def _twice(_keys: Any, grant: GrantFiles) -> tuple[GrantFiles, ...]:
    return grant, grant


def _one_person(keys: Any, grant: GrantFiles) -> tuple[GrantFiles, ...]:
    mine = keys.sign(evidence.OPERATOR, Namespace.CLOSE_BREAK_REVIEW, grant.document)
    signatures = {**grant.signatures, Role.REVIEWER: mine}
    return (msgspec.structs.replace(grant, signatures=signatures),)


def _another_namespace(keys: Any, grant: GrantFiles) -> tuple[GrantFiles, ...]:
    mine = keys.sign(evidence.REVIEWER, Namespace.COSIGN, grant.document)
    signatures = {**grant.signatures, Role.REVIEWER: mine}
    return (msgspec.structs.replace(grant, signatures=signatures),)


def _another_document(keys: Any, grant: GrantFiles) -> tuple[GrantFiles, ...]:
    text = document(keys, reason="another one")
    signatures = {
        role: keys.sign(PRINCIPALS[role], DUAL_NAMESPACES[Purpose.CLOSE_BREAK, role], text)
        for role in Role
    }
    return (msgspec.structs.replace(grant, document=text, signatures=signatures),)


@pytest.mark.parametrize(
    "bend",
    [_left_out, _twice, _one_person, _another_namespace, _another_document],
    ids=lambda bend: bend.__name__,
)
def test_a_pack_that_both_signed_with_other_grants_is_a_no(
    world: evidence.World,
    tmp_path: Path,
    bend: Callable[[Any, GrantFiles], tuple[GrantFiles, ...]],
) -> None:
    (grant,) = grants_of(world.chain.records)
    ok, told, stock = judged(world, tmp_path / "bent", *bend(world.keys, grant))
    assert not ok
    assert "data/go/dual" in told
    assert "data/go/dual" in stock


def test_a_grant_without_its_signatures_is_not_gathered(world: evidence.World) -> None:
    records = [one for one in world.chain.records if not isinstance(one.event, ev.DualSigned)]
    with pytest.raises(IntegrityError, match="without its document and both signatures"):
        grants_of(records)
