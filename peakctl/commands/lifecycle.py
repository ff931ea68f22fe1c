"""`peakctl status`, `snapshot`, `go`, `cosign`, `recon`, `pack`: a session from any terminal."""
# ruff: noqa: FBT002  (typer makes options of booleans with defaults)

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

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
    from engine.contracts.view import GoView, ReconWatchView, StateView
    from engine.governance.session import ReconState
    from peakctl.workspace import Workspace


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("status")(status)
    app.command("snapshot")(snapshot)
    group = typer.Typer(help="The go/no-go packet.")
    group.command("show")(show)
    group.command("export")(export)
    app.add_typer(group, name="go")
    app.command("cosign")(cosign)
    app.command("recon")(recon)
    app.command("pack")(pack)


async def _state(place: Workspace, role: str = "operator") -> StateView:
    from peakctl.client.client import EngineClient  # noqa: PLC0415

    async with EngineClient(place.socket, role=role) as client:
        return await client.state()


def status(workspace: WorkspaceOption = None, json: JsonOption = False) -> int:
    """How everything stands now."""
    view = run(_state(visited(workspace)))
    if json:
        say_json(view)
    else:
        say(*table(_status_rows(view)))
    return 0


def _status_rows(view: StateView) -> list[tuple[str, str]]:
    engine, session, venue = view.engine, view.session, view.venue
    rows = [
        ("engine", f"{engine.phase}, pid {engine.pid}, {engine.environment}, {engine.workspace}"),
        ("journal", f"{engine.events} events, head {engine.head[:16]}"),
        ("kill", f"{view.kill.state} {view.kill.reason}".strip()),
        ("attended", "yes" if engine.attended else "NO"),
    ]
    if venue is not None:
        link = "connected" if venue.connected else "NOT CONNECTED"
        rows.append(("venue", f"{venue.name} {link}"))
        rows += [
            (f"  {stream.name}", f"{'up' if stream.connected else 'DOWN'}, {_age(stream.age_ms)}")
            for stream in venue.streams
        ]
    if session is not None:
        rows.append(
            ("session", f"{session.id} {session.state.value} since {utc(session.since_us)}")
        )
    rows += [
        (f"order {order.intent.client_order_id}", f"{order.state.value} {order.reason}".strip())
        for order in view.orders
    ]
    rows += [(f"position {one.symbol}", f"{one.quantity}") for one in view.positions]
    rows.append(("reconciled", _watch_line(view.recon_watch)))
    rows += [
        (f"  {one.klass} {one.code}", f"{one.key}, {one.age_ms // 1000} s old: {one.cause}")
        for one in view.recon_watch.breaks
    ]
    rows += [
        (f"ORPHAN {one.client_order_id}", f"{one.symbol} {one.side} {one.quantity}, {one.state}")
        for one in view.orphans
        if one.state in {"open", "cancel_requested"}
    ]
    rows += [(f"alarm {one.id}", f"P{one.priority} {one.code}: {one.text}") for one in view.alarms]
    rows.append(("next", view.next_step))
    return rows


def _watch_line(watch: ReconWatchView) -> str:
    """State and age of the continuous reconciliation; what is not known is said so."""
    age = "" if watch.age_ms is None else f", last {watch.age_ms // 1000} s ago ({watch.moment})"
    counts = ", ".join(f"{count} {what}" for what, count in watch.compared.items())
    return " ".join(f"{watch.state}{age} {counts} {watch.reason}".split())


def _age(age_ms: int | None) -> str:
    return "age unknown" if age_ms is None else f"{age_ms} ms old"


def snapshot(
    workspace: WorkspaceOption = None, person: PersonOption = "", json: JsonOption = False
) -> int:
    """Write the whole state to a file and its hash to the journal."""
    from peakctl.client.client import EngineClient  # noqa: PLC0415

    place = visited(workspace)

    async def work() -> tuple[str, str]:
        async with EngineClient(place.socket, whoami(place, person)) as client:
            taken = await client.snapshot()
            return taken.file, taken.sha256

    file, sha256 = run(work())
    if json:
        say_json({"file": file, "sha256": sha256})
    else:
        say(f"{sha256}  {file}")
    return 0


def _packet(place: Workspace) -> GoView:
    """The packet that is open now. Raises Refused."""
    view = run(_state(place, "reviewer"))
    if view.session is None or not view.session.go.packet:
        raise Refused(what="there is no packet", todo="the operator asks for go first")
    return view.session.go


def show(workspace: WorkspaceOption = None, json: JsonOption = False) -> int:
    """The packet, rendered from its bytes as they arrived here, with the hash made here."""
    from engine.contracts.canonical import sha256_hex  # noqa: PLC0415
    from engine.governance.packet import packet_lines, parse_packet, short_code  # noqa: PLC0415

    go = _packet(visited(workspace))
    content = go.packet.encode("ascii")
    packet, digest = parse_packet(content), sha256_hex(content)
    if json:
        say_json({"stage": go.stage, "sha256": digest, "packet": packet})
        return 0
    say(
        *table(packet_lines(packet)),
        f"sha256 {digest}",
        f"code   {short_code(digest)}",
        f"stage  {go.stage}, expires {utc(go.expires_us)}",
    )
    return 0


def export(
    file: Annotated[Path, typer.Argument(help="Where to write go.json.")],
    workspace: WorkspaceOption = None,
) -> int:
    """Write the packet's exact bytes, to be looked at or signed elsewhere."""
    from engine.contracts.canonical import sha256_hex  # noqa: PLC0415

    content = _packet(visited(workspace)).packet.encode("ascii")
    write_new(file, content)
    say(f"{sha256_hex(content)}  {file}")
    return 0


def cosign(
    decision: Annotated[str, typer.Option(help="GO or NO-GO.")],
    reason: Annotated[str, typer.Option(help="A NO-GO needs one.")] = "",
    code: Annotated[str, typer.Option(help="The four words, as the operator reads them.")] = "",
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
    """Decide on the packet as the reviewer: GO or NO-GO, signed.

    To sign elsewhere: `--document cosign.json` writes the exact bytes; sign them in namespace
    peakctl-cosign-v1@peak-trade.example, then hand both in with `--document` and `--file`.
    """
    from peakctl.ceremony import cosign_document  # noqa: PLC0415
    from peakctl.signing import Signer  # noqa: PLC0415

    if decision not in {"GO", "NO-GO"}:
        raise InputError(
            what=f"{decision[:20]!r} is no decision", where="--decision", todo="say GO or NO-GO"
        )
    place = visited(workspace)
    who = whoami(place, person, "reviewer")
    if file is not None:
        if document is None:
            raise InputError(what="--file needs --document", todo="name the bytes it signs")
        return _hand_in(place, who, ascii_text(document), ascii_text(file))
    packet = _packet(place).packet
    text = cosign_document(
        packet=packet, decision=decision, reason=reason, typed_code=code or _typed_code()
    )
    if document is not None:
        write_new(document, text.encode("ascii"))
        say(f"wrote {document}; sign it in namespace {Namespace.COSIGN.value}")
        return 0
    signer = Signer(key_of(place, key, "reviewer"))
    return _hand_in(place, who, text, signer.sign(text.encode("ascii"), Namespace.COSIGN))


def _typed_code() -> str:
    """Ask for the short code on the terminal. Raises InputError where there is none."""
    if not sys.stdin.isatty():
        raise InputError(what="the short code is missing", todo="give it with --code")
    return str(typer.prompt("short code, as the operator reads it out"))


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


def recon(
    session_id: Annotated[str, typer.Argument(metavar="[SESSION]")] = "",
    watch: Annotated[
        bool, typer.Option("--watch", help="The continuous one of the running session instead.")
    ] = False,
    workspace: WorkspaceOption = None,
    json: JsonOption = False,
) -> int:
    """The last reconciliation of a session; exit 1 while it has red breaks."""
    if watch:
        return _recon_watch(visited(workspace), json=json)
    from peakctl.commands.ledger import fold_sessions, session_of  # noqa: PLC0415

    session = session_of(fold_sessions(visited(workspace).journal), session_id)
    found = session.recon
    if found is None:
        raise AnswerNo(what="not reconciled yet", where=session.id, todo="stop and reconcile first")
    if json:
        sys.stdout.write(found.report)
    else:
        counts = ", ".join(f"{count} {klass}" for klass, count in found.breaks.items()) or "none"
        say(
            f"run {found.run_id} at {utc(found.at_us)}, report {found.sha256}",
            f"compared {', '.join(f'{n} {what}' for what, n in found.compared.items())}",
            f"breaks: {counts}; answered {len(found.answers)}; signed {', '.join(found.signed_by)}",
            *_break_lines(found),
        )
    if found.breaks.get("red", 0):
        raise AnswerNo(what=f"{found.breaks['red']} red breaks", where=session.id)
    return 0


def _recon_watch(place: Workspace, *, json: bool) -> int:
    """What the last run of the continuous reconciliation knows. Raises AnswerNo for red breaks."""
    seen = run(_state(place)).recon_watch
    if json:
        say_json(seen)
    else:
        header = ("code", "class", "age", "runs", "owner", "what", "cause", "likely")
        rows = [
            (
                one.code,
                one.klass,
                f"{one.age_ms // 1000} s",
                str(one.runs),
                one.owner or "nobody",
                one.key,
                one.cause,
                one.likely,
            )
            for one in seen.breaks
        ]
        say(_watch_line(seen), *(table(rows, header) if rows else []))
    red = sum(one.klass == "red" for one in seen.breaks)
    if red:
        raise AnswerNo(what=f"{red} red breaks", where="continuous reconciliation")
    return 0


def _break_lines(found: ReconState) -> list[str]:
    """Each break of the report: class, age, owner, what differs and what likely lies behind it."""
    from engine.reconcile.report import Report  # noqa: PLC0415

    report = Report.from_document(found.report.encode())
    header = ("id", "class", "age", "owner", "what", "cause", "likely", "answer")
    rows = [
        (
            one.id,
            one.klass,
            f"{report.age_us(one) / 1_000_000:.0f} s",
            one.owner or "nobody",
            one.key,
            one.cause,
            one.likely,
            found.answers.get(one.id, ""),
        )
        for one in report.breaks
    ]
    return list(table(rows, header)) if rows else []


def pack(
    session_id: Annotated[str, typer.Argument(metavar="[SESSION]")] = "",
    workspace: WorkspaceOption = None,
    json: JsonOption = False,
) -> int:
    """Where a session's pack is, and whether it is sealed; exit 1 while it is not."""
    from peakctl.commands.ledger import fold_sessions, session_of  # noqa: PLC0415

    place = visited(workspace)
    session = session_of(fold_sessions(place.journal), session_id)
    found = session.pack
    if found is None:
        raise AnswerNo(what="no pack yet", where=session.id, todo="write it after reconciling")
    folder = place.sessions / Path(found.folder).name
    if json:
        say_json(
            {
                "stage": found.stage,
                "folder": str(folder),
                "tagmanifest_sha256": found.tagmanifest_sha256,
                "signed_by": found.signed_by,
            }
        )
    else:
        say(f"{found.stage}  {folder}", f"tag manifest {found.tagmanifest_sha256}")
    if found.stage != "sealed":
        raise AnswerNo(what=f"the pack is {found.stage}", where=session.id, todo="both must sign")
    return 0
