"""Looks at the signatures behind each sealed session before it counts as evidence.

The fold of `engine.governance.promotion` believes events; here the bytes are asked. The journal
holds what both people signed, and their signatures: the packet, the decision on it and the
reconciliation. Each is verified again by both verifiers, under the principal that the roster has
for the person whom the charter names, with a key that was valid at the time. A session whose
signatures do not hold, or whose people the roster no longer has, counts nothing; one that was not
looked at yet is not known, and what is not known blocks (I12). So whoever can write events, but has
not both keys, earns nothing.

Once for each session, off the loop, at the start and after each seal.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from engine.contracts.documents import Namespace
from engine.contracts.errors import InputError, PeakError
from engine.contracts.event import Recorded, SessionMoved
from engine.contracts.people import Role
from engine.contracts.session import SessionState
from engine.diary import Diary
from engine.execution.core import Core
from engine.governance.packet import parse_cosign
from engine.governance.people import Roster
from engine.governance.session import Session
from engine.signatures.check import Checker

_log = Diary("evidence")

#: What is verified: role, namespace, message, signature.
_Signed = tuple[Role, Namespace, str, str]


class EvidenceAudit:
    """Which sealed sessions hold."""

    def __init__(self, core: Core, roster: Roster, checker: Checker) -> None:
        self._core = core
        self._roster = roster
        self._checker = checker
        self._sound: dict[str, bool] = {}
        self._wanted = asyncio.Event()
        self._wanted.set()

    def sound(self) -> frozenset[str] | None:
        """Ids of the sessions that hold; None while one was not looked at."""
        sealed = {one.session_id for one in self._core.state.evidence.sealed}
        if not sealed <= self._sound.keys():
            return None
        return frozenset(name for name in sealed if self._sound[name])

    def heard(self, recorded: Recorded) -> None:
        """A listener of the journal; returns at once."""
        event = recorded.event
        if isinstance(event, SessionMoved) and event.after is SessionState.SEALED:
            self._wanted.set()

    async def run(self) -> None:
        """Endless: look at what was not looked at."""
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            for one in tuple(self._core.state.evidence.sealed):
                if one.session_id not in self._sound:
                    await self._look(one.session_id)

    async def _look(self, session_id: str) -> None:
        session = self._core.state.sessions.by_id(session_id)
        if session is None:
            return
        try:
            reason = await asyncio.to_thread(why_unsound, session, self._roster, self._checker)
        except PeakError as error:  # the lists of keys cannot be read now: not known
            _log.warning("evidence not audited", session=session_id, cause=error.line())
            return
        if reason:
            _log.error("evidence does not hold", session=session_id, cause=reason)
        self._sound[session_id] = not reason


def why_unapproved(session: Session, roster: Roster, checker: Checker) -> str:
    """Why two people have not approved the session; "" when both signatures hold.

    Raises ConfigError.
    """
    go = session.go
    if go.decided_us is None:
        return "it was not approved"
    try:
        said = parse_cosign(go.cosign.encode("utf-8"))
    except InputError as error:
        return f"the decision cannot be read: {error.line()}"
    if (said["go_sha256"], said["decision"], said["session"]) != (go.sha256, "GO", session.id):
        return "the decision is about another packet"
    rows: tuple[_Signed, ...] = (
        (Role.OPERATOR, Namespace.GO, go.packet, go.operator_signature),
        (Role.REVIEWER, Namespace.COSIGN, go.cosign, go.cosign_signature),
    )
    return _first_bad(rows, go.decided_us, session, roster, checker)


def why_unsound(session: Session, roster: Roster, checker: Checker) -> str:
    """Why the session's signatures do not hold; "" when they do. Raises ConfigError."""
    recon = session.recon
    if recon is None or session.go.decided_us is None:
        return "it was not approved or not reconciled"
    rows: tuple[_Signed, ...] = (
        (Role.OPERATOR, Namespace.RECON, *_recon(session, Role.OPERATOR)),
        (Role.REVIEWER, Namespace.RECON_REVIEW, *_recon(session, Role.REVIEWER)),
    )
    return why_unapproved(session, roster, checker) or _first_bad(
        rows, recon.at_us, session, roster, checker
    )


def _first_bad(
    rows: Iterable[_Signed], at_us: int, session: Session, roster: Roster, checker: Checker
) -> str:
    """What is wrong with the first signature that does not hold, or ""."""
    for role, namespace, message, signature in rows:
        name = getattr(session.charter, role.value)
        who = roster.by_id(name)
        if who is None or who.role is not role:
            return f"{name!r} is no {role} of the roster"
        verdict = checker.check(
            who.principal, namespace, message.encode("utf-8"), signature, at_us=at_us
        )
        if not verdict.ok:
            return f"{namespace.partition('@')[0]} of {name}: {verdict.reason}"
        if verdict.fingerprint != who.fingerprint:
            return f"{namespace.partition('@')[0]} of {name}: not with the key that the roster has"
    return ""


def _recon(session: Session, role: Role) -> tuple[str, str]:
    """The report and this role's signature over it, "" when there is none."""
    recon = session.recon
    return ("", "") if recon is None else (recon.report, recon.signatures.get(role.value, ""))
