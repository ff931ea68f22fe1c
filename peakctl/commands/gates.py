"""`peakctl gates`: every lock before an order, open or shut, and why. An explanation, no recipe."""
# ruff: noqa: FBT002  (typer makes options of booleans with defaults)

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated

import typer

from engine.contracts.session import Mode
from peakctl.commands.options import JsonOption, WorkspaceOption, visited
from peakctl.commands.output import say, say_json, table

if TYPE_CHECKING:
    from engine.contracts.replies import GateAnswer
    from peakctl.workspace import Workspace

_ENGINE_SECONDS = 10.0


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("gates")(gates)


def gates(
    mode: Annotated[
        Mode | None, typer.Option(help="What this mode would ask (default: the session's own).")
    ] = None,
    workspace: WorkspaceOption = None,
    json: JsonOption = False,
) -> int:
    """Each lock with what it asks, whether it is open, and why; asked again at every order."""
    place = visited(workspace)
    answer, source = _from_engine(place, mode), "the engine"
    if answer is None:
        answer, source = _from_files(place, mode), "the journal; no engine runs"
    if json:
        say_json(answer)
        return 0
    rows = [("open" if gate.open else "SHUT", gate.code, gate.why) for gate in answer.gates]
    shut = sum(not gate.open for gate in answer.gates)
    say(
        f"mode {answer.mode} in environment {answer.environment}: {shut} of {len(rows)} locks shut"
        f"  (read from {source})",
        *table(rows),
        "",
        *table([(gate.code, gate.asks) for gate in answer.gates]),
        "Every order asks all of them again at the moment it is sent; nothing here opens one.",
    )
    return 0


def _from_engine(place: Workspace, mode: Mode | None) -> GateAnswer | None:
    import time  # noqa: PLC0415

    import msgspec  # noqa: PLC0415

    from engine.contracts.replies import GateAnswer  # noqa: PLC0415
    from peakctl.client.raw_http import exchange  # noqa: PLC0415

    route = f"/v1/gates?mode={mode.value}" if mode else "/v1/gates"
    try:
        status, content = exchange(
            place.socket, "GET", route, time.monotonic() + _ENGINE_SECONDS, None
        )
    except OSError:
        return None
    return msgspec.json.decode(content, type=GateAnswer) if status == 200 else None


def _from_files(place: Workspace, mode: Mode | None) -> GateAnswer:
    """What config, journal and latch file say. Reading alone: no lock is taken, nothing changed.

    Nobody attends where no engine runs, and what only a running engine can compare is not known.
    """
    from config.settings import load  # noqa: PLC0415
    from engine.execution.clock import wall_us  # noqa: PLC0415
    from engine.execution.core import State  # noqa: PLC0415
    from engine.execution.kill.latch_file import latch_present  # noqa: PLC0415
    from engine.execution.limits.facts import LockReadings, lock_facts  # noqa: PLC0415
    from engine.governance.gates import explain  # noqa: PLC0415
    from engine.governance.latch import LatchState  # noqa: PLC0415
    from engine.journal.chain import decode_line  # noqa: PLC0415
    from engine.setup import fact_settings  # noqa: PLC0415
    from peakctl.commands.ledger import journal_lines  # noqa: PLC0415

    settings = load(place.root, os.environ).settings
    state = State()
    for where, line in journal_lines(place.journal):
        state.apply(decode_line(line, where)[0])
    session = state.sessions.current
    asked = mode or (
        session.charter.mode if session else min(settings.governance.modes, default=Mode.PAPER)
    )
    if session is not None and session.charter.mode is not asked:
        session = None
    latch = state.latch.state
    if latch is LatchState.READY and latch_present(place.state / "latch"):
        latch = LatchState.LATCHED
    return explain(
        lock_facts(
            asked,
            session,
            (settings.venue.name, settings.venue.account),
            fact_settings(settings),
            LockReadings(
                changed=None,
                latch=latch,
                attended=False,
                promotion=state.evidence.promotion(None, None) if asked is Mode.LIVE else None,
                now_us=wall_us(),
            ),
        )
    )
