"""Documents and signatures as files: exact bytes in, exact bytes out, nothing overwritten."""

from __future__ import annotations

import os
from pathlib import Path

from engine.contracts.errors import InputError, WorkspaceError
from engine.plain_file import read_plain, read_plain_text


def write_new(path: Path, content: bytes) -> None:
    """Write a file that does not exist yet. Raises InputError."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    except OSError as error:
        raise InputError(
            what=f"cannot be written ({error.strerror})", where=str(path), todo="name a new file"
        ) from error
    with os.fdopen(descriptor, "wb") as handle:
        handle.write(content)


def text_of(path: Path) -> str:
    """The text of a file that people write (UTF-8). Raises WorkspaceError."""
    try:
        return read_plain_text(path)
    except OSError as error:
        raise WorkspaceError(
            what=f"cannot be read ({error.strerror})", where=str(path), todo="put it back"
        ) from error
    except UnicodeDecodeError as error:
        raise WorkspaceError(
            what=f"is not UTF-8 text (byte {error.start})", where=str(path), todo="correct it"
        ) from error


def ascii_text(path: Path) -> str:
    """The exact text of a document or signature. Raises InputError."""
    try:
        return read_plain(path).decode("ascii")
    except OSError as error:
        raise InputError(what=f"cannot be read ({error.strerror})", where=str(path)) from error
    except UnicodeDecodeError as error:
        raise InputError(what="is not ASCII text", where=str(path)) from error
