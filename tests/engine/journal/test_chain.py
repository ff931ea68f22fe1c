"""The line: equal to canonical JSON for every event, rebuilt exactly, free of floats."""

from enum import Enum
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.contracts.canonical import canonical
from engine.contracts.errors import InputError, IntegrityError
from engine.contracts.event import AnyEvent, NoteAdded, event_to_data, kind_of
from engine.contracts.people import ENGINE, Actor
from engine.journal.chain import (
    ZERO_HASH,
    Link,
    check_form,
    decode_line,
    encode_line,
    line_hash,
    walk,
)


def leaf_types(kind: Any) -> set[Any]:
    """All types that a field of this type can hold, through structs and containers."""
    if args := get_args(kind):
        return set().union(*(leaf_types(arg) for arg in args))
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return set().union(*(leaf_types(field.type) for field in msgspec.structs.fields(kind)))
    return {kind}


def chain_of(count: int) -> list[bytes]:
    lines: list[bytes] = []
    head = ZERO_HASH
    for seq in range(count):
        event = NoteAdded(session_id="abcdefabcdef", text=f"line {seq}")
        lines.append(encode_line(seq, head, 1000 + seq, ENGINE, event))
        head = line_hash(lines[-1])
    return lines


def test_i11_no_event_has_a_float_field() -> None:
    held = set().union(*(leaf_types(kind) for kind in get_args(AnyEvent)))

    loose = {kind for kind in held if kind in (float, complex, object, Any)}
    assert not loose
    assert all(isinstance(kind, type) or kind is Ellipsis for kind in held)
    assert {kind for kind in held if isinstance(kind, type) and issubclass(kind, Enum)}


def test_i11_the_search_for_floats_finds_one() -> None:
    class Wrong(msgspec.Struct):
        values: dict[str, tuple[float, ...]]

    assert float in leaf_types(Wrong)


def test_a_line_is_the_canonical_json_of_its_six_fields(any_event: Any) -> None:
    actors = st.builds(Actor, kind=st.text(max_size=9), name=st.text(max_size=9), proof=st.text())

    @settings(max_examples=400, deadline=None)
    @given(any_event, actors, st.integers(0, 2**53), st.integers(0, 2**53))
    def check(event: Any, actor: Actor, seq: int, ts_us: int) -> None:
        prev = line_hash(b"x")
        line = encode_line(seq, prev, ts_us, actor, event)

        fields = {
            "actor": actor,
            "data": event_to_data(event),
            "kind": kind_of(event),
            "prev": prev,
            "seq": seq,
            "ts": ts_us,
        }
        assert line == canonical(fields) + b"\n"
        assert line.count(b"\n") == 1
        check_form(line, "here")
        recorded, found_prev = decode_line(line, "here")
        assert (recorded.seq, recorded.ts_us, recorded.actor, found_prev) == (
            seq,
            ts_us,
            actor,
            prev,
        )
        assert recorded.event == event
        assert walk([line], Link(seq, prev, 0), "f").link == Link(seq + 1, line_hash(line), ts_us)

    check()


def test_text_that_is_not_unicode_is_refused() -> None:
    event = NoteAdded(session_id="abcdefabcdef", text="\ud800")
    with pytest.raises(InputError, match=r"note\.added"):
        encode_line(0, ZERO_HASH, 1, ENGINE, event)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda line: line.replace(b'"seq":1', b'"seq":1.0'), "float"),
        (lambda line: line.replace(b'"seq":1', b'"seq":1,"seq":1'), "canonical"),
        (lambda line: line.replace(b'"seq":1', b'"seq": 1'), "canonical"),
        (lambda line: line.replace(b"line", b"\\u006cine"), "canonical"),
        (lambda line: line[1:], "not a journal line"),
    ],
)
def test_any_other_spelling_of_a_line_is_refused(change: Any, says: str) -> None:
    line = chain_of(2)[1]
    check_form(line, "f:2")
    with pytest.raises(IntegrityError, match=f"^f:2: .*{says}"):
        check_form(change(line), "f:2")


def test_an_unknown_kind_and_an_unfit_event_name_the_place() -> None:
    line = chain_of(1)[0]
    with pytest.raises(IntegrityError, match=r"^f:1: .*unknown kind 'note\.lost'"):
        decode_line(line.replace(b"note.added", b"note.lost"), "f:1")
    with pytest.raises(IntegrityError, match=r"^f:1: .*does not fit"):
        decode_line(line.replace(b'"text":"line 0"', b'"text":7'), "f:1")


@given(st.data())
def test_lines_missing_doubled_or_swapped_break_the_chain(data: st.DataObject) -> None:
    lines = chain_of(6)
    first = data.draw(st.integers(0, 4))
    second = data.draw(st.integers(first + 1, 5))
    swapped = list(lines)
    swapped[first], swapped[second] = swapped[second], swapped[first]
    missing = lines[:first] + lines[first + 1 :]
    doubled = lines[: first + 1] + lines[first:]
    for wrong in (swapped, missing, doubled):
        with pytest.raises(IntegrityError, match=r"^f:\d+: "):
            walk(wrong, Link(), "f")
    assert walk(lines, Link(), "f").link.size == 6


def test_time_may_stand_still_but_not_go_back() -> None:
    first = encode_line(0, ZERO_HASH, 1000, ENGINE, NoteAdded(session_id="", text="a"))
    same = encode_line(1, line_hash(first), 1000, ENGINE, NoteAdded(session_id="", text="b"))
    back = encode_line(1, line_hash(first), 999, ENGINE, NoteAdded(session_id="", text="b"))
    assert walk([first, same], Link(), "f").link.size == 2
    with pytest.raises(IntegrityError, match=r"^f:2: time goes back"):
        walk([first, back], Link(), "f")
