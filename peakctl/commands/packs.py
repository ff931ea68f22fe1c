"""`peakctl pack`: where a session's pack stands, signing it, and revising a sealed one.

What is signed is fetched from the engine, hashed here and shown before the key is used.
"""
# ruff: noqa: FBT002  (typer makes options of booleans with defaults)

from __future__ import annotations

import asyncio
import hashlib
import json as plain_json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from engine.contracts.documents import Namespace
from engine.contracts.errors import AnswerNo, InputError, IntegrityError
from engine.contracts.people import Role
from peakctl.commands import completions
from peakctl.commands.options import (
    JsonOption,
    KeyOption,
    PersonOption,
    ReasonOption,
    WorkspaceOption,
    key_of,
    roster_of,
    visited,
    whoami,
)
from peakctl.commands.output import complain, say, say_json, table, utc
from peakctl.commands.running import run

if TYPE_CHECKING:
    from engine.contracts.view import PackView, RevisionView
    from peakctl.client.client import EngineClient
    from peakctl.signing import Signer
    from peakctl.workspace import Workspace

_TAGMANIFEST, _MANIFEST = "tagmanifest-sha256.txt", "manifest-sha256.txt"
_REVISION = "data/revision.json"
_REVISION_NAMESPACES = {
    Role.OPERATOR: Namespace.REVISION,
    Role.REVIEWER: Namespace.REVISION_REVIEW,
}
SessionArgument = Annotated[
    str,
    typer.Argument(
        metavar="SESSION", autocompletion=completions.sessions, help="Its id (default: the newest)."
    ),
]


class OrShow(TyperGroup):
    """`peakctl pack SESSION` is `peakctl pack show SESSION`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put the word in when none of the commands is named."""
        helps = {"--help", "-h"} & set(args[:1])
        if not helps and (not args or args[0] not in self.commands):
            args = ["show", *args]
        return super().parse_args(ctx, args)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(cls=OrShow, help="A session's evidence pack, and revisions of sealed ones.")
    group.command("show")(show)
    group.command("sign")(sign)
    group.command("revise")(revise)
    app.add_typer(group, name="pack")


def show(
    session_id: SessionArgument = "", workspace: WorkspaceOption = None, json: JsonOption = False
) -> int:
    """Where a session's pack is, and whether it is sealed; exit 1 while it is not."""
    from engine.evidence.pack import leftovers  # noqa: PLC0415
    from peakctl.commands.ledger import fold_sessions, session_of  # noqa: PLC0415

    place = visited(workspace)
    session = session_of(fold_sessions(place.journal), session_id)
    found = session.pack
    aside = [path.name for path in leftovers(place.sessions) if session.id in path.name]
    if found is None:
        for name in aside:
            complain(f"{place.sessions / name}: left by a writing that did not come to its end")
        raise AnswerNo(what="no pack yet", where=session.id, todo="write it after reconciling")
    folder = place.sessions / Path(found.folder).name
    waiting = {folder.name, *(one.folder for one in session.revisions if one.stage != "sealed")}
    unsealed = [name for name in aside if name.removesuffix(".partial") not in waiting]
    if json:
        say_json(
            {
                "stage": found.stage,
                "folder": str(folder),
                "tagmanifest_sha256": found.tagmanifest_sha256,
                "signed_by": found.signed_by,
                "revisions": session.revisions,
                "set_aside": unsealed,
            }
        )
    else:
        say(
            f"{found.stage}  {_lies_at(folder, found.stage)}",
            f"tag manifest {found.tagmanifest_sha256}",
            f"signed by {', '.join(found.signed_by) or 'nobody yet'}",
        )
        for one in session.revisions:
            lies = _lies_at(place.sessions / one.folder, one.stage)
            say(f"revision {one.number} {one.stage}  {lies}")
        say(*(f"set aside: {place.sessions / name}" for name in unsealed))
    if found.stage != "sealed" and session.ended:
        raise AnswerNo(
            what=f"the session is {session.state.value}: its pack was never sealed",
            where=session.id,
            todo="its evidence is the journal",
        )
    if found.stage != "sealed":
        raise AnswerNo(
            what=f"the pack is {found.stage}",
            where=session.id,
            todo=f"both must sign: F7, or `peakctl pack sign {session.id}`",
        )
    return 0


def _lies_at(folder: Path, stage: str) -> str:
    """Where the files are: under their last name only once both have signed."""
    return str(folder) if stage == "sealed" else f"{folder}.partial"


def sign(
    session_id: SessionArgument = "",
    workspace: WorkspaceOption = None,
    person: PersonOption = "",
    key: KeyOption = None,
) -> int:
    """Sign the written pack, or the open revision of a sealed one, as one of its two people.

    A pack takes three signatures of each: tag manifest, runlog, incidents.
    """
    from peakctl.client.client import EngineClient  # noqa: PLC0415

    place = visited(workspace)
    me, role, signer = _me(place, person, key)

    async def work() -> None:
        # The engine says what there is to sign: the reviewer may not read the journal's files.
        async with EngineClient(place.socket, me, role.value) as client:
            session = (await client.state()).session
            newest = session.id if session is not None else ""
            pack = session.pack if session is not None and session_id in {"", newest} else None
            if pack is not None and pack.stage == "written":
                await _sign_pack(client, place, pack, role, signer)
            elif session_id or newest:
                await _sign_revision(client, session_id or newest, role, signer)
            else:
                raise InputError(what="no session is named", todo="name the sealed pack's session")

    run(work())
    return 0


def revise(
    session_id: Annotated[
        str, typer.Argument(metavar="SESSION", autocompletion=completions.sessions, help="Its id.")
    ],
    reason: ReasonOption = "",
    lessons: Annotated[
        list[str] | None, typer.Option(help="A lesson, one to three times; replaces the old ones.")
    ] = None,
    incident: Annotated[str, typer.Option(help="What is to be added to the incidents.")] = "",
    workspace: WorkspaceOption = None,
    person: PersonOption = "",
    key: KeyOption = None,
    json: JsonOption = False,
) -> int:
    """Write a revision beside a sealed pack and sign it; the other one signs it after you."""
    from peakctl.client.client import EngineClient  # noqa: PLC0415

    if not reason.strip():
        raise InputError(what="there is no reason", where="--reason", todo="say why")
    place = visited(workspace)
    me, role, signer = _me(place, person, key)

    async def work() -> RevisionView:
        async with EngineClient(place.socket, me, role.value) as client:
            await client.revise_pack(session_id, reason, lessons or (), incident)
            return await _sign_revision(client, session_id, role, signer, quiet=json)

    view = run(work())
    if json:
        say_json(view)
    elif view.stage != "sealed":
        say(f"the other one signs with: peakctl pack sign {session_id}")
    return 0


def _me(place: Workspace, person: str, key: Path | None) -> tuple[str, Role, Signer]:
    from peakctl.signing import Signer  # noqa: PLC0415

    me = whoami(place, person)
    found = roster_of(place).by_id(me)
    if found is None:
        raise InputError(what=f"{me!r} is not in the roster", where=str(place.people_file))
    return me, found.role, Signer(key_of(place, key, found.role.value))


async def _sign_pack(
    client: EngineClient, place: Workspace, pack: PackView, role: Role, signer: Signer
) -> None:
    """Say what each of the signatures is over, then make them."""
    from peakctl.client.pack_signing import listed_reports, sign_pack  # noqa: PLC0415

    reports = await listed_reports(client, pack)
    say(
        f"signing as {role.value}, {1 + len(reports)} signatures; a key with a passphrase or a"
        " touch asks for each:",
        f"{_TAGMANIFEST}  sha256 {pack.tagmanifest_sha256}",
        *(f"{name}  sha256 {hashlib.sha256(said).hexdigest()}" for name, said in reports.items()),
    )

    async def signed(namespace: Namespace, message: bytes) -> str:
        return await asyncio.to_thread(signer.sign, message, namespace)

    state = await sign_pack(client, role, signed, pack)
    after = state.session.pack if state.session is not None else None
    if after is not None and after.stage == "sealed":
        say(f"sealed; check it: peakctl verify {place.sessions / Path(after.folder).name}")
    else:
        say("signed; the pack is sealed when the other one has signed, too")


async def _sign_revision(
    client: EngineClient, session_id: str, role: Role, signer: Signer, *, quiet: bool = False
) -> RevisionView:
    """Fetch, hash and show what the revision says, then sign its tag manifest."""
    view = await client.revision(session_id)
    tagmanifest, manifest, document = [
        await client.revision_document(session_id, name)
        for name in (_TAGMANIFEST, _MANIFEST, _REVISION)
    ]
    sha256 = hashlib.sha256(tagmanifest).hexdigest()
    listed = (
        sha256 == view.tagmanifest_sha256
        and _line(manifest, _MANIFEST) in tagmanifest.splitlines()
        and _line(document, _REVISION) in manifest.splitlines()
    )
    if not listed:
        raise IntegrityError(
            what="is not the revision that the engine journaled",
            where=view.folder,
            todo="do not sign",
        )
    if not quiet:
        said: dict[str, Any] = plain_json.loads(document)
        say(*table(_readable(said)), f"signing as {role.value}: tag manifest {sha256}")
    signature = await asyncio.to_thread(signer.sign, tagmanifest, _REVISION_NAMESPACES[role])
    await client.sign_revision(session_id, sha256, signature)
    done = await client.revision(session_id)
    if not quiet:
        say(f"revision {done.number} {done.stage}, signed by {', '.join(done.signed_by)}")
    return done


def _readable(said: dict[str, Any]) -> list[tuple[str, str]]:
    """What a revision says, for people: one row a lesson, the time as a time."""
    rows: list[tuple[str, str]] = []
    for name in sorted(said):
        if name == "at_us":
            rows.append(("at", utc(int(said[name]))))
        elif isinstance(said[name], list):
            rows += [(f"{name} {n}", str(one)) for n, one in enumerate(said[name], 1)]
        elif said[name]:
            rows.append((name, str(said[name])))
    return rows


def _line(content: bytes, name: str) -> bytes:
    return f"{hashlib.sha256(content).hexdigest()}  {name}".encode("ascii")
