"""Keys that count no more: a list of public keys, or a KRL of OpenSSH, read as strictly as we sign.

Both verifiers must be able to read the same list, so a form that only one of them understands makes
every signature a no: certificates and their authorities are not accepted here at all, signed KRLs
and extensions are refused. A KRL names keys whole, by SHA-1 or by SHA-256 of the blob; all three
forms count. Format: OpenSSH PROTOCOL.krl. Made by `ssh-keygen -k -f revoked_keys key.pub`.
"""

from __future__ import annotations

import hashlib

import msgspec

from engine.contracts.errors import ConfigError, InputError
from engine.signatures.sshsig import WireReader, parse_public_line

_MAGIC = b"SSHKRL\n\0"
_FORMAT = 1
_CERTIFICATES, _KEYS, _SHA1, _SHA256 = 1, 2, 3, 5
_DIGEST_BYTES = {_SHA1: 20, _SHA256: 32}


class Revoked(msgspec.Struct, frozen=True, kw_only=True):
    """Revoked keys by their blobs, and by digests of their blobs."""

    blobs: frozenset[bytes] = frozenset()
    sha1: frozenset[bytes] = frozenset()
    sha256: frozenset[bytes] = frozenset()

    def covers(self, blob: bytes) -> bool:
        """Whether this key is revoked in any of the three forms."""
        return (
            blob in self.blobs
            or hashlib.sha256(blob).digest() in self.sha256
            or hashlib.sha1(blob, usedforsecurity=False).digest() in self.sha1
        )


def parse_revoked(content: bytes, where: str = "revoked_keys") -> Revoked:
    """Read the file's bytes, in either form. Raises ConfigError naming the place."""
    if content.startswith(_MAGIC):
        try:
            return _parse_krl(content, where)
        except InputError as error:
            raise _refuse(error.what, error.where, "make it again with ssh-keygen -k") from error
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _refuse("is neither text nor a KRL", where, "one public key a line") from error
    blobs: set[bytes] = set()
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip() and not line.startswith("#"):
            try:
                blobs.add(parse_public_line(line, f"{where}: line {number}"))
            except InputError as error:
                raise _refuse(error.what, error.where, "one public key a line") from error
    return Revoked(blobs=frozenset(blobs))


def _refuse(what: str, where: str, todo: str) -> ConfigError:
    return ConfigError(what=what, where=where, todo=todo)


def _parse_krl(content: bytes, where: str) -> Revoked:
    reader = WireReader(content, where)
    reader.take(len(_MAGIC))
    if (version := reader.uint32()) != _FORMAT:
        raise InputError(what=f"KRL of format {version}", where=where)
    reader.take(3 * 8)  # its own version, its date, its flags
    if reader.string():
        raise InputError(what="the reserved field is not empty", where=where)
    reader.string()  # a comment
    found: dict[int, set[bytes]] = {_KEYS: set(), _SHA1: set(), _SHA256: set()}
    while reader.left:
        kind = reader.take(1)[0]
        section = WireReader(reader.string(), where)
        if kind == _CERTIFICATES:
            continue  # no certificate counts here, revoked or not
        if kind not in found:
            raise InputError(what=f"a KRL section of type {kind}", where=where)
        while section.left:
            entry = section.string()
            if len(entry) != _DIGEST_BYTES.get(kind, len(entry)) or not entry:
                raise InputError(what="a digest of another length", where=where)
            found[kind].add(entry)
    return Revoked(
        blobs=frozenset(found[_KEYS]),
        sha1=frozenset(found[_SHA1]),
        sha256=frozenset(found[_SHA256]),
    )
