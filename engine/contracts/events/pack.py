"""What stands behind a sealed pack and follows it: the tables that go in, and its revisions.

The pack's own way (written, signed, sealed) is in `recon`. A sealed pack is never touched again:
what has to be said later about lessons or incidents is a revision, a folder beside it that names
the tag manifest it follows and is signed by the same two people.
"""

from __future__ import annotations

import msgspec

from engine.contracts.events.base import Event
from engine.contracts.people import Role


class TableFile(msgspec.Struct, frozen=True, kw_only=True):
    """One Parquet file of the session's tables: its name, its rows, the sha256 of its bytes."""

    file: str
    rows: int
    sha256: str


class TablesExported(Event, frozen=True, kw_only=True, tag="tables.exported"):
    """The session's tables were written from the first `events` events of the journal.

    The last export of a session is the one that its pack carries.
    """

    session_id: str
    events: int
    files: tuple[TableFile, ...]


class PackRevisionWritten(Event, frozen=True, kw_only=True, tag="pack.revision_written"):
    """A revision of a sealed pack is written; both people sign its tag manifest next.

    `revises` is the sha256 of the tag manifest that it follows: the pack's for number 1, else that
    of the revision before.
    """

    session_id: str
    number: int
    folder: str
    revises: str
    tagmanifest_sha256: str
    reason: str
    lessons: tuple[str, ...] = ()
    incident: str = ""
    set_aside: str = ""


class PackRevisionSigned(Event, frozen=True, kw_only=True, tag="pack.revision_signed"):
    """One person signed the revision's tag manifest."""

    session_id: str
    role: Role
    tagmanifest_sha256: str
    fingerprint: str


class PackRevised(Event, frozen=True, kw_only=True, tag="pack.revised"):
    """The revision has both signatures, was verified and has its final name."""

    session_id: str
    number: int
    folder: str
    revises: str
    tagmanifest_sha256: str
