"""The reviewer's terminal as witness: its own copy of the journal's signed heads.

Whoever owns the workspace can rewrite the journal and sign new heads; not the copy in the state
folder of another person. Each new head must be signed by the log key that was seen first, and must
continue the last one: the lines between the two are read from the engine and followed link by link,
so a journal that was put back from a copy and has grown past its old size again is noticed, also
when this terminal was closed meanwhile. What is wrong is written down and shown from then on; only
removing the copy by hand ends it. Heads that stop coming while events come are told as long as it
lasts.

The first head that it ever sees it compares with the last pack that both people sealed here
(`sealed_before`); where there is none it says so (`note`). What it cannot see: a journal that was
rewritten before that, with the packs taken away.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from engine.contracts.errors import ConfigError, IntegrityError
from engine.journal.heads import Head, parse_head
from peakctl.client.replies import HeadText

if TYPE_CHECKING:
    from peakctl.sealed_before import LastSealed
    from peakctl.workspace import Workspace

#: A head is due every 60 s while events come (DESIGN section 9); then some slack.
LATE_SECONDS = 60 + 15

#: Answers with the fingerprint of the log key that signed this head. Raises IntegrityError when it
#: was not the log key, ConfigError when that cannot be told.
Vouch = Callable[[HeadText], str]
#: Raw journal lines from a sequence number on, as many as the engine gives at once.
LinesFrom = Callable[[int], bytes]


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


def log_key_of(workspace: Workspace) -> Vouch:
    """The judge of heads: both verifiers, and the workspace's list of signers as it is now."""

    def vouch(received: HeadText) -> str:
        from engine.contracts.documents import Namespace  # noqa: PLC0415
        from engine.signatures.allowed_signers import parse_allowed_signers  # noqa: PLC0415
        from engine.signatures.check import Checker  # noqa: PLC0415
        from engine.signatures.read_once import read_once  # noqa: PLC0415

        text = read_once(workspace.allowed_signers).decode("utf-8", "replace")
        listed = parse_allowed_signers(text, str(workspace.allowed_signers)).signers
        logs = [row.principal for row in listed if Namespace.HEAD in row.namespaces]
        if not logs:
            raise ConfigError(
                what="names no key for the journal's heads", where=str(workspace.allowed_signers)
            )
        checker = Checker(workspace.allowed_signers, workspace.revoked_keys)
        verdict = checker.check(
            logs[0], Namespace.HEAD, received.text.encode("utf-8"), received.signature
        )
        if not verdict.ok:
            raise IntegrityError(what="a head is not signed by the log key", where=verdict.reason)
        return verdict.fingerprint

    return vouch


class _Kept(NamedTuple):
    """What the copy says: the last head, the log key's fingerprint, what was wrong first."""

    last: Head | None = None
    key: str = ""
    wrong: str = ""


class Witness:
    """The copy in one file; blocking, for a thread. Each line is one head as it was received."""

    def __init__(
        self,
        path: Path,
        vouch: Vouch,
        lines: LinesFrom,
        now_s: Callable[[], float] = time.monotonic,
        sealed: LastSealed = lambda: None,
    ) -> None:
        self.path = path
        #: what the first head was compared with, "" unless it was seen for the first time just now
        self.note = ""
        self._sealed = sealed
        self._vouch = vouch
        self._lines = lines
        self._now_s = now_s
        self._kept: _Kept | None = None
        self._behind_since: float | None = None
        self._said_late = False

    def judge(self, heads: Iterable[HeadText], events: int | None = None) -> str:
        """Keep what continues the copy. Returns what is wrong, "" while nothing is.

        `events` is how many the engine says it has. Raises OSError when the copy cannot be read or
        written, PeakError when the engine or the list of signers cannot be asked.
        """
        try:
            if self._kept is None:
                self._kept = self._still_there(self._read())
            for received in heads:
                if not self._kept.wrong:
                    self._take(self._kept, received)
        except IntegrityError as error:
            return error.line()
        wrong = self._kept.wrong or self._went_back(self._kept, events)
        late = self._late(events)
        self._said_late = bool(late) and not wrong
        return wrong or late

    def _take(self, kept: _Kept, received: HeadText) -> None:
        head = parse_head(received.text, "the engine's head")
        if head == kept.last:
            return
        try:
            key = self._vouch(received)
            wrong = extends(kept.last, head) or self._differs(kept, head, key)
        except IntegrityError as error:
            key, wrong = "", error.line()
        row = {"text": received.text, "signature": received.signature, "key": key}
        if wrong:
            self._append({**row, "wrong": wrong})
            self._kept = kept._replace(wrong=wrong)
            return
        self._append(row)
        self._kept = _Kept(head, key)
        self._behind_since = None

    def _differs(self, kept: _Kept, head: Head, key: str) -> str:
        """Why the journal behind `head` is not the one of the copy, continued; "" when it is."""
        if kept.key and key != kept.key:
            return f"heads are signed by another log key: {key}, not {kept.key}"
        try:
            if kept.last is None:
                return self._first(head)
            self._follow(kept.last, head)
        except IntegrityError as error:
            return f"the journal does not continue what was seen: {error.what} ({error.where})"
        return ""

    def _first(self, head: Head) -> str:
        """Compare with what was sealed before; what is wrong, or "". Raises IntegrityError."""
        before = self._sealed()
        if before is None:
            self.note = f"first seen here, at {head.size} events; there was nothing to compare with"
            self._follow(_just_before(head), head)
            return ""
        wrong = extends(before.head, head)
        if wrong:
            return f"{wrong} (in pack {before.pack})"
        self._follow(_just_before(before.head), before.head)
        self._follow(before.head, head)
        self.note = f"first seen here; it continues pack {before.pack}"
        return ""

    def _follow(self, old: Head, new: Head) -> None:
        """Walk the lines after `old` up to `new`. Raises IntegrityError where they do not fit.

        An `old` without a hash takes the first line's word for what came before it.
        """
        from engine.journal.chain import Link, walk  # noqa: PLC0415

        link = Link(old.size, old.hash)
        while link.size < new.size:
            lines = self._lines(link.size).splitlines(keepends=True)[: new.size - link.size]
            if not lines:
                raise IntegrityError(
                    what="the journal's lines up to its head are not to be had",
                    where=f"events {link.size} to {new.size}",
                )
            if not link.head:
                link = Link(link.size, _before(lines[0], f"event {link.size}"))
            walked = walk(lines, link, f"events from {link.size}")
            if walked.tail:
                raise IntegrityError(what="a line without an end", where=f"event {new.size}")
            link = walked.link
        if link.head != new.hash:
            raise IntegrityError(
                what="the journal's lines are not those that its head is of",
                where=f"event {new.size}",
            )

    def _still_there(self, kept: _Kept) -> _Kept:
        """After a restart: the last head that was seen must still be in the journal."""
        if kept.last is None or kept.wrong:
            return kept
        try:
            self._follow(_just_before(kept.last), kept.last)
        except IntegrityError as error:
            wrong = f"what was seen here is no longer in the journal: {error.line()}"
            self._append({"text": "", "signature": "", "key": kept.key, "wrong": wrong})
            return kept._replace(wrong=wrong)
        return kept

    @property
    def only_late(self) -> bool:
        """Whether what was said last is that heads stopped coming, and nothing worse."""
        return self._said_late

    @staticmethod
    def _went_back(kept: _Kept, events: int | None) -> str:
        if events is None or kept.last is None or events >= kept.last.size:
            return ""
        return f"the journal went back: {events} events, {kept.last.size} were seen here"

    def _late(self, events: int | None) -> str:
        """How long no head has come although events came; "" while it is not too long."""
        size = self._kept.last.size if self._kept and self._kept.last else 0
        if events is None or events <= size:
            self._behind_since = None
            return ""
        if self._behind_since is None:
            self._behind_since = self._now_s()
        silent_s = self._now_s() - self._behind_since
        if silent_s <= LATE_SECONDS:
            return ""
        return f"no signed head for {silent_s:.0f} s: {events - size} events are not vouched for"

    # --- the file -------------------------------------------------------------------------------

    def _read(self) -> _Kept:
        """What the copy says; a line cut off by a crash is no head."""
        try:
            raw = self.path.read_bytes()
        except FileNotFoundError:
            return _Kept()
        kept = _Kept()
        for number, line in enumerate(raw[: raw.rfind(b"\n") + 1].splitlines(), 1):
            where = f"{self.path}:{number}"
            try:
                row = json.loads(line or b"{}")
                if row.get("wrong"):
                    return kept._replace(wrong=str(row["wrong"]))
                if row:
                    kept = _Kept(parse_head(row["text"], where), str(row.get("key", "")))
            except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
                raise IntegrityError(what="the kept head cannot be read", where=where) from error
        return kept

    def _append(self, row: dict[str, str]) -> None:
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        with os.fdopen(os.open(self.path, flags, 0o600), "r+b") as file:
            raw = file.read()
            file.truncate(raw.rfind(b"\n") + 1)  # a line that a crash cut off
            file.write(json.dumps(row, sort_keys=True).encode("ascii") + b"\n")
            file.flush()
            os.fsync(file.fileno())


def _just_before(head: Head) -> Head:
    """One event before a head; what its hash was the line itself says."""
    return Head(head.origin, max(head.size - 1, 0), "")


def _before(line: bytes, where: str) -> str:
    """The hash that a line names as the one before it; nothing else of the line is believed."""
    try:
        return str(json.loads(line)["prev"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise IntegrityError(what="not a journal line", where=where) from error
