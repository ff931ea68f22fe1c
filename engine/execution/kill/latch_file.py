"""The latch on disk beside the journal (I4): one small file that says the kill is set.

The journal is the truth; the file is there so that a kill without the engine can set the latch, and
so that either alone is enough to stay latched. Removing the file releases nothing.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import msgspec

from engine.contracts.canonical import canonical

#: Of a latch file so much is read; ours have some hundred bytes.
_MOST_BYTES = 1 << 16


class LatchMark(msgspec.Struct, frozen=True, kw_only=True):
    """What the file holds. `pressed_us` is wall time, µs UTC."""

    kill_id: str
    reason: str
    source: str
    by: str
    pressed_us: int


def write_latch(path: Path, mark: LatchMark) -> None:
    """Write the latch file atomically and durably. Raises OSError."""
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        os.write(handle, canonical(mark) + b"\n")
        os.fsync(handle)
    finally:
        os.close(handle)
    partial.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def read_latch(path: Path) -> LatchMark | None:
    """Read the latch file; None when there is none.

    A file that cannot be read is still a latch (I12): its mark says so.
    """
    try:
        raw = _content(path)
    except FileNotFoundError:
        return None
    except OSError as error:
        return _doubtful(path, f"latch file unreadable: {error.strerror}")
    try:
        mark = msgspec.json.decode(raw, type=LatchMark)
    except msgspec.DecodeError:
        return _doubtful(path, "latch file is not what we wrote")
    return mark if mark.kill_id else _doubtful(path, "latch file names no kill")


def _content(path: Path) -> bytes:
    """The first bytes of a plain file. What would block or never end is not read: OSError."""
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    with os.fdopen(handle, "rb") as file:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise OSError(errno.EINVAL, "not a plain file")
        return file.read(_MOST_BYTES)


def latch_present(path: Path) -> bool:
    """Tell whether the file is there; a folder that cannot be looked into counts as yes (I12)."""
    try:
        os.lstat(path)  # at each order
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return True


def clear_latch(path: Path) -> None:
    """Remove the file after a release that the journal already holds."""
    path.unlink(missing_ok=True)


def stamp_of(path: Path) -> tuple[int, int] | None:
    """Inode and time of the file, which change with every writing; None when it is not there."""
    try:
        facts = path.lstat()
    except OSError:
        return None
    return facts.st_ino, facts.st_mtime_ns


def _doubtful(path: Path, reason: str) -> LatchMark:
    """A mark for a file that says nothing; each such file is a kill of its own, until released."""
    inode, time_ns = stamp_of(path) or (0, 0)
    return LatchMark(
        kill_id=f"unreadable-{inode:x}-{time_ns:x}",
        reason=reason,
        source="latch-file",
        by="engine",
        pressed_us=0,
    )
