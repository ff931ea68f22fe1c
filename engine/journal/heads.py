"""Heads: the journal's size and hash at a moment, signed, so that no earlier line can be replaced.

A head is three words, `origin size hash` (a newline after each), as in C2SP checkpoints: it reads
with `read().split()`. The journal's own folder cannot witness against its owner; the copy that the
reviewer's terminal keeps can.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Protocol

import msgspec

from engine.contracts.errors import InputError, IntegrityError
from engine.contracts.event import SessionChartered
from engine.journal.segments import sync_folder
from engine.plain_file import read_plain

_TEXT = re.compile(r"(?P<origin>[!-~]+)\n(?P<size>0|[1-9][0-9]{0,17})\n(?P<hash>[0-9a-f]{64})\n")
_NAME = re.compile(r"[0-9]{12}\.txt")
_CHARTERED = b',"kind":"%b","prev":"' % str(SessionChartered.__struct_config__.tag).encode()

HEADS_GONE = "no signed head is left, and this journal had some: they were removed"
_BACK = "bring the journal back from a copy, or compare with the reviewer's own heads"


class Head(msgspec.Struct, frozen=True):
    """`size` events, the last with `hash`; `origin` names the journal (`peakctl/<host>/<id>`)."""

    origin: str
    size: int
    hash: str


class SignedHead(msgspec.Struct, frozen=True):
    """A head as it lies on disk; `signature` is armoured SSHSIG over `text`."""

    head: Head
    text: str
    signature: str
    path: Path


class HeadSource(Protocol):
    """What can say the hash after `size` events: the journal, or a verified copy of it."""

    @property
    def size(self) -> int:
        """Number of events."""
        ...

    def head_at(self, size: int) -> str:
        """Hash (hex) of the line that made it `size` events."""
        ...

    def lines(self) -> Iterator[bytes]:
        """All raw lines, newlines included."""
        ...


def head_text(origin: str, size: int, head: str) -> str:
    """Return the exact text that is signed. Raises InputError for what would not read back."""
    text = f"{origin}\n{size}\n{head}\n"
    if not _TEXT.fullmatch(text):
        raise InputError(
            what="origin must be printable ASCII without spaces, hash 64 hex digits",
            where=f"head {origin!r} {size} {head!r}",
        )
    return text


def parse_head(text: str, where: str) -> Head:
    """Read a head's text. Raises IntegrityError for anything but the exact form."""
    match = _TEXT.fullmatch(text)
    if match is None:
        raise IntegrityError(what="not a head (origin, size and hash, a line each)", where=where)
    return Head(match["origin"], int(match["size"]), match["hash"])


def write_head(
    folder: Path, origin: str, size: int, head: str, sign: Callable[[bytes], str]
) -> SignedHead:
    """Sign a head and store it durably as `<size>.txt` and `<size>.txt.sig`.

    `sign` returns the armoured signature over the bytes it is given. The signature is in place
    before the text, so a head that can be read has its signature.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    text = head_text(origin, size, head)
    signature = sign(text.encode("ascii"))
    path = folder / f"{size:012d}.txt"
    _replace(path.with_suffix(".txt.sig"), signature)
    _replace(path, text)
    sync_folder(folder)
    return SignedHead(parse_head(text, str(path)), text, signature, path)


def read_heads(folder: Path) -> list[SignedHead]:
    """All heads in the folder, smallest first; signatures are for the caller to check.

    Raises IntegrityError naming a head that does not read, has no signature or a wrong name, and
    for something else in the place of the folder: that is not "no head was signed".
    """
    if not os.path.lexists(folder):
        return []
    try:
        found = sorted(entry for entry in folder.iterdir() if _NAME.fullmatch(entry.name))
    except OSError as error:
        raise IntegrityError(
            what=f"the folder of the signed heads cannot be read ({error.strerror})",
            where=str(folder),
            todo="bring it back from a copy",
        ) from error
    heads: list[SignedHead] = []
    for path in found:
        try:
            text = read_plain(path).decode("ascii")
            signature = read_plain(path.with_suffix(".txt.sig")).decode("ascii")
        except (OSError, UnicodeDecodeError) as error:
            raise IntegrityError(
                what=f"the head cannot be read ({error})", where=str(path)
            ) from error
        head = parse_head(text, str(path))
        if path.name != f"{head.size:012d}.txt":
            raise IntegrityError(what=f"the head of {head.size} has another name", where=str(path))
        heads.append(SignedHead(head, text, signature, path))
    return heads


def extends(old: Head, new: Head, journal: HeadSource) -> bool:
    """Tell whether `new` continues `old`: same origin, not shorter, and both are in the journal."""
    return (
        old.origin == new.origin
        and old.size <= new.size <= journal.size
        and journal.head_at(old.size) == old.hash
        and journal.head_at(new.size) == new.hash
    )


def refuse_rewritten(journal: HeadSource, folder: Path) -> None:
    """Refuse a journal that is not a continuation of the newest head in the folder.

    A head is signed once its events are on the disk, so no crash explains a journal without them:
    somebody cut or replaced it. Raises IntegrityError naming the head and the way out.
    """
    signed = read_heads(folder)
    if not signed:
        if heads_are_gone(journal.lines()):
            raise IntegrityError(what=HEADS_GONE, where=str(folder), todo=_BACK)
        return
    newest = signed[-1]
    if newest.head.size > journal.size:
        found = f"the journal ends after {journal.size} events, {newest.head.size} were signed for"
    elif journal.head_at(newest.head.size) != newest.head.hash:
        found = f"the journal's first {newest.head.size} events are not those that were signed for"
    else:
        return
    raise IntegrityError(what=found, where=str(newest.path), todo=_BACK)


def heads_are_gone(lines: Iterable[bytes]) -> bool:
    """Whether a journal without any head must have had one.

    Each start signs one before anybody can charter a session.
    """
    return any(_CHARTERED in line for line in lines)


def _replace(path: Path, text: str) -> None:
    draft = path.with_name(path.name + ".partial")
    with draft.open("wb") as file:
        file.write(text.encode("ascii"))
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
