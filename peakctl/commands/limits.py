"""`peakctl limits`: what is in force and what makes it so; tightening alone, loosening by two.

Without an engine the limits are those of the config under the first reading of the journal: nothing
is used, and nothing can be changed. Exit codes: 4 when the engine refuses, 5 without one.
"""
# ruff: noqa: FBT002  (typer makes options of booleans with defaults)

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from engine.contracts.documents import Purpose
from engine.contracts.errors import EngineUnreachable
from peakctl.commands import completions, dual_signing
from peakctl.commands.options import (
    JsonOption,
    KeyOption,
    PersonOption,
    ReasonOption,
    WorkspaceOption,
    asker,
    visited,
)
from peakctl.commands.output import say, say_json, table, utc
from peakctl.commands.running import run

if TYPE_CHECKING:
    from engine.contracts.standing import LimitRow, LimitsAnswer
    from peakctl.workspace import Workspace

NameArgument = Annotated[
    str,
    typer.Argument(
        metavar="NAME", autocompletion=completions.limit_names, help="As `peakctl limits` has it."
    ),
]
ValueArgument = Annotated[str, typer.Argument(metavar="VALUE", help="A plain number: 12.50 or 5.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="The limits in force; one person tightens, two loosen.")
    group.callback(invoke_without_command=True)(limits)
    group.command("set")(set_)
    group.command("loosen")(loosen)
    app.add_typer(group, name="limits")


def limits(
    context: typer.Context, workspace: WorkspaceOption = None, json: JsonOption = False
) -> None:
    """Every limit in force, what makes it so, and how much of it is used."""
    if context.invoked_subcommand is not None:
        return
    answer = read_limits(visited(workspace))
    if json:
        say_json(answer)
        return
    sources = ("because of", "used", "config", "step", "charter", "tightened")
    header = ("limit", "in force", "unit", *sources)
    say(
        *table((_row(one) for one in answer.rows), header),
        f"environment {answer.environment or '-'}, ladder step {answer.step}, "
        f"session {answer.session_id or 'none open'}",
    )


def _row(one: LimitRow) -> tuple[str, ...]:
    used = "" if one.used_percent is None else f"{one.used} ({one.used_percent} %)"
    who = f"{one.tightened} by {one.by} {utc(one.at_us)}: {one.reason}" if one.tightened else "-"
    step, charter = one.step or "-", one.charter or "-"
    return one.name, one.value, one.unit, one.origin, used or "-", one.config, step, charter, who


def set_(
    name: NameArgument,
    value: ValueArgument,
    reason: ReasonOption = "",
    workspace: WorkspaceOption = None,
    person: PersonOption = "",
    json: JsonOption = False,
) -> int:
    """Tighten one limit, at once: the next order is judged by it, in every later session too.

    Nothing is voided. To make it wider again takes two people: `limits loosen`.
    """
    from peakctl.client.client import EngineClient  # noqa: PLC0415

    place = visited(workspace)
    who = asker(place, person, reason)

    async def work() -> LimitsAnswer:
        async with EngineClient(place.socket, who) as client:
            await client.tighten_limit(name, value, reason)
            return await client.limits()

    row = next(one for one in run(work()).rows if one.name == name)
    if json:
        say_json(row)
    else:
        say(f"{name}: {row.value} from the next order on ({row.origin})")
    return 0


def loosen(
    name: NameArgument,
    value: ValueArgument,
    reason: ReasonOption = "",
    workspace: WorkspaceOption = None,
    person: PersonOption = "",
    key: KeyOption = None,
) -> int:
    """Ask that a tightened limit be wider again, and sign it; the other one signs then, too."""
    place = visited(workspace)
    who = asker(place, person, reason)
    subject = {"name": name, "value": value}
    return dual_signing.ask_and_sign(place, Purpose.LOOSEN, subject, reason, who, key)


def read_limits(place: Workspace) -> LimitsAnswer:
    """The limits as the engine has them; without one, as config and journal say."""
    from peakctl.client.client import EngineClient  # noqa: PLC0415

    async def work() -> LimitsAnswer:
        async with EngineClient(place.socket) as client:
            return await client.limits()

    try:
        return run(work())
    except EngineUnreachable:
        return _without_engine(place)


def _without_engine(place: Workspace) -> LimitsAnswer:
    import os  # noqa: PLC0415

    from config.ladder import load_ladder  # noqa: PLC0415
    from config.settings import load  # noqa: PLC0415
    from engine.execution.limits.in_force import LimitsInForce  # noqa: PLC0415
    from engine.execution.limits.limit_desk import limits_answer  # noqa: PLC0415
    from peakctl.past import fold_state  # noqa: PLC0415

    settings = load(place.root, os.environ).settings
    steps = load_ladder(place.root, settings.environment)
    state = fold_state(place.journal)
    in_force = LimitsInForce(state, settings.environment, settings.limits.to_limits(), steps)
    return limits_answer(state, in_force, {})
