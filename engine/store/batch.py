"""From journal lines to one Arrow batch: the columns of table `events`, checked as a chain.

A batch that does not continue the store's last row exactly (sequence and hash) is refused here, so
a row can neither be missing nor be there twice.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import pyarrow as pa

from engine.contracts.canonical import sha256_hex
from engine.contracts.errors import IntegrityError
from engine.contracts.event import Recorded, kind_of

#: An event and its exact line with the newline, as the journal hands it to its subscribers.
Line = tuple[Recorded, bytes]

_SCHEMA = pa.schema(
    [
        ("seq", pa.int64()),
        ("ts_us", pa.int64()),
        ("kind", pa.string()),
        ("actor_kind", pa.string()),
        ("actor_name", pa.string()),
        ("actor_proof", pa.string()),
        ("session_id", pa.string()),
        ("actor", pa.string()),
        ("data", pa.string()),
        ("prev", pa.string()),
        ("hash", pa.string()),
    ]
)


class End(msgspec.Struct, frozen=True):
    """The end of the store: `size` rows, the hash of the last."""

    size: int
    head: str


def events_batch(lines: Sequence[Line], after: End) -> tuple[pa.Table, End]:
    """Return the rows of `lines` and the store's end after them.

    Raises IntegrityError when the lines do not continue `after`.
    """
    parts = [_split(line) for _, line in lines]
    prevs = [prev for _, _, prev in parts]
    hashes = [*prevs[1:], sha256_hex(lines[-1][1])]
    seqs = [recorded.seq for recorded, _ in lines]
    if prevs[0] != after.head or seqs != list(range(after.size, after.size + len(seqs))):
        raise IntegrityError(
            what=f"events {seqs[0]} to {seqs[-1]} do not follow the {after.size} in the store",
            where="store",
            todo="rebuild the store from the journal",
        )
    actors = [recorded.actor for recorded, _ in lines]
    columns: list[Sequence[object]] = [
        seqs,
        [recorded.ts_us for recorded, _ in lines],
        [kind_of(recorded.event) for recorded, _ in lines],
        [actor.kind for actor in actors],
        [actor.name for actor in actors],
        [actor.proof for actor in actors],
        [getattr(recorded.event, "session_id", None) for recorded, _ in lines],
        [actor for actor, _, _ in parts],
        [data for _, data, _ in parts],
        prevs,
        hashes,
    ]
    arrays = [pa.array(column, field.type) for column, field in zip(columns, _SCHEMA, strict=True)]
    return pa.Table.from_arrays(arrays, schema=_SCHEMA), End(seqs[-1] + 1, hashes[-1])


def _split(line: bytes) -> tuple[str, str, str]:
    """Cut actor, data and prev out of a line; quotes in text are escaped, so the marks are unique.

    The first `,"data":` ends the actor (which has no such field), the last `,"kind":"` ends the
    data (nothing after it is free text).
    """
    text = line.decode("ascii")
    data = text.index(',"data":')
    kind = text.rindex(',"kind":"')
    prev = text.index('","prev":"', kind) + 10
    return text[9:data], text[data + 8 : kind], text[prev : prev + 64]
