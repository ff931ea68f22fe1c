"""Secrets by reference: who may own the file, and that nothing is echoed (I10)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from config.secrets import resolve
from engine.contracts.errors import ConfigError


def private(path: Path, text: str) -> Path:
    path.write_text(text)
    path.chmod(0o600)
    return path


def test_a_variable_a_file_and_a_place_in_a_json_file(tmp_path: Path) -> None:
    private(tmp_path / "key", "abc\n")
    private(tmp_path / "ready.json", json.dumps({"accounts": [{"hmac": {"key": "def"}}]}))
    assert resolve("env:K", tmp_path, {"K": "xyz"}).get_secret_value() == "xyz"
    assert resolve("file:key", tmp_path, {}).get_secret_value() == "abc"
    assert resolve("file:ready.json#accounts.0.hmac.key", tmp_path, {}).get_secret_value() == "def"


def test_a_secret_prints_as_stars(tmp_path: Path) -> None:
    assert "xyz" not in repr(resolve("env:K", tmp_path, {"K": "xyz"}))


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o660])
def test_a_file_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    private(tmp_path / "key", "abc").chmod(mode)
    with pytest.raises(ConfigError, match=f"mode {mode:04o}.*0600"):
        resolve("file:key", tmp_path, {})


def test_links_folders_and_missing_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(private(tmp_path / "key", "abc"))
    for name in ("link", "missing", "."):
        with pytest.raises(ConfigError):
            resolve(f"file:{name}", tmp_path, {})


def test_errors_name_the_reference_and_never_the_value(tmp_path: Path) -> None:
    private(tmp_path / "ready.json", '{"a": "topsecret"}')
    for reference in ("file:ready.json#b", "topsecret", "env:NOT_SET", "keyring:x"):
        with pytest.raises(ConfigError) as caught:
            resolve(reference, tmp_path, {})
        assert "topsecret" not in caught.value.line()
