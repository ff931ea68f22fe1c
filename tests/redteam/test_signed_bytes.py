"""Attacks on what is signed: documents and signatures that differ from the good ones by a little.

The engine runs and the operator's packet waits with its signature. A decision is changed, borrowed
or spelt another way, and a good signature is put into another form: one byte string is approved, in
one spelling, by one signature.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest

from engine.contracts.canonical import canonical, sha256_hex
from engine.contracts.documents import Namespace
from engine.governance.wordlist import WORDS, short_code
from tests.redteam.conftest import Desk, refused

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
