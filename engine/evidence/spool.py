"""A file that is written once, hashed while it is written, and copied to where it belongs.

Long reports of a pack are made before the pack's folder is there. They go to files without a name:
nothing is left behind when the process dies, and the memory they take is one buffer.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import weakref
from pathlib import Path

from engine.contracts.canonical import sha256_hex

_CHUNK = 1 << 20


class Spool:
    """Bytes that are appended, with their number and sha256; there as long as this object is."""

    def __init__(self, folder: Path | None = None) -> None:
        """Open the file in `folder` (the system's for temporary files when None)."""
        with tempfile.TemporaryFile(dir=folder, buffering=0) as file:
            self._descriptor = os.dup(file.fileno())
        # Inputs of a pack are passed on and dropped: the file goes with the last who knows it.
        weakref.finalize(self, os.close, self._descriptor)
        self._digest = hashlib.sha256()
        self._waiting: list[bytes] = []
        self._room = _CHUNK
        self._size = 0

    def write(self, data: bytes) -> None:
        """Append."""
        self._waiting.append(data)
        self._room -= len(data)
        if self._room <= 0:
            self._flush()

    @property
    def size(self) -> int:
        """Bytes so far."""
        self._flush()
        return self._size

    @property
    def sha256(self) -> str:
        """Hex sha256 of the bytes so far."""
        self._flush()
        return self._digest.hexdigest()

    def copy_to(self, descriptor: int) -> None:
        """Append all of it to an open file, inside the kernel."""
        self._flush()
        done = 0
        while done < self._size:
            sent = os.sendfile(descriptor, self._descriptor, done, self._size - done)
            if sent == 0:
                raise OSError("the spooled file ended early")
            done += sent

    def _flush(self) -> None:
        if not self._waiting:
            return
        data = b"".join(self._waiting)
        self._waiting.clear()
        self._room = _CHUNK
        self._digest.update(data)
        self._size += len(data)
        left = memoryview(data)
        while left:
            left = left[os.write(self._descriptor, left) :]


#: What a file of the pack is made of: a few bytes, or a long file that was spooled.
Content = bytes | Spool


def digest_of(content: Content) -> str:
    """Hex sha256 of the content."""
    return content.sha256 if isinstance(content, Spool) else sha256_hex(content)
