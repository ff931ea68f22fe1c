"""Attacks on dual control: to have an act granted that two people did not grant.

The desk is real, with a real journal, real keys and both verifiers; only the venue is not there.
Somebody has the socket, one of the keys, a file, or the hands of one of the two.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from engine.command_line import refuse_repeats
from engine.contracts import requests as rq
from engine.contracts.canonical import canonical, sha256_hex
from engine.contracts.documents import DUAL_NAMESPACES, Namespace, Purpose
from engine.contracts.errors import InputError, IntegrityError, PeakError, Refused
from engine.contracts.event import DualRequested, DualSigned
from engine.contracts.people import Role
from engine.contracts.session import Environment
from engine.contracts.view import DualView
from engine.execution.consent import dual_asking, dual_desk
from engine.execution.consent.dual_act import Measured
from engine.execution.probes import Reading
from engine.governance.dual import Denied
from engine.governance.wordlist import WORDS, short_code
from peakctl.dual import read_view, refuse_stale
from tests.redteam.conftest import keygen_key
from tests.redteam.dual_world import SUBJECT, World


@pytest.fixture(scope="module")
def hands(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("hands")
    return {
        name: keygen_key(folder / name, "ed25519") for name in ("alice", "bob", "carol", "mallory")
    }


@pytest.fixture
async def world(tmp_path: Path, hands: dict[str, Path]) -> AsyncIterator[World]:
    made = World(tmp_path, hands)
    yield made
    made.journal.close()


async def refused(attack: Any, *codes: str) -> None:
    """The attack ends in a refusal with one of these codes."""
    with pytest.raises(PeakError) as error:
        await attack
    assert error.value.code in codes, error.value.line()


async def test_the_honest_way_grants_once(world: World) -> None:
    view = await world.ask()
    await world.sign(view, "alice")
    await world.sign(view, "bob", typed_code=short_code(view.sha256))
    assert world.kinds()[-3:] == ["dual.signed", "dual.granted", "note.added"]
    assert world.loosen.done_with == [view.sha256]
    assert world.stage(view) == "granted"


# --- who signs ------------------------------------------------------------------------------------


async def test_one_person_wears_both_hats(world: World) -> None:
    """The operator's key, in the reviewer's place and in the reviewer's namespace."""
    view = await world.ask()
    await world.sign(view, "alice")
    for role in Role:
        forged = world.signature("alice", view, role)
        await refused(world.hand_in(view, forged, "alice", signer="bob"), "REVIEWER_SIGNATURE")
        await refused(world.hand_in(view, forged, "bob", uid=1000), "REVIEWER_SIGNATURE")
    world.nothing_was_granted()


async def test_the_reviewer_signs_twice(world: World) -> None:
    view = await world.ask()
    await world.sign(view, "bob")
    await world.sign(view, "bob")
    again = world.signature("bob", view, Role.OPERATOR)
    await refused(world.hand_in(view, again, "bob", signer="alice"), "OPERATOR_SIGNATURE")
    world.nothing_was_granted()


async def test_a_stranger_or_a_third_person_signs(world: World) -> None:
    view = await world.ask()
    await world.sign(view, "alice")
    forged = world.signature("mallory", view, Role.REVIEWER)
    await refused(world.hand_in(view, forged, "bob"), "REVIEWER_SIGNATURE")
    await refused(world.hand_in(view, forged, "mallory"), "ROLE")
    await refused(world.sign(view, "carol"), "PEOPLE")
    carols = world.signature("carol", view, Role.REVIEWER)
    await refused(world.hand_in(view, carols, "bob"), "REVIEWER_SIGNATURE")
    world.nothing_was_granted()


async def test_one_unix_user_hands_in_both(world: World) -> None:
    view = await world.ask()
    await world.sign(view, "alice", uid=1000)
    await refused(world.sign(view, "bob", uid=1000), "SAME_UID")
    bobs = world.signature("bob", view, Role.REVIEWER)
    await refused(world.hand_in(view, bobs, "alice", signer="bob"), "UID_UNKNOWN")
    world.nothing_was_granted()


async def test_a_process_says_that_it_is_another_user(world: World) -> None:
    """What a process says of itself is recorded; the uid is the kernel's word alone."""
    view = await world.ask()
    await world.sign(view, "alice", signals={"uid": "1001", "loginuid": "1000"})
    spoofed = {"uid": "4242", "loginuid": "1000", "tty": "\x1b[2J" + "x" * 9999, "more": "y"}
    await refused(world.sign(view, "bob", uid=1000, signals=spoofed), "SAME_UID", "SAME_LOGIN")
    signed = [one.event for one in world.journal.read() if isinstance(one.event, DualSigned)]
    assert [one.signals["uid"] for one in signed] == ["1000"]
    world.nothing_was_granted()


async def test_the_waiver_counts_nowhere_but_in_dev(tmp_path: Path, hands: Any) -> None:
    world = World(tmp_path, hands, allow_same_uid=True)
    view = await world.ask()
    await refused(world.sign(view, "alice", uid=7), "WAIVER_NOT_ALLOWED")
    world.nothing_was_granted()
    world.journal.close()


async def test_in_prod_the_reviewer_needs_a_hardware_key(tmp_path: Path, hands: Any) -> None:
    world = World(tmp_path, hands, environment=Environment.PROD)
    view = await world.ask()
    await world.sign(view, "alice")
    await refused(world.sign(view, "bob"), "HARDWARE_KEY")
    world.nothing_was_granted()
    world.journal.close()


# --- what is signed -------------------------------------------------------------------------------


async def test_a_signature_for_one_purpose_is_worth_nothing_for_another(world: World) -> None:
    """Both sign this very document, but in the namespaces of every other purpose and document."""
    view = await world.ask()
    await world.sign(view, "alice")
    mine = DUAL_NAMESPACES[Purpose.LOOSEN, Role.REVIEWER]
    for namespace in Namespace:
        if namespace is not mine:
            other = world.signature("bob", view, Role.REVIEWER, namespace=namespace)
            await refused(world.hand_in(view, other, "bob"), "REVIEWER_SIGNATURE")
    world.nothing_was_granted()


async def test_a_document_of_one_purpose_is_signed_as_another(world: World) -> None:
    """A loosening that both signed, rewritten as a release with the same nonce and people."""
    await world.kill("k1")
    release = await world.ask(purpose=Purpose.RELEASE)
    loosening = await world.ask()
    for name, role in (("alice", Role.OPERATOR), ("bob", Role.REVIEWER)):
        signature = world.signature(name, loosening, role)
        await refused(world.hand_in(release, signature, name), f"{role.upper()}_SIGNATURE")
        moved = release.id, loosening.sha256
        attack = world.hand_in(loosening, signature, name, request_id=moved[0])
        await refused(attack, "SHA_MISMATCH")
    world.nothing_was_granted()


CHANGES: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "the value": lambda said: {**said, "subject": {**said["subject"], "after": "9"}},
    "the reviewer": lambda said: {**said, "reviewer": said["operator"]},
    "the expiry": lambda said: {**said, "expires_at": said["expires_at"] + 1},
    "the nonce": lambda said: {**said, "nonce": "0" * 64},
    "the waiver": lambda said: {**said, "allow_same_uid": True},
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
async def test_the_bytes_are_changed_and_signed_by_both(
    world: World, change: Callable[[dict[str, Any]], dict[str, Any]]
) -> None:
    view = await world.ask()
    twisted = (canonical(change(json.loads(view.document))) + b"\n").decode()
    for name, role in (("alice", Role.OPERATOR), ("bob", Role.REVIEWER)):
        signature = world.signature(name, view, role, document=twisted)
        digest = sha256_hex(twisted.encode())
        await refused(world.hand_in(view, signature, name, sha256=digest), "SHA_MISMATCH")
        await refused(world.hand_in(view, signature, name), f"{role.upper()}_SIGNATURE")
    world.nothing_was_granted()


async def test_a_good_signature_in_another_form(world: World) -> None:
    """ssh-keygen takes junk after a signature and spaces in it; the strict verifier does not."""
    view = await world.ask()
    await world.sign(view, "alice")
    good = world.signature("bob", view, Role.REVIEWER)
    lines = good.splitlines(keepends=True)
    forms = (good + "junk", good + good, good.replace("\n", "\r\n"), "".join(lines[1:]), " " + good)
    for form in forms:
        attack = world.hand_in(view, form, "bob")
        await refused(attack, "REVIEWER_SIGNATURE", "VERIFIERS_DISAGREE")
    world.nothing_was_granted()


# --- when -----------------------------------------------------------------------------------------


async def test_what_was_granted_is_handed_in_again(world: World) -> None:
    view = await world.ask()
    kept = {
        name: world.signature(name, view, role)
        for name, role in (("alice", Role.OPERATOR), ("bob", Role.REVIEWER))
    }
    for name, signature in kept.items():
        await world.hand_in(view, signature, name)
    anew = await world.ask()
    for name, signature in kept.items():
        await refused(world.hand_in(view, signature, name), "NOT_PENDING")
        attack = world.hand_in(anew, signature, name)
        await refused(attack, "OPERATOR_SIGNATURE", "REVIEWER_SIGNATURE")
    assert world.kinds().count("dual.granted") == 1
    assert len(world.loosen.done_with) == 1


async def test_the_same_second_signature_comes_many_times_at_once(world: World) -> None:
    view = await world.ask()
    await world.sign(view, "alice")
    bobs = world.signature("bob", view, Role.REVIEWER)
    ends = await asyncio.gather(
        *(world.hand_in(view, bobs, "bob") for _ in range(5)), return_exceptions=True
    )
    assert sum(one is None for one in ends) == 1
    assert all(one is None or isinstance(one, Refused) for one in ends)
    assert world.kinds().count("dual.granted") == 1


async def test_both_sign_at_the_same_moment(world: World) -> None:
    """Neither knows of the other's signature, and still the second one grants."""
    view = await world.ask()
    await asyncio.gather(world.sign(view, "alice"), world.sign(view, "bob"))
    assert world.stage(view) == "granted"


async def test_a_request_is_signed_after_its_time(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    view = await world.ask()
    await world.sign(view, "alice")
    late = view.expires_us
    with monkeypatch.context() as patch:
        patch.setattr(dual_desk, "wall_us", lambda: late)
        await refused(world.sign(view, "bob"), "EXPIRED")
    began = dual_desk.monotonic_us()
    with monkeypatch.context() as patch:  # somebody set the clock back
        patch.setattr(dual_desk, "monotonic_us", lambda: began + 300_000_000)
        await refused(world.sign(view, "bob"), "EXPIRED_MONOTONIC")
        await world.desk.expire()
    assert world.code(view) == "EXPIRED_MONOTONIC"
    await refused(world.sign(view, "bob"), "NOT_PENDING")
    world.nothing_was_granted()


async def test_the_clock_is_set_forward_to_ask_and_back_to_sign(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = dual_asking.wall_us()
    with monkeypatch.context() as patch:
        patch.setattr(dual_asking, "wall_us", lambda: now + 86_400_000_000)
        view = await world.ask()
    await refused(world.sign(view, "alice"), "CLOCK")
    with pytest.raises(Refused, match="outlives"):
        refuse_stale(read_view(view), now)
    world.nothing_was_granted()


async def test_the_engine_is_restarted_between_the_signatures(world: World) -> None:
    """The age of a request is not known any more: it is void."""
    view = await world.ask()
    await world.sign(view, "alice")
    world.restart()
    assert world.stage(view) == "pending"
    await refused(world.sign(view, "bob"), "ELAPSED_UNKNOWN")
    await world.desk.expire()
    assert (world.stage(view), world.code(view)) == ("withdrawn", "ELAPSED_UNKNOWN")
    world.nothing_was_granted()


async def test_a_request_is_put_into_the_journal_by_hand(world: World) -> None:
    """Whoever can write events still has no signature, and no age that this engine knows."""
    view = await world.ask()
    said = {**json.loads(view.document), "nonce": "1" * 64, "request_id": "f" * 12}
    document = (canonical(said) + b"\n").decode()
    digest = sha256_hex(document.encode())
    forged = msgspec.structs.replace(view, id="f" * 12, document=document, sha256=digest)
    await world.core.record(
        world.actor("mallory"),
        DualRequested(
            request_id=forged.id,
            purpose="loosen",
            session_id="",
            document=document,
            document_sha256=digest,
            expires_us=view.expires_us,
        ),
    )
    await refused(world.sign(forged, "alice"), "ELAPSED_UNKNOWN")
    world.nothing_was_granted()


# --- what changes meanwhile -----------------------------------------------------------------------


@pytest.mark.parametrize("name", ["config", "code", "roster"])
async def test_a_bound_file_changes_between_the_signatures(world: World, name: str) -> None:
    view = await world.ask()
    await world.sign(view, "alice")
    world.files.hashes[name] = "0" * 64
    await refused(world.sign(view, "bob"), "FACTS_CHANGED")
    await world.desk.expire()
    assert world.code(view) == "FACTS_CHANGED"
    world.files.changed = (name,)
    await refused(world.ask(), "STALE_ENGINE")
    world.nothing_was_granted()


async def test_a_key_is_revoked_after_it_has_signed(world: World, hands: dict[str, Path]) -> None:
    """The first signature is verified anew at the grant: it was good, and is good no more."""
    view = await world.ask()
    await world.sign(view, "alice")
    world.revoked.write_text(hands["alice"].with_suffix(".pub").read_text())
    await refused(world.sign(view, "bob"), "OPERATOR_SIGNATURE")
    world.nothing_was_granted()


async def test_the_signers_file_gives_the_reviewer_the_operators_key(world: World) -> None:
    view = await world.ask()
    await world.sign(view, "alice")
    world.write_signers(bob="mallory")
    forged = world.signature("mallory", view, Role.REVIEWER)
    await refused(world.hand_in(view, forged, "bob"), "SIGNER_MISMATCH")
    world.nothing_was_granted()


async def test_a_request_is_made_while_the_clockwork_voids_another(world: World) -> None:
    """Its age is known from its first moment: the clockwork must not take it for an old one."""
    first = await world.ask()
    asking = asyncio.ensure_future(world.ask(subject={**SUBJECT, "after": "7"}))
    while not asking.done():
        await world.desk.expire()
        await asyncio.sleep(0)
    for view in (first, await asking):
        await world.sign(view, "alice")
        await world.sign(view, "bob")
        assert world.stage(view) == "granted"


async def test_what_it_is_about_has_changed_since(world: World) -> None:
    view = await world.ask()
    await world.sign(view, "alice")
    world.loosen.forbids = "the limit is another one by now"
    await refused(world.sign(view, "bob"), "FORBIDDEN")
    await world.desk.expire()
    assert world.code(view) == "FORBIDDEN"
    world.loosen.forbids = ""
    await refused(world.sign(view, "bob"), "NOT_PENDING")
    world.nothing_was_granted()


async def test_what_is_measured_at_the_grant_forbids_it(world: World) -> None:
    view = await world.ask()
    await world.sign(view, "alice")
    world.loosen.measured = Measured({"book": "thin"}, Denied("THIN", "the book is thin"))
    await refused(world.sign(view, "bob"), "THIN")
    world.nothing_was_granted()
    world.loosen.measured = Measured({"book": "deep"})
    await world.sign(view, "bob")
    assert world.stage(view) == "granted"


async def test_a_request_that_was_taken_back_is_signed(world: World) -> None:
    mine, theirs = await world.ask(), await world.ask(subject={**SUBJECT, "after": "3"})
    for view in (mine, theirs):
        await world.sign(view, "alice")
    await refused(world.withdraw(mine, "carol"), "PEOPLE")
    await world.withdraw(mine, "alice")
    await world.withdraw(theirs, "bob")
    assert (world.code(mine), world.code(theirs)) == ("WITHDRAWN", "DECLINED")
    for view in (mine, theirs):
        await refused(world.sign(view, "bob"), "NOT_PENDING")
        await refused(world.withdraw(view, "alice"), "NOT_PENDING")
    world.nothing_was_granted()


# --- the latch ------------------------------------------------------------------------------------


async def test_i4_a_kill_is_pressed_between_the_signatures(world: World) -> None:
    await world.kill("k1")
    view = await world.ask(purpose=Purpose.RELEASE)
    await world.sign(view, "alice")
    await world.kill("k2")
    await refused(world.sign(view, "bob"), "KILL_MISMATCH")
    await world.desk.expire()
    assert world.code(view) == "KILL_MISMATCH"
    assert world.core.state.latch.kill_id == "k2"
    world.nothing_was_granted()


@pytest.mark.parametrize(
    ("verdict", "left"), [("UNCONFIRMED", ()), ("PROVEN", ("x1",)), ("FINE", ())]
)
async def test_i4_a_kill_without_proof_is_released(
    world: World, verdict: str, left: tuple[str, ...]
) -> None:
    await world.kill("k1", verdict, *left)
    await refused(world.ask(purpose=Purpose.RELEASE), "KILL_NOT_PROVEN")
    world.nothing_was_granted()


async def test_i4_a_proof_is_taken_back_between_the_signatures(world: World) -> None:
    await world.kill("k1")
    view = await world.ask(purpose=Purpose.RELEASE)
    await world.sign(view, "alice")
    await world.kill("k1", "UNCONFIRMED", "surfaced-late")
    await refused(world.sign(view, "bob"), "KILL_NOT_PROVEN")
    world.nothing_was_granted()


async def test_i4_a_release_with_a_red_probe(world: World) -> None:
    await world.kill("k1")
    view = await world.ask(purpose=Purpose.RELEASE)
    await world.sign(view, "alice")
    world.readings["kill_path"] = Reading(value="2 open", passed=False, detail="x1, x2")
    await refused(world.sign(view, "bob"), "CHECKLIST")
    world.nothing_was_granted()
    assert world.core.state.latch.is_set
    world.readings["kill_path"] = Reading(value="1 ms", passed=True)
    await world.sign(view, "bob")
    assert (world.core.state.latch.is_set, world.released) == (False, 1)


# --- raw bodies -----------------------------------------------------------------------------------

GOOD = {"person": "bob", "request_id": "a", "sha256": "b", "signature": "c"}


@pytest.mark.parametrize(
    "raw",
    [
        b'{"person":"bob","person":"alice","request_id":"a","sha256":"b","signature":"c"}',
        json.dumps({**GOOD, "granted": True}).encode(),
        json.dumps({**GOOD, "signer": None}).encode(),
        json.dumps({**GOOD, "signals": {"uid": 1001}}).encode(),
        json.dumps({**GOOD, "signature": ["a", "b"]}).encode(),
        json.dumps([GOOD]).encode(),
        b"",
    ],
)
def test_bodies_that_readers_disagree_on(raw: bytes) -> None:
    def read() -> None:
        msgspec.json.decode(raw, type=rq.DualSignRequest)
        refuse_repeats(raw, "dual/sign")

    with pytest.raises((msgspec.DecodeError, InputError)):
        read()


@pytest.mark.parametrize("purpose", ["", "RELEASE", "release ", "go", "recon", 1, None])
def test_a_purpose_that_is_none(purpose: Any) -> None:
    raw = json.dumps({"person": "a", "purpose": purpose, "subject": {}, "reason": "r"}).encode()
    with pytest.raises(msgspec.DecodeError):
        msgspec.json.decode(raw, type=rq.DualRequest)


async def test_a_request_says_more_than_its_purpose_asks_for(world: World) -> None:
    for subject in ({}, {**SUBJECT, "ceiling": "1e9"}, {"limit": "x"}):
        await refused(world.ask(subject=subject), "INPUT")
    await refused(world.ask(purpose=Purpose.ADOPT), "NO_ACT")
    await world.kill("k1")
    twisted = world.ask(purpose=Purpose.RELEASE, subject={"kill_id": "k0"})
    await refused(twisted, "INPUT")
    for reason in ("", " \t\n", "x" * 501):
        await refused(world.ask(reason=reason), "INPUT")
    world.nothing_was_granted()


async def test_somebody_names_other_people_than_may_sign(world: World) -> None:
    await refused(world.ask(reviewer="alice"), "INPUT")
    await refused(world.ask(reviewer="mallory"), "INPUT")
    await refused(world.ask(operator="bob"), "INPUT")
    await refused(world.ask("carol"), "PEOPLE")
    await refused(world.ask("mallory"), "ROLE")
    world.nothing_was_granted()


async def test_requests_are_poured_in(world: World) -> None:
    """A bound on what waits; the same thing asked again by one person is one request."""
    for number in range(8):
        await world.ask(subject={**SUBJECT, "after": str(number)})
    await refused(world.ask(subject={**SUBJECT, "after": "99"}), "TOO_MANY")
    first = await world.ask(subject={**SUBJECT, "after": "0"})
    assert len(world.core.state.dual.pending) == 8
    attack = world.ask("bob", subject={**SUBJECT, "after": "0"}, operator="alice")
    await refused(attack, "ASKED_ALREADY")
    assert world.stage(first) == "pending"


# --- what people see ------------------------------------------------------------------------------


async def test_the_engine_shows_one_thing_and_means_another(world: World) -> None:
    """The signer's own process reads the bytes; what is said beside them does not count."""
    view = await world.ask()
    for changes in (
        {"sha256": "0" * 64},
        {"id": "0" * 12},
        {"purpose": "release"},
        {"document": view.document.replace('"after":"2"', '"after":"1"')},
    ):
        with pytest.raises(IntegrityError):
            read_view(msgspec.structs.replace(view, **changes))
    lied: DualView = msgspec.structs.replace(view, reason="nothing at all", requested_by="bob")
    assert dict(read_view(lied).lines)["reason"] == "the book is deep"
    assert dict(read_view(lied).lines)["asked by"] == "alice"


async def test_words_that_a_terminal_would_act_on(world: World) -> None:
    view = await world.ask(
        reason="fine\u202egnihton\u202c\x1b]0;x\x07", subject={**SUBJECT, "after": "2\u2066\x9b2J"}
    )
    assert view.document.isascii()
    lines = dict(read_view(view).lines)
    assert all(text.isprintable() for text in lines.values())
    assert "\\u202e" in lines["reason"]


async def test_a_signer_types_the_code_of_something_else(world: World) -> None:
    view = await world.ask()
    await world.sign(view, "alice")
    for typed in ("-".join(WORDS[:4]), "x", short_code("0" * 64)):
        await refused(world.sign(view, "bob", typed_code=typed), "SHORT_CODE")
    world.nothing_was_granted()
