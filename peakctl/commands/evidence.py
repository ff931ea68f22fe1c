"""`peakctl verify PACK`: the checks of the pack's own VERIFY.md and more, naming every bad file."""
# ruff: noqa: FBT002  (typer makes options of booleans with defaults)

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from engine.contracts.errors import AnswerNo, InputError, WorkspaceError
from peakctl.commands.options import JsonOption
from peakctl.commands.output import complain, say, say_json

#: A folder without any of these was never a pack; one of them missing is a finding by name.
_BAG_FILES = ("bagit.txt", "tagmanifest-sha256.txt")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("verify")(verify)


def verify(
    pack: Path,
    allowed_signers: Annotated[
        Path | None,
        typer.Option(help="Who may sign, from outside the pack (default: the workspace's)."),
    ] = None,
    revoked: Annotated[Path | None, typer.Option(help="Keys that count no more.")] = None,
    json: JsonOption = False,
) -> int:
    """Check one sealed pack; exit 1 and the files' names when anything is wrong."""
    from engine.evidence.verify import verify_pack  # noqa: PLC0415
    from engine.signatures.keygen import find_ssh_keygen  # noqa: PLC0415

    if not pack.is_dir():
        raise InputError(what="no such pack", where=str(pack), todo="name the session's folder")
    if not json and not any((pack / name).exists() for name in _BAG_FILES):
        raise AnswerNo(
            what=f"not a pack: it has neither {' nor '.join(_BAG_FILES)}",
            where=str(pack),
            todo="name a sealed session's folder",
        )
    find_ssh_keygen()  # without it nothing can be said of the signatures, least of all "changed"
    signers = allowed_signers or signers_beside(pack)
    report = verify_pack(pack, signers, revoked)
    if json:
        say_json(report)
    else:
        say(*(f"✔ {check}" for check in report.checks))
        for finding in report.findings:
            complain(f"{finding.file}: {finding.what}")
    if not report.ok:
        raise AnswerNo(what="the pack does not verify", where=str(pack))
    if not json:
        say(f"PACK OK {pack} (signers from {signers or 'the pack itself'})")
    return 0


def signers_beside(pack: Path) -> Path | None:
    """The allowed_signers of the workspace that the pack lies in or that we are in."""
    from peakctl.workspace import Workspace, find  # noqa: PLC0415

    for start in (pack.absolute(), Path.cwd()):
        try:
            return Workspace(find(start)).allowed_signers
        except WorkspaceError:
            continue
    return None
