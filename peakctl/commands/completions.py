"""Words that a shell offers behind the tab key: names that are in this workspace now.

Asked in the middle of typing, so nothing here starts, writes or complains: whatever cannot be read
offers nothing. Only files are read, never the engine.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from engine.contracts.errors import PeakError
from peakctl.commands.options import roster_of, visited

if TYPE_CHECKING:
    from pathlib import Path

    from peakctl.workspace import Workspace

#: A longer journal is not read for a tab: the packs name their sessions. Bytes.
_QUICK_BYTES = 8_000_000


def _place(context: typer.Context) -> Workspace:
    """The workspace that the line or its environment names, or the one we are in."""
    named: Path | None = context.params.get("workspace")
    return visited(named)


def sessions(context: typer.Context) -> list[str]:
    """Ids of sessions, the newest first."""
    from peakctl.commands.ledger import fold_sessions  # noqa: PLC0415

    try:
        place = _place(context)
        if sum(file.stat().st_size for file in place.journal.glob("*.jsonl")) <= _QUICK_BYTES:
            return [one.id for one in reversed(fold_sessions(place.journal).history)]
        packs = sorted((one.name for one in place.sessions.iterdir() if one.is_dir()), reverse=True)
        return [name.rpartition("_")[2] for name in packs]
    except (PeakError, OSError):
        return []


def runbooks(context: typer.Context) -> list[str]:
    """Names of the workspace's runbooks."""
    try:
        return sorted(path.stem for path in _place(context).runbooks.glob("*.md"))
    except (PeakError, OSError):
        return []


def people(context: typer.Context) -> list[str]:
    """Ids of the roster."""
    try:
        return [one.id for one in roster_of(_place(context)).people]
    except (PeakError, OSError):
        return []


def limit_names() -> list[str]:
    """Names of the limits."""
    from engine.contracts.session import Limits  # noqa: PLC0415

    return list(Limits.__struct_fields__)


def config_keys() -> list[str]:
    """Keys of the configuration."""
    from config.settings import defaults  # noqa: PLC0415
    from engine.contracts.session import Environment  # noqa: PLC0415

    return sorted(defaults(Environment.DEV))


def scenarios() -> list[str]:
    """Names of the local exchange's scenarios."""
    from config.scenarios import scenario_names  # noqa: PLC0415

    return list(scenario_names())


def views() -> list[str]:
    """Names of the store's views."""
    from engine.store.catalogue import TABLES  # noqa: PLC0415

    return [one.name for one in TABLES]
