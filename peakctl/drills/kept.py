"""What a drill leaves in the workspace that asked for it, and handing it in as evidence.

One folder a drill, `.peakctl/drills/ID/`: the journal of the drill's own desk, its signed heads,
and `result.json` with what was measured. The engine reads the journal itself and judges for itself;
what stands in `result.json` is only what it is told. A drill that ran while no engine did is handed
in later, by its id.
"""

from __future__ import annotations

import secrets
from pathlib import Path

import msgspec

from engine.contracts.errors import EngineUnreachable, InputError
from engine.contracts.standing import DrillView
from engine.ops.drills import DrillResult
from peakctl.client.client import EngineClient
from peakctl.workspace import Workspace

_RESULT = "result.json"


class Told(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a drill measured; `fault` is why it could not be carried to its end, else ""."""

    name: str
    measured: dict[str, int]
    fault: str = ""


def folder_of(workspace: Workspace, drill_id: str) -> Path:
    """Where a drill's remains lie."""
    return workspace.state / "drills" / drill_id


def new_drill(workspace: Workspace) -> tuple[str, Path]:
    """An id for a drill, and its folder; the folder is there."""
    drill_id = secrets.token_hex(6)
    folder = folder_of(workspace, drill_id)
    folder.mkdir(parents=True, mode=0o750)
    return drill_id, folder


def keep_result(folder: Path, result: DrillResult) -> None:
    """Write down what was measured."""
    told = Told(
        name=result.name,
        measured={row.measure: row.measured for row in result.rows if row.measured is not None},
        fault=result.fault,
    )
    (folder / _RESULT).write_bytes(msgspec.json.encode(told) + b"\n")


async def hand_in(workspace: Workspace, person: str, drill_id: str) -> DrillView:
    """Let the engine judge and record a drill. Raises EngineUnreachable, Refused, InputError."""
    told = _read(folder_of(workspace, drill_id) / _RESULT, drill_id)
    try:
        async with EngineClient(workspace.socket, person) as client:
            return await client.record_drill(drill_id, told.name, told.measured, told.fault)
    except EngineUnreachable as error:
        raise EngineUnreachable(
            what=f"drill {drill_id} is NOT recorded: {error.what}",
            where=str(workspace.root),
            todo=f"start the engine, then `peakctl drill record {drill_id}`",
        ) from error


def _read(path: Path, drill_id: str) -> Told:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Told)
    except (OSError, msgspec.DecodeError) as error:
        raise InputError(
            what=f"there is no result of drill {drill_id[:40]!r}",
            where=str(path.parent.parent),
            todo="see peakctl drill list",
        ) from error
