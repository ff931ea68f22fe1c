"""What the reviewer's process prepares for the two-person step: a nonce, and cosign.json.

The reviewer's document is built from the packet's exact bytes as this process received and hashed
them; nothing textual of the operator's process is taken over but those bytes.
"""

from __future__ import annotations

import os
import secrets
import time

from engine.contracts.canonical import sha256_hex
from engine.contracts.errors import InputError
from engine.governance.approval import DECISIONS
from engine.governance.packet import CosignContent, Party, build_cosign, parse_packet
from engine.governance.same_person import observed
from peakctl.signing import signals


def new_nonce() -> str:
    """A fresh nonce: 32 random bytes as 64 hex digits."""
    return secrets.token_hex(32)


def cosign_document(
    *,
    packet: str,
    decision: str,
    reason: str,
    typed_code: str,
    typed_limit: str,
    nonce: str = "",
    elsewhere: bool = False,
) -> str:
    """The exact text of cosign.json for the packet this process holds. Raises InputError.

    `decision` is one of DECISIONS; `typed_code` and `typed_limit` are what the reviewer typed, not
    what was shown; `nonce` is this process's own, the packet's when the reviewer joined from
    another one. `elsewhere`: this machine is not the engine's, its users and terminals say nothing.
    """
    if decision not in DECISIONS:
        raise InputError(
            what=f"{decision[:20]!r} is no decision", todo=f"say one of {', '.join(DECISIONS)}"
        )
    if decision != "GO" and not reason.strip():
        raise InputError(what=f"{decision} needs a reason", todo="write one with --reason")
    content = packet.encode("ascii")
    document = parse_packet(content)
    named = document["reviewer"]
    facts = CosignContent(
        session_id=document["session"],
        go_sha256=sha256_hex(content),
        decision=decision,
        reason=reason,
        reviewer_nonce=nonce or document["reviewer_nonce"],
        decided_at_us=time.time_ns() // 1000,
        reviewer=Party(
            person=named["person"],
            principal=named["principal"],
            fingerprint=named["fingerprint"],
            uid=None if elsewhere else os.getuid(),
            signals={} if elsewhere else observed(signals()),
        ),
        typed_code=typed_code,
        typed_limit=typed_limit,
    )
    return build_cosign(facts).decode("ascii")
