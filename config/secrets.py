"""Secrets by reference, of four forms.

`env:NAME`; `file:PATH`; `file:PATH#a.0.b`, a value inside a JSON file; `keyring:SERVICE/USER`, the
desktop's or the system's keyring, through the library of that name.

A secret's file must be a regular file, ours, and closed to everyone else (0600 or tighter);
relative paths start at the workspace. The value comes back as SecretStr, which prints as stars, and
appears in no error (I10).
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Mapping
from pathlib import Path

from pydantic import SecretStr

from engine.contracts.errors import ConfigError

MAX_BYTES = 65536

#: What this process has read, for taking it out of whatever is told.
_RESOLVED: set[str] = set()


def resolved_values() -> frozenset[str]:
    """Every secret that this process has read so far."""
    return frozenset(_RESOLVED)


def resolve(reference: str, workspace: Path, environ: Mapping[str, str]) -> SecretStr:
    """Fetch the secret that `reference` names. Raises ConfigError, never echoing the value."""
    found = _fetched(reference, workspace, environ)
    value = found.get_secret_value()
    if not value.isprintable() or not value.isascii() or " " in value or not value:
        # An empty one would be found, and blanked, between any two letters of what is told.
        raise ConfigError(
            what="holds nothing, or blanks and characters that no key has",
            where=reference.partition("#")[0],
            todo="one key alone, in one line",
        )
    _RESOLVED.add(value)
    return found


def _fetched(reference: str, workspace: Path, environ: Mapping[str, str]) -> SecretStr:
    kind, _, rest = reference.partition(":")
    if kind == "env" and rest:
        return _from_environment(rest, environ)
    if kind == "file" and rest:
        path_text, _, pointer = rest.partition("#")
        return _from_file(workspace / Path(path_text).expanduser(), pointer)
    if kind == "keyring" and rest:
        service, _, user = rest.partition("/")
        return _from_keyring(service, user)
    raise ConfigError(
        what="not a reference to a secret",
        where=kind if kind in {"env", "file", "keyring"} else "",
        todo="write env:NAME, file:PATH, file:PATH#a.b or keyring:SERVICE/USER",
    )


def require_private(reference: str, workspace: Path) -> Path:
    """The path of a `file:` reference whose file only we can read. Raises ConfigError."""
    path = workspace / Path(reference.removeprefix("file:")).expanduser()
    _read_private(path)
    return path


def _from_environment(name: str, environ: Mapping[str, str]) -> SecretStr:
    value = environ.get(name, "")
    if not value:
        raise ConfigError(
            what="the variable is not set", where=f"env:{name}", todo="set it for the engine"
        )
    return SecretStr(value)


def _from_keyring(service: str, user: str) -> SecretStr:
    import keyring  # noqa: PLC0415  (looks for desktops and plugins: only where it is used)
    from keyring.errors import KeyringError  # noqa: PLC0415

    where = f"keyring:{service}/{user}"
    try:
        value = keyring.get_password(service, user) if service and user else None
    except KeyringError as error:
        # What a backend says may hold what it was asked for: its class is enough.
        raise ConfigError(
            what=f"no keyring answers ({type(error).__name__})",
            where=where,
            todo="unlock it, or use env:NAME or a 0600 file:PATH",
        ) from None
    if not value:
        raise ConfigError(
            what="the keyring has no such entry", where=where, todo="put it in with `keyring set`"
        )
    return SecretStr(value)


def _from_file(path: Path, pointer: str) -> SecretStr:
    content = _read_private(path)
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        raise ConfigError(what="not UTF-8 text", where=f"file:{path}") from None
    if not pointer:
        return SecretStr(text.strip())
    try:
        value = json.loads(text)
        for step in pointer.split("."):
            value = value[int(step)] if isinstance(value, list) else value[step]
    except (ValueError, KeyError, IndexError, TypeError):
        value = None
    if not isinstance(value, str) or not value:
        raise ConfigError(what=f"no text at {pointer!r}", where=f"file:{path}")
    return SecretStr(value)


def _read_private(path: Path) -> bytes:
    """Read a file that only we can read; opened once, judged by its descriptor."""
    where = f"file:{path}"
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise ConfigError(what=f"cannot be read ({error.strerror})", where=where) from error
    try:
        facts = os.fstat(descriptor)
        mode = stat.S_IMODE(facts.st_mode)
        if not stat.S_ISREG(facts.st_mode) or facts.st_uid != os.getuid() or mode & 0o077:
            raise ConfigError(
                what=f"a secret's file is owned by uid {facts.st_uid} with mode {mode:04o}",
                where=where,
                todo="it must be a regular file of yours with mode 0600",
            )
        return os.read(descriptor, MAX_BYTES)
    finally:
        os.close(descriptor)
