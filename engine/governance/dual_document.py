"""The document of one act of dual control: what both people read, hash and sign.

The bytes built here are the bytes that are hashed, shown, signed and journaled (I6): canonical
ASCII JSON on one line with a final newline. Reading them back refuses anything that is not exactly
such bytes. A purpose has its own document type and its own pair of namespaces. Pure.
"""

from __future__ import annotations

import msgspec

from engine.contracts.canonical import canonical, strict_loads
from engine.contracts.documents import DUAL_NAMESPACES, Namespace, Purpose
from engine.contracts.errors import InputError
from engine.contracts.people import Role
from engine.governance.packet import shown
from engine.governance.session import is_nonce
from engine.governance.shapes import Head

#: What a grant binds and what must not change between request and grant (I6).
BOUND = ("config_sha256", "code_sha256", "roster_sha256")

_MAX_BYTES = 1 << 16


class Signer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One of the two who are to sign, as the roster has them."""

    person: str
    principal: str
    fingerprint: str


class DualContent(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything a document says. Times µs UTC, hashes and nonce 64 lower-case hex digits.

    `subject` is what the act is about, as text by name; `session` is "" outside a session;
    `prev_head` the journal when it was asked for.
    """

    type: str
    purpose: str
    request_id: str
    session: str
    environment: str
    subject: dict[str, str]
    reason: str
    requested_by: str
    operator: Signer
    reviewer: Signer
    allow_same_uid: bool
    config_sha256: str
    code_sha256: str
    roster_sha256: str
    prev_head: Head
    nonce: str
    issued_at: int
    expires_at: int
    boot_id: str
    hostname: str

    def signer(self, role: Role) -> Signer:
        """The one who signs in this role."""
        return self.operator if role is Role.OPERATOR else self.reviewer

    def role_of(self, person: str) -> Role | None:
        """In which role this person signs, if at all."""
        return next((role for role in Role if self.signer(role).person == person), None)


def document_type(purpose: Purpose) -> str:
    """The `type` of a purpose's documents."""
    return f"peakctl-dual-{purpose.value.replace('_', '-')}-1"


def namespace_of(purpose: Purpose, role: Role) -> Namespace:
    """The namespace in which this role signs this purpose."""
    return DUAL_NAMESPACES[purpose, role]


def build_dual(content: DualContent) -> bytes:
    """The exact bytes that both sign."""
    return canonical(content) + b"\n"


def parse_dual(document: bytes, purpose: Purpose | None = None) -> DualContent:
    """Read a document; raises InputError unless the bytes are exactly such a document.

    With a purpose, documents of other purposes are refused too.
    """
    where = "dual.json"
    if len(document) > _MAX_BYTES:
        raise InputError(what=f"is over {_MAX_BYTES} bytes", where=where)
    try:
        parsed = strict_loads(document, where)
    except RecursionError as error:
        raise InputError(what="is nested too deeply", where=where) from error
    try:
        said = msgspec.convert(parsed, type=DualContent, strict=True)
    except msgspec.ValidationError as error:
        raise InputError(what=f"is no dual control document ({error})", where=where) from error
    if said.purpose not in set(Purpose) or said.type != document_type(Purpose(said.purpose)):
        raise InputError(what="type and purpose do not fit together", where=where)
    if purpose is not None and said.purpose != purpose.value:
        raise InputError(what=f"is about {said.purpose}, not {purpose.value}", where=where)
    if not is_nonce(said.nonce) or not all(is_nonce(getattr(said, name)) for name in BOUND):
        raise InputError(what="holds a hash or nonce that is none", where=where)
    try:
        same = build_dual(said) == document
    except (UnicodeEncodeError, OverflowError, ValueError) as error:
        raise InputError(what="holds a value that cannot be written", where=where) from error
    if not same:
        raise InputError(what="is not in canonical form", where=where)
    return said


#: What each purpose does, as the headline that a signer reads.
HEADLINES: dict[Purpose, str] = {
    Purpose.RELEASE: "RELEASE THE KILL LATCH",
    Purpose.ADOPT: "ADOPT A STRANGER'S ORDER INTO THE SESSION",
    Purpose.CLOSE_BREAK: "CLOSE A RED BREAK",
    Purpose.LOOSEN: "LOOSEN A LIMIT",
    Purpose.STEP_UP: "GO UP ONE STEP OF THE SCALING LADDER",
}


def dual_lines(said: DualContent) -> tuple[tuple[str, str], ...]:
    """The document as label and value, in the order both people read it. Times stay µs UTC."""
    waiver = "YES: both may work as one Unix user" if said.allow_same_uid else "no"
    rows = [
        ("act", HEADLINES[Purpose(said.purpose)]),
        ("reason", said.reason),
        *sorted(said.subject.items()),
        ("asked by", said.requested_by),
        ("session", said.session or "none"),
        ("environment", said.environment),
        ("operator", _signer_line(said.operator)),
        ("reviewer", _signer_line(said.reviewer)),
        ("same-uid waiver", waiver),
        ("config", said.config_sha256),
        ("code", said.code_sha256),
        ("roster", said.roster_sha256),
        ("journal before", f"{said.prev_head.size} events, {said.prev_head.sha256}"),
        ("host", said.hostname),
        ("issued", str(said.issued_at)),
        ("expires", str(said.expires_at)),
    ]
    return tuple((shown(label.replace("_", " ")), shown(value)) for label, value in rows)


def _signer_line(who: Signer) -> str:
    return f"{who.person} ({who.principal}, {who.fingerprint})"
