"""The hash chain: how an event becomes a line of the journal, and how lines prove their order.

A line is canonical ASCII JSON `{"actor","data","kind","prev","seq","ts"}` and a newline; `prev` is
the sha256 of the whole line before it (newline included), of nothing for the first: 64 zeros. So
the hash of the last line fixes every byte before it. Pure: bytes in, bytes out.

Two speeds of checking. `walk` looks at raw bytes only (sequence, time, link), because a restart has
seconds for a million lines; `check_form` parses one line and compares it with its canonical form,
which refuses duplicate keys, floats (I11) and every other spelling of the same content.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from functools import lru_cache
from typing import Any, NoReturn, get_args

import msgspec

from engine.contracts.canonical import canonical, sha256_hex
from engine.contracts.errors import InputError, IntegrityError
from engine.contracts.event import AnyEvent, Event, Recorded, event_to_data, kind_of
from engine.contracts.people import Actor

ZERO_HASH = "0" * 64

#: No line is longer, newline included: what is written must be read back, and in our memory.
MAX_LINE = 1 << 28

#: Digits of a time that fits the columns it goes to; thousands would not even be a number to us.
_TIME_DIGITS = 18

#: Equal digits of two unrelated sha256: 4 of 64 are expected, 32 happen never.
_DIGITS_BY_CHANCE = 32

_TODO = "keep the file as it is and compare it with the reviewer's heads and the last pack"


class Link(msgspec.Struct, frozen=True):
    """A place in the chain: `size` lines before it, the hash of the last, its time (µs UTC)."""

    size: int = 0
    head: str = ZERO_HASH
    ts_us: int = 0


class Walked(msgspec.Struct, frozen=True):
    """Where a walk ended. `tail` is what follows the last newline: b"" in a whole file."""

    link: Link
    first_line: bytes
    tail: bytes


class _Line(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The line as JSON; `data` stays bytes until the kind is known."""

    actor: Actor
    data: msgspec.Raw
    kind: str
    prev: str
    seq: int
    ts: int


_ENCODER = msgspec.json.Encoder(order="sorted", decimal_format="string")
_LINE_DECODER = msgspec.json.Decoder(_Line)

#: What no line of ours raises: a hundred thousand brackets are a RecursionError.
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

#: One row a kind: its tag, the sorted field names, the decoder of `data`.
_FIELDS: dict[type[Event], tuple[str, tuple[str, ...]]] = {
    cls: (str(cls.__struct_config__.tag), tuple(sorted(cls.__struct_fields__)))
    for cls in get_args(AnyEvent)
}
_DECODERS: dict[str, msgspec.json.Decoder[Any]] = {
    tag: msgspec.json.Decoder(cls) for cls, (tag, _) in _FIELDS.items()
}


@lru_cache(maxsize=256)
def _actor_json(actor: Actor) -> bytes:
    return _ENCODER.encode(actor)


def encode_line(seq: int, prev: str, ts_us: int, actor: Actor, event: AnyEvent) -> bytes:
    """Return the line with its newline, equal to `canonical()` of the same six fields.

    Raises InputError for text that is not Unicode (lone surrogates) and for a foreign event.
    """
    row = _FIELDS.get(type(event))
    if row is None:
        raise InputError(what="not an event of the journal", where=type(event).__name__)
    kind, names = row
    try:
        data = _ENCODER.encode({name: getattr(event, name) for name in names})
        line = b'{"actor":%b,"data":%b,"kind":"%b","prev":"%b","seq":%d,"ts":%d}\n' % (
            _actor_json(actor),
            data,
            kind.encode("ascii"),
            prev.encode("ascii"),
            seq,
            ts_us,
        )
    except UnicodeEncodeError as error:
        raise InputError(what=f"text that is not Unicode ({error.reason})", where=kind) from error
    return line if line.isascii() else _encode_escaped(seq, prev, ts_us, actor, event)


def _encode_escaped(seq: int, prev: str, ts_us: int, actor: Actor, event: AnyEvent) -> bytes:
    """Encode as a whole: `canonical` escapes all of a value once any of it is not ASCII."""
    whole = {
        "actor": actor,
        "data": event_to_data(event),
        "kind": kind_of(event),
        "prev": prev,
        "seq": seq,
        "ts": ts_us,
    }
    return canonical(whole) + b"\n"


def decode_line(line: bytes, where: str) -> tuple[Recorded, str]:
    """Rebuild the event of one line, and the hash it names as `prev`.

    Raises IntegrityError, naming `where`, for what is not a line or does not fit this version.
    """
    recorded, prev, _data = decode_parts(line, where)
    return recorded, prev


def decode_parts(line: bytes, where: str) -> tuple[Recorded, str, bytes]:
    """As `decode_line`, and the JSON of the event's fields exactly as it stands in the line."""
    try:
        parsed = _LINE_DECODER.decode(line)
    except _UNREADABLE as error:
        broken(where, f"not a journal line ({error})")
    decoder = _DECODERS.get(parsed.kind)
    if decoder is None:
        raise IntegrityError(
            what=f"event of unknown kind {parsed.kind!r}",
            where=where,
            todo="use the version that wrote this journal",
        )
    try:
        event = decoder.decode(parsed.data)
    except (msgspec.ValidationError, RecursionError) as error:
        raise IntegrityError(
            what=f"event of kind {parsed.kind!r} does not fit this version ({error})",
            where=where,
            todo="use the version that wrote this journal",
        ) from error
    recorded = Recorded(seq=parsed.seq, ts_us=parsed.ts, actor=parsed.actor, event=event)
    return recorded, parsed.prev, bytes(parsed.data)


def walk(lines: Iterable[bytes], start: Link, where: str, before: str = "") -> Walked:
    """Follow the chain over raw lines (one file's) from `start`, at about a microsecond a line.

    Raises IntegrityError naming `where:line` of the changed line, or `before` (the last line of the
    file before, as `file:line`) when it is that one. What follows the last newline is handed back
    as `tail`, not judged.
    """
    sha256 = hashlib.sha256
    size, head, ts_us = start.size, start.head, start.ts_us
    first_line = tail = b""
    rest = iter(lines)
    for line in rest:
        if line[-1:] != b"\n":
            if len(line) >= MAX_LINE:
                broken(
                    f"{where}:{size - start.size + 1}", "a line of this length was never written"
                )
            tail = line + b"".join(rest)
            break
        mark = line.rfind(b',"ts":')
        digits = line[mark + 6 : -2]
        if not (
            line.endswith(b'","prev":"%b","seq":%d' % (head.encode(), size), 0, mark)
            and digits.isdigit()
            and len(digits) <= _TIME_DIGITS
            and line[-2:] == b"}\n"
        ):
            number = size - start.size + 1
            last = f"{where}:{number - 1}" if number > 1 else before
            _name_break(line, next(rest, b""), Link(size, head, ts_us), (last, f"{where}:{number}"))
        stamp = int(digits)
        if stamp < ts_us:
            broken(f"{where}:{size - start.size + 1}", f"time goes back from {ts_us} to {stamp} µs")
        if size == start.size:
            first_line = line
        head, size, ts_us = sha256(line).hexdigest(), size + 1, stamp
    return Walked(Link(size, head, ts_us), first_line, tail)


def check_form(line: bytes, where: str) -> None:
    """Refuse a line that is not exactly the canonical JSON of its own content."""
    try:
        parsed = _form_decoder().decode(line)
    except (*_UNREADABLE, InputError) as error:
        broken(where, f"not a journal line ({error})")
    if canonical(parsed) + b"\n" != line:
        broken(where, "not in canonical form")


def broken(where: str, what: str) -> NoReturn:
    """Raise the IntegrityError of a journal that does not agree with itself."""
    raise IntegrityError(what=what, where=where, todo=_TODO)


def line_hash(line: bytes) -> str:
    """Hash of a line with its newline: the next line's `prev`."""
    return sha256_hex(line)


def _name_break(line: bytes, after: bytes, expected: Link, places: tuple[str, str]) -> NoReturn:
    """Say what is wrong with `line`, and whether it or the line before it was changed.

    Two hashes have few digits in common by chance, so a link that is nearly right was damaged
    itself. Otherwise the line after is the witness: if that one is chained to `line` with the right
    link, the link was replaced; if not, the line before is not as it was written.
    """
    previous, here = places
    try:
        found = _LINE_DECODER.decode(line)
    except _UNREADABLE as error:
        broken(here, f"not a journal line ({error})")
    if found.seq != expected.size:
        broken(here, f"sequence {found.seq} where {expected.size} must follow")
    if found.prev == expected.head:
        broken(here, "not in canonical form")
    if sum(map(str.__eq__, found.prev, expected.head)) > _DIGITS_BY_CHANCE:
        broken(here, "its link to the line before was damaged")
    restored = line.replace(found.prev.encode(), expected.head.encode())
    if previous and line_hash(restored).encode() not in after:
        broken(previous, "changed after it was written: the next line was chained to other bytes")
    broken(here, "its link to the line before was replaced")


def _no_float(text: str) -> NoReturn:
    raise InputError(what=f"float {text} where only strings and integers are allowed")


@lru_cache(maxsize=1)
def _form_decoder() -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(float_hook=_no_float)
