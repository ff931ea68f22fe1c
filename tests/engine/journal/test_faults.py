"""Faults of the real world: SIGKILL anywhere, a full disk, an error of the disk itself (I7).

The promise in each: what was acknowledged is there exactly once, and the rest is named.
"""

import asyncio
import errno
import itertools
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.contracts.people import ENGINE
from engine.journal.commit import OneCall, System
from engine.journal.verify import verify_journal
from engine.journal.writer import JournalFailed

HERE = Path(__file__).parent
Open = Callable[..., Any]
Note = Callable[[object], Any]


def run(program: str, *arguments: object) -> Any:
    done = subprocess.run(
        [sys.executable, str(HERE / program), *map(str, arguments)],
        capture_output=True,
        timeout=150,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout)


def texts_by_seq(journal: Any) -> dict[int, str]:
    return {one.seq: getattr(one.event, "text", "") for one in journal.read()}


def test_i7_fifty_sigkills_lose_and_double_nothing(open_journal: Open, folder: Path) -> None:
    told = run("killed.py", folder)
    assert len(told) > 50

    opened = open_journal()
    found = texts_by_seq(opened.journal)
    for text, seq in told.items():
        assert found[seq] == text
    texts = [text for text in found.values() if text]
    assert len(set(texts)) == len(texts)
    report = verify_journal(folder)
    assert (report.ok, report.size) == (True, opened.journal.size)


def test_a_file_size_limit_stops_everything_and_loses_nothing(
    open_journal: Open, folder: Path
) -> None:
    result = run("filled.py", folder, 50_000)
    assert_nothing_lost(result, open_journal, folder, "File too large")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system of 128 kB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=128k,mode=0700", "tmpfs", str(disk)]
    try:
        mounted = subprocess.run(mount, capture_output=True, check=False)
    except FileNotFoundError:
        pytest.skip("no mount program here")
    if mounted.returncode != 0:
        pytest.skip(f"no tmpfs can be mounted here: {mounted.stderr.decode().strip()}")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


def test_a_full_disk_stops_everything_and_loses_nothing(
    small_disk: Path, open_journal: Open
) -> None:
    folder = small_disk / "journal"
    result = run("filled.py", folder, 0)
    assert_nothing_lost(result, lambda: open_journal(at=folder), folder, "No space left on device")


def assert_nothing_lost(result: Any, reopen: Open, folder: Path, reason: str) -> None:
    assert len(result["told"]) > 20
    assert len(result["errors"]) == 6
    assert all(reason in error for error in result["errors"])
    assert result["size"] == len(result["told"])
    opened = reopen()
    found = texts_by_seq(opened.journal)
    assert {text: seq for seq, text in found.items() if text in result["told"]} == result["told"]
    assert verify_journal(folder).ok
    opened.journal.close()


@pytest.mark.parametrize("kernel", ["whole", "half", "none", "full"])
def test_one_call_or_two_append_the_same_bytes_and_an_error_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kernel: str
) -> None:
    if not hasattr(os, "pwritev") or not hasattr(os, "RWF_DSYNC"):
        pytest.skip("this system has no such call")
    real = os.pwritev

    def pwritev(descriptor: int, buffers: list[bytes], offset: int, flags: int) -> int:
        if kernel in {"none", "full"}:
            number = errno.EOPNOTSUPP if kernel == "none" else errno.ENOSPC
            raise OSError(number, os.strerror(number))
        part = buffers[0] if kernel == "whole" else buffers[0][:3]
        return real(descriptor, [part], offset, flags)

    monkeypatch.setattr(os, "pwritev", pwritev)
    path = tmp_path / "lines"
    path.write_bytes(b"before\n")
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND)
    try:
        if kernel == "full":
            with pytest.raises(OSError, match="No space"):
                OneCall().append(descriptor, b"one\ntwo\n")
            return
        OneCall().append(descriptor, b"one\ntwo\n")
        OneCall().append(descriptor, b"three\n")
    finally:
        os.close(descriptor)
    assert path.read_bytes() == b"before\none\ntwo\nthree\n"


class Failing(System):
    """The real calls; from the `fail_at`-th on, one of them answers EIO, after a partial write."""

    def __init__(self, call: str, fail_at: int) -> None:
        self._call = call
        self._left = fail_at

    def _count(self, call: str) -> bool:
        if call == self._call:
            self._left -= 1
        return call == self._call and self._left < 0

    def write(self, descriptor: int, data: bytes | memoryview) -> int:
        if self._count("write"):
            os.write(descriptor, data[: len(data) // 2])
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return super().write(descriptor, data[: max(1, len(data) // 3)])

    def sync(self, descriptor: int) -> None:
        if self._count("sync"):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        super().sync(descriptor)

    def sync_folder(self, folder: Path) -> None:
        if self._count("sync_folder"):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        super().sync_folder(folder)


@pytest.mark.parametrize(("call", "fail_at"), [("write", 60), ("sync", 4), ("sync_folder", 2)])
async def test_an_error_of_the_disk_reaches_everybody_who_waits(
    open_journal: Open, folder: Path, note: Note, call: str, fail_at: int
) -> None:
    journal = open_journal(segment_lines=3, system=Failing(call, fail_at)).journal
    acknowledged: list[Any] = []

    async def append_for_ever() -> None:
        for number in itertools.count():
            acknowledged.extend(await journal.append(ENGINE, [note(number)]))

    with pytest.raises(JournalFailed, match=r"jsonl: cannot be written \(Input/output error\)"):
        await append_for_ever()
    waiting = [journal.append(ENGINE, [note(f"late {number}")]) for number in range(3)]
    answers = await asyncio.gather(*waiting, return_exceptions=True)
    assert all(isinstance(answer, JournalFailed) for answer in answers)
    assert journal.failed is not None
    journal.close()

    again = open_journal(segment_lines=3).journal
    found = {one.seq: one for one in again.read()}
    assert acknowledged
    assert all(found[one.seq] == one for one in acknowledged)
    assert len(found) <= acknowledged[-1].seq + 3
    await again.append(ENGINE, [note("after")])
    assert verify_journal(folder).ok
