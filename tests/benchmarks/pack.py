"""Writing and verifying the pack of a long session, beside `sha256sum` and the bare export.

Bare is what coreutils and DuckDB need for the same: copy the journal durably, let DuckDB write the
session's execution lines out of it, `sha256sum` all files of the pack; and `sha256sum --check`
over them for verifying.
"""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb

from engine.contracts.documents import Namespace
from engine.contracts.people import ENGINE, Role
from engine.evidence.gather import Surroundings, gather
from engine.evidence.pack import PackInputs, add_signature, finish, write_pack
from engine.evidence.verify import verify_pack
from engine.journal.chain import encode_line, line_hash
from engine.journal.heads import head_text
from tests.benchmarks.long_journal import order_events
from tests.benchmarks.table import Row, alone, compared, peak_memory_mib
from tests.engine.evidence.conftest import (
    LOG,
    OPERATOR,
    REVIEWER,
    SESSION,
    Chain,
    World,
    make_world,
)

_SEGMENT_LINES = 100_000
_EVENTS_AN_ORDER = 5


def pack_rows(events: int = 1_000_000) -> list[Row]:
    """Write and verify, each right beside its bare twin."""
    with TemporaryDirectory(prefix="peakctl-bench-") as name:
        world = make_world(Path(name))
        around, size = _lengthen(world, events)
        gathered = _timed(lambda: _gather(world, around))
        written = _timed(lambda: write_pack(world.folder, world.inputs))
        partial = world.folder.with_name(f"{world.folder.name}.partial")
        exported = _timed(lambda: _bare_export(world, partial))
        message = (partial / "tagmanifest-sha256.txt").read_bytes()
        for role, principal, namespace in (
            (Role.OPERATOR, OPERATOR, Namespace.PACK),
            (Role.REVIEWER, REVIEWER, Namespace.PACK_REVIEW),
        ):
            add_signature(world.folder, role, world.keys.sign(principal, namespace, message))
        pack = finish(world.folder)
        checked = _timed(lambda: _bare_check(pack))
        verified = _timed(lambda: _verify(pack, world.allowed_signers))
        mib = sum(path.stat().st_size for path in pack.rglob("*") if path.is_file()) / 2**20
    of = f"{size:,} events, {mib:,.0f} MiB"
    ours = gathered + written + verified
    return [
        compared(f"pack: write and verify, {of}, s", ours, exported + checked, "<= 3 x"),
        compared("pack: reports built from the journal, s", gathered, exported, "part of it"),
        compared("pack: files written and fsynced, s", written, exported, "part of it"),
        compared("pack: verified, s", verified, checked, "part of it"),
        alone("pack: peak memory of this process, MiB", peak_memory_mib(), "reported", digits=0),
    ]


def _lengthen(world: World, events: int) -> tuple[Surroundings, int]:
    """Write the session's journal anew with orders added: what `gather` needs, and its size."""
    folder = world.root / "journal"
    shutil.rmtree(folder)
    folder.mkdir()
    paths: list[Path] = []
    size, last = 0, ""
    lines = _lines(world.chain, events)
    while part := list(itertools.islice(lines, _SEGMENT_LINES)):
        paths.append(folder / f"{len(paths) + 1:06d}.jsonl")
        paths[-1].write_bytes(b"".join(part))
        size, last = size + len(part), line_hash(part[-1])
    world.chain.lines.clear()
    world.chain.records.clear()
    head = head_text(LOG, size, last).encode("ascii")
    old = world.inputs
    around = Surroundings(
        operator=OPERATOR,
        reviewer=REVIEWER,
        log=LOG,
        allowed_signers=old.allowed_signers,
        roster=old.roster,
        config=old.config,
        checklist=old.checklist or b"",
        journal_segments=tuple(paths),
        head=head,
        head_signature=world.keys.sign(LOG, Namespace.HEAD, head),
        run=old.run,
        config_inputs=tuple((f"x/{name[3:]}", raw) for name, raw in old.config_inputs.items()),
        market_folders=(world.root / "market",),
        snapshot_folders=(world.root / "snapshots",),
    )
    return around, size


def _lines(chain: Chain, events: int) -> Iterator[bytes]:
    """The session's lines, then those of as many orders as make `events` of them."""
    yield from chain.lines
    size, head = len(chain.lines), chain.head
    ts_us = chain.records[-1].ts_us
    for number in range((events - size) // _EVENTS_AN_ORDER):
        for event in order_events(SESSION, number, number):
            line = encode_line(size, head, ts_us, ENGINE, event)
            size, head = size + 1, line_hash(line)
            yield line


def _gather(world: World, around: Surroundings) -> PackInputs:
    """As the engine does: read the journal once and build what the pack says of it."""
    world.inputs = gather(_journal(around.journal_segments), SESSION, around)
    return world.inputs


def _journal(segments: Sequence[Path]) -> Iterator[bytes]:
    for path in segments:
        with path.open("rb") as file:
            yield from file


def _bare_export(world: World, partial: Path) -> None:
    target = world.root / "bare.jsonl"
    with target.open("wb") as handle:
        for path in world.inputs.journal_segments:
            with path.open("rb") as source:
                shutil.copyfileobj(source, handle, 1 << 20)
        handle.flush()
        os.fsync(handle.fileno())
    connection = duckdb.connect()
    connection.execute(
        "COPY (SELECT seq, ts, kind, data FROM read_json($journal, format='newline_delimited',"
        " columns={seq: 'BIGINT', ts: 'BIGINT', kind: 'VARCHAR', data: 'JSON'})"
        f" WHERE kind LIKE 'order.%') TO '{world.root / 'execution.jsonl'}' (FORMAT json)",
        {"journal": str(target)},
    )
    connection.close()
    files = [str(path) for path in partial.rglob("*") if path.is_file()]
    subprocess.run(["sha256sum", *files], check=True, stdout=subprocess.DEVNULL)


def _bare_check(pack: Path) -> None:
    for name in ("manifest-sha256.txt", "tagmanifest-sha256.txt"):
        subprocess.run(["sha256sum", "--check", "--quiet", name], check=True, cwd=pack)


def _verify(pack: Path, signers: Path) -> None:
    report = verify_pack(pack, signers)
    if not report.ok:
        raise RuntimeError(f"the pack does not verify: {report.findings[:3]}")


def _timed(call: Callable[[], object]) -> float:
    begin = time.perf_counter()
    call()
    return time.perf_counter() - begin
