"""The hashes that an approval binds, as they are now (I6).

Files are hashed again only when their size, times or inode changed, so asking often costs a few
`stat` calls; the time of the last change of the inode is among them, which nobody can set back. A
file that cannot be read hashes to a word that no approval carries (I12), and a file that is new in
a watched package counts as a change.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from engine.contracts.canonical import canonical, sha256_hex
from engine.execution.clock import monotonic_us
from engine.plain_file import read_plain, read_plain_text

_UNREADABLE = "unreadable"
_CODE = frozenset({".py", ".sql", ".toml", ".tcss"})
_Stamp = tuple[int, int, int, int]
_NO_FILE: _Stamp = (0, 0, 0, 0)
#: The named files of a watched tree, and the folders in which new ones would appear.
Tree = tuple[Sequence[tuple[str, Path]], Sequence[Path]]


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
        self._find: Callable[[], Tree] | None = None
        self._folders: tuple[Path, ...] = ()
        self._folder_stamps: list[_Stamp | None] = []

    @classmethod
    def of_tree(cls, find: Callable[[], Tree], look_every_us: int = 0) -> WatchedFiles:
        """All files that `find` names; asked again whenever one of its folders has changed."""
        made = cls((), look_every_us)
        made._find = find
        return made

    def _find_again(self, find: Callable[[], Tree]) -> None:
        stamps = [_stamp(folder) for folder in self._folders]
        if stamps and stamps == self._folder_stamps and None not in stamps:
            return
        files, folders = find()
        self._files, self._folders = tuple(files), tuple(folders)
        self._folder_stamps = [_stamp(folder) for folder in self._folders]

    def sha256_now(self) -> str:
        """As `sha256`, with a look at the files whenever the last one was."""
        self._looked_us = monotonic_us() - self._look_every_us
        return self.sha256()

    def sha256(self) -> str:
        """Hash of the sorted list of (name, sha256 of content); a missing file counts as such."""
        now = monotonic_us()
        if self._last and now - self._looked_us < self._look_every_us:
            return self._last
        self._looked_us = now
        if self._find is not None:
            self._find_again(self._find)
        stamps = [_stamp(path) for _name, path in self._files]
        if not self._last or stamps != self._stamps or None in stamps:
            rows = sorted((name, self._one(name, path)) for name, path in self._files)
            self._last = sha256_hex(canonical(rows))
            self._stamps = stamps
        return self._last

    def _one(self, name: str, path: Path) -> str:
        try:
            stamp = _stamp_of(path)
            known = self._known.get(name)
            if known is not None and known[0] == stamp:
                return known[1]
            digest = sha256_hex(read_plain(path))
        except FileNotFoundError:
            return "missing"
        except OSError:
            return _UNREADABLE
        self._known[name] = (stamp, digest)
        return digest


class WatchedText:
    """The hash of one text file's words: line ends count as one newline, as where it was read."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: tuple[_Stamp, str] | None = None

    def sha256(self) -> str:
        """The hash now; a word that is no hash when the file cannot be read."""
        try:
            stamp = _stamp_of(self._path)
            if self._known is None or self._known[0] != stamp:
                text = read_plain_text(self._path)
                self._known = stamp, sha256_hex(text.encode("utf-8"))
        except (OSError, UnicodeDecodeError):
            self._known = None
            return _UNREADABLE
        return self._known[1]


def _stamp(path: Path) -> _Stamp | None:
    """Size, times and inode; those of nothing when there is no file, None when nobody can tell."""
    try:
        return _stamp_of(path)
    except FileNotFoundError:
        return _NO_FILE
    except OSError:
        return None


def _stamp_of(path: Path) -> _Stamp:
    facts = os.stat(path)  # noqa: PTH116  (a dozen at each order)
    return facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns, facts.st_ino


def code_tree(packages: Sequence[Path]) -> Tree:
    """The source files of our packages, and their folders."""
    folders = [
        folder
        for package in packages
        for folder in (package, *sorted(package.rglob("*/")))
        if folder.is_dir() and "__pycache__" not in folder.parts
    ]
    return code_files(packages), folders


def code_files(packages: Sequence[Path]) -> list[tuple[str, Path]]:
    """All source files of our packages that decide or show anything: Python, SQL, TOML, styles."""
    files: list[tuple[str, Path]] = []
    for package in packages:
        for path in sorted(package.rglob("*")):
            if path.suffix in _CODE and "__pycache__" not in path.parts:
                files += [(str(path.relative_to(package.parent)), path)]
    return files
