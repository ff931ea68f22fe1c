"""Workspaces for whole sessions: real processes, gone when the test ends."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from people import Desk


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """Two terminals' worth of people over one workspace that does not exist yet."""
    place = Desk(tmp_path / "w")
    try:
        yield place
    finally:
        place.leave()
        _end_sandbox(place.workspace)
        _end_everything(tmp_path)


def _end_sandbox(workspace: Path) -> None:
    """The exchange outlives a console that was cut off, and names no workspace on its line."""
    with suppress(OSError, ValueError, KeyError):
        ready = json.loads((workspace / ".peakctl" / "run" / "sandbox.json").read_text())
        os.kill(int(ready["pid"]), signal.SIGKILL)


def _end_everything(folder: Path) -> None:
    """End every process that names the folder or works in it; a test must leave nothing behind.

    A watchdog names nothing, and one whose exchange is gone would look for it without end.
    """
    marker = os.fsencode(str(folder))
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        with suppress(OSError):
            mine = marker in (entry / "cmdline").read_bytes()
            mine = mine or marker in (entry / "environ").read_bytes()
            mine = mine or (entry / "cwd").readlink().is_relative_to(folder)
            if mine:
                os.kill(int(entry.name), signal.SIGKILL)
