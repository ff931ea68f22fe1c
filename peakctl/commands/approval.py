"""`peakctl go ...` and `peakctl cosign`: the two-person step from any terminal, on or off the host.

Whoever signs elsewhere carries three things away or back as files: the packet (`go export`), the
document, the signature. Both are made of exact bytes and judged by the engine as if the console had
sent them; nothing is weaker on this way. On the other machine `--packet` needs no workspace and no
engine, and `runbooks/roles_and_keys.md` has the same steps for a machine with ssh-keygen alone.

What is typed at a prompt is typed after the packet stood there: typeahead is flushed first.
"""
# ruff: noqa: FBT002, PLR0913, PLR0917  (typer makes options of arguments with defaults)

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from engine.contracts.documents import Namespace
from engine.contracts.errors import AnswerNo, InputError, Refused
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
from peakctl.commands.output import say, say_json, table, utc
from peakctl.commands.running import run

if TYPE_CHECKING:
    from engine.contracts.view import GoView, StateView
    from peakctl.workspace import Workspace

#: How long a packet stands before what is typed counts, where no config says otherwise.
_DWELL_MS = 1_500

PacketOption = Annotated[
    Path | None,
    typer.Option("--packet", help="The packet from a file of `go export`: no engine is asked."),
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="The go/no-go packet: look at it, carry it away, sign it.")
    group.command("show")(show)
    group.command("export")(export)
    group.command("join")(join)
    group.command("sign")(sign)
    group.command("policy")(policy)
    app.add_typer(group, name="go")
    app.command("cosign")(cosign)


def _waiting(place: Workspace) -> GoView:
    """The packet that is open now. Raises Refused."""
    from peakctl.client.client import EngineClient  # noqa: PLC0415

    async def work() -> StateView:
        async with EngineClient(place.socket, role="reviewer") as client:
            return await client.state()

    view = run(work())
    if view.session is None or not view.session.go.packet:
        raise Refused(what="there is no packet", todo="the operator asks for go first")
    return view.session.go


def _packet_rows(text: str) -> list[str]:
    """The packet as read from these bytes, with the hash and the code made here."""
    from engine.contracts.canonical import sha256_hex  # noqa: PLC0415
    from engine.governance.packet import parse_packet, short_code  # noqa: PLC0415
    from peakctl.tools import lines_of  # noqa: PLC0415

    content = text.encode("ascii")
    parse_packet(content)  # raises when it is none
    digest = sha256_hex(content)
    return [
        *table(lines_of(text)),
        f"sha256 {digest}",
        f"code   {short_code(digest)}",
    ]


def show(
    workspace: WorkspaceOption = None, packet: PacketOption = None, json: JsonOption = False
) -> int:
    """The packet, rendered from its bytes as they arrived here, with the hash made here."""
    from engine.contracts.canonical import sha256_hex  # noqa: PLC0415
    from engine.governance.packet import parse_packet  # noqa: PLC0415

    go = _waiting(visited(workspace)) if packet is None else None
    text = go.packet if go is not None else ascii_text(_named(packet))
    stage = go.stage if go is not None else "file"
    if json:
        content = text.encode("ascii")
        shown = {
            "stage": stage,
            "sha256": sha256_hex(content),
            "packet": parse_packet(content),
        }
        say_json(shown)
        return 0
    say(*_packet_rows(text))
    if go is not None:
        say(f"stage  {go.stage}, expires {utc(go.expires_us)}")
    return 0


def _named(path: Path | None) -> Path:
    if path is None:
        raise InputError(what="no file is named", where="--packet")
    return path


def export(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where to write go.json.")],
    workspace: WorkspaceOption = None,
) -> int:
    """Write the packet's exact bytes, to be looked at or signed elsewhere."""
    from engine.contracts.canonical import sha256_hex  # noqa: PLC0415

    content = _waiting(visited(workspace)).packet.encode("ascii")
    write_new(file, content)
    say(f"{sha256_hex(content)}  {file}")
    return 0


def policy(json: JsonOption = False) -> int:
    """What each same-person signal means: when it forbids an approval."""
    from engine.governance.same_person import policy_rows  # noqa: PLC0415

    header = ("signal", "same forbids", "unknown forbids", "code")
    if json:
        say_json([dict(zip(header, row, strict=True)) for row in policy_rows()])
    else:
        say(*table(policy_rows(), header))
    return 0


def join(
    nonce: Annotated[
        str, typer.Option(help="Your own, made where you will sign: 64 hex digits.")
    ] = "",
    workspace: WorkspaceOption = None,
    person: PersonOption = "",
) -> int:
    """Join as the reviewer, with the nonce that the packet must then carry; prints it."""
    from peakctl.ceremony import new_nonce  # noqa: PLC0415
    from peakctl.client.client import EngineClient  # noqa: PLC0415
    from peakctl.signing import signals  # noqa: PLC0415

    place = visited(workspace)
    who, mine = whoami(place, person, "reviewer"), nonce or new_nonce()

    async def work() -> None:
        async with EngineClient(place.socket, who, "reviewer") as client:
            await client.join_review(mine, signals())

    run(work())
    say(mine)
    return 0


def sign(
    file: Annotated[
        Path | None, typer.Option(help="A signature over the packet that was made elsewhere.")
    ] = None,
    workspace: WorkspaceOption = None,
    person: PersonOption = "",
    key: KeyOption = None,
) -> int:
    """Sign the packet as the operator, or hand in the signature that was made elsewhere."""
    from engine.contracts.canonical import sha256_hex  # noqa: PLC0415
    from peakctl.client.client import EngineClient  # noqa: PLC0415
    from peakctl.signing import Signer  # noqa: PLC0415

    place = visited(workspace)
    who = whoami(place, person, "operator")
    go = _waiting(place)
    content = go.packet.encode("ascii")
    digest = sha256_hex(content)
    if file is not None:
        signature = ascii_text(file)
    else:
        say(*_packet_rows(go.packet))
        signature = Signer(key_of(place, key, "operator")).sign(content, Namespace.GO)

    async def work() -> None:
        async with EngineClient(place.socket, who, "operator") as client:
            await client.sign_go(digest, signature)

    run(work())
    say(f"signed {digest}")
    return 0


def cosign(
    decision: Annotated[str, typer.Option(help="GO, NO-GO or ABSTAIN.")] = "",
    reason: Annotated[str, typer.Option(help="NO-GO and ABSTAIN need one.")] = "",
    code: Annotated[str, typer.Option(help="The four words, as the operator reads them.")] = "",
    limit: Annotated[
        str, typer.Option(help="For a GO: the packet's max_order_notional, as you read it there.")
    ] = "",
    packet: PacketOption = None,
    nonce: Annotated[str, typer.Option(help="With --packet: the nonce that you joined with.")] = "",
    document: Annotated[
        Path | None, typer.Option(help="With --file: the cosign.json; else write it and stop.")
    ] = None,
    file: Annotated[
        Path | None, typer.Option(help="A signature over --document that was made elsewhere.")
    ] = None,
    workspace: WorkspaceOption = None,
    person: PersonOption = "",
    key: KeyOption = None,
) -> int:
    """Decide on the packet as the reviewer: GO, NO-GO or ABSTAIN, signed.

    To sign elsewhere: `--packet go.json --nonce ... --document cosign.json` writes the exact bytes
    there (and, with `--key`, the signature beside them); sign them in namespace
    peakctl-cosign-v1@peak-trade.example, then hand both in here with `--document` and `--file`.
    """
    if file is not None:
        return _hand_in_files(visited(workspace), person, decision, document, file)
    said = _Said(decision, reason, code, limit)
    if packet is not None:
        return _decide_elsewhere(said, ascii_text(packet), nonce, _required(document), key)
    place = visited(workspace)
    who = whoami(place, person, "reviewer")
    waiting = _waiting(place).packet
    text = _document(said, waiting, nonce, dwell_ms=_dwell_ms(place))
    if document is not None:
        write_new(document, text.encode("ascii"))
        say(f"wrote {document}; sign it in namespace {Namespace.COSIGN.value}")
        return 0
    signature = _signed(key_of(place, key, "reviewer"), text)
    return _hand_in(place, who, text, signature)


class _Said:
    """What the reviewer gave on the command line."""

    def __init__(self, decision: str, reason: str, code: str, limit: str) -> None:
        from engine.governance.approval import DECISIONS  # noqa: PLC0415

        if decision not in DECISIONS:
            raise InputError(
                what=f"{decision[:20]!r} is no decision",
                where="--decision",
                todo=f"say one of {', '.join(DECISIONS)}",
            )
        self.decision = decision
        self.reason = reason
        self.code = code
        self.limit = limit


def _required(document: Path | None) -> Path:
    if document is None:
        raise InputError(
            what="--packet needs --document", todo="name the file to write the decision to"
        )
    return document


def _document(
    said: _Said, packet: str, nonce: str, *, dwell_ms: int, elsewhere: bool = False
) -> str:
    """The exact bytes to sign; what was not given is asked for, with the packet shown first."""
    from peakctl.ceremony import cosign_document  # noqa: PLC0415

    code, limit = said.code, said.limit
    wants_limit = said.decision == "GO" and not limit
    if not code or wants_limit:
        shown = time.monotonic()
        _show_for_typing(packet)
        code = code or _typed("short code, as the operator reads it out", "--code")
        limit = (
            _typed("max_order_notional, as the packet has it", "--limit") if wants_limit else limit
        )
        if (time.monotonic() - shown) * 1000 < dwell_ms:
            raise Refused(what="the packet has just appeared", todo="read it first", code="DWELL")
    return cosign_document(
        packet=packet,
        decision=said.decision,
        reason=said.reason,
        typed_code=code,
        typed_limit=limit,
        nonce=nonce,
        elsewhere=elsewhere,
    )


def _show_for_typing(packet: str) -> None:
    """The packet on the terminal; the code is left out, it is read aloud by the operator."""
    if sys.stdin.isatty():
        say(*_packet_rows(packet)[:-1])


def _typed(words: str, option: str) -> str:
    """Ask on the terminal. Raises InputError where there is none."""
    if not sys.stdin.isatty():
        missing = words.partition(",")[0]
        raise InputError(what=f"{missing} is missing", todo=f"give it with {option}")
    import termios  # noqa: PLC0415

    termios.tcflush(sys.stdin.fileno(), termios.TCIFLUSH)
    return str(typer.prompt(words))


def _dwell_ms(place: Workspace) -> int:
    from peakctl.tools import read_settings  # noqa: PLC0415

    return read_settings(place, {}).session.min_dwell_ms


def _decide_elsewhere(
    said: _Said, packet: str, nonce: str, document: Path, key: Path | None
) -> int:
    """On a machine without the engine: the document, and with a key the signature beside it."""
    text = _document(said, packet, _own_nonce(packet, nonce), dwell_ms=_DWELL_MS, elsewhere=True)
    write_new(document, text.encode("ascii"))
    if key is None:
        say(f"wrote {document}; sign it in namespace {Namespace.COSIGN.value}")
        return 0
    beside = document.with_name(f"{document.name}.sig")
    write_new(beside, _signed(key.expanduser(), text).encode("ascii"))
    say(f"wrote {document} and {beside}; hand in both")
    return 0


def _own_nonce(packet: str, nonce: str) -> str:
    """The reviewer's own nonce: a packet with another one was not made after the reviewer joined.

    Raises Refused for such a packet, InputError when none is named.
    """
    from engine.governance.packet import parse_packet  # noqa: PLC0415

    if not nonce:
        raise InputError(
            what="your own nonce is missing",
            where="--nonce",
            todo="give the one that you joined with (`peakctl go join`)",
        )
    said: dict[str, Any] = parse_packet(packet.encode("ascii"))
    if said["reviewer_nonce"] != nonce:
        raise Refused(
            what="the packet carries another nonce than yours: it may be an old one",
            todo="join again and have go asked for again",
            code="NONCE_MISMATCH",
        )
    return nonce


def _signed(key: Path, text: str) -> str:
    from peakctl.signing import Signer  # noqa: PLC0415

    return Signer(key).sign(text.encode("ascii"), Namespace.COSIGN)


def _hand_in_files(
    place: Workspace, person: str, decision: str, document: Path | None, file: Path
) -> int:
    from engine.governance.packet import parse_cosign  # noqa: PLC0415

    if document is None:
        raise InputError(what="--file needs --document", todo="name the bytes it signs")
    text = ascii_text(document)
    said = parse_cosign(text.encode("ascii"))["decision"]
    if decision and decision != said:
        raise InputError(
            what=f"the document says {said}, not {decision}", where=str(document), todo="look again"
        )
    return _hand_in(place, whoami(place, person, "reviewer"), text, ascii_text(file))


def _hand_in(place: Workspace, person: str, document: str, signature: str) -> int:
    from peakctl.client.client import EngineClient  # noqa: PLC0415

    async def work() -> StateView:
        async with EngineClient(place.socket, person, "reviewer") as client:
            return await client.cosign(document, signature)

    session = run(work()).session
    go = session.go if session is not None else None
    say(f"{go.decision if go else '?'} is recorded; session {session.state if session else '?'}")
    if go is None or go.decision != "GO":
        raise AnswerNo(what=f"the decision is {go.decision if go else 'unknown'}")
    return 0
