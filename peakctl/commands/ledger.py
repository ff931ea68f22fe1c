"""`peakctl session` and `journal`: what the records hold, read from the records.

Sessions are folded from the journal's files, so these commands work with and without an engine.
"""
# ruff: noqa: FBT002  (typer makes options of booleans with defaults)

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from engine.contracts.errors import AnswerNo, InputError, WorkspaceError
from peakctl.commands import completions
from peakctl.commands.files import text_of
from peakctl.commands.options import (
    JsonOption,
    WorkspaceOption,
    own,
    visited,
)
from peakctl.commands.output import complain, say, say_json, table, utc

if TYPE_CHECKING:
    from collections.abc import Iterator

    from engine.governance.session import Session
    from engine.governance.session_fold import SessionFold
    from engine.journal.heads import SignedHead


def register(app: typer.Typer) -> None:
    """Add the commands."""
    session = typer.Typer(help="The sessions of a workspace.")
    session.command("list")(list_)
    session.command("show")(show)
    session.command("states")(states)
    app.add_typer(session, name="session")
    journal = typer.Typer(help="The record of truth.")
    journal.command("verify")(verify)
    journal.command("heads")(heads)
    app.add_typer(journal, name="journal")


def fold_sessions(journal: Path) -> SessionFold:
    """All sessions that a journal's files hold. A torn last line was never promised: left out."""
    from engine.governance.session_fold import SessionFold  # noqa: PLC0415
    from engine.journal.chain import decode_line  # noqa: PLC0415

    require_readable(journal)
    fold = SessionFold()
    for where, line in journal_lines(journal):
        fold.apply(decode_line(line, where)[0])
    return fold


def require_readable(journal: Path) -> None:
    """Raise WorkspaceError where the journal's files are another user's: the engine has views."""
    if journal.is_dir() and not os.access(journal, os.R_OK | os.X_OK):
        raise WorkspaceError(
            what="only the workspace's owner may read the journal's files",
            where=str(journal),
            todo='ask the engine: `peakctl store query "SELECT * FROM sessions"`, `peakctl status`',
        )


def session_of(fold: SessionFold, session_id: str) -> Session:
    """The session with this id, the newest when it is empty. Raises InputError."""
    found = fold.by_id(session_id) if session_id else fold.current
    if found is None:
        ids = ", ".join(one.id for one in fold.history)
        raise InputError(
            what=f"no session {session_id[:40]!r}" if session_id else "no session yet",
            where="journal",
            todo=f"there are: {ids}" if ids else "write a charter first",
        )
    return found


def journal_lines(journal: Path) -> Iterator[tuple[str, bytes]]:
    """Every whole line with its place; a torn last one was never promised and is left out."""
    from engine.journal.segments import lines_in, open_segment, segment_paths  # noqa: PLC0415

    for path in segment_paths(journal):
        with open_segment(path) as file:
            for number, line in enumerate(lines_in(file), start=1):
                if line.endswith(b"\n"):
                    yield f"{path.name}:{number}", line


def list_(workspace: WorkspaceOption = None, json: JsonOption = False) -> int:
    """Every session with its state."""
    history = fold_sessions(visited(workspace).journal).history
    if json:
        say_json([_summary(session) for session in history])
        return 0
    rows = [
        (
            session.id,
            session.state.value,
            session.charter.mode.value,
            utc(session.created_us),
            session.charter.operator,
            session.charter.reviewer,
            session.pack.folder if session.pack else "",
        )
        for session in history
    ]
    say(*table(rows, ("id", "state", "mode", "chartered", "operator", "reviewer", "pack")))
    return 0


def _summary(session: Session) -> dict[str, object]:
    return {
        "id": session.id,
        "state": session.state.value,
        "mode": session.charter.mode.value,
        "created_us": session.created_us,
        "since_us": session.since_us,
        "operator": session.charter.operator,
        "reviewer": session.charter.reviewer,
        "pack": session.pack.folder if session.pack else "",
    }


def show(
    session_id: Annotated[
        str,
        typer.Argument(
            metavar="SESSION",
            autocompletion=completions.sessions,
            help="Its id (default: the newest).",
        ),
    ] = "",
    workspace: WorkspaceOption = None,
    json: JsonOption = False,
) -> int:
    """One session (the newest by default): its charter, approval and runlog."""
    session = session_of(fold_sessions(visited(workspace).journal), session_id)
    if json:
        say_json(
            {
                **_summary(session),
                "charter": session.charter,
                "decision": session.go.decision,
                "packet_sha256": session.go.sha256,
                "lessons": session.lessons,
                "runlog": session.runlog,
            }
        )
        return 0
    charter = session.charter
    rows = [
        ("session", session.id),
        ("state", f"{session.state.value} since {utc(session.since_us)}"),
        ("mode", f"{charter.mode.value} on {charter.venue}, account {charter.account}"),
        ("instruments", ", ".join(charter.instruments)),
        ("window", f"{utc(charter.window_from_us)} to {utc(charter.window_until_us)}"),
        ("purpose", charter.purpose or "-"),
        ("people", f"operator {charter.operator}, reviewer {charter.reviewer}"),
        ("approval", f"{session.go.stage} {session.go.decision} {session.go.reason}".strip()),
        ("packet", session.go.sha256 or "-"),
    ]
    say(*table(rows), *(f"{utc(at_us)}  {name}: {text}" for at_us, name, text in session.runlog))
    return 0


def states(
    orders: Annotated[bool, typer.Option("--orders", help="The order states instead.")] = False,
    refusals: Annotated[
        bool, typer.Option("--refusals", help="What an order refuses in each state, and why.")
    ] = False,
    errors: Annotated[
        bool, typer.Option("--errors", help="What each failure of the venue means, and what to do.")
    ] = False,
    json: JsonOption = False,
) -> int:
    """The table of legal transitions, with who may cause each."""
    header: tuple[str, ...]
    rows: list[tuple[str, ...]]
    if errors:
        from engine.venues.binance.errors import table_rows as error_rows  # noqa: PLC0415

        header = ("group", "key", "outcome", "submit", "read", "cancel", "meaning", "advice")
        rows = [tuple(str(getattr(one, name)) for name in header) for one in error_rows()]
    elif refusals:
        from engine.orders.machine import refusal_rows  # noqa: PLC0415

        header, rows = ("state", "trigger", "code", "reason"), list(refusal_rows())
    elif orders:
        from engine.orders.machine import table_rows  # noqa: PLC0415

        header, rows = ("before", "trigger", "after"), list(table_rows())
    else:
        from engine.governance.transitions import session_rows  # noqa: PLC0415

        header, rows = ("before", "after", "cause", "who", "needs"), list(session_rows())
    if json:
        say_json([dict(zip(header, row, strict=True)) for row in rows])
    else:
        say(*table(rows, header))
    return 0


def verify(workspace: WorkspaceOption = None, json: JsonOption = False) -> int:
    """Verify every byte of the journal, that all signed heads are on it, and their signatures."""
    from engine.journal.heads import HEADS_GONE, heads_are_gone, read_heads  # noqa: PLC0415
    from engine.journal.verify import verify_journal  # noqa: PLC0415

    place = own(workspace)
    signed = read_heads(place.heads)
    report = verify_journal(place.journal, [one.head for one in signed])
    bad = [*_bad_signatures(place.allowed_signers, place.revoked_keys, signed)]
    lines = (line for _, line in journal_lines(place.journal))
    if report.ok and not signed and heads_are_gone(lines):
        bad.append(f"{place.heads}: {HEADS_GONE}")
    ok = report.ok and not bad
    if json:
        say_json({"ok": ok, "report": report, "bad_head_signatures": bad})
    else:
        if report.ok:  # of a broken chain there is nothing to count
            say(
                f"{report.size} events in {report.files} files, head {report.head}",
                f"{report.heads_checked} signed heads on the chain, the newest over "
                f"{max((one.head.size for one in signed), default=0)} events",
            )
        for finding in report.findings:
            complain(f"{finding.where}: {finding.what}")
        for line in bad:
            complain(line)
    if not ok:
        raise AnswerNo(what="the journal does not verify", where=str(place.journal))
    return 0


def _bad_signatures(
    allowed_signers: Path, revoked: Path | None, signed: list[SignedHead]
) -> Iterator[str]:
    """Heads whose signature does not hold under the log key's line of allowed_signers."""
    from engine.contracts.documents import Namespace  # noqa: PLC0415
    from engine.signatures.allowed_signers import parse_allowed_signers  # noqa: PLC0415
    from engine.signatures.check import Checker  # noqa: PLC0415

    signers = parse_allowed_signers(text_of(allowed_signers), str(allowed_signers))
    logs = [row.principal for row in signers.signers if Namespace.HEAD in row.namespaces]
    checker = Checker(allowed_signers, revoked)
    for one in signed:
        message = one.text.encode("ascii")
        verdicts = [checker.check(name, Namespace.HEAD, message, one.signature) for name in logs]
        if not any(verdict.ok for verdict in verdicts):
            reason = verdicts[0].reason if verdicts else "no log key in allowed_signers"
            yield f"{one.path.name}: {reason}"


def heads(workspace: WorkspaceOption = None, json: JsonOption = False) -> int:
    """The signed heads: size and hash of the journal at a moment."""
    from engine.journal.heads import read_heads  # noqa: PLC0415

    signed = read_heads(own(workspace).heads)
    if json:
        say_json([{"text": one.text, "signature": one.signature} for one in signed])
    else:
        say(*table((str(one.head.size), one.head.hash, one.head.origin) for one in signed))
    return 0
