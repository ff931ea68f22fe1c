"""What the engine goes by is its own user's (or root's) and not for everybody to write.

Roster, keys and folders in which names could be exchanged: one that anybody on the machine may
write says nothing of who wrote it, so no engine starts with it.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from pathlib import Path

from engine.contracts.errors import ConfigError


def refuse_open(paths: Iterable[Path]) -> None:
    """Look at each that is there; of a link at what it leads to. Raises ConfigError."""
    for path in paths:
        try:
            facts = path.stat()
        except FileNotFoundError:
            continue
        except OSError as error:
            raise ConfigError(
                what=f"cannot be looked at ({error.strerror})", where=str(path), todo="see doctor"
            ) from error
        mode = stat.S_IMODE(facts.st_mode)
        if facts.st_uid not in {os.geteuid(), 0} or mode & stat.S_IWOTH:
            raise ConfigError(
                what=f"owned by uid {facts.st_uid}, mode {mode:04o}",
                where=str(path),
                todo="it must be yours and not writable by everyone (chmod o-w)",
            )
