"""`peakctl dual`: acts beside go/no-go that two people grant; listed, read, signed, taken back.

The engine makes the document and judges the grant. Here its bytes are fetched, hashed and read by
this process, shown, and signed; or written to a file, signed anywhere, and brought back: beside
FILE lie FILE.op.sig and FILE.rev.sig, and the bytes are never written again. Exit codes: what is
refused is 4, a wrong short code 1.
"""
# ruff: noqa: FBT002  (typer makes options of booleans with defaults)

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from engine.contracts.documents import Purpose
from engine.contracts.errors import InputError, Refused
from engine.contracts.people import Role
from peakctl.commands.dual_signing import (
    RoleOption,
    ask_and_sign,
    compare_code,
    hand_in_all,
    hand_in_own,
    missing,
    one_of,
    outcome,
    read_file,
    readable,
    sign_file,
    signature_file,
    stage_of,
)
from peakctl.commands.files import ascii_text, write_new
from peakctl.commands.options import (
    JsonOption,
    KeyOption,
    PersonOption,
    WorkspaceOption,
    key_of,
    visited,
    whoami,
)
from peakctl.commands.output import say, say_json, table
from peakctl.commands.running import run

if TYPE_CHECKING:
    from engine.contracts.view import StateView
    from peakctl.workspace import Workspace

_US_PER_SECOND = 1_000_000

IdArgument = Annotated[
    str, typer.Argument(metavar="ID", help="The request, as `dual list` has it.")
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="Acts beside go/no-go that two people grant.")
    group.command("list")(list_)
    group.command("show")(show)
    group.command("ask")(ask_for)
    group.command("sign")(sign)
    group.command("withdraw")(withdraw)
    group.command("export")(export)
    group.command("hand-in")(hand_in)
    app.add_typer(group, name="dual")


def list_(workspace: WorkspaceOption = None, json: JsonOption = False) -> int:
    """What waits for a signature, then what was decided last."""
    found = run(_state(visited(workspace))).dual
    if json:
        say_json(found)
        return 0
    header = ("id", "act", "stage", "asked by", "signed by", "waits for", "left", "reason")
    now_us = time.time_ns() // 1000
    rows = [
        (
            one.id,
            one.purpose,
            stage_of(one),
            one.requested_by,
            ", ".join(one.signed_by) or "nobody",
            ", ".join(missing(one)) or "-",
            f"{max(0, one.expires_us - now_us) // _US_PER_SECOND} s"
            if one.stage == "pending"
            else "-",
            one.closed_reason or one.refused or one.reason,
        )
        for one in found
    ]
    say(*(table(rows, header) if rows else ["none"]))
    return 0


def show(request: IdArgument, workspace: WorkspaceOption = None, json: JsonOption = False) -> int:
    """What the document says, read from its bytes by this process, with their hash."""
    from peakctl.dual import read_view  # noqa: PLC0415

    view = one_of(run(_state(visited(workspace))), request)
    reading = read_view(view)
    if json:
        say_json(
            {
                "id": view.id,
                "stage": view.stage,
                "sha256": reading.sha256,
                "document": view.document,
                "says": reading.said,
                "signed_by": view.signed_by,
                "waits_for": missing(view),
            }
        )
        return 0
    say(
        *table(readable(reading)),
        f"sha256 {reading.sha256}",
        f"short code {reading.code}",
        f"stage  {stage_of(view)}; signed by {', '.join(view.signed_by) or 'nobody'}",
    )
    return 0


def ask_for(
    purpose: Annotated[Purpose, typer.Argument(help="What two people are to grant.")],
    reason: Annotated[str, typer.Option(help="Why; both sign it.")],
    about: Annotated[
        list[str] | None,
        typer.Option("--about", metavar="NAME=VALUE", help="What it is about; may be repeated."),
    ] = None,
    workspace: WorkspaceOption = None,
    person: PersonOption = "",
    key: KeyOption = None,
) -> int:
    """Ask for an act and sign it; the other person signs it too.

    close_break wants run_id and break_ids, adopt wants symbol and client_order_id, release nothing;
    loosening a limit and a step up have commands of their own.
    """
    subject: dict[str, str] = {}
    for pair in about or ():
        name, sign_, value = pair.partition("=")
        if not sign_ or not name or name in subject:
            raise InputError(what=f"{pair[:60]!r} is not NAME=VALUE, once", where="--about")
        subject[name] = value
    place = visited(workspace)
    return ask_and_sign(place, purpose, subject, reason, whoami(place, person), key)


def sign(
    request: Annotated[str, typer.Argument(metavar="[ID]", help="The request; or --file.")] = "",
    file: Annotated[
        Path | None, typer.Option(help="Sign this exported document, away from the engine.")
    ] = None,
    code: Annotated[
        str, typer.Option(help="The four words, as the other person reads them out.")
    ] = "",
    role: RoleOption = None,
    workspace: WorkspaceOption = None,
    person: PersonOption = "",
    key: KeyOption = None,
) -> int:
    """Read a document and sign it; the second signature grants the act.

    Whoever did not ask types the short code that the asking person reads out.
    """
    if (file is None) == (not request):
        raise InputError(what="name one of ID and --file", todo="see `peakctl dual list`")
    if file is not None:
        return sign_file(file, key, role, workspace, code)
    from peakctl.dual import read_view, refuse_stale  # noqa: PLC0415

    place = visited(workspace)
    who = whoami(place, person)
    view = one_of(run(_state(place)), request)
    reading = read_view(view)
    refuse_stale(reading, time.time_ns() // 1000)
    mine = reading.said.role_of(who)
    if mine is None:
        raise Refused(
            what=f"{who} is none of the two who sign this",
            where=view.id,
            todo=f"it is for {view.operator} and {view.reviewer}",
            code="PEOPLE",
        )
    say(*table(readable(reading)), f"sha256 {reading.sha256}")
    typed = ""
    if who != view.requested_by:
        typed = code or _typed_code(view.requested_by)
        compare_code(typed, reading)
    state = hand_in_own(place, reading, mine, who, key_of(place, key, mine.value), typed)
    say(outcome(state, view.id, reading))
    return 0


def withdraw(
    request: IdArgument,
    reason: Annotated[str, typer.Option(help="Why; goes into the record.")],
    workspace: WorkspaceOption = None,
    person: PersonOption = "",
) -> int:
    """Take back one's own request, or decline the other's."""
    from peakctl.client.client import EngineClient  # noqa: PLC0415

    place = visited(workspace)
    who = whoami(place, person)

    async def work() -> StateView:
        async with EngineClient(place.socket, who) as client:
            return await client.dual_withdraw(request, reason)

    view = one_of(run(work()), request)
    say(f"{request} is {stage_of(view)}")
    return 0


def export(
    request: IdArgument,
    output: Annotated[Path, typer.Option("--output", "-o", help="This new file.")],
    workspace: WorkspaceOption = None,
) -> int:
    """Write a document's exact bytes, to be signed elsewhere."""
    from peakctl.dual import read_view  # noqa: PLC0415

    reading = read_view(one_of(run(_state(visited(workspace))), request))
    write_new(output, reading.document)
    say(f"{reading.sha256}  {output}")
    return 0


def hand_in(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The exported document.")],
    workspace: WorkspaceOption = None,
    person: PersonOption = "",
) -> int:
    """Hand in the signatures that lie beside an exported document."""
    place = visited(workspace)
    reading = read_file(file)
    found = {role: signature_file(file, role) for role in Role}
    signatures = {role: ascii_text(path) for role, path in found.items() if path.exists()}
    if not signatures:
        raise InputError(
            what="there is no signature beside it",
            where=str(file),
            todo="sign it with `peakctl dual sign --file`",
        )
    state = hand_in_all(place, reading, whoami(place, person), signatures)
    say(outcome(state, reading.said.request_id, reading))
    return 0


async def _state(place: Workspace) -> StateView:
    from peakctl.client.client import EngineClient  # noqa: PLC0415

    async with EngineClient(place.socket) as client:
        return await client.state()


def _typed_code(asker: str) -> str:
    """Ask for the short code on the terminal. Raises InputError where there is none."""
    if not sys.stdin.isatty():
        raise InputError(what="the short code is missing", todo="give it with --code")
    return str(typer.prompt(f"short code, as {asker} reads it out"))
