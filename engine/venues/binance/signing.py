"""Request signatures of the Spot API: HMAC-SHA256 (hex) and Ed25519 (base64).

Parameters are percent-encoded first and the encoded text is what gets signed (enforced by the
venue since 2026-01-15, -1022 otherwise). Over the WebSocket API the signed text is all parameters
sorted by name, not encoded. A signer never shows its key (I10).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol
from urllib.parse import quote

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from engine.contracts.errors import ConfigError

#: RFC 3986: these stand for themselves in any encoding.
_UNRESERVED = re.compile(r"[A-Za-z0-9_.~-]*")

Params = Mapping[str, str | int]


class Signer(Protocol):
    """One private credential. `logs_on` tells whether `session.logon` accepts it."""

    logs_on: bool

    def sign(self, payload: str) -> str:
        """Return the signature as the venue wants it, not percent-encoded."""


class HmacSigner:
    """HMAC-SHA256 with a shared secret; hex."""

    logs_on = False

    def __init__(self, secret: str) -> None:
        self._keyed = hmac.new(secret.encode(), digestmod=hashlib.sha256)

    def sign(self, payload: str) -> str:
        """Hex digest of the payload."""
        keyed = self._keyed.copy()
        keyed.update(payload.encode())
        return keyed.hexdigest()


class Ed25519Signer:
    """Ed25519; base64. The only kind that `session.logon` takes."""

    logs_on = True

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key

    @classmethod
    def from_file(cls, path: Path) -> Ed25519Signer:
        """Read an unencrypted PEM file. Raises ConfigError, which never quotes the content."""
        try:
            key = load_pem_private_key(path.read_bytes(), password=None)
        except (OSError, ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise ConfigError(
                what=f"cannot read the venue's private key ({type(error).__name__})",
                where=str(path),
                todo="give an unencrypted Ed25519 key in PEM form, readable by this user",
            ) from None
        if not isinstance(key, Ed25519PrivateKey):
            raise ConfigError(what="is not an Ed25519 private key", where=str(path))
        return cls(key)

    def sign(self, payload: str) -> str:
        """Base64 of the signature over the payload."""
        return base64.b64encode(self._key.sign(payload.encode())).decode()


def encode(params: Params) -> str:
    """Percent-encode as a query string, in the order given."""
    return "&".join([f"{name}={_encoded(str(value))}" for name, value in params.items()])


def _encoded(text: str) -> str:
    """Quote what has to be; names of parameters and most values never do."""
    return text if _UNRESERVED.fullmatch(text) else quote(text, safe="")


def signed_query(query: str, signer: Signer) -> str:
    """Return an encoded query string with its signature appended."""
    return f"{query}&signature={quote(signer.sign(query), safe='')}"


def signed_ws_params(params: Params, signer: Signer) -> dict[str, str | int]:
    """Return the parameters of a WebSocket request with `signature` added."""
    payload = "&".join(f"{name}={params[name]}" for name in sorted(params))
    return {**params, "signature": signer.sign(payload)}
