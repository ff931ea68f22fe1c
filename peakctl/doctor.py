"""What `peakctl doctor` looks at: each check reads one thing and says what it read.

A check that cannot read has failed (I12). Nothing here changes anything: the journal is verified
by reading, the store is not opened (the engine compares it at each start).
"""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from engine.contracts.errors import PeakError
from engine.contracts.toml_text import load_toml
from engine.unseen import plain_environment
from peakctl.workspace import Workspace

if TYPE_CHECKING:
    from engine.contracts.people import Person
    from engine.signatures.allowed_signers import AllowedSigners


@dataclass(frozen=True)
class Finding:
    """One check: what was read, and what to do when it is not well."""

    name: str
    ok: bool
    reading: str
    todo: str = ""

    def as_row(self) -> dict[str, object]:
        """For JSON."""
        return asdict(self)


def examine(workspace: Workspace) -> list[Finding]:
    """Run every check; one that raises is a finding, not an end."""
    findings = []
    for name, check in CHECKS:
        try:
            findings.append(check(workspace))
        except PeakError as error:
            findings.append(Finding(name, ok=False, reading=error.what, todo=error.todo))
        except (OSError, ValueError, KeyError) as error:
            findings.append(Finding(name, ok=False, reading=f"{type(error).__name__}: {error}"))
    return findings


def _python(_: Workspace) -> Finding:
    version = ".".join(str(part) for part in sys.version_info[:3])
    return Finding("python", sys.version_info >= (3, 11), version, "use Python 3.11 or newer")


def _ssh_keygen(_: Workspace) -> Finding:
    from engine.signatures.keygen import find_ssh_keygen  # noqa: PLC0415

    path = find_ssh_keygen()
    said = ""
    with contextlib.suppress(OSError):  # the version is a comfort; only ssh-keygen is needed
        said = subprocess.run(
            ["ssh", "-V"],
            capture_output=True,
            text=True,
            check=False,
            timeout=10,
            env=plain_environment(os.environ),
        ).stderr.strip()
    return Finding("ssh-keygen", ok=True, reading=f"{path} ({said or 'version unknown'})")


def _config(workspace: Workspace) -> Finding:
    from config.settings import load  # noqa: PLC0415

    effective = load(workspace.root, os.environ)
    environment = effective.settings.environment.value
    return Finding("config", ok=True, reading=f"{environment}, sha256 {effective.sha256[:16]}")


def _watchdog_key(workspace: Workspace) -> Finding:
    """Whether the watchdog would still have a key if the trading key were revoked or throttled."""
    from config.settings import load  # noqa: PLC0415

    venue = load(workspace.root, os.environ).settings.venue
    if venue.watchdog_api_key_ref:
        return Finding("watchdog key", ok=True, reading="its own")
    return Finding(
        "watchdog key",
        ok=True,
        reading="warning: the watchdog uses the trading key; whoever revokes that stops both",
        todo="make a second key of the account and set venue.watchdog_api_key_ref and _secret_ref",
    )


def _disk(workspace: Workspace) -> Finding:
    from config.settings import load  # noqa: PLC0415

    needed = load(workspace.root, os.environ).settings.disk.min_free_mb
    free = shutil.disk_usage(workspace.state).free // 2**20
    return Finding("disk", free >= needed, f"{free} MiB free, {needed} needed", "free some space")


def _socket(workspace: Workspace) -> Finding:
    path = workspace.socket
    if not path.exists():
        return Finding("socket", ok=True, reading=f"{path} (no engine yet)")
    facts = path.lstat()
    mode = stat.S_IMODE(facts.st_mode)
    good = stat.S_ISSOCK(facts.st_mode) and not mode & 0o007 and facts.st_uid == os.getuid()
    return Finding("socket", good, f"{path} mode {mode:04o}", "it must be ours, 0660 or tighter")


def _folders(workspace: Workspace) -> Finding:
    open_to_all = [
        path.name
        for path in (workspace.journal, workspace.state / "keys", workspace.log, workspace.run)
        if path.stat().st_mode & 0o007
    ]
    reading = f"open to everyone: {', '.join(open_to_all)}" if open_to_all else "closed to others"
    return Finding("folders", not open_to_all, reading, "chmod o-rwx them")


def _journal(workspace: Workspace) -> Finding:
    from engine.journal.heads import read_heads  # noqa: PLC0415
    from engine.journal.verify import verify_journal  # noqa: PLC0415

    heads = [one.head for one in read_heads(workspace.heads)]
    report = verify_journal(workspace.journal, heads)
    if report.ok:
        reading = f"{report.size} events, {report.heads_checked} heads"
        return Finding("journal", ok=True, reading=reading)
    first = report.findings[0]
    return Finding("journal", ok=False, reading=f"{first.where}: {first.what}", todo="do not trade")


def _store(workspace: Workspace) -> Finding:
    if not workspace.store.exists():
        return Finding("store", ok=True, reading="not made yet")
    size = workspace.store.stat().st_size // 1024
    return Finding("store", os.access(workspace.store, os.R_OK | os.W_OK), f"{size} KiB")


def _keys(workspace: Workspace) -> Finding:
    mode = stat.S_IMODE(workspace.log_key.stat().st_mode)
    return Finding("keys", not mode & 0o077, f"log key mode {mode:04o}", "chmod 600 the log key")


def _people(workspace: Workspace) -> Finding:
    from engine.governance.people import parse_roster  # noqa: PLC0415
    from engine.plain_file import read_plain_text  # noqa: PLC0415
    from engine.signatures.allowed_signers import parse_allowed_signers  # noqa: PLC0415

    roster = parse_roster(load_toml(read_plain_text(workspace.people_file)))
    where = str(workspace.allowed_signers)
    signers = parse_allowed_signers(read_plain_text(workspace.allowed_signers), where)
    roles = {person.role.value for person in roster.people}
    unlisted = [
        person.id for person in roster.people if signers.by_principal(person.principal) is None
    ]
    reading = f"{len(roster.people)} people, roles {', '.join(sorted(roles)) or 'none'}"
    if unlisted:
        reading += f", without a signer's line: {', '.join(unlisted)}"
        return Finding("people", ok=False, reading=reading, todo="`peakctl people add` them")
    short = [person.id for person in roster.people if _lacks_namespace(person, signers)]
    if short:
        reading += f", may not sign everything that their role signs: {', '.join(short)}"
        todo = "write today's namespaces into their lines of config/allowed_signers"
        return Finding("people", ok=False, reading=reading, todo=todo)
    good = roles == {"operator", "reviewer"}
    return Finding("people", good, reading, "one operator and one reviewer at least")


def _lacks_namespace(person: Person, signers: AllowedSigners) -> bool:
    """Whether the line was written before a document of the role had a namespace."""
    from config.roster import NAMESPACES  # noqa: PLC0415

    row = signers.by_principal(person.principal)
    return row is None or not set(NAMESPACES[person.role]) <= set(row.namespaces)


def _clock(_: Workspace) -> Finding:
    """The date, and whether NTP holds it; the offset to the venue is the checklist's job."""
    year = time.gmtime().tm_year
    synchronised = _kernel_synchronised()
    reading = {True: "synchronised", False: "not synchronised", None: "sync state unknown"}
    good = year >= 2024
    return Finding(
        "clock",
        good,
        f"{time.strftime('%F %T', time.gmtime())}Z, {reading[synchronised]}",
        "set it",
    )


def _kernel_synchronised() -> bool | None:
    try:
        done = subprocess.run(
            ["timedatectl", "show", "-p", "NTPSynchronized", "--value"],
            capture_output=True,
            text=True,
            check=False,
            timeout=5,
            env=plain_environment(os.environ),
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return {"yes": True, "no": False}.get(done.stdout.strip())


def _engine(workspace: Workspace) -> Finding:
    from peakctl.supervisor import Supervisor  # noqa: PLC0415

    supervisor = Supervisor(workspace)
    state = supervisor.engine_state()
    if state is not None:
        engine = state["engine"]
        reading = f"pid {engine['pid']}, {engine['phase']}, watchdog {engine['watchdog']}"
        return Finding("engine", engine["phase"] != "halted", reading, "read .peakctl/log/")
    pid = supervisor.engine_pid()
    if pid is not None:
        return Finding(
            "engine", ok=False, reading=f"pid {pid} does not answer", todo="`peakctl kill`"
        )
    return Finding("engine", ok=True, reading="not running (the console starts it)")


CHECKS: tuple[tuple[str, Callable[[Workspace], Finding]], ...] = (
    ("python", _python),
    ("ssh-keygen", _ssh_keygen),
    ("config", _config),
    ("watchdog key", _watchdog_key),
    ("disk", _disk),
    ("folders", _folders),
    ("socket", _socket),
    ("journal", _journal),
    ("store", _store),
    ("keys", _keys),
    ("people", _people),
    ("clock", _clock),
    ("engine", _engine),
)
