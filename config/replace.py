"""Replacing one file of a workspace's `config/` as a whole, or not at all.

The new text is written beside the file, made durable and renamed over it; mode and owner stay. A
link is refused (what it points to is not ours to replace), and so is a file that is no longer what
the change was made from: somebody else edited it meanwhile. `undo` puts the bytes from before back.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path

from engine.contracts.canonical import sha256_hex
from engine.contracts.errors import ConfigError

#: A file of people's own settings; more is not one.
MAX_BYTES = 1 << 20
_NEW_MODE = 0o644


@dataclass(frozen=True)
class FileChange:
    """A file's bytes from before (None: there was none) and after."""

    path: Path
    before: bytes | None
    after: bytes

    @property
    def before_sha256(self) -> str:
        """Hash of the bytes from before, "" of a missing file."""
        return "" if self.before is None else sha256_hex(self.before)

    @property
    def after_sha256(self) -> str:
        """Hash of the new bytes."""
        return sha256_hex(self.after)

    def apply(self) -> None:
        """Put the new bytes in place. Raises ConfigError and has changed nothing."""
        if read_file(self.path) != self.before:
            raise ConfigError(
                what="was edited meanwhile; nothing was changed",
                where=str(self.path),
                todo="look at it and try again",
            )
        _replace(self.path, self.after)

    def undo(self) -> None:
        """Put the bytes from before back. Raises ConfigError."""
        if self.before is not None:
            _replace(self.path, self.before)
            return
        try:
            self.path.unlink(missing_ok=True)
            _sync(self.path.parent)
        except OSError as error:
            raise _refused(self.path, error) from error


def read_file(path: Path) -> bytes | None:
    """The bytes of a plain file, None when there is none. Raises ConfigError, also for a link."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        return None
    except OSError as error:
        if path.is_symlink():
            raise ConfigError(
                what="is a link", where=str(path), todo="edit the file that it points to by hand"
            ) from error
        raise ConfigError(
            what=f"cannot be read ({error.strerror})",
            where=str(path),
            todo="put it back or correct it",
        ) from error
    with os.fdopen(descriptor, "rb") as handle:
        facts = os.fstat(handle.fileno())
        if not stat.S_ISREG(facts.st_mode) or facts.st_size > MAX_BYTES:
            raise ConfigError(what="is not a plain file of settings", where=str(path))
        return handle.read()


def read_text(path: Path) -> str:
    """The text of a file that must be there. Raises ConfigError."""
    content = read_file(path)
    if content is None:
        raise ConfigError(
            what="cannot be read (No such file or directory)",
            where=str(path),
            todo="put it back or correct it",
        )
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError(
            what="cannot be read (not UTF-8 text)",
            where=str(path),
            todo="put it back or correct it",
        ) from error


def _replace(path: Path, content: bytes) -> None:
    beside = path.with_name(f".{path.name}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside.unlink(missing_ok=True)
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as handle:
            _dress(handle.fileno(), path)
            handle.write(content)
            handle.flush()
            os.fsync(handle.fileno())
        beside.replace(path)
        _sync(path.parent)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise _refused(path, error) from error


def _dress(descriptor: int, path: Path) -> None:
    """Give the new file mode and owner of the one that it takes the place of."""
    try:
        facts = path.lstat()
    except FileNotFoundError:
        os.fchmod(descriptor, _NEW_MODE)
        return
    if (facts.st_uid, facts.st_gid) != (os.geteuid(), os.getegid()):
        os.fchown(descriptor, facts.st_uid, facts.st_gid)
    os.fchmod(descriptor, stat.S_IMODE(facts.st_mode))


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _refused(path: Path, error: OSError) -> ConfigError:
    return ConfigError(
        what=f"cannot be written ({error.strerror or error})",
        where=str(path),
        todo="check the folder and its permissions",
    )
