"""What a pack's journal tells of one session, gathered while its lines go by to be verified.

Of a million lines only those of a few kinds are decoded: the kind stands at the end of a line,
where no text of a person can. The orders and the fills are counted on the bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

from engine.contracts.canonical import sha256_hex
from engine.contracts.event import (
    DualGranted,
    Event,
    GoDecided,
    GoRequested,
    MarketRecorded,
    PackPrepared,
    ReconRun,
    SessionChartered,
    SnapshotTaken,
)
from engine.journal.chain import check_form, decode_line

_E = TypeVar("_E", bound=Event)

_KEPT = frozenset(
    str(kind.__struct_config__.tag).encode()
    for kind in (
        DualGranted,
        GoDecided,
        GoRequested,
        MarketRecorded,
        PackPrepared,
        ReconRun,
        SessionChartered,
        SnapshotTaken,
    )
)
_ORDERS = frozenset((b"order.intended", b"orphan.adopted"))
_FILLED = b"order.filled"
_KIND = b',"kind":"'
#: The kind, two hashes' worth of link, the sequence and the time: what follows it is no longer.
_TAIL = 300


class Told:
    """Watches the lines go by: keeps events of one session, counts, and hashes at given sizes."""

    def __init__(self, session_id: str, sizes: Iterable[object]) -> None:
        self._session = b'"session_id":"%b"' % session_id.encode("ascii", "replace")
        self._session_id = session_id
        self._sizes = frozenset(size for size in sizes if isinstance(size, int))
        self._events: list[Event] = []
        self._orders: set[bytes] = set()
        self._fills: set[tuple[bytes, bytes]] = set()
        #: When the session began (µs UTC): its first event is its charter.
        self.started_us = 0
        #: Hash (hex) of the line that made it so many events, for the sizes asked for.
        self.hash_at = {0: "0" * 64}

    @property
    def orders(self) -> int:
        """The session's orders: intended, or a stranger's that was adopted."""
        return len(self._orders)

    @property
    def fills(self) -> int:
        """The session's trades, each once."""
        return len(self._fills)

    def of(self, kind: type[_E]) -> list[_E]:
        """The session's events of one kind, in order."""
        return [one for one in self._events if isinstance(one, kind)]

    def watch(self, lines: Iterator[bytes]) -> Iterator[bytes]:
        """Hand the lines on, each after whoever asks for the next has checked it."""
        for number, line in enumerate(lines, 1):
            yield line  # the chain is checked first: what is decoded below is part of it
            if number in self._sizes:
                self.hash_at[number] = sha256_hex(line)
            at = line.rfind(_KIND, -_TAIL) + len(_KIND)
            kind = line[at : line.find(b'"', at)]
            if kind == _FILLED:
                if self._session in line:
                    self._fills.add((_text(line, b"symbol"), _text(line, b"trade_id")))
            elif kind in _ORDERS:
                if self._session in line:
                    self._orders.add(_text(line, b"client_order_id"))
            elif kind in _KEPT and self._session in line:
                self._keep(line, number)

    def _keep(self, line: bytes, number: int) -> None:
        where = f"data/audit/log.jsonl:{number}"
        check_form(line, where)
        record = decode_line(line, where)[0]
        if getattr(record.event, "session_id", "") == self._session_id:
            self.started_us = self.started_us or record.ts_us
            self._events.append(record.event)


def _text(line: bytes, field: bytes) -> bytes:
    """The field's text as it stands; quotes inside a text are escaped, so it ends at the next."""
    at = line.find(b'"%b":"' % field) + len(field) + 4
    return line[at : line.find(b'"', at)]
