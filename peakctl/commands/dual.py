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
from engine.contracts.errors import AnswerNo, InputError, PeakError, Refused
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
    from engine.contracts.view import DualView, StateView
    from peakctl.dual import Reading
    from peakctl.workspace import Workspace

SUFFIXES = {Role.OPERATOR: ".op.sig", Role.REVIEWER: ".rev.sig"}
_US_PER_SECOND = 1_000_000
_TIMES = ("issued", "expires", "latched at")

IdArgument = Annotated[
    str, typer.Argument(metavar="ID", help="The request, as `dual list` has it.")
]
RoleOption = Annotated[
    Role | None, typer.Option(help="Sign as this role (default: that of the key's owner).")
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
            _stage(one),
            one.requested_by,
            ", ".join(one.signed_by) or "nobody",
            ", ".join(_missing(one)) or "-",
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

    view = _one(run(_state(visited(workspace))), request)
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
                "waits_for": _missing(view),
            }
        )
        return 0
    say(
        *table(readable(reading)),
        f"sha256 {reading.sha256}",
        f"short code {reading.code}",
        f"stage  {_stage(view)}; signed by {', '.join(view.signed_by) or 'nobody'}",
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
        return sign_file(file, key, role, workspace)
    from peakctl.dual import read_view, refuse_stale  # noqa: PLC0415

    place = visited(workspace)
    who = whoami(place, person)
    view = _one(run(_state(place)), request)
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
        _compare(typed, reading)
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

    view = _one(run(work()), request)
    say(f"{request} is {_stage(view)}")
    return 0


def export(
    request: IdArgument,
    output: Annotated[Path, typer.Option("--output", "-o", help="This new file.")],
    workspace: WorkspaceOption = None,
) -> int:
    """Write a document's exact bytes, to be signed elsewhere."""
    from peakctl.dual import read_view  # noqa: PLC0415

    reading = read_view(_one(run(_state(visited(workspace))), request))
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


# --- shared with the commands of single acts -----------------------------------------------------


def sign_file(file: Path, key: Path | None, role: Role | None, workspace: Path | None) -> int:
    """Show what an exported document says and sign it, into FILE.op.sig or FILE.rev.sig."""
    from peakctl.signing import Signer  # noqa: PLC0415

    reading = read_file(file)
    if key is None:
        key = key_of(visited(workspace), None, _named(role))
    signer = Signer(key.expanduser())
    role = role or _role_of(visited(workspace), signer.public_line(), str(key))
    who = reading.said.signer(role).person
    say(*table(readable(reading)), f"sha256 {reading.sha256}", f"short code {reading.code}")
    say(f"signing as {role.value} {who}, with {key}")
    signature = signer.sign(reading.document, reading.namespace(role))
    target = signature_file(file, role)
    write_new(target, signature.encode("ascii"))
    say(f"wrote {target}")
    return 0


def read_file(file: Path, purpose: Purpose | None = None) -> Reading:
    """The document in a file. Raises InputError."""
    from peakctl.dual import read_document  # noqa: PLC0415

    text = ascii_text(file)
    try:
        reading = read_document(text.encode("ascii"))
    except InputError as error:
        raise InputError(
            what=f"is not a document for two to sign ({error.line()})",
            where=str(file),
            todo="export one with `peakctl dual export`",
        ) from error
    if purpose is not None and reading.said.purpose != purpose.value:
        raise InputError(
            what=f"is not about {purpose.value} but {reading.said.purpose}", where=str(file)
        )
    return reading


def signature_file(file: Path, role: Role) -> Path:
    """Where the signature of a role lies."""
    return file.with_name(f"{file.name}{SUFFIXES[role]}")


def readable(reading: Reading) -> list[tuple[str, str]]:
    """The document's lines, times for people."""
    return [
        (label, utc(int(value)) if label in _TIMES and value.isdecimal() else value)
        for label, value in reading.lines
    ]


def hand_in_own(
    place: Workspace, reading: Reading, role: Role, person: str, key: Path, typed_code: str = ""
) -> StateView:
    """Sign as a role with a key, and hand it in as that person."""
    from peakctl.client.client import EngineClient  # noqa: PLC0415
    from peakctl.signing import Signer, signals  # noqa: PLC0415

    signature = Signer(key).sign(reading.document, reading.namespace(role))

    async def work() -> StateView:
        async with EngineClient(place.socket, person) as client:
            return await client.dual_sign(
                reading.said.request_id,
                reading.sha256,
                signature,
                typed_code=typed_code,
                signals=signals(),
            )

    return run(work())


def hand_in_all(
    place: Workspace, reading: Reading, person: str, signatures: dict[Role, str]
) -> StateView:
    """Hand in signatures that were made elsewhere, one after the other."""
    from peakctl.client.client import EngineClient  # noqa: PLC0415

    async def work() -> StateView:
        async with EngineClient(place.socket, person) as client:
            state = await client.state()
            for role, signature in signatures.items():
                state = await client.dual_sign(
                    reading.said.request_id,
                    reading.sha256,
                    signature,
                    signer=reading.said.signer(role).person,
                )
            return state

    return run(work())


def ask(
    place: Workspace,
    purpose: Purpose,
    subject: dict[str, str],
    reason: str,
    person: str,
    operator: str = "",
    reviewer: str = "",
) -> DualView:
    """Make a request as this person."""
    from peakctl.client.client import EngineClient  # noqa: PLC0415

    async def work() -> DualView:
        async with EngineClient(place.socket, person) as client:
            return await client.dual_request(purpose, subject, reason, operator, reviewer)

    return run(work())


def ask_and_sign(
    place: Workspace,
    purpose: Purpose,
    subject: dict[str, str],
    reason: str,
    person: str,
    key: Path | None,
) -> int:
    """Make a request, sign it as the asking person, and say what the other one has to type."""
    from peakctl.dual import read_view  # noqa: PLC0415

    role = _role(place, person)
    mine = key_of(place, key, role.value)
    view = ask(place, purpose, subject, reason, person)
    reading = read_view(view)
    say(*table(readable(reading)), f"sha256 {reading.sha256}")
    state = hand_in_own(place, reading, role, person, mine)
    say(outcome(state, view.id, reading))
    return 0


def outcome(state: StateView, request: str, reading: Reading) -> str:
    """One line: granted, or what the other person has to do."""
    view = _one(state, request)
    if view.stage != "pending":
        return f"{view.purpose} {request}: {_stage(view)}"
    missing = _missing(view)
    read_out = f"and types: {reading.code}" if view.requested_by not in missing else ""
    return (
        f"{view.purpose} {request}: signed by {', '.join(view.signed_by)}; now"
        f" {' and '.join(missing)} signs with `peakctl dual sign {request}` {read_out}".rstrip()
    )


async def _state(place: Workspace) -> StateView:
    from peakctl.client.client import EngineClient  # noqa: PLC0415

    async with EngineClient(place.socket) as client:
        return await client.state()


def _one(state: StateView, request: str) -> DualView:
    for view in state.dual:
        if view.id == request:
            return view
    raise InputError(what="no such request", where=request[:40], todo="see `peakctl dual list`")


def _stage(view: DualView) -> str:
    return f"{view.stage} ({view.code})" if view.code else view.stage


def _missing(view: DualView) -> tuple[str, ...]:
    return tuple(one for one in (view.operator, view.reviewer) if view.waits_for(one))


def _typed_code(asker: str) -> str:
    """Ask for the short code on the terminal. Raises InputError where there is none."""
    if not sys.stdin.isatty():
        raise InputError(what="the short code is missing", todo="give it with --code")
    return str(typer.prompt(f"short code, as {asker} reads it out"))


def _compare(typed: str, reading: Reading) -> None:
    from engine.governance.wordlist import same_code  # noqa: PLC0415

    if not same_code(typed, reading.sha256):
        raise AnswerNo(
            what="these are not the words of this document; nothing was signed",
            where=reading.said.request_id,
            todo="have them read out again; if they still differ, somebody changed it",
            code="SHORT_CODE",
        )


def _role(place: Workspace, person: str) -> Role:
    someone = roster_of(place).by_id(person)
    if someone is None:
        raise InputError(what=f"{person[:40]!r} is not in the roster", where="--person")
    return someone.role


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
