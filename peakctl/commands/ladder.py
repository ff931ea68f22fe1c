"""`peakctl ladder`: which step of the scaling ladder, what the next asks for, and moving.

Down is one person's act. Up is asked for and signed here, and signed by the other with `peakctl
dual sign`; the engine computes the evidence itself. Exit code 4: something asked for is missing.
"""
# ruff: noqa: FBT002  (typer makes options of booleans with defaults)

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from engine.contracts.documents import Purpose
from peakctl.commands import dual_signing
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
    from collections.abc import Iterable

    from engine.contracts.standing import EvidenceAnswer, EvidenceRow, LadderView
    from peakctl.workspace import Workspace


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="The scaling ladder: down by one person, up by two with evidence.")
    group.command("show")(show)
    group.command("down")(down)
    group.command("up")(up)
    app.add_typer(group, name="ladder")


def show(workspace: WorkspaceOption = None, json: JsonOption = False) -> int:
    """The steps, where this environment stands, what the way up asks for, and what there is."""
    answer = _read(visited(workspace))
    if json:
        say_json(answer)
        return 0
    ladder = answer.ladder
    say(*table(_steps(ladder), ("", "step", "limits that it caps", "")))
    if ladder.cause:
        say(f"since {utc(ladder.since_us)}: {ladder.cause} by {ladder.by}: {ladder.reason}")
    if ladder.next:
        say(f"{ladder.next} asks for:", *table(evidence_rows(ladder.asks)))
    say("live asks for:", *table(evidence_rows(answer.promotion)))
    return 0


def down(
    reason: ReasonOption = "",
    workspace: WorkspaceOption = None,
    person: PersonOption = "",
    json: JsonOption = False,
) -> int:
    """Go one step down, at once; the running session is held to its limits from the next order."""
    from peakctl.client.client import EngineClient  # noqa: PLC0415

    place = visited(workspace)
    who = asker(place, person, reason)

    async def work() -> EvidenceAnswer:
        async with EngineClient(place.socket, who) as client:
            await client.ladder_down(reason)
            return await client.evidence()

    ladder = run(work()).ladder
    if json:
        say_json(ladder)
    else:
        say(f"{ladder.environment} stands on step {ladder.step}, {ladder.name}")
    return 0


def up(
    reason: ReasonOption = "",
    workspace: WorkspaceOption = None,
    person: PersonOption = "",
    key: KeyOption = None,
) -> int:
    """Ask for the next step and sign it; refused while something that it asks for is missing."""
    place = visited(workspace)
    who = asker(place, person, reason)
    return dual_signing.ask_and_sign(place, Purpose.STEP_UP, {}, reason, who, key)


def evidence_rows(rows: Iterable[EvidenceRow]) -> list[tuple[str, ...]]:
    """What is asked for and what there is, as cells of a table."""
    return [
        (
            "  ✔" if row.met else "  ✖",
            row.text,
            "not known" if row.have is None else str(row.have),
            f"{row.bound} {row.need}",
        )
        for row in rows
    ]


def _steps(ladder: LadderView) -> list[tuple[str, ...]]:
    return [
        (
            "->" if number == ladder.step else "",
            f"{number} {one.name}",
            ", ".join(f"{name} {value}" for name, value in one.limits.items()) or "-",
            one.text,
        )
        for number, one in enumerate(ladder.steps)
    ]


def _read(place: Workspace) -> EvidenceAnswer:
    from peakctl.client.client import EngineClient  # noqa: PLC0415

    async def work() -> EvidenceAnswer:
        async with EngineClient(place.socket) as client:
            return await client.evidence()

    return run(work())
