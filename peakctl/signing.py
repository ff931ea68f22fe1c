"""Signing as a person: `ssh-keygen -Y sign` from stdin to stdout, with a key file or an agent.

Passphrases never pass through us: ssh-keygen asks on the terminal itself (or through the agent),
so a full-screen application steps aside first when `asks_on_terminal` says so. `signals` are a
process's own observations of who runs it, recorded beside each decision.
"""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from engine.contracts.documents import Namespace
from engine.contracts.errors import AnswerNo, WorkspaceError
from engine.unseen import SSH, plain_environment

#: The kernel's "not set" for loginuid and sessionid.
_UNSET = str(2**32 - 1)
_AGENT_SECONDS = 5


@dataclass(frozen=True)
class Signer:
    """One person's key: a private key file, or a `.pub` file whose key an agent holds."""

    key: Path

    def asks_on_terminal(self) -> bool:
        """Whether ssh-keygen will talk to the terminal: a passphrase, a PIN or a touch."""
        public = self.public_line()
        if public.startswith("sk-"):
            return True
        if _agent_holds(public):
            return False
        return self.key.suffix != ".pub" and not _opens_without_passphrase(self.key)

    def sign(self, message: bytes, namespace: Namespace) -> str:
        """The armoured SSHSIG over `message`. Raises AnswerNo when no signature was made.

        Blocks until the person has answered ssh-keygen's questions, if it has any.
        """
        command = [_ssh_keygen(), "-q", "-Y", "sign", "-f", str(self.key), "-n", namespace.value]
        self._check()
        done = subprocess.run(
            command, input=message, capture_output=True, check=False, env=_environment()
        )
        signature = done.stdout.decode("ascii", "replace")
        if done.returncode != 0 or not signature.startswith("-----BEGIN SSH SIGNATURE-----"):
            said = done.stderr.decode("utf-8", "replace").strip().splitlines()
            reason = said[-1] if said else "no reason given"
            raise AnswerNo(
                what=f"ssh-keygen made no signature ({reason})",
                where=str(self.key),
                todo="check the key, its passphrase or the agent (ssh-add -l)",
                code="NOT_SIGNED",
            )
        return signature

    def _check(self) -> None:
        if not self.key.is_file():
            raise WorkspaceError(
                what="no such key", where=str(self.key), todo="name your key with --key"
            )

    def public_line(self) -> str:
        """The public half's line; "" where it is not beside the key. Raises WorkspaceError."""
        self._check()
        path = self.key if self.key.suffix == ".pub" else Path(f"{self.key}.pub")
        try:
            return path.read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError):
            return ""


def signals() -> dict[str, str]:
    """What this process sees of who runs it. "" means not known, which is never "different"."""
    connection = os.environ.get("SSH_CONNECTION", "").split()
    return {
        "uid": str(os.getuid()),
        "loginuid": _proc("loginuid"),
        "audit_session": _proc("sessionid"),
        "tty": _tty(),
        "ssh_peer": connection[0] if connection else "",
        "agent": _agent(),
    }


def _agent() -> str:
    """Whose agent would sign here: none, one of this machine, or one that came over ssh.

    In a login over ssh an agent counts as forwarded: whether it was started here after all cannot
    be told, and whoever is root on this machine could sign with a forwarded one.
    """
    if not os.environ.get("SSH_AUTH_SOCK"):
        return "none"
    return "forwarded" if os.environ.get("SSH_CONNECTION") else "local"


def _proc(name: str) -> str:
    try:
        text = Path(f"/proc/self/{name}").read_text(encoding="ascii").strip()
    except OSError:
        return ""
    return "" if text == _UNSET else text


def _tty() -> str:
    for descriptor in (0, 1, 2):
        try:
            return os.ttyname(descriptor)
        except OSError:
            continue
    return ""


def _ssh_keygen() -> str:
    from engine.signatures.keygen import find_ssh_keygen  # noqa: PLC0415

    return find_ssh_keygen()


def _environment() -> dict[str, str]:
    """What ssh-keygen needs, its messages in English so that reasons read the same everywhere."""
    return {**plain_environment(os.environ, SSH), "LC_ALL": "C"}


def _agent_holds(public_line: str) -> bool:
    if not os.environ.get("SSH_AUTH_SOCK") or not public_line:
        return False
    try:
        listed = subprocess.run(
            ["ssh-add", "-L"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=_AGENT_SECONDS,
            env=_environment(),
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    wanted = public_line.split()[:2]
    return any(line.split()[:2] == wanted for line in listed.stdout.splitlines())


def _opens_without_passphrase(key: Path) -> bool:
    probe = subprocess.run(
        [_ssh_keygen(), "-y", "-P", "", "-f", str(key)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        timeout=_AGENT_SECONDS,
        env=_environment(),
    )
    return probe.returncode == 0
