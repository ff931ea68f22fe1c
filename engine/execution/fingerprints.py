"""The hashes that an approval binds, as they are now (I6).

Files are hashed again only when their size, time or inode changed, so asking often costs a few
`stat` calls. A file that cannot be read hashes to a word that no approval carries (I12).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from engine.contracts.canonical import canonical, sha256_hex
from engine.execution.clock import monotonic_us

_UNREADABLE = "unreadable"
_CODE = frozenset({".py", ".sql", ".toml"})
_Stamp = tuple[int, int, int]
_NO_FILE: _Stamp = (0, 0, 0)


class WatchedFiles:
    """One hash over the names and contents of a set of files."""

    def __init__(self, files: Sequence[tuple[str, Path]], look_every_us: int = 0) -> None:
        """`look_every_us`: between two looks at the files the last hash is given."""
        self._files = tuple(files)
        self._look_every_us = look_every_us
        self._known: dict[str, tuple[_Stamp, str]] = {}
        self._stamps: list[_Stamp | None] = []
        self._looked_us = 0
        self._last = ""

    def sha256(self) -> str:
        """Hash of the sorted list of (name, sha256 of content); a missing file counts as such."""
        now = monotonic_us()
        if self._last and now - self._looked_us < self._look_every_us:
            return self._last
        self._looked_us = now
        stamps = [_stamp(path) for _name, path in self._files]
        if not self._last or stamps != self._stamps or None in stamps:
            rows = sorted((name, self._one(name, path)) for name, path in self._files)
            self._last = sha256_hex(canonical(rows))
            self._stamps = stamps
        return self._last

    def _one(self, name: str, path: Path) -> str:
        try:
            facts = path.stat()
            stamp = (facts.st_size, facts.st_mtime_ns, facts.st_ino)
            known = self._known.get(name)
            if known is not None and known[0] == stamp:
                return known[1]
            with path.open("rb") as handle:
                digest = hashlib.file_digest(handle, "sha256").hexdigest()
        except FileNotFoundError:
            return "missing"
        except OSError:
            return _UNREADABLE
        self._known[name] = (stamp, digest)
        return digest


def _stamp(path: Path) -> _Stamp | None:
    """Size, time and inode; those of nothing when there is no file, None when nobody can tell."""
    try:
        facts = path.stat()
    except FileNotFoundError:
        return _NO_FILE
    except OSError:
        return None
    return facts.st_size, facts.st_mtime_ns, facts.st_ino


def code_files(packages: Sequence[Path]) -> list[tuple[str, Path]]:
    """All source files of our packages that decide anything: Python, SQL and TOML."""
    files: list[tuple[str, Path]] = []
    for package in packages:
        for path in sorted(package.rglob("*")):
            if path.suffix in _CODE and "__pycache__" not in path.parts:
                files += [(str(path.relative_to(package.parent)), path)]
    return files
