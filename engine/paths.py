"""Where everything of a workspace lies, for the engine; the command line has its own view of it."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from engine.contracts.canonical import sha256_hex


@dataclass(frozen=True)
class EnginePaths:
    """Where everything of a workspace lies."""

    workspace: Path
    socket: Path

    @property
    def state(self) -> Path:
        """The hidden state folder."""
        return self.workspace / ".peakctl"

    @property
    def journal(self) -> Path:
        """The journal's folder."""
        return self.state / "journal"

    @property
    def store(self) -> Path:
        """The DuckDB file."""
        return self.state / "evidence.duckdb"

    @property
    def checkpoints(self) -> Path:
        """States that a restart may begin with; made again whenever they do not count."""
        return self.state / "checkpoints"

    @property
    def heads(self) -> Path:
        """The signed heads."""
        return self.state / "heads"

    @property
    def latch(self) -> Path:
        """The latch file."""
        return self.state / "latch"

    @property
    def latch_aside(self) -> Path:
        """Where the latch is kept when the workspace's disk does not take it."""
        root = Path(os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir())
        name = sha256_hex(str(self.workspace.absolute()).encode())[:16]
        return root / f"peakctl-latch-{os.getuid()}" / name

    @property
    def drills(self) -> Path:
        """What drills left: one folder each, with its journal."""
        return self.state / "drills"

    @property
    def run(self) -> Path:
        """Pid files and the watchdog's log."""
        return self.state / "run"

    @property
    def pid(self) -> Path:
        """The engine's pid file."""
        return self.run / "engine.pid"

    @property
    def watchdog_pid(self) -> Path:
        """The watchdog's pid file."""
        return self.run / "watchdog.pid"

    @property
    def watchdog_log(self) -> Path:
        """What the watchdog did, one JSON line each."""
        return self.state / "log" / "watchdog.jsonl"

    @property
    def watchdog_errors(self) -> Path:
        """The watchdog's standard error."""
        return self.state / "log" / "watchdog.err"

    @property
    def engine_log(self) -> Path:
        """The engine's own log, JSON lines."""
        return self.state / "log" / "engine.jsonl"

    @property
    def log_key(self) -> Path:
        """The key that signs heads."""
        return self.state / "keys" / "log_ed25519"

    @property
    def snapshots(self) -> Path:
        """The operator's snapshots."""
        return self.state / "snapshots"

    @property
    def market(self) -> Path:
        """Recorded market data, one folder a session."""
        return self.state / "market"

    @property
    def exports(self) -> Path:
        """The one folder the store may write into."""
        return self.state / "exports"

    @property
    def sessions(self) -> Path:
        """Where packs land."""
        return self.workspace / "sessions"

    @property
    def people(self) -> Path:
        """The roster."""
        return self.workspace / "config" / "people.toml"

    @property
    def allowed_signers(self) -> Path:
        """Who may sign what."""
        return self.workspace / "config" / "allowed_signers"

    @property
    def revoked_keys(self) -> Path:
        """Keys that count no more; may be missing."""
        return self.workspace / "config" / "revoked_keys"

    @property
    def runbooks(self) -> Path:
        """The runbooks in force."""
        return self.workspace / "runbooks"
