"""`peakctl kill`: through the engine, and by itself when the engine does not answer in 500 ms.

Exit 0 only when the verdict is PROVEN; 3 for everything less. Nobody needs a role or a name to
stop a market: whoever can open the socket or the workspace may.
"""
# ruff: noqa: FBT002  (typer makes options of booleans with defaults)

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from engine.contracts.errors import EngineUnreachable, NotProven, PeakError
from engine.contracts.view import KillView
from peakctl.commands.options import JsonOption, PersonOption, WorkspaceOption, visited, whoami
from peakctl.commands.output import complain, say, say_json
from peakctl.commands.running import run

if TYPE_CHECKING:
    from peakctl.workspace import Workspace

#: How long the command watches the kill's stages before it says "not proven" and ends.
PROOF_SECONDS = 20.0
_SAID_SECONDS = 2.0


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("kill")(kill)


def kill(
    reason: Annotated[str, typer.Option(help="Why; goes into the record.")] = "peakctl kill",
    workspace: WorkspaceOption = None,
    person: PersonOption = "",
    json: JsonOption = False,
) -> int:
    """Stop everything: latch, cancel all, prove. Exit 3 unless the venue has proved zero."""
    pressed_us = time.time_ns() // 1000
    place = visited(workspace)
    view = _through_engine(place, _name(place, person), reason, pressed_us)
    if view is None:
        view = _without_engine(place, _name(place, person), reason, pressed_us)
    if json:
        say_json(view)
    else:
        say(*_lines(view))
    if view.state != "PROVEN":
        raise NotProven(
            what=f"the kill is {view.state}: {view.detail or 'the venue has not confirmed zero'}",
            todo="the latch holds; look at the venue itself, and run `peakctl kill` again",
        )
    return 0


def _name(place: Workspace, person: str) -> str:
    """Who presses; a kill is never refused for want of a name."""
    try:
        return whoami(place, person)
    except PeakError:
        return person or f"uid{os.getuid()}"


def _through_engine(place: Workspace, person: str, reason: str, pressed_us: int) -> KillView | None:
    """The kill's outcome through the engine, or None when no engine took it in time."""
    from peakctl.client.kill import send_kill  # noqa: PLC0415

    try:
        send_kill(place.socket, person=person, reason=reason, source="cli", pressed_us=pressed_us)
    except EngineUnreachable as error:
        complain(f"{error.what}; stopping the market without the engine")
        return None
    return run(_watch(place, person))


def _without_engine(place: Workspace, person: str, reason: str, pressed_us: int) -> KillView:
    """Latch, cancel and prove by ourselves. What cannot be read does not keep the latch open."""
    from engine.direct import kill_without_engine  # noqa: PLC0415

    try:
        return run(kill_without_engine(place.root, place.socket, reason, person, _say_unconfirmed))
    except NotProven:
        raise
    except PeakError as error:
        latch = place.state / "latch"
        _latch_alone(latch, person, reason, pressed_us)
        raise NotProven(
            what=f"the latch is set, and nothing was canceled: {error.line()}",
            where=str(latch),
            todo="cancel at the venue itself, and call the desk",
        ) from error


def _say_unconfirmed(detail: str) -> None:
    """There is no proof yet, and it goes on: said as long as it lasts."""
    complain(f"UNCONFIRMED: {detail}; still trying")


def _latch_alone(latch: Path, person: str, reason: str, pressed_us: int) -> None:
    """Set the latch file, which every engine looks at before every order (I4)."""
    import secrets  # noqa: PLC0415

    from engine.execution.kill.latch_file import LatchMark, write_latch  # noqa: PLC0415

    if os.path.lexists(latch):  # a folder that we may not look into holds none for us
        return
    mark = LatchMark(
        kill_id=secrets.token_hex(6),
        reason=reason,
        source="cli",
        by=person,
        pressed_us=pressed_us,
    )
    try:
        write_latch(latch, mark)
    except OSError as error:
        raise NotProven(
            what=f"the latch could not be written ({error.strerror}), and nothing was canceled",
            where=str(latch),
            todo="cancel at the venue itself, and call the desk",
        ) from error


async def _watch(place: Workspace, person: str) -> KillView:
    """Follow the kill until it is proven or the deadline; the last view then is the answer.

    UNCONFIRMED is said as long as it lasts, and is no end: the engine goes on hunting.
    """
    from peakctl.client.client import EngineClient  # noqa: PLC0415

    deadline = time.monotonic() + PROOF_SECONDS
    said = 0.0
    async with EngineClient(place.socket, person) as client:
        while True:
            view = (await client.state()).kill
            now = time.monotonic()
            if view.state == "PROVEN" or now > deadline:
                return view
            if view.state == "UNCONFIRMED" and now > said + _SAID_SECONDS:
                said = now
                _say_unconfirmed(view.detail)
            await asyncio.sleep(0.05)


def _lines(view: KillView) -> list[str]:
    lines = [f"kill {view.state}  {view.reason}  by {view.by}"]
    lines += [
        f"  {stage.elapsed_us / 1000:9.1f} ms  {stage.stage}  {stage.detail}"
        for stage in view.stages
    ]
    if view.held_in:
        lines.append(f"  latch held in: {', '.join(view.held_in)}")
    lines += [f"  open: {order}" for order in view.open_orders]
    lines += [f"  position {symbol}: {quantity}" for symbol, quantity in view.positions.items()]
    return lines
