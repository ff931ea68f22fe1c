"""Mutation check of the limits: `python -m tests.mutants [--only FILE] [--sample N] [--jobs J]`.

For each comparison in engine/risk, inverted or shifted by one unit, the tests of engine/risk run
against the mutant; one must fail. A mutant that nothing notices is printed and the exit code is 1.
Mutants that cannot be noticed because they mean the same are listed in `SAME`, each with its
reason; one of those that *is* noticed is an error too, so that the list cannot rot.

Each mutant runs in a process of its own that takes the changed source instead of the file's. The
tests that are nearest to the file come first: most mutants are noticed there.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import io
import os
import random
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import pytest

from tests.mutants.mutate import Mutant, mutants_of, source_of
from tests.mutants.same import SAME

ROOT = Path(__file__).parents[2]
ROOM = ROOT / "engine" / "risk"
TESTS = ROOT / "tests" / "engine" / "risk"

#: A mutant that makes the tests run for ever is noticed, too.
_DEADLINE_S = 120
#: Exit codes: all passed; a test failed, the module did not load, it ran for ever.
_PASSED, _NOTICED = 0, frozenset({1, 2, -signal.SIGALRM})
_BROKEN = 70
#: No cache and no other processes.
_OPTIONS = ("-x", "-q", "-p", "no:cacheprovider", "-p", "no:xdist")


class _Changed(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Serves one module from changed source."""

    def __init__(self, name: str, source: str) -> None:
        self._name, self._source = name, source

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        del path, target
        if fullname != self._name:
            return None
        return importlib.util.spec_from_loader(fullname, self)

    def exec_module(self, module: ModuleType) -> None:
        exec(compile(self._source, f"<mutant of {self._name}>", "exec"), module.__dict__)


def tests_of(file: Path) -> tuple[list[str], list[str]]:
    """The tests that are named after the file, else those of the limits; and all others."""
    every = sorted(TESTS.glob("test_*.py"))
    near = [one for one in every if one.stem.startswith(f"test_{file.stem}")]
    near = near or [one for one in every if one.stem.startswith(("test_limits", "test_headroom"))]
    return [str(one) for one in near], [str(one) for one in every if one not in near]


def survives(mutant: Mutant | None) -> int:
    """Start the tests against a mutant, or none. Returns the process id: it exits as pytest did."""
    pid = os.fork()
    if pid:
        return pid
    code = _BROKEN
    try:
        signal.alarm(_DEADLINE_S)
        if mutant is not None:
            module = "engine.risk." + mutant.file.stem
            sys.meta_path.insert(0, _Changed(module, source_of(mutant)))
        sink, verdict = io.StringIO(), 0
        with contextlib.redirect_stdout(sink), contextlib.redirect_stderr(sink):
            for tests in tests_of(mutant.file if mutant else ROOM / "limits.py"):
                verdict = verdict or int(pytest.main([*_OPTIONS, *tests]))
        code = verdict
    finally:
        os._exit(code)


def _survived(status: int) -> bool:
    """What the tests said. Raises RuntimeError when they were not run: that notices nothing."""
    code = os.waitstatus_to_exitcode(status)
    if code not in {_PASSED, *_NOTICED}:
        raise RuntimeError(f"the tests against a mutant did not run: exit code {code}")
    return code == _PASSED


def warm() -> None:
    """Load what the tests need beside the mutants' room, once for all processes."""
    for name in ("numpy", "scipy.stats"):
        importlib.import_module(name)


def require_passing() -> None:
    """Without a mutant the tests pass, or else they say nothing about one. Raises RuntimeError."""
    if not _survived(os.waitpid(survives(None), 0)[1]):
        raise RuntimeError("the tests of engine/risk fail as it is: mend that first")


def run(mutants: Sequence[Mutant], jobs: int) -> list[Mutant]:
    """Run all, `jobs` at a time; returns the survivors in the order given."""
    waiting, alive = list(mutants)[::-1], set()
    running: dict[int, Mutant] = {}
    while waiting or running:
        while waiting and len(running) < jobs:
            mutant = waiting.pop()
            running[survives(mutant)] = mutant
        pid, status = os.wait()
        mutant = running.pop(pid)
        if _survived(status):
            alive.add(mutant)
    return [one for one in mutants if one in alive]


def _say(words: str) -> None:
    sys.stdout.write(f"{words}\n")
    sys.stdout.flush()


def main() -> int:
    """Print the table of survivors; 0 when all that can be noticed are."""
    words = argparse.ArgumentParser(
        prog="tests.mutants", description=(__doc__ or "").split("\n", 1)[0]
    )
    words.add_argument("--sample", type=int, default=0, help="only so many, drawn by the seed")
    words.add_argument("--seed", type=int, default=1)
    words.add_argument("--only", default="", help="a file of the room, without .py")
    words.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    options = words.parse_args()
    mutants = [one for file in sorted(ROOM.glob("*.py")) for one in mutants_of(file)]
    unknown = set(SAME) - {one.name for one in mutants}
    for name in sorted(unknown):
        _say(f"no such mutant any more: {name}")
    if options.only:
        mutants = [one for one in mutants if one.file.stem == options.only]
    if options.sample:
        mutants = random.Random(options.seed).sample(mutants, min(options.sample, len(mutants)))
    warm()
    began = time.monotonic()
    if not options.sample:  # a sample runs inside the suite, which has these tests as they are
        require_passing()
    survivors = run(mutants, options.jobs)
    unnoticed = [one for one in survivors if one.name not in SAME]
    noticed = [one for one in mutants if one.name in SAME and one not in survivors]
    for one in unnoticed:
        _say(f"UNNOTICED {one.file.relative_to(ROOT)}:{one.line} {one.change}: {one.name}")
    for one in noticed:
        _say(f"NOTICED, though listed as the same: {one.name}")
    _say(
        f"{len(mutants)} mutants, {len(mutants) - len(survivors)} noticed, "
        f"{len(survivors) - len(unnoticed)} the same by reason, {len(unnoticed)} unnoticed, "
        f"{time.monotonic() - began:.0f} s"
    )
    return 1 if unnoticed or noticed or unknown else 0


if __name__ == "__main__":
    sys.exit(main())
