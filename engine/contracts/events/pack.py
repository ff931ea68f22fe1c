"""What goes before a pack and what follows a sealed one: its files in the chain, its revisions.

The pack's own way (written, signed, sealed) is in `recon`. A sealed pack is never touched again:
what has to be said later about lessons or incidents is a revision, a folder beside it that names
the tag manifest it follows and is signed by the same two people.
"""

from __future__ import annotations

from engine.contracts.events.base import Event
from engine.contracts.people import Role


class PackPrepared(Event, frozen=True, kw_only=True, tag="pack.prepared"):
    """What a pack will carry beside the journal: the sha256 of each file by its name in the pack.

    Written before the head that the pack is signed under, so that no file of another session fits.
    Reports and tables tell what the first `events` events of the journal tell; `rows` counts those
    of each table. The last one of a session is the one that its pack is made of.
    """

    session_id: str
    events: int
    files: dict[str, str]
    rows: dict[str, int]


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
    """One person signed the revision's tag manifest. `counter` is a hardware key's, else None."""

    session_id: str
    role: Role
    tagmanifest_sha256: str
    fingerprint: str
    counter: int | None = None


class PackRevised(Event, frozen=True, kw_only=True, tag="pack.revised"):
    """The revision has both signatures, was verified and has its final name."""

    session_id: str
    number: int
    folder: str
    revises: str
    tagmanifest_sha256: str
