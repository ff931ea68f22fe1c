"""What the two people do, in their words: each step is keys in a terminal and what is then seen."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from terminal import DEADLINE_SECONDS, Terminal

#: What the demo's charter says, and what a careful reader therefore answers.
MAX_NOTIONAL = "50000"


class Desk:
    """The two people, their terminals and the workspace between them."""

    def __init__(self, workspace: Path) -> None:
        self.workspace = workspace
        # The first marks every process for the clean-up; the reviewer's own heads stay with us too.
        self.environ = {
            "PEAKCTL_JOURNEY": str(workspace),
            "XDG_STATE_HOME": str(workspace.parent / "state"),
        }
        self._terminals: list[Terminal] = []

    # --- terminals --------------------------------------------------------------------------------

    def operator(self, *, rows: int = 40, columns: int = 120) -> Terminal:
        """The operator runs the demo: workspace, exchange, engine, console."""
        arguments = ("demo", "--workspace", str(self.workspace), "--seed", "7")
        terminal = self._open(*arguments, rows=rows, columns=columns)
        terminal.wait_for("Write the charter of a new session")
        return terminal

    def console(self) -> Terminal:
        """The operator opens the console of a workspace that exists."""
        return self._open("--workspace", str(self.workspace), "--person", "alice")

    def reviewer(self, *, rows: int = 40, columns: int = 120) -> Terminal:
        """The reviewer, in the second terminal."""
        return self._open("review", "--workspace", str(self.workspace), rows=rows, columns=columns)

    def _open(self, *arguments: str, rows: int = 40, columns: int = 120) -> Terminal:
        terminal = Terminal(*arguments, rows=rows, columns=columns, environ=self.environ)
        self._terminals.append(terminal)
        return terminal

    def leave(self) -> None:
        """Close every terminal."""
        for terminal in self._terminals:
            terminal.close()

    def command(self, *arguments: str, code: int = 0) -> str:
        """A command in a third terminal; returns its standard output."""
        program = str(Path(sys.executable).with_name("peakctl"))
        done = subprocess.run(
            [program, *arguments], capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == code, (
            f"{arguments}: {done.returncode}\n{done.stdout}{done.stderr}"
        )
        return done.stdout + (done.stderr if code else "")

    def status(self) -> dict[str, Any]:
        """The whole state, as any terminal can ask for it."""
        return json.loads(self.command("status", "--json", "--workspace", str(self.workspace)))

    def until_status(
        self, holds: Callable[[dict[str, Any]], bool], seconds: float = DEADLINE_SECONDS
    ) -> None:
        """Ask for the state until it is as wanted."""
        deadline = time.monotonic() + DEADLINE_SECONDS
        while not holds(self.status()):
            assert time.monotonic() < deadline, self.status()

    def packs(self) -> list[Path]:
        """The sealed packs."""
        return sorted(path for path in (self.workspace / "sessions").iterdir() if path.is_dir())


def open_session(operator: Terminal) -> None:
    """The operator sends the charter as it stands."""
    operator.wait_for("data live")
    operator.press("ctrl+s")
    operator.wait_for("CHECKLIST")


def work_checklist(operator: Terminal, reviewer: Terminal) -> None:
    """Automatic items are run, both people answer their own."""
    operator.press("ctrl+r")
    operator.wait_for("8 of 11 passed")
    for title, answer in (
        ("Position you expect at the start", "0"),
        ("Which key stops everything", "F9"),
        ("Largest order notional", MAX_NOTIONAL),
    ):
        operator.wait_for(f"▶ □ open  you   {title}")
        operator.press(answer, "enter")
    operator.wait_for("10 of 11 passed, 1 given")
    operator.wait_for("Wait for the reviewer's answers")
    for title, answer in (
        ("Largest order notional", MAX_NOTIONAL),
        ("What do you answer when in doubt", "no-go"),
    ):
        reviewer.wait_for(f"▶ □ open  you   {title}")
        reviewer.press(answer, "enter")
    reviewer.wait_for("2 of 2 passed")
    operator.wait_for("11 of 11 passed")
    operator.wait_for("▶ Ask for go")


def ask_for_go(operator: Terminal) -> str:
    """The operator freezes the packet, reads it and signs; returns the short code read aloud."""
    operator.press("f4")
    operator.wait_for("Nothing is frozen yet|ask again with")
    operator.press("ctrl+r")
    operator.wait_for("PACKET READY")
    code = operator.wait_for(r"│\s+([A-Z]{4})\s+([A-Z]{4})\s+([A-Z]{4})\s+([A-Z]{4})\s+│")
    operator.wait_for("hashed here, equal")
    operator.press("ctrl+s")
    operator.wait_for("OPERATOR SIGNED")
    return " ".join(code.groups())


def decide(reviewer: Terminal, code: str, decision: str, reason: str = "") -> None:
    """The reviewer types the code that was read aloud and the limit, chooses and signs."""
    reviewer.wait_for("OPERATOR SIGNED")
    reviewer.wait_for("hashed here, equal")
    type_code_and_limit(reviewer, code)
    reviewer.press("tab", *(["right"] * {"GO": 1, "NO-GO": 2}[decision]))
    reviewer.wait_for(f"▸{decision}◂")
    if reason:
        reviewer.press("tab", reason)
        reviewer.wait_for(rf"reason\s+{re.escape(reason)}")
    # Nothing is taken before the packet was on the screen for the minimum dwell: once more.
    again_until_seen(lambda: reviewer.press("ctrl+s"), reviewer, f"{decision} is signed and sent")


def type_code_and_limit(reviewer: Terminal, code: str) -> None:
    """The reviewer types what was read aloud, and the packet's largest order notional."""
    reviewer.press("tab")
    type_until_seen(reviewer, code, "✔ MATCH")
    reviewer.press("tab", MAX_NOTIONAL)
    reviewer.wait_for("✔ AS SIGNED")


def place_order(operator: Terminal, quantity: str, price: str = "") -> None:
    """A buy ticket: LIMIT at a price, MARKET without; sent once every check allows."""
    operator.press("ctrl+n")
    operator.wait_for("Send waits for the checks")
    type_until_seen(operator, quantity, rf"quantity\s+{re.escape(quantity)}\s")
    if price:
        operator.press("tab", price)  # a field that is entered is selected: typing replaces it
        operator.wait_for(rf"price\s+{re.escape(price)}\s")
    else:
        operator.press("shift+tab", "shift+tab", "right")
        operator.wait_for("▸MARKET◂")
        operator.press("tab", "tab", "tab")
    operator.press("tab", "tab")
    deadline = time.monotonic() + DEADLINE_SECONDS
    while operator.sees("Send order"):  # an Enter before the checks allow does nothing
        operator.wait_for("Tab to Send, then Enter|was sent")
        operator.press("enter")
        operator.glimpse(r"\A(?![\s\S]*Send order)")
        assert time.monotonic() < deadline, operator.text


def type_until_seen(terminal: Terminal, text: str, pattern: str) -> None:
    """Type, look, and type again: a dialog drops the keys of its first moments on purpose."""

    def type_anew() -> None:
        terminal.press("ctrl+u")
        terminal.glimpse("^$")
        terminal.press(text)

    terminal.press(text)
    if not terminal.glimpse(pattern):
        again_until_seen(type_anew, terminal, pattern)


def again_until_seen(act: Callable[[], None], terminal: Terminal, pattern: str) -> None:
    """Do it again and again, with a look after each time, until the pattern is there."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while time.monotonic() < deadline:
        act()
        if terminal.glimpse(pattern):
            return
    terminal.wait_for(pattern, 0)
