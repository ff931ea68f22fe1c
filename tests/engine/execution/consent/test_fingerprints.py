"""I6: what was signed over and then edited hashes to something else."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from engine.contracts.canonical import sha256_hex
from engine.execution.consent import fingerprints
from engine.execution.consent.fingerprints import WatchedFiles, WatchedText, code_files, code_tree


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "a").write_text("one")
    (tmp_path / "b").write_text("two")
    return tmp_path


def watched(folder: Path) -> WatchedFiles:
    return WatchedFiles([("a", folder / "a"), ("b", folder / "b")])


def test_i6_the_same_content_gives_the_same_hash(folder: Path) -> None:
    files = watched(folder)
    assert files.sha256() == files.sha256() == watched(folder).sha256()


def test_i6_an_edit_of_the_same_length_is_noticed(folder: Path) -> None:
    files = watched(folder)
    before = files.sha256()
    (folder / "a").write_text("eno")
    assert files.sha256() != before
    (folder / "a").write_text("one")
    assert files.sha256() == before


def test_i6_a_file_that_was_replaced_with_its_old_times_is_noticed(folder: Path) -> None:
    files = watched(folder)
    before = files.sha256()
    facts = (folder / "a").stat()
    (folder / "new").write_text("eno")
    os.utime(folder / "new", ns=(facts.st_atime_ns, facts.st_mtime_ns))
    (folder / "new").replace(folder / "a")
    assert files.sha256() != before


def test_a_missing_file_is_another_hash(folder: Path) -> None:
    files = watched(folder)
    before = files.sha256()
    (folder / "a").unlink()
    assert files.sha256() != before


def test_swapped_contents_are_another_hash(folder: Path) -> None:
    before = watched(folder).sha256()
    (folder / "a").write_text("two")
    (folder / "b").write_text("one")
    assert watched(folder).sha256() != before


def test_i12_what_cannot_be_read_is_another_hash(folder: Path) -> None:
    before = watched(folder).sha256()
    (folder / "a").unlink()
    (folder / "a").mkdir()
    assert watched(folder).sha256() != before


def test_between_two_looks_the_last_hash_is_given(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0]
    monkeypatch.setattr(fingerprints, "monotonic_us", lambda: now[0])
    files = WatchedFiles([("a", folder / "a")], look_every_us=1_000_000)
    before = files.sha256()
    (folder / "a").write_text("eno")
    now[0] = 999_999
    assert files.sha256() == before
    now[0] = 1_000_000
    assert files.sha256() != before


def test_code_is_python_sql_and_toml(tmp_path: Path) -> None:
    package = tmp_path / "package"
    (package / "__pycache__").mkdir(parents=True)
    for name in ("x.py", "q.sql", "d.toml", "note.md", "__pycache__/x.py"):
        (package / name).write_text("x")
    names = [name for name, _ in code_files([package])]
    assert names == ["package/d.toml", "package/q.sql", "package/x.py"]


def test_i6_an_edit_in_place_with_its_old_size_and_times_is_noticed(folder: Path) -> None:
    files = watched(folder)
    before = files.sha256()
    facts = (folder / "a").stat()
    (folder / "a").write_text("eno")
    os.utime(folder / "a", ns=(facts.st_atime_ns, facts.st_mtime_ns))
    assert files.sha256() != before


def test_i6_a_new_file_in_a_watched_tree_is_noticed_and_its_compiled_form_is_not(
    tmp_path: Path,
) -> None:
    package = tmp_path / "package"
    (package / "room" / "__pycache__").mkdir(parents=True)
    (package / "room" / "door.py").write_text("OPEN = False")
    files = WatchedFiles.of_tree(lambda: code_tree([package]))
    before = files.sha256()
    (package / "room" / "__pycache__" / "door.pyc").write_text("x")
    (package / "room" / "note.txt").write_text("x")
    assert files.sha256() == before
    (package / "room" / "window.py").write_text("OPEN = True")
    changed = files.sha256()
    assert changed != before
    (package / "room" / "window.py").unlink()
    assert files.sha256() == before
    (package / "cellar").mkdir()
    (package / "cellar" / "hole.py").write_text("")
    assert files.sha256() != before


def test_a_look_can_be_taken_before_its_time(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fingerprints, "monotonic_us", lambda: 5)
    files = WatchedFiles([("a", folder / "a")], look_every_us=1_000_000)
    before = files.sha256()
    (folder / "a").write_text("eno")
    assert files.sha256() == before
    assert files.sha256_now() != before


def test_a_texts_line_ends_count_as_one_newline_as_where_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "book.md"
    path.write_bytes(b"one\ntwo\n")
    text = WatchedText(path)
    unix = text.sha256()
    assert unix == sha256_hex(b"one\ntwo\n")
    path.write_bytes(b"one\r\ntwo\r\n")
    assert text.sha256() == unix
    path.write_bytes(b"one\nsix\n")
    assert text.sha256() != unix
    path.write_bytes(b"\xff")
    assert text.sha256() == "unreadable"
    path.unlink()
    assert text.sha256() == "unreadable"
