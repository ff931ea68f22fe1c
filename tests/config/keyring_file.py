"""A keyring without a desktop, written to keyring's own interface for backends: one JSON file.

Chosen in keyringrc.cfg (or with PYTHON_KEYRING_BACKEND), its file named with KEYRING_PROPERTY_PATH.
"""

from __future__ import annotations

import json
from pathlib import Path

from keyring.backend import KeyringBackend
from keyring.errors import KeyringLocked


class FileKeyring(KeyringBackend):
    """`{"SERVICE/USER": "the secret"}` in a file; a file that is not there is a locked ring."""

    priority = 0.1  # type: ignore[assignment]
    path = ""

    def get_password(self, service: str, username: str) -> str | None:
        try:
            entries: dict[str, str] = json.loads(Path(self.path).read_text())
        except OSError as error:
            raise KeyringLocked(f"asked for {service}/{username} in {self.path}") from error
        return entries.get(f"{service}/{username}")

    def set_password(self, service: str, username: str, password: str) -> None:
        raise NotImplementedError

    def delete_password(self, service: str, username: str) -> None:
        raise NotImplementedError
