"""Dual control, pure: a document is its bytes, each rule refuses for itself, the fold is total."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.contracts.canonical import canonical, sha256_hex
from engine.contracts.documents import (
    DUAL_NAMESPACES,
    OPERATOR_NAMESPACES,
    REVIEWER_NAMESPACES,
    Purpose,
)
from engine.contracts.errors import InputError
from engine.contracts.event import (
    AnyEvent,
    DualGranted,
    DualRefused,
    DualRequested,
    DualSigned,
    DualWithdrawn,
    Recorded,
)
from engine.contracts.people import Role, person
from engine.contracts.session import Environment
from engine.governance.dual import (
    HEADLINES,
    DualContent,
    DualFacts,
    Signed,
    Signer,
    build_dual,
    document_type,
    dual_lines,
    judge_dual,
    judge_request,
    judge_signature,
    parse_dual,
)
from engine.governance.dual_book import GRANTED, PENDING, WITHDRAWN, DualBook
from engine.governance.people import Roster, parse_roster
from engine.governance.shapes import Head
from engine.governance.verdict import Approved, Denied, SignatureVerdict

S = 1_000_000
NOW = 1_790_000_000 * S
TTL = 300 * S
KEYS = {Role.OPERATOR: "SHA256:" + "o" * 43, Role.REVIEWER: "SHA256:" + "r" * 43}
NAMES = {Role.OPERATOR: "alice", Role.REVIEWER: "bob"}
PRINCIPALS = {Role.OPERATOR: "op:alice", Role.REVIEWER: "rev:bob"}
UIDS = {Role.OPERATOR: 1000, Role.REVIEWER: 1001}
HASHES = {"config_sha256": "c" * 64, "code_sha256": "d" * 64, "roster_sha256": "e" * 64}


def roster(**reviewer: Any) -> Roster:
    rows = [
        {
            "id": NAMES[role],
            "name": NAMES[role],
            "role": role.value,
            "principal": PRINCIPALS[role],
            "fingerprint": KEYS[role],
            "uid": UIDS[role],
            **(reviewer if role is Role.REVIEWER else {}),
        }
        for role in Role
    ]
    return parse_roster({"people": rows})


def signer(role: Role) -> Signer:
    return Signer(person=NAMES[role], principal=PRINCIPALS[role], fingerprint=KEYS[role])


def content(**changes: Any) -> DualContent:
    base = DualContent(
        type=document_type(Purpose.LOOSEN),
        purpose=Purpose.LOOSEN.value,
        request_id="0123456789ab",
        session="s1",
        environment="testnet",
        subject={"limit": "max_position", "before": "1", "after": "2"},
        reason="the book is deeper than we thought",
        requested_by="alice",
        operator=signer(Role.OPERATOR),
        reviewer=signer(Role.REVIEWER),
        allow_same_uid=False,
        **HASHES,
        prev_head=Head(size=7, sha256="f" * 64),
        nonce="a" * 64,
        issued_at=NOW,
        expires_at=NOW + TTL,
        boot_id="boot",
        hostname="desk",
    )
    return msgspec.structs.replace(base, **changes)


def verdict(role: Role, **changes: Any) -> SignatureVerdict:
    base = SignatureVerdict(
        ok=True,
        strict_ok=True,
        keygen_ok=True,
        principal=PRINCIPALS[role],
        fingerprint=KEYS[role],
    )
    return msgspec.structs.replace(base, **changes)


def signed(role: Role, uid: int | None = -1, signals: Any = None, **changes: Any) -> Signed:
    return Signed(
        verdict=verdict(role, **changes),
        uid=UIDS[role] if uid == -1 else uid,
        signals=signals or {},
    )


def facts(said: DualContent | None = None, **changes: Any) -> DualFacts:
    document = build_dual(said or content())
    base = DualFacts(
        purpose=Purpose.LOOSEN,
        stage="pending",
        environment=Environment.TESTNET,
        session_id="s1",
        session_people=("alice", "bob"),
        roster=roster(),
        document=document,
        document_sha256=sha256_hex(document),
        signatures={role: signed(role) for role in Role},
        used_nonces=frozenset(),
        current=HASHES,
        now_us=NOW + 5 * S,
        elapsed_us=5 * S,
        ttl_us=TTL,
        allow_same_uid=False,
        mode="testnet",
        counters={},
    )
    return msgspec.structs.replace(base, **changes)


def code(judged: Approved | Denied | None) -> str:
    return judged.code if isinstance(judged, Denied) else "APPROVED"


def both(**reviewer: Any) -> Mapping[Role, Signed]:
    return {Role.OPERATOR: signed(Role.OPERATOR), Role.REVIEWER: signed(Role.REVIEWER, **reviewer)}


# --- the document --------------------------------------------------------------------------------


def test_the_document_is_its_bytes_and_reads_back() -> None:
    document = build_dual(content())
    assert parse_dual(document) == content()
    assert parse_dual(document, Purpose.LOOSEN).request_id == "0123456789ab"
    assert document.isascii()
    assert document.count(b"\n") == 1
    assert document == canonical(json.loads(document)) + b"\n"


@pytest.mark.parametrize("purpose", Purpose)
def test_each_purpose_has_its_own_type_and_pair_of_namespaces(purpose: Purpose) -> None:
    mine = {DUAL_NAMESPACES[purpose, role] for role in Role}
    assert len(mine) == len(Role)
    assert all(
        mine.isdisjoint({DUAL_NAMESPACES[other, role] for role in Role})
        for other in Purpose
        if other is not purpose
    )
    assert DUAL_NAMESPACES[purpose, Role.OPERATOR] in OPERATOR_NAMESPACES
    assert DUAL_NAMESPACES[purpose, Role.REVIEWER] in REVIEWER_NAMESPACES
    assert purpose in HEADLINES
    document = build_dual(content(type=document_type(purpose), purpose=purpose.value))
    for other in Purpose:
        if other is not purpose:
            with pytest.raises(InputError):
                parse_dual(document, other)


BAD_BYTES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda _: b"",
    "no newline": lambda raw: raw[:-1],
    "two newlines": lambda raw: raw + b"\n",
    "a space": lambda raw: raw.replace(b":", b": ", 1),
    "a key twice": lambda raw: raw.replace(b'{"allow', b'{"reason":"x","allow', 1),
    "a float": lambda raw: raw.replace(str(NOW).encode(), b"1e3", 1),
    "an unknown field": lambda raw: raw.replace(b'{"allow', b'{"a":1,"allow', 1),
    "a missing field": lambda raw: raw.replace(b'"hostname":"desk",', b"", 1),
    "another type": lambda raw: raw.replace(b"dual-loosen-1", b"dual-adopt-1", 1),
    "an unknown purpose": lambda raw: raw.replace(b'"loosen"', b'"anything"', 1),
    "a number for text": lambda raw: raw.replace(b'"s1"', b"1", 1),
    "no nonce": lambda raw: raw.replace(b"a" * 64, b"a" * 63, 1),
    "no hash": lambda raw: raw.replace(b"c" * 64, b"C" * 64, 1),
    "deep": lambda _: b"[" * 100_000,
    "surrogates": lambda raw: raw.replace(b'"desk"', b'"\\ud800"', 1),
    "over the size": lambda raw: raw.replace(b'"desk"', b'"' + b"x" * 70_000 + b'"', 1),
    "an escape of its own": lambda raw: raw.replace(b'"desk"', b'"\\u0064esk"', 1),
}


@pytest.mark.parametrize("change", BAD_BYTES.values(), ids=BAD_BYTES)
def test_what_is_not_exactly_such_bytes_is_refused(change: Callable[[bytes], bytes]) -> None:
    with pytest.raises(InputError):
        parse_dual(change(build_dual(content())))


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 255))
def test_any_changed_byte_is_another_document_or_none(at: int, flip: int) -> None:
    raw = bytearray(build_dual(content()))
    raw[at % len(raw)] ^= flip
    assert code(judge_dual(facts(document=bytes(raw)), Role.REVIEWER)) == "SHA_MISMATCH"
    try:
        said = parse_dual(bytes(raw))
    except InputError:
        return
    assert said != content()


def test_what_does_not_print_is_shown_as_an_escape() -> None:
    lines = dual_lines(content(reason="fine\u202e\x1b[2J", subject={"a\nb": "\u200bx"}))
    assert all(label.isprintable() and value.isprintable() for label, value in lines)
    assert dict(lines)["reason"] == "fine\\u202e\\u001b[2J"
    assert dict(lines)["act"] == HEADLINES[Purpose.LOOSEN]


# --- the rules -----------------------------------------------------------------------------------


def test_two_people_fresh_and_unchanged_is_granted_with_its_signals() -> None:
    judged = judge_dual(facts(), Role.REVIEWER)
    assert isinstance(judged, Approved)
    assert judged.signals["uid"] == "different"
    assert judge_request(facts(signatures={})) is None
    for role in Role:
        one = facts(signatures={role: signed(role)})
        assert code(judge_signature(one, role)) == "APPROVED"


#: What is wrong with the request itself: refuses each signature and the grant alike.
OF_THE_REQUEST: dict[str, tuple[str, dict[str, Any]]] = {
    "no document": ("STAGE", {"document": None}),
    "not waiting": ("STAGE", {"stage": "granted"}),
    "another purpose": ("UNREADABLE", {"purpose": Purpose.RELEASE}),
    "other bytes": ("SHA_MISMATCH", {"document_sha256": "0" * 64}),
    "no roster": ("ROSTER_MISSING", {"roster": None}),
    "nobody in the roster": ("UNKNOWN_PERSON", {"roster": Roster(())}),
    "other environment": ("ENVIRONMENT_MISMATCH", {"environment": Environment.SHADOW}),
    "other session": ("SESSION_MISMATCH", {"session_id": "s2"}),
    "no session any more": ("SESSION_MISMATCH", {"session_id": ""}),
    "other people": ("PEOPLE", {"session_people": ("alice", "carol")}),
    "role changed": ("ROLE", {"roster": roster(role="operator")}),
    "key changed": ("SIGNER_CHANGED", {"roster": roster(fingerprint="SHA256:" + "x" * 43)}),
    "principal changed": ("SIGNER_CHANGED", {"roster": roster(principal="rev:robert")}),
    "a demo person": ("DEMO_PERSON", {"roster": roster(demo=True)}),
    "waiver in config only": ("WAIVER_CHANGED", {"allow_same_uid": True}),
    "nonces not known": ("NONCE_REPLAYED", {"used_nonces": None}),
    "nonce used": ("NONCE_REPLAYED", {"used_nonces": frozenset({"a" * 64})}),
    "longer than the config": ("EXPIRY_TOO_LONG", {"ttl_us": TTL - 1}),
    "from the future": ("CLOCK", {"now_us": NOW - 2 * S}),
    "expired": ("EXPIRED", {"now_us": NOW + TTL}),
    "restarted since": ("ELAPSED_UNKNOWN", {"elapsed_us": None}),
    "clock set back": ("EXPIRED_MONOTONIC", {"elapsed_us": TTL}),
    "monotonic backwards": ("ELAPSED_UNKNOWN", {"elapsed_us": -1}),
    "hashes not known": ("FACTS_UNKNOWN", {"current": None}),
    **{
        f"{name} changed": ("FACTS_CHANGED", {"current": {**HASHES, name: "0" * 64}})
        for name in HASHES
    },
}


@pytest.mark.parametrize(("expected", "changes"), OF_THE_REQUEST.values(), ids=OF_THE_REQUEST)
def test_i12_a_request_that_does_not_hold_is_neither_signed_nor_granted(
    expected: str, changes: dict[str, Any]
) -> None:
    assert code(judge_request(facts(**changes))) == expected
    for role in Role:
        assert code(judge_signature(facts(**changes), role)) == expected
        assert code(judge_dual(facts(**changes), role)) == expected


ITSELF: dict[str, tuple[str, dict[str, Any]]] = {
    "no reason": ("REASON_MISSING", {"reason": " \t"}),
    "asked by a third": ("PEOPLE", {"requested_by": "carol"}),
    "outlives the rule": ("EXPIRY_TOO_LONG", {"expires_at": NOW + TTL + 1}),
    "never lives": ("EXPIRY_TOO_LONG", {"expires_at": NOW}),
    "waiver outside dev": ("WAIVER_NOT_ALLOWED", {"allow_same_uid": True}),
}


@pytest.mark.parametrize(("expected", "changes"), ITSELF.values(), ids=ITSELF)
def test_what_the_document_itself_must_not_say(expected: str, changes: dict[str, Any]) -> None:
    assert code(judge_dual(facts(content(**changes)), Role.OPERATOR)) == expected


def _twin(**changes: Any) -> tuple[DualContent, Roster]:
    """A reviewer who shares something with the operator, in the document and in the roster."""
    alice, bob = roster().people
    twin = msgspec.structs.replace(bob, **changes)
    who = Signer(person=twin.id, principal=twin.principal, fingerprint=twin.fingerprint)
    return content(reviewer=who), Roster((alice, twin))


@pytest.mark.parametrize(
    ("expected", "changes"),
    [
        ("SAME_PRINCIPAL", {"principal": "op:alice"}),
        ("SAME_FINGERPRINT", {"fingerprint": KEYS[Role.OPERATOR]}),
    ],
)
def test_one_key_or_principal_is_one_person(expected: str, changes: dict[str, Any]) -> None:
    said, people = _twin(**changes)
    assert code(judge_dual(facts(said, roster=people), Role.REVIEWER)) == expected


def test_one_person_has_one_role() -> None:
    said = content(reviewer=signer(Role.OPERATOR))
    named = facts(said, session_people=("alice", "alice"))
    assert code(judge_dual(named, Role.REVIEWER)) == "ROLE"
    alice = roster().people[0]
    both_roles = Roster((alice, msgspec.structs.replace(alice, role=Role.REVIEWER)))
    assert code(judge_dual(facts(said, roster=both_roles), Role.REVIEWER)) != "APPROVED"


SIGNATURES: dict[str, tuple[str, Mapping[Role, Signed]]] = {
    "operator only": ("REVIEWER_SIGNATURE", {Role.OPERATOR: signed(Role.OPERATOR)}),
    "reviewer only": ("OPERATOR_SIGNATURE", {Role.REVIEWER: signed(Role.REVIEWER)}),
    "neither": ("OPERATOR_SIGNATURE", {}),
    "not good": (
        "REVIEWER_SIGNATURE",
        both(ok=False, strict_ok=False, keygen_ok=False, reason="no"),
    ),
    "only said to be good": ("REVIEWER_SIGNATURE", both(strict_ok=False, keygen_ok=False)),
    "strict says no": ("VERIFIERS_DISAGREE", both(ok=False, strict_ok=False)),
    "ssh-keygen says no": ("VERIFIERS_DISAGREE", both(ok=False, keygen_ok=False)),
    "of the operator": ("SIGNER_MISMATCH", both(fingerprint=KEYS[Role.OPERATOR])),
    "as the operator": ("SIGNER_MISMATCH", both(principal="op:alice")),
    "handed in by another": ("UID_UNKNOWN", both(uid=None)),
    "from another login": ("UID_MISMATCH", both(uid=1002)),
}


@pytest.mark.parametrize(("expected", "signatures"), SIGNATURES.values(), ids=SIGNATURES)
def test_both_signatures_must_hold(expected: str, signatures: Mapping[Role, Signed]) -> None:
    assert code(judge_dual(facts(signatures=signatures), Role.REVIEWER)) == expected


def test_same_login_counts_as_one_person_unless_the_demo_waives_it() -> None:
    seen = {"loginuid": "1000"}
    signatures = {role: signed(role, signals=seen) for role in Role}
    assert code(judge_dual(facts(signatures=signatures), Role.REVIEWER)) == "SAME_LOGIN"
    shared = roster(uid=1000)
    shared_login = both(uid=1000)
    judged = judge_dual(facts(roster=shared, signatures=shared_login), Role.REVIEWER)
    assert code(judged) == "SAME_UID"
    waived = facts(
        content(allow_same_uid=True, environment="dev"),
        roster=shared,
        signatures=shared_login,
        allow_same_uid=True,
        environment=Environment.DEV,
    )
    judged = judge_dual(waived, Role.REVIEWER)
    assert isinstance(judged, Approved)
    assert judged.signals["uid"] == "same"


def test_a_hardware_key_whose_count_does_not_rise_is_refused() -> None:
    key = KEYS[Role.REVIEWER]
    for counter, last, expected in (
        (5, {key: 5}, "KEY_CLONED"),
        (5, {key: 4}, "APPROVED"),
        (5, None, "COUNTER_UNKNOWN"),
    ):
        one = facts(signatures=both(sk_counter=counter), counters=last)
        assert code(judge_dual(one, Role.REVIEWER)) == expected
    live = facts(mode="live")
    assert code(judge_dual(live, Role.REVIEWER)) == "HARDWARE_KEY"
    assert code(judge_signature(live, Role.REVIEWER)) == "HARDWARE_KEY"


def test_a_release_may_be_signed_by_others_than_the_session_names() -> None:
    said = content(type=document_type(Purpose.RELEASE), purpose="release")
    one = facts(said, purpose=Purpose.RELEASE, session_people=("carol", "dave"))
    assert code(judge_dual(one, Role.REVIEWER)) == "APPROVED"


# --- the fold ------------------------------------------------------------------------------------


def requested(**changes: Any) -> DualRequested:
    said = content(**changes)
    document = build_dual(said)
    return DualRequested(
        request_id=said.request_id,
        purpose=said.purpose,
        session_id=said.session,
        document=document.decode(),
        document_sha256=sha256_hex(document),
        expires_us=said.expires_at,
    )


ASKED = requested()
WORDS: dict[str, Any] = {
    "request_id": ASKED.request_id,
    "purpose": ASKED.purpose,
    "session_id": ASKED.session_id,
}
HASHED: dict[str, Any] = {**WORDS, "document_sha256": ASKED.document_sha256}


def handed(role: Role, **changes: Any) -> DualSigned:
    return DualSigned(
        **{
            **HASHED,
            "role": role.value,
            "person": NAMES[role],
            "signature": "s",
            "fingerprint": KEYS[role],
            "signals": {},
            **changes,
        }
    )


def granted(**changes: Any) -> DualGranted:
    return DualGranted(
        **{
            **HASHED,
            "reason": "r",
            "operator": "alice",
            "reviewer": "bob",
            "signals": {},
            "measured": {},
            **changes,
        }
    )


def withdrawn(**changes: Any) -> DualWithdrawn:
    return DualWithdrawn(**{**HASHED, "code": "DECLINED", "reason": "no", **changes})


def fold(*events: AnyEvent) -> DualBook:
    book = DualBook()
    for seq, event in enumerate(events):
        actor = person("bob", "peer-uid:1001")
        book.apply(Recorded(seq=seq, ts_us=seq, actor=actor, event=event))
    return book


def stage(*events: AnyEvent) -> str:
    found = fold(*events).requests.get(ASKED.request_id)
    return found.stage if found else "none"


def test_the_fold_grants_after_both_signatures_and_once() -> None:
    signatures = tuple(handed(role) for role in Role)
    assert stage(ASKED) == PENDING
    assert stage(ASKED, granted()) == PENDING
    assert stage(ASKED, signatures[0], granted()) == PENDING
    assert stage(ASKED, signatures[0], signatures[0], granted()) == PENDING
    assert stage(ASKED, *signatures) == PENDING
    assert stage(ASKED, *signatures, granted()) == GRANTED
    assert stage(ASKED, *signatures, granted(), withdrawn()) == GRANTED
    assert stage(ASKED, *signatures, withdrawn(), granted()) == WITHDRAWN
    book = fold(ASKED, *signatures, granted())
    assert book.used_nonces == {"a" * 64}
    assert book.pending == ()
    assert [one.id for one in book.granted(Purpose.LOOSEN)] == [ASKED.request_id]


def test_the_fold_takes_nothing_that_does_not_fit() -> None:
    other = requested(request_id="b" * 12)
    twisted = msgspec.structs.replace(ASKED, document=other.document)
    assert stage(twisted) == "none"
    assert stage(msgspec.structs.replace(ASKED, purpose="adopt")) == "none"
    assert stage(msgspec.structs.replace(ASKED, request_id="c" * 12)) == "none"
    assert len(fold(ASKED, other).requests) == 1, "a nonce stands for one request"
    for odd in (
        handed(Role.REVIEWER, document_sha256="0" * 64),
        msgspec.structs.replace(handed(Role.REVIEWER), role="operator"),
        handed(Role.REVIEWER, person="carol"),
        handed(Role.REVIEWER, person="alice"),
    ):
        assert stage(ASKED, handed(Role.OPERATOR), odd, granted()) == PENDING
    assert stage(ASKED, withdrawn(document_sha256="0" * 64)) == PENDING
    refused = DualRefused(**WORDS, person="bob", code="X", reason="no")
    found = fold(ASKED, refused).requests[ASKED.request_id]
    assert (found.stage, found.refused) == (PENDING, ("X", "no"))


_ANY = st.sampled_from(
    (
        ASKED,
        requested(request_id="b" * 12, nonce="b" * 64),
        handed(Role.OPERATOR),
        handed(Role.REVIEWER),
        handed(Role.REVIEWER, request_id="b" * 12),
        granted(),
        granted(document_sha256="0" * 64),
        withdrawn(),
        DualRefused(**WORDS, person="bob", code="X", reason="no"),
    )
)


@settings(max_examples=200, deadline=None)
@given(st.lists(_ANY, max_size=12))
def test_in_any_order_nothing_is_granted_without_both_signatures(events: list[AnyEvent]) -> None:
    book = DualBook()
    seen: set[str] = set()
    for seq, event in enumerate(events):
        before = {one.id for one in book.pending}
        actor = person("bob", "peer-uid:1001")
        book.apply(Recorded(seq=seq, ts_us=seq, actor=actor, event=event))
        if isinstance(event, DualSigned) and event.request_id in before:
            seen.add(f"{event.request_id}:{event.role}")
        for one in book.requests.values():
            if one.stage == GRANTED:
                assert {f"{one.id}:{role.value}" for role in Role} <= seen
                assert one.said.nonce in book.used_nonces
