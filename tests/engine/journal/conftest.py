"""What the journal's tests share: every kind of event, and a journal in a temporary folder."""

import itertools
from collections.abc import Callable, Iterator
from decimal import Decimal
from enum import Enum
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin

import msgspec
import pytest
from hypothesis import strategies as st

from engine.contracts.event import AnyEvent, NoteAdded
from engine.journal.commit import System
from engine.journal.writer import Journal, OpenResult

_SIMPLE: dict[Any, st.SearchStrategy[Any]] = {
    str: st.text(max_size=12),
    int: st.integers(0, 2**62),
    bool: st.booleans(),
    NoneType: st.none(),
    Decimal: st.decimals(allow_nan=False, allow_infinity=False, places=8),
}


def strategy_of(kind: Any) -> st.SearchStrategy[Any]:
    """Values of a field type, as the contracts spell them."""
    if kind in _SIMPLE:
        return _SIMPLE[kind]
    args = get_args(kind)
    if not args:
        return _strategy_of_class(kind)
    origin = get_origin(kind)
    if origin is dict:
        return st.dictionaries(strategy_of(args[0]), strategy_of(args[1]), max_size=3)
    if origin in (Union, UnionType):
        return st.one_of([strategy_of(arg) for arg in args])
    assert origin is tuple, f"no strategy for {kind}"
    if args[-1] is Ellipsis:
        return st.lists(strategy_of(args[0]), max_size=3).map(tuple)
    return st.tuples(*[strategy_of(arg) for arg in args])


def _strategy_of_class(kind: type) -> st.SearchStrategy[Any]:
    if issubclass(kind, Enum):
        return st.sampled_from(list(kind))
    assert issubclass(kind, msgspec.Struct), f"no strategy for {kind}"
    fields = {field.name: strategy_of(field.type) for field in msgspec.structs.fields(kind)}
    return st.builds(kind, **fields)


@pytest.fixture(scope="session")
def any_event() -> st.SearchStrategy[Any]:
    return st.one_of([strategy_of(kind) for kind in get_args(AnyEvent)])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "journal"


@pytest.fixture
def open_journal(folder: Path) -> Iterator[Callable[..., OpenResult]]:
    """Open the folder's journal with a clock that ticks 1 µs an append; closed at the end."""
    opened: list[Journal] = []
    ticks = itertools.count(1_763_000_000_000_000)

    def open_it(segment_lines: int = 1000, system: System | None = None, **over: Any) -> OpenResult:
        result = Journal.open(
            over.pop("at", folder),
            commit_interval_ms=over.pop("commit_interval_ms", 0),
            segment_lines=segment_lines,
            clock_us=over.pop("clock_us", lambda: next(ticks)),
            system=system,
        )
        opened.append(result.journal)
        return result

    yield open_it
    for journal in opened:
        journal.close()


@pytest.fixture(scope="session")
def note() -> Callable[[object], NoteAdded]:
    return lambda text: NoteAdded(session_id="abcdefabcdef", text=str(text))
