"""A console whose event loop stands still on command; run by the bench in a real terminal.

    python -m tests.benchmarks.blocked_screen ours|bare FOLDER SECONDS

`ours` is the product's own operator's console on the workspace FOLDER; `bare` is the least screen
of the library with a binding on F9. Twenty times a second it looks for FOLDER/`sleep` or
FOLDER/`compute`; one that is there is removed, and the event loop is blocked for SECONDS: asleep,
or computing in Python, which also holds the interpreter's lock. To FOLDER/`marks` it writes one
line a fact, each with the monotonic clock in ns, which all processes of a machine share:

    blocked T            the loop stands from now on
    free T               it goes on
    answered P T         the engine's answer to the press that was read at P (µs UTC) is here,
                         which the engine sends once the press is durable (bare: F9 was acted on)
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import ClassVar

from textual.app import App, ComposeResult
from textual.binding import Binding
from textual.message import Message
from textual.widgets import Footer, Header, Static

from peakctl.app import ConsoleApp
from peakctl.kill_key import KillNews
from peakctl.workspace import Workspace

_LOOK_SECONDS = 0.05


class _Block:
    """Blocks whoever calls `look` when it is told to; writes the marks."""

    def __init__(self, folder: Path, seconds: float) -> None:
        self._folder = folder
        self._seconds = seconds
        self._marks = os.open(folder / "marks", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def mark(self, *words: object) -> None:
        """Append one line; from any thread."""
        line = " ".join(str(word) for word in (*words, time.monotonic_ns()))
        os.write(self._marks, f"{line}\n".encode("ascii"))

    def look(self) -> None:
        """Stand still if that was asked for."""
        for name, hold in (("sleep", time.sleep), ("compute", _compute)):
            order = self._folder / name
            if order.exists():
                order.unlink()
                self.mark("blocked")
                hold(self._seconds)
                self.mark("free")


def _compute(seconds: float) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        sum(range(1_000))


class Ours(ConsoleApp):
    """The console itself."""

    def __init__(self, folder: Path, block: _Block) -> None:
        super().__init__(Workspace(folder), "alice", None)
        self._block = block

    def on_ready(self) -> None:
        """Look for the order to block."""
        self.set_interval(_LOOK_SECONDS, self._block.look)

    def post_message(self, message: Message) -> bool:
        """Note when an answer is here: the sender's thread posts it at once."""
        if isinstance(message, KillNews) and message.press.stage == "answered":
            self._block.mark("answered", message.press.pressed_us)
        return super().post_message(message)


class Bare(App[None]):
    """A binding, as the library offers it."""

    BINDINGS: ClassVar[list[Binding]] = [Binding("f9", "kill", "KILL", priority=True)]  # type: ignore[assignment]
    ENABLE_COMMAND_PALETTE = False

    def __init__(self, block: _Block) -> None:
        super().__init__()
        self._block = block

    def compose(self) -> ComposeResult:
        """A header, lines, a footer."""
        yield Header()
        yield Static("\n".join(f"line {number}" for number in range(20)))
        yield Footer()

    def on_ready(self) -> None:
        """Look for the order to block."""
        self.set_interval(_LOOK_SECONDS, self._block.look)

    def action_kill(self) -> None:
        """Nothing is sent at all: this is when the application learns of the key."""
        self._block.mark("answered", time.time_ns() // 1000)


def main() -> int:
    """Run one of the two."""
    kind, folder, seconds = sys.argv[1], Path(sys.argv[2]), float(sys.argv[3])
    block = _Block(folder, seconds)
    if kind == "ours":
        Ours(folder, block).run()
    else:
        Bare(block).run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
