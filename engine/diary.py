"""Lines for the engine's own diary: an event and its fields, by whoever has something to tell.

The standard library's logging with fields: a start must not pay for a framework that takes a
terminal renderer along. Where the lines go, as what, and that no secret goes with them is
`engine.ops.log`'s; a process that did not configure it shows warnings and errors only.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping

#: Where a record of the standard library carries the fields.
FIELDS = "peakctl_fields"


class Diary:
    """Writes lines under one name: `Diary("kill").info("kill stage", stage="sent")`."""

    def __init__(self, name: str) -> None:
        self._log = logging.getLogger(name)

    def info(self, event: str, **fields: object) -> None:
        """What happened, for the record."""
        self._write(logging.INFO, event, fields)

    def warning(self, event: str, **fields: object) -> None:
        """What went wrong and is tried again."""
        self._write(logging.WARNING, event, fields)

    def error(self, event: str, *, exc_info: BaseException | None = None, **fields: object) -> None:
        """What went wrong, with the traceback of `exc_info`."""
        self._write(logging.ERROR, event, fields, exc_info)

    def exception(self, event: str, **fields: object) -> None:
        """What went wrong, with the traceback of the exception being handled."""
        self._write(logging.ERROR, event, fields, sys.exception())

    def _write(
        self,
        level: int,
        event: str,
        fields: Mapping[str, object],
        exc_info: BaseException | None = None,
    ) -> None:
        self._log.log(level, event, extra={FIELDS: fields}, exc_info=exc_info)
