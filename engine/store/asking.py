"""The engine's side of the query process: one child, one question at a time, all of it bounded.

Promises: a question cannot take the engine's memory or time (it runs in another process, `question`
says how that one is held), the answer is at most so many bytes, and what does not answer in time is
killed. The child is started with the first question by exec, never by a fork that goes on in
Python (DuckDB's file is open here), is kept while questions come, and ended when none has come for
a while, so that an engine that is not asked has none.

All of this runs on the store's query thread.
"""

from __future__ import annotations

import os
import select
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from engine.contracts.errors import InputError, Refused
from engine.store.question import Asked, Told, remove_copies
from engine.unseen import plain_environment

#: A child that nobody has asked for so long is ended, seconds.
IDLE_SECONDS = 30.0
#: Starting it and copying a file of gigabytes, seconds.
_COPY_SECONDS = 60.0
_MOST_HEADER = 1 << 20
_PIPE_BYTES = 1 << 16

#: Runs a call on the store's own thread, where nothing is written meanwhile.
Hold = Callable[[Callable[[], None]], None]


class QueryResult(msgspec.Struct, frozen=True):
    """Rows of a person's question, as JSON has them: money as text.

    `cut` is "" when these are all, else the limit that was reached: "rows" or "bytes".
    """

    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]]
    cut: str = ""

    @property
    def truncated(self) -> bool:
        """Whether there was more."""
        return bool(self.cut)


class QueryLimits(msgspec.Struct, frozen=True):
    """What one answer may have, and how long it may take."""

    rows: int = 10_000
    bytes: int = 8 << 20
    seconds: float = 10.0


class QueryProcess:
    """The child and its copy of the store's file."""

    def __init__(self, path: Path, hold: Hold) -> None:
        self._path = path
        self._hold = hold
        self._child: subprocess.Popen[bytes] | None = None
        #: which state of the store the child's copy has
        self._copied: object = None
        self._turn = threading.Lock()
        self._idle: threading.Timer | None = None

    @property
    def pid(self) -> int | None:
        """The child's pid while there is one."""
        return self._child.pid if self._child is not None else None

    def ask(self, sql: str, state: object, limits: QueryLimits) -> QueryResult:
        """Answer one question. A copy is taken whenever `state` is another than before.

        Raises Refused for what is no question, InputError for wrong SQL and reached limits.
        """
        with self._turn:
            self._rest()
            try:
                self._refresh(state)
                question = Asked(sql=sql, rows=limits.rows, bytes=limits.bytes)
                told, body = self._exchange(question, limits.seconds, limits.bytes)
                rows = msgspec.json.decode(body, type=list[tuple[Any, ...]])
                return QueryResult(told.columns, rows, told.cut)
            finally:
                self._idle = threading.Timer(IDLE_SECONDS, self.close)
                self._idle.daemon = True
                self._idle.start()

    def close(self) -> None:
        """End the child. Harmless when repeated."""
        self._rest()
        with self._turn:
            self._end()

    def _rest(self) -> None:
        if self._idle is not None:
            self._idle.cancel()

    def _refresh(self, state: object) -> None:
        """Let the child copy the file, unless the one it has is of this state."""
        if self._child is not None and self._child.poll() is not None:
            self._end()
        if self._child is None:
            self._child = _start()
        if self._copied != state:
            self._copied = None
            self._hold(lambda: self._copy(Asked(copy=str(self._path))))
            self._copied = state

    def _copy(self, asked: Asked) -> None:
        self._exchange(asked, _COPY_SECONDS, 0)

    def _exchange(self, asked: Asked, seconds: float, most: int) -> tuple[Told, bytes]:
        child = self._child
        assert child is not None, "there is a child while it is asked"
        assert child.stdin is not None, "its input is a pipe"
        pipe = _Pipe(child, time.monotonic() + seconds)
        try:
            child.stdin.write(msgspec.json.encode(asked) + b"\n")
            child.stdin.flush()
            told = msgspec.json.decode(pipe.line(_MOST_HEADER), type=Told)
            body = pipe.exactly(told.length, most)
        except (_Silent, BrokenPipeError, msgspec.DecodeError) as error:
            ended = child.poll()
            self._end()
            late = time.monotonic() >= pipe.deadline
            what = (
                f"no answer within {seconds:.0f} s"
                if late
                else f"the query process ended ({ended})"
            )
            raise InputError(
                what=f"interrupted: {what}", where="query", todo="ask for less at once"
            ) from error
        if told.error:
            kind = Refused if told.refused else InputError
            raise kind(what=told.what, where="query", todo=told.todo, code=told.error)
        return told, body

    def _end(self) -> None:
        child, self._child, self._copied = self._child, None, None
        if child is None:
            return
        child.kill()
        for pipe in (child.stdin, child.stdout):
            if pipe is not None:
                pipe.close()
        child.wait()
        remove_copies(child.pid, self._path)


class _Silent(Exception):  # noqa: N818  (nothing came, or not what should)
    """The child did not answer, or not as it should."""


class _Pipe:
    """The child's output, read up to a deadline."""

    def __init__(self, child: subprocess.Popen[bytes], deadline: float) -> None:
        assert child.stdout is not None, "its output is a pipe"
        self._file = child.stdout
        self._read = b""
        self.deadline = deadline

    def line(self, most: int) -> bytes:
        """Up to the next newline."""
        while b"\n" not in self._read:
            if len(self._read) > most:
                raise _Silent("a header without end")
            self._more()
        line, _, self._read = self._read.partition(b"\n")
        return line

    def exactly(self, count: int, most: int) -> bytes:
        """So many bytes, if that is not too many."""
        if count > most:
            raise _Silent("more than was asked for")
        parts, have = [self._read], len(self._read)
        while have < count:
            self._read = b""
            self._more()
            parts.append(self._read)
            have += len(self._read)
        return b"".join(parts)

    def _more(self) -> None:
        left = self.deadline - time.monotonic()
        ready, _, _ = select.select([self._file], [], [], max(0.0, left))
        part = self._file.read(_PIPE_BYTES) if ready else b""
        if not part:
            raise _Silent("nothing more")
        self._read += part


def _start() -> subprocess.Popen[bytes]:
    code = Path(__file__).parents[2]
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "engine.store.question"],
        bufsize=0,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd="/",
        env={**plain_environment(os.environ), "PYTHONPATH": str(code)},
        start_new_session=True,
    )
