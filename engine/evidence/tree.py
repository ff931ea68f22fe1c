"""Reading a folder that may have been made to hurt us.

Nothing here follows a symbolic link, opens a fifo or device, or trusts a name: the tree is walked
with folder descriptors, every file is opened with O_NOFOLLOW and checked again with fstat after the
open. What is not a regular file or a non-empty folder is reported by name and never read.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from engine.contracts.errors import IntegrityError
from engine.journal.segments import lines_in

_CHUNK = 1 << 20
_MAX_DEPTH = 8


class TreeScan(msgspec.Struct, frozen=True, kw_only=True):
    """Files (relative name -> size in bytes) and what is wrong, as (name, what).

    `marks` tells a file from another one under its name, and from itself after a change: inode,
    size, times of content and of entry (ns).
    """

    files: dict[str, int]
    marks: dict[str, tuple[int, int, int, int]]
    faults: tuple[tuple[str, str], ...]


def scan(folder: Path) -> TreeScan:
    """List all regular files under `folder` and every entry that has no place in a pack."""
    files: dict[str, int] = {}
    marks: dict[str, tuple[int, int, int, int]] = {}
    faults: list[tuple[str, str]] = []
    pending: list[tuple[str, int]] = [("", 0)]
    while pending:
        base, depth = pending.pop()
        empty = True
        with _open_folder(folder, base) as descriptor, os.scandir(descriptor) as entries:
            for entry in entries:
                empty = False
                name = f"{base}/{entry.name}" if base else entry.name
                status = entry.stat(follow_symlinks=False)
                if stat.S_ISREG(status.st_mode):
                    files[name] = status.st_size
                    marks[name] = _mark(status)
                elif not stat.S_ISDIR(status.st_mode):
                    faults.append((shown(name), f"is a {_kind(status.st_mode)}, not a file"))
                elif depth >= _MAX_DEPTH:
                    faults.append((shown(name), "is too deep"))
                else:
                    pending.append((name, depth + 1))
        if empty and base:
            faults.append((shown(base), "is an empty folder"))
    return TreeScan(files=files, marks=marks, faults=tuple(sorted(faults)))


def shown(name: str) -> str:
    """A name that is safe to print: control and non-ASCII characters escaped."""
    return name if name.isascii() and name.isprintable() else ascii(name)


def read_regular(folder: Path, name: str, limit: int) -> bytes:
    """Read one regular file of at most `limit` bytes. Raises IntegrityError."""
    with open_regular(folder, name) as descriptor:
        size = os.fstat(descriptor).st_size
        if size > limit:
            raise IntegrityError(what=f"{size} bytes are over the {limit} allowed", where=name)
        with os.fdopen(os.dup(descriptor), "rb") as handle:
            # Asked for in one piece, so much memory is taken at once; what grows is cut off, and
            # `marks` tell.
            return handle.read(size)


def sha256_regular(folder: Path, name: str) -> str:
    """Hex sha256 of one regular file, streamed."""
    with (
        open_regular(folder, name) as descriptor,
        os.fdopen(os.dup(descriptor), "rb", buffering=0) as handle,
    ):
        return hashlib.file_digest(handle, "sha256").hexdigest()


def lines_of(folder: Path, name: str) -> Iterator[bytes]:
    """The lines of one regular file with their line feeds, streamed."""
    with (
        open_regular(folder, name) as descriptor,
        os.fdopen(os.dup(descriptor), "rb", buffering=_CHUNK) as handle,
    ):
        yield from lines_in(handle)


@contextmanager
def open_regular(folder: Path, name: str) -> Iterator[int]:
    """Open `folder/name` for reading without following links in any part of `name`."""
    parent, _, last = name.rpartition("/")
    with _open_folder(folder, parent) as inside:
        try:
            descriptor = os.open(
                last, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=inside
            )
        except OSError as error:
            raise IntegrityError(
                what=f"cannot be read ({error.strerror})", where=shown(name)
            ) from error
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise IntegrityError(what="is not a regular file", where=shown(name))
            yield descriptor
        finally:
            os.close(descriptor)


@contextmanager
def _open_folder(folder: Path, inner: str) -> Iterator[int]:
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
    try:
        descriptor = os.open(folder, flags)
    except OSError as error:
        raise IntegrityError(
            what=f"cannot be read as a folder ({error.strerror})", where=str(folder)
        ) from error
    try:
        for part in inner.split("/") if inner else ():
            try:
                deeper = os.open(part, flags | os.O_NOFOLLOW, dir_fd=descriptor)
            except OSError as error:
                raise IntegrityError(
                    what=f"cannot be read as a folder ({error.strerror})", where=shown(inner)
                ) from error
            os.close(descriptor)
            descriptor = deeper
        yield descriptor
    finally:
        os.close(descriptor)


def _mark(status: os.stat_result) -> tuple[int, int, int, int]:
    return (status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def _kind(mode: int) -> str:
    for test, word in (
        (stat.S_ISLNK, "symbolic link"),
        (stat.S_ISFIFO, "fifo"),
        (stat.S_ISSOCK, "socket"),
    ):
        if test(mode):
            return word
    return "device"
