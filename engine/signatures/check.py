"""The one judge of signatures: our strict verifier and ssh-keygen must agree; doubt is a no.

allowed_signers and the revocation list are read once per check; the very bytes that were parsed
are what ssh-keygen gets to see (in a private temporary folder), so a file that changes between
the two opinions changes nothing. A signature that one accepts and the other does not is a no whose
verdict says so (`disagree`): somebody should look.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from pathlib import Path

import msgspec

from engine.contracts.errors import ConfigError, InputError, PeakError, WorkspaceError
from engine.governance.verdict import SignatureVerdict
from engine.signatures import keygen
from engine.signatures.allowed_signers import AllowedSigners, parse_allowed_signers
from engine.signatures.read_once import read_once
from engine.signatures.revoked import Revoked, parse_revoked
from engine.signatures.sshsig import SshSig, fingerprint, parse, verify_strict

__all__ = ["Checker", "SignatureVerdict"]


class _Lists(msgspec.Struct, frozen=True):
    """Both files as read once, and what they say."""

    signers_bytes: bytes
    signers: AllowedSigners
    revoked_bytes: bytes | None
    revoked: Revoked


class Checker:
    """Checks signatures against one allowed_signers file and an optional list of revoked keys.

    A revocation path that does not exist means "nothing revoked"; one that cannot be read or
    parsed means that no signature is good.
    """

    def __init__(self, allowed_signers_path: Path, revoked_path: Path | None = None) -> None:
        self._signers_path = allowed_signers_path
        self._revoked_path = revoked_path

    def check(
        self,
        principal: str,
        namespace: str,
        message: bytes,
        armored: str,
        *,
        at_us: int | None = None,
    ) -> SignatureVerdict:
        """Judge one signature; `at_us` (µs UTC, default now) is when the key must be valid.

        Never raises for a bad signature or list; WorkspaceError when ssh-keygen is missing.
        """
        moment_us = time.time_ns() // 1_000 if at_us is None else at_us
        try:
            lists = self._read()
        except (ConfigError, WorkspaceError) as error:
            return _no(principal, "", error.line())
        strict = _strict(lists, principal, namespace, message, armored, moment_us)
        second = _second(lists, principal, namespace, message, armored, moment_us)
        return _agree(principal, armored, strict, second)

    async def check_async(
        self,
        principal: str,
        namespace: str,
        message: bytes,
        armored: str,
        *,
        at_us: int | None = None,
    ) -> SignatureVerdict:
        """Like `check`, in a thread: ssh-keygen takes some milliseconds."""
        return await asyncio.to_thread(
            self.check, principal, namespace, message, armored, at_us=at_us
        )

    def _read(self) -> _Lists:
        signers = read_once(self._signers_path)
        revoked = None
        if self._revoked_path is not None and os.path.lexists(self._revoked_path):
            revoked = read_once(self._revoked_path)
        return _Lists(
            signers,
            parse_allowed_signers(_text(signers, self._signers_path.name)),
            revoked,
            parse_revoked(revoked or b""),
        )


def _text(content: bytes, where: str) -> str:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError(what="is not text", where=where, todo="one line a key") from error


def _strict(
    lists: _Lists, principal: str, namespace: str, message: bytes, armored: str, at_us: int
) -> SshSig | str:
    try:
        signer = lists.signers.find(principal, namespace, at_us)
        if lists.revoked.covers(signer.public_key_blob):
            return f"the key of {principal} is revoked"
        return verify_strict(armored, message, namespace, signer.public_key_blob)
    except InputError as error:
        return error.line()


def _second(
    lists: _Lists, principal: str, namespace: str, message: bytes, armored: str, at_us: int
) -> keygen.KeygenVerdict:
    with tempfile.TemporaryDirectory(prefix="peakctl-keys-") as folder:
        signers = Path(folder) / "allowed_signers"
        signers.write_bytes(lists.signers_bytes)
        revoked = None
        if lists.revoked_bytes is not None:
            revoked = Path(folder) / "revoked_keys"
            revoked.write_bytes(lists.revoked_bytes)
        return keygen.verify_sync(
            armored, message, namespace, principal, signers, revoked, at_us=at_us
        )


def _agree(
    principal: str, armored: str, strict: SshSig | str, second: keygen.KeygenVerdict
) -> SignatureVerdict:
    if isinstance(strict, str):
        return _no(principal, _key_of(armored), strict, keygen_ok=second.ok)
    name = fingerprint(strict.public_key_blob)
    if not second.ok:
        return _no(principal, name, second.reason, strict_ok=True)
    if second.fingerprint != name:
        return _no(principal, name, "the two verifiers name different keys", strict_ok=True)
    return SignatureVerdict(
        ok=True,
        strict_ok=True,
        keygen_ok=True,
        principal=principal,
        fingerprint=name,
        sk_counter=strict.counter,
        sk_flags=strict.flags,
    )


def _key_of(armored: str) -> str:
    """The fingerprint that an unaccepted signature claims, for the record; empty if unreadable."""
    try:
        return fingerprint(parse(armored).public_key_blob)
    except PeakError:
        return ""


def _no(
    principal: str, key: str, reason: str, *, strict_ok: bool = False, keygen_ok: bool = False
) -> SignatureVerdict:
    return SignatureVerdict(
        ok=False,
        strict_ok=strict_ok,
        keygen_ok=keygen_ok,
        principal=principal,
        fingerprint=key,
        reason=reason,
    )
