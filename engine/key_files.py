"""The files of the venue's keys while the engine runs: same value, same owner, closed to others.

Only their hashes are kept (I10). What the running engine uses it has read at the start; a change
afterwards is somebody's hand at a secret.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from config.secrets import resolve
from engine.contracts.canonical import sha256_hex
from engine.contracts.errors import ConfigError

_FILE = "file:"


class KeyFiles:
    """Watches the `file:` references among `references`; others have no file to be watched."""

    def __init__(self, references: Iterable[str], workspace: Path) -> None:
        self._workspace = workspace
        self._references = tuple(one for one in references if one.startswith(_FILE))
        self._at_start = [self._sha256(one) for one in self._references]

    def changed(self) -> str:
        """What differs from the start, "" when nothing does or a file is away. Reads the files."""
        for reference, before in zip(self._references, self._at_start, strict=True):
            path, _, _ = reference.removeprefix(_FILE).partition("#")
            if not (self._workspace / Path(path).expanduser()).exists():
                continue
            try:
                now = self._sha256(reference)
            except ConfigError as error:
                return f"{path}: {error.what}"
            if now != before:
                return f"{path}: another key than at the start"
        return ""

    def _sha256(self, reference: str) -> str:
        value = resolve(reference, self._workspace, {}).get_secret_value()
        return sha256_hex(value.encode())
