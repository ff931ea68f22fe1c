"""`peakctl demo`: the throw-away workspace, with the console or as a whole session without screens.

The headless session is two people at two clients over the real socket, with real signatures by
ssh-keygen and the sandbox as the venue; it takes no short cut that a person could not. Whatever
happens, engine, watchdog and sandbox are gone when it ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import shlex
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from peakctl.commands.output import say
from peakctl.commands.running import leave_in_order
from peakctl.founding import create_demo
from peakctl.supervisor import Supervisor
from peakctl.workspace import Workspace

OPERATOR = "alice"
REVIEWER = "bob"


def run_demo(*, seed: int, replay: Path | None, folder: Path | None) -> int:
    """Open the demo console; the second terminal's line is on its screen. Returns the exit code."""
    workspace = _found(seed, replay, folder)
    with _processes(workspace):
        from peakctl.app import run_console  # noqa: PLC0415

        line = f"{_program()} review --workspace {shlex.quote(str(workspace.root))}"
        code = run_console(workspace.root, OPERATOR, workspace.key_of("operator"), line)
    say(f"the demo's workspace is {workspace.root}")
    return code


def run_headless(*, seed: int, replay: Path | None, folder: Path | None) -> int:
    """Run a whole session and print each step and the sealed pack's path. Raises PeakError."""
    from peakctl.demo_session import Narrator, play  # noqa: PLC0415

    narrator = Narrator()
    started = time.monotonic()
    workspace = _found(seed, replay, folder)
    narrator.tell("workspace", f"{workspace.root}, people {OPERATOR} and {REVIEWER}", started)
    started = time.monotonic()
    with _processes(workspace) as supervisor:
        narrator.tell("processes", f"engine pid {supervisor.ensure_engine()}, sandbox", started)
        pack = asyncio.run(play(workspace, narrator))
    say("engine, watchdog and sandbox are gone; the sealed pack is")
    say(str(pack))
    return 0


def _found(seed: int, replay: Path | None, folder: Path | None) -> Workspace:
    sandbox: dict[str, object] = {"seed": seed}
    if replay is not None:
        sandbox["replay"] = str(replay.resolve())
    return create_demo(folder, {"sandbox": sandbox})


@contextlib.contextmanager
def _processes(workspace: Workspace) -> Iterator[Supervisor]:
    """Sandbox and engine running inside, gone outside."""
    supervisor = Supervisor(workspace)
    leave_in_order()
    try:
        supervisor.ensure_engine()
        yield supervisor
    finally:
        supervisor.end_all(OPERATOR)


def _program() -> str:
    """How this program is called from another terminal."""
    if shutil.which("peakctl"):
        return "peakctl"
    return shlex.quote(str(Path(sys.executable).with_name("peakctl")))
