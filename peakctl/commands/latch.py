"""`peakctl latch`: what the kill latch says, and releasing it as two people with a reason (I4).

A release is an act of dual control (`peakctl dual`) like others; these commands are its way with
files: the document goes through both people's hands, and its bytes are never written again.
"""
# ruff: noqa: FBT002  (typer makes options of booleans with defaults)

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from engine.contracts.documents import Purpose
from engine.contracts.errors import InputError, Refused
from engine.contracts.people import Role
from peakctl.commands import dual_signing
from peakctl.commands.files import ascii_text, write_new
from peakctl.commands.options import (
    JsonOption,
    KeyOption,
    PersonOption,
    WorkspaceOption,
    roster_of,
    visited,
    whoami,
)
from peakctl.commands.output import say, say_json, table, utc
from peakctl.commands.running import run

if TYPE_CHECKING:
    from engine.contracts.view import KillView
    from peakctl.workspace import Workspace

DocumentFile = Annotated[Path, typer.Argument(metavar="FILE", help="The release document.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="The kill latch, which two people release with a reason.")
    group.command("show")(show)
    group.command("document")(document)
    group.command("sign")(sign)
    group.command("release")(release)
    app.add_typer(group, name="latch")


def _none(view: KillView) -> str:
    return "none, proven" if view.state == "PROVEN" else "none known, not proven"


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
            ("by", view.by if view.kills < 2 else f"{view.by}, the last of {view.kills} kills"),
            ("reason", view.reason),
            ("open orders", ", ".join(view.open_orders) or _none(view)),
            ("next", "`peakctl dual ask release --reason ...`; the other one signs it, too"),
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
    person: PersonOption = "",
) -> int:
    """Ask the engine for a release; its document is signed by both within 300 seconds."""
    from peakctl.dual import read_view  # noqa: PLC0415

    place = visited(workspace)
    if not reason.strip():
        raise InputError(what="a release needs a reason", where="--reason")
    _in_roster(place, operator, Role.OPERATOR)
    _in_roster(place, reviewer, Role.REVIEWER)
    who = _asker(place, person, (operator, reviewer))
    view = dual_signing.ask(place, Purpose.RELEASE, {}, reason, who, operator, reviewer)
    reading = read_view(view)
    if output is None:
        sys.stdout.write(view.document)
        return 0
    write_new(output, reading.document)
    say(f"{reading.sha256}  {output}")
    return 0


def sign(
    file: DocumentFile,
    key: KeyOption = None,
    role: dual_signing.RoleOption = None,
    workspace: WorkspaceOption = None,
) -> int:
    """Show what a release document says and sign it, into FILE.op.sig or FILE.rev.sig."""
    dual_signing.read_file(file, Purpose.RELEASE)
    return dual_signing.sign_file(file, key, role, workspace)


def release(
    file: DocumentFile, workspace: WorkspaceOption = None, person: PersonOption = ""
) -> int:
    """Release the latch with a document and both signatures beside it."""
    place = visited(workspace)
    reading = dual_signing.read_file(file, Purpose.RELEASE)
    signatures = {role: _signature(file, role, reading.said.signer(role).person) for role in Role}
    state = dual_signing.hand_in_all(place, reading, whoami(place, person), signatures)
    say(f"the latch is released; kill {state.kill.state}", f"next: {state.next_step}")
    return 0


def _asker(place: Workspace, person: str, signers: tuple[str, str]) -> str:
    """Who asks: named, or the one of the two signers who this Unix user can be."""
    for name in (person,) if person else signers:
        try:
            return whoami(place, name)
        except InputError:
            if person:
                raise
    return whoami(place, "")


def _in_roster(place: Workspace, name: str, role: Role) -> None:
    """Raise InputError unless the roster has this person in this role."""
    ids = [someone.id for someone in roster_of(place).people if someone.role is role]
    if name not in ids:
        raise InputError(
            what=f"{name[:40]!r} is no {role.value} of the roster",
            where=f"--{role.value}",
            todo=f"there are: {', '.join(ids) or 'none'}",
        )


def _signature(file: Path, role: Role, name: str) -> str:
    path = dual_signing.signature_file(file, role)
    if not path.exists():
        raise Refused(
            what=f"the signature of {role.value} {name[:40]} is missing",
            where=str(path),
            todo=f"{role.value} signs with `peakctl latch sign`; one signature releases nothing",
            code="SIGNATURE_MISSING",
        )
    return ascii_text(path)
