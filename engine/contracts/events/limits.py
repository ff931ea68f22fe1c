"""Limits that people tighten and loosen, and the steps of the scaling ladder."""

from __future__ import annotations

from decimal import Decimal

from engine.contracts.events.base import Event


class LimitTightened(Event, frozen=True, kw_only=True, tag="limit.tightened"):
    """One person made a limit tighter; it holds from the next order on, in every later session.

    `before` is what was in force, both in the limit's own unit. `session_id` "" outside a session.
    """

    session_id: str
    name: str
    before: Decimal
    after: Decimal
    reason: str


class LimitLoosened(Event, frozen=True, kw_only=True, tag="limit.loosened"):
    """Two people let a limit that somebody had tightened be wider again.

    Counts only with the grant of this very document.
    """

    session_id: str
    name: str
    before: Decimal
    after: Decimal
    reason: str
    document_sha256: str


class LadderStepped(Event, frozen=True, kw_only=True, tag="ladder.stepped"):
    """Another step of an environment's ladder, counted from 0; `step` is its name.

    `cause`: `up` (two people; counts only with the grant of this very document), `down` (a person)
    or the trouble of `engine.governance.ladder.TROUBLES` that did it by itself. `evidence` is what
    was shown for the way up, by what is asked.
    """

    session_id: str
    environment: str
    before: int
    after: int
    step: str
    cause: str
    reason: str
    document_sha256: str = ""
    evidence: dict[str, str] = {}  # noqa: RUF012  (msgspec copies it)
