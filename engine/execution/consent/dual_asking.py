"""Making one dual control document: what it is about, who signs it, and what it binds.

Nothing is asked for while the files on the disk say something else than this engine knows: a
document binds their hashes as they are, so it must be judged by these files too.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping

from engine.contracts.canonical import sha256_hex
from engine.contracts.errors import InputError, Refused
from engine.contracts.event import AnyEvent, DualRequested, DualWithdrawn
from engine.contracts.people import Actor, Person, Role
from engine.contracts.requests import DualRequest
from engine.execution.clock import wall_us
from engine.execution.consent.approval_desk import ApprovalTerms
from engine.execution.consent.dual_act import Act
from engine.execution.consent.validity import Bound
from engine.execution.core import State
from engine.governance.dual import (
    BOUND,
    DualContent,
    Purpose,
    Signer,
    build_dual,
    document_type,
)
from engine.governance.dual_book import Request
from engine.governance.people import Roster, usable_in
from engine.governance.saying import in_words
from engine.governance.session import Session
from engine.governance.shapes import Head
from engine.journal.writer import Journal

_REASON_LIMIT = 500
_MOST_PENDING = 8


class Asking:
    """Builds requests under the terms of one engine."""

    def __init__(
        self, journal: Journal, roster: Roster, bound: Bound, terms: ApprovalTerms
    ) -> None:
        self._journal = journal
        self._roster = roster
        self._bound = bound
        self._terms = terms

    def events(
        self, state: State, act: Act, request: DualRequest, actor: Actor
    ) -> tuple[list[AnyEvent], DualRequested]:
        """Older requests that this one replaces, and the request. Raises InputError, Refused."""
        reason = reason_words(request.reason)
        self._refuse_stale()
        subject = act.describe(state, request.subject)
        act.check(state, subject)
        people = self._people(state, request, actor)
        replaced = _superseded(state, request.purpose, subject, actor)
        content = self._content(state, request.purpose, subject, reason, actor, people)
        document = build_dual(content)
        asked = DualRequested(
            request_id=content.request_id,
            purpose=content.purpose,
            session_id=content.session,
            document=document.decode("ascii"),
            document_sha256=sha256_hex(document),
            expires_us=content.expires_at,
        )
        return replaced, asked

    def bound_now(self) -> dict[str, str]:
        """The hashes of `BOUND` as they are now."""
        return {name: getattr(self._bound, name)() for name in BOUND}

    def _refuse_stale(self) -> None:
        stale = self._bound.stale()
        if stale:
            raise Refused(
                what=f"changed on disk since the engine started: {', '.join(stale)}",
                where="dual control",
                todo="put it back, or start the engine again",
                code="STALE_ENGINE",
            )

    def _content(
        self,
        state: State,
        purpose: Purpose,
        subject: dict[str, str],
        reason: str,
        actor: Actor,
        people: Mapping[Role, Person],
    ) -> DualContent:
        now, terms = wall_us(), self._terms
        session = open_session(state)
        signers = {
            role: Signer(person=who.id, principal=who.principal, fingerprint=who.fingerprint)
            for role, who in people.items()
        }
        return DualContent(
            type=document_type(purpose),
            purpose=purpose.value,
            request_id=secrets.token_hex(6),
            session=session.id if session else "",
            environment=terms.environment.value,
            subject=subject,
            reason=reason,
            requested_by=actor.name,
            operator=signers[Role.OPERATOR],
            reviewer=signers[Role.REVIEWER],
            allow_same_uid=terms.allow_same_uid,
            **self.bound_now(),
            prev_head=Head(size=self._journal.size, sha256=self._journal.head),
            nonce=secrets.token_hex(32),
            issued_at=now,
            expires_at=now + terms.ttl_us,
            boot_id=terms.boot_id,
            hostname=terms.hostname,
        )

    def _people(self, state: State, request: DualRequest, actor: Actor) -> dict[Role, Person]:
        """Who signs: those named, the session's, or the only ones there are; the asker is one."""
        session = open_session(state)
        charter = session.charter if session else None
        named = {Role.OPERATOR: request.operator, Role.REVIEWER: request.reviewer}
        people = {
            role: self._person(
                role, name or (getattr(charter, role.value) if charter else ""), actor
            )
            for role, name in named.items()
        }
        if actor.name not in {who.id for who in people.values()}:
            raise Refused(
                what=f"{actor.name} is none of the two who sign",
                where="dual control",
                todo="let one of the two ask",
                code="PEOPLE",
            )
        return people

    def _person(self, role: Role, name: str, actor: Actor) -> Person:
        usable = [
            who
            for who in self._roster.with_role(role)
            if usable_in(who, self._terms.environment) and name in {"", who.id}
        ]
        found = [who for who in usable if who.id == actor.name] or usable
        if len(found) != 1:
            names = ", ".join(who.id for who in self._roster.with_role(role))
            wrong = f"{name[:40]!r} is no {role.value} of the roster"
            raise InputError(
                what=wrong if name else f"which {role.value}?",
                where="dual control",
                todo=f"name one of: {names or 'there is none'}",
            )
        return found[0]


def open_session(state: State) -> Session | None:
    """The session that has not ended."""
    session = state.sessions.current
    return session if session is not None and not session.ended else None


def reason_words(reason: str) -> str:
    """The reason in one line. Raises InputError."""
    words = in_words(reason)
    if not words or len(words) > _REASON_LIMIT:
        raise InputError(what=f"a reason has 1 to {_REASON_LIMIT} characters", where="dual control")
    return words


def withdrawn(waiting: Request, code: str, reason: str) -> DualWithdrawn:
    """The end of a request that nobody grants."""
    return DualWithdrawn(
        request_id=waiting.id,
        purpose=waiting.purpose.value,
        session_id=waiting.said.session,
        document_sha256=waiting.sha256,
        code=code,
        reason=reason,
    )


def _superseded(
    state: State, purpose: Purpose, subject: Mapping[str, str], actor: Actor
) -> list[AnyEvent]:
    """A newer request replaces the same person's older one about the same thing. Raises Refused."""
    same = [
        one for one in state.dual.pending if one.purpose is purpose and one.said.subject == subject
    ]
    others = [one for one in same if one.said.requested_by != actor.name]
    if others:
        raise Refused(
            what=f"{others[0].said.requested_by} has asked for this already: {others[0].id}",
            where="dual control",
            todo="sign that one, or decline it",
            code="ASKED_ALREADY",
        )
    if len(state.dual.pending) - len(same) >= _MOST_PENDING:
        raise Refused(
            what=f"{_MOST_PENDING} requests wait already",
            where="dual control",
            todo="sign or withdraw them first",
            code="TOO_MANY",
        )
    return [withdrawn(one, "SUPERSEDED", "asked for anew") for one in same]
