"""I4, I12: the latch on the disk; a file that says nothing is a latch all the same."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from engine.execution.kill.latch_file import (
    LatchMark,
    clear_latch,
    latch_present,
    read_latch,
    stamp_of,
    write_latch,
)

MARK = LatchMark(kill_id="k1", reason="test", source="cli", by="alice", pressed_us=5)


def test_what_was_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "latch"
    assert read_latch(path) is None
    assert not latch_present(path)
    write_latch(path, MARK)
    assert read_latch(path) == MARK
    assert latch_present(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]
    clear_latch(path)
    clear_latch(path)
    assert read_latch(path) is None


@pytest.mark.parametrize(
    "content", [b"", b"{", b"null", b'{"kill_id":1}', b"\xff\x00", MARK.reason.encode()]
)
def test_i12_a_file_that_is_not_ours_is_a_latch(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "latch"
    path.write_bytes(content)
    mark = read_latch(path)
    assert mark is not None
    assert mark.kill_id
    assert latch_present(path)


def test_i12_a_mark_without_an_id_gets_one(tmp_path: Path) -> None:
    """A kill without an id could never be released."""
    path = tmp_path / "latch"
    write_latch(path, LatchMark(kill_id="", reason="", source="", by="", pressed_us=0))
    mark = read_latch(path)
    assert mark is not None
    assert mark.kill_id


def test_i4_each_unreadable_file_is_a_kill_of_its_own(tmp_path: Path) -> None:
    """Released once, another such file must not pass for the one that was released."""
    path = tmp_path / "latch"
    path.write_bytes(b"torn")
    first, again = read_latch(path), read_latch(path)
    path.write_bytes(b"torn")
    os.utime(path, ns=(1, 1))
    second = read_latch(path)
    assert first is not None
    assert second is not None
    assert first == again
    assert first.kill_id != second.kill_id


@pytest.mark.parametrize("make", [Path.mkdir, lambda path: path.symlink_to("nowhere")])
def test_i12_a_folder_or_a_dangling_link_counts_as_a_latch(tmp_path: Path, make: object) -> None:
    path = tmp_path / "latch"
    make(path)  # type: ignore[operator]
    assert latch_present(path)


def test_every_writing_changes_the_stamp(tmp_path: Path) -> None:
    path = tmp_path / "latch"
    assert stamp_of(path) is None
    write_latch(path, MARK)
    before = stamp_of(path)
    assert stamp_of(path) == before
    write_latch(path, MARK)
    assert stamp_of(path) != before
