"""Reconciliation, lessons and the sealed pack."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from engine.contracts.events.base import Event
from engine.contracts.people import Role


class ReconRun(Event, frozen=True, kw_only=True, tag="recon.run"):
    """One three-way comparison. `report` is the exact text of recon.json."""

    session_id: str
    run_id: str
    compared: dict[str, int]
    breaks: dict[str, int]
    report: str
    report_sha256: str


class WatchedBreak(msgspec.Struct, frozen=True, kw_only=True):
    """One open break of the continuous reconciliation; `first_seen_us` is kept while it is open.

    `code` is a row of the table of causes, `klass` green, yellow or red.
    """

    code: str
    key: str
    klass: str
    first_seen_us: int


class ReconChecked(Event, frozen=True, kw_only=True, tag="recon.checked"):
    """One run of the continuous reconciliation. `moment`: start, live or reconnect.

    `unknown` is why the venue could not be asked: then nothing was compared and nothing is known.
    `settled_us`: all orders intended before it have ended and agreed on three sides;
    `settled_positions` is what the venue's own trades of those add up to, base by symbol.
    """

    session_id: str
    moment: str
    compared: dict[str, int]
    breaks: tuple[WatchedBreak, ...]
    unknown: str = ""
    settled_us: int = 0
    settled_positions: dict[str, Decimal] = {}  # noqa: RUF012  (msgspec copies it)


class BreakAnswered(Event, frozen=True, kw_only=True, tag="recon.answered"):
    """A person answered a break. `grant_id` is the request of two that closes a red one."""

    session_id: str
    run_id: str
    break_id: str
    answer: str
    grant_id: str = ""


class ReconSigned(Event, frozen=True, kw_only=True, tag="recon.signed"):
    """One person signed the reconciliation report. `counter` is a hardware key's, else None."""

    session_id: str
    run_id: str
    role: Role
    report_sha256: str
    signature: str
    fingerprint: str
    counter: int | None = None


class LessonsWritten(Event, frozen=True, kw_only=True, tag="lessons.written"):
    """Lessons learned, one to three points, asked for even on a green day."""

    session_id: str
    points: tuple[str, ...]


class PackWritten(Event, frozen=True, kw_only=True, tag="pack.written"):
    """The pack's files are written; both people sign the tag manifest next.

    `set_aside` names the folder that the leftover of an interrupted writing was moved to.
    """

    session_id: str
    folder: str
    tagmanifest_sha256: str
    set_aside: str = ""


class PackSigned(Event, frozen=True, kw_only=True, tag="pack.signed"):
    """One person signed the pack's tag manifest and the reports that are signed by themselves.

    `documents`: the sha256 of each such report by its name in the pack. `counter` is a hardware
    key's at the last of these signatures, else None.
    """

    session_id: str
    role: Role
    tagmanifest_sha256: str
    fingerprint: str
    counter: int | None = None
    documents: dict[str, str] = {}  # noqa: RUF012  (msgspec copies it)


class PackSealed(Event, frozen=True, kw_only=True, tag="pack.sealed"):
    """The pack has both signatures, was verified and has its final name."""

    session_id: str
    folder: str
    tagmanifest_sha256: str
