"""Attacks on the running engine by somebody who may put other things in the place of its files.

The engine looks at the files that an approval binds on the loop that a kill needs too. Whatever is
put in their place, it neither waits nor reads on and on; what it cannot read has changed (I12).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from config.layers import own_file
from engine.contracts.errors import ConfigError
from engine.execution.consent.fingerprints import WatchedFiles, WatchedText
from engine.execution.watchdog.process import read_reports
from engine.plain_file import MOST_BYTES, read_plain, read_plain_text


def _sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(1 << 40)


PUT: dict[str, Callable[[Path], None]] = {
    "fifo": os.mkfifo,
    "device": lambda path: path.symlink_to("/dev/zero"),
    "folder": lambda path: path.mkdir(),
    "terabyte": _sparse,
    "link to itself": lambda path: path.symlink_to(path.name),
}


@pytest.fixture(params=PUT)
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    made = tmp_path / "people.toml"
    PUT[request.param](made)
    return made


def test_nobody_reads_it(path: Path) -> None:
    for read in (read_plain, read_plain_text, read_reports):
        with pytest.raises(OSError, match=r"."):
            read(path)
    with pytest.raises(ConfigError):
        own_file(path.parent, path.name)


def test_i6_what_was_signed_has_changed(path: Path) -> None:
    kept = path.with_name("kept")
    path.rename(kept)
    path.write_text("as it was signed")
    files, text = WatchedFiles([("people.toml", path)]), WatchedText(path)
    before = files.sha256(), text.sha256()
    path.unlink()
    kept.rename(path)
    after = files.sha256(), text.sha256()
    assert all(one != other for one, other in zip(before, after, strict=True))


def test_a_plain_file_and_a_link_to_one_are_read(tmp_path: Path) -> None:
    path, link = tmp_path / "a", tmp_path / "b"
    path.write_bytes(b"one\r\ntwo\n")
    link.symlink_to(path)
    assert read_plain(link) == b"one\r\ntwo\n"
    assert read_plain_text(link) == "one\ntwo\n"
    os.truncate(path, MOST_BYTES)
    assert len(read_plain(path)) == MOST_BYTES
