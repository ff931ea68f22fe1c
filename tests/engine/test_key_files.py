"""The files of the venue's keys: another value or open to others is a sign, a rewrite is none."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from engine.key_files import KeyFiles


@pytest.fixture
def path(tmp_path: Path) -> Path:
    made = tmp_path / "keys.json"
    write(made, "value-of-the-test")
    return made


def write(path: Path, value: str, other: str = "") -> None:
    path.write_text(json.dumps({"key": value, "other": other}))
    path.chmod(0o600)


def test_only_what_a_reference_names_is_compared(path: Path) -> None:
    files = KeyFiles((f"file:{path.name}#key", "env:NOT_A_FILE", ""), path.parent)
    write(path, "value-of-the-test", "something else")
    assert files.changed() == ""
    write(path, "another-of-the-test")
    assert "another key" in files.changed()
    write(path, "value-of-the-test")
    assert files.changed() == ""


def test_a_file_that_is_open_to_others_is_told_and_one_that_is_away_is_not(path: Path) -> None:
    files = KeyFiles((f"file:{path.name}#key",), path.parent)
    path.chmod(0o644)
    assert "0644" in files.changed()
    path.unlink()
    assert files.changed() == ""


def test_no_value_is_kept(path: Path) -> None:
    files = KeyFiles((f"file:{path.name}#key",), path.parent)
    assert "value-of-the-test" not in repr(vars(files))
