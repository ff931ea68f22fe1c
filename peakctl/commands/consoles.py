"""`peakctl`, `peakctl review` and `peakctl demo`: the commands that open a screen."""
# ruff: noqa: FBT002  (typer makes options of booleans with defaults)

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from engine.contracts.errors import InputError, WorkspaceError
from peakctl.commands.options import (
    KeyOption,
    PersonOption,
    WorkspaceOption,
    key_of,
    overrides,
    own,
    visited,
    whoami,
)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("review")(review)
    app.command("demo")(demo)


def open_console(
    workspace: Path | None, person: str, key: Path | None, settings: list[str] | None
) -> int:
    """Start what is missing and open the operator's console. Returns the exit code."""
    from peakctl.supervisor import Supervisor  # noqa: PLC0415

    place = own(workspace)
    _need_terminal("peakctl status", "peakctl demo --headless")
    who = whoami(place, person, "operator")
    signing_key = key_of(place, key, "operator")
    Supervisor(place, overrides(settings)).ensure_engine()
    from peakctl.app import run_console  # noqa: PLC0415

    return run_console(place.root, who, signing_key, None, overrides(settings))


def review(
    workspace: WorkspaceOption = None, person: PersonOption = "", key: KeyOption = None
) -> int:
    """The reviewer's console, in a terminal and process of their own."""
    place = visited(workspace)
    _need_terminal("peakctl go show", "peakctl cosign")
    who = whoami(place, person, "reviewer")
    signing_key = key_of(place, key, "reviewer")
    from peakctl.app import run_review  # noqa: PLC0415

    return run_review(place.root, who, signing_key)


def demo(
    headless: Annotated[
        bool, typer.Option("--headless", help="Drive a whole session without a screen.")
    ] = False,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the sandbox's order flow.")] = 1,
    replay: Annotated[
        Path | None, typer.Option(help="Drive the market from a raw recording.")
    ] = None,
    workspace: Annotated[
        Path | None, typer.Option("--workspace", "-w", help="Use this new folder, and keep it.")
    ] = None,
) -> int:
    """A throw-away workspace with two demo identities and the sandbox as its venue."""
    if replay is not None and not replay.is_file():
        raise WorkspaceError(what="no such recording", where=str(replay), todo="name a file")
    from peakctl.demo import run_demo, run_headless  # noqa: PLC0415

    if headless or not (sys.stdin.isatty() and sys.stdout.isatty()):
        return run_headless(seed=seed, replay=replay, folder=workspace)
    return run_demo(seed=seed, replay=replay, folder=workspace)


def _need_terminal(*instead: str) -> None:
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        commands = " or ".join(f"`{command}`" for command in instead)
        raise InputError(what="the console needs a terminal", todo=f"without one use {commands}")
