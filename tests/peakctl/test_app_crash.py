"""A fault of our own: one line, a file without local variables, the terminal given back."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from peakctl.crash import crash_line
from peakctl.founding import create_demo
from tests.journeys.terminal import Terminal

SECRET = "swordfish-of-the-console"


def test_the_file_has_frames_and_no_locals(tmp_path: Path) -> None:
    def broken() -> None:
        password = SECRET
        raise KeyError(len(password))

    try:
        broken()
    except KeyError as error:
        line = crash_line(error, [tmp_path / "missing", tmp_path])
    (kept,) = tmp_path.iterdir()
    assert line == f"KeyError: a fault of peakctl's own; see {kept}"
    assert "in broken" in kept.read_text()
    assert SECRET not in kept.read_text()
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600


def test_a_console_that_breaks_says_one_line_and_keeps_a_file(tmp_path: Path) -> None:
    place = create_demo(tmp_path / "w")
    broken = tmp_path / "sitecustomize.py"
    broken.write_text(
        "import os\n"
        "if os.environ.get('BREAK_TICK'):\n"
        "    import peakctl.shell\n"
        "    def tick(self):\n"
        f"        password = {SECRET!r}\n"
        "        raise KeyError('tick')\n"
        "    peakctl.shell.PeakApp.tick = tick\n",
        encoding="utf-8",
    )
    path = os.pathsep.join(filter(None, [str(tmp_path), os.environ.get("PYTHONPATH", "")]))
    terminal = Terminal(
        "review",
        "--workspace",
        str(place.root),
        environ={"PYTHONPATH": path, "BREAK_TICK": "1", "XDG_STATE_HOME": str(tmp_path)},
    )
    try:
        found = terminal.wait_for(r"KeyError: a fault of peakctl's own; see")
        assert found
        assert terminal.wait_end() == 1
    finally:
        terminal.close()
    (kept,) = place.log.glob("crash-*.txt")
    assert "in tick" in kept.read_text()
    assert SECRET not in kept.read_text() + terminal.text
    assert "Traceback" not in terminal.text
