"""A workspace: one folder with `config/`, `runbooks/`, `sessions/` and the hidden `.peakctl/`.

Promises: nothing in a workspace of another user is used or changed by the engine's owner commands
(`Workspace.open`); keys and journal are closed to everyone else; the control socket is a Unix
socket always, and moves to the user's runtime directory when its path is too long for the kernel,
never to TCP.
"""

from __future__ import annotations

import hashlib
import os
import stat
from dataclasses import dataclass
from pathlib import Path

from engine.contracts.errors import WorkspaceError

#: `sun_path` holds 108 bytes with the closing zero (unix(7)).
SOCKET_PATH_BYTES = 107

#: Folder below the workspace -> mode. `run/` may be entered by the group: the socket is there.
FOLDERS: dict[str, int] = {
    "config": 0o755,
    "runbooks": 0o755,
    "sessions": 0o755,
    ".peakctl": 0o750,
    ".peakctl/run": 0o750,
    ".peakctl/journal": 0o700,
    ".peakctl/heads": 0o700,
    ".peakctl/log": 0o700,
    ".peakctl/keys": 0o700,
    ".peakctl/market": 0o700,
    ".peakctl/snapshots": 0o700,
}


@dataclass(frozen=True)
class Workspace:
    """The paths of one workspace. The constructor looks at nothing; `open` and `visit` do."""

    root: Path

    @classmethod
    def open(cls, path: Path) -> Workspace:
        """A workspace that is ours to run. Raises WorkspaceError."""
        workspace = cls.visit(path)
        owner = workspace.root.stat().st_uid
        if owner != os.getuid():
            raise WorkspaceError(
                what=f"the workspace belongs to uid {owner}, you are uid {os.getuid()}",
                where=str(workspace.root),
                todo="use your own (`peakctl init DIR`), or join this one with `peakctl review`",
            )
        return workspace

    @classmethod
    def visit(cls, path: Path) -> Workspace:
        """A workspace that exists, whoever owns it: for the reviewer and for reading."""
        workspace = cls(path.absolute())
        try:
            found = workspace.config_file.is_file() and workspace.state.is_dir()
        except PermissionError as error:
            raise WorkspaceError(
                what="may not be entered", where=str(path), todo="ask its owner for access"
            ) from error
        if not found:
            raise WorkspaceError(
                what="not a workspace",
                where=str(path),
                todo="make one with `peakctl init DIR`, or name it with --workspace",
            )
        return workspace

    @property
    def config_file(self) -> Path:
        """The workspace's own settings."""
        return self.root / "config" / "peakctl.toml"

    @property
    def people_file(self) -> Path:
        """The roster."""
        return self.root / "config" / "people.toml"

    @property
    def allowed_signers(self) -> Path:
        """Who may sign what, in OpenSSH's form."""
        return self.root / "config" / "allowed_signers"

    @property
    def revoked_keys(self) -> Path | None:
        """Keys that count no more; None when nothing is there. What is no file revokes them all."""
        path = self.root / "config" / "revoked_keys"
        return path if os.path.lexists(path) else None

    @property
    def runbooks(self) -> Path:
        """The runbooks in force here."""
        return self.root / "runbooks"

    @property
    def sessions(self) -> Path:
        """Where sealed packs land."""
        return self.root / "sessions"

    @property
    def state(self) -> Path:
        """The hidden state."""
        return self.root / ".peakctl"

    @property
    def run(self) -> Path:
        """Pid files, ready lines and the socket."""
        return self.state / "run"

    @property
    def log(self) -> Path:
        """Output of the processes, and crash files."""
        return self.state / "log"

    @property
    def jobs(self) -> Path:
        """Long work that was started here: one folder each."""
        return self.state / "jobs"

    @property
    def journal(self) -> Path:
        """The journal's folder."""
        return self.state / "journal"

    @property
    def heads(self) -> Path:
        """The signed heads."""
        return self.state / "heads"

    @property
    def store(self) -> Path:
        """The DuckDB file."""
        return self.state / "evidence.duckdb"

    @property
    def market(self) -> Path:
        """Recorded market data, and where the store may export."""
        return self.state / "market"

    @property
    def log_key(self) -> Path:
        """The key that signs heads."""
        return self.state / "keys" / "log_ed25519"

    @property
    def engine_pid(self) -> Path:
        """The engine's pid file."""
        return self.run / "engine.pid"

    @property
    def sandbox_ready(self) -> Path:
        """The sandbox's ready line with its pid (0600)."""
        return self.run / "sandbox.json"

    def key_of(self, role: str) -> Path:
        """The demo key of a role (`operator`, `reviewer`)."""
        return self.root / "keys" / role

    @property
    def socket(self) -> Path:
        """The control socket: here, or in the user's runtime directory when too long."""
        here = self.run / "engine.sock"
        return here if _fits(here) else _runtime_socket(self.root)


def _fits(path: Path) -> bool:
    return len(os.fsencode(path)) <= SOCKET_PATH_BYTES


def _runtime_socket(root: Path) -> Path:
    """The fallback: a folder of ours (0700) named by the hash of the workspace's path."""
    digest = hashlib.sha256(os.fsencode(root.resolve())).hexdigest()[:16]
    folder = _runtime_folder() / digest
    path = folder / "engine.sock"
    if not _fits(path):
        raise WorkspaceError(
            what=f"the socket's path is over {SOCKET_PATH_BYTES} bytes here and in {folder}",
            where=str(root),
            todo="use a workspace with a shorter path",
        )
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for level, refused_bits in (
        (folder, 0o077),
        (folder.parent, 0o022),
        (folder.parents[1], 0o022),
    ):
        _require_ours(level, refused_bits)
    return path


def _runtime_folder() -> Path:
    """The user's runtime directory for us, or what platformdirs falls back to without one."""
    import warnings  # noqa: PLC0415

    import platformdirs  # noqa: PLC0415  (only where the path is too long)

    with warnings.catch_warnings():
        # It warns that it falls back; the fallback's owner and mode are checked below.
        warnings.simplefilter("ignore")
        return Path(platformdirs.user_runtime_dir("peakctl"))


def _require_ours(folder: Path, refused_bits: int) -> None:
    """Refuse a folder in which somebody else could put another socket. Raises WorkspaceError."""
    facts = folder.lstat()
    mode = stat.S_IMODE(facts.st_mode)
    ours = facts.st_uid in {os.getuid(), 0}
    if not stat.S_ISDIR(facts.st_mode) or not ours or mode & refused_bits:
        raise WorkspaceError(
            what=f"the runtime folder is owned by uid {facts.st_uid} with mode {mode:04o}",
            where=str(folder),
            todo="it must be yours and closed to others; or use a shorter workspace path",
        )


def find(start: Path) -> Path:
    """The workspace that `start` is in, looking upwards. Raises WorkspaceError."""
    for folder in (start, *start.parents):
        if (folder / "config" / "peakctl.toml").is_file() and (folder / ".peakctl").is_dir():
            return folder
    raise WorkspaceError(
        what="not inside a workspace",
        where=str(start),
        todo="name one with --workspace, make one with `peakctl init DIR`, or try `peakctl demo`",
    )
