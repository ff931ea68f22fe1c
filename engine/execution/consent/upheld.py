"""At a start: whether two people did sign what the journal says they granted (I4, I5).

While an engine runs, signatures are judged before an event is written. But what lies on the disk is
only as sure as the disk: whoever may write there could add a line that claims a decision, or a
checkpoint whose state skips lines. So before anything may be sent, the two claims that let orders
out are asked for their bytes again, by both verifiers: the newest release of the kill latch, read
from the lines themselves, and the approval of the open session. What does not hold, or cannot be
looked at, does not count (I12): the latch is set anew, the approval is void. People who have left
the roster since vouch for nothing.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from engine.contracts.documents import Purpose
from engine.contracts.errors import InputError, PeakError
from engine.contracts.event import GoVoided, KillLatched, LatchReleased, Recorded
from engine.contracts.people import ENGINE, Role
from engine.execution.core import Core
from engine.execution.kill.latch_file import LatchMark, read_latch, write_latch
from engine.execution.records.evidence_audit import why_unapproved
from engine.governance.dual_document import DualContent, namespace_of, parse_dual
from engine.governance.people import Roster
from engine.journal.chain import decode_line
from engine.signatures.check import Checker

CODE = "UNSIGNED_ACT"

RaiseAlarm = Callable[[str, str], Awaitable[None]]


class Upheld:
    """Asks once, at the start. `latch_path` is where a latch that is set anew is written."""

    def __init__(
        self,
        core: Core,
        roster: Roster,
        checker: Checker,
        latch_path: Path,
        raise_alarm: RaiseAlarm,
    ) -> None:
        self._core = core
        self._roster = roster
        self._checker = checker
        self._latch_path = latch_path
        self._raise_alarm = raise_alarm
        self._told: list[str] = []

    async def latch(self) -> None:
        """Put the latch file back when the newest kill was not released by two people.

        To be called before journal and file are brought in step. Raises OSError, IntegrityError.
        """
        state = self._core.state
        if state.latch.is_set:
            return
        there = await asyncio.to_thread(read_latch, self._latch_path)
        if there is not None and there.kill_id not in state.kill_ids:
            return  # a kill that will be journaled now; one that is known would be cleared
        why = await asyncio.to_thread(self._why_still_latched)
        if not why:
            return
        self._told.append(f"release of the latch: {why}")
        mark = LatchMark(
            kill_id=secrets.token_hex(6),
            reason=f"its release does not hold: {why}"[:300],
            source="start",
            by="",
            pressed_us=0,
        )
        await asyncio.to_thread(write_latch, self._latch_path, mark)

    async def approval(self) -> None:
        """Void the approval of the open session when two people have not signed it; tell all."""
        session = self._core.state.sessions.current
        if session is not None and not session.ended and session.go.stage == "go":
            try:
                why = await asyncio.to_thread(why_unapproved, session, self._roster, self._checker)
            except PeakError as error:
                why = error.line()
            if why:
                self._told.append(f"approval of {session.id}: {why}")
                digest = session.go.sha256
                voided = GoVoided(
                    session_id=session.id, packet_sha256=digest, code=CODE, reason=why[:300]
                )
                await self._core.record(ENGINE, voided)
        if self._told:
            await self._raise_alarm(CODE, "; ".join(self._told)[:300])

    def _why_still_latched(self) -> str:
        paths = self._core.journal.segments
        killed, released = (newest(paths, kind) for kind in (KillLatched, LatchReleased))
        if killed is None:
            return ""
        if released is None or released.seq < killed.seq:
            return "there is none after the newest kill"
        try:
            return why_unreleased(killed, released, self._roster, self._checker)
        except PeakError as error:
            return error.line()


def why_unreleased(killed: Recorded, released: Recorded, roster: Roster, checker: Checker) -> str:
    """Why the second event does not release the first; "" when two people signed that it does.

    Raises ConfigError, WorkspaceError.
    """
    kill, event = killed.event, released.event
    if not isinstance(kill, KillLatched) or not isinstance(event, LatchReleased):
        return "these are no kill and release"
    document = event.document.encode("utf-8", "replace")
    try:
        said = parse_dual(document, Purpose.RELEASE)
    except InputError as error:
        return f"the document cannot be read: {error.what}"
    if {event.kill_id, said.subject.get("kill_id")} != {kill.kill_id}:
        return "it is about another kill"
    if said.issued_at < killed.ts_us:
        return "it was asked for before the kill"
    return _why_unsigned(said, document, event, released.ts_us, roster, checker)


def _why_unsigned(
    said: DualContent,
    document: bytes,
    event: LatchReleased,
    at_us: int,
    roster: Roster,
    checker: Checker,
) -> str:
    signatures = {
        Role.OPERATOR: event.operator_signature,
        Role.REVIEWER: event.reviewer_signature,
    }
    for role, signature in signatures.items():
        signer = said.signer(role)
        who = roster.by_id(signer.person)
        if who is None or (who.role, who.principal) != (role, signer.principal):
            return f"{signer.person!r} is no {role} of the roster"
        namespace = namespace_of(Purpose.RELEASE, role)
        verdict = checker.check(who.principal, namespace, document, signature, at_us=at_us)
        if not verdict.ok:
            return f"signature of {signer.person}: {verdict.reason}"
    return ""


def newest(segments: Sequence[Path], kind: type[KillLatched | LatchReleased]) -> Recorded | None:
    """The last event of a kind in the journal's files, found from the end without decoding others.

    Quotes inside of texts are escaped in a line, so the mark stands nowhere but in its place.
    Raises OSError, IntegrityError.
    """
    mark = b',"kind":"%b","prev":"' % str(kind.__struct_config__.tag).encode("ascii")
    for path in reversed(segments):
        content = path.read_bytes()
        found = content.rfind(mark)
        if found >= 0:
            begin, end = content.rfind(b"\n", 0, found) + 1, content.find(b"\n", found) + 1
            return decode_line(content[begin:end], str(path))[0]
    return None
