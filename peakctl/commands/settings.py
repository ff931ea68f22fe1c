"""`peakctl config` and `peakctl limits`: what is in force, where it comes from, changing it."""
# ruff: noqa: FBT002  (typer makes options of booleans with defaults)

from __future__ import annotations

import os
from typing import Annotated

import typer

from peakctl.commands.options import (
    JsonOption,
    SetOption,
    WorkspaceOption,
    overrides,
    own,
    visited,
)
from peakctl.commands.output import say, say_json, table


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="The settings in force, and where each comes from.")
    group.command("show")(show)
    group.command("check")(check)
    group.command("diff")(diff)
    group.command("set")(set_)
    app.add_typer(group, name="config")
    app.command("limits")(limits)


def show(
    workspace: WorkspaceOption = None, settings: SetOption = None, json: JsonOption = False
) -> int:
    """Every key with its value and origin, and the hash that an approval binds."""
    from config.settings import load  # noqa: PLC0415

    effective = load(visited(workspace).root, os.environ, overrides(settings))
    if json:
        say_json(
            {
                "sha256": effective.sha256,
                "values": {key: {"value": v, "origin": o} for key, v, o in effective.rows()},
            }
        )
    else:
        say(*table(effective.rows()), f"sha256 {effective.sha256}")
    return 0


def check(workspace: WorkspaceOption = None, settings: SetOption = None) -> int:
    """Load everything and say every problem there is."""
    from config.settings import load  # noqa: PLC0415

    effective = load(visited(workspace).root, os.environ, overrides(settings))
    say(f"config is good: {len(effective.origins)} keys, sha256 {effective.sha256}")
    return 0


def diff(
    workspace: WorkspaceOption = None, settings: SetOption = None, json: JsonOption = False
) -> int:
    """The keys that differ from the environment's defaults."""
    from config.settings import load  # noqa: PLC0415

    root = visited(workspace).root
    effective = load(root, os.environ, overrides(settings))
    changed = [row for row in effective.rows() if not row[2].startswith("defaults/")]
    if json:
        say_json([{"key": key, "value": value, "origin": origin} for key, value, origin in changed])
    else:
        say(*table(changed))
    return 0


def set_(
    key: str, value: Annotated[str, typer.Argument()], workspace: WorkspaceOption = None
) -> int:
    """Change one key in the workspace's file; undone when the whole does not load any more."""
    from config.edit import set_key  # noqa: PLC0415

    effective = set_key(own(workspace).root, key, value, os.environ)
    say(f"{key} = {value}  (sha256 {effective.sha256}; a running engine is voided, restart it)")
    return 0


def limits(workspace: WorkspaceOption = None, json: JsonOption = False) -> int:
    """The ceiling of every charter's limits, as configured."""
    from config.settings import load  # noqa: PLC0415

    effective = load(visited(workspace).root, os.environ)
    rows = [
        (key.removeprefix("limits."), value, origin)
        for key, value, origin in effective.rows()
        if key.startswith("limits.")
    ]
    if json:
        say_json({key: value for key, value, _ in rows})
    else:
        say(*table(rows))
    return 0
