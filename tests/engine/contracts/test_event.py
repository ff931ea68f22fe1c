"""Every kind of event survives the journal: through canonical JSON and back, unchanged."""

from __future__ import annotations

import enum
import types
import typing
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.contracts import event as ev
from engine.contracts.canonical import canonical, strict_loads
from engine.contracts.errors import IntegrityError
from engine.contracts.event import AnyEvent, event_from_data, event_to_data, kind_of

KINDS: tuple[type[ev.Event], ...] = typing.get_args(AnyEvent)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
MONEY = st.decimals(-(10**12), 10**12, places=8, allow_nan=False)
SCALARS: dict[Any, st.SearchStrategy[Any]] = {
    str: TEXT,
    int: st.integers(-(2**63), 2**63 - 1),
    bool: st.booleans(),
    Decimal: MONEY,
    type(None): st.none(),
}


def strategy_of(hint: Any) -> st.SearchStrategy[Any]:
    """Values of a contract's field type; a type that is not known here fails the test."""
    if hint in SCALARS:
        return SCALARS[hint]
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if args:
        return strategy_of_generic(origin, args)
    if issubclass(hint, enum.Enum):
        return st.sampled_from(list(hint))
    assert issubclass(hint, msgspec.Struct), f"no values for {hint}"
    hints = typing.get_type_hints(hint)
    return st.builds(hint, **{name: strategy_of(hints[name]) for name in hint.__struct_fields__})


def strategy_of_generic(origin: Any, args: tuple[Any, ...]) -> st.SearchStrategy[Any]:
    if origin in (typing.Union, types.UnionType):
        return st.one_of([strategy_of(arg) for arg in args])
    if origin is dict:
        return st.dictionaries(strategy_of(args[0]), strategy_of(args[1]), max_size=3)
    assert origin is tuple, f"no values for {origin}"
    if args[-1] is Ellipsis:
        return st.lists(strategy_of(args[0]), max_size=3).map(tuple)
    return st.tuples(*(strategy_of(arg) for arg in args))


@pytest.mark.parametrize("cls", KINDS, ids=lambda cls: cls.__name__)
@given(data=st.data())
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_event_reads_back_equal_and_writes_the_same_bytes(cls: Any, data: st.DataObject) -> None:
    event = data.draw(strategy_of(cls))
    raw = canonical(event_to_data(event))
    back = event_from_data(kind_of(event), strict_loads(raw, "line 1"), "line 1")
    assert back == event
    assert type(back) is cls
    assert canonical(event_to_data(back)) == raw


def test_kinds_are_distinct_and_no_event_is_left_out_of_the_union() -> None:
    tags = [cls.__struct_config__.tag for cls in KINDS]
    assert len(set(tags)) == len(tags)
    defined = {
        one
        for one in vars(ev).values()
        if isinstance(one, type) and issubclass(one, ev.Event) and one is not ev.Event
    }
    assert defined == set(KINDS)


def fields_below(hint: Any, seen: set[Any]) -> set[Any]:
    """All types that a field type is made of."""
    if hint in seen:
        return seen
    seen.add(hint)
    inner = list(typing.get_args(hint))
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        inner += list(typing.get_type_hints(hint).values())
    for one in inner:
        fields_below(one, seen)
    return seen


@pytest.mark.parametrize("cls", KINDS, ids=lambda cls: cls.__name__)
def test_no_float_and_no_untyped_value_can_enter_the_journal_i11(cls: Any) -> None:
    below = fields_below(cls, set())
    assert float not in below
    assert Any not in below


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("no.such.kind", {}),
        ("engine.stopped", {}),
        ("engine.stopped", {"reason": 1}),
        ("order.rejected", {"client_order_id": "a", "code": None, "reason": "x"}),
    ],
)
def test_event_that_does_not_fit_names_the_line(kind: str, data: dict[str, Any]) -> None:
    with pytest.raises(IntegrityError) as refused:
        event_from_data(kind, data, "000001.jsonl:7")
    assert refused.value.where == "000001.jsonl:7"


def test_field_that_a_later_version_added_is_read_over() -> None:
    event = event_from_data("engine.stopped", {"reason": "done", "later": 1}, "x")
    assert event == ev.EngineStopped(reason="done")
