"""`peakctl people` and `peakctl runbook`: who takes part, and what they follow."""
# ruff: noqa: FBT002  (typer makes options of booleans with defaults)

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from engine.contracts.errors import InputError
from engine.contracts.people import Role
from peakctl.commands.files import text_of
from peakctl.commands.options import JsonOption, WorkspaceOption, own, roster_of, visited
from peakctl.commands.output import say, say_json, table


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="The roster: who may take part, as what, with which key.")
    group.command("list")(list_)
    group.command("add")(add)
    app.add_typer(group, name="people")
    app.command("runbook")(runbook)


def list_(workspace: WorkspaceOption = None, json: JsonOption = False) -> int:
    """The people of the roster."""
    people = roster_of(visited(workspace)).people
    if json:
        say_json(people)
        return 0
    rows = [
        (
            person.id,
            person.role.value,
            person.principal,
            "-" if person.uid is None else str(person.uid),
            person.fingerprint,
            person.name,
        )
        for person in people
    ]
    say(*table(rows, ("id", "role", "principal", "uid", "key", "name")))
    return 0


def add(
    person_id: Annotated[str, typer.Argument(metavar="ID")],
    role: Role,
    public_key: Annotated[Path, typer.Option("--public-key", help="Their .pub file (Ed25519).")],
    name: Annotated[str, typer.Option(help="Their name, as people say it.")] = "",
    uid: Annotated[int | None, typer.Option(help="Their Unix user id.")] = None,
    workspace: WorkspaceOption = None,
) -> int:
    """Add a person with their public key to the roster and to allowed_signers."""
    from peakctl.founding import Identity, add_person  # noqa: PLC0415

    try:
        public_line = public_key.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(what=f"cannot be read ({error})", where=str(public_key)) from error
    prefix = {Role.OPERATOR: "op", Role.REVIEWER: "rev"}[role]
    identity = Identity(
        id=person_id,
        name=name or person_id,
        role=role,
        principal=f"{prefix}:{person_id}",
        public_line=public_line,
        uid=uid,
    )
    add_person(own(workspace), identity)
    say(f"{person_id} is {role.value} as {identity.principal}; a running engine must be restarted")
    return 0


def runbook(
    name: Annotated[str, typer.Argument()] = "",
    workspace: WorkspaceOption = None,
    json: JsonOption = False,
) -> int:
    """Print a runbook of the workspace; without a name, list them."""
    folder = visited(workspace).runbooks
    found = {path.stem: path for path in sorted(folder.glob("*.md"))}
    if not name:
        if json:
            say_json(list(found))
        else:
            say(*found)
        return 0
    path = found.get(name.removesuffix(".md"))
    if path is None:
        raise InputError(
            what=f"no runbook {name[:60]!r}",
            where=str(folder),
            todo=f"there are {', '.join(found)}",
        )
    text = text_of(path)
    if json:
        say_json({"name": path.stem, "text": text})
    else:
        say(*text.rstrip("\n").split("\n"))
    return 0
