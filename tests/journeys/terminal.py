"""A real pseudo-terminal with a person at it: keys in, screen out, every wait with a deadline."""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import pexpect
import pyte

KEYS = {
    "enter": "\r",
    "tab": "\t",
    "shift+tab": "\x1b[Z",
    "escape": "\x1b",
    "up": "\x1b[A",
    "down": "\x1b[B",
    "right": "\x1b[C",
    "left": "\x1b[D",
    "f1": "\x1bOP",
    "f2": "\x1bOQ",
    "f3": "\x1bOR",
    "f4": "\x1bOS",
    "f5": "\x1b[15~",
    "f6": "\x1b[17~",
    "f7": "\x1b[18~",
    "f8": "\x1b[19~",
    "f9": "\x1b[20~",
    "f12": "\x1b[24~",
    **{f"ctrl+{letter}": chr(ord(letter) - 96) for letter in "abcdefgklnopqrstuvwxyz"},
}

DEADLINE_SECONDS = 30.0


class Terminal:
    """One program in its own pseudo-terminal, drawn by pyte."""

    def __init__(
        self,
        *arguments: str,
        columns: int = 120,
        rows: int = 40,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        program = str(Path(sys.executable).with_name("peakctl"))
        # The size is the terminal's own; COLUMNS and LINES of whoever runs the tests are not.
        inherited = {k: v for k, v in os.environ.items() if k not in {"COLUMNS", "LINES"}}
        self._screen = pyte.Screen(columns, rows)
        self._stream = pyte.ByteStream(self._screen)
        #: the screen as text; None when it has changed since, because drawing it takes long
        self._text: str | None = None
        #: every byte the program wrote
        self.raw = bytearray()
        self.name = " ".join(arguments[:1]) or "console"
        self._child = pexpect.spawn(
            program,
            list(arguments),
            dimensions=(rows, columns),
            env={
                **inherited,
                "TERM": "xterm-256color",
                "COLORTERM": "truecolor",
                **(environ or {}),
            },
            timeout=None,
        )
        self._child.delaybeforesend = None

    def _drain(self, seconds: float) -> None:
        with suppress(pexpect.TIMEOUT, pexpect.EOF):
            got = self._child.read_nonblocking(65536, timeout=seconds)
            self.raw += got
            self._stream.feed(got)
            self._text = None

    @property
    def text(self) -> str:
        """What the person sees now, line by line."""
        if self._text is None:
            self._text = "\n".join(line.rstrip() for line in self._screen.display)
        return self._text

    def sees(self, pattern: str) -> bool:
        """Whether the pattern is on the screen now."""
        return re.search(pattern, self.text) is not None

    def wait_for(self, pattern: str, seconds: float = DEADLINE_SECONDS) -> re.Match[str]:
        """Look at the screen until the pattern is there; fails with the whole screen."""
        deadline = time.monotonic() + seconds
        while True:
            found = re.search(pattern, self.text)
            if found is not None:
                return found
            if time.monotonic() > deadline or not (self.alive or self._more()):
                state = "alive" if self.alive else "ended"
                raise AssertionError(
                    f"{self.name} ({state}): no {pattern!r} within {seconds:.0f} s:\n{self.text}"
                )
            self._drain(0.05)

    def glimpse(self, pattern: str) -> bool:
        """Look for half a second: is the pattern there?"""
        deadline = time.monotonic() + 0.5
        while not self.sees(pattern) and time.monotonic() < deadline:
            self._drain(0.05)
        return self.sees(pattern)

    def wait_gone(self, pattern: str, seconds: float = DEADLINE_SECONDS) -> None:
        """Look at the screen until the pattern is not there any more."""
        deadline = time.monotonic() + seconds
        while self.sees(pattern):
            assert time.monotonic() < deadline, f"{self.name}: still {pattern!r}:\n{self.text}"
            self._drain(0.05)

    def _more(self) -> bool:
        before = self.text
        self._drain(0.05)
        return self.text != before

    @property
    def alive(self) -> bool:
        """Whether the program runs."""
        return bool(self._child.isalive())

    @property
    def pid(self) -> int:
        """The program's process id."""
        return int(self._child.pid)

    def press(self, *keys: str) -> None:
        """Press named keys, or type text that is not a key's name."""
        for key in keys:
            self._child.send(KEYS.get(key, key))

    def type(self, text: str) -> None:
        """Type text."""
        self._child.send(text)

    def wait_end(self, seconds: float = DEADLINE_SECONDS) -> int:
        """Wait until the program ends; returns its exit code."""
        deadline = time.monotonic() + seconds
        while self.alive:
            assert time.monotonic() < deadline, f"{self.name} does not end:\n{self.text}"
            self._drain(0.05)
        self._child.close()
        return int(self._child.exitstatus if self._child.exitstatus is not None else -1)

    def close(self) -> None:
        """Close the terminal as a lost connection would."""
        self._child.close(force=True)
