"""Dual control: acts beside go/no-go that two people grant together.

The order is requested, signed (once each), granted; or withdrawn, by a person or by rule. A
signature that was not accepted, and a grant that the act itself refused, is `dual.refused`: the
request goes on waiting until it expires.
"""

from __future__ import annotations

from engine.contracts.events.base import Event


class DualRequested(Event, frozen=True, kw_only=True, tag="dual.requested"):
    """One of the two asked. `document` is the exact text (ASCII) that both are to sign.

    `purpose` is a value of `contracts.documents.Purpose`; `session_id` "" outside a session.
    """

    request_id: str
    purpose: str
    session_id: str
    document: str
    document_sha256: str
    expires_us: int


class DualSigned(Event, frozen=True, kw_only=True, tag="dual.signed"):
    """One person's signature over the document, verified twice. `signature` is armoured SSHSIG.

    `signals`: what was seen of who handed it in, `uid` from the kernel ("" when another person
    handed it in). `typed_code` is the short code that the signer typed, "" when signed from a file;
    `counter` a hardware key's own count.
    """

    request_id: str
    purpose: str
    session_id: str
    role: str
    person: str
    document_sha256: str
    signature: str
    fingerprint: str
    signals: dict[str, str]
    typed_code: str = ""
    counter: int | None = None


class DualGranted(Event, frozen=True, kw_only=True, tag="dual.granted"):
    """Both signatures hold and the act was allowed; what it does is in the events that follow.

    `signals` are the same-person signals, `measured` what was read anew for the act, by name.
    """

    request_id: str
    purpose: str
    session_id: str
    document_sha256: str
    reason: str
    operator: str
    reviewer: str
    signals: dict[str, str]
    measured: dict[str, str]


class DualRefused(Event, frozen=True, kw_only=True, tag="dual.refused"):
    """A signature was not accepted, or the act was refused; `code` is stable."""

    request_id: str
    purpose: str
    session_id: str
    person: str
    code: str
    reason: str
    measured: dict[str, str] = {}  # noqa: RUF012  (msgspec copies it)


class DualWithdrawn(Event, frozen=True, kw_only=True, tag="dual.withdrawn"):
    """A request that nobody can grant any more.

    `code`: WITHDRAWN by who asked, DECLINED by the other, SUPERSEDED by a newer one, or by rule
    EXPIRED, ELAPSED_UNKNOWN (the engine was restarted), FACTS_CHANGED, SESSION_MISMATCH.
    """

    request_id: str
    purpose: str
    session_id: str
    document_sha256: str
    code: str
    reason: str
