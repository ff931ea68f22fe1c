"""Making a workspace: the folders, the first config, the log key; and the demo's throw-away one.

Nothing that exists is overwritten. Keys are made on the spot by `ssh-keygen`; demo identities are
marked as such in the roster and count in environment `dev` only.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path

import tomli_w

from config.roster import Identity, plan_add
from engine.contracts.documents import Namespace
from engine.contracts.errors import WorkspaceError
from engine.contracts.people import Role
from engine.contracts.session import Environment
from engine.signatures.allowed_signers import allowed_signers_line
from engine.signatures.keygen import find_ssh_keygen
from engine.unseen import plain_environment
from peakctl.workspace import FOLDERS, Workspace

__all__ = ["Identity", "add_person", "create_demo", "init", "log_principal_of", "make_key"]


def init(
    path: Path,
    environment: Environment = Environment.DEV,
    settings: Mapping[str, object] | None = None,
    log_principal: str = "",
) -> Workspace:
    """Make a workspace in a new or empty folder. `settings` go into its config file.

    Raises WorkspaceError when the folder holds something or cannot be written.
    """
    workspace = Workspace(path.absolute())
    try:
        _make_folders(workspace)
        document = {"environment": environment.value, **(settings or {})}
        _write_new(workspace.config_file, tomli_w.dumps(document).encode())
        _write_new(
            workspace.people_file, b"# [[people]] tables: `peakctl people add` writes them\n"
        )
        principal = log_principal or log_principal_of(socket.gethostname())
        public_line = make_key(workspace.log_key, f"peakctl log {principal}")
        line = allowed_signers_line(principal, (Namespace.HEAD,), public_line)
        _write_new(workspace.allowed_signers, line.encode("ascii"))
        _copy_runbooks(workspace.runbooks)
    except OSError as error:
        raise WorkspaceError(
            what=f"cannot be written ({error.strerror or error})",
            where=str(error.filename or path),
            todo="choose a folder that you may write",
        ) from error
    return workspace


def create_demo(
    path: Path | None = None, settings: Mapping[str, object] | None = None
) -> Workspace:
    """A throw-away workspace with two demo identities and the sandbox switched on.

    `settings` are nested tables that are laid over the demo's own.
    """
    folder = path if path is not None else Path(tempfile.mkdtemp(prefix="peakctl-demo-"))
    sandbox = {"enabled": True, **dict((settings or {}).get("sandbox", {}))}  # type: ignore[call-overload]
    others = {key: value for key, value in (settings or {}).items() if key != "sandbox"}
    workspace = init(
        folder,
        Environment.DEV,
        {"allow_same_uid": True, **others, "sandbox": sandbox},
        log_principal="log:demo",
    )
    (workspace.root / "keys").mkdir(mode=0o700, exist_ok=True)
    people = (("alice", Role.OPERATOR, "op:alice"), ("bob", Role.REVIEWER, "rev:bob"))
    for person_id, role, principal in people:
        public_line = make_key(workspace.key_of(role.value), "demo")
        identity = Identity(
            id=person_id,
            name=f"{person_id.capitalize()} (demo)",
            role=role,
            principal=principal,
            public_line=public_line,
            uid=os.getuid(),
            demo=True,
        )
        add_person(workspace, identity)
    return workspace


def add_person(workspace: Workspace, identity: Identity) -> None:
    """Write a founding person into roster and allowed_signers, before there is a journal.

    Later changes are journaled: `peakctl people add`. Raises PeakError and changes nothing.
    """
    plan_add(workspace.root, identity).apply()


def make_key(path: Path, comment: str) -> str:
    """Make an unencrypted Ed25519 key (0600 and `.pub`); returns the public line."""
    command = [find_ssh_keygen(), "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", str(path)]
    if path.exists():
        raise WorkspaceError(what="the key exists already", where=str(path), todo="keep it")
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
        env=plain_environment(os.environ),
    )
    if done.returncode != 0:
        raise WorkspaceError(
            what=f"ssh-keygen made no key ({_last_line(done.stderr)})", where=str(path)
        )
    return path.with_name(f"{path.name}.pub").read_text(encoding="ascii").strip()


def log_principal_of(hostname: str) -> str:
    """The principal of this machine's log key."""
    return f"log:{re.sub('[^A-Za-z0-9._-]', '-', hostname)[:59] or 'host'}"


def _make_folders(workspace: Workspace) -> None:
    if workspace.root.exists():
        facts = workspace.root.stat()
        if facts.st_uid != os.getuid():
            raise WorkspaceError(
                what=f"the folder belongs to uid {facts.st_uid}, you are uid {os.getuid()}",
                where=str(workspace.root),
                todo="choose a folder of your own",
            )
        if any(workspace.root.iterdir()):
            raise WorkspaceError(
                what="the folder is not empty",
                where=str(workspace.root),
                todo="choose a new one; an existing workspace is used with --workspace",
            )
    workspace.root.mkdir(mode=0o755, parents=True, exist_ok=True)
    for name, mode in FOLDERS.items():
        folder = workspace.root / name
        folder.mkdir(exist_ok=True)
        folder.chmod(mode)


def _copy_runbooks(target: Path) -> None:
    for source in _runbooks():
        with resources.as_file(source) as path:
            shutil.copyfile(path, target / source.name)


def _runbooks() -> Sequence[resources.abc.Traversable]:
    return [item for item in resources.files("runbooks").iterdir() if item.name.endswith(".md")]


def _write_new(path: Path, content: bytes) -> None:
    with path.open("xb") as handle:
        handle.write(content)
        handle.flush()
        os.fsync(handle.fileno())


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1] if lines else "no reason given"
