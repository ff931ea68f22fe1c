"""`peakctl config`: what is in force, where it comes from, changing it."""
# ruff: noqa: FBT002  (typer makes options of booleans with defaults)

from __future__ import annotations

import os
from collections.abc import Mapping
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from engine.contracts.people import Role
from peakctl.commands import completions
from peakctl.commands.options import (
    JsonOption,
    PersonOption,
    ReasonOption,
    SetOption,
    WorkspaceOption,
    overrides,
    own,
    start_anew,
    visited,
)
from peakctl.commands.output import complain, say, say_json, table

if TYPE_CHECKING:
    from peakctl.workspace import Workspace

KeyArgument = Annotated[
    str,
    typer.Argument(
        metavar="KEY",
        autocompletion=completions.config_keys,
        help="As `config show` has it: limits.max_order_notional.",
    ),
]


class Against(StrEnum):
    """What `config diff` compares with."""

    DEFAULTS = "defaults"
    SESSION = "session"


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="The settings in force, and where each comes from.")
    group.command("show")(show)
    group.command("check")(check)
    group.command("diff")(diff)
    group.command("set")(set_)
    group.command("unset")(unset)
    app.add_typer(group, name="config")


def show(
    workspace: WorkspaceOption = None, settings: SetOption = None, json: JsonOption = False
) -> int:
    """Every key with its value and origin, and the hash that an approval binds."""
    from config.sandbox import READY_FILE, hidden  # noqa: PLC0415
    from config.settings import load  # noqa: PLC0415

    place = visited(workspace)
    effective = load(place.root, os.environ, overrides(settings), visiting=True)
    if hidden(place.root):
        complain(
            f"{READY_FILE} is its owner's alone: the local exchange's addresses are left out, so"
            " the hash is not the one that an approval binds; `peakctl go show` has that"
        )
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


def check(
    workspace: WorkspaceOption = None, settings: SetOption = None, json: JsonOption = False
) -> int:
    """Load everything and say every problem there is, with its file and line; exit 2 for any."""
    from config.settings import load  # noqa: PLC0415
    from engine.contracts.errors import ConfigError  # noqa: PLC0415

    try:
        effective = load(visited(workspace).root, os.environ, overrides(settings), visiting=True)
    except ConfigError as error:
        if not json:
            raise
        say_json({"ok": False, "problems": getattr(error, "problems", (error.line(),))})
        return error.exit_code
    if json:
        say_json({"ok": True, "sha256": effective.sha256, "keys": len(effective.origins)})
    else:
        say(f"config is good: {len(effective.origins)} keys, sha256 {effective.sha256}")
    return 0


def diff(
    session: Annotated[
        str,
        typer.Argument(
            metavar="SESSION",
            autocompletion=completions.sessions,
            help="With --against session: which one.",
        ),
    ] = "",
    against: Annotated[
        Against, typer.Option(help="The environment's defaults, or what a session ran with.")
    ] = Against.DEFAULTS,
    workspace: WorkspaceOption = None,
    settings: SetOption = None,
    json: JsonOption = False,
) -> int:
    """The keys in force that differ from the defaults, or from the last (or a named) session."""
    from config.settings import LOCAL_SANDBOX, defaults, load  # noqa: PLC0415

    place = visited(workspace)
    effective = load(place.root, os.environ, overrides(settings), visiting=True)
    before: Mapping[str, str]
    if session or against is Against.SESSION:
        from peakctl.commands.ledger import require_readable  # noqa: PLC0415
        from peakctl.config_history import config_of_session  # noqa: PLC0415

        require_readable(place.journal)
        named, before = config_of_session(place.journal, session)
    else:
        named, before = "", defaults(effective.settings.environment)
    now = effective.values()
    rows = [
        (key, before.get(key, ""), now.get(key, ""), effective.origins.get(key, ""))
        for key in sorted({*before, *now})
        # What a running local sandbox gives is not configuration.
        if before.get(key, "") != now.get(key, "") != LOCAL_SANDBOX
    ]
    if json:
        fields = ("key", "before", "value", "origin")
        say_json([dict(zip(fields, row, strict=True)) for row in rows])
    elif rows:
        other = f"session {named}" if named else f"defaults of {effective.settings.environment}"
        say(*table(rows, ("key", other, "in force", "origin")))
    else:
        say(f"no key differs from {f'session {named}' if named else 'the defaults'}")
    return 0


def set_(
    key: KeyArgument,
    value: Annotated[str, typer.Argument(metavar="VALUE", help="Plain: 12.50, 60, true, BTCUSDT.")],
    reason: ReasonOption = "",
    person: PersonOption = "",
    workspace: WorkspaceOption = None,
    json: JsonOption = False,
) -> int:
    """Change one key in the workspace's file and journal who, what and why.

    Nothing is written that would not load.
    """
    return _change(own(workspace), key, value, reason, person, json=json)


def unset(
    key: KeyArgument,
    reason: ReasonOption = "",
    person: PersonOption = "",
    workspace: WorkspaceOption = None,
    json: JsonOption = False,
) -> int:
    """Take one key out of the workspace's file, back to its default, and journal it."""
    return _change(own(workspace), key, None, reason, person, json=json)


def _change(
    place: Workspace, key: str, value: str | None, reason: str, person: str, *, json: bool
) -> int:
    from config.edit import is_set  # noqa: PLC0415
    from peakctl.recording import Change, record, who_changes  # noqa: PLC0415

    was_set = is_set(place.root, key)
    made = record(
        place,
        Change(
            route="config/set",
            body={"key": key, "value": value},
            plan=lambda plans: plans.key(key, value),
        ),
        lambda: who_changes(place, person, Role.OPERATOR),
        reason,
    )
    before, after = made.fields["before"], made.fields["after"]
    back = f"set {key} '{before}'" if was_set else f"unset {key}"
    if json:
        say_json({"seq": made.seq, **made.fields})
        return 0
    say(
        f"{key}: {before} -> {after}  (journaled as event {made.seq})",
        f"undo: peakctl config {back} --reason ...",
    )
    if value is not None and after != made.fields["written"]:
        say(f"the file says {made.fields['written']}; another layer stands above it: config show")
    if made.engine:
        say("the running engine keeps what it was started with, and every approval is void")
        say(start_anew(place))
    return 0
