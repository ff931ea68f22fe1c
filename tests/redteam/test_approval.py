"""Attacks on the approval: to have an order allowed that two people did not allow.

The engine runs, the operator's packet waits with its signature, and somebody with access to the
socket, to a key or to a file tries to turn that into a GO.
"""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from config.settings import load
from engine.contracts.canonical import canonical, sha256_hex
from engine.contracts.documents import OPERATOR_NAMESPACES, REVIEWER_NAMESPACES, Namespace
from engine.contracts.errors import ConfigError
from engine.governance.packet import limits_sha256
from engine.governance.wordlist import WORDS, short_code
from engine.signatures.allowed_signers import allowed_signers_line
from engine.signatures.check import Checker
from peakctl.ceremony import new_nonce
from peakctl.founding import create_demo
from peakctl.tools import draft_charter
from tests.faults.conftest import FAST, Field, merged
from tests.redteam.conftest import Answer, Desk, Loop, keygen_sign, replaced


def refused(desk: Desk, answer: Answer, *codes: str) -> None:
    """The engine said no, with one of these codes, and nothing was approved."""
    assert answer.status in {400, 403, 409}, answer
    assert answer.code in codes, answer
    desk.nothing_was_approved()


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


# --- what is signed -------------------------------------------------------------------------------


def edited(change: Callable[[dict[str, Any]], object]) -> Callable[[str], str]:
    """The reviewer's document with something else in it, in canonical form again."""

    def edit(document: str) -> str:
        told = json.loads(document)
        change(told)
        return canonical(told).decode() + "\n"

    return edit


def test_a_decision_is_changed_after_it_was_signed(desk: Desk) -> None:
    document = desk.decision(desk.packet(), "NO-GO", "do not")
    signature = desk.sign("reviewer", document, Namespace.COSIGN)
    turned = edited(lambda told: told.update(decision="GO"))(document)
    refused(desk, desk.cosign(turned, signature), "REVIEWER_SIGNATURE")


def test_a_decision_about_a_sibling_of_the_packet(desk: Desk) -> None:
    """A packet with one limit larger, properly built, hashed and approved by the reviewer."""
    packet = desk.packet()
    told = json.loads(packet)
    told["limits"]["max_order_notional"] = "999999"
    told["limits_sha256"] = sha256_hex(canonical(told["limits"]))
    sibling = canonical(told).decode() + "\n"
    refused(desk, desk.cosign(desk.decision(sibling)), "GO_SHA_MISMATCH")


def test_the_decision_of_an_earlier_packet_is_handed_in_again(desk: Desk) -> None:
    old = desk.decision(desk.packet())
    signature = desk.sign("reviewer", old, Namespace.COSIGN)
    desk.end_session()
    desk.packet()
    refused(desk, desk.cosign(old, signature), "SESSION_MISMATCH", "GO_SHA_MISMATCH")


DECISIONS = ["ABSTAIN", "go", "Go", "GO ", " GO", "GO\x00", "NO-GO", "", "NOGO", "\u200bGO"]


@pytest.mark.parametrize("decision", DECISIONS, ids=ascii)
def test_a_decision_that_is_not_plainly_go(desk: Desk, decision: str) -> None:
    document = edited(lambda told: told.update(decision=decision))(desk.decision(desk.packet()))
    refused(desk, desk.cosign(document), "DECISION", "REASON_MISSING")


SPELLINGS: dict[str, Callable[[str], str]] = {
    "a key twice": lambda one: one.replace('{"decided_at"', '{"decision":"NO-GO","decided_at"'),
    "a float": lambda one: one.replace('"decided_at":', '"decided_at":1.5,"x":'),
    "an infinite float": lambda one: one.replace('"decided_at":', '"decided_at":1e400,"x":'),
    "not a number": lambda one: one.replace('"decided_at":', '"decided_at":NaN,"x":'),
    "a huge number": lambda one: one.replace('"decided_at":', f'"decided_at":{"9" * 5000},"x":'),
    "bytes after the end": lambda one: one + "x",
    "two documents": lambda one: one + one,
    "windows line end": lambda one: one.replace("\n", "\r\n"),
    "no line end": lambda one: one.rstrip("\n"),
    "a byte order mark": lambda one: "\ufeff" + one,
    "spaces": lambda one: one.replace(":", ": "),
    "an unknown field": lambda one: one.replace("{", '{"also":"x",', 1),
    "a field less": edited(lambda told: told.pop("reviewer_nonce")),
    "a null": edited(lambda told: told.update(reviewer_nonce=None)),
    "a list for a text": edited(lambda told: told.update(decision=["GO"])),
    "another type": edited(lambda told: told.update(type="peakctl-go-1")),
    "an escaped letter": lambda one: one.replace('"GO"', '"\\u0047O"'),
    "raw unicode": lambda one: one.replace('"reason":""', '"reason":"ü"'),
    "nested deeply": lambda one: one.replace('"reason":""', f'"reason":{"[" * 9000}{"]" * 9000}'),
    "nothing": lambda _: "",
    "null": lambda _: "null\n",
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_decision_spelt_in_a_way_that_readers_disagree_on(desk: Desk, spelling: str) -> None:
    """Each is signed by the reviewer in good faith: only the form is wrong."""
    good = desk.decision(desk.packet())
    document = SPELLINGS[spelling](good)
    assert document != good
    refused(desk, desk.cosign(document), "COSIGN_UNREADABLE")


NONCES = ["0" * 64, "f" * 64, "", "x" * 64]


@pytest.mark.parametrize("nonce", NONCES, ids=["zeros", "a stranger's", "none", "not hex"])
def test_the_decision_of_a_process_that_never_joined(desk: Desk, nonce: str) -> None:
    document = edited(lambda told: told.update(reviewer_nonce=nonce))(desk.decision(desk.packet()))
    refused(desk, desk.cosign(document), "NONCE_MISMATCH")


CODES: dict[str, Callable[[str], str]] = {
    "of another packet": lambda packet: short_code(sha256_hex(packet.encode() + b" ")),
    "nothing": lambda _: "",
    "the first word": lambda packet: short_code(sha256_hex(packet.encode())).split("-")[0],
    "one word too many": lambda packet: f"{short_code(sha256_hex(packet.encode()))}-{WORDS[0]}",
    "the words turned round": lambda packet: "-".join(
        reversed(short_code(sha256_hex(packet.encode())).split("-"))
    ),
    "the hash": lambda packet: sha256_hex(packet.encode()),
    "look-alike letters": lambda packet: (
        short_code(sha256_hex(packet.encode()))
        .replace("a", "\u0430")
        .replace("i", "\u0456")
        .replace("o", "\u043e")
        .replace("u", "\u057d")
    ),
}


@pytest.mark.parametrize("code", CODES)
def test_the_reviewer_types_another_code_than_the_packets(desk: Desk, code: str) -> None:
    packet = desk.packet()
    document = edited(lambda told: told.update(short_code=CODES[code](packet)))(
        desk.decision(packet)
    )
    refused(desk, desk.cosign(document), "SHORT_CODE")


# --- the form of a signature ----------------------------------------------------------------------


def reblob(change: Callable[[bytes], bytes]) -> Callable[[str], str]:
    """The armour of a changed blob, as ssh-keygen would write it."""

    def again(armoured: str) -> str:
        lines = armoured.splitlines()
        blob = change(base64.b64decode("".join(lines[1:-1])))
        text = base64.b64encode(blob).decode()
        rows = [text[at : at + 70] for at in range(0, len(text), 70)]
        return "\n".join([lines[0], *rows, lines[-1]]) + "\n"

    return again


def _string(value: bytes) -> bytes:
    return len(value).to_bytes(4, "big") + value


_HASH = _string(b"sha512")

MALLEATIONS: dict[str, Callable[[str], str]] = {
    "junk behind": lambda one: one + "junk\n",
    "junk before": lambda one: "junk\n" + one,
    "a second signature": lambda one: one + one,
    "windows line ends": lambda one: one.replace("\n", "\r\n"),
    "no last line end": lambda one: one.rstrip("\n"),
    "an empty line inside": lambda one: one.replace("SIGNATURE-----\n", "SIGNATURE-----\n\n", 1),
    "spaces in the base64": lambda one: one.replace("U1NI", "U1 NI", 1),
    "other line lengths": lambda one: one.replace("\n", "", 2).replace(
        "SIGNATURE-----", "SIGNATURE-----\n", 1
    ),
    "version 0": reblob(lambda blob: blob[:6] + bytes(4) + blob[10:]),
    "version 2": reblob(lambda blob: blob[:6] + bytes((0, 0, 0, 2)) + blob[10:]),
    "a filled reserved field": reblob(
        lambda blob: blob.replace(_string(b"") + _HASH, _string(b"x") + _HASH)
    ),
    "hash sha256": reblob(lambda blob: blob.replace(_HASH, _string(b"sha256"))),
    "hash sha1": reblob(lambda blob: blob.replace(_HASH, _string(b"sha1"))),
    "hash md5": reblob(lambda blob: blob.replace(_HASH, _string(b"md5"))),
    "bytes behind the blob": reblob(lambda blob: blob + b"\0"),
    "cut short": reblob(lambda blob: blob[:-1]),
    "a length past the end": reblob(lambda blob: blob[:10] + b"\xff\xff\xff\xff" + blob[14:]),
    "no signature": lambda _: "",
    "a megabyte": lambda one: one + "A" * 1_000_000,
}


@pytest.mark.parametrize("how", MALLEATIONS)
def test_a_good_signature_in_another_form(desk: Desk, how: str) -> None:
    """OpenSSH lets many of these pass; a signature that has two forms can be replayed as new."""
    document = desk.decision(desk.packet())
    good = desk.sign("reviewer", document, Namespace.COSIGN)
    bad = MALLEATIONS[how](good)
    assert bad != good
    answer = desk.cosign(document, bad)
    refused(desk, answer, "REVIEWER_SIGNATURE", "VERIFIERS_DISAGREE", "INPUT", "INVALID_INPUT")


# --- lists of keys that ssh-keygen follows and we do not ------------------------------------------


def _line(principal: str, options: str, public: str) -> str:
    kind, key = public.split()[:2]
    return f"{principal} {options} {kind} {key}\n"


@pytest.mark.parametrize(
    ("principal", "options"),
    [
        ("*", 'namespaces="{all}"'),
        ("rev:*", 'namespaces="{all}"'),
        ("rev:bo?", 'namespaces="{all}"'),
        ("rev:bob,op:alice", 'namespaces="{all}"'),
        ("!op:alice,*", 'namespaces="{all}"'),
        ("rev:bob", 'namespaces="*"'),
        ("rev:bob", 'namespaces="peakctl-*"'),
        ("rev:bob", 'namespaces="{all},{go}"'),
        ("rev:bob", ""),
        ("rev:bob", 'namespaces="{all}",valid-after="20200101"'),
    ],
)
def test_a_loose_line_in_allowed_signers_lets_nobody_in(
    tmp_path: Path, keys: dict[str, Path], principal: str, options: str
) -> None:
    """`ssh-keygen` calls mallory's signature good under each of these lines."""
    message = b"decision\n"
    signature = keygen_sign(keys["mallory"], message, Namespace.COSIGN)
    path = tmp_path / "allowed_signers"
    filled = options.format(all=",".join(REVIEWER_NAMESPACES), go=Namespace.GO)
    path.write_text(_line(principal, filled, keys["mallory"].with_suffix(".pub").read_text()))
    assert _stock(path, "rev:bob", message, signature, tmp_path) == 0
    verdict = Checker(path).check("rev:bob", Namespace.COSIGN, message, signature)
    assert not verdict.ok
    assert verdict.reason


def _stock(signers: Path, principal: str, message: bytes, signature: str, folder: Path) -> int:
    file = folder / "signature"
    file.write_text(signature)
    return subprocess.run(
        [
            *("ssh-keygen", "-Y", "verify", "-f", str(signers), "-I", principal),
            *("-n", Namespace.COSIGN, "-s", str(file)),
        ],
        input=message,
        capture_output=True,
        check=False,
    ).returncode


def test_a_certificate_of_a_listed_authority_lets_nobody_in(
    tmp_path: Path, keys: dict[str, Path]
) -> None:
    """Whoever holds the authority's key could make a reviewer out of anybody."""
    subprocess.run(
        [
            *("ssh-keygen", "-q", "-s", str(keys["bob"]), "-I", "m", "-n", "rev:bob"),
            str(keys["mallory"].with_suffix(".pub")),
        ],
        check=True,
        capture_output=True,
    )
    certificate = keys["mallory"].with_name("mallory-cert.pub")
    message = b"decision\n"
    signature = keygen_sign(certificate, message, Namespace.COSIGN)
    path = tmp_path / "allowed_signers"
    names = ",".join(REVIEWER_NAMESPACES)
    public = keys["bob"].with_suffix(".pub").read_text()
    path.write_text(_line("rev:bob", f'cert-authority,namespaces="{names}"', public))
    assert _stock(path, "rev:bob", message, signature, tmp_path) == 0
    assert not Checker(path).check("rev:bob", Namespace.COSIGN, message, signature).ok
    path.write_text(_line("rev:bob", f'namespaces="{names}"', public))
    assert not Checker(path).check("rev:bob", Namespace.COSIGN, message, signature).ok


def test_one_key_under_two_names_is_nobodys(tmp_path: Path, keys: dict[str, Path]) -> None:
    public = keys["alice"].with_suffix(".pub").read_text()
    path = tmp_path / "allowed_signers"
    path.write_text(
        allowed_signers_line("op:alice", OPERATOR_NAMESPACES, public)
        + allowed_signers_line("rev:bob", REVIEWER_NAMESPACES, public)
    )
    signature = keygen_sign(keys["alice"], b"x\n", Namespace.COSIGN)
    assert _stock(path, "rev:bob", b"x\n", signature, tmp_path) == 0
    assert not Checker(path).check("rev:bob", Namespace.COSIGN, b"x\n", signature).ok


def test_a_key_that_is_not_valid_yet_or_no_more(tmp_path: Path, keys: dict[str, Path]) -> None:
    line = allowed_signers_line(
        "rev:bob", REVIEWER_NAMESPACES, keys["bob"].with_suffix(".pub").read_text()
    )
    signature = keygen_sign(keys["bob"], b"x\n", Namespace.COSIGN)
    path = tmp_path / "allowed_signers"
    for option in ('valid-after="20990101Z"', 'valid-before="20200101Z"'):
        path.write_text(line.replace("namespaces=", f"{option},namespaces="))
        verdict = Checker(path).check("rev:bob", Namespace.COSIGN, b"x\n", signature)
        assert (verdict.strict_ok, verdict.keygen_ok) == (False, False)


def test_a_revocation_list_in_either_form_stops_the_key(
    tmp_path: Path, keys: dict[str, Path]
) -> None:
    """A binary KRL is what ssh-keygen can read and we cannot: then nobody's signature is good."""
    signers, revoked = tmp_path / "allowed_signers", tmp_path / "revoked_keys"
    public = keys["bob"].with_suffix(".pub")
    signers.write_text(allowed_signers_line("rev:bob", REVIEWER_NAMESPACES, public.read_text()))
    signature = keygen_sign(keys["bob"], b"x\n", Namespace.COSIGN)
    checker = Checker(signers, revoked)
    assert checker.check("rev:bob", Namespace.COSIGN, b"x\n", signature).ok
    revoked.write_text(public.read_text())
    assert not checker.check("rev:bob", Namespace.COSIGN, b"x\n", signature).ok
    revoked.unlink()
    subprocess.run(
        ["ssh-keygen", "-q", "-k", "-f", str(revoked), str(public)], check=True, capture_output=True
    )
    assert not checker.check("rev:bob", Namespace.COSIGN, b"x\n", signature).ok


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
            await field.to_checklist()
            with pytest.raises(Exception, match="one Unix user"):
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
