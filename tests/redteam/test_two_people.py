"""Attacks on the two people themselves: what they are shown, what is said of them, and when.

The desk is the one of `test_approval.py`; the last test forks its records onto a second engine.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.contracts.canonical import canonical, sha256_hex
from engine.contracts.documents import Namespace
from engine.contracts.errors import ConfigError, InputError, Refused
from engine.governance.approval import MOST_MISTYPED
from engine.governance.checklist import commitment_of
from engine.governance.packet import packet_lines, parse_packet
from engine.governance.people import parse_roster
from engine.governance.wordlist import short_code
from peakctl.ceremony import new_nonce
from peakctl.client.raw_http import exchange
from peakctl.signing import signals
from peakctl.workspace import Workspace
from tests.faults.conftest import Field
from tests.redteam.conftest import Desk, Loop, refused


def changed(document: str, **fields: Any) -> str:
    """The reviewer's document with other fields, in canonical form again."""
    return canonical({**json.loads(document), **fields}).decode() + "\n"


# --- the limit that is typed ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "typed",
    [
        *("", "0", "1", "49999", "50001", "500000", "5000", "50000.0", "50000.", "5e4", "5E4"),
        *("+50000", "-50000", "050000", "50,000", "50 000", "50_000", "0x c350", "50000USDT"),
        *("٥٠٠٠٠", "５００００", "5\u200b0000", "50000\u202e", "\u00a050000"),  # noqa: RUF001
        *("50000\n", "50000\x00", "50000;1", "NaN", "Infinity", "50000" * 20),
    ],
    ids=ascii,
)
def test_another_number_than_the_packets_is_typed(desk: Desk, typed: str) -> None:
    packet = desk.packet()
    assert json.loads(packet)["limits"]["max_order_notional"] == "50000"
    refused(desk, desk.cosign(changed(desk.decision(packet), typed_limit=typed)), "TYPED_LIMIT")


@pytest.mark.parametrize("limit", ["max_position", "max_session_loss", "max_order_quantity"])
def test_another_limit_of_the_packet_is_typed(desk: Desk, limit: str) -> None:
    packet = desk.packet()
    typed = json.loads(packet)["limits"][limit]
    refused(desk, desk.cosign(changed(desk.decision(packet), typed_limit=typed)), "TYPED_LIMIT")


def test_a_decision_in_the_form_of_an_older_version_does_not_skip_the_limit(desk: Desk) -> None:
    told = json.loads(desk.decision(desk.packet()))
    del told["typed_limit"]
    refused(desk, desk.cosign(canonical(told).decode() + "\n"), "TYPED_LIMIT")


@pytest.mark.parametrize("value", [50000, None, ["50000"], {"x": "50000"}, True], ids=str)
def test_the_limit_is_a_text_and_nothing_else(desk: Desk, value: Any) -> None:
    document = changed(desk.decision(desk.packet()), typed_limit=value)
    refused(desk, desk.cosign(document), "COSIGN_UNREADABLE")


# --- what else the decision says ------------------------------------------------------------------


@pytest.mark.parametrize("decision", ["GO", "NO-GO", "ABSTAIN"])
def test_a_reason_that_floods_the_record(desk: Desk, decision: str) -> None:
    document = changed(desk.decision(desk.packet()), decision=decision, reason="x" * 501)
    refused(desk, desk.cosign(document), "REASON_TOO_LONG")


@pytest.mark.parametrize("decision", ["NO-GO", "ABSTAIN"])
@pytest.mark.parametrize(
    "reason", ["", " ", "\t\n", "\u2003", "\u200b", "\u2800", "\u3164\u202e", "..."], ids=ascii
)
def test_a_no_without_a_reason(desk: Desk, decision: str, reason: str) -> None:
    document = changed(desk.decision(desk.packet()), decision=decision, reason=reason)
    refused(desk, desk.cosign(document), "REASON_MISSING")


@pytest.mark.parametrize("when", [0, -1, 1, 2**62, 10**30, -(10**30)], ids=str)
def test_a_decision_of_another_day(desk: Desk, when: int) -> None:
    document = changed(desk.decision(desk.packet()), decided_at=when)
    refused(desk, desk.cosign(document), "DECIDED_AT", "COSIGN_UNREADABLE")


@pytest.mark.parametrize("decision", ["NO-GO", "ABSTAIN"])
def test_the_signature_of_a_no_under_a_yes(desk: Desk, decision: str) -> None:
    packet = desk.packet()
    no = changed(desk.decision(packet), decision=decision, reason="do not")
    signature = desk.sign("reviewer", no, Namespace.COSIGN)
    yes = desk.decision(packet)
    refused(desk, desk.cosign(yes, signature), "REVIEWER_SIGNATURE")


def test_the_packet_itself_is_handed_in_as_the_decision(desk: Desk) -> None:
    packet = desk.packet()
    refused(desk, desk.cosign(packet), "COSIGN_UNREADABLE")


# --- the packet in other spellings ----------------------------------------------------------------

PACKETS: dict[str, Callable[[str], str]] = {
    "a limit twice, the second larger": lambda one: one.replace(
        '"max_order_notional":', '"max_order_notional":"1","max_order_notional":'
    ),
    "limits twice": lambda one: one.replace('"limits":{', '"limits":{},"limits":{'),
    "an operator twice": lambda one: one.replace('"operator":{', '"operator":{},"operator":{', 1),
    "a limit as a number": lambda one: one.replace(
        '"max_order_notional":"50000"', '"max_order_notional":50000'
    ),
    "a limit as a float": lambda one: one.replace(
        '"max_order_notional":"50000"', '"max_order_notional":5e4'
    ),
    "a time as 1e6": lambda one: one.replace('"expires_at":', '"expires_at":1e6,"x":'),
    "a time as a float": lambda one: one.replace('"expires_at":', '"expires_at":1.0,"x":'),
    "a time of thousands of digits": lambda one: one.replace(
        '"expires_at":', f'"expires_at":{"9" * 5000},"x":'
    ),
    "a time below zero": lambda one: one.replace('"expires_at":', '"expires_at":-0,"x":'),
    "an escaped letter": lambda one: one.replace('"paper"', '"p\\u0061per"'),
    "capital hex": lambda one: one.replace('"mode":"paper"', '"mode":"\\u007aaper"'),
    "raw unicode": lambda one: one.replace('"purpose":""', '"purpose":"ü"'),
    "trailing bytes": lambda one: one + "\0",
    "a second packet behind": lambda one: one + one,
    "no newline": str.rstrip,
    "windows newline": lambda one: one.replace("\n", "\r\n"),
    "a byte order mark": lambda one: "\ufeff" + one,
    "a space": lambda one: one.replace(",", ", ", 1),
    "other order": lambda one: (
        json.dumps(dict(reversed(json.loads(one).items())), separators=(",", ":")) + "\n"
    ),
    "a comment": lambda one: one.replace("{", "{/*x*/", 1),
    "an unknown field": lambda one: one.replace("{", '{"aaa":1,', 1),
    "a field less": lambda one: one.replace('"boot_id"', '"boot_ie"'),
    "limits that do not fit their hash": lambda one: one.replace(
        '"max_order_notional":"50000"', '"max_order_notional":"99999"'
    ),
}


@pytest.mark.parametrize("how", PACKETS)
def test_a_packet_that_two_readers_would_read_differently(desk: Desk, how: str) -> None:
    """Neither the screen nor the engine reads it, and the engine does not take its signature."""
    packet = desk.packet()
    other = PACKETS[how](packet)
    assert other != packet
    with pytest.raises(InputError):
        parse_packet(other.encode("utf-8"))
    signature = desk.sign("operator", other, Namespace.GO)
    for digest in (sha256_hex(other.encode()), sha256_hex(packet.encode())):
        answer = desk.post("go/sign", person="alice", sha256=digest, signature=signature)
        refused(desk, answer, "GO_SHA_MISMATCH", "OPERATOR_SIGNATURE", "STAGE")


# --- what is said of the people -------------------------------------------------------------------


@pytest.fixture
def fresh(desk: Desk) -> Iterator[Desk]:
    """The checklist is answered, nobody has joined anew."""
    desk.end_session()
    desk.run(desk.field.to_checklist())
    yield desk
    desk.end_session()


def _packet_after(desk: Desk, said: dict[str, str]) -> dict[str, Any]:
    joined = desk.post("review/join", person="bob", nonce=new_nonce(), signals=said)
    assert joined.status == 200, joined
    return json.loads(desk.run(desk.field.client.request_go(new_nonce(), said)).packet)


def test_a_process_lies_about_its_login(fresh: Desk) -> None:
    """The kernel's word stands in its place: here no login is set, so it is unknown for both."""
    packet = _packet_after(fresh, {"loginuid": "1001", "audit_session": "7", "uid": "4242"})
    for role in ("operator", "reviewer"):
        assert packet[role]["signals"]["loginuid"] == ""
        assert packet[role]["uid"] != 4242
    assert packet["same_person"]["loginuid"] == "unknown"


def test_a_process_fills_the_packet_with_words_of_its_own(fresh: Desk) -> None:
    packet = _packet_after(
        fresh,
        {
            "tty": "/dev/pts/1\x1b[2J\u202egnp.exe" + "x" * 10_000,
            "[@click=app.kill]": "x",
            "same-uid waiver": "no",
        },
    )
    for role in ("operator", "reviewer"):
        said = packet[role]["signals"]
        assert set(said) <= {"tty", "loginuid", "audit_session", "ssh_peer", "agent"}
        assert len(said["tty"]) <= 120
        assert said["tty"].isprintable()
        assert said["tty"].isascii()


def test_a_forwarded_agent_is_seen_by_both(fresh: Desk) -> None:
    """Outside live it is recorded, in the signed bytes and on both screens."""
    packet = _packet_after(fresh, {"agent": "forwarded"})
    assert packet["reviewer"]["signals"]["agent"] == "forwarded"
    assert ("reviewer agent", "forwarded") in packet_lines(packet)


def test_the_waiver_is_seen_by_both(desk: Desk) -> None:
    packet = json.loads(desk.packet())
    assert packet["allow_same_uid"] is True
    assert packet["same_person"]["uid"] == "same"
    assert ("same-uid waiver", "YES: both may work as one Unix user") in packet_lines(packet)


NAMES = [
    "B\u043eb",  # a Cyrillic o
    "\u0391lice",  # a Greek capital alpha
    "Bob\u202egnp",
    "Bob\u200b",
    "Bob\u2066x\u2069",
    "Ｂｏｂ",  # noqa: RUF001
    "Bob\n[[people]]",
    "\x1b]0;Bob\x07",
    "",
    " ",
    "\u3164",
]


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_a_name_that_looks_like_anothers(name: str) -> None:
    row = {
        "id": "rita",
        "name": name,
        "role": "reviewer",
        "principal": "rev:rita",
        "fingerprint": "SHA256:" + "r" * 43,
    }
    with pytest.raises(ConfigError):
        parse_roster({"people": [row]})
    assert parse_roster({"people": [row | {"name": "Rita Müller"}]}).people


@pytest.mark.parametrize(
    "person_id", ["bo\u042c", "Bob", "bob ", "bob\u200b", "bob/..", "-bob", "", "b" * 33], ids=ascii
)
def test_an_id_that_looks_like_anothers(person_id: str) -> None:
    row = {
        "id": person_id,
        "name": "Rita",
        "role": "reviewer",
        "principal": "rev:rita",
        "fingerprint": "SHA256:" + "r" * 43,
    }
    with pytest.raises(ConfigError):
        parse_roster({"people": [row]})


# --- when -----------------------------------------------------------------------------------------


def test_the_charter_is_written_anew_while_the_packet_waits(desk: Desk) -> None:
    """Another reviewer, or none: nothing of the open session is exchanged under the packet."""
    packet = desk.packet()
    for change in ({"purpose": "another"}, {"reviewer": "carol"}, {"operator": "carol"}):
        charter = {**desk.session()["charter"], **change}
        answer = desk.post("session/charter", person="alice", charter=charter)
        refused(desk, answer, "SESSION_OPEN", "INPUT", "ROLE")
    assert desk.session()["go"]["packet"] == packet


@pytest.mark.parametrize("who", ["bob", "carol", "mallory"])
def test_go_is_asked_for_by_somebody_else(fresh: Desk, who: str) -> None:
    answer = fresh.post("go/request", person=who, nonce=new_nonce(), signals={})
    refused(fresh, answer, "ROLE", "UID_MISMATCH")


def test_go_is_asked_for_with_a_nonce_that_is_not_ones_own(fresh: Desk) -> None:
    theirs = new_nonce()
    fresh.post("review/join", person="bob", nonce=theirs, signals={})
    for nonce in (theirs, "", "0" * 63, "A" * 64):
        answer = fresh.post("go/request", person="alice", nonce=nonce, signals={})
        refused(fresh, answer, "NONCE_REPLAYED", "NONCE_MISSING")


def test_a_second_packet_is_asked_for_while_one_waits(desk: Desk) -> None:
    packet = desk.packet()
    answer = desk.post("go/request", person="alice", nonce=new_nonce(), signals={})
    refused(desk, answer, "STATE", "STAGE")
    assert desk.session()["go"]["packet"] == packet


def test_the_reviewer_joins_anew_between_the_signatures(desk: Desk) -> None:
    """A second process in the reviewer's name: the decision of the first does not count."""
    document = desk.decision(desk.packet())
    desk.post("review/join", person="bob", nonce=new_nonce(), signals={})
    refused(desk, desk.cosign(document), "NONCE_MISMATCH")
    desk.end_session()


def test_the_records_are_forked_and_the_decision_is_handed_in_to_the_copy(
    desk: Desk, loop: Loop, tmp_path: Path
) -> None:
    """Same session, same packet, same signatures, a good decision; another engine."""
    packet = desk.packet()
    document = desk.decision(packet)
    signature = desk.sign("reviewer", document, Namespace.COSIGN)
    root = tmp_path / "fork"
    skip = shutil.ignore_patterns("engine.*", "watchdog.*", "evidence.duckdb*")
    shutil.copytree(desk.place.root, root, ignore=skip)
    loop.run(_fork(Workspace(root), document, signature))


async def _fork(place: Workspace, document: str, signature: str) -> None:
    field = Field(place, {})
    try:
        await field.start_engine()
        await field.sit_down()
        await field.until_session("checklist")
        with pytest.raises(Refused) as caught:
            await field.reviewer.client.cosign(document, signature)
        assert caught.value.code == "STAGE"
        await _kill_before_the_decision(field)
    finally:
        await field.close()


async def _kill_before_the_decision(field: Field) -> None:
    """A good decision on a good packet comes after somebody pressed the kill."""
    await field.ready()
    await field.reviewer.client.join_review(new_nonce(), signals())
    await field.client.probe()
    packet = await field.request_and_sign()
    await field.press_kill()
    with pytest.raises(Refused) as caught:
        await field.cosign(packet)
    assert caught.value.code in {"LATCH", "STAGE"}
    await field.sigkill()
    await field.start_engine()
    with pytest.raises(Refused):
        await field.cosign(packet)
    assert not field.events("go.decided")[1:]
    assert short_code(sha256_hex(packet.encode()))


def test_the_others_blind_answer_is_read_before_the_own_one(fresh: Desk) -> None:
    """Journal, state in every role, store and snapshot have the commitment and nothing more."""
    item, secret = "max_notional_read", "73918.27364"

    def answer(person: str, role: str, words: str) -> None:
        body = {"person": person, "role": role, "item_id": item, "answer": words}
        assert fresh.post("checklist/answer", **body).status == 200

    def told() -> str:
        start = max(fresh.state()["engine"]["events"] - 40, 0)
        deadline = time.monotonic() + 60
        _, lines = exchange(fresh.place.socket, "GET", f"/v1/journal?from={start}", deadline)
        views = [fresh.get(f"state?role={role}").body for role in ("operator", "reviewer", "")]
        views.append(fresh.post("store/query", person="bob", sql="SELECT * FROM checklists").body)
        return json.dumps(views) + lines.decode()

    answer("alice", "operator", secret)
    seen = told()
    assert secret not in seen
    row = json.loads(next(x for x in reversed(seen.splitlines()) if "checklist.answered" in x))
    assert len(row["data"]["commitment"]) == 64
    assert row["data"]["result"] == "open"
    for role, words in (("operator", secret), ("reviewer", secret)):  # nothing to guess it by
        guess = {"by": "alice", "value": words, "salt": ""}
        made = commitment_of(fresh.session()["id"], item, role, **guess)
        assert made != row["data"]["commitment"]
    answer("bob", "reviewer", "50000")
    assert told().count(secret) >= 3
    rows = [one for one in fresh.session()["checklist"] if one["id"] == item]
    assert all("differs" in one["detail"] for one in rows)
    for person, role in (("bob", "reviewer"), ("alice", "operator")):
        answer(person, role, "50000")
    assert {one["result"] for one in fresh.session()["checklist"] if one["id"] == item} == {"pass"}


def test_the_short_code_is_guessed(fresh: Desk) -> None:
    """The key is the reviewer's, the words are not what was read out; the limit neither."""
    packet = fresh.packet()
    document = fresh.decision(packet)
    wrong = changed(document, short_code="alpha bravo charlie delta")
    signature = fresh.sign("reviewer", wrong, Namespace.COSIGN)
    for _ in range(MOST_MISTYPED):
        refused(fresh, fresh.cosign(wrong, signature), "SHORT_CODE")
    assert fresh.session()["go"]["stage"] == "void"
    assert "typed wrong" in fresh.session()["go"]["reason"]
    refused(fresh, fresh.cosign(document), "STAGE", "NO_REQUEST")
