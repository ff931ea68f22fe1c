"""Writing and verifying the pack of a long session, beside `sha256sum` and the bare export.

Ours is what the engine does to seal: the session's tables made from the journal by a process of
their own, the reports told from the journal, the chain's word on both, the files written and
synced; then the verification that an auditor runs.

Bare is what coreutils and DuckDB need for the same: copy the journal durably, let DuckDB write the
session's execution lines out of it and the tables out of a store that is filled already,
`sha256sum` all files of the pack; and `sha256sum --check` over them for verifying.
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
import msgspec

from engine.contracts.documents import Namespace
from engine.contracts.event import AnyEvent
from engine.contracts.people import ENGINE
from engine.evidence.gather import Surroundings, gather
from engine.evidence.pack import PackInputs, finish, named_by_chain, write_pack
from engine.evidence.prepare import heads_lines, prepared
from engine.evidence.verify import verify_pack
from engine.journal.chain import Link, encode_line, line_hash
from engine.journal.heads import SignedHead, head_text, parse_head
from engine.store.catalogue import TABLES
from engine.store.database import Database, Settings
from engine.store.export import ExportOrder, export_tables
from engine.store.tables import SessionTable
from tests.benchmarks.long_journal import order_events
from tests.benchmarks.table import Row, alone, compared, forget_peak, memory_mib, peak_memory_mib
from tests.engine.evidence.conftest import LOG, OPERATOR, REVIEWER, SESSION, World, make_world

_SEGMENT_LINES = 100_000
_EVENTS_AN_ORDER = 5
_MEMORY = "512MB"


class _Session:
    """A sealed world's session made long: journal, store, and what is made of them."""

    def __init__(self, world: World, events: int) -> None:
        self.world = world
        #: The world's chain ends with the line that names its files: that one is made anew here.
        self._first = world.chain.lines[:-1]
        self._ts_us = world.chain.records[-1].ts_us
        self._end = Link()
        self.segments: list[Path] = []
        self._write_journal(events)
        self.database = Database(
            world.root / "long.duckdb", Settings(_MEMORY, 2, world.root / "long-exports")
        )
        self.database.insert_all(self._lines())
        self.tables: tuple[SessionTable, ...] = ()

    @property
    def size(self) -> int:
        """Events in the journal."""
        return self._end.size

    def export(self) -> None:
        """The session's tables as Parquet."""
        order = ExportOrder(
            segments=tuple(str(path) for path in self.segments),
            events=self.size,
            session_id=SESSION,
            folder=str(self.world.root / "long-tables"),
        )
        self.tables = export_tables(order)

    def gather(self) -> None:
        """Build the reports, name all files in the chain, sign a head over that."""
        old = self.world.inputs
        around = Surroundings(
            operator=OPERATOR,
            reviewer=REVIEWER,
            log=LOG,
            allowed_signers=old.allowed_signers,
            roster=old.roster,
            config=old.config,
            checklist=old.checklist or b"",
            run=old.run,
            config_inputs=tuple((f"x/{name[3:]}", raw) for name, raw in old.config_inputs.items()),
            market_folders=(self.world.root / "market",),
            snapshot_folders=(self.world.root / "snapshots",),
            spool=self.world.root,
            tables={one.path.name: one.path for one in self.tables},
        )
        self.world.inputs = self._under_head(gather(self._lines(), SESSION, around))

    def _under_head(self, inputs: PackInputs) -> PackInputs:
        named = named_by_chain(inputs)
        tables = {one.path.name: (one.sha256, one.rows) for one in self.tables}
        self._append([prepared(SESSION, self.size, named, tables)])
        first = head_text(LOG, 2, line_hash(self._first[1]))
        heads = [
            SignedHead(
                parse_head(text, "head"),
                text,
                self.world.keys.sign(LOG, Namespace.HEAD, text.encode("ascii")),
                self.world.root,
            )
            for text in (first, head_text(LOG, self.size, self._end.head))
        ]
        return msgspec.structs.replace(
            inputs,
            journal_segments=tuple(self.segments),
            head=heads[-1].text.encode("ascii"),
            head_signature=heads[-1].signature,
            heads=heads_lines(heads, inputs.first_seq, self.size),
        )

    def _write_journal(self, events: int) -> None:
        for line in self._first:
            self._end = Link(self._end.size + 1, line_hash(line), self._ts_us)
        folder = self.world.root / "long-journal"
        folder.mkdir()
        orders = (events - len(self._first)) // _EVENTS_AN_ORDER
        lines = itertools.chain(
            self._first,
            self._chained(
                event for number in range(orders) for event in order_events(SESSION, number, number)
            ),
        )
        while part := list(itertools.islice(lines, _SEGMENT_LINES)):
            self.segments.append(folder / f"{len(self.segments) + 1:06d}.jsonl")
            self.segments[-1].write_bytes(b"".join(part))

    def _append(self, events: Sequence[AnyEvent]) -> None:
        with self.segments[-1].open("ab") as file:
            file.writelines(self._chained(iter(events)))

    def _chained(self, events: Iterator[AnyEvent]) -> Iterator[bytes]:
        for event in events:
            line = encode_line(self._end.size, self._end.head, self._ts_us, ENGINE, event)
            self._end = Link(self._end.size + 1, line_hash(line), self._ts_us)
            yield line

    def _lines(self) -> Iterator[bytes]:
        for path in self.segments:
            with path.open("rb") as file:
                yield from file


def pack_rows(events: int = 1_000_000) -> list[Row]:
    """Write and verify, each right beside its bare twin."""
    with TemporaryDirectory(prefix="peakctl-bench-") as name:
        world = make_world(Path(name))
        session = _Session(world, events)
        forget_peak()
        before_mib = memory_mib()
        tables = _timed(session.export)
        gathered = _timed(session.gather)
        written = _timed(lambda: write_pack(world.folder, world.inputs))
        peak_mib = peak_memory_mib()
        partial = world.folder.with_name(f"{world.folder.name}.partial")
        exported = _timed(lambda: _bare_export(session, partial))
        world.sign()
        pack = finish(world.folder)
        checked = _timed(lambda: _bare_check(pack))
        verified = _timed(lambda: _verify(pack, world.allowed_signers))
        session.database.close()
        mib = sum(path.stat().st_size for path in pack.rglob("*") if path.is_file()) / 2**20
        size = session.size
    of = f"{size:,} events, {mib:,.0f} MiB"
    ours = tables + gathered + written + verified
    grown = peak_mib - before_mib
    return [
        compared(f"pack: write and verify, {of}, s", ours, exported + checked, "<= 3 x"),
        compared("pack: tables exported as Parquet, s", tables, exported, "part of it"),
        compared("pack: reports told from the journal, s", gathered, exported, "part of it"),
        compared("pack: files written and fsynced, s", written, exported, "part of it"),
        compared("pack: verified, s", verified, checked, "part of it"),
        alone("pack: peak memory of this process, MiB", peak_mib, "reported", digits=0),
        alone("pack: of that more than before writing, MiB", grown, "reported", digits=0),
    ]


def _bare_export(session: _Session, partial: Path) -> None:
    root = session.world.root
    target = root / "bare.jsonl"
    with target.open("wb") as handle:
        for path in session.segments:
            with path.open("rb") as source:
                shutil.copyfileobj(source, handle, 1 << 20)
        handle.flush()
        os.fsync(handle.fileno())
    connection = duckdb.connect()
    connection.execute(
        "COPY (SELECT seq, ts, kind, data FROM read_json($journal, format='newline_delimited',"
        " columns={seq: 'BIGINT', ts: 'BIGINT', kind: 'VARCHAR', data: 'JSON'})"
        f" WHERE kind LIKE 'order.%') TO '{root / 'execution.jsonl'}' (FORMAT json)",
        {"journal": str(target)},
    )
    connection.close()
    folder = root / "long-exports"
    folder.mkdir(exist_ok=True)
    cursor = session.database.cursor()
    for table in TABLES:
        if table.packed:
            columns = ", ".join(one.name for one in table.columns)
            cursor.execute(
                f"COPY (SELECT {columns} FROM {table.name} WHERE session_id = '{SESSION}'"
                f" ORDER BY ALL) TO '{folder / table.name}.parquet' (FORMAT parquet,"
                " COMPRESSION zstd)"
            )
    cursor.close()
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
