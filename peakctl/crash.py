"""What is kept of a fault of our own: one line to the person, the frames to a file.

The file holds frames and messages and no local variables, which may be secrets; what the messages
may hold is searched for every secret that this process has read, and for the values of variables
whose names say secret (I10).
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
import time
import traceback
from collections.abc import Sequence
from pathlib import Path

#: Variables whose value is kept out of every message, read by us or not.
_SECRET_NAME = re.compile(r"(?i)(secret|passw|passphrase|token|api_?key|private_?key|credential)")


def without_secrets(text: str) -> str:
    """The text without any secret that this process may know."""
    from engine.ops.redaction import Redaction  # noqa: PLC0415  (only where something went wrong)

    read = sys.modules.get("config.secrets")
    known = () if read is None else read.resolved_values()
    named = (value for name, value in os.environ.items() if _SECRET_NAME.search(name))
    return Redaction([*known, *named]).text(text)


def crash_line(error: BaseException, folders: Sequence[Path]) -> str:
    """Keep the fault in the first of these folders that takes it, else in the temporary folder.

    Returns the one line that is to be shown.
    """
    return f"{type(error).__name__}: a fault of peakctl's own; {_kept(error, folders)}"


def _kept(error: BaseException, folders: Sequence[Path]) -> str:
    text = without_secrets("".join(traceback.format_exception(error, limit=None, chain=True)))
    name = f"crash-{time.time_ns() // 1_000_000}-{os.getpid()}.txt"
    for folder in (*folders, Path(tempfile.gettempdir())):
        try:
            descriptor = os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except OSError:
            continue
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as handle:
            handle.write(text)
        return f"see {folder / name}"
    return "run again with --debug"
