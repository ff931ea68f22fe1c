"""`peakctl risk report`: what the positions may lose, and what the past says of that estimate.

Exit codes: 1 when something could not be computed (the report says what), 4 for who is not of the
roster.
"""
# ruff: noqa: FBT002  (typer makes options of booleans with defaults)

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from engine.contracts.errors import AnswerNo
from peakctl.commands.options import (
    JsonOption,
    PersonOption,
    WorkspaceOption,
    visited,
    whoami,
)
from peakctl.commands.output import say, say_json
from peakctl.commands.running import run

if TYPE_CHECKING:
    from engine.contracts.replies import RiskAnswer


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="What the positions may lose.")
    group.callback()(lambda: None)
    group.command("report")(report)
    app.add_typer(group, name="risk")


def report(
    workspace: WorkspaceOption = None, person: PersonOption = "", json: JsonOption = False
) -> int:
    """Value at risk, backtest and stress of the session's and the account's positions.

    Goes into the journal under your name. Markdown, or with --json the document itself. Exit 1
    when something could not be computed.
    """
    import msgspec  # noqa: PLC0415

    from engine.contracts.risk import RiskDocument  # noqa: PLC0415
    from peakctl.client.client import EngineClient  # noqa: PLC0415

    place = visited(workspace)
    who = whoami(place, person)

    async def work() -> RiskAnswer:
        async with EngineClient(place.socket, who) as client:
            return await client.risk_report()

    answer = run(work())
    if json:
        # The document's own bytes, one line with its newline, so that its hash can be checked.
        say_json(msgspec.Raw(answer.document.rstrip("\n").encode()))
    else:
        say(*answer.markdown.splitlines(), "", f"Document sha256 {answer.sha256}")
    missing = [
        gap
        for sheet in msgspec.json.decode(answer.document, type=RiskDocument).sheets
        for gap in sheet.gaps
    ]
    if missing:
        more = f" (and {len(missing) - 1} more)" if len(missing) > 1 else ""
        raise AnswerNo(
            what=f"the report is not whole: {missing[0]}{more}",
            where="risk report",
            todo="it is in the journal as it is; ask again when that is mended",
        )
    return 0
