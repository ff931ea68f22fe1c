"""The exact fields of go.json and cosign.json; unknown or missing ones are refused.

`packet` builds and reads them; a pack's VERIFY.md names the same fields.
All times µs UTC, all numbers of money text, all hashes 64 lower-case hex digits.
"""

from __future__ import annotations

import msgspec


class _Shape(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base: nothing that is not named here."""


class Party(_Shape, frozen=True, kw_only=True):
    """One of the two people as observed: `uid` is the peer uid of the connection (None unknown).

    `signals` are `loginuid` and `audit_session` as the kernel has them, and the process's own
    observations: `tty`, `ssh_peer`, `agent` (none, local or forwarded).
    """

    person: str
    principal: str
    fingerprint: str
    uid: int | None
    signals: dict[str, str]


class InputFile(_Shape, frozen=True, kw_only=True):
    """One file that went into the effective config; `size` in bytes."""

    path: str
    size: int
    sha256: str


class Head(_Shape, frozen=True, kw_only=True):
    """The journal before the session: number of events and hash of the last line."""

    size: int
    sha256: str


class GoDocument(_Shape, frozen=True, kw_only=True):
    """go.json: what both people agree to."""

    type: str
    session: str
    environment: str
    mode: str
    venue: str
    account: str
    instruments: tuple[str, ...]
    window_from: int
    window_until: int
    purpose: str
    runbook: str
    attendance_seconds: int
    limits: dict[str, str]
    limits_sha256: str
    charter_sha256: str
    config_sha256: str
    inputs: tuple[InputFile, ...]
    code_sha256: str
    code: dict[str, str]
    checklist_sha256: str
    roster_sha256: str
    prev_head: Head
    operator: Party
    reviewer: Party
    operator_nonce: str
    reviewer_nonce: str
    same_person: dict[str, str]
    allow_same_uid: bool
    issued_at: int
    expires_at: int
    boot_id: str
    hostname: str


class CosignDocument(_Shape, frozen=True, kw_only=True):
    """cosign.json: the reviewer's decision; `short_code` and `typed_limit` are what was typed.

    `typed_limit` is the packet's largest order notional; documents older than it have none.
    """

    type: str
    session: str
    go_sha256: str
    decision: str
    reason: str
    reviewer_nonce: str
    decided_at: int
    reviewer: Party
    short_code: str
    typed_limit: str = ""
