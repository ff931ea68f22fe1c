"""A change of config or roster from the command line: through the engine, or without one.

An engine that answers makes the change itself and knows its asker by the kernel's word. Without one
the command does the same under the journal's lock, in the name of the roster's person that this
Unix user is. Either way the answer is the event as journaled.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from engine.contracts.errors import (
    ConfigError,
    EngineUnreachable,
    InputError,
    error_from_wire,
)
from engine.contracts.people import Actor, Role, person
from peakctl.workspace import Workspace

#: A change is two small files and one line of the journal; verifying a long journal takes seconds.
_ENGINE_SECONDS = 30.0
_SEGMENT_LINES = 100_000


@dataclass(frozen=True)
class Change:
    """What is asked for: the engine's route with its body, and the same as a plan of our own."""

    route: str
    body: Mapping[str, object]
    plan: Callable[[Any], Any]


@dataclass(frozen=True)
class Made:
    """A change that was made: its event's number and fields, and whether an engine made it."""

    seq: int
    fields: Mapping[str, Any]
    engine: bool


def record(workspace: Workspace, change: Change, who: Callable[[], str], reason: str) -> Made:
    """Make the change; `who` finds the asker once all else is well. Raises PeakError.

    Then nothing was changed.
    """
    from engine.planning import Plans  # noqa: PLC0415

    if not reason.strip():
        raise InputError(what="there is no reason", where="--reason", todo="say why")
    # A first look without the lock, so that what cannot be done touches nothing at all.
    change.plan(Plans(workspace.root, os.environ))
    name = who()
    through = _through_engine(workspace, change, name, reason)
    if through is not None:
        return through
    return _without_engine(Workspace.open(workspace.root), change, name, reason)


def who_changes(workspace: Workspace, named: str, *roles: Role) -> str:
    """The person of the roster who asks; while it has no operator, its owner. Raises InputError."""
    from peakctl.commands.options import roster_of, whoami  # noqa: PLC0415

    roster = roster_of(workspace)
    if not roster.with_role(Role.OPERATOR):
        return f"uid-{os.getuid()}"
    for role in roles[:-1]:
        ids = {one.id for one in roster.with_role(role) if one.uid in {None, os.getuid()}}
        if named in ids or (not named and len(ids) == 1):
            return whoami(workspace, named, role.value)
    return whoami(workspace, named, roles[-1].value)


def _through_engine(workspace: Workspace, change: Change, who: str, reason: str) -> Made | None:
    """Ask the engine; None when there is none."""
    import json  # noqa: PLC0415

    from peakctl.client.raw_http import exchange  # noqa: PLC0415
    from peakctl.supervisor import Supervisor  # noqa: PLC0415

    if Supervisor(workspace).engine_state() is None:
        return None
    body = {"person": who, "reason": reason, **change.body}
    deadline = time.monotonic() + _ENGINE_SECONDS
    try:
        status, content = exchange(workspace.socket, "POST", f"/v1/{change.route}", deadline, body)
        answer = json.loads(content)
    except (OSError, ValueError) as error:
        raise EngineUnreachable(
            what="the engine did not answer: the change may have been made",
            where=str(workspace.socket),
            todo="look with `peakctl config show` or `people list` before trying again",
            code="OUTCOME_UNKNOWN",
        ) from error
    if status != 200:
        raise error_from_wire(answer.get("error", {}))
    return Made(int(answer["seq"]), answer["data"], engine=True)


def _without_engine(workspace: Workspace, change: Change, who: str, reason: str) -> Made:
    import asyncio  # noqa: PLC0415

    from config.settings import load  # noqa: PLC0415
    from engine.contracts.event import event_to_data  # noqa: PLC0415
    from engine.offline import record_change  # noqa: PLC0415
    from engine.planning import Plans  # noqa: PLC0415

    try:
        lines = load(workspace.root, os.environ).settings.journal.segment_lines
    except ConfigError:
        # What does not load may be what the change is for; this line is as long as any.
        lines = _SEGMENT_LINES
    plans = Plans(workspace.root, os.environ)
    recorded = asyncio.run(
        record_change(workspace.state, plans, change.plan, reason, _actor(who), lines)
    )
    return Made(recorded.seq, event_to_data(recorded.event), engine=False)


def _actor(who: str) -> Actor:
    """Known by the Unix user that owns the workspace and runs this."""
    return person(who, f"uid:{os.getuid()}")
