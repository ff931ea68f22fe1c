"""Attacks on which code runs: by files where a child starts, and by variables of Python's own.

What two people signed binds the hash of the installed code. That says nothing when a child imports
from the folder that it starts in, or from where a variable points.
"""

from __future__ import annotations

import inspect
import re
import subprocess
from pathlib import Path

import pytest

from engine.execution.watchdog.link import WatchdogLink
from engine.unseen import plain_environment
from peakctl.supervisor import import_path

ROOT = Path(__file__).parents[2]
_STARTED = re.compile(r"sys\.executable(?!\)\.with_name)(?P<rest>[^)\]]*)")


def test_i6_no_child_imports_from_the_folder_that_it_starts_in() -> None:
    started = [
        (str(path.relative_to(ROOT)), found["rest"].replace(" ", ""))
        for room in ("engine", "peakctl", "config", "screens")
        for path in (ROOT / room).rglob("*.py")
        for found in _STARTED.finditer(path.read_text(encoding="utf-8"))
    ]
    assert len(started) >= 5
    assert [one for one in started if not one[1].startswith((',"-P",', ',"-I",'))] == []


def test_i6_a_package_of_the_attackers_lies_in_the_workspace(tmp_path: Path) -> None:
    """An engine lies in its workspace, and so does its watchdog, which has the venue's key."""
    hit = tmp_path / "hit"
    for name in ("engine/__init__.py", "msgspec.py", "aiohttp.py", "json.py"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"open({str(hit)!r}, 'w')\n")
    command = inspect.signature(WatchdogLink.__init__).parameters["command"].default
    done = subprocess.run(
        command,
        input=b"",
        capture_output=True,
        check=False,
        timeout=60,
        cwd=tmp_path,
        env={**plain_environment({}), "PYTHONPATH": import_path()},
    )
    assert b"No module named" not in done.stderr
    assert not hit.exists()


@pytest.mark.parametrize(
    "name",
    [
        *("PYTHONPYCACHEPREFIX", "PYTHONHOME", "PYTHONSTARTUP", "PYTHONBREAKPOINT"),
        *("PYTHONUSERBASE", "PYTHONPLATLIBDIR", "PYTHONWARNINGS", "PYTHONINSPECT"),
        *("LD_PRELOAD", "LD_AUDIT", "BASH_ENV", "ENV", "GCONV_PATH", "OPENSSL_CONF"),
        *("PEAKCTL__ENVIRONMENT", "GIT_CONFIG_GLOBAL", "SSH_ASKPASS", "SSH_AUTH_SOCK"),
    ],
)
def test_a_variable_that_names_other_code_reaches_no_child(name: str) -> None:
    assert plain_environment({name: "x", "PATH": "/bin"}) == {"PATH": "/bin"}


def test_the_callers_own_path_for_imports_reaches_no_child(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", "/tmp/theirs")
    assert import_path() == str(ROOT)
