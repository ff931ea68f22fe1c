"""Verification: every changed bit is noticed and its file and line are named."""

import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from engine.contracts.errors import IntegrityError
from engine.contracts.people import ENGINE
from engine.journal.chain import line_hash
from engine.journal.heads import Head
from engine.journal.verify import verify_journal
from engine.journal.writer import Journal

Open = Callable[..., Any]
Note = Callable[[object], Any]

#: What a flipped bit behind each of these changes: actor, data, kind, link, sequence, time.
REGIONS = (b'"name":"', b'"data":{"', b'"kind":"', b'"prev":"', b'"seq":', b'"ts":')


@pytest.fixture
async def written(open_journal: Open, note: Note) -> Journal:
    """Ten events in three closed files."""
    journal: Journal = open_journal(segment_lines=4).journal
    await journal.append(ENGINE, [note(number) for number in range(8)])
    journal.close()
    return journal


def opening_error(folder: Path, open_journal: Open) -> str:
    try:
        open_journal(segment_lines=4, at=folder).journal.close()
    except IntegrityError as error:
        return error.where
    return ""


def test_every_flipped_bit_is_found_and_its_line_is_named(written: Journal, folder: Path) -> None:
    head = Head("test", written.size, written.head)
    assert verify_journal(folder, [head]).ok
    for path in written.segments:
        whole = path.read_bytes()
        for at in range(len(whole)):
            flipped = bytearray(whole)
            flipped[at] ^= 1 << (at % 8)
            path.write_bytes(flipped)
            report = verify_journal(folder, [head])
            line = whole.count(b"\n", 0, at) + 1
            last = path == written.segments[-1] and line == whole.count(b"\n")
            places = {f"{path}:{line}"} | ({f"head of {head.size} events"} if last else set())
            assert not report.ok, (path, at)
            assert report.findings[0].where in places, (path, at, report)
        path.write_bytes(whole)
    assert verify_journal(folder, [head]).ok


def test_opening_names_the_changed_line_in_each_region(
    written: Journal, folder: Path, open_journal: Open
) -> None:
    for path in written.segments:
        whole = path.read_bytes()
        lines = whole.splitlines(keepends=True)
        for number, line in enumerate(lines[:-1] if path == written.segments[-1] else lines):
            for region in (
                b'"name":"',
                b'"data":{"',
                b'"kind":"',
                b'"prev":"',
                b'"seq":',
                b'"ts":',
            ):
                at = sum(map(len, lines[:number])) + line.rindex(region) + len(region)
                flipped = bytearray(whole)
                flipped[at] ^= 1
                path.write_bytes(flipped)
                assert opening_error(folder, open_journal) == f"{path}:{number + 1}", region
        path.write_bytes(whole)
    assert opening_error(folder, open_journal) == ""


def test_a_rewritten_history_is_consistent_but_the_head_convicts_it(
    written: Journal, folder: Path, tmp_path: Path, open_journal: Open
) -> None:
    old = Head("test", 3, written.head_at(3))
    for path in written.segments:
        path.unlink()
    rewritten = open_journal(segment_lines=4)
    assert rewritten.journal.size == 0
    rewritten.journal.close()
    report = verify_journal(folder, [old])
    assert [(one.where, one.what) for one in report.findings] == [
        ("head of 3 events", "the journal ends after 0 events")
    ]


async def test_a_head_with_another_hash_is_named(written: Journal, folder: Path) -> None:
    good = Head("test", 3, written.head_at(3))
    assert verify_journal(folder, [good]).heads_checked == 1
    report = verify_journal(folder, [good, Head("test", 5, good.hash)])
    assert [one.where for one in report.findings] == ["head of 5 events"]
    assert "rewritten" in report.findings[0].what


def test_a_file_that_claims_another_past_is_named(written: Journal, folder: Path) -> None:
    """The second file is made anew with a consistent chain and a wrong sha256 of the first."""
    path = written.segments[1]
    lines = path.read_bytes().splitlines(keepends=True)
    opening = lines[0]
    at = opening.index(b'"previous_sha256":"') + 19
    forged = [opening[:at] + b"0" * 64 + opening[at + 64 :]]
    for old, line in pairwise(lines):
        new = line.replace(line_hash(old).encode(), line_hash(forged[-1]).encode())
        forged.append(new)
    path.write_bytes(b"".join(forged))
    written.segments[2].unlink()
    report = verify_journal(folder)
    assert [(one.where, one.what) for one in report.findings] == [
        (f"{path}:1", "000001.jsonl has another sha256")
    ]


def test_a_torn_tail_is_reported_and_not_condemned(written: Journal, folder: Path) -> None:
    with written.segments[-1].open("ab") as file:
        file.write(b'{"actor":{"ki')
    report = verify_journal(folder)
    assert (report.ok, report.torn_bytes, report.size) == (True, 13, written.size)


def test_a_tail_in_an_earlier_file_is_named(written: Journal, folder: Path) -> None:
    with written.segments[0].open("ab") as file:
        file.write(b"{")
    report = verify_journal(folder)
    assert report.findings[0].where == f"{written.segments[0]}:5"


def test_verification_needs_neither_engine_nor_database() -> None:
    script = (
        "import sys, engine.journal.verify\n"
        "heavy = {'duckdb', 'pyarrow', 'asyncio', 'aiohttp', 'engine.journal.writer'}\n"
        "sys.exit(', '.join(heavy & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
