"""Secrets by reference: who may own the file, and that nothing is echoed (I10)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import keyring
import pytest
from keyring.backends.fail import Keyring as FailKeyring

from config.secrets import resolve, resolved_values
from config.settings import load
from engine.contracts.errors import ConfigError
from tests.config.keyring_file import FileKeyring


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


@pytest.fixture
def ring(tmp_path: Path) -> Iterator[Path]:
    """The real library with a backend of our own."""
    before = keyring.get_keyring()
    backend = FileKeyring()
    backend.path = str(tmp_path / "ring.json")
    keyring.set_keyring(backend)
    yield tmp_path / "ring.json"
    keyring.set_keyring(before)


def test_a_keyring_is_asked_by_service_and_user(tmp_path: Path, ring: Path) -> None:
    ring.write_text(json.dumps({"peakctl/venue/key": "from-the-ring"}))
    found = resolve("keyring:peakctl/venue/key", tmp_path, {})
    assert found.get_secret_value() == "from-the-ring"
    assert "from-the-ring" in resolved_values()


def test_a_locked_ring_a_missing_entry_and_no_ring_at_all_are_one_line_each(
    tmp_path: Path, ring: Path
) -> None:
    with pytest.raises(ConfigError, match=r"no keyring answers \(KeyringLocked\); unlock it"):
        resolve("keyring:peakctl/venue", tmp_path, {})
    ring.write_text("{}")
    with pytest.raises(ConfigError, match="no such entry"):
        resolve("keyring:peakctl/venue", tmp_path, {})
    keyring.set_keyring(FailKeyring())
    with pytest.raises(ConfigError, match=r"no keyring answers \(NoKeyringError\)"):
        resolve("keyring:peakctl/venue", tmp_path, {})


def test_the_library_is_imported_by_a_keyring_reference_alone() -> None:
    program = (
        "import sys, pathlib\n"
        "from config.secrets import resolve\n"
        "import config.settings, peakctl.cli\n"
        "resolve('env:A', pathlib.Path('.'), {'A': 'b'})\n"
        "sys.exit('keyring' in sys.modules)\n"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_a_file_of_somebody_else_is_refused(tmp_path: Path) -> None:
    if os.getuid() != 0:
        pytest.skip("needs root to give a file away")
    path = private(tmp_path / "key", "abc")
    os.chown(path, 65534, 65534)
    with pytest.raises(ConfigError, match="owned by uid 65534"):
        resolve("file:key", tmp_path, {})


PASTED = "Zk3vQ9xT7mB1wL5sR8pN2cD6fH4jY0aU"


@pytest.mark.parametrize(
    "text",
    [
        f'[venue]\nsecret_ref = "{PASTED}"\n',
        f'[venue]\nsecret_ref = "keyring:{PASTED}"\n',
        f'[venue]\nsecret = "{PASTED}"\n',
        f'[venue]\napi_key = "{PASTED}"\n',
        f'venue = "{PASTED}"\n',
        f'{PASTED} = "1"\n',
        f'[{PASTED}]\nx = "1"\n',
        f"[venue]\nsecret_ref = {PASTED}\n",
        f'[venue]\nsecret_ref = "{PASTED}\n',
        f'[venue]\nrest_url = "https://user:{PASTED}@example.org"\n',
        f'[venue]\nrest_url = "https://example.org/?key={PASTED}"\n',
        f'[limits]\nmax_position = "{PASTED}"\n',
        f'[governance]\naccounts = ["{PASTED}"]\n',
        f'environment = "{PASTED}"\n',
        f'[venue]\nsecret_ref = ["{PASTED}"]\n',
        f'[venue.secret]\nvalue = "{PASTED}"\n',
    ],
)
def test_a_secret_typed_into_the_file_is_refused_and_not_repeated(
    tmp_path: Path, text: str
) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "peakctl.toml").write_text(text)
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, {})
    assert PASTED not in str(caught.value)
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, {}, {"venue.secret_ref": PASTED, PASTED: "1"})
    assert PASTED not in str(caught.value)
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, {f"PEAKCTL__VENUE__{PASTED}": "1", "PEAKCTL__VENUE__API_KEY_REF": PASTED})
    assert PASTED.lower() not in str(caught.value).lower()


MIXED_UP = [
    ("dev", "venue.secret_ref", "env:PEAKCTL_PROD_SECRET"),
    ("dev", "venue.api_key_ref", "keyring:peakctl/prod"),
    ("prod", "venue.secret_ref", "file:keys/testnet.secret"),
    ("testnet", "venue.api_key_ref", "env:PEAKCTL_PROD_API_KEY"),
    ("dev", "venue.rest_url", "https://api.binance.com"),
    ("testnet", "venue.ws_url", "wss://stream.binance.com:9443"),
    ("prod", "venue.rest_url", "https://testnet.binance.vision"),
    ("shadow", "venue.ws_api_url", "wss://ws-api.testnet.binance.vision/ws-api/v3"),
]


@pytest.mark.parametrize(("environment", "key", "value"), MIXED_UP)
def test_what_belongs_to_another_environment_is_refused(
    tmp_path: Path, environment: str, key: str, value: str
) -> None:
    with pytest.raises(ConfigError, match=f"{key}: got .*; allowed: a .* environment"):
        load(tmp_path, {}, {"environment": environment, key: value})


def test_a_folder_named_like_an_environment_is_no_mix_up(tmp_path: Path) -> None:
    load(tmp_path, {}, {"environment": "prod", "venue.secret_ref": "file:/home/dev/keys/prod.key"})


def test_an_ed25519_key_is_a_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"file:PATH, because venue.key_type is ed25519"):
        load(tmp_path, {}, {"venue.key_type": "ed25519", "venue.secret_ref": "env:KEY"})


@pytest.mark.parametrize("text", ["", " ", "\n", "two words", "two\nlines", "x\x00y", "k\u200bey"])
def test_what_can_be_no_key_is_refused_and_never_blanked(tmp_path: Path, text: str) -> None:
    """Nothing, blanked wherever it stands, would be everywhere; a line break would be a header."""
    (tmp_path / "key").write_text(text, encoding="utf-8")
    (tmp_path / "key").chmod(0o600)
    for reference, environ in (("file:key", {}), ("env:KEY", {"KEY": text})):
        with pytest.raises(ConfigError) as caught:
            resolve(reference, tmp_path, environ)
        assert "two" not in caught.value.line()
    assert text not in resolved_values()
