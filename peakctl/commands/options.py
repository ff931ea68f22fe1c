"""Options that many commands share, and what they stand for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from engine.contracts.errors import InputError
from engine.contracts.toml_text import load_toml

if TYPE_CHECKING:
    from engine.governance.people import Roster
    from peakctl.workspace import Workspace

WorkspaceOption = Annotated[
    Path | None,
    typer.Option(
        "--workspace", "-w", envvar="PEAKCTL_WORKSPACE", help="The workspace (default: here)."
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, and only JSON.")]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="A setting for this run; may only tighten."),
]
ReasonOption = Annotated[str, typer.Option("--reason", help="Why (needed); goes into the record.")]
PersonOption = Annotated[
    str, typer.Option("--person", envvar="PEAKCTL_PERSON", help="Your id in config/people.toml.")
]
KeyOption = Annotated[
    Path | None,
    typer.Option("--key", envvar="PEAKCTL_KEY", help="Your SSH key, or its .pub with an agent."),
]


def own(path: Path | None) -> Workspace:
    """The workspace to run: named, or the one we are in. Raises WorkspaceError."""
    from peakctl.workspace import Workspace, find  # noqa: PLC0415

    return Workspace.open(path if path is not None else find(Path.cwd()))


def visited(path: Path | None) -> Workspace:
    """The workspace to look at or join; may be another user's."""
    from peakctl.workspace import Workspace, find  # noqa: PLC0415

    return Workspace.visit(path if path is not None else find(Path.cwd()))


def overrides(pairs: list[str] | None) -> dict[str, str]:
    """`KEY=VALUE` options as a mapping. Raises InputError."""
    found: dict[str, str] = {}
    for pair in pairs or ():
        key, sign, value = pair.partition("=")
        if not sign or not key:
            raise InputError(what=f"{pair[:60]!r} is not KEY=VALUE", where="--set")
        found[key.strip()] = value
    return found


def roster_of(workspace: Workspace) -> Roster:
    """The roster of a workspace. Raises ConfigError."""
    import tomllib  # noqa: PLC0415

    from engine.contracts.errors import ConfigError  # noqa: PLC0415
    from engine.governance.people import parse_roster  # noqa: PLC0415
    from engine.plain_file import read_plain_text  # noqa: PLC0415

    where = str(workspace.people_file)
    try:
        document = load_toml(read_plain_text(workspace.people_file))
    except OSError as error:
        raise ConfigError(what=f"cannot be read ({error.strerror})", where=where) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(what=f"not TOML ({error})", where=where) from error
    return parse_roster(document, where=where)


def whoami(workspace: Workspace, person: str, role: str = "") -> str:
    """The id of the person who runs this: named, or the only one that this Unix user can be.

    Raises InputError naming the possible ones.
    """
    import os  # noqa: PLC0415

    people = [
        someone
        for someone in roster_of(workspace).people
        if (not role or someone.role.value == role) and someone.uid in {None, os.getuid()}
    ]
    ids = [someone.id for someone in people]
    if person:
        if person not in ids:
            allowed = ", ".join(ids) or "nobody"
            raise InputError(
                what=f"{person!r} is not {'a ' + role if role else 'one'} this user can be",
                where="--person",
                todo=f"allowed here: {allowed}",
            )
        return person
    if len(ids) == 1:
        return ids[0]
    raise InputError(
        what="who are you?" if ids else f"no {role or 'person'} of the roster is uid {os.getuid()}",
        where=str(workspace.people_file),
        todo=f"name yourself with --person ({', '.join(ids)})" if ids else "`peakctl people add`",
    )


def asker(workspace: Workspace, person: str, reason: str) -> str:
    """Who asks for something that needs a reason. Raises InputError without one."""
    if not reason.strip():
        raise InputError(what="there is no reason", where="--reason", todo="say why")
    return whoami(workspace, person)


def start_anew(workspace: Workspace) -> str:
    """How an engine comes to run with what was changed; its terminal may be long gone."""
    return (
        f'to go on: end the session, then the engine (kill "$(cat {workspace.engine_pid})"), start'
        " `peakctl` again, and sign again"
    )


def key_of(workspace: Workspace, key: Path | None, role: str) -> Path:
    """The person's key: named, or in a demo workspace the demo's own. Raises InputError."""
    if key is not None:
        return key.expanduser()
    demo = workspace.key_of(role)
    if demo.is_file():
        return demo
    raise InputError(what="no key is named", where="--key", todo="name your SSH key with --key")
