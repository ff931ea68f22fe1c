"""`peakctl status`, `snapshot`, `recon`, `pack`: a session from any terminal."""
# ruff: noqa: FBT002  (typer makes options of booleans with defaults)

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from engine.contracts.errors import AnswerNo
from peakctl.commands import completions
from peakctl.commands.options import (
    JsonOption,
    PersonOption,
    WorkspaceOption,
    visited,
    whoami,
)
from peakctl.commands.output import say, say_json, table, utc
from peakctl.commands.running import run

if TYPE_CHECKING:
    from engine.contracts.view import ReconWatchView, StateView
    from engine.governance.session import ReconState
    from peakctl.workspace import Workspace


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("status")(status)
    app.command("snapshot")(snapshot)
    app.command("recon")(recon)


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
    engine, session, venue, kill = view.engine, view.session, view.venue, view.kill
    rows = [
        ("engine", f"{engine.phase}, pid {engine.pid}, {engine.environment}, {engine.workspace}"),
        ("journal", f"{engine.events} events, head {engine.head[:16]}"),
        # An open latch has no reason; that of the last kill would read as one.
        ("kill", kill.state if kill.state == "READY" else f"{kill.state} {kill.reason}"),
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


def recon(
    session_id: Annotated[
        str,
        typer.Argument(
            metavar="SESSION",
            autocompletion=completions.sessions,
            help="Its id (default: the newest).",
        ),
    ] = "",
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
