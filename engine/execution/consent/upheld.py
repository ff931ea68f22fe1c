"""At a start: whether two people did sign what the journal says they granted (I4, I5).

While an engine runs, signatures are judged before an event is written. But what lies on the disk is
only as sure as the disk: whoever may write there could add a line that claims a decision, or a
checkpoint whose state skips lines. So before anything may be sent, all claims of two people that
are in force are asked for their bytes again, by both verifiers, and what rests on them is laid out
anew from the lines themselves: the newest release of the kill latch, the approval of the open
session, the limits that were loosened, the steps up the ladder, the orders that the open session
adopted and the red breaks that it closed. What does not hold, or cannot be looked at, does not
count (I12): the latch is set anew, the approval is void, the limit is as tight as it was, the step
is taken back, the break is open again. People who have left the roster since vouch for nothing.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from engine.contracts.documents import Purpose
from engine.contracts.errors import InputError, PeakError
from engine.contracts.event import (
    GoVoided,
    KillLatched,
    LadderStepped,
    LatchReleased,
    LimitTightened,
    ReconRun,
    Recorded,
)
from engine.contracts.people import ENGINE, Role
from engine.execution.consent.close_act import BREAK
from engine.execution.consent.granted_lines import GrantedLines, why_unsigned
from engine.execution.core import Core
from engine.execution.kill.latch_file import LatchMark, read_latch, write_latch
from engine.execution.limits.in_force import LimitsInForce
from engine.execution.records.evidence_audit import why_unapproved
from engine.governance.dual_document import parse_dual
from engine.governance.ladder import DOWN, standing
from engine.governance.people import Roster
from engine.governance.session import ReconState
from engine.journal.chain import decode_line
from engine.risk.standing import tighter_than
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
        self._read: GrantedLines | None = None

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
        what = f"release of the latch: {why}" if why else ""
        what = what or await asyncio.to_thread(self._why_not_adopted)
        if not what:
            return
        self._told.append(what)
        mark = LatchMark(
            kill_id=secrets.token_hex(6),
            reason=f"not signed by two: {what}"[:300],
            source="start",
            by="",
            pressed_us=0,
        )
        await asyncio.to_thread(write_latch, self._latch_path, mark)

    async def grants(self, limits: LimitsInForce) -> None:
        """Take back what rests on a grant that does not hold. Raises OSError, IntegrityError."""
        await self._tighten()
        await self._step_down(limits)
        await self._open_breaks()

    async def _tighten(self) -> None:
        found = await asyncio.to_thread(lambda: self._lines().limits())
        for name, (value, why) in found.items():
            now = self._core.state.limits.by_name.get(name)
            if now is not None and not tighter_than(name, value, now.value):
                continue
            reason = why or "the journal's lines say so"
            self._told.append(f"limit {name}: {reason}")
            tightened = LimitTightened(
                session_id="",
                name=name,
                before=value if now is None else now.value,
                after=value,
                reason=f"its loosening does not hold: {reason}"[:300],
            )
            await self._core.record(ENGINE, tightened)

    async def _step_down(self, limits: LimitsInForce) -> None:
        environment = limits.environment.value
        step, why = await asyncio.to_thread(lambda: self._lines().step(environment))
        here = self._core.state.ladder.place(environment).step
        if here <= step:
            return
        reason = why or "the journal's lines say so"
        self._told.append(f"step up the ladder: {reason}")
        stepped = LadderStepped(
            session_id="",
            environment=environment,
            before=here,
            after=step,
            step=limits.steps[standing(step, limits.steps)].name,
            cause=DOWN,
            reason=f"the way up does not hold: {reason}"[:300],
        )
        await self._core.record(ENGINE, stepped)

    async def _open_breaks(self) -> None:
        """The same report once more, without any answer: what was closed by nobody is open."""
        session = self._core.state.sessions.current
        if session is None or session.ended or session.recon is None or not session.recon.granted:
            return
        recon = session.recon
        why = await asyncio.to_thread(self._why_not_closed, recon)
        if not why:
            return
        self._told.append(f"closing of a red break: {why}")
        again = ReconRun(
            session_id=session.id,
            run_id=recon.run_id,
            compared=recon.compared,
            breaks=recon.breaks,
            report=recon.report,
            report_sha256=recon.sha256,
        )
        await self._core.record(ENGINE, again)

    def _lines(self) -> GrantedLines:
        if self._read is None:
            self._read = GrantedLines(self._core.journal.segments, self._roster, self._checker)
        return self._read

    def _why_not_closed(self, recon: ReconState) -> str:
        about = {"run_id": recon.run_id, "report_sha256": recon.sha256}
        for one in sorted(recon.granted):
            why = self._lines().why_not_named(Purpose.CLOSE_BREAK, about, f"{BREAK}{one}")
            if why:
                return f"{one}: {why}"
        return ""

    def _why_not_adopted(self) -> str:
        session = self._core.state.sessions.current
        if session is None or session.ended:
            return ""
        for one in self._lines().adopted:
            if one.session_id != session.id:
                continue
            about = {
                "symbol": one.intent.symbol,
                "client_order_id": one.intent.client_order_id,
                "venue_order_id": one.venue_order_id,
            }
            why = self._lines().why_not_named(Purpose.ADOPT, about)
            if why:
                return f"adoption of {one.intent.client_order_id}: {why}"
        return ""

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
    signatures = {
        Role.OPERATOR: event.operator_signature,
        Role.REVIEWER: event.reviewer_signature,
    }
    return why_unsigned(said, event.document, signatures, released.ts_us, roster, checker)


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
