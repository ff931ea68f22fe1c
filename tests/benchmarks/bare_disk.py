"""The least that makes one line durable: a write and an fdatasync."""

from __future__ import annotations

import os
import time
from pathlib import Path

#: About as long as a line of the journal.
_LINE = b"x" * 600 + b"\n"
#: About as long as the line of an order's intent, with the answer of every check.
INTENT_LINE = b"x" * 3000 + b"\n"


class BareFile:
    """A file that is appended to; the descriptor stays open, as a journal's does."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def append(self, line: bytes) -> None:
        """Write the line and wait for the disk."""
        os.write(self._descriptor, line)
        os.fdatasync(self._descriptor)

    def close(self) -> None:
        """Close the descriptor."""
        os.close(self._descriptor)


def write_durably(path: Path) -> float:
    """Append one line and wait for the disk; milliseconds."""
    file = BareFile(path)
    try:
        begin = time.perf_counter()
        file.append(_LINE)
        return (time.perf_counter() - begin) * 1000
    finally:
        file.close()
