"""Reading and signing a dual control document in one's own process.

What a person signs is the bytes that this process received, hashed and read; of what the engine
says beside them nothing is taken over. So an engine or a file that shows one thing and means
another is found out here, before there is a signature.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from engine.contracts.canonical import sha256_hex
from engine.contracts.errors import InputError, IntegrityError, Refused

if TYPE_CHECKING:
    from engine.contracts.documents import Namespace
    from engine.contracts.people import Role
    from engine.contracts.view import DualView
    from engine.governance.dual import DualContent

#: No document lives longer, whatever it says itself.
_LONGEST_US = 300_000_000
_CLOCK_SLACK_US = 5_000_000


class Reading(NamedTuple):
    """One document as this process has it: bytes, their sha256, the short code, and what it says.

    `lines` are label and value in the order in which people read them.
    """

    document: bytes
    sha256: str
    code: str
    said: DualContent
    lines: tuple[tuple[str, str], ...]

    def namespace(self, role: Role) -> Namespace:
        """In which namespace this role signs it."""
        from engine.governance.dual import Purpose, namespace_of  # noqa: PLC0415

        return namespace_of(Purpose(self.said.purpose), role)


def read_document(document: bytes) -> Reading:
    """Hash and read the bytes. Raises InputError when they are no such document."""
    from engine.governance.dual import dual_lines, parse_dual  # noqa: PLC0415
    from engine.governance.wordlist import short_code  # noqa: PLC0415

    said = parse_dual(document)
    digest = sha256_hex(document)
    return Reading(document, digest, short_code(digest), said, dual_lines(said))


def read_view(view: DualView) -> Reading:
    """Read the document that the engine shows. Raises InputError, IntegrityError."""
    try:
        reading = read_document(view.document.encode("ascii"))
    except UnicodeEncodeError as error:
        raise InputError(what="the document is not ASCII", where=view.id) from error
    said = reading.said
    if (said.request_id, said.purpose, reading.sha256) != (view.id, view.purpose, view.sha256):
        raise IntegrityError(
            what="the engine says another thing about the document than its bytes do",
            where=view.id[:40],
            todo="do not sign it; look at the journal",
        )
    return reading


def refuse_stale(reading: Reading, now_us: int) -> None:
    """Refuse what this machine's own clock calls expired or too long-lived. Raises Refused."""
    left_us = reading.said.expires_at - now_us
    if left_us <= 0:
        raise Refused(
            what="the document has expired",
            where=reading.said.request_id,
            todo="ask anew",
            code="EXPIRED",
        )
    if left_us > _LONGEST_US + _CLOCK_SLACK_US:
        raise Refused(
            what="the document outlives what is allowed, by this machine's clock",
            where=reading.said.request_id,
            todo="compare the clocks, ask anew",
            code="EXPIRY_TOO_LONG",
        )
