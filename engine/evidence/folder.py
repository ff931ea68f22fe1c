"""Writing a bag file by file: each is written once, hashed on the way, fsynced and made read-only.

A bag is complete on the disk when `close` returns; its name is somebody else's business.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from engine.contracts.canonical import sha256_hex
from engine.contracts.errors import InputError, IntegrityError, WorkspaceError
from engine.evidence import bag
from engine.evidence.spool import Content, Spool
from engine.journal.segments import sync_folder

__all__ = ["BagWriter", "disk_named", "sync_folder", "write_new"]

_CHUNK = 1 << 20


@contextmanager
def disk_named(folder: Path) -> Iterator[None]:
    """Turn what the disk refuses into a WorkspaceError with its place and the way out."""
    try:
        yield
    except OSError as error:
        raise WorkspaceError(
            what=f"cannot be written ({error.strerror or error})",
            where=str(error.filename or folder),
            todo="free the disk, or move away what stands there; then write it again",
        ) from error


class BagWriter:
    """One bag in a new folder."""

    def __init__(self, root: Path) -> None:
        root.mkdir(mode=0o755, parents=True)
        self.root = root
        self._folders = {root}
        self._hashes: dict[str, str] = {}
        self._size = 0

    def write(self, name: str, content: bytes) -> None:
        """Write one file."""
        self.stream(name, (content,))

    def copy(self, name: str, source: Path, sha256: str | None = None) -> None:
        """Copy one plain file, a piece at a time.

        Raises OSError for a link, a fifo or a device, IntegrityError for another hash than given.
        """
        with open(source, "rb", opener=_open_plain) as handle:
            self.stream(name, iter(lambda: handle.read(_CHUNK), b""))
        if sha256 not in {None, self._hashes[name]}:
            raise IntegrityError(
                what="is not the file that the journal names",
                where=str(source),
                todo="bring it back from a copy",
            )

    def put(self, name: str, content: Content) -> None:
        """Write one file, which may be a spooled one: that is hashed already, and copied inside."""
        if not isinstance(content, Spool):
            self.write(name, content)
            return
        with self._target(name).open("xb", buffering=0) as handle:
            content.copy_to(handle.fileno())
            os.fchmod(handle.fileno(), 0o444)
            os.fsync(handle.fileno())
        self._size += content.size
        self._hashes[name] = content.sha256

    def stream(self, name: str, chunks: Iterable[bytes]) -> None:
        """Write one file from its pieces. Raises InputError for a name that was used."""
        digest = hashlib.sha256()
        with self._target(name).open("xb", buffering=_CHUNK) as handle:
            for chunk in chunks:
                digest.update(chunk)
                handle.write(chunk)
                self._size += len(chunk)
            handle.flush()
            os.fchmod(handle.fileno(), 0o444)
            os.fsync(handle.fileno())
        self._hashes[name] = digest.hexdigest()

    def _target(self, name: str) -> Path:
        """Where the file goes, its folders made."""
        if name in self._hashes:
            raise InputError(what=f"{name} would be written twice", where="pack")
        target = self.root / name
        for folder in reversed(target.relative_to(self.root).parents):
            inside = self.root / folder
            inside.mkdir(mode=0o755, exist_ok=True)
            self._folders.add(inside)
        return target

    def close(self, session_id: str, started_us: int) -> bytes:
        """Write the bag's own texts over the payload; returns the tag manifest."""
        payload = dict(self._hashes)
        tags = {
            bag.BAGIT_NAME: bag.BAGIT,
            bag.INFO_NAME: bag.render_info(session_id, started_us, self._size, len(payload)),
            bag.MANIFEST_NAME: bag.render_manifest(payload),
        }
        tagmanifest = bag.render_manifest({name: sha256_hex(raw) for name, raw in tags.items()})
        for name, content in (*tags.items(), (bag.TAGMANIFEST_NAME, tagmanifest)):
            self.write(name, content)
        for folder in sorted(self._folders, reverse=True):
            sync_folder(folder)
        sync_folder(self.root.parent)
        return tagmanifest


def _open_plain(path: str, flags: int) -> int:
    descriptor = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return descriptor
    os.close(descriptor)
    raise OSError(errno.EINVAL, "not a plain file", path)


def write_new(target: Path, content: bytes) -> None:
    """Write one new, read-only file durably."""
    with target.open("xb") as handle:
        handle.write(content)
        handle.flush()
        os.fchmod(handle.fileno(), 0o444)
        os.fsync(handle.fileno())
