"""`peakctl latch`: what the kill latch says, and releasing it as two people with a reason (I4).

The engine makes the document and judges the release; here it is fetched, shown, signed and handed
in. The same file goes through both people's hands, and its bytes are never written again.
"""
# ruff: noqa: FBT002  (typer makes options of booleans with defaults)

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from engine.contracts.documents import Namespace
from engine.contracts.errors import InputError, PeakError, Refused
from engine.contracts.people import Role
from peakctl.commands.files import ascii_text, write_new
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
from peakctl.commands.output import say, say_json, table, utc
from peakctl.commands.running import run

if TYPE_CHECKING:
    from engine.contracts.view import KillView, StateView
    from peakctl.workspace import Workspace

DocumentFile = Annotated[Path, typer.Argument(metavar="FILE", help="The release document.")]

_NAMESPACES = {Role.OPERATOR: Namespace.RELEASE, Role.REVIEWER: Namespace.RELEASE_REVIEW}
_SUFFIXES = {Role.OPERATOR: ".op.sig", Role.REVIEWER: ".rev.sig"}


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="The kill latch, which two people release with a reason.")
    group.command("show")(show)
    group.command("document")(document)
    group.command("sign")(sign)
    group.command("release")(release)
    app.add_typer(group, name="latch")


def show(workspace: WorkspaceOption = None, json: JsonOption = False) -> int:
    """Whether the latch is set, by whom and why, and what the venue has proved since."""
    from peakctl.client.client import EngineClient  # noqa: PLC0415

    place = visited(workspace)

    async def work() -> KillView:
        async with EngineClient(place.socket) as client:
            return (await client.state()).kill

    view = run(work())
    if json:
        say_json(view)
        return 0
    rows = [("latch", "not set" if view.state == "READY" else f"SET, {view.state}")]
    if view.state != "READY":
        rows += [
            ("since", utc(view.latched_us)),
            ("by", view.by),
            ("reason", view.reason),
            ("open orders", ", ".join(view.open_orders) or "none known"),
            ("next", "`peakctl latch document`, then both sign it"),
        ]
    say(*table(rows))
    return 0


def document(
    reason: Annotated[str, typer.Option(help="Why it is safe to go on; both sign it.")],
    operator: Annotated[str, typer.Option(help="Id of the operator who will sign.")],
    reviewer: Annotated[str, typer.Option(help="Id of the reviewer who will sign.")],
    output: Annotated[
        Path | None, typer.Option(help="Write it to this new file (default: standard output).")
    ] = None,
    workspace: WorkspaceOption = None,
) -> int:
    """Fetch a fresh release document from the engine; it expires after 300 seconds."""
    from peakctl.client.client import EngineClient  # noqa: PLC0415

    place = visited(workspace)
    if not reason.strip():
        raise InputError(what="a release needs a reason", where="--reason")
    _in_roster(place, operator, Role.OPERATOR)
    _in_roster(place, reviewer, Role.REVIEWER)

    async def work() -> tuple[str, str]:
        async with EngineClient(place.socket) as client:
            made = await client.release_document(reason, operator, reviewer)
            return made.document, made.sha256

    text, sha256 = run(work())
    if output is None:
        sys.stdout.write(text)
        return 0
    write_new(output, text.encode("ascii"))
    say(f"{sha256}  {output}")
    return 0


def sign(
    file: DocumentFile,
    key: KeyOption = None,
    role: Annotated[
        Role | None, typer.Option(help="Sign as this role (default: that of the key's owner).")
    ] = None,
    workspace: WorkspaceOption = None,
) -> int:
    """Show what a release document says and sign it, into FILE.op.sig or FILE.rev.sig."""
    from peakctl.signing import Signer  # noqa: PLC0415

    text = ascii_text(file)
    said = _parsed(file, text)
    if key is None:
        key = key_of(visited(workspace), None, _named(role))
    signer = Signer(key.expanduser())
    role = role or _role_of(visited(workspace), signer.public_line(), str(key))
    say(*table(_readable(said)), f"signing as {role.value} {said[role.value]}, with {key}")
    signature = signer.sign(text.encode("ascii"), _NAMESPACES[role])
    target = _signature_file(file, role)
    write_new(target, signature.encode("ascii"))
    say(f"wrote {target}")
    return 0


def release(
    file: DocumentFile, workspace: WorkspaceOption = None, person: PersonOption = ""
) -> int:
    """Release the latch with a document and both signatures beside it."""
    from peakctl.client.client import EngineClient  # noqa: PLC0415

    place = visited(workspace)
    text = ascii_text(file)
    said = _parsed(file, text)
    operator, reviewer = (_signature(file, role, said[role.value]) for role in Role)
    who = whoami(place, person)

    async def work() -> StateView:
        async with EngineClient(place.socket, who) as client:
            return await client.release(text, operator, reviewer)

    view = run(work())
    say(f"the latch is released; kill {view.kill.state}", f"next: {view.next_step}")
    return 0


def _in_roster(place: Workspace, name: str, role: Role) -> None:
    """Raise InputError unless the roster has this person in this role."""
    ids = [someone.id for someone in roster_of(place).people if someone.role is role]
    if name not in ids:
        raise InputError(
            what=f"{name[:40]!r} is no {role.value} of the roster",
            where=f"--{role.value}",
            todo=f"there are: {', '.join(ids) or 'none'}",
        )


def _parsed(file: Path, text: str) -> dict[str, Any]:
    from engine.governance.packet import parse_release  # noqa: PLC0415

    try:
        return parse_release(text.encode("ascii"))
    except InputError as error:
        raise InputError(
            what=f"is not a release document ({error.line()})",
            where=str(file),
            todo="fetch one with `peakctl latch document`",
        ) from error


def _named(role: Role | None) -> str:
    if role is None:
        raise InputError(
            what="no key and no role is named", where="--key", todo="name your SSH key with --key"
        )
    return role.value


def _role_of(place: Workspace, public_line: str, key: str) -> Role:
    """The role of the person whose key this is. Raises InputError."""
    from engine.signatures.sshsig import fingerprint, parse_public_line  # noqa: PLC0415

    try:
        mine = fingerprint(parse_public_line(public_line))
    except PeakError as error:
        raise InputError(
            what="its public half cannot be read", where=key, todo="say who signs with --role"
        ) from error
    for someone in roster_of(place).people:
        if someone.fingerprint == mine:
            return someone.role
    raise InputError(what="nobody in the roster has this key", where=key, todo="name your own key")


def _readable(said: dict[str, Any]) -> list[tuple[str, str]]:
    """What the person is about to sign, one line a field."""
    return [
        ("RELEASE THE KILL LATCH", ""),
        ("reason", said["reason"]),
        ("kill", f"{said['kill_id']}, {said['kill_reason']}"),
        ("latched", utc(said["latched_at"])),
        ("verdict", said["verdict"]),
        ("open orders", ", ".join(said["open_orders"]) or "none known"),
        ("session", said["session"] or "-"),
        ("operator", said["operator"]),
        ("reviewer", said["reviewer"]),
        ("expires", utc(said["expires_at"])),
    ]


def _signature_file(file: Path, role: Role) -> Path:
    return file.with_name(f"{file.name}{_SUFFIXES[role]}")


def _signature(file: Path, role: Role, name: str) -> str:
    path = _signature_file(file, role)
    if not path.exists():
        raise Refused(
            what=f"the signature of {role.value} {name[:40]} is missing",
            where=str(path),
            todo=f"{role.value} signs with `peakctl latch sign`; one signature releases nothing",
            code="SIGNATURE_MISSING",
        )
    return ascii_text(path)
