"""The end of a session: lessons, the pack written, signed by both, sealed.

The pack is built from the journal up to a head that is signed for it. It keeps its `.partial` name
until both signatures are in and the verification, the one an auditor runs, has said yes.
"""

from __future__ import annotations

import asyncio
import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from engine.contracts.canonical import sha256_hex
from engine.contracts.documents import SIGNED_REPORTS, Namespace
from engine.contracts.errors import InputError, IntegrityError, Refused
from engine.contracts.event import (
    AnyEvent,
    LessonsWritten,
    PackSealed,
    PackSigned,
    PackWritten,
)
from engine.contracts.people import ENGINE, Actor, Person, Role, person
from engine.contracts.requests import PackSignRequest
from engine.contracts.session import SessionState
from engine.evidence.bag import MANIFEST_NAME, TAGMANIFEST_NAME
from engine.evidence.folder import disk_named
from engine.evidence.gather import Surroundings, gather
from engine.evidence.pack import (
    PackInputs,
    add_signature,
    finish,
    folder_name,
    named_by_chain,
    standing,
    write_pack,
)
from engine.evidence.prepare import heads_lines, prepared, refuse_other_counts
from engine.evidence.verify import verify_pack
from engine.execution.consent.signature_watch import FirstUse
from engine.execution.core import Core, State
from engine.execution.records.heads_writer import HeadsWriter
from engine.execution.records.market_recording import MarketRecording
from engine.execution.session_desk import SessionDesk, current_session, moved
from engine.governance.people import Roster
from engine.governance.session import PackState, Session, checklist_document
from engine.governance.transitions import Cause
from engine.governance.verdict import SignatureVerdict
from engine.journal.heads import read_heads
from engine.store.export import ExportOrder, export_tables
from engine.store.store import Store
from engine.store.tables import SessionTable

#: What each person signs of a pack, by name, with the namespace of each role.
_SIGNED: dict[str, dict[Role, Namespace]] = {
    TAGMANIFEST_NAME: {Role.OPERATOR: Namespace.PACK, Role.REVIEWER: Namespace.PACK_REVIEW},
    **SIGNED_REPORTS,
}
#: What a person's own process may fetch to see what it signs.
_SHOWN = frozenset({TAGMANIFEST_NAME, MANIFEST_NAME, *SIGNED_REPORTS})
_LESSONS_MAX = 3
_LESSON_LIMIT = 500


@dataclass(frozen=True)
class PackPlaces:
    """Where files are read from and written to, and what describes the run."""

    sessions: Path
    market: Path
    snapshots: Path
    exports: Path
    allowed_signers: Path
    allowed_signers_bytes: bytes
    revoked_keys: Path
    log_principal: str
    version: str


@dataclass(frozen=True)
class PackSources:
    """What goes in and is not the journal's; config and roster as they are now."""

    store: Store
    recording: MarketRecording
    config: Callable[[], tuple[bytes, tuple[tuple[str, bytes], ...]]]
    roster: Callable[[], bytes]


class PackDesk:
    """Writes and seals the pack of the current session."""

    def __init__(
        self,
        core: Core,
        session: SessionDesk,
        roster: Roster,
        checker: FirstUse,
        heads: HeadsWriter,
        places: PackPlaces,
        sources: PackSources,
    ) -> None:
        self._core = core
        self._session = session
        self._roster = roster
        self._checker = checker
        self._heads = heads
        self._places = places
        self._sources = sources
        self._signing = asyncio.Lock()

    # --- lessons, writing, signing ---------------------------------------------------------------

    async def lessons(self, points: Sequence[str], actor: Actor) -> None:
        """Write down one to three lessons, also on a green day."""
        self._session.require(actor, Role.OPERATOR, Role.REVIEWER)
        words = lesson_points(points)

        def decide(state: State) -> Sequence[AnyEvent]:
            session = current_session(state)
            self._in_state(session, SessionState.RECONCILED)
            return [LessonsWritten(session_id=session.id, points=words)]

        await self._core.decide(actor, decide)

    async def write(self, actor: Actor) -> None:
        """Write the pack's files; both people sign the tag manifest next."""
        self._session.require(actor, Role.OPERATOR, Role.REVIEWER)
        session = current_session(self._core.state)
        self._in_state(session, SessionState.RECONCILED)
        if not session.lessons:
            raise Refused(
                what="there are no lessons learned yet",
                where="pack",
                todo="write one to three points",
                code="NO_LESSONS",
            )
        async with self._signing:
            await self._sources.recording.finish(session)
            journal = self._core.journal
            events = journal.size
            folder = self._places.exports / session.id
            order = ExportOrder(
                segments=tuple(str(path) for path in journal.segments),
                events=events,
                session_id=session.id,
                folder=str(folder),
            )
            tables = await asyncio.to_thread(export_tables, order)
            around = self._surroundings(session, tables)
            # Told line by line, off the loop: a whole journal of objects is many times a session,
            # and what it takes for a second the allocators keep.
            with disk_named(self._places.sessions):
                inputs = await asyncio.to_thread(
                    gather, journal.lines(0, events), session.id, around
                )
            refuse_other_counts(
                await self._sources.store.counts(session.id, events), inputs.counts, where="store"
            )
            inputs = await self._under_head(inputs, events, tables)
            folder = self._places.sessions / folder_name(inputs.started_us, session.id)
            written = await asyncio.to_thread(write_pack, folder, inputs)
            await self._core.record(
                actor,
                PackWritten(
                    session_id=session.id,
                    folder=str(folder.name),
                    tagmanifest_sha256=written.tagmanifest_sha256,
                    set_aside=written.set_aside.name if written.set_aside else "",
                ),
            )

    async def _under_head(
        self, inputs: PackInputs, events: int, exported: tuple[SessionTable, ...]
    ) -> PackInputs:
        """Name the files in the chain, then sign a head over that: nothing else fits the pack."""
        named = await asyncio.to_thread(named_by_chain, inputs)
        tables = {one.path.name: (one.sha256, one.rows) for one in exported}
        files = prepared(inputs.session_id, events, named, tables)
        await self._core.record(ENGINE, files)
        head = self._heads.write()
        heads = await asyncio.to_thread(read_heads, head.path.parent)
        return msgspec.structs.replace(
            inputs,
            named={**inputs.named, **files.files},
            journal_segments=self._core.journal.segments,
            head=head.text.encode("ascii"),
            head_signature=head.signature,
            heads=heads_lines(heads, inputs.first_seq, head.head.size),
        )

    def _surroundings(self, session: Session, tables: tuple[SessionTable, ...]) -> Surroundings:
        places = self._places
        document, inputs = self._sources.config()
        people = {
            role: self._roster.by_id(name)
            for role, name in (
                (Role.OPERATOR, session.charter.operator),
                (Role.REVIEWER, session.charter.reviewer),
            )
        }
        operator, reviewer = people[Role.OPERATOR], people[Role.REVIEWER]
        if operator is None or reviewer is None:
            raise Refused(what="a person has left the roster", where="pack", code="UNKNOWN_PERSON")
        return Surroundings(
            operator=operator.principal,
            reviewer=reviewer.principal,
            log=places.log_principal,
            allowed_signers=places.allowed_signers_bytes,
            roster=self._sources.roster(),
            config=document,
            checklist=checklist_document(session),
            run={"version": places.version, "python": platform.python_version()},
            config_inputs=inputs,
            market_folders=(places.market / session.id,),
            snapshot_folders=(places.snapshots,),
            spool=places.sessions,
            tables={one.path.name: one.path for one in tables},
        )

    async def sign(self, request: PackSignRequest, actor: Actor) -> None:
        """Take one person's signatures of the tag manifest and the reports; with both, seal."""
        self._session.require(actor, Role.OPERATOR, Role.REVIEWER)
        async with self._signing:
            session = current_session(self._core.state)
            pack = self._written(session)
            who = signer(self._roster, session, actor.name)
            folder = self._places.sessions / pack.folder
            documents = await asyncio.to_thread(_documents, folder)
            manifest = documents[TAGMANIFEST_NAME]
            if request.sha256 != pack.tagmanifest_sha256 or sha256_hex(manifest) != request.sha256:
                raise Refused(
                    what="the signature is over another tag manifest",
                    where="pack",
                    todo="sign the present one",
                    code="PACK_CHANGED",
                )
            signatures = {TAGMANIFEST_NAME: request.signature, **request.documents}
            if set(signatures) != set(_SIGNED):
                raise Refused(
                    what=f"both sign {', '.join(sorted(_SIGNED))}; got {len(signatures)} of them",
                    where="pack",
                    todo="sign them together",
                    code="SIGNATURE",
                )
            verdicts: list[SignatureVerdict] = []
            for name, spaces in _SIGNED.items():
                earlier = verdicts[-1] if verdicts else None
                space, document, signature = spaces[who.role], documents[name], signatures[name]
                verdict = await accepted(
                    self._checker, who.principal, space, document, signature, earlier
                )
                verdicts.append(verdict)
            if not await asyncio.to_thread(_is_finished, folder):
                for name, signature in signatures.items():
                    await asyncio.to_thread(add_signature, folder, who.role, signature, name)
            counters = [one.sk_counter for one in verdicts if one.sk_counter is not None]
            await self._core.record(
                person(actor.name, f"sshsig:{verdicts[0].fingerprint}"),
                PackSigned(
                    session_id=session.id,
                    role=who.role,
                    tagmanifest_sha256=pack.tagmanifest_sha256,
                    fingerprint=verdicts[0].fingerprint,
                    counter=max(counters, default=None),
                    documents={name: sha256_hex(documents[name]) for name in SIGNED_REPORTS},
                ),
            )
            if {Role.OPERATOR, Role.REVIEWER} <= set(pack.signed_by):
                await self._seal(session, pack, folder)

    async def _seal(self, session: Session, pack: PackState, folder: Path) -> None:
        written = await asyncio.to_thread(standing, folder)
        places = self._places
        report = await asyncio.to_thread(
            verify_pack, written, places.allowed_signers, places.revoked_keys
        )
        if not report.ok:
            first = report.errors[0]
            raise IntegrityError(
                what=f"the pack does not verify: {first.file}: {first.what}",
                where=str(written),
                todo="write the pack again",
            )
        final = await asyncio.to_thread(finish, folder)
        await self._core.record(
            ENGINE,
            PackSealed(
                session_id=session.id,
                folder=final.name,
                tagmanifest_sha256=pack.tagmanifest_sha256,
            ),
            moved(session, SessionState.SEALED, Cause.PACK_SEALED),
        )
        self._heads.write()

    def tagmanifest(self) -> str:
        """The text both people sign; "" while there is none."""
        session = self._core.state.sessions.current
        if session is None or session.pack is None:
            return ""
        folder = self._places.sessions / session.pack.folder
        try:
            return self._manifest(folder).decode("ascii")
        except OSError:
            return ""

    def document(self, name: str) -> Path:
        """Where a file of the written pack lies that people sign, or that ties it to the others.

        Raises InputError for any other name, Refused while there is no pack.
        """
        if name not in _SHOWN:
            raise InputError(
                what=f"no document {name[:60]!r}", where="pack", todo=f"ask for {sorted(_SHOWN)}"
            )
        session = current_session(self._core.state)
        if session.pack is None:
            raise Refused(what="there is no written pack", where="pack", code="NO_PACK")
        return standing(self._places.sessions / session.pack.folder) / name

    @staticmethod
    def _manifest(folder: Path) -> bytes:
        return (standing(folder) / TAGMANIFEST_NAME).read_bytes()

    def _written(self, session: Session) -> PackState:
        if session.pack is None or session.pack.stage != "written":
            raise Refused(
                what="there is no written pack", where="pack", todo="write it first", code="NO_PACK"
            )
        return session.pack

    @staticmethod
    def _in_state(session: Session, state: SessionState) -> None:
        if session.state is not state:
            raise Refused(
                what=f"the session is {session.state.value}",
                where="pack",
                todo="reconcile and sign first",
                code="NOT_RECONCILED",
            )


def lesson_points(points: Sequence[str]) -> tuple[str, ...]:
    """One to three points in one line each. Raises InputError."""
    words = tuple(" ".join(point.split()) for point in points)
    fits = all(1 <= len(one) <= _LESSON_LIMIT for one in words)
    if not 1 <= len(words) <= _LESSONS_MAX or not fits:
        raise InputError(
            what=f"one to {_LESSONS_MAX} points of at most {_LESSON_LIMIT} characters",
            where="lessons",
        )
    return words


def signer(roster: Roster, session: Session, name: str) -> Person:
    """The person, who must be one of the session's two. Raises Refused."""
    who = roster.by_id(name)
    if who is None or name not in {session.charter.operator, session.charter.reviewer}:
        raise Refused(what=f"{name} is not of this session", where="pack", code="ROLE")
    return who


async def accepted(
    checker: FirstUse,
    principal: str,
    namespace: Namespace,
    message: bytes,
    signature: str,
    earlier: SignatureVerdict | None = None,
) -> SignatureVerdict:
    """The verdict on a good signature (`earlier`: the one before it). Raises Refused else."""
    verdict = await checker.check_async(principal, namespace, message, signature, earlier)
    if not verdict.ok:
        raise Refused(
            what=verdict.reason,
            where="pack",
            todo="sign again",
            code=verdict.code or "SIGNATURE",
        )
    return verdict


def _documents(folder: Path) -> dict[str, bytes]:
    """What both sign, by name."""
    place = standing(folder)
    return {name: (place / name).read_bytes() for name in _SIGNED}


def _is_finished(folder: Path) -> bool:
    """Whether the pack has its final name though the journal does not say so: both had signed."""
    return standing(folder) == folder
