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
from engine.governance.packet import CosignContent, Party, build_cosign, parse_packet
from peakctl.signing import signals


def new_nonce() -> str:
    """A fresh nonce: 32 random bytes as 64 hex digits."""
    return secrets.token_hex(32)


def cosign_document(
    *, packet: str, decision: str, reason: str, typed_code: str, nonce: str = ""
) -> str:
    """The exact text of cosign.json for the packet this process holds. Raises InputError.

    `decision` is GO or NO-GO; `typed_code` is what the reviewer typed, not what was shown;
    `nonce` is this process's own, the packet's when the reviewer joined from another one.
    """
    if decision not in {"GO", "NO-GO"}:
        raise InputError(what=f"{decision[:20]!r} is no decision", todo="say GO or NO-GO")
    if decision == "NO-GO" and not reason.strip():
        raise InputError(what="a NO-GO needs a reason", todo="write one with --reason")
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
            uid=os.getuid(),
            signals=signals(),
        ),
        typed_code=typed_code,
    )
    return build_cosign(facts).decode("ascii")
