"""The documents of the approval: go.json and cosign.json.

Promises: the bytes built here are the bytes that are hashed, shown, signed, journaled and packed
(I6); they are canonical ASCII JSON on one line with a final newline, no floats, numbers of money
as strings; reading them back refuses anything that is not exactly such bytes (duplicate keys,
other spacing, missing or unknown fields). Field names are those of the evidence format, and a
pack's VERIFY.md reads them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import msgspec

from engine.contracts.canonical import canonical, sha256_hex, strict_loads
from engine.contracts.errors import InputError
from engine.contracts.money import to_text
from engine.contracts.session import Charter, Environment, Limits
from engine.governance.same_person import same_person_signals
from engine.governance.shapes import (
    CosignDocument,
    GoDocument,
    Head,
    InputFile,
    Party,
)
from engine.governance.wordlist import short_code

GO_TYPE = "peakctl-go-1"
COSIGN_TYPE = "peakctl-cosign-1"

#: What the approval binds and what must not change afterwards (I6).
BOUND = (
    "config_sha256",
    "code_sha256",
    "checklist_sha256",
    "roster_sha256",
    "limits_sha256",
    "charter_sha256",
)

#: How a packet under the one-uid waiver reads, wherever it is shown.
WAIVED = "YES: both may work as one Unix user"

_MAX_BYTES = 1 << 20
_HEX64 = re.compile(r"[0-9a-f]{64}")


class PacketFacts(msgspec.Struct, frozen=True, kw_only=True):
    """Everything go.json says. Nonces are 64 hex digits, times µs UTC.

    `code` names what `code_sha256` stands for (wheel record, lock file, python).
    """

    session_id: str
    environment: Environment
    charter: Charter
    config_sha256: str
    inputs: tuple[InputFile, ...]
    code_sha256: str
    code: dict[str, str]
    checklist_sha256: str
    roster_sha256: str
    prev_head_size: int
    prev_head_sha256: str
    operator: Party
    reviewer: Party
    operator_nonce: str
    reviewer_nonce: str
    allow_same_uid: bool
    issued_at_us: int
    expires_at_us: int
    boot_id: str
    hostname: str


class CosignContent(msgspec.Struct, frozen=True, kw_only=True):
    """Everything cosign.json says: the reviewer's decision on one packet."""

    session_id: str
    go_sha256: str
    decision: str
    reason: str
    reviewer_nonce: str
    decided_at_us: int
    reviewer: Party
    typed_code: str
    typed_limit: str = ""


def limits_sha256(limits: Limits) -> str:
    """Hash of the limits in their text form, as a packet carries them."""
    return sha256_hex(canonical(limits_text(limits)))


def charter_sha256(charter: Charter) -> str:
    """Hash of the canonical charter."""
    return sha256_hex(canonical(charter))


def limits_text(limits: Limits) -> dict[str, str]:
    """Every limit as a string."""
    return {name: to_text(Decimal(getattr(limits, name))) for name in Limits.__struct_fields__}


def build_packet(facts: PacketFacts) -> bytes:
    """The exact bytes of go.json."""
    charter = facts.charter
    document = GoDocument(
        type=GO_TYPE,
        session=facts.session_id,
        environment=facts.environment,
        mode=charter.mode,
        venue=charter.venue,
        account=charter.account,
        instruments=charter.instruments,
        window_from=charter.window_from_us,
        window_until=charter.window_until_us,
        purpose=charter.purpose,
        runbook=charter.runbook,
        attendance_seconds=charter.attendance_seconds,
        limits=limits_text(charter.limits),
        limits_sha256=limits_sha256(charter.limits),
        charter_sha256=charter_sha256(charter),
        config_sha256=facts.config_sha256,
        inputs=facts.inputs,
        code_sha256=facts.code_sha256,
        code=facts.code,
        checklist_sha256=facts.checklist_sha256,
        roster_sha256=facts.roster_sha256,
        prev_head=Head(size=facts.prev_head_size, sha256=facts.prev_head_sha256),
        operator=facts.operator,
        reviewer=facts.reviewer,
        operator_nonce=facts.operator_nonce,
        reviewer_nonce=facts.reviewer_nonce,
        same_person=same_person_signals(facts.operator, facts.reviewer),
        allow_same_uid=facts.allow_same_uid,
        issued_at=facts.issued_at_us,
        expires_at=facts.expires_at_us,
        boot_id=facts.boot_id,
        hostname=facts.hostname,
    )
    return canonical(document) + b"\n"


def build_cosign(facts: CosignContent) -> bytes:
    """The exact bytes of cosign.json; code and limit are as the reviewer typed them."""
    document = CosignDocument(
        type=COSIGN_TYPE,
        session=facts.session_id,
        go_sha256=facts.go_sha256,
        decision=facts.decision,
        reason=facts.reason,
        reviewer_nonce=facts.reviewer_nonce,
        decided_at=facts.decided_at_us,
        reviewer=facts.reviewer,
        short_code=facts.typed_code,
        typed_limit=facts.typed_limit,
    )
    return canonical(document) + b"\n"


def parse_packet(document: bytes) -> dict[str, Any]:
    """Read go.json; raises InputError unless the bytes are exactly such a document."""
    packet = _parse(document, GO_TYPE, GoDocument, "go.json")
    if short := [name for name in BOUND if not _HEX64.fullmatch(packet[name])]:
        raise InputError(what="is not a sha256", where=f"go.json: {short[0]}")
    if sha256_hex(canonical(packet["limits"])) != packet["limits_sha256"]:
        raise InputError(what="limits and their hash differ", where="go.json: limits_sha256")
    return packet


def parse_cosign(document: bytes) -> dict[str, Any]:
    """Read cosign.json; raises InputError unless the bytes are exactly such a document."""
    return _parse(document, COSIGN_TYPE, CosignDocument, "cosign.json")


def _parse(document: bytes, kind: str, shape: type[msgspec.Struct], where: str) -> dict[str, Any]:
    if len(document) > _MAX_BYTES:
        raise InputError(what="is over 1 MiB", where=where)
    try:
        parsed = strict_loads(document, where)
    except RecursionError as error:
        raise InputError(what="is nested too deeply", where=where) from error
    if not isinstance(parsed, dict) or parsed.get("type") != kind:
        raise InputError(what=f"is not a document of type {kind}", where=where)
    try:
        msgspec.convert(parsed, type=shape, strict=True)
    except msgspec.ValidationError as error:
        raise InputError(what=str(error), where=where) from error
    try:
        same = canonical(parsed) + b"\n" == document
    except (UnicodeEncodeError, OverflowError, ValueError) as error:
        raise InputError(what="holds a value that cannot be written", where=where) from error
    if not same:
        raise InputError(what="is not in canonical form", where=where)
    return parsed


def changed_since(packet: Mapping[str, Any], current: Mapping[str, str]) -> tuple[str, ...]:
    """Which bound hashes are no longer what was signed (I6); one that is not known has changed."""
    return tuple(
        name for name in BOUND if not packet.get(name) or packet.get(name) != current.get(name)
    )


def typed_limit_of(packet: Mapping[str, Any]) -> str:
    """The number that the reviewer types beside the short code: the largest order notional."""
    return str(packet["limits"]["max_order_notional"])


def same_limit(typed: str, packet: Mapping[str, Any]) -> bool:
    """Whether what was typed is that number as the packet shows it; no other form of it counts."""
    return typed.strip(" ") == typed_limit_of(packet)


def shown(text: str) -> str:
    """The text with everything that does not print (controls, bidi overrides) as an escape."""
    return "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in text)


def packet_lines(packet: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """The packet as label and value, in the order both people read it. Times stay µs UTC."""
    limits = [(f"limit {name}", value) for name, value in sorted(packet["limits"].items())]
    waiver = WAIVED if packet["allow_same_uid"] else "no"
    head = packet["prev_head"]
    rows = [
        ("session", packet["session"]),
        ("environment", packet["environment"]),
        ("mode", packet["mode"].upper()),
        ("venue", packet["venue"]),
        ("account", packet["account"]),
        ("instruments", ", ".join(packet["instruments"])),
        ("purpose", packet["purpose"]),
        *limits,
        ("window from", str(packet["window_from"])),
        ("window until", str(packet["window_until"])),
        ("attendance seconds", str(packet["attendance_seconds"])),
        ("operator", _party_line(packet["operator"])),
        ("reviewer", _party_line(packet["reviewer"])),
        *(
            (f"{role} agent", packet[role]["signals"]["agent"])
            for role in ("operator", "reviewer")
            if packet[role]["signals"].get("agent")
        ),
        *((f"same {name}?", value) for name, value in sorted(packet["same_person"].items())),
        ("same-uid waiver", waiver),
        ("config", packet["config_sha256"]),
        ("code", packet["code_sha256"]),
        ("checklist", packet["checklist_sha256"]),
        ("roster", packet["roster_sha256"]),
        ("journal before", f"{head.get('size')} events, {head.get('sha256')}"),
        ("runbook", packet["runbook"]),
        ("host", packet["hostname"]),
        ("issued", str(packet["issued_at"])),
        ("expires", str(packet["expires_at"])),
    ]
    return tuple((shown(label), shown(value)) for label, value in rows)


def _party_line(party: Mapping[str, Any]) -> str:
    uid = "unknown" if party["uid"] is None else party["uid"]
    return f"{party['person']} ({party['principal']}, {party['fingerprint']}, uid {uid})"


__all__ = [
    "BOUND",
    "WAIVED",
    "CosignContent",
    "InputFile",
    "PacketFacts",
    "Party",
    "build_cosign",
    "build_packet",
    "changed_since",
    "charter_sha256",
    "limits_sha256",
    "limits_text",
    "packet_lines",
    "parse_cosign",
    "parse_packet",
    "same_limit",
    "same_person_signals",
    "short_code",
    "shown",
    "typed_limit_of",
]
