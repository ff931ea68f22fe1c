"""Attacks on what a start goes on from, by somebody who may write the workspace's files.

The chain is whole after each of them: whoever can read the last line can add one. What lets orders
out must then be asked for its two signatures again, from the lines and not from a remembered state.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import socket
import tomllib
from collections.abc import Callable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec import structs

from config.ladder import load_ladder
from config.settings import load
from engine.contracts import event as ev
from engine.contracts.canonical import sha256_hex
from engine.contracts.documents import Namespace, Purpose
from engine.contracts.errors import InputError, Refused
from engine.contracts.event import AnyEvent, LatchReleased
from engine.contracts.order import OrderIntent, OrderType, Side
from engine.contracts.people import ENGINE, Actor, Role, person
from engine.contracts.session import Environment, SessionState
from engine.execution.consent.upheld import CODE, Upheld
from engine.execution.core import Core, State
from engine.execution.kill.latch_file import LatchMark, latch_present, read_latch, write_latch
from engine.execution.limits.in_force import LimitsInForce
from engine.governance.dual_document import (
    DualContent,
    Signer,
    build_dual,
    document_type,
    namespace_of,
)
from engine.governance.people import Roster, parse_roster
from engine.governance.shapes import Head
from engine.governance.transitions import Cause
from engine.governance.wordlist import short_code
from engine.journal.chain import decode_line, encode_line, line_hash
from engine.journal.writer import Journal
from engine.signatures.check import Checker
from peakctl.ceremony import cosign_document
from peakctl.commands.evidence import verify
from peakctl.founding import create_demo
from peakctl.tools import draft_charter
from peakctl.workspace import Workspace
from tests.faults.conftest import FAST, SMALL, SYMBOL, Field, merged
from tests.redteam.conftest import Desk, keygen_sign

BOB = person("bob", "sig:SHA256:claimed")
_NO = "0" * 64


def write_by_hand(place: Workspace, *rows: tuple[Actor, AnyEvent]) -> None:
    """Add lines to a stopped journal, chained as they must be."""
    path = sorted(place.journal.glob("*.jsonl"))[-1]
    line = path.read_bytes().splitlines(keepends=True)[-1]
    last, _ = decode_line(line, "the last line")
    with path.open("ab") as file:
        for number, (actor, event) in enumerate(rows, 1):
            line = encode_line(
                last.seq + number, line_hash(line), last.ts_us + number, actor, event
            )
            file.write(line)


# --- a whole desk ---------------------------------------------------------------------------------


def test_i4_i5_a_go_and_a_release_are_written_into_the_journal_by_hand(tmp_path: Path) -> None:
    """The operator has the files and one key; neither an order gets out nor the latch open."""
    slow = {"session": {"min_dwell_ms": 60_000}}
    asyncio.run(_by_hand(create_demo(tmp_path / "w", merged(FAST, slow))))


async def _by_hand(place: Workspace) -> None:
    field = Field(place, {})
    try:
        await field.start_sandbox()
        await field.start_engine()
        await field.sit_down()
        session_id = await field.to_checklist()
        packet = await field.request_and_sign()
        with pytest.raises(Refused, match="nobody can have read the packet yet"):
            await field.cosign(packet)  # by the socket itself: no console waits for the reader
        await field.leave()
        await field.sigkill()
        write_by_hand(place, *_forged_go(place, session_id, packet))
        await field.start_engine()
        await field.sit_down()
        view = await field.state()
        assert view.session is not None
        assert view.session.go.stage == "void"
        with pytest.raises(Refused):
            await field.client.submit(SYMBOL, Side.BUY, OrderType.MARKET, SMALL, None)
        assert CODE in {one.code for one in view.alarms}

        await field.press_kill()
        killed = await field.until(lambda view: view.kill.state == "PROVEN", "proven")
        await field.leave()
        await field.sigkill()
        write_by_hand(place, (ENGINE, _claimed_release(killed.kill.kill_id)))
        (place.state / "latch").unlink()
        await field.start_engine()
        await field.sit_down()
        view = await field.state()
        assert view.kill.state != "READY"
        assert (place.state / "latch").exists()
    finally:
        await field.close()


def _forged_go(place: Workspace, session_id: str, packet: str) -> list[tuple[Actor, AnyEvent]]:
    digest = sha256_hex(packet.encode())
    cosign = cosign_document(
        packet=packet,
        decision="GO",
        reason="",
        typed_code=short_code(digest),
        typed_limit=json.loads(packet)["limits"]["max_order_notional"],
    )
    decided = ev.GoDecided(
        session_id=session_id,
        decision="GO",
        reason="",
        packet_sha256=digest,
        cosign=cosign,
        signature=keygen_sign(place.key_of("operator"), cosign.encode(), Namespace.COSIGN),
        fingerprint="SHA256:claimed",
        signals={},
    )
    live = ev.SessionMoved(
        session_id=session_id,
        before=SessionState.GO_NOGO,
        after=SessionState.LIVE,
        cause=Cause.GO,
        reason="",
    )
    return [(BOB, decided), (BOB, live)]


def _claimed_release(kill_id: str) -> LatchReleased:
    return LatchReleased(
        kill_id=kill_id,
        document="{}",
        document_sha256=_NO,
        operator_signature="",
        reviewer_signature="",
        reason="so it says",
    )


# --- the same without a desk: what a release must be ----------------------------------------------


class Past:
    """A journal with kills and releases, and an engine's look at it."""

    def __init__(self, place: Workspace, folder: Path) -> None:
        self.place = place
        self.folder = folder
        self.latch = folder / "latch"
        self.alarms: list[str] = []
        self._numbers = itertools.count(1)
        self._ticks = itertools.count(1_900_000_000_000_000, 1000)
        self.roster: Roster = parse_roster(tomllib.loads(place.people_file.read_text()))

    def started(
        self, events: Sequence[AnyEvent], *, state: Callable[[State], State] | None = None
    ) -> bool:
        """Whether the latch is set once a start has looked at this past."""
        core = asyncio.run(self._started(events, state))
        return core.state.latch.is_set or latch_present(self.latch)

    def upheld(
        self, events: Sequence[AnyEvent], *, state: Callable[[State], State] | None = None
    ) -> State:
        """The state that a start goes on with."""
        return asyncio.run(self._started(events, state)).state

    async def _started(
        self, events: Sequence[AnyEvent], state: Callable[[State], State] | None
    ) -> Core:
        journal = Journal.open(
            self.folder / "journal",
            commit_interval_ms=0,
            segment_lines=4,
            clock_us=lambda: next(self._ticks),
        ).journal
        folded = State()
        try:
            for event in events:
                for recorded in await journal.append(ENGINE, [event]):
                    folded.apply(recorded)
            core = Core(journal, folded if state is None else state(folded))
            checker = Checker(self.place.allowed_signers, self.place.revoked_keys)
            upheld = Upheld(core, self.roster, checker, self.latch, self._alarm)
            await upheld.latch()
            steps = load_ladder(None, Environment.DEV)
            ceiling = load(self.place.root, {}).settings.limits.to_limits()
            limits = LimitsInForce(core.state, Environment.DEV, ceiling, steps)
            await upheld.grants(limits)
            await upheld.approval()
            return core
        finally:
            journal.close()

    async def _alarm(self, code: str, _text: str) -> None:
        self.alarms.append(code)

    def release(self, kill_id: str = "k1", **changes: Any) -> LatchReleased:
        """A release that both have signed; `changes` are of the document."""
        document = build_dual(self.content(kill_id, **changes))
        names = {Role.OPERATOR: Namespace.RELEASE, Role.REVIEWER: Namespace.RELEASE_REVIEW}
        operator, reviewer = (
            keygen_sign(self.place.key_of(role.value), document, names[role]) for role in Role
        )
        return LatchReleased(
            kill_id=kill_id,
            document=document.decode(),
            document_sha256=sha256_hex(document),
            operator_signature=operator,
            reviewer_signature=reviewer,
            reason="it is over",
        )

    def granted(
        self, purpose: Purpose, subject: dict[str, str], signed: Sequence[Role], **changes: Any
    ) -> tuple[list[Any], str]:
        """The events of a grant, signed with the keys of these roles; and its document's hash."""
        number = next(self._numbers)
        said = structs.replace(
            self.content(""),
            **{
                "type": document_type(purpose),
                "purpose": purpose.value,
                "subject": subject,
                "request_id": f"r{number}",
                "nonce": f"{number:064x}",
                "issued_at": 1_900_000_000_000_000,
                **changes,
            },
        )
        document = build_dual(said)
        about = {"request_id": said.request_id, "purpose": purpose.value, "session_id": ""}
        digest = sha256_hex(document)
        asked = ev.DualRequested(
            **about, document=document.decode(), document_sha256=digest, expires_us=said.expires_at
        )
        both = [
            ev.DualSigned(
                **about,
                role=role.value,
                person=said.signer(role).person,
                document_sha256=digest,
                signature=keygen_sign(
                    self.place.key_of(key.value), document, namespace_of(purpose, role)
                ),
                fingerprint=said.signer(role).fingerprint,
                signals={},
            )
            for role, key in zip(Role, signed, strict=True)
        ]
        people = {"operator": said.operator.person, "reviewer": said.reviewer.person}
        granted = ev.DualGranted(
            **about, document_sha256=digest, reason="r", signals={}, measured={}, **people
        )
        return [asked, *both, granted], digest

    @property
    def session_id(self) -> str:
        """The open session's."""
        return "s" * 12

    def chartered(self) -> AnyEvent:
        """An open session."""
        charter = draft_charter(self.place, "alice")
        return ev.SessionChartered(session_id=self.session_id, charter=charter)

    def content(self, kill_id: str, **changes: Any) -> DualContent:
        signers = {
            who.role.value: Signer(
                person=who.id, principal=who.principal, fingerprint=who.fingerprint
            )
            for who in self.roster.people
        }
        made = DualContent(
            type=document_type(Purpose.RELEASE),
            purpose=Purpose.RELEASE.value,
            request_id="r1",
            session="",
            environment="dev",
            subject={"kill_id": kill_id},
            reason="it is over",
            requested_by="alice",
            **signers,
            allow_same_uid=True,
            config_sha256=_NO,
            code_sha256=_NO,
            roster_sha256=_NO,
            prev_head=Head(size=1, sha256=_NO),
            nonce="ab" * 32,
            issued_at=1_900_000_100_000_000,
            expires_at=1_900_000_200_000_000,
            boot_id="",
            hostname="desk",
        )
        return structs.replace(made, **changes)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return create_demo(tmp_path_factory.mktemp("past") / "w", {})


@pytest.fixture
def past(demo: Workspace, tmp_path: Path) -> Past:
    return Past(demo, tmp_path)


def killed(kill_id: str = "k1") -> AnyEvent:
    return ev.KillLatched(
        kill_id=kill_id, session_id="", reason="test", source="test", pressed_us=1
    )


def test_a_release_that_two_people_signed_holds(past: Past) -> None:
    """So that the others say something."""
    assert not past.started([killed(), past.release()])


def test_a_journal_without_a_kill_needs_no_release(past: Past) -> None:
    assert not past.started([ev.NoteAdded(session_id="", text=',"kind":"kill.latched","prev":"')])


@pytest.mark.parametrize("missing", ["operator_signature", "reviewer_signature"])
def test_i4_a_release_with_one_signature(past: Past, missing: str) -> None:
    assert past.started([killed(), structs.replace(past.release(), **{missing: ""})])


def test_i4_one_person_signed_in_both_places(past: Past) -> None:
    released = past.release()
    again = structs.replace(released, reviewer_signature=released.operator_signature)
    assert past.started([killed(), again])


def test_i4_an_old_release_is_told_again_after_a_newer_kill(past: Past) -> None:
    """Both the kill and the release that two people did sign are copied behind the new kill."""
    told = [killed(), past.release(issued_at=1_900_000_000_001_500), killed("k2")]
    told += [ev.NoteAdded(session_id="", text="x")] * 3
    assert past.started([*told, *told[:2]])


def test_i4_a_release_of_another_kill_under_this_ones_name(past: Past) -> None:
    other = structs.replace(past.release("k2"), kill_id="k1")
    assert past.started([killed(), other])


def test_i4_a_release_by_a_person_who_is_not_in_the_roster(past: Past) -> None:
    stranger = Signer(person="zoe", principal="rev:zoe", fingerprint="SHA256:x")
    assert past.started([killed(), past.release(reviewer=stranger)])


def test_i4_a_release_with_a_key_that_is_the_reviewers_in_one_list_alone(past: Past) -> None:
    """`allowed_signers` names another key under the reviewer's name than the roster does."""
    other = "SHA256:" + "A" * 43
    changed = (structs.replace(one, fingerprint=other) for one in past.roster.people)
    past.roster = Roster(tuple(changed))
    assert past.started([killed(), past.release()])


def test_i4_a_checkpoint_whose_state_knows_of_no_kill(past: Past) -> None:
    """The state is the attacker's; the lines are not."""
    assert past.started([killed()], state=lambda _: State())


def test_i4_a_latch_file_of_a_kill_that_was_released_long_ago(past: Past) -> None:
    """It would be taken for a leftover and cleared."""
    known = LatchMark(kill_id="k1", reason="", source="cli", by="", pressed_us=0)
    write_latch(past.latch, known)
    assert past.started([killed(), _claimed_release("k1")])
    found = read_latch(past.latch)
    assert found is not None
    assert found.kill_id != "k1"


# --- what else two people must have granted -------------------------------------------------------

NAME, OTHER = "max_order_notional", "max_position"
TIGHT = ev.LimitTightened(
    session_id="", name=NAME, before=Decimal(900), after=Decimal(30), reason="r"
)


def _wide(sha256: str) -> AnyEvent:
    return ev.LimitLoosened(
        session_id="",
        name=NAME,
        before=Decimal(30),
        after=Decimal(900),
        reason="r",
        document_sha256=sha256,
    )


def _up(sha256: str) -> AnyEvent:
    return ev.LadderStepped(
        session_id="",
        environment="dev",
        before=0,
        after=1,
        step="s1",
        cause="up",
        reason="r",
        document_sha256=sha256,
    )


LOOSEN = {"name": NAME, "value": "900"}
UP = {"environment": "dev", "step": "s1"}
BOTH = (Role.OPERATOR, Role.REVIEWER)
ALONE = (Role.OPERATOR, Role.OPERATOR)


def test_what_two_people_granted_stands_over_a_start(past: Past) -> None:
    """So that the others say something."""
    loosen, wide = past.granted(Purpose.LOOSEN, LOOSEN, BOTH)
    climb, up = past.granted(Purpose.STEP_UP, UP, BOTH)
    state = past.upheld([TIGHT, *loosen, _wide(wide), *climb, _up(up)])
    assert (state.limits.by_name[NAME].value, state.ladder.place("dev").step) == (900, 1)
    assert not past.alarms


def test_a_loosening_and_a_step_are_granted_by_hand(past: Past) -> None:
    """One person's key in both places, and lines that claim the grants."""
    loosen, wide = past.granted(Purpose.LOOSEN, LOOSEN, ALONE)
    climb, up = past.granted(Purpose.STEP_UP, UP, ALONE)
    later = [ev.NoteAdded(session_id="", text="x")] * 9
    state = past.upheld([TIGHT, *loosen, _wide(wide), *climb, _up(up), *later])
    assert (state.limits.by_name[NAME].value, state.ladder.place("dev").step) == (30, 0)
    assert past.alarms == [CODE]


@pytest.mark.parametrize("how", ["withdrawn", "spent", "late", "other value", "other purpose"])
def test_a_true_grant_is_used_for_more_than_it_says(past: Past, how: str) -> None:
    subject = {**LOOSEN, "value": "800"} if how == "other value" else LOOSEN
    purpose = Purpose.STEP_UP if how == "other purpose" else Purpose.LOOSEN
    old = {"issued_at": 1_899_000_000_000_000, "expires_at": 1_899_000_100_000_000}
    events, wide = past.granted(purpose, subject, BOTH, **(old if how == "late" else {}))
    told = [TIGHT, *events, _wide(wide)]
    if how == "withdrawn":
        said = {"request_id": events[0].request_id, "purpose": purpose.value, "session_id": ""}
        gone = {"document_sha256": wide, "code": "EXPIRED", "reason": "r"}
        told.insert(3, ev.DualWithdrawn(**said, **gone))
    elif how == "spent":
        told += [TIGHT, _wide(wide)]
    assert past.upheld(told).limits.by_name[NAME].value == 30


def test_a_checkpoint_whose_state_knows_of_no_tightening_and_of_a_step(past: Past) -> None:
    """The state is the attacker's; the lines are not."""

    def forged(_true: State) -> State:
        made = State()
        made.ladder.place("dev").step = 3
        return made

    bad = structs.replace(TIGHT, name=OTHER, after=Decimal("NaN"))
    state = past.upheld([TIGHT, bad, structs.replace(TIGHT, after=Decimal(20))], state=forged)
    assert (state.limits.by_name[NAME].value, state.ladder.place("dev").step) == (20, 0)
    assert OTHER not in state.limits.by_name


@pytest.mark.parametrize("signed", [BOTH, ALONE])
def test_an_order_of_a_stranger_is_adopted_by_hand(past: Past, signed: Sequence[Role]) -> None:
    """An order that two people did not take in stands in the ledger: nothing goes on."""
    order = OrderIntent(
        client_order_id="theirs",
        symbol=SYMBOL,
        side=Side.BUY,
        type=OrderType.LIMIT,
        quantity=Decimal(1),
        price=Decimal(1),
    )
    subject = {"symbol": SYMBOL, "client_order_id": "theirs", "venue_order_id": "7"}
    events, _ = past.granted(Purpose.ADOPT, subject, signed)
    adopted = ev.OrphanAdopted(
        session_id=past.session_id, intent=order, venue_order_id="7", owner="alice", reason="r"
    )
    assert past.started([past.chartered(), *events, adopted]) is (signed is ALONE)


@pytest.mark.parametrize("signed", [BOTH, ALONE])
def test_a_red_break_is_closed_by_hand(past: Past, signed: Sequence[Role]) -> None:
    run = ev.ReconRun(
        session_id=past.session_id,
        run_id="run",
        compared={},
        breaks={"red": 1},
        report="{}",
        report_sha256=sha256_hex(b"{}"),
    )
    subject = {"run_id": "run", "report_sha256": run.report_sha256, "break b1": "so it was"}
    events, _ = past.granted(Purpose.CLOSE_BREAK, subject, signed)
    answered = ev.BreakAnswered(
        session_id=past.session_id, run_id="run", break_id="b1", answer="x", grant_id="r1"
    )
    state = past.upheld([past.chartered(), run, *events, answered])
    recon = state.sessions.current.recon if state.sessions.current else None
    assert recon is not None
    assert recon.granted == ({"b1"} if signed is BOTH else set())


@pytest.mark.parametrize("what", ["fifo", "link to a device", "folder"])
def test_i12_a_latch_file_that_never_ends_is_a_latch(tmp_path: Path, what: str) -> None:
    """Nobody waits for it, and nobody reads a device to its end."""
    path = tmp_path / "latch"
    if what == "fifo":
        os.mkfifo(path)
    elif what == "folder":
        path.mkdir()
    else:
        path.symlink_to("/dev/zero")
    mark = read_latch(path)
    assert mark is not None
    assert mark.kill_id


# --- words and numbers ----------------------------------------------------------------------------


def test_a_charter_that_floods_or_repeats(desk: Desk) -> None:
    good = desk.field.charter()
    for changes, word in (
        ({"purpose": "x" * 501}, "purpose"),
        ({"instruments": (SYMBOL, SYMBOL)}, "instruments"),
    ):
        charter = json.loads(msgspec.json.encode(structs.replace(good, **changes)))
        answer = desk.post("session/charter", person="alice", charter=charter)
        assert answer.status == 400
        assert word in answer.body["error"]["what"]


def test_numbers_and_depths_beyond_reading_are_no_faults_of_ours(desk: Desk) -> None:
    body = b'{"person":"alice","charter":' + b'{"a":' * 50_000 + b"1" + b"}" * 50_001
    posted = b"POST /v1/session/charter HTTP/1.1\r\nContent-Length: %d\r\n" % len(body)
    asked = b"GET /v1/journal?from=" + b"9" * 5_000 + b" HTTP/1.1\r\n"
    for head, rest in ((posted, body), (asked, b"")):
        with socket.socket(socket.AF_UNIX) as line:
            line.settimeout(20)
            line.connect(str(desk.place.socket))
            line.sendall(head + b"Host: x\r\nConnection: close\r\n\r\n" + rest)
            assert line.recv(12) == b"HTTP/1.1 400"


def test_a_second_line_hides_behind_a_public_key(desk: Desk) -> None:
    line = (desk.place.root / "keys" / "carol.pub").read_text().strip()
    answer = desk.post(
        "people/add",
        person="alice",
        id="eve",
        role="reviewer",
        public_line=f'{line}\nrev:eve namespaces="x" {line}',
        reason="test",
    )
    assert answer.status == 400
    assert "eve" not in desk.place.allowed_signers.read_text()


def test_a_list_of_revoked_keys_that_is_not_there(sealed: tuple[Any, Path], tmp_path: Path) -> None:
    """A name mistyped must not mean that nothing is revoked."""
    with pytest.raises(InputError, match="revoked"):
        verify(sealed[1], revoked=tmp_path / "revokd")
