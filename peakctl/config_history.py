"""What config was in force in a session, read from the journal without touching it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from engine.contracts.errors import InputError
from engine.contracts.event import ConfigLoaded, GoRequested, SessionChartered

#: The kinds that are read; every other line is passed over unread.
_KINDS = (b'"kind":"config.loaded"', b'"kind":"session.chartered"', b'"kind":"go.requested"')


def config_of_session(journal: Path, session_id: str = "") -> tuple[str, Mapping[str, str]]:
    """The session's id and the values in force when its go was asked for, or when it was chartered.

    The newest session without an id. Raises InputError when the journal does not tell.
    """
    from engine.journal.chain import decode_line  # noqa: PLC0415
    from engine.journal.segments import lines_in, open_segment, segment_paths  # noqa: PLC0415

    loaded: ConfigLoaded | None = None
    found: dict[str, ConfigLoaded | None] = {}
    for path in segment_paths(journal):
        with open_segment(path) as file:
            for number, line in enumerate(lines_in(file), start=1):
                if not line.endswith(b"\n") or not any(kind in line for kind in _KINDS):
                    continue
                event = decode_line(line, f"{path.name}:{number}")[0].event
                match event:
                    case ConfigLoaded():
                        loaded = event
                    case SessionChartered(session_id=one) | GoRequested(session_id=one):
                        found[one] = loaded
    wanted = session_id or next(reversed(found), "")
    known = found.get(wanted)
    if known is None:
        ids = ", ".join(one for one, config in found.items() if config is not None)
        raise InputError(
            what=f"no config of session {wanted[:40]!r}" if wanted else "there was no session yet",
            where="journal",
            todo=f"there are: {ids}" if ids else "compare with --against defaults",
        )
    return wanted, known.values
