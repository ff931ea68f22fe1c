"""`peakctl drill`: rehearsed failures, each on a desk and an exchange of its own, measured.

In a workspace the result is evidence: the engine judges it anew over the journal that the drill
left, and records it. Without an engine the command says that it did not, and `drill record` hands
it in later. Exit code 1: the drill did not reach what it must, or the engine does not pass it.
"""
# ruff: noqa: FBT002  (typer makes options of booleans with defaults)

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from engine.contracts.errors import AnswerNo, EngineUnreachable, InputError, WorkspaceError
from peakctl.commands.options import JsonOption, PersonOption, WorkspaceOption, visited, whoami
from peakctl.commands.output import say, say_json, table, utc
from peakctl.commands.running import leave_in_order, run

if TYPE_CHECKING:
    from pathlib import Path

    from engine.contracts.standing import DrillView, EvidenceAnswer
    from engine.ops.drills import DrillResult, Judged
    from peakctl.workspace import Workspace

_HOUR_S, _DAY_S = 3_600, 86_400


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="Rehearse a failure and measure it; your own desk is not touched.")
    group.command("list")(list_)
    group.command("run")(run_)
    group.command("record")(record)
    app.add_typer(group, name="drill")


def _names() -> list[str]:
    from peakctl.drills.run import DRILLS  # noqa: PLC0415

    return [one.name for one in DRILLS]


def list_(workspace: WorkspaceOption = None, json: JsonOption = False) -> int:
    """The drills, what each must reach, its last result, and whether that still counts."""
    from config.drills import load_criteria  # noqa: PLC0415
    from peakctl.drills.run import DRILLS  # noqa: PLC0415

    place = _workspace(workspace)
    criteria = load_criteria(place.root if place else None)
    last = {} if place is None else {one.name: one for one in _evidence(place)}
    if json:
        rows = [
            {
                "name": one.name,
                "about": one.about,
                "criteria": {row.measure: row.text for row in criteria[one.name]},
                "last": last.get(one.name),
            }
            for one in DRILLS
        ]
        say_json(rows)
        return 0
    for one in DRILLS:
        say(f"{one.name}: {one.about}")
        say(*table((f"  {row.measure}", row.text) for row in criteria[one.name]))
        if one.name in last:
            say(f"  {_last(last[one.name])}")
    if place is not None and not last:
        say("last results: not known, no engine answers")
    return 0


def run_(
    name: Annotated[
        str, typer.Argument(metavar="NAME", autocompletion=_names, help="One of `drill list`.")
    ],
    workspace: WorkspaceOption = None,
    person: PersonOption = "",
    json: JsonOption = False,
) -> int:
    """Run one drill, and record it as evidence in a workspace; exit 1 when it failed."""
    from config.drills import load_criteria  # noqa: PLC0415
    from peakctl.drills.kept import keep_result, new_drill  # noqa: PLC0415
    from peakctl.drills.run import DRILLS, run_drill  # noqa: PLC0415

    drill = next((one for one in DRILLS if one.name == name), None)
    if drill is None:
        raise InputError(
            what=f"no drill {name[:40]!r}", where="drill", todo=f"one of {', '.join(_names())}"
        )
    place = _workspace(workspace)
    who = "" if place is None else whoami(place, person)
    criteria = load_criteria(place.root if place else None)
    drill_id, folder = ("", None) if place is None else new_drill(place)
    leave_in_order()  # it has an engine and an exchange of its own
    result = run(run_drill(drill, criteria[name], keep=folder))
    recorded, fault = None, "there is no workspace here"
    if place is not None and folder is not None:
        keep_result(folder, result)
        recorded, fault = _hand_in(place, who, drill_id)
    _tell(result, recorded, fault, folder, json=json)
    if not result.passed:
        raise AnswerNo(what=_reason(result), where=f"drill {name}", todo="do not trade on this")
    if recorded is not None and not recorded.passed:
        raise AnswerNo(
            what=f"the engine does not pass it: {recorded.fault or recorded.why_not}",
            where=f"drill {name}",
            todo="do not trade on this",
        )
    return 0


def record(
    drill_id: Annotated[str, typer.Argument(metavar="ID", help="As `drill run` told it.")],
    workspace: WorkspaceOption = None,
    person: PersonOption = "",
    json: JsonOption = False,
) -> int:
    """Hand in a drill that ran while no engine did."""
    from peakctl.drills.kept import hand_in  # noqa: PLC0415

    place = visited(workspace)
    view = run(hand_in(place, whoami(place, person), drill_id))
    if json:
        say_json(view)
    else:
        say(f"{view.name}: {_last(view)}")
    if not view.counts:
        raise AnswerNo(what=view.why_not, where=f"drill {view.name}", todo="run it again")
    return 0


def _workspace(path: Path | None) -> Workspace | None:
    """The workspace that asks, if there is one: a drill needs none."""
    try:
        return visited(path)
    except WorkspaceError:
        if path is not None:
            raise
        return None


def _evidence(place: Workspace) -> tuple[DrillView, ...]:
    """The last results as the engine has them; none when no engine answers."""
    from peakctl.client.client import EngineClient  # noqa: PLC0415

    async def work() -> EvidenceAnswer:
        async with EngineClient(place.socket) as client:
            return await client.evidence()

    try:
        return run(work()).drills
    except EngineUnreachable:
        return ()


def _hand_in(place: Workspace, who: str, drill_id: str) -> tuple[DrillView | None, str]:
    from peakctl.drills.kept import hand_in  # noqa: PLC0415

    try:
        return run(hand_in(place, who, drill_id)), ""
    except EngineUnreachable as error:
        return None, f"{error.what}; {error.todo}"


def _tell(
    result: DrillResult,
    recorded: DrillView | None,
    fault: str,
    folder: Path | None,
    *,
    json: bool,
) -> None:
    if json:
        say_json({**_document(result), "recorded": recorded, "not_recorded": fault})
        return
    say(*table(_row(row) for row in result.rows))
    say(f"{result.name}: {'passed' if result.passed else 'FAILED'}")
    if recorded is None:
        say(f"NOT recorded as evidence: {fault}")
    else:
        say(f"recorded as drill {recorded.drill_id}; {_last(recorded)}")
    if folder is not None:
        say(f"its journal: {folder}")


def _last(view: DrillView) -> str:
    """The last result in one line."""
    if view.passed is None:
        return "last: never run, does NOT count"
    word = "passed" if view.passed else "FAILED"
    counts = "counts" if view.counts else f"does NOT count: {view.why_not}"
    return f"last: {word} {utc(view.ended_us)}, {_age(view.age_seconds)} ago; {counts}"


def _age(seconds: int | None) -> str:
    if seconds is None:
        return "an unknown time"
    if seconds < _HOUR_S:
        return f"{seconds // 60} min"
    return f"{seconds // _HOUR_S} h" if seconds < 2 * _DAY_S else f"{seconds // _DAY_S} days"


def _row(row: Judged) -> tuple[str, str, str, str]:
    measured = "not measured" if row.measured is None else str(row.measured)
    return "✔" if row.passed else "✖", row.measure, measured, row.bound


def _document(result: DrillResult) -> dict[str, object]:
    return {
        "name": result.name,
        "passed": result.passed,
        "fault": result.fault,
        "measures": [
            {
                "measure": row.measure,
                "measured": row.measured,
                "bound": row.bound,
                "passed": row.passed,
            }
            for row in result.rows
        ],
    }


def _reason(result: DrillResult) -> str:
    missed = ", ".join(row.measure for row in result.rows if not row.passed)
    return f"not reached: {missed}" + (f" ({result.fault})" if result.fault else "")
