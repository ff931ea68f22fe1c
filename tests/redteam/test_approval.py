"""Attacks on the approval: to have an order allowed that two people did not allow.

The engine runs, the operator's packet waits with its signature, and somebody with access to the
socket, to a key or to a file tries to turn that into a GO.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from config.settings import load
from engine.contracts.canonical import canonical, sha256_hex
from engine.contracts.documents import Namespace
from engine.contracts.errors import ConfigError, Refused
from engine.governance.packet import limits_sha256
from peakctl.ceremony import new_nonce
from peakctl.founding import create_demo
from peakctl.tools import draft_charter
from tests.faults.conftest import FAST, Field, merged
from tests.redteam.conftest import Desk, Loop, keygen_sign, refused, replaced

# --- who signs ------------------------------------------------------------------------------------


def test_the_operator_signs_the_reviewers_decision(desk: Desk) -> None:
    document = desk.decision(desk.packet())
    signature = desk.sign("operator", document, Namespace.COSIGN)
    refused(desk, desk.cosign(document, signature), "REVIEWER_SIGNATURE")


def test_a_stranger_signs_the_reviewers_decision(desk: Desk, keys: dict[str, Path]) -> None:
    document = desk.decision(desk.packet())
    signature = keygen_sign(keys["mallory"], document.encode(), Namespace.COSIGN)
    refused(desk, desk.cosign(document, signature), "REVIEWER_SIGNATURE")


def test_a_key_of_another_type_signs(desk: Desk, keys: dict[str, Path]) -> None:
    document = desk.decision(desk.packet())
    signature = keygen_sign(keys["ecdsa"], document.encode(), Namespace.COSIGN)
    refused(desk, desk.cosign(document, signature), "REVIEWER_SIGNATURE")


@pytest.mark.parametrize("namespace", [one for one in Namespace if one is not Namespace.COSIGN])
def test_the_reviewers_key_signed_the_decision_for_another_purpose(
    desk: Desk, namespace: Namespace
) -> None:
    document = desk.decision(desk.packet())
    signature = desk.sign("reviewer", document, namespace)
    refused(desk, desk.cosign(document, signature), "REVIEWER_SIGNATURE")


def test_the_operator_decides_in_the_reviewers_place(desk: Desk) -> None:
    document = desk.decision(desk.packet())
    refused(desk, desk.cosign(document, person="alice"), "ROLE")


def test_the_operators_document_names_the_operator_as_the_decider(desk: Desk) -> None:
    packet = desk.packet()
    told = json.loads(desk.decision(packet))
    told["reviewer"] = json.loads(packet)["operator"]
    document = canonical(told).decode() + "\n"
    refused(desk, desk.cosign(document), "SELF_APPROVAL", "REVIEWER_MISMATCH", "COSIGN_UNREADABLE")


@pytest.mark.parametrize("person", ["mallory", "", "Bob", "bob ", "bob\u200b", "engine", "rev:bob"])
def test_a_name_that_is_not_in_the_roster_decides(desk: Desk, person: str) -> None:
    refused(desk, desk.cosign(desk.decision(desk.packet()), person=person), "ROLE")


@pytest.mark.parametrize(
    ("route", "body"),
    [
        ("note", {"text": "in another name"}),
        ("session/abort", {"reason": "in another name"}),
        ("session/pause", {}),
        ("session/stop", {}),
        ("checklist/probe", {}),
        ("order/cancel", {"client_order_id": "x"}),
        (
            "order/submit",
            {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "0.001"},
        ),
        ("engine/stop", {"reason": "in another name"}),
        ("snapshot", {}),
        ("incident", {"text": "in another name"}),
    ],
)
def test_somebody_speaks_in_the_name_of_a_person_with_another_unix_user(
    desk: Desk, route: str, body: dict[str, Any]
) -> None:
    """The roster ties carol to a uid; the kernel says that it is not hers that speaks."""
    desk.packet()
    refused(desk, desk.post(route, person="carol", **body), "UID_MISMATCH")


# --- what changes between the two signatures ------------------------------------------------------


CHANGES: dict[str, tuple[str, Callable[[bytes, Desk], bytes]]] = {
    "a looser limit": (
        "config/peakctl.toml",
        lambda old, _: old + b"\n[limits]\nmax_open_orders = 99\n",
    ),
    "a comment in the config": ("config/peakctl.toml", lambda old, _: old + b"# hello\n"),
    "a name in the roster": ("config/people.toml", lambda old, _: old.replace(b"Bob", b"Rob")),
    "a comment in allowed_signers": ("config/allowed_signers", lambda old, _: old + b"# hello\n"),
    "a revoked key": (
        "config/revoked_keys",
        lambda _, desk: desk.place.key_of("reviewer").with_suffix(".pub").read_bytes(),
    ),
    "an empty revocation list": ("config/revoked_keys", lambda _, __: b""),
}


@pytest.mark.parametrize("what", CHANGES)
def test_something_signed_over_changes_before_the_second_signature(desk: Desk, what: str) -> None:
    document = desk.decision(desk.packet())
    signature = desk.sign("reviewer", document, Namespace.COSIGN)
    name, change = CHANGES[what]
    path = desk.place.root / name
    before = path.read_bytes() if path.exists() else b""
    with replaced(path, change(before, desk)):
        refused(
            desk,
            desk.cosign(document, signature),
            "FACTS_CHANGED",
            "REVIEWER_SIGNATURE",
            "STAGE",
        )


def test_the_reviewers_key_is_exchanged_in_the_list_for_the_attackers(
    desk: Desk, keys: dict[str, Path]
) -> None:
    """The list as the attacker wrote it is a good list; but it is not the one of the packet."""
    document = desk.decision(desk.packet())
    path = desk.place.allowed_signers
    bobs = desk.place.key_of("reviewer").with_suffix(".pub").read_text().split()[1]
    mallorys = keys["mallory"].with_suffix(".pub").read_text().split()[1]
    with replaced(path, path.read_bytes().replace(bobs.encode(), mallorys.encode())):
        signature = keygen_sign(keys["mallory"], document.encode(), Namespace.COSIGN)
        refused(
            desk,
            desk.cosign(document, signature),
            "SIGNER_MISMATCH",
            "FACTS_CHANGED",
            "OPERATOR_SIGNATURE",
            "STAGE",
        )


def test_a_checklist_answer_is_changed_after_the_packet(desk: Desk) -> None:
    document = desk.decision(desk.packet())
    items = [row for row in desk.session()["checklist"] if row["kind"] == "manual"]
    answer = desk.post(
        "checklist/answer",
        person="alice",
        item_id=items[0]["id"],
        role="operator",
        answer="something else",
    )
    if answer.status == 200:
        refused(desk, desk.cosign(document), "FACTS_CHANGED", "BLOCKERS", "STAGE")
    else:
        refused(desk, answer, "ILLEGAL_TRANSITION", "STATE", "ITEM", "CHECKLIST")


# --- the operator's half --------------------------------------------------------------------------


def test_the_reviewer_signs_in_the_operators_place(desk: Desk) -> None:
    packet = desk.requested()
    digest = sha256_hex(packet.encode())
    for role, namespace in (("reviewer", Namespace.GO), ("operator", Namespace.COSIGN)):
        signature = desk.sign(role, packet, namespace)
        answer = desk.post("go/sign", person="alice", sha256=digest, signature=signature)
        refused(desk, answer, "OPERATOR_SIGNATURE")
    signature = desk.sign("reviewer", packet, Namespace.GO)
    answer = desk.post("go/sign", person="bob", sha256=digest, signature=signature)
    refused(desk, answer, "ROLE")


def test_a_packet_of_the_operators_own_making_is_signed(desk: Desk) -> None:
    packet = desk.requested()
    mine = packet.replace('"max_open_orders":"', '"max_open_orders":"9')
    assert mine != packet
    for digest in (sha256_hex(mine.encode()), sha256_hex(packet.encode())):
        signature = desk.sign("operator", mine, Namespace.GO)
        answer = desk.post("go/sign", person="alice", sha256=digest, signature=signature)
        refused(desk, answer, "GO_SHA_MISMATCH", "OPERATOR_SIGNATURE")


def test_the_decision_comes_before_the_operators_signature(desk: Desk) -> None:
    packet = desk.requested()
    refused(desk, desk.cosign(desk.decision(packet)), "STAGE")


@pytest.mark.parametrize(
    "nonce",
    ["", "0" * 63, "G" * 64, "A" * 64, "0" * 65, "\u0660" * 64],
    ids=["none", "short", "no hex", "capitals", "long", "other digits"],
)
def test_a_reviewer_joins_with_what_is_no_nonce(desk: Desk, nonce: str) -> None:
    desk.packet()
    answer = desk.post("review/join", person="bob", nonce=nonce, signals={})
    refused(desk, answer, "NONCE", "NONCE_MISSING", "NONCE_REPLAYED")


def test_a_reviewer_joins_with_the_nonce_of_another_time(desk: Desk) -> None:
    packet = json.loads(desk.packet())
    desk.end_session()
    desk.run(desk.field.to_checklist())
    for nonce in (packet["reviewer_nonce"], packet["operator_nonce"]):
        answer = desk.post("review/join", person="bob", nonce=nonce, signals={})
        refused(desk, answer, "NONCE", "NONCE_REPLAYED", "NONCE_SEEN")


def test_the_operator_joins_as_the_reviewer(desk: Desk) -> None:
    desk.packet()
    answer = desk.post("review/join", person="alice", nonce=new_nonce(), signals={})
    refused(desk, answer, "ROLE")


def test_an_order_is_sent_before_anything_was_approved(desk: Desk) -> None:
    desk.packet()
    answer = desk.post(
        "order/submit",
        person="alice",
        symbol="BTCUSDT",
        side="BUY",
        type="MARKET",
        quantity="0.001",
    )
    assert answer.status == 403, answer
    desk.nothing_was_approved()
    assert desk.field.events("order.intended") == []


# --- the charter ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        {"operator": "bob"},
        {"reviewer": "alice"},
        {"reviewer": "mallory"},
        {"operator": "bob", "reviewer": "alice"},
        {"mode": "live"},
        {"mode": "testnet"},
        {"account": "other"},
        {"venue": "elsewhere"},
        {"instruments": ["DOGEUSDT"]},
        {"attendance_seconds": 86_400},
        {"window_until_us": 4_000_000_000_000_000},
        {"runbook": "../../etc/passwd"},
        {"limits": {"max_order_notional": "999999999"}},
        {"limits": {"max_session_loss": "999999999"}},
        {"limits": {"price_collar_bps": 9999}},
        {"limits": {"max_open_orders": -1}},
        {"limits": {"max_order_quantity": "NaN"}},
        {"limits": {"max_position": "Infinity"}},
        {"limits": {"max_orders_per_second": 1_000_000}},
    ],
    ids=str,
)
def test_a_charter_that_allows_more_than_the_config(desk: Desk, change: dict[str, Any]) -> None:
    desk.end_session()
    before = desk.session()["id"] if desk.state()["session"] else ""
    charter = json.loads(canonical(draft_charter(desk.place, "alice")))
    for name, value in change.items():
        charter[name] = {**charter[name], **value} if isinstance(value, dict) else value
    answer = desk.post("session/charter", person="alice", charter=charter)
    assert answer.status in {400, 403}, answer
    assert (desk.session()["id"] if desk.state()["session"] else "") == before


def test_one_unix_user_in_both_roles_without_the_waiver(tmp_path: Path, loop: Loop) -> None:
    """As root, too: there is no exemption."""

    async def play() -> None:
        place = create_demo(tmp_path / "w", merged(FAST, {"allow_same_uid": False}))
        field = Field(place, {})
        try:
            await field.start_sandbox()
            await field.start_engine()
            await field.sit_down()
            with pytest.raises(Refused, match="as the same Unix user"):
                await field.to_checklist()
            with pytest.raises(Refused):
                await field.cosign(await field.request_and_sign())
            view = await field.state()
            assert view.session is not None
            assert view.session.go.stage != "go"
        finally:
            await field.close()

    loop.run(play())


@pytest.mark.parametrize("environment", ["shadow", "testnet", "prod"])
def test_the_waiver_for_one_unix_user_counts_in_dev_only(tmp_path: Path, environment: str) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config/peakctl.toml").write_text(
        f'environment = "{environment}"\nallow_same_uid = true\n'
    )
    with pytest.raises(ConfigError, match="allow_same_uid"):
        load(tmp_path, {})


def test_the_limits_are_in_the_packet_as_they_are_enforced(desk: Desk) -> None:
    """What both read is what is hashed: nothing is shown that is not signed."""
    packet = json.loads(desk.packet())
    assert packet["limits_sha256"] == sha256_hex(canonical(packet["limits"]))
    charter = draft_charter(desk.place, "alice")
    assert packet["limits_sha256"] == limits_sha256(charter.limits)
