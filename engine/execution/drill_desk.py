"""Taking a drill's result as evidence: judged here, by the criteria in force, over what it left.

A client says what it measured; whether that passes is decided by the table of `config/drills.toml`
and the pure judge, and nothing that the client says of itself counts. The drill's own journal must
lie in the workspace's folder of drills: it is verified whole, and from it come the code that it
ran, its times, its head, and whether what the drill is about really happened there. A journal that
was handed in before is refused, so that a pass cannot be told twice.
"""

from __future__ import annotations

import asyncio
import os
import re
import stat
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec

from engine.contracts.errors import InputError, Refused
from engine.contracts.event import (
    AnyEvent,
    DrillFinished,
    EngineStarted,
    PackSealed,
    Recorded,
    kind_of,
)
from engine.contracts.people import Actor, Role
from engine.contracts.requests import DrillRequest
from engine.contracts.standing import DrillView
from engine.execution.clock import wall_us
from engine.execution.core import Core, State
from engine.execution.limits.in_force import drill_view
from engine.execution.session_desk import SessionDesk
from engine.journal.chain import decode_line
from engine.journal.segments import lines_in, open_segment, segment_paths
from engine.journal.verify import verify_journal
from engine.ops.drill_traces import Traces
from engine.ops.drills import DrillTerms, judge, missing_traces

#: A drill's journal in its folder.
JOURNAL = "journal"

_DRILL_ID = re.compile(r"[0-9a-f]{12}")
_FAULT_LIMIT = 500
_MOST_MEASURES = 50
_MOST = 10**15


class Left(msgspec.Struct, frozen=True, kw_only=True):
    """What a drill's journal tells. Times µs UTC; `codes` of every engine that ran there."""

    size: int
    head: str
    started_us: int
    ended_us: int
    version: str
    codes: frozenset[str]
    tagmanifest_sha256: str
    kinds: dict[str, int]
    traces: Traces


class DrillDesk:
    """Records drills."""

    def __init__(
        self,
        core: Core,
        session: SessionDesk,
        folder: Path,
        terms: Callable[[], DrillTerms],
        looked: Callable[[str], None] = lambda _head: None,
    ) -> None:
        """`looked` is told the head of each journal that was read and judged."""
        self._looked = looked
        self._core = core
        self._session = session
        self._folder = folder
        self._terms = terms

    async def record(self, request: DrillRequest, actor: Actor) -> DrillView:
        """Judge and journal one drill. Raises InputError, Refused, IntegrityError."""
        self._session.require(actor, *Role)
        terms = self._terms()
        _refuse_words(request, terms)
        folder = self._folder / request.drill_id / JOURNAL  # an id, `_refuse_words` has looked
        left = await asyncio.to_thread(read_left, folder)
        told = judged(request, left, terms)

        def decide(state: State) -> Sequence[AnyEvent]:
            if left.head in state.drills.heads:
                raise Refused(
                    what="this drill's journal was handed in before",
                    where=f"drill {request.name}",
                    todo="run the drill again",
                    code="DRILL_REPLAYED",
                )
            return [told]

        self._looked(left.head)
        await self._core.decide(actor, decide)
        rows = self._core.state.drills.last(terms, wall_us())
        return next(drill_view(one, wall_us()) for one in rows if one.name == request.name)


def drill_folder(folder: Path, drill_id: str) -> Path | None:
    """Where a drill of this id lies; None for what is no id."""
    return folder / drill_id if _DRILL_ID.fullmatch(drill_id) else None


def judged(request: DrillRequest, left: Left, terms: DrillTerms) -> DrillFinished:
    """The result as the criteria in force and the drill's own journal have it. Pure."""
    criteria = terms.criteria[request.name]
    missing = missing_traces(request.name, left.kinds)
    faults = []
    if len(left.codes) != 1:
        faults.append(f"{len(left.codes)} versions of the code ran in it")
    if missing:
        faults.append(f"its journal does not tell of {', '.join(missing)}")
    if too_good := left.traces.too_good(request.measured):
        faults.append(f"told better than its journal has it: {'; '.join(too_good)}")
    fault = "; ".join([*faults, *([request.fault] if request.fault else [])])
    result = judge(request.name, criteria, request.measured, fault)
    return DrillFinished(
        drill_id=request.drill_id,
        name=request.name,
        passed=result.passed,
        measured={name: str(value) for name, value in request.measured.items()},
        criteria={one.measure: one.text for one in criteria},
        fault=fault[:_FAULT_LIMIT],
        version=left.version,
        code_sha256=min(left.codes, default=""),
        started_us=left.started_us,
        ended_us=left.ended_us,
        journal_size=left.size,
        journal_head=left.head,
        tagmanifest_sha256=left.tagmanifest_sha256,
    )


def read_left(folder: Path) -> Left:
    """Verify and read the journal that a drill left. Raises InputError, IntegrityError."""
    if not folder.is_dir():
        raise InputError(
            what="there is no journal of this drill",
            where=str(folder),
            todo="run it with peakctl drill run, in this workspace",
        )
    _refuse_strangers(folder)
    report = verify_journal(folder)
    if not report.ok or report.size == 0:
        first = report.findings[0] if report.findings else None
        raise Refused(
            what=f"the drill's journal does not verify: {first.what if first else 'it is empty'}",
            where=first.where if first else str(folder),
            todo="run the drill again",
            code="DRILL_JOURNAL",
        )
    kinds: Counter[str] = Counter()
    traces = Traces()
    codes: set[str] = set()
    times: list[int] = []
    version = manifest = ""
    for recorded in _events(folder):
        kinds[kind_of(recorded.event)] += 1
        traces.apply(recorded.event)
        times = [*times[:1], recorded.ts_us]
        if isinstance(recorded.event, EngineStarted):
            codes.add(recorded.event.code_sha256)
            version = recorded.event.version
        if isinstance(recorded.event, PackSealed):
            manifest = recorded.event.tagmanifest_sha256
    return Left(
        size=report.size,
        head=report.head,
        started_us=times[0],
        ended_us=times[-1],
        version=version,
        codes=frozenset(codes),
        tagmanifest_sha256=manifest,
        kinds=dict(kinds),
        traces=traces,
    )


def _refuse_strangers(folder: Path) -> None:
    """What another Unix user wrote, or may write, is no drill of this desk. Raises Refused."""
    for path in (folder.parent, folder, *folder.iterdir()):
        facts = path.lstat()
        if facts.st_uid != os.getuid() or (
            facts.st_mode & stat.S_IWOTH and not stat.S_ISLNK(facts.st_mode)
        ):
            raise Refused(
                what="the drill's journal is not this desk's own",
                where=str(path),
                todo="run the drill as the user whom the engine runs as, with umask 022 or less",
                code="DRILL_JOURNAL",
            )


def _events(folder: Path) -> Iterator[Recorded]:
    for path in segment_paths(folder):
        with open_segment(path) as file:
            for number, line in enumerate(lines_in(file), start=1):
                if line.endswith(b"\n"):
                    yield decode_line(line, f"{path.name}:{number}")[0]


def _refuse_words(request: DrillRequest, terms: DrillTerms) -> None:
    """Refuse what cannot be a result before anything is read."""
    problem = ""
    if request.name not in terms.criteria:
        problem = f"no drill {request.name[:40]!r}"
    elif not _DRILL_ID.fullmatch(request.drill_id):
        problem = f"{request.drill_id[:40]!r} is no drill's id"
    elif len(request.measured) > _MOST_MEASURES or len(request.fault) > _FAULT_LIMIT:
        problem = "too much is told"
    elif any(abs(value) > _MOST for value in request.measured.values()):
        problem = "a measure is beyond all measure"
    if problem:
        raise InputError(what=problem, where="drill", todo="run it with peakctl drill run")
