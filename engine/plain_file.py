"""Reading a plain file, and nothing that nobody would ever finish reading.

A fifo waits for a writer, a device has no end, a sparse file of terabytes costs whoever put it
there nothing. The engine reads files of the workspace on the loop that a kill needs too, so each of
them is opened without waiting, must be a plain file (or a link to one) and of a bounded size.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

#: No file that people or this program write for one another is larger.
MOST_BYTES = 16 << 20


def open_plain(path: str | Path, flags: int = os.O_RDONLY) -> int:
    """A descriptor of a plain file of a bounded size; also as an `opener`. Raises OSError."""
    handle = os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC)
    facts = os.fstat(handle)
    if stat.S_ISREG(facts.st_mode) and facts.st_size <= MOST_BYTES:
        return handle
    os.close(handle)
    raise OSError(errno.EINVAL, "not a plain file of at most 16 MiB", str(path))


def read_plain(path: Path) -> bytes:
    """The file's bytes. Raises OSError."""
    with os.fdopen(open_plain(path), "rb") as file:
        return file.read(MOST_BYTES)


def read_plain_text(path: Path) -> str:
    """The file's text, line ends as one newline. Raises OSError, UnicodeDecodeError."""
    with open(path, encoding="utf-8", opener=open_plain) as file:
        return file.read()
