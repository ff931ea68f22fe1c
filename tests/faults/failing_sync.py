"""A disk that refuses to sync one file: the kernel's own answer, for this process alone.

A seccomp filter answers fsync, fdatasync and pwritev2 of one descriptor with EIO, in every thread.
Nothing is replaced in the program, no privilege is needed, and it cannot be taken back: only for a
process of its own. Linux on x86-64 and ARM64.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
from pathlib import Path

#: seccomp, fsync, fdatasync, pwritev2 (the journal's append, which syncs as it writes).
_CALLS = {"x86_64": (317, 74, 75, 328), "aarch64": (277, 82, 83, 287)}
_NO_NEW_PRIVILEGES = 38
_SET_FILTER, _ALL_THREADS = 1, 1
_LOAD, _EQUAL, _RETURN = 0x20, 0x15, 0x06
_NUMBER_AT, _FIRST_ARGUMENT_AT = 0, 16
_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000


class _Step(ctypes.Structure):
    _fields_ = (
        ("code", ctypes.c_ushort),
        ("yes", ctypes.c_ubyte),
        ("no", ctypes.c_ubyte),
        ("value", ctypes.c_uint),
    )


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("steps", ctypes.POINTER(_Step)))


def open_files(name: str) -> list[int]:
    """This process's descriptors of files with this name."""
    found = []
    for entry in Path("/proc/self/fd").iterdir():
        try:
            if entry.readlink().name == name:
                found.append(int(entry.name))
        except FileNotFoundError:
            continue
    return found


def fail_sync_of(descriptor: int) -> None:
    """From now on every sync of this descriptor fails with EIO. Raises OSError."""
    seccomp, fsync, fdatasync, pwritev2 = _CALLS[platform.machine()]
    rows = (
        (_LOAD, 0, 0, _NUMBER_AT),
        (_EQUAL, 2, 0, fsync),
        (_EQUAL, 1, 0, fdatasync),
        (_EQUAL, 0, 3, pwritev2),
        (_LOAD, 0, 0, _FIRST_ARGUMENT_AT),
        (_EQUAL, 0, 1, descriptor),
        (_RETURN, 0, 0, _ERRNO | errno.EIO),
        (_RETURN, 0, 0, _ALLOW),
    )
    steps = (_Step * len(rows))(*(_Step(*row) for row in rows))
    kernel = ctypes.CDLL(None, use_errno=True)
    kernel.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0)
    program = _Program(len(rows), steps)
    if kernel.syscall(seccomp, _SET_FILTER, _ALL_THREADS, ctypes.byref(program)):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
