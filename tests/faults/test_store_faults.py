"""The store under the faults that were measured to lose rows: nothing acknowledged is ever missing.

A seeded share of `store_faults` (the command tries all of them), and what needs a store that runs:
its file moved away, a full disk, a reader that holds the lock, and that nothing ever forks.
"""

from __future__ import annotations

import asyncio
import os
import random
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest

from engine.contracts.errors import WorkspaceError
from engine.store.database import wal_path
from engine.store.store import Store, StoreFailed
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


def _sql(path: Path, sql: str) -> None:
    with duckdb.connect(str(path)) as connection:
        connection.execute(sql)


def _in_the_way(path: Path) -> None:
    path.write_bytes(b"no store")
    for end in (".rebuild", ".replaced", ".wal.aside"):
        place = path.with_name(path.name + end)
        place.unlink(missing_ok=True)
        (place / "inside").mkdir(parents=True)


def _fifo(path: Path) -> None:
    path.unlink(missing_ok=True)
    os.mkfifo(path)


def _terabyte(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(1 << 40)


#: What was done while no engine ran -> whether the store must be made again.
DONE_TO_IT: dict[str, tuple[Callable[[Path], object], bool]] = {
    "a macro in the place of a function": (
        lambda path: _sql(path, "CREATE MACRO sum(x) AS 0"),
        True,
    ),
    "a macro in the place of our own listing": (
        lambda path: _sql(path, "CREATE MACRO duckdb_functions() AS TABLE SELECT 1 WHERE false"),
        True,
    ),
    "a column more": (lambda path: _sql(path, "ALTER TABLE events ADD COLUMN x INT"), True),
    "a table in the place of a view": (
        lambda path: _sql(path, "DROP VIEW notes; CREATE TABLE notes AS SELECT 1 AS x"),
        True,
    ),
    "a schema more": (lambda path: _sql(path, "CREATE SCHEMA more"), True),
    "a fifo": (_fifo, True),
    "a log that is a fifo": (lambda path: _fifo(wal_path(path)), False),
    "a log without an end": (lambda path: wal_path(path).symlink_to("/dev/zero"), False),
    "a log of a terabyte": (lambda path: _terabyte(wal_path(path)), False),
    "folders where files are put": (_in_the_way, True),
}


async def test_what_was_left_in_the_file_or_in_its_place_changes_no_answer(tmp_path: Path) -> None:
    """Every row may be true and the answers not: DuckDB looks for functions in the file first."""
    pair = Pair(tmp_path)
    store = await pair.open()
    await store.flushed(await pair.append(Story.day()))
    answer = await Pair.ask(store, "SELECT * FROM positions ORDER BY ALL")
    for what, (done, rebuilt) in DONE_TO_IT.items():
        await store.close()
        done(pair.path)
        store = await Store.open(pair.path, export_folder=tmp_path / "export")
        pair.stores.append(store)
        assert (await store.align(pair.journal)).rebuilt is rebuilt, what
        assert await Pair.ask(store, "SELECT * FROM positions ORDER BY ALL") == answer, what
        assert await store.compare(pair.journal) is None, what
    await pair.close()


_EIO = """
import asyncio, sys
from pathlib import Path
from tests.engine.store.conftest import Pair, Story
from tests.faults.failing_sync import fail_sync_of, open_files

async def main():
    pair = Pair(Path(sys.argv[1]))
    store = await pair.open()
    await store.flushed(await pair.append([Story.note("before")]))
    (log,) = open_files(sys.argv[2])
    fail_sync_of(log)
    try:
        await store.flushed(await pair.append([Story.note("in doubt")]))
    except Exception as error:
        print(type(error).__name__, pair.journal.size, error.line())

asyncio.run(main())
"""


@pytest.mark.parametrize("file", ["evidence.duckdb.wal", "000001.jsonl"])
def test_i7_the_disk_refuses_to_sync(tmp_path: Path, file: str) -> None:
    """The kernel answers EIO: what was acknowledged is there, the rest is told as not written."""
    done = subprocess.run(
        [sys.executable, "-c", _EIO, str(tmp_path), file],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    kind, size, said = done.stdout.strip().split(" ", 2)
    assert file.partition(".wal")[0] in said
    kept = 2 if kind == "StoreFailed" else 1
    assert (kind, int(size)) == (("StoreFailed", 2) if kept == 2 else ("JournalFailed", 1))
    assert kept <= _notes_after(tmp_path) <= 2


def _notes_after(folder: Path) -> int:
    """Start again: how many notes there are, in the journal and in the store alike."""

    async def work() -> int:
        pair = Pair(folder)
        try:
            store = await pair.open()
            assert store.size == pair.journal.size
            assert await store.compare(pair.journal) is None
            return sum(b"note.added" in line for line in pair.journal.lines())
        finally:
            await pair.close()

    return asyncio.run(work())


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
