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
from engine.contracts.errors import AnswerNo, InputError, IntegrityError, Refused
from engine.contracts.people import Role
from peakctl.commands import completions
from peakctl.commands.options import (
    JsonOption,
    KeyOption,
    PersonOption,
    WorkspaceOption,
    key_of,
    roster_of,
    visited,
    whoami,
)
from peakctl.commands.output import complain, say, say_json, table
from peakctl.commands.running import run

if TYPE_CHECKING:
    from engine.contracts.view import RevisionView, StateView
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
    unsealed = [name for name in aside if name != f"{folder.name}.partial"]
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
        say(f"{found.stage}  {folder}", f"tag manifest {found.tagmanifest_sha256}")
        say(*(f"revision {one.number} {one.stage}  {one.folder}" for one in session.revisions))
        say(*(f"set aside: {place.sessions / name}" for name in unsealed))
    if found.stage != "sealed":
        raise AnswerNo(what=f"the pack is {found.stage}", where=session.id, todo="both must sign")
    return 0


def sign(
    session_id: SessionArgument = "",
    workspace: WorkspaceOption = None,
    person: PersonOption = "",
    key: KeyOption = None,
) -> int:
    """Sign the written pack, or the open revision of a sealed one, as one of its two people."""
    from peakctl.client.client import EngineClient  # noqa: PLC0415
    from peakctl.commands.ledger import fold_sessions, session_of  # noqa: PLC0415

    place = visited(workspace)
    session = session_of(fold_sessions(place.journal), session_id)
    me, role, signer = _me(place, person, key)

    async def work() -> None:
        async with EngineClient(place.socket, me, role.value) as client:
            if session.pack is not None and session.pack.stage == "written":
                await _sign_pack(client, role, signer)
            else:
                await _sign_revision(client, session.id, role, signer)

    run(work())
    return 0


def revise(
    session_id: Annotated[
        str, typer.Argument(metavar="SESSION", autocompletion=completions.sessions, help="Its id.")
    ],
    reason: Annotated[str, typer.Option(help="Why the pack is not the last word.")],
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


async def _sign_pack(client: EngineClient, role: Role, signer: Signer) -> StateView:
    from peakctl.client.pack_signing import sign_pack  # noqa: PLC0415

    view = await client.state()
    pack = view.session.pack if view.session else None
    if pack is None or not pack.tagmanifest:
        raise Refused(what="there is no written pack to sign", todo="write it first")
    say(f"signing as {role.value}: tag manifest {pack.tagmanifest_sha256}, runlog, incidents")

    async def signed(namespace: Namespace, message: bytes) -> str:
        return await asyncio.to_thread(signer.sign, message, namespace)

    return await sign_pack(client, role, signed, pack)


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
        say(*table((name, str(said[name])) for name in sorted(said) if said[name]))
    signature = await asyncio.to_thread(signer.sign, tagmanifest, _REVISION_NAMESPACES[role])
    await client.sign_revision(session_id, sha256, signature)
    done = await client.revision(session_id)
    if not quiet:
        say(f"revision {done.number} {done.stage}, signed by {', '.join(done.signed_by)}")
    return done


def _line(content: bytes, name: str) -> bytes:
    return f"{hashlib.sha256(content).hexdigest()}  {name}".encode("ascii")
