"""What was signed against what is in force: asked at each signature and at each order (I6).

Two questions. `changed_since_signed` compares the packet's hashes with those of now: config, code,
checklist, limits, roster, charter; one that differs voids the approval. `refuse_stale` is asked
before a packet is made: an engine that was started with other files than lie there now would have
people sign what it does not hold in memory.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Protocol

from engine.contracts.canonical import sha256_hex
from engine.contracts.errors import InputError, Refused
from engine.governance.packet import (
    changed_since,
    charter_sha256,
    limits_sha256,
    parse_packet,
)
from engine.governance.session import Session, checklist_document

#: Stands in place of a hash: no packet carries it.
_CHANGED_ON_DISK = "changed on disk"


class Bound(Protocol):
    """The hashes that a packet binds, as they are now."""

    def config_sha256(self) -> str:
        """Hash of the effective config."""

    def code_sha256(self) -> str:
        """Hash of the installed code."""

    def roster_sha256(self) -> str:
        """Hash of the roster and the signers' files."""

    def runbook_sha256(self, name: str) -> str:
        """Hash of a runbook's text on disk, by its file name."""

    def limits_hold(self, config_sha256: str) -> bool:
        """Whether the config's own limits, of this hash of it, are those of the start."""

    def stale(self) -> tuple[str, ...]:
        """What on the disk is no longer what the engine was started with."""


class Validity:
    """Compares sessions with what is in force."""

    def __init__(self, bound: Bound) -> None:
        self._bound = bound
        #: the parts of the session that were hashed last, and their hashes by name
        self._hashed: tuple[tuple[object, ...], dict[str, str]] | None = None

    def current(self, session: Session) -> dict[str, str]:
        """The bound hashes as they are now."""
        now = {
            "config_sha256": self._bound.config_sha256(),
            "code_sha256": self._bound.code_sha256(),
            "roster_sha256": self._bound.roster_sha256(),
            **self._of_session(session),
        }
        checklist = session.checklist
        if checklist is None or self._bound.runbook_sha256(checklist.runbook) != checklist.sha256:
            now["checklist_sha256"] = _CHANGED_ON_DISK
        if not self._bound.limits_hold(now["config_sha256"]):
            now["limits_sha256"] = _CHANGED_ON_DISK
        return now

    def _of_session(self, session: Session) -> dict[str, str]:
        """The hashes of what the session holds, hashed again only when a part of it is another.

        Every order asks. The parts are frozen values: the same values have the same hashes.
        """
        parts = (
            session.id,
            session.charter,
            session.checklist,
            tuple(session.answers.items()),
        )
        if self._hashed is None or self._hashed[0] != parts:
            hashes = {
                "checklist_sha256": sha256_hex(checklist_document(session)),
                "limits_sha256": limits_sha256(session.charter.limits),
                "charter_sha256": charter_sha256(session.charter),
            }
            self._hashed = parts, hashes
        return self._hashed[1]

    def changed_since_signed(self, session: Session) -> tuple[str, ...]:
        """Which signed hashes no longer hold (I6); everything, when the packet cannot be read."""
        try:
            bound = _bound_by(session.go.packet)
        except InputError:
            return ("packet",)
        return changed_since(bound, self.current(session))

    def refuse_stale(self, session: Session) -> None:
        """Nobody signs what this engine does not hold in memory. Raises Refused."""
        stale = self._bound.stale()
        if stale:
            raise Refused(
                what=f"changed on disk since the engine started: {', '.join(stale)}",
                where="approval",
                todo="put it back, or start the engine again",
                code="STALE_ENGINE",
            )
        if self.current(session)["checklist_sha256"] == _CHANGED_ON_DISK:
            raise Refused(
                what="the runbook has changed since the checklist began",
                where="approval",
                todo="put it back, or abort and write a new charter",
                code="FACTS_CHANGED",
            )


@lru_cache(maxsize=8)
def _bound_by(packet: str) -> Mapping[str, Any]:
    """The packet of this text, read once. Raises InputError."""
    return MappingProxyType(parse_packet(packet.encode("ascii")))
