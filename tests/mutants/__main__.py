"""Mutation check of the limits: `python -m tests.mutants [--sample N] [--seed S] [--jobs J]`.

For each comparison in engine/risk, inverted or shifted by one unit, the tests of engine/risk run
against the mutant; one must fail. A mutant that nothing notices is printed and the exit code is 1.
Mutants that cannot be noticed because they mean the same are listed in `SAME`, each with its reason;
one of those that *is* noticed is an error too, so that the list cannot rot.

Each mutant runs in a process of its own that takes the changed source instead of the file's.
"""

from __future__ import annotations

import argparse
import contextlib
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

from tests.mutants.mutate import Mutant, mutants_of, source_of
from tests.mutants.same import SAME

ROOT = Path(__file__).parents[2]
ROOM = ROOT / "engine" / "risk"
TESTS = ROOT / "tests" / "engine" / "risk"

#: A mutant that makes the tests run for ever is noticed, too.
_DEADLINE_S = 120


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


def survives(mutant: Mutant) -> int:
    """Start the tests against a mutant; returns the process id. Its exit code 0 is survival."""
    pid = os.fork()
    if pid:
        return pid
    signal.alarm(_DEADLINE_S)
    import pytest

    module = "engine.risk." + mutant.file.stem
    sys.meta_path.insert(0, _Changed(module, source_of(mutant)))
    sink = io.StringIO()
    with contextlib.redirect_stdout(sink), contextlib.redirect_stderr(sink):
        code = pytest.main(["-x", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", str(TESTS)])
    os._exit(int(code))


def run(mutants: Sequence[Mutant], jobs: int) -> list[Mutant]:
    """Run all, `jobs` at a time; returns the survivors in the order given."""
    waiting, running, alive = list(mutants)[::-1], {}, set()
    while waiting or running:
        while waiting and len(running) < jobs:
            mutant = waiting.pop()
            running[survives(mutant)] = mutant
        pid, status = os.wait()
        mutant = running.pop(pid)
        if os.waitstatus_to_exitcode(status) == 0:
            alive.add(mutant)
    return [one for one in mutants if one in alive]


def main() -> int:
    """Print the table of survivors; 0 when all that can be noticed are."""
    words = argparse.ArgumentParser(prog="tests.mutants", description=__doc__.splitlines()[0])
    words.add_argument("--sample", type=int, default=0, help="only so many, drawn by the seed")
    words.add_argument("--seed", type=int, default=1)
    words.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    options = words.parse_args()
    mutants = [one for file in sorted(ROOM.glob("*.py")) for one in mutants_of(file)]
    unknown = set(SAME) - {one.name for one in mutants}
    for name in sorted(unknown):
        print(f"no such mutant any more: {name}")
    if options.sample:
        mutants = random.Random(options.seed).sample(mutants, min(options.sample, len(mutants)))
    began = time.monotonic()
    survivors = run(mutants, options.jobs)
    unnoticed = [one for one in survivors if one.name not in SAME]
    noticed = [one for one in mutants if one.name in SAME and one not in survivors]
    for one in unnoticed:
        print(f"UNNOTICED {one.file.relative_to(ROOT)}:{one.line} {one.change}: {one.name}")
    for one in noticed:
        print(f"NOTICED, though listed as the same: {one.name}")
    print(
        f"{len(mutants)} mutants, {len(mutants) - len(survivors)} noticed, "
        f"{len(survivors) - len(unnoticed)} the same by reason, {len(unnoticed)} unnoticed, "
        f"{time.monotonic() - began:.0f} s"
    )
    return 1 if unnoticed or noticed or unknown else 0


if __name__ == "__main__":
    sys.exit(main())
