"""`peakctl init`, `engine` and `sandbox`: making a workspace and running its processes."""
# ruff: noqa: FBT002  (typer makes options of booleans with defaults)

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Annotated

import typer

from engine.contracts.errors import InputError
from engine.contracts.session import Environment
from peakctl.commands import completions
from peakctl.commands.options import SetOption, WorkspaceOption, overrides, own
from peakctl.commands.output import say


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("init")(init)
    app.command("engine")(engine)
    app.command("sandbox")(sandbox)


def init(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="It must not exist yet.")],
    environment: Annotated[
        Environment, typer.Option(help="What the workspace may touch.")
    ] = Environment.DEV,
) -> int:
    """Make a workspace in a new folder."""
    from peakctl import founding  # noqa: PLC0415

    workspace = founding.init(folder, environment)
    say(
        f"made {workspace.root} (environment {environment.value})",
        "next: `peakctl people add` for the operator and the reviewer,",
        f"then `peakctl doctor --workspace {workspace.root}`",
    )
    return 0


def engine(workspace: WorkspaceOption = None, settings: SetOption = None) -> int:
    """Run the workspace's engine in the foreground; the console starts it by itself."""
    place = own(workspace)
    from engine.serving import main  # noqa: PLC0415

    return main(place.root, place.socket, overrides(settings))


def sandbox(
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 picks a free port.")] = 0,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the order flow.")] = 1,
    speed: Annotated[str, typer.Option(help="A replay's speed, in times of real time.")] = "1",
    symbol: Annotated[str, typer.Option(help="The one symbol that trades.")] = "BTCUSDT",
    replay: Annotated[
        Path | None, typer.Option(help="Drive the market from a raw recording.")
    ] = None,
    scenario: Annotated[
        str | None,
        typer.Option(
            autocompletion=completions.scenarios,
            help="A scenario by name, or a TOML file of your own.",
        ),
    ] = None,
    control: Annotated[
        bool, typer.Option("--control", help="Open the fault switches, for drills and tests.")
    ] = False,
) -> int:
    """Run the local exchange; prints one JSON line when it is ready."""
    try:
        times = Decimal(speed)
    except InvalidOperation as error:
        raise InputError(what=f"{speed[:20]!r} is no number", where="--speed") from error
    if not times.is_finite() or not 0 < times <= 1000:
        raise InputError(what=f"{speed[:20]!r} is not between 0 and 1000", where="--speed")
    from config.scenarios import read_scenario  # noqa: PLC0415
    from engine.sandbox.scenario import parse_scenario  # noqa: PLC0415
    from engine.sandbox.server import SandboxOptions, run  # noqa: PLC0415

    return run(
        SandboxOptions(
            port=port,
            seed=seed,
            symbol=symbol,
            replay=replay,
            speed=float(times),
            control=control,
            scenario=None if scenario is None else parse_scenario(*read_scenario(scenario)),
        )
    )
