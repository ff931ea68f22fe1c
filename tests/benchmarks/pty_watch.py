"""A program in a real pseudo-terminal: when it wrote what, what the screen shows, what it cost."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import subprocess
import termios
import time
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

import pyte

from tests.benchmarks.desk import ROOT, end

COLUMNS, ROWS = 120, 40
_TICKS = os.sysconf("SC_CLK_TCK")
#: A frame is whole when its first and last line and most of what lies between are there.
_FULL_LINES = 8


class Chunk(NamedTuple):
    """Bytes that were written, when they were read, and the CPU seconds the program had used."""

    at: float
    cpu: float
    data: bytes


class PtyWatch:
    """Runs a command in its own terminal; use as a context manager."""

    def __init__(self, command: list[str]) -> None:
        self.screen = pyte.Screen(COLUMNS, ROWS)
        self._stream = pyte.ByteStream(self.screen)
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("4H", ROWS, COLUMNS, 0, 0))
        kept = {name: value for name, value in os.environ.items() if "PEAKCTL" not in name}
        self.started = time.perf_counter()
        self._process = subprocess.Popen(
            command,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
            cwd=ROOT,
            env={
                **kept,
                "TERM": "xterm-256color",
                "COLORTERM": "truecolor",
                "PYTHONPATH": str(ROOT),
            },
        )
        os.close(slave)

    def __enter__(self) -> PtyWatch:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        end(self._process)
        os.close(self._master)

    @property
    def pid(self) -> int:
        """The program's process id."""
        return self._process.pid

    def _collect(self, first_s: float, quiet_s: float, most_s: float = 1e9) -> list[Chunk]:
        """Read without drawing, which would hold the writer up: until `quiet_s` of silence.

        Waits `first_s` for a beginning and goes on for at most `most_s`.
        """
        chunks: list[Chunk] = []
        until = time.perf_counter() + most_s
        while (left := until - time.perf_counter()) > 0:
            wait = min(left, quiet_s if chunks else first_s)
            if not select.select([self._master], [], [], wait)[0]:
                break
            try:
                data = os.read(self._master, 1 << 16)
            except OSError as error:
                raise RuntimeError(f"the program ended:\n{self.text}") from error
            chunks.append(Chunk(time.perf_counter(), self.cpu_seconds(), data))
        return chunks

    def first_full_paint(self) -> tuple[float, float]:
        """(seconds since the start, CPU seconds spent) when a whole frame stood there."""
        chunks = self._collect(20.0, 0.6, 5.0)
        found: tuple[float, float] | None = None
        for chunk in chunks:
            self._stream.feed(chunk.data)
            if found is None and self._full():
                found = chunk.at - self.started, chunk.cpu
        if found is None:
            raise RuntimeError(f"no full frame:\n{self.text}")
        return found

    def _full(self) -> bool:
        lines = [line.strip() for line in self.screen.display]
        return bool(lines[0]) and bool(lines[-1]) and sum(map(bool, lines)) >= _FULL_LINES

    def wait_for(self, words: str, deadline_seconds: float = 20.0) -> None:
        """Read until the words are on the screen."""
        until = time.perf_counter() + deadline_seconds
        while words not in self.text:
            if time.perf_counter() > until:
                raise RuntimeError(f"no {words!r}:\n{self.text}")
            self.quiet_bytes(0.1)

    def quiet_bytes(self, seconds: float) -> tuple[int, float]:
        """Let it be for some seconds: (bytes it wrote, CPU seconds it took)."""
        before = self.cpu_seconds()
        chunks = self._collect(seconds, seconds, seconds)
        cpu = self.cpu_seconds() - before
        self._draw(chunks)
        return sum(len(chunk.data) for chunk in chunks), cpu

    def key(self, keys: bytes, settle_seconds: float = 0.15) -> tuple[float, int]:
        """Press a key: (milliseconds until the screen showed a change, bytes written for it)."""
        self._draw(self._collect(0.0, 0.0))
        begin = time.perf_counter()
        os.write(self._master, keys)
        before, changed, written = self._cells(), 0.0, 0
        while not changed:
            chunks = self._collect(5.0, settle_seconds, 2.0)
            if not chunks:
                raise RuntimeError(f"nothing changed after {keys!r}:\n{self.text}")
            for chunk in chunks:
                written += len(chunk.data)
                self._stream.feed(chunk.data)
                if not changed and self._cells() != before:
                    changed = (chunk.at - begin) * 1000
        return changed, written

    def shown(self, keys: bytes, words: str) -> float:
        """Press a key: milliseconds until these words stood on the screen, whatever else moves."""
        begin = time.perf_counter()
        os.write(self._master, keys)
        while True:
            # Long enough to read without drawing in between, which would hold the writer up.
            chunks = self._collect(5.0, 0.1, 0.3)
            if not chunks:
                raise RuntimeError(f"no {words!r} after {keys!r}:\n{self.text}")
            for chunk in chunks:
                self._stream.feed(chunk.data)
                if words in self.text:
                    took = (chunk.at - begin) * 1000
                    self._draw(chunks[chunks.index(chunk) + 1 :])
                    return took

    def _draw(self, chunks: list[Chunk]) -> None:
        for chunk in chunks:
            self._stream.feed(chunk.data)

    def _cells(self) -> list[object]:
        """Every cell with its colours."""
        lines = [self.screen.buffer[line] for line in range(ROWS)]
        return [line[column] for line in lines for column in range(COLUMNS)]

    def send(self, keys: bytes) -> None:
        """Press a key and do not wait."""
        os.write(self._master, keys)

    def cpu_seconds(self) -> float:
        """User and system time of the process and its ended children."""
        line = Path(f"/proc/{self.pid}/stat").read_text(encoding="ascii")
        fields = line.rpartition(")")[2].split()
        return sum(int(fields[at]) for at in (11, 12, 13, 14)) / _TICKS

    @property
    def text(self) -> str:
        """What the person sees."""
        return "\n".join(line.rstrip() for line in self.screen.display)
