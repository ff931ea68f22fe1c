"""The engine's own diary: JSON lines for whoever maintains it. Not evidence; that is the journal.

No secret leaves (I10): every value that goes through here is searched for the secrets this process
holds, and for fields named like one, before it is written. Redaction works on the finished line
too: an exception's text or a third party's message may carry a key in the middle.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, ClassVar, TextIO, cast

from engine.diary import FIELDS
from engine.ops.redaction import REDACTED, Redaction

_SECRET_NAME = re.compile(
    r"(?i)(secret|password|passphrase|token|api_?key|private_?key|signature)$"
)


class Redactor(Redaction):
    """Replaces known secret values in every spelling, and fields named like a secret.

    `caught` counts the lines of this process that held one: nobody should have written them.
    """

    caught: ClassVar[int] = 0

    def text(self, text: str) -> str:
        """The text without any known secret."""
        blanked = super().text(text)
        Redactor.caught += blanked != text
        return blanked

    def fields(self, given: Mapping[str, object]) -> dict[str, object]:
        """The fields, those blank whose name says secret."""
        return {
            key: REDACTED if _SECRET_NAME.search(key) and value else value
            for key, value in given.items()
        }


class _Lines(logging.Formatter):
    """Renders a record, ours or a third party's, as one redacted JSON line."""

    def __init__(self, redactor: Redactor) -> None:
        super().__init__()
        self._redactor = redactor

    def format(self, record: logging.LogRecord) -> str:
        """The line without its newline."""
        line: dict[str, object] = {
            **self._redactor.fields(getattr(record, FIELDS, {})),
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="microseconds"),
            "event": record.getMessage(),
            "level": record.levelname.lower(),
            "logger": record.name,
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return self._redactor.text(json.dumps(line, sort_keys=True, default=repr))


class _File:
    """The file as logging sees it: a line that the disk does not take is lost, and no more.

    On a full disk the engine still has to latch, cancel and answer (I13).
    """

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write as much as the disk takes."""
        with contextlib.suppress(OSError):
            return self._stream.write(text)
        return 0

    def flush(self) -> None:
        """Flush what can be flushed."""
        with contextlib.suppress(OSError):
            self._stream.flush()


def configure(path: Path, secrets: Sequence[str], level: int = logging.INFO) -> IO[str]:
    """Send every line of the process, third parties' too, to `path` as redacted JSON.

    The file is made for its owner alone (0600) and appended to. `secrets` are the values this
    process knows. Returns the open file, which the caller closes at the end. Called again, it
    replaces the earlier configuration.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    stream = os.fdopen(descriptor, "w", encoding="utf-8", buffering=1)
    handler = logging.StreamHandler(cast(TextIO, _File(stream)))
    handler.setFormatter(_Lines(Redactor(secrets)))
    root = logging.getLogger()
    for old in [one for one in root.handlers if getattr(one, "peakctl", False)]:
        root.removeHandler(old)
    handler.peakctl = True  # type: ignore[attr-defined]
    root.addHandler(handler)
    root.setLevel(level)
    return stream
