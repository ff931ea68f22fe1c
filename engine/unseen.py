"""Keeping a process's memory and environment to itself: both may hold keys (I10).

A core dump would hold all of it: RLIMIT_CORE 0 lets no dump be written, whatever the limits of the
shell; children inherit it. PR_SET_DUMPABLE 0 also keeps other processes of the same user from
attaching, and from reading environment and memory under /proc; `exec` resets it, so every program
of ours asks for itself. Children are started with the variables that their work needs
(`plain_environment`), by name. The standard library alone: it runs before anything else is
imported.
"""

from __future__ import annotations

import resource
import sys
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase

#: What any program may need: where things are, and in which language and time. No value of ours.
PLAIN = (
    *("PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "LC_*", "TZ", "TMPDIR"),
    *("VIRTUAL_ENV", "LD_LIBRARY_PATH", "SSL_CERT_FILE", "SSL_CERT_DIR"),
    # Of Python's own, those that do not say which code runs: no other caches, homes or start files.
    *("PYTHONPATH", "PYTHONUTF8", "PYTHONIOENCODING", "PYTHONUNBUFFERED", "PYTHONHASHSEED"),
    *("PYTHONDONTWRITEBYTECODE", "PYTHONFAULTHANDLER"),
)
#: What a keyring of the desktop or the system is reached by.
KEYRING = (
    *("DBUS_SESSION_BUS_ADDRESS", "XDG_*", "DISPLAY", "WAYLAND_DISPLAY"),
    *("KEYRING_*", "PYTHON_KEYRING_BACKEND"),
)
#: What ssh-keygen needs to reach an agent and to ask its person.
SSH = ("SSH_*", "DISPLAY", "WAYLAND_DISPLAY", "XDG_*", "TERM", "GPG_TTY")

#: <linux/prctl.h>
_PR_GET_DUMPABLE = 3
_PR_SET_DUMPABLE = 4


def keep_memory() -> bool:
    """Forbid core dumps of this process. False where the system took only a part of it."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    return _prctl(_PR_SET_DUMPABLE, 0) == 0


def is_kept() -> bool:
    """Whether this process leaves no core dump and cannot be read by others of its user."""
    limits = resource.getrlimit(resource.RLIMIT_CORE)
    return limits == (0, 0) and _prctl(_PR_GET_DUMPABLE, 0) == 0


def plain_environment(environ: Mapping[str, str], also: Iterable[str] = ()) -> dict[str, str]:
    """The variables of a child: `PLAIN` and the patterns of `also`, nothing else."""
    patterns = (*PLAIN, *also)
    return {
        name: value
        for name, value in environ.items()
        if any(fnmatchcase(name, pattern) for pattern in patterns)
    }


def _prctl(option: int, value: int) -> int:
    """The kernel's answer; -1 on systems without it."""
    if not sys.platform.startswith("linux"):
        return -1
    import ctypes  # noqa: PLC0415  (a few ms, and only here)

    return int(ctypes.CDLL(None).prctl(option, value, 0, 0, 0))
