"""Keys, signatures and timing of requests (venue.md 2.2).

HMAC-SHA256 signatures are hex in either case, Ed25519 ones base64. A REST signature is over the
raw query string and body as they were sent, without the `signature` parameter; a WebSocket API
signature over all parameters but `signature`, sorted by name. A request counts only if
`timestamp < server + 1000 ms` and `server - timestamp <= recvWindow`.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import re
import secrets
from collections.abc import Mapping
from pathlib import Path

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from engine.contracts.errors import WorkspaceError
from engine.sandbox.errors import VenueError, missing

_WINDOW_RE = re.compile(r"([0-9]{1,6})(?:\.([0-9]{1,3}))?")
_MAX_WINDOW_US = 60_000_000


class ApiKey(msgspec.Struct, frozen=True, kw_only=True):
    """One key of an account: either an HMAC `secret` or the raw Ed25519 `public` key."""

    key: str
    account: str
    secret: str = ""
    public: bytes = b""


def verify(key: ApiKey, payload: bytes, signature: str) -> bool:
    """Whether the signature is the key's over exactly these bytes."""
    if key.secret:
        expected = hmac.new(key.secret.encode(), payload, hashlib.sha256).hexdigest()
        return hmac.compare_digest(expected.encode(), signature.lower().encode())
    try:
        raw = base64.b64decode(signature, validate=True)
        Ed25519PublicKey.from_public_bytes(key.public).verify(raw, payload)
    except (binascii.Error, InvalidSignature, ValueError):
        return False
    return True


def bad_signature() -> VenueError:
    """The one answer to every signature that does not fit."""
    return VenueError(-1022, "Signature for this request is not valid.")


def find_key(keys: Mapping[str, ApiKey], name: str | None) -> ApiKey:
    """The key of that name. Raises VenueError -2014 or -2015."""
    if not name:
        raise VenueError(-2014, "API-key format invalid.", status=401)
    key = keys.get(name)
    if key is None:
        raise VenueError(-2015, "Invalid API-key, IP, or permissions for action.", status=401)
    return key


def check_timing(timestamp: str | None, window: str | None, server_us: int) -> None:
    """The timing rule. `timestamp` in ms or µs, `window` in ms with up to three decimals."""
    if not timestamp or not re.fullmatch(r"[0-9]{1,17}", timestamp):
        raise missing("timestamp")
    sent_us = int(timestamp) if len(timestamp) >= 16 else int(timestamp) * 1000
    window_us = 5_000_000
    if window is not None:
        match = _WINDOW_RE.fullmatch(window)
        if match is None:
            raise missing("recvWindow")
        window_us = int(match[1]) * 1000 + int((match[2] or "").ljust(3, "0"))
    if window_us > _MAX_WINDOW_US:
        raise VenueError(
            -1102, "'recvWindow' contains unexpected value. Cannot be greater than '60000'."
        )
    if sent_us >= server_us + 1_000_000:
        raise VenueError(-1021, "Timestamp for this request was 1000ms ahead of the server's time.")
    if server_us - sent_us > window_us:
        raise VenueError(-1021, "Timestamp for this request is outside of the recvWindow.")


def ws_payload(params: Mapping[str, object]) -> bytes:
    """What a WebSocket API signature is over."""
    pairs = sorted((name, value) for name, value in params.items() if name != "signature")
    return "&".join(f"{name}={_text(value)}" for name, value in pairs).encode()


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


class AccountKeys(msgspec.Struct, frozen=True, kw_only=True):
    """The two keys of one account as its owner gets them."""

    name: str
    hmac_key: str
    hmac_secret: str
    ed25519_key: str
    private_key_file: str

    def document(self) -> dict[str, object]:
        """The account's entry in the ready line."""
        return {
            "name": self.name,
            "hmac": {"key": self.hmac_key, "secret": self.hmac_secret},
            "ed25519": {"key": self.ed25519_key, "private_key_file": self.private_key_file},
        }


def load_or_make_keys(folder: Path, name: str) -> tuple[AccountKeys, tuple[ApiKey, ApiKey]]:
    """Keys of an account from a folder (0700), made there (files 0600) when it has none."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    pem_file, json_file = folder / f"{name}.ed25519.pem", folder / f"{name}.keys.json"
    if not (pem_file.exists() and json_file.exists()):
        private = Ed25519PrivateKey.generate()
        pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        made = {part: secrets.token_hex(32) for part in ("hmac_key", "hmac_secret", "ed25519_key")}
        _write_private(pem_file, pem)
        _write_private(json_file, json.dumps(made).encode() + b"\n")
    try:
        stored = json.loads(json_file.read_bytes())
        loaded = load_pem_private_key(pem_file.read_bytes(), password=None)
        keys = AccountKeys(
            name=name,
            hmac_key=str(stored["hmac_key"]),
            hmac_secret=str(stored["hmac_secret"]),
            ed25519_key=str(stored["ed25519_key"]),
            private_key_file=str(pem_file.absolute()),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise WorkspaceError(
            what=f"the sandbox's keys cannot be read ({type(error).__name__})",
            where=str(json_file),
            todo="delete both key files of this account; new ones are made at the next start",
        ) from error
    if not isinstance(loaded, Ed25519PrivateKey):
        raise WorkspaceError(
            what="not an Ed25519 key", where=str(pem_file), todo="delete it; a new one is made"
        )
    public = loaded.public_key().public_bytes_raw()
    return keys, (
        ApiKey(key=keys.hmac_key, account=name, secret=keys.hmac_secret),
        ApiKey(key=keys.ed25519_key, account=name, public=public),
    )


def _write_private(path: Path, content: bytes) -> None:
    path.touch(mode=0o600, exist_ok=True)
    path.chmod(0o600)
    path.write_bytes(content)
