"""`peakctl store`: the queryable copy of the journal: what is in it, asking it, making it again."""
# ruff: noqa: FBT002  (typer makes options of booleans with defaults)

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from engine.contracts.errors import InputError, WorkspaceError
from peakctl.commands import completions
from peakctl.commands.options import (
    JsonOption,
    PersonOption,
    WorkspaceOption,
    own,
    visited,
    whoami,
)
from peakctl.commands.output import answer_rows, complain, named_rows, say, say_json, table
from peakctl.commands.pack_query import PackOption, SignersOption, UnverifiedOption, ask
from peakctl.commands.running import run

if TYPE_CHECKING:
    from peakctl.client.replies import QueryResult


def register(app: typer.Typer) -> None:
    """Add the commands."""
    store = typer.Typer(help="The queryable copy of the journal.")
    store.command("rebuild")(rebuild)
    store.command("query")(query)
    store.command("views")(views)
    app.add_typer(store, name="store")


def views(
    name: Annotated[
        str,
        typer.Argument(
            metavar="VIEW", autocompletion=completions.views, help="One view (default: all)."
        ),
    ] = "",
    json: JsonOption = False,
) -> int:
    """What can be asked of the store: every view's columns with type, unit and meaning."""
    from engine.store.catalogue import TABLES  # noqa: PLC0415

    found = [one for one in TABLES if name in ("", one.name)]
    if not found:
        names = ", ".join(one.name for one in TABLES)
        raise InputError(what=f"no view {name[:40]!r}", where="store", todo=f"there are: {names}")
    if json:
        say_json(found)
        return 0
    for one in found:
        say(f"{one.name}: {one.meaning}")
        rows = ((f"  {it.name}", it.type, it.unit, it.meaning) for it in one.columns)
        say(*table(rows, ("  column", "type", "unit", "meaning")), "")
    return 0


def rebuild(workspace: WorkspaceOption = None) -> int:
    """Make the store again from the journal; no engine may be running."""
    place = own(workspace)
    from engine.journal.writer import Journal  # noqa: PLC0415
    from engine.store.store import Store  # noqa: PLC0415
    from peakctl.supervisor import Supervisor  # noqa: PLC0415

    pid = Supervisor(place).engine_pid()
    if pid is not None:
        raise WorkspaceError(
            what=f"an engine is running (pid {pid})",
            where=str(place.root),
            todo="stop it first; it compares and rebuilds the store at each start by itself",
        )

    async def work() -> tuple[str | None, int, str]:
        journal = Journal.open(
            place.journal, commit_interval_ms=0, segment_lines=100_000, clock_us=_clock_us
        ).journal
        try:
            store = await Store.open(place.store, export_folder=place.market)
            try:
                differs = await store.compare(journal)
                events = await store.rebuild(journal)
                return differs, events, await store.content_sha256()
            finally:
                await store.close()
        finally:
            journal.close()

    differs, events, sha256 = run(work())
    say(
        f"rebuilt {place.store.name} from {events} events",
        f"before: {differs or 'was equal'}",
        f"content: sha256 {sha256}, as of the journal's files one after the other",
    )
    return 0


def _clock_us() -> int:
    import time  # noqa: PLC0415

    return time.time_ns() // 1000


def query(
    sql: Annotated[str, typer.Argument(metavar="SQL", help="One SELECT; see `store views`.")],
    workspace: WorkspaceOption = None,
    person: PersonOption = "",
    pack: PackOption = None,
    unverified: UnverifiedOption = False,
    allowed_signers: SignersOption = None,
    json: JsonOption = False,
) -> int:
    """Ask one read-only SQL question: of the store through the engine, or of a sealed pack."""
    if pack is not None:
        return ask(sql, pack, allowed_signers, verify=not unverified, json=json)
    from peakctl.client.client import EngineClient  # noqa: PLC0415

    place = visited(workspace)

    async def work() -> QueryResult:
        async with EngineClient(place.socket, whoami(place, person)) as client:
            return await client.query(sql)

    result = run(work())
    if json:
        say_json(named_rows(result.columns, result.rows))
    else:
        say(*answer_rows(result.columns, result.rows))
    if result.cut:
        complain(
            f"cut off after {len(result.rows)} rows: there were more {result.cut} than allowed"
        )
    return 0
