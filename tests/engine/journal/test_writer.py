"""The writer: durable before it answers, one fdatasync for many, one process at a time."""

import asyncio
import hashlib
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engine.contracts.errors import InputError, IntegrityError, WorkspaceError
from engine.contracts.event import Recorded, SegmentOpened
from engine.contracts.people import ENGINE
from engine.journal.chain import ZERO_HASH, line_hash
from engine.journal.commit import GROUP_LINES, System
from engine.journal.verify import verify_journal
from engine.journal.writer import JournalFailed

Open = Callable[..., Any]
Note = Callable[[object], Any]


class Gate(System):
    """The real calls, counted; while shut, an fdatasync waits before it starts."""

    def __init__(self) -> None:
        self.syncs = 0
        self.writes = 0
        self.waiting = threading.Event()
        self.opened = threading.Event()
        self.opened.set()

    def write(self, descriptor: int, data: bytes | memoryview) -> int:
        self.writes += 1
        return super().write(descriptor, data)

    def sync(self, descriptor: int) -> None:
        self.waiting.set()
        assert self.opened.wait(30)
        super().sync(descriptor)
        self.syncs += 1


async def test_what_was_appended_is_read_back_and_survives_reopening(
    open_journal: Open, note: Note
) -> None:
    journal = open_journal().journal
    assert (journal.size, journal.head) == (0, ZERO_HASH)
    records = await journal.append(ENGINE, [note("a"), note("b")])
    records += await journal.append(ENGINE, [note("c")])
    size, head = journal.size, journal.head
    journal.close()

    again = open_journal()
    assert again.repaired is None
    assert (again.journal.size, again.journal.head) == (size, head) == (3, head)
    assert list(again.journal.read()) == records
    assert [one.seq for one in again.journal.read(1, 2)] == [1]
    assert (await again.journal.append(ENGINE, [note("d")]))[0].seq == 3


async def test_i1_nothing_is_acknowledged_or_shown_before_the_fdatasync(
    open_journal: Open, note: Note
) -> None:
    gate = Gate()
    journal = open_journal(system=gate).journal
    seen: list[Recorded] = []
    journal.subscribe(lambda batch: seen.extend(recorded for recorded, _ in batch))
    gate.opened.clear()
    append = asyncio.ensure_future(journal.append(ENGINE, [note("a")]))
    await asyncio.to_thread(gate.waiting.wait, 30)

    assert (journal.size, seen, append.done()) == (0, [], False)
    gate.opened.set()
    records = await append
    assert (journal.size, seen) == (1, records)


async def test_all_that_waits_shares_one_write_and_one_fdatasync(
    open_journal: Open, note: Note
) -> None:
    gate = Gate()
    journal = open_journal(system=gate).journal
    gate.opened.clear()
    appends = [asyncio.ensure_future(journal.append(ENGINE, [note("first")]))]
    await asyncio.to_thread(gate.waiting.wait, 30)
    appends += [asyncio.ensure_future(journal.append(ENGINE, [note(n)])) for n in range(200)]
    await asyncio.sleep(0)  # lets every append hand over its line
    gate.opened.set()
    records = await asyncio.gather(*appends)

    assert [one.seq for [one] in records] == list(range(201))
    assert (gate.writes, gate.syncs) == (2, 2)


async def test_a_group_is_bounded_in_lines_and_in_time(open_journal: Open, note: Note) -> None:
    """The stated bound: ten thousand lines a fdatasync, and the interval at most."""
    gate = Gate()
    journal = open_journal(10**6, gate, commit_interval_ms=100).journal
    gate.opened.clear()
    appends = [asyncio.ensure_future(journal.append(ENGINE, [note("first")]))]
    await asyncio.to_thread(gate.waiting.wait, 30)
    many = [note(n) for n in range(GROUP_LINES // 4)]
    appends += [asyncio.ensure_future(journal.append(ENGINE, many)) for _ in range(10)]
    await asyncio.sleep(0)  # lets every append hand over its lines
    gate.opened.set()
    await asyncio.gather(*appends)
    assert gate.syncs == 1 + 3, "four appends fill a group, so ten are three"

    begin = time.monotonic()
    await journal.append(ENGINE, [note("alone")])
    assert time.monotonic() - begin < 5, "a lone append waits for the interval at most"
    assert gate.syncs == 5


@pytest.mark.parametrize("how", ["moved", "replaced", "deleted", "written to", "cut"])
async def test_a_file_that_is_no_longer_ours_acknowledges_nothing(
    open_journal: Open, folder: Path, note: Note, how: str
) -> None:
    journal = open_journal().journal
    kept = await journal.append(ENGINE, [note("a"), note("b")])
    path = folder / "000001.jsonl"
    before = path.read_bytes()
    aside = folder / "aside"
    match how:
        case "moved":
            path.rename(aside)
        case "replaced":
            path.rename(aside)
            path.write_bytes(before)
        case "deleted":
            path.unlink()
        case "written to":
            path.write_bytes(before + b"{}\n")
        case "cut":
            path.write_bytes(before[:-5])
    with pytest.raises(JournalFailed, match=r"000001\.jsonl: .*put the file back") as told:
        await journal.append(ENGINE, [note("c")])
    assert "no longer under its name" in told.value.line() or "somebody else" in told.value.line()
    assert journal.size == 2
    journal.close()
    if how in {"moved", "replaced"}:
        aside.replace(path)
        again = open_journal().journal
        assert list(again.read(0, 2)) == kept


async def test_subscribers_get_every_line_once_in_order_and_before_the_caller(
    open_journal: Open, note: Note
) -> None:
    journal = open_journal(segment_lines=4).journal
    lines: list[bytes] = []
    sizes: list[int] = []
    journal.subscribe(lambda batch: lines.extend(line for _, line in batch))
    for number in range(10):
        await journal.append(ENGINE, [note(number)])
        sizes.append(len(lines))

    assert lines == list(journal.lines())
    assert sizes[-1] == journal.size
    assert line_hash(lines[-1]) == journal.head
    for size in range(1, journal.size + 1):
        assert journal.head_at(size) == line_hash(lines[size - 1])
    assert journal.head_at(0) == ZERO_HASH
    with pytest.raises(InputError):
        journal.head_at(journal.size + 1)


async def test_a_new_segment_names_the_file_before_and_its_hash(
    open_journal: Open, folder: Path, note: Note
) -> None:
    journal = open_journal(segment_lines=4).journal
    records = await journal.append(ENGINE, [note(number) for number in range(5)])
    records += await journal.append(ENGINE, [note(number) for number in range(5, 9)])
    journal.close()
    journal = open_journal(segment_lines=4).journal
    records += await journal.append(ENGINE, [note(9), note(10)])

    texts = [one.event.text for one in journal.read() if not isinstance(one.event, SegmentOpened)]
    assert texts == [str(number) for number in range(11)]
    assert len(records) == 11
    openings = [one for one in journal.read() if isinstance(one.event, SegmentOpened)]
    assert [one.actor.name for one in openings] == ["journal"] * 3
    for opening, before, path in zip(
        openings, journal.segments, journal.segments[1:], strict=False
    ):
        assert opening.event == SegmentOpened(
            file=path.name,
            previous_file=before.name,
            previous_sha256=hashlib.sha256(before.read_bytes()).hexdigest(),
        )
    assert [path.name for path in journal.segments] == [f"{n:06d}.jsonl" for n in (1, 2, 3, 4)]
    report = verify_journal(folder)
    assert (report.ok, report.size, report.head) == (True, journal.size, journal.head)


async def test_time_never_goes_back_even_when_the_clock_does(
    open_journal: Open, note: Note
) -> None:
    clock = iter([2000, 1000, 3000])
    journal = open_journal(clock_us=lambda: next(clock)).journal
    for text in "abc":
        await journal.append(ENGINE, [note(text)])
    assert [one.ts_us for one in journal.read()] == [2000, 2000, 3000]


async def test_text_that_cannot_be_written_harms_nobody_else(
    open_journal: Open, note: Note
) -> None:
    journal = open_journal(segment_lines=2).journal
    await journal.append(ENGINE, [note("a")])
    with pytest.raises(InputError):
        await journal.append(ENGINE, [note("b"), note("c"), note("\ud800")])
    await journal.append(ENGINE, [note("d"), note("e")])
    texts = [one.event.text for one in journal.read() if not isinstance(one.event, SegmentOpened)]
    assert texts == ["a", "d", "e"]


async def test_a_cancelled_caller_takes_nothing_with_it(open_journal: Open, note: Note) -> None:
    gate = Gate()
    journal = open_journal(system=gate).journal
    gate.opened.clear()
    first = asyncio.ensure_future(journal.append(ENGINE, [note("a")]))
    second = asyncio.ensure_future(journal.append(ENGINE, [note("b")]))
    await asyncio.to_thread(gate.waiting.wait, 30)
    first.cancel()
    gate.opened.set()
    assert (await second)[0].seq == 1
    assert journal.size == 2


async def test_a_closed_journal_accepts_nothing(open_journal: Open, note: Note) -> None:
    journal = open_journal().journal
    journal.close()
    with pytest.raises(JournalFailed, match="closed"):
        await journal.append(ENGINE, [note("a")])


def test_a_second_writer_is_refused_with_the_pid_of_the_first(
    open_journal: Open, folder: Path
) -> None:
    script = (
        "import sys; from pathlib import Path; from engine.journal.writer import Journal\n"
        "Journal.open(Path(sys.argv[1]), commit_interval_ms=0, segment_lines=9, clock_us=int)\n"
        "print('open', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdin is not None
        assert holder.stdout.readline() == b"open\n"
        with pytest.raises(WorkspaceError, match=f"pid {holder.pid}\\)"):
            open_journal()
        holder.kill()
    assert open_journal().journal.size == 0


async def test_a_torn_tail_is_moved_aside_wherever_the_line_was_cut(
    open_journal: Open, folder: Path, note: Note
) -> None:
    journal = open_journal(segment_lines=3).journal
    records = await journal.append(ENGINE, [note(number) for number in range(4)])
    journal.close()
    path = journal.segments[-1]
    whole = path.read_bytes()
    last = whole.splitlines(keepends=True)[-1]
    kept = whole[: -len(last)]
    for cut in range(1, len(last)):
        path.write_bytes(kept + last[:cut])
        opened = open_journal(segment_lines=3)
        repaired = opened.repaired
        assert (repaired.file, repaired.bytes_removed) == (path.name, cut)
        aside = folder / repaired.saved_as
        assert aside.read_bytes() == last[:cut]
        assert hashlib.sha256(last[:cut]).hexdigest() == repaired.removed_sha256
        assert [one.event for one in opened.journal.read() if one.actor == ENGINE] == [
            one.event for one in records[:3]
        ]
        opened.journal.close()
        assert path.read_bytes() == kept
        aside.unlink()
        again = open_journal(segment_lines=3)
        assert again.repaired is None
        again.journal.close()


@pytest.mark.parametrize("rest", [0, 1, 40])
async def test_a_new_file_without_a_whole_line_is_begun_again(
    open_journal: Open, note: Note, rest: int
) -> None:
    journal = open_journal(segment_lines=3).journal
    await journal.append(ENGINE, [note(number) for number in range(4)])
    journal.close()
    path = journal.segments[-1]
    path.write_bytes(path.read_bytes()[:rest])

    opened = open_journal(segment_lines=3)
    assert (opened.repaired is not None) == (rest > 0)
    assert opened.journal.size == 3
    await opened.journal.append(ENGINE, [note("again")])
    opened.journal.close()
    report = verify_journal(path.parent)
    assert (report.ok, report.size, report.files) == (True, 5, 2)


async def test_a_damaged_last_newline_is_no_torn_tail(open_journal: Open, note: Note) -> None:
    journal = open_journal().journal
    await journal.append(ENGINE, [note("a"), note("b")])
    journal.close()
    path = journal.segments[0]
    path.write_bytes(path.read_bytes()[:-1] + b"\x0b")
    with pytest.raises(IntegrityError, match=r"000001\.jsonl:2: the newline"):
        open_journal()
    assert path.read_bytes().endswith(b"\x0b")


async def test_a_missing_file_is_named(open_journal: Open, note: Note) -> None:
    journal = open_journal(segment_lines=2).journal
    await journal.append(ENGINE, [note(number) for number in range(6)])
    journal.close()
    journal.segments[1].unlink()
    with pytest.raises(IntegrityError, match=r"000002\.jsonl: the journal file is missing"):
        open_journal()


def test_a_lock_that_was_removed_or_led_elsewhere_lets_no_second_writer_in(
    open_journal: Open, tmp_path: Path
) -> None:
    journal = open_journal().journal
    lock = next(tmp_path.rglob("lock"))
    lock.unlink()
    with pytest.raises(WorkspaceError, match="open in another process"):
        open_journal()
    journal.close()
    theirs = tmp_path / "theirs"
    theirs.write_text("as it was")
    lock.symlink_to(theirs)
    with pytest.raises(WorkspaceError, match="lock cannot be written"):
        open_journal()
    assert theirs.read_text() == "as it was"
