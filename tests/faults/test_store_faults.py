"""The store under the faults that were measured to lose rows: nothing acknowledged is ever missing.

A seeded share of `store_faults` (the command tries all of them), and what needs a store that runs:
its file moved away, a full disk, a reader that holds the lock, and that nothing ever forks.
"""

from __future__ import annotations

import os
import random
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import duckdb
import pytest

from engine.contracts.errors import WorkspaceError
from engine.store.store import StoreFailed
from tests.engine.store.conftest import Pair, Story
from tests.faults.store_faults import all_faults, prepare, tried

ROOT = Path(__file__).parents[2]
SHARE = 16


def test_i7_a_share_of_all_faults_of_the_files(tmp_path: Path) -> None:
    """Cut, flipped, zeroed, exchanged, edited: each ends with every event there exactly once."""
    base = prepare(tmp_path)
    by_family: dict[str, list[str]] = {}
    for family, name, _ in all_faults(base):
        by_family.setdefault(family, []).append(f"{family}/{name}")
    assert len(by_family) == 12
    rng = random.Random(f"store faults {os.environ.get('PYTEST_XDIST_TESTRUNUID', '')}"[:12])
    names = [rng.choice(all_of) for all_of in by_family.values()]
    everything = [name for all_of in by_family.values() for name in all_of]
    names += rng.sample(everything, SHARE - len(names))
    counted, failed = tried(base, names)
    assert failed == []
    assert counted.total() == SHARE


async def test_a_file_that_is_moved_away_is_noticed_and_made_again(tmp_path: Path) -> None:
    """DuckDB itself would go on writing into the moved file and acknowledge every row."""
    pair = Pair(tmp_path)
    store = await pair.open()
    await store.flushed(await pair.append([Story.note(number) for number in range(5)]))
    assert store.failed is None
    pair.path.rename(tmp_path / "moved")
    assert store.failed is not None
    assert "moved away" in store.failed.line()
    with pytest.raises(StoreFailed, match=r"evidence\.duckdb.*made again"):
        await store.flushed(await pair.append([Story.note("six")]))
    aligned = await store.align(pair.journal)
    assert (aligned.rebuilt, aligned.events, store.failed) == (True, 6, None)
    await store.flushed(await pair.append([Story.note("seven")]))
    assert await store.compare(pair.journal) is None

    pair.path.rename(tmp_path / "moved again")
    with duckdb.connect(str(tmp_path / "foreign")) as foreign:
        foreign.execute("CREATE TABLE events AS SELECT 1 AS seq")
    (tmp_path / "foreign").rename(pair.path)
    assert (await store.align(pair.journal)).rebuilt
    assert await store.compare(pair.journal) is None
    await pair.close()


_READER = """
import duckdb, sys
connection = duckdb.connect(sys.argv[1], read_only=True)
print("open", flush=True)
sys.stdin.read()
"""


def test_a_reader_that_holds_the_lock_is_named_with_the_way_out(tmp_path: Path) -> None:
    """Anybody who may read the file can keep it from being opened; the refusal says who does."""
    path = tmp_path / "evidence.duckdb"
    duckdb.connect(str(path)).close()
    reader = subprocess.Popen(
        [
            sys.executable,
            "-c",
            _READER,
            str(path),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with reader:
        assert reader.stdout is not None
        assert reader.stdout.readline() == b"open\n"
        with pytest.raises(WorkspaceError) as refused:
            _open_and_close(tmp_path)
        reader.kill()
    assert refused.value.code == "STORE_LOCKED"
    for told in (str(path), f"pid {reader.pid}", "end that process"):
        assert told in refused.value.line()


def _open_and_close(folder: Path) -> None:
    import asyncio  # noqa: PLC0415  (only this test runs a loop of its own)

    async def work() -> None:
        pair = Pair(folder)
        try:
            await pair.open()
        finally:
            await pair.close()

    asyncio.run(work())


_FULL = """
import asyncio, resource, sys
from pathlib import Path
from tests.engine.store.conftest import Pair, Story

async def main():
    pair = Pair(Path(sys.argv[1]))
    store = await pair.open()
    await store.flushed(await pair.append([Story.note("before")]))
    size = pair.path.stat().st_size
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    told = ""
    for number in range(400):  # the journal begins a new file at each fifty: none gets as large
        last = await pair.append([Story.note(f"{number} " + "x" * 2_000)])
        try:
            await store.flushed(last)
        except Exception as error:
            told = error.line()
            break
    assert "evidence.duckdb" in told and "the journal is complete" in told, told
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    await store.align(pair.journal)
    assert store.failed is None
    await store.flushed(await pair.append([Story.note("after")]))
    assert await store.compare(pair.journal) is None
    print(store.size, pair.journal.size)
    await pair.close()

asyncio.run(main())
"""


def test_a_full_disk_stops_the_store_and_not_the_journal(tmp_path: Path) -> None:
    """Every file may grow to the store's size and no further: the store alone is that large."""
    done = subprocess.run(
        [sys.executable, "-c", _FULL, str(tmp_path)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    store, journal = done.stdout.split()
    assert store == journal


_NO_FORK = """
import asyncio, os, sys
from pathlib import Path

def forked():
    sys.stderr.write("FORKED\\n")

os.register_at_fork(before=forked)
from tests.engine.store.conftest import Pair, Story

async def main():
    pair = Pair(Path(sys.argv[1]))
    store = await pair.open()
    await store.flushed(await pair.append(Story.day()))
    print((await store.query("SELECT count(*) FROM events")).rows[0][0])
    await store.rebuild(pair.journal)
    await pair.close()

asyncio.run(main())
"""


def test_nothing_forks_while_the_store_is_open(tmp_path: Path) -> None:
    """A forked child shares DuckDB's file without its lock; ours are started by exec alone."""
    done = subprocess.run(
        [sys.executable, "-c", _NO_FORK, str(tmp_path)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert (done.stdout.strip(), done.stderr) == ("12", "")


def test_no_line_of_ours_forks() -> None:
    """No os.fork, no preexec_fn (which keeps Python running in the child), no pool that forks.

    But one: the keeper of a job is a process of its own that has nothing open yet when it leaves
    whoever called it.
    """
    forks: list[Any] = []
    pattern = re.compile(
        r"\bos\.fork\w*\(|preexec_fn|ProcessPoolExecutor\((?!.*mp_context)|pty\.fork"
    )
    for room in ("engine", "peakctl", "screens", "config"):
        for path in (ROOT / room).rglob("*.py"):
            for number, line in enumerate(path.read_text("utf-8").splitlines(), start=1):
                if pattern.search(line) and path.name != "job_keeper.py":
                    forks.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()}")
    assert forks == []
