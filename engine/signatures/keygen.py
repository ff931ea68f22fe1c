"""The second opinion: `ssh-keygen -Y verify`, the same stock tool an auditor has.

The signature goes into a private temporary file, the message to standard input; arguments are
explicit, the environment is only PATH and LC_ALL=C. Any other ending than exit 0 with the one
"Good" line for this principal and namespace is a no.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from engine.contracts.errors import WorkspaceError

_TIMEOUT_SECONDS = 10.0
#: The last second that four digits of a year can say, µs UTC.
_LAST_US = 253_402_300_799_000_000
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@+-]{0,127}")
_GOOD = re.compile(
    rb'Good "(?P<namespace>[^"\n]+)" signature for (?P<principal>\S+)'
    rb" with (?P<type>[A-Z0-9-]+) key (?P<fingerprint>SHA256:[A-Za-z0-9+/]+)\n"
)


class KeygenVerdict(msgspec.Struct, frozen=True, kw_only=True):
    """What ssh-keygen said; `reason` is its own message when `ok` is false."""

    ok: bool
    fingerprint: str = ""
    reason: str = ""


def find_ssh_keygen() -> str:
    """The path of ssh-keygen. Raises WorkspaceError when it is not installed."""
    found = shutil.which("ssh-keygen")
    if found is None:
        raise WorkspaceError(
            what="ssh-keygen was not found on PATH",
            todo="install the OpenSSH client (openssh-client)",
        )
    return found


async def verify(
    armored: str,
    message: bytes,
    namespace: str,
    principal: str,
    allowed_signers_path: Path,
    revoked_path: Path | None = None,
    *,
    at_us: int | None = None,
) -> KeygenVerdict:
    """Like `verify_sync`, without holding up the event loop."""
    return await asyncio.to_thread(
        verify_sync,
        armored,
        message,
        namespace,
        principal,
        allowed_signers_path,
        revoked_path,
        at_us=at_us,
    )


def verify_sync(
    armored: str,
    message: bytes,
    namespace: str,
    principal: str,
    allowed_signers_path: Path,
    revoked_path: Path | None = None,
    *,
    at_us: int | None = None,
) -> KeygenVerdict:
    """Ask ssh-keygen whether `principal` signed `message` in `namespace`.

    `at_us` (µs UTC) is the time at which the key must be valid; now when None. Raises
    WorkspaceError when ssh-keygen is missing.
    """
    program = find_ssh_keygen()
    for name in (principal, namespace):
        if not _NAME.fullmatch(name):
            return KeygenVerdict(ok=False, reason=f"{name[:40]!r} is not a usable name")
    if at_us is not None and not 0 <= at_us <= _LAST_US:
        return KeygenVerdict(ok=False, reason="the time of the signature is none")
    with tempfile.TemporaryDirectory(prefix="peakctl-sig-") as folder:
        signature = Path(folder) / "signature"
        signature.write_bytes(armored.encode("utf-8", "replace"))
        command = [program, "-Y", "verify", "-f", str(allowed_signers_path), "-I", principal]
        command += ["-n", namespace, "-s", str(signature)]
        if revoked_path is not None:
            command += ["-r", str(revoked_path)]
        if at_us is not None:
            moment = datetime.fromtimestamp(at_us // 1_000_000, tz=UTC)
            command += ["-O", f"verify-time={moment:%Y%m%d%H%M%S}Z"]
        return _judge(command, message, namespace, principal)


def _judge(command: Sequence[str], message: bytes, namespace: str, principal: str) -> KeygenVerdict:
    try:
        done = subprocess.run(
            command,
            input=message,
            capture_output=True,
            check=False,
            timeout=_TIMEOUT_SECONDS,
            env={"LC_ALL": "C", "PATH": os.environ.get("PATH", os.defpath)},
        )
    except (subprocess.TimeoutExpired, OSError) as error:
        return KeygenVerdict(ok=False, reason=f"ssh-keygen gave no answer ({error})")
    good = _GOOD.fullmatch(done.stdout)
    if done.returncode != 0 or good is None:
        words = (done.stderr + done.stdout).decode("ascii", "replace").split("\n")
        said = next((line.strip() for line in words if line.strip()), "nothing")
        return KeygenVerdict(ok=False, reason=f"ssh-keygen: {said[:200]}")
    if (good["namespace"].decode(), good["principal"].decode()) != (namespace, principal):
        return KeygenVerdict(ok=False, reason="ssh-keygen spoke of another signature")
    return KeygenVerdict(ok=True, fingerprint=good["fingerprint"].decode())
