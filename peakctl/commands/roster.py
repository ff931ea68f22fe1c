"""`peakctl people` and `peakctl runbook`: who takes part, and what they follow."""
# ruff: noqa: FBT002  (typer makes options of booleans with defaults)

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from engine.contracts.errors import InputError
from engine.contracts.people import Role
from peakctl.commands import completions
from peakctl.commands.files import text_of
from peakctl.commands.options import (
    JsonOption,
    PersonOption,
    ReasonOption,
    WorkspaceOption,
    own,
    roster_of,
    start_anew,
    visited,
)
from peakctl.commands.output import say, say_json, table

if TYPE_CHECKING:
    from peakctl.recording import Made
    from peakctl.workspace import Workspace


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="The roster: who may take part, as what, with which key.")
    group.command("list")(list_)
    group.command("add")(add)
    group.command("revoke")(revoke)
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
    person_id: Annotated[str, typer.Argument(metavar="ID", help="A short new id: carol.")],
    role: Annotated[Role, typer.Argument(help="What they may sign as.")],
    public_key: Annotated[Path, typer.Option("--public-key", help="Their .pub file (Ed25519).")],
    name: Annotated[str, typer.Option(help="Their name, as people say it.")] = "",
    uid: Annotated[int | None, typer.Option(help="Their Unix user id.")] = None,
    reason: ReasonOption = "",
    person: PersonOption = "",
    workspace: WorkspaceOption = None,
) -> int:
    """Add a person with their public key to the roster and to allowed_signers; journaled."""
    from peakctl.recording import Change, record, who_changes  # noqa: PLC0415

    try:
        public_line = public_key.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(what=f"cannot be read ({error})", where=str(public_key)) from error
    if "PRIVATE KEY" in public_line:
        raise InputError(
            what="is a private key", where=str(public_key), todo="name the .pub file beside it"
        )
    place = own(workspace)
    body = {
        "id": person_id,
        "role": role.value,
        "public_line": public_line,
        "name": name,
        "uid": uid,
    }
    made = record(
        place,
        Change(
            route="people/add",
            body=body,
            plan=lambda plans: plans.add(person_id, role, public_line, name, uid),
        ),
        lambda: who_changes(place, person, Role.OPERATOR),
        reason,
    )
    _say_made(place, made, f"undo: peakctl people revoke {person_id} --reason ...")
    return 0


def revoke(
    person_id: Annotated[
        str,
        typer.Argument(
            metavar="ID", autocompletion=completions.people, help="As `people list` has it."
        ),
    ],
    reason: ReasonOption = "",
    person: PersonOption = "",
    workspace: WorkspaceOption = None,
) -> int:
    """Take a person out of the roster and put their key on the revocation list; journaled."""
    from peakctl.recording import Change, record, who_changes  # noqa: PLC0415

    place = visited(workspace)  # a reviewer may, through the engine, in another's workspace
    made = record(
        place,
        Change(
            route="people/revoke",
            body={"id": person_id},
            plan=lambda plans: plans.revoke(person_id),
        ),
        lambda: who_changes(place, person, Role.OPERATOR, Role.REVIEWER),
        reason,
    )
    _say_made(place, made, "a revoked key does not come back: add the person with a new one")
    _say_open_session(place, person_id)
    return 0


def _say_open_session(place: Workspace, person_id: str) -> None:
    """A session that the person approved ends without a pack; said while it can be planned for."""
    from peakctl.commands.ledger import fold_sessions  # noqa: PLC0415

    if not os.access(place.journal, os.R_OK | os.X_OK):
        return
    session = fold_sessions(place.journal).current
    if session is None or session.ended or not session.go.decision:
        return
    if person_id in {session.charter.operator, session.charter.reviewer}:
        say(
            f"session {session.id} was approved with this key: stop and reconcile it; its pack"
            " cannot be sealed any more; F12 on F7 ends it, and its evidence is the journal",
            "(`peakctl runbook roles_and_keys`: when a key is lost)",
        )


def _say_made(place: Workspace, made: Made, after: str) -> None:
    fields = made.fields
    text = fields["after"] or fields["before"]
    say(f"{fields['person']} {fields['what']}: {text}  (journaled as event {made.seq})", after)
    if made.engine:
        say("every approval that was signed before is void", start_anew(place))


def runbook(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME", autocompletion=completions.runbooks, help="One of the list."
        ),
    ] = "",
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
