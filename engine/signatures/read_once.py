"""Reading a small file once, safely: a regular file only, no link followed, size bounded.

What is hashed, parsed and handed on must be one buffer; a path that is opened twice may be two
files.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from engine.contracts.errors import WorkspaceError

_MAX_BYTES = 1_000_000


def _opener(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)


def read_once(path: Path, *, private: bool = False) -> bytes:
    """The file's bytes. Raises WorkspaceError; with `private`, also when others may read it."""
    where = path.name
    try:
        with open(path, "rb", opener=_opener) as file:
            status = os.fstat(file.fileno())
            content = file.read(_MAX_BYTES + 1) if stat.S_ISREG(status.st_mode) else None
    except OSError as error:
        raise WorkspaceError(what=f"cannot be read ({error.strerror})", where=where) from error
    if content is None or len(content) > _MAX_BYTES:
        raise WorkspaceError(what="is not a file of at most 1 MB", where=where)
    if private and status.st_mode & 0o077:
        raise WorkspaceError(what="others may read it", where=where, todo=f"chmod 600 {where}")
    return content
