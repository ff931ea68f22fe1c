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
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import tomli_w

from engine.contracts.documents import OPERATOR_NAMESPACES, REVIEWER_NAMESPACES, Namespace
from engine.contracts.errors import WorkspaceError
from engine.contracts.people import Role
from engine.contracts.session import Environment
from engine.signatures.allowed_signers import allowed_signers_line
from engine.signatures.keygen import find_ssh_keygen
from engine.signatures.sshsig import fingerprint, parse_public_line
from peakctl.workspace import FOLDERS, Workspace

NAMESPACES: dict[Role, tuple[Namespace, ...]] = {
    Role.OPERATOR: OPERATOR_NAMESPACES,
    Role.REVIEWER: REVIEWER_NAMESPACES,
}


@dataclass(frozen=True)
class Identity:
    """A person to be written into the roster, with the line of their public key."""

    id: str
    name: str
    role: Role
    principal: str
    public_line: str
    uid: int | None = None
    demo: bool = False


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
    """Append a person to roster and allowed_signers. Raises PeakError and changes nothing."""
    import tomllib  # noqa: PLC0415

    from engine.governance.people import parse_roster  # noqa: PLC0415
    from engine.signatures.allowed_signers import parse_allowed_signers  # noqa: PLC0415

    row: dict[str, object] = {
        "id": identity.id,
        "name": identity.name,
        "role": identity.role.value,
        "principal": identity.principal,
        "fingerprint": fingerprint(parse_public_line(identity.public_line)),
        "demo": identity.demo,
    }
    if identity.uid is not None:
        row["uid"] = identity.uid
    people = _written(workspace.people_file)
    people += f"\n[[people]]\n{tomli_w.dumps(row)}"
    signers = _written(workspace.allowed_signers)
    signers += allowed_signers_line(
        identity.principal, NAMESPACES[identity.role], identity.public_line
    )
    parse_roster(tomllib.loads(people))
    parse_allowed_signers(signers, str(workspace.allowed_signers))
    _replace(workspace.people_file, people)
    _replace(workspace.allowed_signers, signers)


def make_key(path: Path, comment: str) -> str:
    """Make an unencrypted Ed25519 key (0600 and `.pub`); returns the public line."""
    command = [find_ssh_keygen(), "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", str(path)]
    if path.exists():
        raise WorkspaceError(what="the key exists already", where=str(path), todo="keep it")
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=30
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


def _written(path: Path) -> str:
    """The text of a config file that must be there. Raises WorkspaceError."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8 text"
        raise WorkspaceError(
            what=f"cannot be read ({reason})", where=str(path), todo="put it back or correct it"
        ) from error


def _replace(path: Path, text: str) -> None:
    beside = path.with_name(f"{path.name}.new")
    beside.unlink(missing_ok=True)
    _write_new(beside, text.encode("utf-8"))
    beside.replace(path)


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1] if lines else "no reason given"
