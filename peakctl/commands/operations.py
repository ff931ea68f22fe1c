"""`peakctl doctor`, `alarms` and `incident`: keeping it running."""
# ruff: noqa: FBT002  (typer makes options of booleans with defaults)

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from engine.contracts.errors import AnswerNo, InputError
from peakctl.commands.options import (
    JsonOption,
    PersonOption,
    WorkspaceOption,
    own,
    visited,
    whoami,
)
from peakctl.commands.output import say, say_json, table, utc
from peakctl.commands.running import run

if TYPE_CHECKING:
    from engine.contracts.view import AlarmView
    from peakctl.client.replies import QueryResult
    from peakctl.doctor import Finding


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("doctor")(doctor)
    group = typer.Typer(help="What needs a person.")
    group.command("list")(list_)
    group.command("ack")(ack)
    app.add_typer(group, name="alarms")
    app.command("incident")(incident)


def doctor(workspace: WorkspaceOption = None, json: JsonOption = False) -> int:
    """Check everything a session needs; exit 1 when something is wrong."""
    from peakctl.doctor import examine  # noqa: PLC0415

    findings = examine(own(workspace))
    if json:
        say_json([finding.as_row() for finding in findings])
    else:
        say(*table(_row(finding) for finding in findings))
    bad = [finding.name for finding in findings if not finding.ok]
    if bad:
        raise AnswerNo(what=f"not well: {', '.join(bad)}", todo="see the lines above")
    return 0


def _row(finding: Finding) -> tuple[str, str, str, str]:
    todo = "" if finding.ok else finding.todo
    return "✔" if finding.ok else "✖", finding.name, finding.reading, todo


def list_(workspace: WorkspaceOption = None, json: JsonOption = False) -> int:
    """The alarms that are not cleared."""
    from peakctl.client.client import EngineClient  # noqa: PLC0415

    place = visited(workspace)

    async def work() -> tuple[AlarmView, ...]:
        async with EngineClient(place.socket) as client:
            return (await client.state()).alarms

    alarms = run(work())
    if json:
        say_json(alarms)
        return 0
    rows = [
        (one.id, f"P{one.priority}", one.code, utc(one.raised_us), one.acknowledged_by, one.text)
        for one in alarms
    ]
    say(*(table(rows, ("id", "prio", "code", "raised", "taken by", "text")) if rows else ["none"]))
    return 0


def ack(
    alarm_id: Annotated[str, typer.Argument(metavar="ID", help="As `alarms list` has it.")],
    note: Annotated[str, typer.Option(help="What you are doing about it.")] = "",
    workspace: WorkspaceOption = None,
    person: PersonOption = "",
) -> int:
    """Take an alarm."""
    from peakctl.client.client import EngineClient  # noqa: PLC0415

    place = visited(workspace)
    who = whoami(place, person)

    async def work() -> None:
        async with EngineClient(place.socket, who) as client:
            await client.acknowledge(alarm_id, note)

    run(work())
    say(f"{alarm_id} is taken by {who}")
    return 0


_INCIDENTS = """\
SELECT json_extract_string(data, '$.incident_id') AS id, min(ts_us) AS opened_us,
    CASE WHEN bool_or(kind = 'incident.closed') THEN 'closed' ELSE 'open' END AS state,
    max(json_extract_string(data, '$.title')) AS title
FROM events WHERE kind IN ('incident.opened', 'incident.noted', 'incident.closed')
GROUP BY 1 ORDER BY 2"""


def incident(
    text: Annotated[
        str, typer.Argument(metavar="TEXT", help="What happened, in your words; none lists all.")
    ] = "",
    incident_id: Annotated[str, typer.Option("--id", help="An open incident's id.")] = "",
    close: Annotated[bool, typer.Option("--close", help="Close it with this text.")] = False,
    workspace: WorkspaceOption = None,
    person: PersonOption = "",
    json: JsonOption = False,
) -> int:
    """Open an incident, or add to or close the one named with --id; without a text, list them."""
    from peakctl.client.client import EngineClient  # noqa: PLC0415

    if close and not incident_id:
        raise InputError(what="which incident?", where="--id", todo="`peakctl incident` lists them")
    if incident_id and not text:
        raise InputError(what="there is no text", where=incident_id[:40], todo="say what happened")
    place = visited(workspace)
    who = whoami(place, person)

    async def work() -> QueryResult:
        async with EngineClient(place.socket, who) as client:
            if text:
                await client.incident(text, incident_id, close=close)
            return await client.query(_INCIDENTS)

    answer = run(work())
    known = [[str(cell) for cell in row] for row in answer.rows]
    if json:
        say_json([dict(zip(answer.columns, row, strict=True)) for row in answer.rows])
    elif not text:
        rows = [(row[0], row[2], utc(int(row[1])), row[3]) for row in known]
        say(*(table(rows, ("id", "state", "opened", "title")) if rows else ["none"]))
    elif incident_id:
        say(f"{incident_id} is closed" if close else f"{incident_id}: written down")
    else:
        opened = known[-1][0]
        say(f"{opened} is open; close it with: peakctl incident --id {opened} --close TEXT")
    return 0
