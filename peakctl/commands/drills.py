"""`peakctl drill`: rehearsed failures, each on a desk and an exchange of its own, measured."""
# ruff: noqa: FBT002  (typer makes options of booleans with defaults)

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from engine.contracts.errors import AnswerNo, InputError
from peakctl.commands.options import JsonOption, WorkspaceOption, visited
from peakctl.commands.output import say, say_json, table
from peakctl.commands.running import run

if TYPE_CHECKING:
    from engine.ops.drills import DrillResult, Judged


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="Rehearse a failure and measure it; your own desk is not touched.")
    group.command("list")(list_)
    group.command("run")(run_)
    app.add_typer(group, name="drill")


def _names() -> list[str]:
    from peakctl.drills.run import DRILLS  # noqa: PLC0415

    return [one.name for one in DRILLS]


def list_(workspace: WorkspaceOption = None, json: JsonOption = False) -> int:
    """The drills and what each must reach."""
    from config.drills import load_criteria  # noqa: PLC0415
    from peakctl.drills.run import DRILLS  # noqa: PLC0415

    criteria = load_criteria(visited(workspace).root if workspace else None)
    if json:
        rows = [
            {
                "name": one.name,
                "about": one.about,
                "criteria": {row.measure: row.text for row in criteria[one.name]},
            }
            for one in DRILLS
        ]
        say_json(rows)
        return 0
    for one in DRILLS:
        say(f"{one.name}: {one.about}")
        say(*table((f"  {row.measure}", row.text) for row in criteria[one.name]))
    return 0


def run_(
    name: Annotated[str, typer.Argument(autocompletion=_names, help="One of `drill list`.")],
    workspace: WorkspaceOption = None,
    json: JsonOption = False,
) -> int:
    """Run one drill; exit 1 when it did not reach what it must."""
    from config.drills import load_criteria  # noqa: PLC0415
    from peakctl.drills.run import DRILLS, run_drill  # noqa: PLC0415

    drill = next((one for one in DRILLS if one.name == name), None)
    if drill is None:
        raise InputError(
            what=f"no drill {name[:40]!r}", where="drill", todo=f"one of {', '.join(_names())}"
        )
    criteria = load_criteria(visited(workspace).root if workspace else None)
    result = run(run_drill(drill, criteria[name]))
    if json:
        say_json(_document(result))
    else:
        say(*table(_row(row) for row in result.rows))
        say(f"{name}: {'passed' if result.passed else 'FAILED'}")
    if not result.passed:
        raise AnswerNo(what=_reason(result), where=f"drill {name}", todo="do not trade on this")
    return 0


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
