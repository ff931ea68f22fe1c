"""Every fault of DuckDB's files that was measured to lose rows, against `Store.align`.

    python -m tests.faults.store_faults [--every N] [--family NAME]     a tenth of a second each

The base is a store whose process was killed with rows in the log. Each fault changes copies of the
two files; then the store is opened and aligned as at an engine's start, and must hold exactly the
journal's lines, each once. Faults are tried one after the other in a process of their own, because
a damaged file may end the process that reads it: the parent names the fault, which then has failed.
`--every 1` (the default here) tries all of some fifty thousand; the suite tries a share by seed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from engine.journal.writer import Journal
from engine.store.database import wal_path
from engine.store.store import Store

HOLDER = Path(__file__).parents[1] / "engine" / "store" / "left_open.py"
FILE = "evidence.duckdb"
#: What a DuckDB file begins with: one main header and two of the database, 4 KiB each.
_HEADERS = 3 * 4096
_PAGE = 4096

Files = tuple[bytes, bytes]
Fault = Callable[[Files], Files]


def _flipped(content: bytes, at: int, bit: int) -> bytes:
    return content[:at] + bytes([content[at] ^ (1 << bit)]) + content[at + 1 :]


def _entries(wal: bytes) -> list[tuple[int, int]]:
    """Where the log's commits begin and end: found by their equal length in the second half."""
    half = len(wal) // 2
    return [(half, half + len(wal) // 8), (half + len(wal) // 8, half + len(wal) // 4)]


def log_cuts(wal: bytes) -> Iterator[tuple[str, str, Fault]]:
    """The log cut, flipped and zeroed at every byte."""
    for cut in range(len(wal) + 1):
        yield "wal cut", f"at {cut}", lambda files, cut=cut: (files[0], files[1][:cut])
    for at in range(len(wal)):
        for bit in (0, 6):
            yield (
                "wal bit",
                f"{at}.{bit}",
                lambda files, at=at, bit=bit: (files[0], _flipped(files[1], at, bit)),
            )
    for at in range(0, len(wal), 16):
        yield (
            "wal tail of zeros",
            f"from {at}",
            lambda files, at=at: (files[0], files[1][:at] + bytes(len(files[1]) - at)),
        )


def log_exchanges(wal: bytes, older: Files, foreign: Files) -> Iterator[tuple[str, str, Fault]]:
    """The log gone, lengthened, another's, edited."""
    tails = {"zeros": bytes(4096), "seven zeros": bytes(7), "ones": b"\xff" * 4096}
    tails["noise"] = random.Random(5).randbytes(4096)
    for name, tail in tails.items():
        yield "wal lengthened", name, lambda files, tail=tail: (files[0], files[1] + tail)
    (first, second), (third, fourth) = _entries(wal)
    rows: dict[tuple[str, str], Fault] = {
        ("wal gone", "deleted"): lambda files: (files[0], b""),
        ("wal foreign", "of another store"): lambda files: (files[0], foreign[1]),
        ("wal foreign", "older file, newer log"): lambda files: (older[0], files[1]),
        ("wal foreign", "newer file, older log"): lambda files: (files[0], older[1]),
        ("rolled back", "older file and its log"): lambda _: older,
        ("rolled back", "another store and its log"): lambda _: foreign,
        ("wal edited", "a part cut out"): lambda files: (
            files[0],
            files[1][:first] + files[1][second:],
        ),
        ("wal edited", "a part twice"): lambda files: (
            files[0],
            files[1][:second] + files[1][first:],
        ),
        ("wal edited", "two parts swapped"): lambda files: (
            files[0],
            files[1][:first] + files[1][third:fourth] + files[1][first:second] + files[1][fourth:],
        ),
    }
    for (family, name), fault in rows.items():
        yield family, name, fault


def file_damages(database: bytes) -> Iterator[tuple[str, str, Fault]]:
    """The database file flipped, cut and zeroed."""
    used = [at for at in range(_HEADERS, len(database)) if database[at]]
    bits = {"file header bit": range(_HEADERS), "file bit": used[:: max(1, len(used) // 2000)]}
    for family, places in bits.items():
        for at in places:
            yield (
                family,
                str(at),
                lambda files, at=at: (_flipped(files[0], at, at % 8), files[1]),
            )
    for at in range(0, len(database), len(database) // 41):
        yield "file cut", f"at {at}", lambda files, at=at: (files[0][:at], files[1])
    for at in range(0, len(database), _PAGE):
        yield (
            "file page of zeros",
            str(at),
            lambda files, at=at: (
                files[0][:at] + bytes(min(_PAGE, len(files[0]) - at)) + files[0][at + _PAGE :],
                files[1],
            ),
        )


def left_open(folder: Path) -> Files:
    """The files of a store that was killed, with its journal beside them in `folder`."""
    with subprocess.Popen(
        [sys.executable, str(HOLDER), str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"full\n"
        holder.kill()
    return read(folder)


def read(folder: Path) -> Files:
    log = wal_path(folder / FILE)
    return (folder / FILE).read_bytes(), log.read_bytes() if log.exists() else b""


def checkpointed(folder: Path, base: Path) -> Files:
    """The files of the same store as it was before its last rows."""
    shutil.copytree(base, folder)
    wal_path(folder / FILE).unlink()
    return (folder / FILE).read_bytes(), b""


def lay(folder: Path, files: Files) -> Path:
    """The two files as the fault left them, and nothing of the fault before."""
    path = folder / FILE
    for one in folder.glob(f"{FILE}*"):
        one.unlink()
    path.write_bytes(files[0])
    if files[1]:
        wal_path(path).write_bytes(files[1])
    return path


async def outcome(folder: Path, path: Path, journal: Journal) -> str:
    """What aligning told of these files. Raises AssertionError when a line is not there once."""
    store = await Store.open(path, export_folder=folder / "export")
    try:
        told = await store.align(journal)
        rows = await store._on_thread(lambda: _lines(store))
        if rows != list(journal.lines()):
            raise AssertionError("the store does not hold the journal")
        return "rebuilt" if told.rebuilt else "caught up" if told.reason else "whole"
    finally:
        await store.close()


def _lines(store: Store) -> list[bytes]:
    rows = store._open_database().cursor().execute("SELECT * FROM events ORDER BY seq").fetchall()
    return [
        f'{{"actor":{row[7]},"data":{row[8]},"kind":"{row[2]}","prev":"{row[9]}",'
        f'"seq":{row[0]},"ts":{row[1]}}}\n'.encode()
        for row in rows
    ]


def run(base: Path, wanted: list[str]) -> None:
    """The child: try the named faults one after the other, one JSON line each."""
    files = read(base)
    made = {f"{family}/{name}": how for family, name, how in all_faults(base)}
    journal = Journal.open(
        base / "journal", commit_interval_ms=0, segment_lines=30, clock_us=lambda: 0
    ).journal
    with tempfile.TemporaryDirectory(prefix="store-faults-") as place:
        for name in wanted:
            sys.stdout.write(json.dumps(["begun", name]) + "\n")
            sys.stdout.flush()
            path = lay(Path(place), made[name](files))
            told = asyncio.run(outcome(Path(place), path, journal))
            sys.stdout.write(json.dumps([told, name]) + "\n")
    journal.close()


def all_faults(base: Path) -> list[tuple[str, str, Fault]]:
    """All faults on the files of `base`, whose `older` and `foreign` lie beside it."""
    beside = base.parent
    database, wal = read(base)
    older, foreign = read(beside / "older"), read(beside / "foreign")
    return [*log_cuts(wal), *log_exchanges(wal, older, foreign), *file_damages(database)]


def prepare(folder: Path) -> Path:
    """Make the base and what is exchanged with it."""
    base = folder / "base"
    left_open(base)
    checkpointed(folder / "older", base)
    left_open(folder / "foreign")
    return base


def tried(base: Path, names: list[str]) -> tuple[Counter[str], list[str]]:
    """Try faults in children; outcomes by family, and the names of those that failed."""
    counted: Counter[str] = Counter()
    failed: list[str] = []
    left = list(names)
    while left:
        child = subprocess.run(
            [sys.executable, "-m", "tests.faults.store_faults", "--child", str(base)],
            input=json.dumps(left).encode(),
            capture_output=True,
            check=False,
        )
        lines = [json.loads(line) for line in child.stdout.splitlines()]
        done = [(told, name) for told, name in lines if told != "begun"]
        counted.update(f"{name.partition('/')[0]}: {told}" for told, name in done)
        left = left[len(done) :]
        if left and len(lines) % 2:
            last = child.stderr.decode().strip().splitlines()[-1:] or [f"exit {child.returncode}"]
            failed.append(f"{left.pop(0)}: {last[0]}")
        elif left:
            raise RuntimeError(child.stderr.decode())
    return counted, failed


def main() -> int:
    """Try them all, or every n-th, and say what came out."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.store_faults")
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--family", default="")
    parser.add_argument("--child", type=Path)
    options = parser.parse_args()
    if options.child:
        run(options.child, json.load(sys.stdin))
        return 0
    with tempfile.TemporaryDirectory(prefix="store-faults-") as place:
        base = prepare(Path(place))
        names = [
            f"{family}/{name}"
            for family, name, _ in all_faults(base)
            if options.family in ("", family)
        ]
        counted, failed = tried(base, names[:: options.every])
    for outcome_, count in sorted(counted.items()):
        sys.stdout.write(f"{count:6} {outcome_}\n")
    for one in failed:
        sys.stdout.write(f"FAILED {one}\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
