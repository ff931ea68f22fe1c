"""What the kernel knows of the process at the other end of the control socket.

Its login (`loginuid`) and audit session survive su and sudo, so two people who came in by one login
are seen even when each works as a Unix user of their own. The kernel's word stands in place of the
process's own; what cannot be read is unknown, which is never "different".
"""

from __future__ import annotations

from pathlib import Path

#: The kernel's "not set".
_UNSET = str(2**32 - 1)
_FILES = {"loginuid": "loginuid", "audit_session": "sessionid"}


def login_of(pid: int, proc: Path = Path("/proc")) -> dict[str, str]:
    """`loginuid` and `audit_session` of a process, "" where not set or not known."""
    return {name: _read(proc / str(pid) / file) for name, file in _FILES.items()}


def _read(path: Path) -> str:
    try:
        said = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""
    return said if said.isdigit() and said != _UNSET else ""
