"""A FIDO key in software: it signs as PROTOCOL.u2f says, with the flags and the count it is told.

There is no token in a test machine. What a real one would do differently (ask for a touch, keep the
key inside) is exactly what cannot be tested here; the bytes are the same, and ssh-keygen verifies
them.
"""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from engine.signatures.sshsig import SK_ED25519, armour

TOUCHED, VERIFIED = 0x01, 0x04
_KIND = SK_ED25519.encode()


def string(value: bytes) -> bytes:
    """An SSH wire string."""
    return len(value).to_bytes(4, "big") + value


class SoftwareToken:
    """One key; `counter` is the count of the next signature."""

    def __init__(self, counter: int = 1, application: bytes = b"ssh:") -> None:
        self._key = Ed25519PrivateKey.generate()
        self._application = application
        self.counter = counter
        raw = self._key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        self.blob = string(_KIND) + string(raw) + string(application)

    @property
    def public_line(self) -> str:
        """The line of the `.pub` file."""
        return f"{SK_ED25519} {base64.b64encode(self.blob).decode()} token"

    def write_public(self, path: Path) -> Path:
        """The `.pub` file."""
        path.write_text(f"{self.public_line}\n")
        return path

    def sign(
        self,
        message: bytes,
        namespace: str,
        *,
        flags: int = TOUCHED,
        counter: int | None = None,
    ) -> str:
        """The armoured signature; counts on unless a count is given."""
        if counter is None:
            counter = self.counter
            self.counter += 1
        fields = string(namespace.encode()) + string(b"") + string(b"sha512")
        inner = b"SSHSIG" + fields + string(hashlib.sha512(message).digest())
        extra = bytes((flags,)) + counter.to_bytes(4, "big")
        signed = hashlib.sha256(self._application).digest() + extra + hashlib.sha256(inner).digest()
        signature = string(_KIND) + string(self._key.sign(signed)) + extra
        head = b"SSHSIG" + (1).to_bytes(4, "big") + string(self.blob) + fields
        return armour(head + string(signature))
