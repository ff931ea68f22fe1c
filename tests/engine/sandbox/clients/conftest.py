"""A sandbox process on loopback with synthetic flow, and its accounts' keys."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

#: One account for each test that trades, so that none sees another's orders.
ACCOUNTS = (
    "ccxt_hmac",
    "ccxt_ed25519",
    "ccxt_refused",
    "pro",
    "python_hmac",
    "python_ed25519",
    "python_refused",
    "python_stream",
)
PROGRAM = f"""
import sys
from pathlib import Path
from engine.sandbox.server import SandboxOptions, main
sys.exit(main(SandboxOptions(key_folder=Path(sys.argv[1]), accounts={ACCOUNTS!r}, seed=5)))
"""


class Ready:
    """The ready line: where it listens, and the keys of an account."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.rest: str = document["rest"]
        self.ws: str = document["ws"]
        self.ws_api: str = document["ws_api"]
        self._accounts = {account["name"]: account for account in document["accounts"]}

    def hmac(self, account: str) -> tuple[str, str]:
        """Key and secret."""
        keys = self._accounts[account]["hmac"]
        return keys["key"], keys["secret"]

    def ed25519(self, account: str) -> tuple[str, str]:
        """Key and private key as PEM."""
        keys = self._accounts[account]["ed25519"]
        return keys["key"], Path(keys["private_key_file"]).read_text()


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ready]:
    """A sandbox for one module's clients."""
    folder = tmp_path_factory.mktemp("sandbox")
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(folder)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    with process.stdout:
        yield Ready(json.loads(process.stdout.readline()))
        process.terminate()
        process.wait(timeout=20)
