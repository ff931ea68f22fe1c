"""The state as bytes: what goes in comes out, and the bytes can choose nothing that runs."""

from __future__ import annotations

import contextlib
import os
import subprocess
from array import array
from collections import Counter, OrderedDict, defaultdict, deque
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.contracts.errors import IntegrityError
from engine.contracts.order import OrderState
from engine.contracts.people import ENGINE
from engine.execution.core import State
from engine.execution.records.frozen import NotPlain, freeze, thaw
from engine.ops.incidents import Incident

INCIDENT = Incident(id="I1", session_id="", title="x", opened_us=1, opened_by="alice")
KEYS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.text()
    | st.binary()
    | st.decimals(allow_nan=False)
    | st.sampled_from([OrderState.UNKNOWN, INCIDENT, ENGINE])
)
VALUES = st.recursive(
    KEYS,
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(KEYS, inner)
        | st.sets(KEYS)
        | st.frozensets(KEYS)
        | st.tuples(inner, inner)
        | st.builds(deque, st.lists(inner), st.none() | st.integers(1, 9))
        | st.builds(OrderedDict, st.dictionaries(KEYS, inner))
        | st.builds(Counter, st.dictionaries(KEYS, st.integers()))
        | st.builds(lambda rows: defaultdict(list, rows), st.dictionaries(KEYS, inner))
        | st.builds(lambda rows: array("q", rows), st.lists(st.integers(-(2**63), 2**63 - 1)))
    ),
    max_leaves=12,
)


@given(VALUES)
def test_i7_what_goes_in_comes_out(value: Any) -> None:
    again = thaw(freeze(value))
    assert (type(again), again) == (type(value), value)
    assert freeze(again) == freeze(value)


def test_what_is_shared_stays_shared() -> None:
    shared: list[int] = []
    one, two = thaw(freeze((shared, {"a": shared})))
    one.append(1)
    assert two == {"a": [1]}


def test_an_empty_state_is_an_empty_state() -> None:
    again = thaw(freeze(State()))
    assert type(again) is State
    assert freeze(again) == freeze(State())


@pytest.mark.parametrize(
    "value", [lambda: 1, os, print, object(), defaultdict(lambda: 1), subprocess.Popen, iter(())]
)
def test_what_cannot_be_written_is_named_and_not_written(value: Any) -> None:
    with pytest.raises(NotPlain):
        freeze({"a": [value]})


ATTACKS: list[Any] = [
    ["object", "os:_Environ", {}],
    ["object", "subprocess:Popen", {"args": "id"}],
    ["object", "builtins:object", {}],
    ["struct", "msgspec:Struct", {}],
    ["struct", "engine.contracts.order:OrderIntent", {"nothing": 1}],
    ["struct", "engine.orders.ledger:OrderLedger", {}],
    ["struct", "engine.api:msgspec.Struct", {}],
    ["struct", "engine.execution.records.frozen:sys.modules", {}],
    ["object", "engine.execution.records.frozen:subprocess.Popen", {}],
    ["object", "engine.contracts.order:OrderIntent.__init__", {}],
    ["object", "engine.sandbox.server:main", {}],
    ["object", "engine.evidence.pack:nothing", {}],
    ["enum", "engine.contracts.order:OrderState", "no such state"],
    ["default", "eval", []],
    ["default", "print", []],
    ["same", 7],
    ["keep", 1],
    ["__init__"],
    ["array", "q", b"123"],
    ["decimal", "one"],
    [],
    [[]],
    [None],
]


@pytest.mark.parametrize("plain", ATTACKS, ids=str)
def test_bytes_choose_no_class_outside_the_folds_and_no_call(plain: Any) -> None:
    with pytest.raises(IntegrityError):
        thaw(msgspec.msgpack.encode(plain))


@given(st.binary())
def test_any_bytes_are_a_value_or_refused(content: bytes) -> None:
    with contextlib.suppress(IntegrityError):
        thaw(content)


def test_depth_without_end_is_refused() -> None:
    content = b"\x92\xa5tuple\x91" * 5_000 + b"\x01"
    with pytest.raises(IntegrityError):
        thaw(content)
