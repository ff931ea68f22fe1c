"""The reviewer's terminal as witness: its own copy of the journal's signed heads.

Whoever owns the workspace can rewrite the journal and sign new heads; not the copy in the state
folder of another person. A head that goes back, or speaks of another journal, is written down with
what is wrong with it, and is shown from then on: a journal that grows past the old size again would
otherwise look right. Only removing the copy by hand ends it.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable
from pathlib import Path

from engine.contracts.errors import IntegrityError
from engine.journal.heads import Head, parse_head
from peakctl.client.replies import HeadText


def heads_file(workspace: Path) -> Path:
    """Where this user's copy of a workspace's heads lies."""
    import platformdirs  # noqa: PLC0415  (after the first paint)

    name = hashlib.sha256(os.fsencode(workspace.resolve())).hexdigest()[:16]
    return Path(platformdirs.user_state_dir("peakctl")) / "heads" / f"{name}.jsonl"


def extends(old: Head | None, new: Head) -> str:
    """Why `new` cannot come after `old`; "" when it can."""
    if old is None or new == old:
        return ""
    if new.origin != old.origin:
        return f"another journal: {new.origin}, not {old.origin}"
    if new.size < old.size:
        return f"the journal went back: {new.size} events, {old.size} were seen here"
    if new.size == old.size:
        return f"other content at {new.size} events than was seen here"
    return ""


class Witness:
    """The copy in one file; blocking, for a thread. Each line is one head as it was received."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._last: Head | None = None
        self._wrong: str | None = None

    def judge(self, heads: Iterable[HeadText]) -> str:
        """Keep what continues the copy. Returns what is wrong, "" while nothing ever was.

        Raises OSError when the copy cannot be read or written.
        """
        try:
            if self._wrong is None:
                self._last, self._wrong = self._kept()
            for received in heads:
                if not self._wrong:
                    self._take(received)
        except IntegrityError as error:
            return error.line()
        return self._wrong

    def _take(self, received: HeadText) -> None:
        head = parse_head(received.text, "the engine's head")
        wrong = extends(self._last, head)
        if wrong:
            self._wrong = wrong
            self._append({**_row(received), "wrong": wrong})
        elif head != self._last:
            self._append(_row(received))
            self._last = head

    def _kept(self) -> tuple[Head | None, str]:
        """The last head and the first wrong of the copy; a line cut off by a crash is no head."""
        try:
            raw = self.path.read_bytes()
        except FileNotFoundError:
            return None, ""
        last = None
        for number, line in enumerate(raw[: raw.rfind(b"\n") + 1].splitlines(), 1):
            where = f"{self.path}:{number}"
            try:
                row = json.loads(line or b"{}")
                if row.get("wrong"):
                    return last, str(row["wrong"])
                last = parse_head(row["text"], where) if row else last
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise IntegrityError(what="the kept head cannot be read", where=where) from error
        return last, ""

    def _append(self, row: dict[str, str]) -> None:
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        with os.fdopen(os.open(self.path, flags, 0o600), "r+b") as file:
            raw = file.read()
            file.truncate(raw.rfind(b"\n") + 1)  # a line that a crash cut off
            file.write(json.dumps(row, sort_keys=True).encode("ascii") + b"\n")
            file.flush()
            os.fsync(file.fileno())


def _row(head: HeadText) -> dict[str, str]:
    return {"text": head.text, "signature": head.signature}
