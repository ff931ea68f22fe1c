"""`peakctl verify PACK`: the checks of the pack's own VERIFY.md and more, naming every bad file.

A folder of packs is checked as one history, from pack to pack; a revision against what it follows.
"""
# ruff: noqa: FBT002  (typer makes options of booleans with defaults)

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from engine.contracts.errors import AnswerNo, InputError, WorkspaceError
from peakctl.commands.options import JsonOption
from peakctl.commands.output import complain, say, say_json, table

if TYPE_CHECKING:
    from peakctl.workspace import Workspace

#: A folder without any of these was never a pack; one of them missing is a finding by name.
_BAG_FILES = ("bagit.txt", "tagmanifest-sha256.txt")

_OWN_WAY = "give the desk's own list with --allowed-signers"
_OWN_LIST = "data/go/allowed_signers"
#: People come and go; a pack is judged by the list of its own day, from where it was kept.
_THEIR_DAY = (
    "the workspace's list of signers has changed since: give the one of that day, kept elsewhere,"
    " with --allowed-signers"
)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("verify")(verify)


def verify(
    pack: Annotated[
        Path,
        typer.Argument(metavar="PACK", help="A pack, a revision, or a folder of packs."),
    ],
    allowed_signers: Annotated[
        Path | None,
        typer.Option(help="Who may sign, from outside the pack (default: the workspace's)."),
    ] = None,
    revoked: Annotated[Path | None, typer.Option(help="Keys that count no more.")] = None,
    json: JsonOption = False,
) -> int:
    """Check a sealed pack, a revision, or a folder of packs; exit 1 when anything is wrong."""
    from engine.evidence.revision import DOCUMENT, verify_revision  # noqa: PLC0415
    from engine.evidence.verify import verify_pack  # noqa: PLC0415
    from engine.signatures.keygen import find_ssh_keygen  # noqa: PLC0415

    if not pack.is_dir():
        raise InputError(what="no such pack", where=str(pack), todo="name the session's folder")
    if revoked is not None and not revoked.is_file():
        raise InputError(what="no such list of revoked keys", where=str(revoked))
    find_ssh_keygen()  # without it nothing can be said of the signatures, least of all "changed"
    signers, revoked = _lists(pack, allowed_signers, revoked, quiet=json)
    if not any((pack / name).exists() for name in _BAG_FILES):
        if any(path.is_dir() for path in pack.iterdir()):
            return _verify_series(
                pack, signers, revoked, json=json, given=allowed_signers is not None
            )
        if not json:
            raise AnswerNo(
                what=f"not a pack: it has neither {' nor '.join(_BAG_FILES)}",
                where=str(pack),
                todo="name a sealed session's folder, or the folder of all of them",
            )
    judge = verify_revision if (pack / DOCUMENT).is_file() else verify_pack
    report = judge(pack, signers, revoked)
    if json:
        say_json(report)
    else:
        say(*(f"✔ {check}" for check in report.checks))
        for finding in report.findings:
            complain(f"{finding.file}: {finding.what}")
    if not report.ok:
        other = allowed_signers is None and _other_list(pack, signers)
        raise AnswerNo(
            what="the pack does not verify",
            where=str(pack),
            todo=_THEIR_DAY if other else "",
        )
    if not json:
        say(f"PACK OK {pack} (signers from {signers or 'the pack itself'})")
    return 0


def _other_list(pack: Path, signers: Path | None) -> bool:
    """Whether the workspace's list of signers is another than the pack was written with."""
    from engine.plain_file import read_plain  # noqa: PLC0415

    try:
        return signers is not None and read_plain(signers) != read_plain(pack / _OWN_LIST)
    except OSError:
        return False


def _verify_series(
    folder: Path, signers: Path | None, revoked: Path | None, *, json: bool, given: bool
) -> int:
    """Every pack of the folder, and the chain from each to the next."""
    from engine.evidence.series import verify_series  # noqa: PLC0415

    report = verify_series(folder, signers, revoked)
    if json:
        say_json(report)
    else:
        rows = [
            (
                "✔" if one.ok else "✖",
                one.kind,
                one.folder,
                one.session_id or "-",
                str(one.events) if one.events else "-",
                one.head[:16] or "-",
                one.log_key[:19] or "-",
            )
            for one in report.links
        ]
        header = ("", "kind", "folder", "session", "events", "head", "log key")
        say(*table(rows, header))
        for one in report.breaks:
            if one.level == "error":
                complain(f"{one.folder}: {one.what}")
            else:
                say(f"note: {one.folder}: {one.what}")
    if not report.ok:
        other = not given and any(
            _other_list(folder / one.folder, signers) for one in report.links if not one.ok
        )
        raise AnswerNo(
            what="the packs are not one whole history",
            where=str(folder),
            todo=_THEIR_DAY if other else "",
        )
    if not json:
        packs = sum(one.kind == "pack" for one in report.links)
        revisions = sum(one.kind == "revision" for one in report.links)
        counted = f"{packs} pack{'' if packs == 1 else 's'}"
        if revisions:
            counted += f" and {revisions} revision{'' if revisions == 1 else 's'}"
        say(f"PACKS OK {folder}: {counted}, one history (signers from {signers})")
    return 0


def _lists(
    pack: Path, given: Path | None, revoked: Path | None, *, quiet: bool
) -> tuple[Path | None, Path | None]:
    """Who may sign and which keys count no more: as given, else as the workspace has them."""
    beside = workspace_beside(pack) if given is None else None
    if beside is None:
        return given, revoked
    if not quiet and not _inside(beside):
        where = beside.allowed_signers
        say(f"note: {where} lies around the pack: for a folder from elsewhere, {_OWN_WAY}")
    return beside.allowed_signers, revoked or beside.revoked_keys


def signers_beside(pack: Path) -> Path | None:
    """The allowed_signers of the workspace that the pack lies in or that we are in."""
    place = workspace_beside(pack)
    return None if place is None else place.allowed_signers


def workspace_beside(pack: Path) -> Workspace | None:
    """The workspace that the pack lies in or that we are in."""
    from peakctl.workspace import Workspace, find  # noqa: PLC0415

    for place in (pack, Path()):
        try:
            return Workspace(find(place.absolute()))
        except (WorkspaceError, FileNotFoundError):  # the folder that we are in may be gone
            continue
    return None


def _inside(place: Workspace) -> bool:
    """Whether we are in this workspace: then it is the desk's, and nobody brought it along."""
    ours = workspace_beside(Path())
    return ours is not None and ours.root.resolve() == place.root.resolve()
