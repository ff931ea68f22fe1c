"""Documents of two people at a terminal: asking, showing, signing with a key or a file, handing in.

What `peakctl dual` shares with the commands of single acts (`latch`, `limits`, `ladder`, `orphan`).
The bytes are read and hashed by this process before a key is used, and are never written again.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from engine.contracts.documents import Purpose
from engine.contracts.errors import AnswerNo, InputError, PeakError
from engine.contracts.people import Role
from peakctl.commands.files import ascii_text, write_new
from peakctl.commands.options import key_of, roster_of, visited
from peakctl.commands.output import say, table, utc
from peakctl.commands.running import run

if TYPE_CHECKING:
    from engine.contracts.view import DualView, StateView
    from peakctl.dual import Reading
    from peakctl.workspace import Workspace

SUFFIXES = {Role.OPERATOR: ".op.sig", Role.REVIEWER: ".rev.sig"}
_TIMES = ("issued", "expires", "latched at")

RoleOption = Annotated[
    Role | None, typer.Option(help="Sign as this role (default: that of the key's owner).")
]


def sign_file(
    file: Path, key: Path | None, role: Role | None, workspace: Path | None, code: str = ""
) -> int:
    """Show what an exported document says and sign it, into FILE.op.sig or FILE.rev.sig.

    With a key it needs no workspace: the document names both keys. A `code` that was read out is
    compared first.
    """
    from peakctl.signing import Signer  # noqa: PLC0415

    reading = read_file(file)
    if code:
        compare_code(code, reading)
    if key is None:
        key = key_of(visited(workspace), None, _named(role))
    signer = Signer(key.expanduser())
    role = role or _role_of(reading, signer.public_line(), str(key))
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
    view = one_of(state, request)
    if view.stage != "pending":
        return f"{view.purpose} {request}: {stage_of(view)}"
    others = missing(view)
    read_out = f"and types: {reading.code}" if view.requested_by not in others else ""
    return (
        f"{view.purpose} {request}: signed by {', '.join(view.signed_by)}; now"
        f" {' and '.join(others)} signs with `peakctl dual sign {request}` {read_out}".rstrip()
    )


def one_of(state: StateView, request: str) -> DualView:
    """The request with this id. Raises InputError."""
    for view in state.dual:
        if view.id == request:
            return view
    raise InputError(what="no such request", where=request[:40], todo="see `peakctl dual list`")


def stage_of(view: DualView) -> str:
    """Where a request stands, with the code of a refusal."""
    return f"{view.stage} ({view.code})" if view.code else view.stage


def missing(view: DualView) -> tuple[str, ...]:
    """Whose signature is missing."""
    return tuple(one for one in (view.operator, view.reviewer) if view.waits_for(one))


def compare_code(typed: str, reading: Reading) -> None:
    """Raise AnswerNo unless these are the four words of the document."""
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


def _role_of(reading: Reading, public_line: str, key: str) -> Role:
    """Whose key of the document's two this is. Raises InputError."""
    from engine.signatures.sshsig import fingerprint, parse_public_line  # noqa: PLC0415

    try:
        mine = fingerprint(parse_public_line(public_line))
    except PeakError as error:
        raise InputError(
            what="its public half cannot be read", where=key, todo="say who signs with --role"
        ) from error
    for role in Role:
        if reading.said.signer(role).fingerprint == mine:
            return role
    raise InputError(
        what="is the key of neither of the two who sign this document",
        where=key,
        todo=f"it names {' and '.join(reading.said.signer(role).person for role in Role)}",
    )
