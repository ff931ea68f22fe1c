"""Real words of a session, and a pen that records events in order."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from engine.contracts.canonical import sha256_hex
from engine.contracts.event import (
    AnyEvent,
    ChecklistStarted,
    GoDecided,
    GoRequested,
    GoSigned,
    ItemAnswered,
    Recorded,
    ReviewerJoined,
    SessionChartered,
    SessionMoved,
)
from engine.contracts.people import ENGINE, Actor, person
from engine.contracts.session import (
    Charter,
    Environment,
    ItemResult,
    Limits,
    Mode,
    SessionState,
)
from engine.governance.approval import CosignFacts
from engine.governance.checklist import parse_runbook
from engine.governance.packet import (
    BOUND,
    CosignContent,
    InputFile,
    PacketFacts,
    Party,
    build_cosign,
    build_packet,
    charter_sha256,
    limits_sha256,
)
from engine.governance.people import parse_roster
from engine.governance.session_fold import SessionFold
from engine.governance.verdict import SignatureVerdict
from engine.governance.wordlist import short_code

S = 1_000_000
NOW = 1_790_000_000 * S
SID = "0123456789ab"
OP_KEY = "SHA256:" + "o" * 43
REV_KEY = "SHA256:" + "r" * 43
OP_NONCE = "a" * 64
REV_NONCE = "b" * 64
ALICE = person("alice", "peer-uid:1000")
BOB = person("bob", "peer-uid:1001")

RUNBOOK = """+++
version = "1"
[[item]]
id = "clock"
title = "Clock offset"
kind = "auto"
probe = "clock"
critical = true
[[item]]
id = "balance"
title = "Read the balance from the venue"
kind = "manual"
roles = ["operator", "reviewer"]
expect = '[0-9.]+ usdt|[0-9.]+ USDT'
[[item]]
id = "plan"
title = "Say the plan"
kind = "manual"
+++
# Session
"""


def limits() -> Limits:
    return Limits(
        max_order_quantity=Decimal("0.5"),
        max_order_notional=Decimal("500"),
        max_position=Decimal("1"),
        max_open_orders=5,
        max_orders_per_second=2,
        max_orders_per_minute=20,
        max_orders_per_session=100,
        max_session_loss=Decimal("50"),
        price_collar_bps=100,
    )


def charter(**changes: Any) -> Charter:
    base = Charter(
        mode=Mode.PAPER,
        venue="sandbox",
        account="demo",
        instruments=("BTCUSDT",),
        limits=limits(),
        window_from_us=NOW - 60 * S,
        window_until_us=NOW + 3600 * S,
        operator="alice",
        reviewer="bob",
        runbook="session.md",
        attendance_seconds=15,
        purpose="demo",
    )
    return msgspec.structs.replace(base, **changes)


def party(role: str, **changes: Any) -> Party:
    operator = role == "operator"
    base = Party(
        person="alice" if operator else "bob",
        principal="op:alice" if operator else "rev:bob",
        fingerprint=OP_KEY if operator else REV_KEY,
        uid=1000 if operator else 1001,
        signals={"tty": "/dev/pts/1" if operator else "/dev/pts/2", "loginuid": "4294967295"},
    )
    return msgspec.structs.replace(base, **changes)


def current(**changes: str) -> dict[str, str]:
    hashes = {name: sha256_hex(name.encode()) for name in BOUND}
    hashes["limits_sha256"] = limits_sha256(limits())
    hashes["charter_sha256"] = charter_sha256(charter())
    return hashes | changes


def packet_facts(**changes: Any) -> PacketFacts:
    hashes = current()
    base = PacketFacts(
        session_id=SID,
        environment=Environment.DEV,
        charter=charter(),
        config_sha256=hashes["config_sha256"],
        inputs=(InputFile(path="config/peakctl.toml", size=12, sha256="0" * 64),),
        code_sha256=hashes["code_sha256"],
        code={"python": "3.11.7", "record": "1" * 64},
        checklist_sha256=hashes["checklist_sha256"],
        roster_sha256=hashes["roster_sha256"],
        prev_head_size=12,
        prev_head_sha256="2" * 64,
        operator=party("operator"),
        reviewer=party("reviewer"),
        operator_nonce=OP_NONCE,
        reviewer_nonce=REV_NONCE,
        allow_same_uid=False,
        issued_at_us=NOW,
        expires_at_us=NOW + 300 * S,
        boot_id="boot",
        hostname="desk",
    )
    return msgspec.structs.replace(base, **changes)


def cosign_content(packet: bytes, **changes: Any) -> CosignContent:
    digest = sha256_hex(packet)
    base = CosignContent(
        session_id=SID,
        go_sha256=digest,
        decision="GO",
        reason="",
        reviewer_nonce=REV_NONCE,
        decided_at_us=NOW + 10 * S,
        reviewer=party("reviewer"),
        typed_code=short_code(digest),
        typed_limit=str(limits().max_order_notional),
    )
    return msgspec.structs.replace(base, **changes)


def verdict(role: str, **changes: Any) -> SignatureVerdict:
    who = party(role)
    base = SignatureVerdict(
        ok=True,
        strict_ok=True,
        keygen_ok=True,
        principal=who.principal,
        fingerprint=who.fingerprint,
    )
    return msgspec.structs.replace(base, **changes)


def roster_rows() -> list[dict[str, Any]]:
    rows = []
    for role, name in (("operator", "Alice"), ("reviewer", "Bob")):
        who = party(role)
        rows.append(
            {
                "id": who.person,
                "name": name,
                "role": role,
                "principal": who.principal,
                "fingerprint": who.fingerprint,
            }
        )
    return rows


class Bench:
    """Builds facts for one approval; every named change is the one thing that is wrong."""

    def facts(
        self,
        *,
        packet: dict[str, Any] | None = None,
        cosign: dict[str, Any] | None = None,
        **changes: Any,
    ) -> CosignFacts:
        document = build_packet(packet_facts(**(packet or {})))
        base = CosignFacts(
            session_id=SID,
            environment=Environment.DEV,
            stage="signed",
            charter=charter(),
            roster=parse_roster({"people": roster_rows()}),
            packet=document,
            packet_sha256=sha256_hex(document),
            operator_verdict=verdict("operator"),
            joined_nonce=REV_NONCE,
            used_nonces=frozenset(),
            now_us=NOW + 20 * S,
            elapsed_us=20 * S,
            ttl_us=300 * S,
            current=current(),
            blockers=(),
            cosign=build_cosign(cosign_content(document, **(cosign or {}))),
            reviewer_verdict=verdict("reviewer"),
        )
        return msgspec.structs.replace(base, **changes)


@pytest.fixture
def bench() -> Bench:
    return Bench()


class Pen:
    """Records events into a fold, a second apart."""

    def __init__(self) -> None:
        self.fold = SessionFold()
        self.now = NOW
        self.told: list[Recorded] = []

    def write(self, event: AnyEvent, actor: Actor = ENGINE) -> None:
        self.now += S
        recorded = Recorded(seq=len(self.told), ts_us=self.now, actor=actor, event=event)
        self.fold.apply(recorded)
        self.told.append(recorded)

    def charter(self, sid: str = SID) -> None:
        self.write(SessionChartered(session_id=sid, charter=charter()), ALICE)

    def move(self, before: str, after: str, cause: str, sid: str = SID) -> None:
        self.write(
            SessionMoved(
                session_id=sid,
                before=SessionState(before),
                after=SessionState(after),
                cause=cause,
            )
        )

    def answer(self, item: str, role: str, value: str, actor: Actor) -> None:
        self.write(
            ItemAnswered(
                session_id=SID, item_id=item, role=role, value=value, result=ItemResult.PASS
            ),
            actor,
        )

    def checklist(self) -> None:
        self.charter()
        self.write(ChecklistStarted(session_id=SID, checklist=parse_runbook(RUNBOOK, "session.md")))
        self.move("charter", "checklist", "checklist_started")

    def answered(self) -> None:
        self.checklist()
        self.answer("clock", "operator", "3 ms", ENGINE)
        self.answer("balance", "operator", "100 USDT", ALICE)
        self.answer("balance", "reviewer", "100 usdt ", BOB)
        self.answer("plan", "operator", "buy low", ALICE)

    def join(self, nonce: str = REV_NONCE) -> None:
        self.write(
            ReviewerJoined(session_id=SID, reviewer="bob", nonce=nonce, signals={"tty": "x"}), BOB
        )

    def requested(self, **changes: Any) -> str:
        packet = build_packet(packet_facts(**changes)).decode()
        digest = sha256_hex(packet.encode())
        self.write(
            GoRequested(
                session_id=SID, packet=packet, packet_sha256=digest, expires_us=NOW + 300 * S
            ),
            ALICE,
        )
        self.move("checklist", "go_nogo", "go_requested")
        return digest

    def signed(self) -> str:
        self.answered()
        self.join()
        digest = self.requested()
        self.write(
            GoSigned(session_id=SID, packet_sha256=digest, signature="sig", fingerprint=OP_KEY),
            ALICE,
        )
        return digest

    def decided(self, decision: str = "GO") -> str:
        digest = self.signed()
        self.write(
            GoDecided(
                session_id=SID,
                decision=decision,
                reason="",
                packet_sha256=digest,
                cosign="{}",
                signature="sig",
                fingerprint=REV_KEY,
                signals={"uid": "different"},
            ),
            BOB,
        )
        return digest

    def live(self) -> str:
        digest = self.decided()
        self.move("go_nogo", "live", "go")
        return digest


@pytest.fixture
def pen() -> Pen:
    return Pen()


@pytest.fixture(scope="session")
def words() -> Any:
    """The builders above, for tests that name what they change."""

    class Words:
        party = staticmethod(party)
        charter = staticmethod(charter)
        current = staticmethod(current)
        limits = staticmethod(limits)
        verdict = staticmethod(verdict)
        roster_rows = staticmethod(roster_rows)
        packet_facts = staticmethod(packet_facts)
        cosign_content = staticmethod(cosign_content)
        runbook = RUNBOOK
        now = NOW
        second = S
        sid = SID
        op_nonce = OP_NONCE
        rev_nonce = REV_NONCE
        op_key = OP_KEY
        rev_key = REV_KEY
        alice = ALICE
        bob = BOB

    return Words


@pytest.fixture(scope="session")
def told() -> list[Recorded]:
    """Every event of a session up to live, in order."""
    pen = Pen()
    pen.live()
    return pen.told
