"""The `peakctl` command: DESIGN section 8's table of commands, exit codes and errors.

Exit codes: 0 done, 1 the answer is no, 2 wrong use or bad config, 3 not proven, 4 refused, 5 no
engine. An error is one line on standard error; tracebacks come with --debug only. Commands import
their rooms when they run, so that `peakctl --help` and the first paint are quick.
"""
# ruff: noqa: FBT002  (typer makes options of booleans with defaults)

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from engine.contracts.errors import InputError
from engine.unseen import keep_memory
from peakctl.commands import (
    approval,
    consoles,
    drills,
    dual,
    evidence,
    gates,
    jobs,
    ladder,
    latch,
    ledger,
    lifecycle,
    limits,
    operations,
    orphans,
    packs,
    processes,
    risk,
    roster,
    settings,
    stop,
    store,
)
from peakctl.commands.options import KeyOption, PersonOption, SetOption, WorkspaceOption
from peakctl.commands.running import guarded

app = typer.Typer(
    name="peakctl",
    help="The operator's console of Peak_Trade: one controlled trading session, charter to pack.",
    no_args_is_help=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

for module in (
    consoles,
    processes,
    stop,
    latch,
    dual,
    lifecycle,
    approval,
    ledger,
    store,
    evidence,
    gates,
    operations,
    orphans,
    packs,
    risk,
    drills,
    jobs,
    limits,
    ladder,
    settings,
    roster,
):
    module.register(app)


def _version(wanted: bool) -> None:  # noqa: FBT001  (typer's callback)
    if wanted:
        from importlib.metadata import version  # noqa: PLC0415

        typer.echo(f"peakctl {version('peakctl')}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def console(
    context: typer.Context,
    workspace: WorkspaceOption = None,
    person: PersonOption = "",
    key: KeyOption = None,
    settings_: SetOption = None,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Say the version.")
    ] = False,
) -> None:
    """The operator's console. Without a command it opens the console of the workspace."""
    if version:
        return
    if context.invoked_subcommand is None:
        raise typer.Exit(consoles.open_console(workspace, person, key, settings_))
    if settings_:
        raise InputError(what="--set goes behind the command", where=context.invoked_subcommand)
    named = {"PEAKCTL_WORKSPACE": workspace, "PEAKCTL_PERSON": person, "PEAKCTL_KEY": key}
    os.environ.update({name: str(value) for name, value in named.items() if value})


def main() -> int:
    """Run the command line. Returns the exit code."""
    keep_memory()
    debug = "--debug" in sys.argv or bool(os.environ.get("PEAKCTL_DEBUG"))
    arguments = [argument for argument in sys.argv[1:] if argument != "--debug"]
    return guarded(lambda: _run(arguments), debug=debug)


def _run(arguments: list[str]) -> int:
    from typer.exceptions import Abort, Exit, TyperException  # noqa: PLC0415

    command = typer.main.get_command(app)
    try:
        result = command.main(args=arguments, prog_name="peakctl", standalone_mode=False)
    except TyperException as error:
        context = getattr(error, "ctx", None)
        command_line = context.command_path if context is not None else "peakctl"
        raise InputError(
            what=error.format_message().strip().rstrip("."), todo=f"see `{command_line} --help`"
        ) from error
    except Exit as error:
        return error.exit_code
    except Abort as error:
        raise KeyboardInterrupt from error
    return result if isinstance(result, int) else 0


if __name__ == "__main__":
    sys.exit(main())
