"""SSHSIG, strictly: one parser that accepts exactly what OpenSSH writes, and nothing near it.

`ssh-keygen -Y verify` accepts trailing junk, a second signature, spaces in base64 and a non-empty
`reserved`; signature files are malleable there. Here the armour must be byte for byte the
re-armoured blob, every length must fit, the version is 1, `reserved` is empty, the hash is
sha512, and the key is Ed25519 (or its hardware twin `sk-`, with the touch flag set). Every
one-bit change of a signature is refused.

Format: OpenSSH PROTOCOL.sshsig and PROTOCOL.u2f. Signing is for the unencrypted log key alone;
people sign with their own ssh-keygen or agent.
"""

from __future__ import annotations

import base64
import hashlib
import os
from pathlib import Path

import msgspec
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_ssh_private_key,
)

from engine.contracts.errors import InputError, WorkspaceError
from engine.signatures.read_once import read_once

ED25519 = "ssh-ed25519"
SK_ED25519 = "sk-ssh-ed25519@openssh.com"

_MAGIC = b"SSHSIG"
_VERSION = 1
_HASH = "sha512"
_BEGIN = "-----BEGIN SSH SIGNATURE-----\n"
_END = "-----END SSH SIGNATURE-----\n"
_COLUMNS = 70
_MAX_ARMOUR = 4096
#: FIDO flags (PROTOCOL.u2f, CTAP2 authenticator data): touched; PIN or finger verified. The others
#: speak of keys that are backed up or synchronised between devices, which is what a token is not.
_USER_PRESENT = 0x01
_USER_VERIFIED = 0x04
_APPLICATION = "ssh:"


class SshSig(msgspec.Struct, frozen=True, kw_only=True):
    """A parsed signature. `flags` and `counter` are None unless the key is a hardware key."""

    public_key_blob: bytes
    key_type: str
    namespace: str
    raw_signature: bytes
    flags: int | None = None
    counter: int | None = None


class PublicKey(msgspec.Struct, frozen=True, kw_only=True):
    """A parsed public key blob: 32 raw bytes, and the FIDO application for hardware keys."""

    key_type: str
    raw: bytes
    application: str = ""


class WireReader:
    """Reads SSH wire strings; every overrun is an InputError."""

    def __init__(self, blob: bytes, where: str) -> None:
        self._blob = blob
        self._at = 0
        self._where = where

    def take(self, count: int) -> bytes:
        """Exactly so many bytes."""
        if self._at + count > len(self._blob):
            raise _bad("a length runs past the end", self._where)
        chunk = self._blob[self._at : self._at + count]
        self._at += count
        return chunk

    def uint32(self) -> int:
        """A big-endian number of four bytes."""
        return int.from_bytes(self.take(4), "big")

    def string(self) -> bytes:
        """Bytes with their length before them."""
        return self.take(self.uint32())

    def text(self) -> str:
        """A string of ASCII."""
        raw = self.string()
        if not raw.isascii():
            raise _bad("a name is not ASCII", self._where)
        return raw.decode("ascii")

    @property
    def left(self) -> int:
        """Bytes not read yet."""
        return len(self._blob) - self._at

    def end(self) -> None:
        """Refuse bytes that are left over."""
        if self._at != len(self._blob):
            raise _bad(f"{len(self._blob) - self._at} bytes too many", self._where)


def _bad(what: str, where: str) -> InputError:
    return InputError(what=f"not an acceptable signature: {what}", where=where)


def _string(value: bytes) -> bytes:
    return len(value).to_bytes(4, "big") + value


def fingerprint(public_key_blob: bytes) -> str:
    """OpenSSH's name of a key: `SHA256:` and unpadded base64."""
    digest = hashlib.sha256(public_key_blob).digest()
    return "SHA256:" + base64.b64encode(digest).decode("ascii").rstrip("=")


def parse_public_key(blob: bytes, where: str = "public key") -> PublicKey:
    """Parse a public key blob: Ed25519 or its hardware twin only. Raises InputError."""
    reader = WireReader(blob, where)
    key_type = reader.text()
    if key_type not in {ED25519, SK_ED25519}:
        raise InputError(
            what=f"key type {key_type[:40]!r} is not accepted", where=where, todo="use ed25519"
        )
    raw = reader.string()
    if len(raw) != 32:
        raise InputError(what="an Ed25519 key has 32 bytes", where=where)
    application = reader.text() if key_type == SK_ED25519 else ""
    if key_type == SK_ED25519 and not application.startswith(_APPLICATION):
        raise InputError(what=f"a hardware key for {application[:40]!r}, not ssh:", where=where)
    reader.end()
    return PublicKey(key_type=key_type, raw=raw, application=application)


def parse_public_line(line: str, where: str = "public key") -> bytes:
    """The key blob of a `.pub` line (`ssh-ed25519 AAAA... comment`). Raises InputError."""
    fields = line.split()
    if len(fields) < 2 or len(line.strip().splitlines()) > 1:
        raise InputError(what="not a public key line", where=where)
    blob = decode_base64(fields[1], where)
    if parse_public_key(blob, where).key_type != fields[0]:
        raise InputError(what="the key is not of the type it says", where=where)
    return blob


def decode_base64(text: str, where: str) -> bytes:
    """Canonical base64 only: what decodes must encode to the same text. Raises InputError."""
    try:
        blob = base64.b64decode(text, validate=True)
    except ValueError as error:
        raise InputError(what="not base64", where=where) from error
    if base64.b64encode(blob).decode("ascii") != text:
        raise InputError(what="not canonical base64", where=where)
    return blob


def armour(blob: bytes) -> str:
    """Write a signature blob as ssh-keygen does: 70 columns, one final newline."""
    text = base64.b64encode(blob).decode("ascii")
    lines = (text[at : at + _COLUMNS] for at in range(0, len(text), _COLUMNS))
    return _BEGIN + "".join(f"{line}\n" for line in lines) + _END


def parse(armored: str) -> SshSig:
    """Parse an armoured signature. Raises InputError for anything but the canonical form."""
    where = "signature"
    if len(armored) > _MAX_ARMOUR or not armored.isascii():
        raise _bad("too long or not ASCII", where)
    if not armored.startswith(_BEGIN) or not armored.endswith(_END):
        raise _bad("the BEGIN and END lines are not exactly as ssh-keygen writes them", where)
    blob = decode_base64(armored[len(_BEGIN) : -len(_END)].replace("\n", ""), where)
    if armour(blob) != armored:
        raise _bad("the armour is not exactly as ssh-keygen writes it", where)
    return _parse_blob(blob, where)


def _parse_blob(blob: bytes, where: str) -> SshSig:
    reader = WireReader(blob, where)
    if reader.take(len(_MAGIC)) != _MAGIC:
        raise _bad("no SSHSIG magic", where)
    if (version := reader.uint32()) != _VERSION:
        raise _bad(f"version {version}", where)
    public_key_blob = reader.string()
    namespace = reader.text()
    if not namespace:
        raise _bad("the namespace is empty", where)
    if reader.string():
        raise _bad("the reserved field is not empty", where)
    if (name := reader.text()) != _HASH:
        raise _bad(f"hash {name[:20]!r} instead of sha512", where)
    inner = WireReader(reader.string(), where)
    reader.end()
    key = parse_public_key(public_key_blob, where)
    if inner.text() != key.key_type:
        raise _bad("signature and key are of different types", where)
    raw = inner.string()
    if len(raw) != 64:
        raise _bad("an Ed25519 signature has 64 bytes", where)
    flags, counter = None, None
    if key.key_type == SK_ED25519:
        flags, counter = inner.take(1)[0], inner.uint32()
    inner.end()
    return SshSig(
        public_key_blob=public_key_blob,
        key_type=key.key_type,
        namespace=namespace,
        raw_signature=raw,
        flags=flags,
        counter=counter,
    )


def _to_be_signed(message: bytes, namespace: str) -> bytes:
    return b"".join(
        (
            _MAGIC,
            _string(namespace.encode("ascii")),
            _string(b""),
            _string(_HASH.encode("ascii")),
            _string(hashlib.sha512(message).digest()),
        )
    )


def verify_strict(armored: str, message: bytes, namespace: str, public_key_blob: bytes) -> SshSig:
    """Verify one signature by one known key. Raises InputError with the reason; returns it parsed.

    A hardware key's signature must carry the touch flag: `ssh-keygen -Y verify` does not ask.
    """
    signature = parse(armored)
    where = "signature"
    if signature.namespace != namespace:
        raise _bad(f"made for {signature.namespace[:60]!r}, not for {namespace!r}", where)
    if signature.public_key_blob != public_key_blob:
        raise _bad(f"made by another key, {fingerprint(signature.public_key_blob)}", where)
    key = parse_public_key(public_key_blob, where)
    signed = _to_be_signed(message, namespace)
    if signature.flags is not None and signature.counter is not None:
        if not signature.flags & _USER_PRESENT:
            raise _bad("the hardware key was not touched", where)
        if signature.flags & ~(_USER_PRESENT | _USER_VERIFIED):
            raise _bad(f"the hardware key says 0x{signature.flags:02x} of itself", where)
        signed = b"".join(
            (
                hashlib.sha256(key.application.encode("ascii")).digest(),
                bytes((signature.flags,)),
                signature.counter.to_bytes(4, "big"),
                hashlib.sha256(signed).digest(),
            )
        )
    try:
        Ed25519PublicKey.from_public_bytes(key.raw).verify(signature.raw_signature, signed)
    except (InvalidSignature, ValueError) as error:
        raise _bad("the signature does not fit the document", where) from error
    return signature


def sign_with_key_file(path: Path, message: bytes, namespace: str) -> str:
    """Sign with an unencrypted Ed25519 key file: for the log key only.

    Byte-identical to `ssh-keygen -Y sign`. Raises WorkspaceError when the file is not a private,
    unencrypted Ed25519 key of ours.
    """
    key = _load_private(path)
    raw_public = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    raw_signature = key.sign(_to_be_signed(message, namespace))
    kind = _string(ED25519.encode("ascii"))
    return armour(
        b"".join(
            (
                _MAGIC,
                _VERSION.to_bytes(4, "big"),
                _string(kind + _string(raw_public)),
                _string(namespace.encode("ascii")),
                _string(b""),
                _string(_HASH.encode("ascii")),
                _string(kind + _string(raw_signature)),
            )
        )
    )


def public_blob_of(path: Path) -> bytes:
    """The public half of an unencrypted Ed25519 key file, as a blob. Raises WorkspaceError."""
    raw = _load_private(path).public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    return _string(ED25519.encode("ascii")) + _string(raw)


def _load_private(path: Path) -> Ed25519PrivateKey:
    where = path.name
    raw = read_once(path, private=True)
    try:
        key = load_ssh_private_key(raw, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise WorkspaceError(what="not an unencrypted OpenSSH private key", where=where) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise WorkspaceError(what="the log key is not Ed25519", where=where)
    return key


def generate_log_key(path: Path, comment: str = "peakctl-log") -> str:
    """Write a new Ed25519 key to `path` (0600) and `path.pub`; returns the public line.

    Never overwrites: raises WorkspaceError when the key is there already.
    """
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
    public = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode("ascii")
    line = f"{public} {comment}"
    _write_new(path, private, 0o600)
    _write_new(path.with_name(path.name + ".pub"), f"{line}\n".encode("ascii"), 0o644)
    return line


def _write_new(path: Path, content: bytes, mode: int) -> None:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    except OSError as error:
        raise WorkspaceError(
            what=f"cannot create the key file ({error.strerror})", where=path.name
        ) from error
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
