"""Revisions of sealed packs: written by one who gives a reason, signed by both, sealed.

The sealed pack is read and never written. A revision keeps its `.partial` name until both
signatures are in and its verification has said yes; then the journal says `pack.revised`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from engine.contracts.canonical import sha256_hex
from engine.contracts.errors import InputError, IntegrityError, Refused
from engine.contracts.event import PackRevised, PackRevisionSigned, PackRevisionWritten
from engine.contracts.people import ENGINE, Actor, Role, person
from engine.contracts.requests import ReviseRequest, RevisionSignRequest
from engine.contracts.view import RevisionView
from engine.evidence.bag import MANIFEST_NAME, REVISION_SIGNED, TAGMANIFEST_NAME
from engine.evidence.bag_check import listed
from engine.evidence.pack import PackWrittenResult, add_signature, finish, standing
from engine.evidence.revision import (
    DOCUMENT,
    INCIDENTS,
    LESSONS,
    NAMESPACES,
    RevisionInputs,
    revision_name,
    verify_revision,
    write_revision,
)
from engine.execution.clock import wall_us
from engine.execution.consent.signature_watch import FirstUse
from engine.execution.core import Core
from engine.execution.records.heads_writer import HeadsWriter
from engine.execution.records.pack_desk import PackPlaces, accepted, lesson_points, signer
from engine.execution.session_desk import SessionDesk
from engine.governance.people import Roster
from engine.governance.revisions import RevisionState
from engine.governance.session import PackState, Session

_TEXT_LIMIT = 500
#: What a person's own process may fetch to see what it signs.
_SHOWN = (TAGMANIFEST_NAME, MANIFEST_NAME, DOCUMENT, LESSONS, INCIDENTS)


class RevisionDesk:
    """Writes and seals revisions of any sealed pack of the workspace."""

    def __init__(
        self,
        core: Core,
        session: SessionDesk,
        roster: Roster,
        checker: FirstUse,
        heads: HeadsWriter,
        places: PackPlaces,
    ) -> None:
        self._core = core
        self._session = session
        self._roster = roster
        self._checker = checker
        self._heads = heads
        self._places = places
        self._signing = asyncio.Lock()

    async def revise(self, request: ReviseRequest, actor: Actor) -> RevisionView:
        """Write a revision for both to sign; an open one that nobody sealed is moved aside."""
        self._session.require(actor, Role.OPERATOR, Role.REVIEWER)
        async with self._signing:
            session, pack = self._sealed(request.session_id)
            reason, incident = _line(request.reason, "reason"), ""
            lessons = lesson_points(request.lessons) if request.lessons else ()
            if request.incident:
                incident = _line(request.incident, "incident")
            if not (lessons or incident):
                raise InputError(
                    what="neither lessons nor an incident", where="revision", todo="give one"
                )
            done = [one for one in session.revisions if one.stage == "sealed"]
            folder = self._places.sessions / revision_name(pack.folder, len(done) + 1)
            inputs = await asyncio.to_thread(
                self._inputs, session, pack, done, (reason, lessons, incident), actor
            )
            written = await asyncio.to_thread(write_revision, folder, inputs)
            await self._core.record(actor, _written(folder, inputs, written))
            return self.view(request.session_id)

    def _inputs(
        self,
        session: Session,
        pack: PackState,
        done: Sequence[RevisionState],
        said: tuple[str, tuple[str, ...], str],
        actor: Actor,
    ) -> RevisionInputs:
        reason, lessons, incident = said
        before = done[-1] if done else pack
        self._refuse_changed(before.folder, before.tagmanifest_sha256)
        people = {
            role: signer(self._roster, session, name)
            for role, name in (
                (Role.OPERATOR, session.charter.operator),
                (Role.REVIEWER, session.charter.reviewer),
            )
        }
        head = self._heads.write()
        return RevisionInputs(
            session_id=session.id,
            number=len(done) + 1,
            revises=before.tagmanifest_sha256,
            pack_sha256=pack.tagmanifest_sha256,
            reason=reason,
            asked_by=actor.name,
            at_us=wall_us(),
            operator=people[Role.OPERATOR].principal,
            reviewer=people[Role.REVIEWER].principal,
            log=self._places.log_principal,
            allowed_signers=self._places.allowed_signers_bytes,
            head=head.text.encode("ascii"),
            head_signature=head.signature,
            lessons=lessons,
            incident=incident,
            incidents_before=self._incidents([pack.folder, *(one.folder for one in done)]),
        )

    async def sign(self, request: RevisionSignRequest, actor: Actor) -> None:
        """Take one person's signature of the tag manifest; with both, verify and seal."""
        self._session.require(actor, Role.OPERATOR, Role.REVIEWER)
        async with self._signing:
            session, _ = self._sealed(request.session_id)
            revision = _open_revision(session)
            who = signer(self._roster, session, actor.name)
            folder = self._places.sessions / revision.folder
            message = await asyncio.to_thread(_tagmanifest, folder)
            if not request.sha256 == revision.tagmanifest_sha256 == sha256_hex(message):
                raise Refused(
                    what="the signature is over another tag manifest",
                    where="revision",
                    todo="sign the present one",
                    code="PACK_CHANGED",
                )
            verdict = await accepted(
                self._checker, who.principal, NAMESPACES[who.role], message, request.signature
            )
            if standing(folder) != folder:
                await asyncio.to_thread(add_signature, folder, who.role, request.signature)
            await self._core.record(
                person(actor.name, f"sshsig:{verdict.fingerprint}"),
                PackRevisionSigned(
                    session_id=session.id,
                    role=who.role,
                    tagmanifest_sha256=revision.tagmanifest_sha256,
                    fingerprint=verdict.fingerprint,
                    counter=verdict.sk_counter,
                ),
            )
            if set(Role) <= set(revision.signed_by):
                await self._seal(session, revision, folder)

    async def _seal(self, session: Session, revision: RevisionState, folder: Path) -> None:
        places = self._places
        report = await asyncio.to_thread(
            verify_revision, standing(folder), places.allowed_signers, places.revoked_keys
        )
        if not report.ok:
            first = report.errors[0]
            raise IntegrityError(
                what=f"the revision does not verify: {first.file}: {first.what}",
                where=str(folder),
                todo="write the revision again",
            )
        final = await asyncio.to_thread(finish, folder, REVISION_SIGNED)
        await self._core.record(
            ENGINE,
            PackRevised(
                session_id=session.id,
                number=revision.number,
                folder=final.name,
                revises=revision.revises,
                tagmanifest_sha256=revision.tagmanifest_sha256,
            ),
        )
        self._heads.write()

    def view(self, session_id: str) -> RevisionView:
        """The newest revision of the session's pack. Raises Refused while there is none."""
        session, _ = self._sealed(session_id)
        if not session.revisions:
            raise Refused(what="the pack has no revision", where="revision", code="NO_REVISION")
        last = session.revisions[-1]
        return RevisionView(
            session_id=session.id,
            number=last.number,
            stage=last.stage,
            folder=last.folder,
            revises=last.revises,
            tagmanifest_sha256=last.tagmanifest_sha256,
            signed_by=tuple(sorted(last.signed_by)),
        )

    def document(self, session_id: str, name: str) -> Path:
        """Where a file of the newest revision lies that people look at before they sign."""
        folder = standing(self._places.sessions / self.view(session_id).folder)
        if name not in _SHOWN or not (folder / name).is_file():
            raise InputError(what=f"no document {name[:60]!r}", where="revision")
        return folder / name

    def _sealed(self, session_id: str) -> tuple[Session, PackState]:
        session = self._core.state.sessions.by_id(session_id)
        if session is None or session.pack is None or session.pack.stage != "sealed":
            raise Refused(
                what=f"session {session_id[:40]!r} has no sealed pack",
                where="revision",
                todo="`peakctl session list` names them",
                code="NO_PACK",
            )
        return session, session.pack

    def _refuse_changed(self, folder: str, digest: str) -> None:
        if sha256_hex(_tagmanifest(self._places.sessions / folder)) != digest:
            raise IntegrityError(
                what="is not the pack that was sealed",
                where=f"{folder}/{TAGMANIFEST_NAME}",
                todo="bring it back from a copy; `peakctl verify` says what is wrong",
            )

    def _incidents(self, folders: Sequence[str]) -> bytes:
        """The newest text of the incidents: of the last revision that has one, or the pack's."""
        for folder in reversed(folders):
            text = listed(self._places.sessions / folder, INCIDENTS)
            if text is not None:
                return text
        return b""


def _open_revision(session: Session) -> RevisionState:
    if not session.revisions or session.revisions[-1].stage != "written":
        raise Refused(
            what="there is no revision to sign",
            where="revision",
            todo="`peakctl pack revise` writes one",
            code="NO_REVISION",
        )
    return session.revisions[-1]


def _written(
    folder: Path, inputs: RevisionInputs, written: PackWrittenResult
) -> PackRevisionWritten:
    return PackRevisionWritten(
        session_id=inputs.session_id,
        number=inputs.number,
        folder=folder.name,
        revises=inputs.revises,
        tagmanifest_sha256=written.tagmanifest_sha256,
        reason=inputs.reason,
        lessons=inputs.lessons,
        incident=inputs.incident,
        set_aside=written.set_aside.name if written.set_aside else "",
    )


def _tagmanifest(folder: Path) -> bytes:
    try:
        return (standing(folder) / TAGMANIFEST_NAME).read_bytes()
    except OSError as error:
        raise IntegrityError(
            what=f"cannot be read ({error.strerror})", where=str(folder), todo="bring it back"
        ) from error


def _line(text: str, where: str) -> str:
    words = " ".join(text.split())
    if not 1 <= len(words) <= _TEXT_LIMIT:
        raise InputError(what=f"1 to {_TEXT_LIMIT} characters", where=where)
    return words
