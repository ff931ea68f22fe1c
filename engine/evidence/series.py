"""Judging a folder of packs as one history: each pack, and what ties each to the one before it.

Every pack carries the journal from its first line, so the journal of a later pack must begin with
the whole journal of an earlier one. On top of `verify_pack` for each: the journals are one chain
(no fork, nothing replaced), signed by one log key or by a new one that the journal explains, every
pack that a journal says was sealed is here, no pack is here that nobody sealed, and revisions
follow each other to the pack. One pass over each journal; what is kept of it is a few lines.
"""

from __future__ import annotations

import base64
import itertools
import stat
from collections.abc import Iterator
from pathlib import Path

import msgspec

from engine.contracts.canonical import sha256_hex
from engine.contracts.event import (
    PackRevised,
    PackSealed,
    PeopleChanged,
    PeopleLoaded,
    PeopleNoticed,
    SessionChartered,
    SessionMoved,
)
from engine.contracts.session import SessionState
from engine.evidence import bag, tree
from engine.evidence.bag_check import PackReport
from engine.evidence.pack import is_leftover
from engine.evidence.revision import DOCUMENT, revised_name, verify_revision
from engine.evidence.verify import verify_pack
from engine.journal.chain import decode_line
from engine.journal.heads import Head, parse_head
from engine.signatures.sshsig import fingerprint, parse

_LOG = "data/audit/log.jsonl"
_HEAD = "data/audit/head.txt"
_LIMIT = 16 << 20
_ENDED = {SessionState.NO_GO, SessionState.ABORTED}
_KINDS = tuple(
    b',"kind":"%b","prev":"' % str(kind.__struct_config__.tag).encode()
    for kind in (PackSealed, PackRevised, SessionChartered, SessionMoved)
)
#: Changes of the roster, which carry the text of allowed_signers: how a new log key comes in.
_PEOPLE = tuple(
    b',"kind":"%b","prev":"' % str(kind.__struct_config__.tag).encode()
    for kind in (PeopleLoaded, PeopleChanged, PeopleNoticed)
)


class Link(msgspec.Struct, frozen=True, kw_only=True):
    """One folder of the series. `kind` is pack, revision, leftover or other; `ok` is its own."""

    folder: str
    kind: str
    ok: bool
    session_id: str = ""
    events: int = 0
    head: str = ""
    log_key: str = ""
    tagmanifest_sha256: str = ""


class Break(msgspec.Struct, frozen=True, kw_only=True):
    """What is wrong with a folder or between two; `level` is error, or note for no fault."""

    folder: str
    what: str
    level: str = "error"


class SeriesReport(msgspec.Struct, frozen=True, kw_only=True):
    """The answer: `links` in the order of their journals; packs, then revisions and others."""

    ok: bool
    links: tuple[Link, ...]
    breaks: tuple[Break, ...]


class _Read(msgspec.Struct, kw_only=True):
    """What one pass over a pack's journal kept."""

    hash_at: dict[int, str]
    sealed: list[PackSealed]
    revised: list[PackRevised]
    chartered: list[str]
    ended: set[str]
    #: Fingerprint of a log key -> the last line in which a change of the roster shows it.
    keys_named: dict[str, int]


def verify_series(
    folder: Path,
    allowed_signers: Path | None,
    revoked: Path | None = None,
    *,
    at_us: int | None = None,
) -> SeriesReport:
    """Check a folder of sealed packs. Never raises for what is in it."""
    series = _Series(folder, allowed_signers, revoked, at_us)
    series.run()
    ok = bool(series.packs) and not any(one.level == "error" for one in series.breaks)
    return SeriesReport(
        ok=ok,
        links=(*series.packs, *series.revisions, *series.others),
        breaks=tuple(series.breaks),
    )


class _Series:
    """One run over one folder."""

    def __init__(
        self, folder: Path, allowed_signers: Path | None, revoked: Path | None, at_us: int | None
    ) -> None:
        self._folder = folder
        self._signers = allowed_signers
        self._revoked = revoked
        self._at_us = at_us
        #: Log keys that signed here: fingerprint -> the key as allowed_signers writes it.
        self._keys: dict[str, bytes] = {}
        self.packs: list[Link] = []
        self.revisions: list[Link] = []
        self.others: list[Link] = []
        self.breaks: list[Break] = []

    def run(self) -> None:
        for name in sorted(path.name for path in self._folder.iterdir()):
            self._look(name)
        if not self.packs:
            self._fault(str(self._folder), "holds no pack")
            return
        self.packs.sort(key=lambda one: (one.events, one.folder))
        whole = [one for one in self.packs if one.ok]
        read = {one.folder: self._read(one, whole) for one in whole}
        for before, after in itertools.pairwise(whole):
            self._follows(before, after, read[after.folder])
        if whole:
            self._complete(whole[-1], read[whole[-1].folder])

    def _fault(self, folder: str, what: str) -> None:
        self.breaks.append(Break(folder=tree.shown(folder), what=what))

    def _note(self, folder: str, what: str) -> None:
        self.breaks.append(Break(folder=tree.shown(folder), what=what, level="note"))

    # --- each folder by itself --------------------------------------------------------------------

    def _look(self, name: str) -> None:
        path = self._folder / name
        mode = path.lstat().st_mode
        if stat.S_ISREG(mode):
            return
        if not stat.S_ISDIR(mode):
            self._fault(name, "is neither a folder nor a plain file")
        elif is_leftover(name):
            self.others.append(Link(folder=name, kind="leftover", ok=True))
            self._note(name, "is not sealed: a writing that did not come to its end")
        elif revised_name(name) is not None or (path / DOCUMENT).exists():
            self._judge(path, "revision", self.revisions)
        elif any((path / tag).exists() for tag in (bag.BAGIT_NAME, bag.TAGMANIFEST_NAME)):
            self._judge(path, "pack", self.packs)
        else:
            self.others.append(Link(folder=name, kind="other", ok=True))
            self._note(name, "is no pack")

    def _judge(self, path: Path, kind: str, into: list[Link]) -> None:
        judge = verify_pack if kind == "pack" else verify_revision
        report: PackReport = judge(path, self._signers, self._revoked, at_us=self._at_us)
        for finding in report.findings:
            if finding.level == "error":
                self._fault(path.name, f"{finding.file}: {finding.what}")
        if not report.ok:
            into.append(Link(folder=path.name, kind=kind, ok=False, session_id=report.session_id))
            return
        head = self._head(path)
        armoured = tree.read_regular(path, f"{_HEAD}.sig", _LIMIT).decode("ascii")
        blob = parse(armoured).public_key_blob
        self._keys[fingerprint(blob)] = base64.b64encode(blob)
        into.append(
            Link(
                folder=path.name,
                kind=kind,
                ok=True,
                session_id=report.session_id,
                events=head.size,
                head=head.hash,
                log_key=fingerprint(blob),
                tagmanifest_sha256=sha256_hex(
                    tree.read_regular(path, bag.TAGMANIFEST_NAME, _LIMIT)
                ),
            )
        )

    @staticmethod
    def _head(path: Path) -> Head:
        return parse_head(tree.read_regular(path, _HEAD, _LIMIT).decode("ascii"), _HEAD)

    # --- one after the other ----------------------------------------------------------------------

    def _read(self, pack: Link, packs: list[Link]) -> _Read:
        """One pass over a journal that `verify_pack` has walked from its first line to its head."""
        sizes = {one.events for one in (*packs, *self.revisions)}
        kept = _Read(hash_at={}, sealed=[], revised=[], chartered=[], ended=set(), keys_named={})
        for number, line in enumerate(self._lines(pack), 1):
            if number in sizes:
                kept.hash_at[number] = sha256_hex(line)
            if any(kind in line for kind in _KINDS):
                _keep(kept, line)
            if any(kind in line for kind in _PEOPLE):
                named = (key for key, mark in self._keys.items() if mark in line)
                kept.keys_named.update(dict.fromkeys(named, number))
        return kept

    def _lines(self, pack: Link) -> Iterator[bytes]:
        return tree.lines_of(self._folder / pack.folder, _LOG)

    def _follows(self, before: Link, after: Link, read: _Read) -> None:
        if before.events == after.events:
            self._fault(after.folder, f"ends where {before.folder} ends: one of them is a copy")
        if read.hash_at.get(before.events) != before.head:
            self._fault(
                after.folder,
                f"its journal does not begin with that of {before.folder}: forked or replaced",
            )
        explained = read.keys_named.get(after.log_key, 0) > before.events
        if before.log_key != after.log_key and not explained:
            self._fault(
                after.folder,
                f"its head is signed with {after.log_key}, that of {before.folder} with another"
                " key, and no change of the roster between them shows it",
            )

    def _complete(self, newest: Link, read: _Read) -> None:
        """What the newest journal says was sealed is here, and nothing else is."""
        here = {one.tagmanifest_sha256: one for one in self.packs if one.ok}
        sealed = {one.tagmanifest_sha256: one for one in read.sealed}
        for digest, event in sealed.items():
            if digest not in here:
                self._fault(event.folder, f"was sealed (session {event.session_id}) and is missing")
        for digest, pack in here.items():
            if digest not in sealed and pack is not newest:
                self._fault(
                    pack.folder, f"the journal of {newest.folder} does not say it was sealed"
                )
        packed = {one.session_id for one in read.sealed} | {one.session_id for one in self.packs}
        for session_id in read.chartered:
            if session_id not in packed:
                ended = "ended without a pack" if session_id in read.ended else "has no pack"
                self._note(newest.folder, f"session {session_id} {ended}, says its journal")
        self._revised(newest, read)

    def _revised(self, newest: Link, read: _Read) -> None:
        here = {one.tagmanifest_sha256: one for one in self.revisions if one.ok}
        told = {one.tagmanifest_sha256: one for one in read.revised}
        for digest, event in told.items():
            if digest not in here:
                self._fault(event.folder, "was sealed as a revision and is missing")
        for digest, revision in here.items():
            if digest in told:
                continue
            if revision.events >= newest.events:
                self._note(revision.folder, f"is newer than the journal of {newest.folder}")
            elif read.hash_at.get(revision.events) != revision.head:
                self._fault(revision.folder, f"its head is not in the journal of {newest.folder}")
            else:
                self._fault(revision.folder, f"the journal of {newest.folder} does not name it")


def _keep(kept: _Read, line: bytes) -> None:
    match decode_line(line, _LOG)[0].event:
        case PackSealed() as event:
            kept.sealed.append(event)
        case PackRevised() as event:
            kept.revised.append(event)
        case SessionChartered(session_id=session_id):
            kept.chartered.append(session_id)
        case SessionMoved(session_id=session_id, after=after) if after in _ENDED:
            kept.ended.add(session_id)
