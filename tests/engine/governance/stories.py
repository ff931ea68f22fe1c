"""Whole stories of a journal as events with their actors: a session up to its seal, a grant of two.

The events are those that the desks write, in their order; a test leaves one out or bends one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import msgspec

from engine.contracts import event as ev
from engine.contracts.canonical import sha256_hex
from engine.contracts.documents import Purpose
from engine.contracts.people import ENGINE, Actor, Role, person
from engine.contracts.session import Charter, Environment, Mode, SessionState
from engine.governance.dual import DualContent, Signer, build_dual, document_type
from engine.governance.packet import build_packet
from engine.governance.shapes import Head
from engine.governance.transitions import Cause
from engine.reconcile.report import Break, Report
from tests.engine.governance.conftest import charter, packet_facts

DAY = 86_400_000_000
WEEK = 7 * DAY
#: A Monday, 00:00 UTC.
MONDAY = 1_790_553_600_000_000
KEYS = {Role.OPERATOR: "SHA256:" + "o" * 43, Role.REVIEWER: "SHA256:" + "r" * 43}
NAMES = {Role.OPERATOR: "alice", Role.REVIEWER: "bob"}
SIGNERS = {role: person(NAMES[role], f"sshsig:{KEYS[role]}") for role in Role}
ALICE = person("alice", "peer-uid:1000")


class Told(NamedTuple):
    """One event, who caused it, and when."""

    event: ev.AnyEvent
    actor: Actor
    at_us: int


def charter_of(mode: Mode) -> Charter:
    """The charter of these sessions."""
    return charter(mode=mode)


def sealed_session(
    name: str,
    at_us: int,
    mode: Mode = Mode.PAPER,
    environment: Environment = Environment.DEV,
    *,
    orders: int = 3,
    classes: Sequence[str] = (),
    answered: bool = True,
    venue_us: int | None = None,
    signed_us: int | None = None,
) -> list[Told]:
    """From charter to seal; `signed_us` is when the packet says it was made.

    `classes` are those of the breaks that the reconciliation found.
    """
    terms = charter_of(mode)
    nonces = (sha256_hex(f"{name}-operator".encode()), sha256_hex(f"{name}-reviewer".encode()))
    packet = build_packet(
        packet_facts(
            session_id=name,
            environment=environment,
            charter=terms,
            operator_nonce=nonces[0],
            reviewer_nonce=nonces[1],
            issued_at_us=at_us if signed_us is None else signed_us,
            expires_at_us=(at_us if signed_us is None else signed_us) + 300_000_000,
        )
    ).decode()
    digest = sha256_hex(packet.encode())
    report = report_of(name, at_us, orders, classes)
    manifest = sha256_hex(f"{name}-pack".encode())
    breaks = {klass: sum(one == klass for one in classes) for klass in ("green", "yellow", "red")}
    told: list[tuple[ev.AnyEvent, Actor]] = [
        (ev.SessionChartered(session_id=name, charter=terms), ALICE),
        (
            _moved(name, SessionState.CHARTER, SessionState.CHECKLIST, Cause.CHECKLIST_STARTED),
            ALICE,
        ),
        (
            ev.GoRequested(
                session_id=name, packet=packet, packet_sha256=digest, expires_us=at_us + DAY
            ),
            ALICE,
        ),
        (_moved(name, SessionState.CHECKLIST, SessionState.GO_NOGO, Cause.GO_REQUESTED), ALICE),
        (
            ev.GoSigned(
                session_id=name,
                packet_sha256=digest,
                signature="s",
                fingerprint=KEYS[Role.OPERATOR],
            ),
            SIGNERS[Role.OPERATOR],
        ),
        (
            ev.GoDecided(
                session_id=name,
                decision="GO",
                reason="",
                packet_sha256=digest,
                cosign="c",
                signature="s",
                fingerprint=KEYS[Role.REVIEWER],
                signals={},
            ),
            SIGNERS[Role.REVIEWER],
        ),
        (_moved(name, SessionState.GO_NOGO, SessionState.LIVE, Cause.GO), SIGNERS[Role.REVIEWER]),
        *(
            (
                ev.OrderAcknowledged(
                    client_order_id=f"{name}-{number}",
                    venue_order_id=str(number),
                    venue_time_us=at_us if venue_us is None else venue_us,
                ),
                ENGINE,
            )
            for number in range(orders)
        ),
        (_moved(name, SessionState.LIVE, SessionState.STOPPING, Cause.STOP), ALICE),
        (_moved(name, SessionState.STOPPING, SessionState.STOPPED, Cause.PROVEN_FLAT), ENGINE),
        (
            ev.ReconRun(
                session_id=name,
                run_id="r1",
                compared={"orders": orders},
                breaks=breaks,
                report=report,
                report_sha256=sha256_hex(report.encode()),
            ),
            ALICE,
        ),
        *(
            (
                ev.BreakAnswered(
                    session_id=name, run_id="r1", break_id=f"B{number:04d}", answer="looked at"
                ),
                ALICE,
            )
            for number, klass in enumerate(classes, start=1)
            if answered and klass != "green"
        ),
        *(
            (
                ev.ReconSigned(
                    session_id=name,
                    run_id="r1",
                    role=role,
                    report_sha256=sha256_hex(report.encode()),
                    signature="s",
                    fingerprint=KEYS[role],
                ),
                SIGNERS[role],
            )
            for role in Role
        ),
        (
            _moved(name, SessionState.STOPPED, SessionState.RECONCILED, Cause.RECON_SIGNED),
            ENGINE,
        ),
        (ev.PackWritten(session_id=name, folder=name, tagmanifest_sha256=manifest), ALICE),
        *(
            (
                ev.PackSigned(
                    session_id=name,
                    role=role,
                    tagmanifest_sha256=manifest,
                    fingerprint=KEYS[role],
                ),
                SIGNERS[role],
            )
            for role in Role
        ),
        (ev.PackSealed(session_id=name, folder=name, tagmanifest_sha256=manifest), ENGINE),
        (_moved(name, SessionState.RECONCILED, SessionState.SEALED, Cause.PACK_SEALED), ENGINE),
    ]
    return [Told(event, actor, at_us) for event, actor in told]


def report_of(name: str, at_us: int, orders: int, classes: Sequence[str]) -> str:
    """The report of a reconciliation with so many breaks."""
    breaks = tuple(
        Break(
            id=f"B{number:04d}",
            klass=klass,
            subject="orders",
            key=str(number),
            engine="-",
            journal="-",
            venue="-",
            cause="X: x",
            owner="" if klass == "green" else "operator",
        )
        for number, klass in enumerate(classes, start=1)
    )
    made = Report(
        run_id="r1", session_id=name, at_us=at_us, compared={"orders": orders}, breaks=breaks
    )
    return made.to_document().decode()


def granted(
    purpose: Purpose, subject: Mapping[str, str], number: int = 1, **changes: object
) -> tuple[list[tuple[ev.AnyEvent, Actor]], str]:
    """A grant of two people as the dual desk writes it, and the hash of its document."""
    said = DualContent(
        type=document_type(purpose),
        purpose=purpose.value,
        request_id=f"{number:012x}",
        session="",
        environment="dev",
        subject=dict(subject),
        reason="we have looked at it",
        requested_by="alice",
        operator=Signer(person="alice", principal="op:alice", fingerprint=KEYS[Role.OPERATOR]),
        reviewer=Signer(person="bob", principal="rev:bob", fingerprint=KEYS[Role.REVIEWER]),
        allow_same_uid=False,
        config_sha256="c" * 64,
        code_sha256="d" * 64,
        roster_sha256="e" * 64,
        prev_head=Head(size=1, sha256="f" * 64),
        nonce=f"{number:064x}",
        issued_at=MONDAY,
        expires_at=MONDAY + 300_000_000,
        boot_id="boot",
        hostname="desk",
    )
    document = build_dual(msgspec.structs.replace(said, **changes))
    digest = sha256_hex(document)
    events: list[tuple[ev.AnyEvent, Actor]] = [
        (
            ev.DualRequested(
                request_id=said.request_id,
                purpose=purpose.value,
                session_id="",
                document=document.decode(),
                document_sha256=digest,
                expires_us=said.expires_at,
            ),
            ALICE,
        ),
        *(
            (
                ev.DualSigned(
                    request_id=said.request_id,
                    purpose=purpose.value,
                    session_id="",
                    role=role.value,
                    person=NAMES[role],
                    document_sha256=digest,
                    signature="s",
                    fingerprint=KEYS[role],
                    signals={},
                ),
                SIGNERS[role],
            )
            for role in Role
        ),
        (
            ev.DualGranted(
                request_id=said.request_id,
                purpose=purpose.value,
                session_id="",
                document_sha256=digest,
                reason=said.reason,
                operator="alice",
                reviewer="bob",
                signals={},
                measured={},
            ),
            SIGNERS[Role.REVIEWER],
        ),
    ]
    return events, digest


def bent(
    story: Sequence[Told], which: Callable[[ev.AnyEvent], bool], **changes: object
) -> list[Told]:
    """The same story with some events changed."""
    return [
        one._replace(event=msgspec.structs.replace(one.event, **changes))
        if which(one.event)
        else one
        for one in story
    ]


def without(story: Sequence[Told], *kinds: type[ev.Event]) -> list[Told]:
    """The same story with events of these kinds left out."""
    return [one for one in story if not isinstance(one.event, kinds)]


def by(story: Sequence[Told], kind: type[ev.Event], actor: Actor) -> list[Told]:
    """The same story with events of a kind under another actor."""
    return [one._replace(actor=actor) if isinstance(one.event, kind) else one for one in story]


def _moved(name: str, before: SessionState, after: SessionState, cause: Cause) -> ev.SessionMoved:
    return ev.SessionMoved(session_id=name, before=before, after=after, cause=cause)
