"""Checkpoints of the state: what a restart may begin with instead of folding everything again (I7).

A checkpoint is a file with the frozen state of the first `size` events, and an event in the journal
that names the file's sha256, the head it stands on and the code that made it. The journal stays the
only truth: the file counts only if the event is in the chain right behind those events, and the
file's bytes, the journal's head at that size and the installed code are exactly the named ones.
Anything else (no file, another byte, another version, a journal put back) and everything is folded
from the first event; nobody need repair anything. That the two ways end in the same state is
tested; which way a start went is told in `engine.recovered`.

Writing one happens where nothing trades: at a start that had much to fold, when a session is
chartered and at the stop.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import zlib
from itertools import islice
from pathlib import Path

import msgspec

from engine.contracts.canonical import sha256_hex
from engine.contracts.errors import IntegrityError
from engine.contracts.event import StateCheckpointed
from engine.contracts.people import automaton
from engine.execution.core import Core, State
from engine.execution.records.frozen import NotPlain, freeze, thaw
from engine.journal.chain import decode_line
from engine.journal.segments import sync_folder
from engine.journal.writer import Journal

#: So many events since the last one make a new one worth its while.
WORTH_EVENTS = 10_000
#: The event follows the events it speaks of, but for a few that were on their way.
_LOOK_AHEAD = 1_000
#: A larger state is folded again rather than believed: it is none of ours.
_MOST_BYTES = 1 << 30
_NAME = re.compile(r"(?P<size>[0-9]{12})\.state")
_KEPT = 2

_CHECKPOINT = automaton("checkpoint")


class Restored(msgspec.Struct, frozen=True):
    """A state to go on from, with the number of its events; why a file did not count, or ""."""

    state: State
    size: int
    refused: str


def restore(folder: Path, journal: Journal, code_sha256: str) -> Restored:
    """The state of the newest checkpoint that counts, or the empty one."""
    refused = ""
    for path in _files(folder):
        try:
            state, size = _read(path, journal, code_sha256)
        except (IntegrityError, OSError, zlib.error) as error:
            refused = refused or f"{path.name}: {str(error).partition(chr(10))[0]}"
        else:
            return Restored(state, size, refused)
    return Restored(State(), 0, refused)


async def write(core: Core, folder: Path, code_sha256: str) -> StateCheckpointed | None:
    """Write the present state down and journal that; None when it holds what cannot be written.

    The walk over the state is done here and now, so that it is of one moment. Raises JournalFailed.
    A disk that does not take the file is no fault: the next start folds.
    """
    size, head = core.journal.size, core.journal.head
    try:
        plain = freeze(core.state)
    except NotPlain:
        return None
    path = folder / f"{size:012d}.state"
    try:
        sha256 = await asyncio.to_thread(_write, path, plain)
    except OSError:
        return None
    event = StateCheckpointed(
        size=size, head=head, file=path.name, state_sha256=sha256, code_sha256=code_sha256
    )
    await core.record(_CHECKPOINT, event)
    return event


def _files(folder: Path) -> list[Path]:
    try:
        return sorted((one for one in folder.iterdir() if _NAME.fullmatch(one.name)), reverse=True)
    except OSError:
        return []


def _write(path: Path, plain: bytes) -> str:
    content = zlib.compress(plain, 1)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_suffix(".partial")
    with draft.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    sync_folder(path.parent)
    for older in _files(path.parent)[_KEPT:]:
        with contextlib.suppress(OSError):
            older.unlink()
    return sha256_hex(content)


def _read(path: Path, journal: Journal, code_sha256: str) -> tuple[State, int]:
    """The state of one file. Raises IntegrityError saying what does not agree."""
    content = _content(path)
    size = int(path.name.partition(".")[0])
    told = _told(journal, size, path.name)
    if told is None:
        raise _refused(path, "the journal does not speak of it")
    if told.state_sha256 != sha256_hex(content):
        raise _refused(path, "its bytes are not those that were written")
    if told.head != journal.head_at(size):
        raise _refused(path, "it stands on another history")
    if told.code_sha256 != code_sha256:
        raise _refused(path, "another version of the code made it")
    state = thaw(zlib.decompress(content))
    if type(state) is not State:
        raise _refused(path, "it holds something else")
    return state, size


def _content(path: Path) -> bytes:
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    with os.fdopen(os.open(path, flags), "rb") as file:
        if os.fstat(file.fileno()).st_size > _MOST_BYTES:
            raise _refused(path, "no state of ours is that long")
        return file.read()


def _told(journal: Journal, size: int, name: str) -> StateCheckpointed | None:
    """The event that speaks of the file, looked for behind the events that it stands for."""
    if size > journal.size:
        return None
    for line in islice(journal.lines(size), _LOOK_AHEAD):
        event = decode_line(line, "journal")[0].event
        if isinstance(event, StateCheckpointed) and (event.size, event.file) == (size, name):
            return event
    return None


def _refused(path: Path, what: str) -> IntegrityError:
    return IntegrityError(what=what, where=str(path), todo="nothing: all events are folded again")
