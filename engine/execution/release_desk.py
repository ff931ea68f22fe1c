"""Releasing the kill latch: two people sign one document with a reason, nothing less (I4).

Release is not restart: it only permits a new charter. The document names the newest kill, so a kill
that is pressed meanwhile makes it worthless.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence

from engine.contracts.canonical import sha256_hex
from engine.contracts.documents import Namespace
from engine.contracts.errors import Refused
from engine.contracts.event import AnyEvent, LatchReleased
from engine.contracts.people import Actor, Role
from engine.contracts.requests import ReleaseRequest
from engine.contracts.session import Environment
from engine.execution.approval_desk import Bound
from engine.execution.clock import wall_us
from engine.execution.core import Core, State
from engine.execution.session_desk import SessionDesk
from engine.governance.approval import Denied
from engine.governance.packet import ReleaseContent, build_release, parse_release
from engine.governance.people import Roster
from engine.governance.release import LatchFacts, judge_release
from engine.signatures.check import Checker

_RELEASE_TTL_US = 300_000_000


class ReleaseDesk:
    """Makes the release document and takes it back signed."""

    def __init__(
        self,
        core: Core,
        session: SessionDesk,
        roster: Roster,
        checker: Checker,
        bound: Bound,
        environment: Environment,
        latch_released: Callable[[], None],
    ) -> None:
        self._core = core
        self._session = session
        self._roster = roster
        self._checker = checker
        self._bound = bound
        self._environment = environment
        self._latch_released = latch_released

    def document(self, reason: str, operator: str, reviewer: str) -> dict[str, str]:
        """A fresh release document for both to sign. Raises Refused when nothing is latched."""
        latch = self._core.state.latch
        if not latch.is_set:
            raise Refused(
                what="the latch is not set",
                where="latch",
                todo="nothing to do",
                code="LATCH_NOT_SET",
            )
        now = wall_us()
        document = build_release(
            ReleaseContent(
                kill_id=latch.kill_id,
                session_id=latch.session_id,
                latched_at_us=latch.latched_us or 0,
                kill_reason=latch.reason,
                verdict=latch.state.value,
                open_orders=latch.verdict.open_orders if latch.verdict else (),
                reason=reason,
                operator=operator,
                reviewer=reviewer,
                roster_sha256=self._bound.roster_sha256(),
                nonce=secrets.token_hex(32),
                issued_at_us=now,
                expires_at_us=now + _RELEASE_TTL_US,
            )
        )
        return {"document": document.decode("ascii"), "sha256": sha256_hex(document)}

    async def release(self, request: ReleaseRequest, actor: Actor) -> None:
        """Open the latch with two signatures over one document (I4)."""
        self._session.require(actor, Role.OPERATOR, Role.REVIEWER)
        document = request.document.encode("utf-8")
        said = parse_release(document)
        verdicts = [
            await self._checker.check_async(
                self._principal(said[role]), namespace, document, signature
            )
            for role, namespace, signature in (
                ("operator", Namespace.RELEASE, request.operator_signature),
                ("reviewer", Namespace.RELEASE_REVIEW, request.reviewer_signature),
            )
        ]

        def decide(state: State) -> Sequence[AnyEvent]:
            facts = LatchFacts(
                kill_id=state.latch.kill_id,
                environment=self._environment,
                roster=self._roster,
                roster_sha256=self._bound.roster_sha256(),
                document=document,
                operator_verdict=verdicts[0],
                reviewer_verdict=verdicts[1],
                used_nonces=frozenset(state.sessions.used_nonces),
                now_us=wall_us(),
            )
            judged = judge_release(facts)
            if isinstance(judged, Denied):
                raise Refused(what=judged.reason, where="latch", code=judged.code)
            return [
                LatchReleased(
                    kill_id=state.latch.kill_id,
                    document=request.document,
                    document_sha256=sha256_hex(document),
                    operator_signature=request.operator_signature,
                    reviewer_signature=request.reviewer_signature,
                    reason=said["reason"],
                )
            ]

        await self._core.decide(actor, decide)
        self._latch_released()

    def _principal(self, name: str) -> str:
        someone = self._roster.by_id(name)
        if someone is None:
            raise Refused(
                what=f"{name[:40]!r} is not in the roster",
                where="latch",
                todo="make the document again with the two people's ids",
                code="UNKNOWN_PERSON",
            )
        return someone.principal
